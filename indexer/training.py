"""`hooke train`: lists of an index's rows for approximate search, made beside the former and put in their place."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hooke.errors import BadInput, CorruptIndex
from hooke.index import existing_index
from hooke.model import Manifest
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import MetadataStore
from hooke.store.choose import open_store
from hooke.vectors.base import of_kind
from hooke.vectors.columns import Segment, live_images
from hooke.vectors.place import open_vectors
from hooke.vectors.segments import SegmentStore
from hooke.vectors.train import HeldOutTest, train
from hooke.views import Kind
from indexer.report import Progress

FEWEST_ROWS = 16_384
"""With fewer, of a kind, an exact search takes a millisecond, and too few rows can be held out."""


@dataclass(frozen=True, slots=True)
class TrainedKind:
    """The lists of a kind's rows. doubt: what is taken off every stated recall; tests: by which that was found."""

    kind: str
    rows: int
    lists: int
    bytes: int
    doubt: float
    tests: tuple[HeldOutTest, ...]


def train_index(
    directory: Path, progress: Progress, cluster: ClusterSettings = DEFAULT_CLUSTER
) -> tuple[TrainedKind, ...]:
    """Train lists of each kind of rows, of which there are enough. The index answers, and may be written, meanwhile.

    Killed at any point there are the former lists. Raises BadInput where nothing can be trained, or
    segments were merged meanwhile.
    """
    from hooke.embed.fingerprint import load_space

    index = existing_index(directory)
    with closing(open_store(index, cluster)) as store:
        manifest = _manifest(store)
        if manifest.space is None:
            raise BadInput(f"{directory} holds no embedded images: index a folder of images into it first")
        space, _ = load_space(index.spaces / f"{manifest.space}.json")
        vectors = open_vectors(index, space.fingerprint, cluster)
        if not isinstance(vectors, SegmentStore):
            raise BadInput(
                f"{directory} has its vectors in a cluster: choose its method with `hooke index --vector-method`"
            )
        found = _opened(vectors, store, manifest.segments)
        if not found:
            raise BadInput(
                f"{directory} has fewer than {FEWEST_ROWS:,} vectors: they are searched exactly in a millisecond"
            )
        return tuple(_train(vectors, store, rows, progress) for rows in found)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A kind's segments, open: what is removed from the disk meanwhile stays readable."""

    kind: Kind
    names: Sequence[str]
    segments: Sequence[Segment]


def _opened(vectors: SegmentStore, store: MetadataStore, names: Sequence[str]) -> list[_Rows]:
    """The kinds of which there is enough, proven sound."""
    try:
        kinds = [(kind, of_kind(names, kind)) for kind in Kind]
        every = [_Rows(kind, some, vectors.open(some)) for kind, some in kinds]
        found = [rows for rows in every if sum(len(each.rows) for each in rows.segments) >= FEWEST_ROWS]
        for rows in found:
            vectors.verify(rows.names)
    except CorruptIndex:
        _check_current(store, names)
        raise
    return found


def _train(vectors: SegmentStore, store: MetadataStore, rows: _Rows, progress: Progress) -> TrainedKind:
    trained, tests = train(
        rows.names,
        rows.segments,
        live_images(rows.segments),
        lambda what, done, of: progress(f"{rows.kind} rows: {what}", done, of),
    )
    _check_current(store, rows.names)
    size = vectors.save_trained(trained, rows.kind)
    lists = trained.inverted
    return TrainedKind(rows.kind, len(lists.rows), len(lists.centres), size, trained.doubt, tests)


def _check_current(store: MetadataStore, names: Sequence[str]) -> None:
    """Raise BadInput where the index has other segments by now: what is missing was merged, not damaged."""
    if not set(names) <= set(_manifest(store).segments):
        raise BadInput("the index's segments were merged meanwhile, which lists of the former do not know: run again")


def _manifest(store: MetadataStore) -> Manifest:
    with store.read() as reader:
        return reader.snapshot.manifest

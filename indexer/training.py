"""`hooke train`: lists of an index's rows for approximate search, made beside the former and put in their place."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hooke.errors import BadInput
from hooke.index import existing_index
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.choose import open_store
from hooke.vectors.base import of_kind
from hooke.vectors.columns import live_images
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

    Killed at any point there are the former lists. Raises BadInput where nothing can be trained.
    """
    from hooke.embed.fingerprint import load_space

    index = existing_index(directory)
    with closing(open_store(index, cluster)) as store, store.read() as reader:
        manifest = reader.snapshot.manifest
    if manifest.space is None:
        raise BadInput(f"{directory} holds no embedded images: index a folder of images into it first")
    space, _ = load_space(index.spaces / f"{manifest.space}.json")
    vectors = open_vectors(index, space.fingerprint, cluster)
    if not isinstance(vectors, SegmentStore):
        raise BadInput(
            f"{directory} has its vectors in a cluster: choose its method with `hooke index --vector-method`"
        )
    made = tuple(filter(None, (_train(vectors, manifest.segments, kind, progress) for kind in Kind)))
    if not made:
        raise BadInput(
            f"{directory} has fewer than {FEWEST_ROWS:,} vectors: they are searched exactly in a millisecond"
        )
    return made


def _train(vectors: SegmentStore, segments: tuple[str, ...], kind: Kind, progress: Progress) -> TrainedKind | None:
    names = of_kind(segments, kind)
    opened = vectors.open(names)
    if sum(len(each.rows) for each in opened) < FEWEST_ROWS:
        return None
    vectors.verify(names)
    trained, tests = train(
        names, opened, live_images(opened), lambda what, done, of: progress(f"{kind} rows: {what}", done, of)
    )
    size = vectors.save_trained(trained, kind)
    lists = trained.inverted
    return TrainedKind(kind, len(lists.rows), len(lists.centres), size, trained.doubt, tests)

"""The pixel half of a run: images to thumbnails and vectors, a segment and a commit at a time.

    images → load (threads) → batches of what is new → embed (two batches at once) → the open segment → publish

Every arrow is a bounded queue in the images' order. Only loading and embedding run in threads, or on the workers of a
cluster (`indexer.distribution`): what is remembered, and what is written, is one thread's alone. Who loads waits for a
process that reads, which is killed when it takes too long.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.embed.base import Embedder, Raster, Space, Views
from hooke.errors import BackendUnavailable, BadInput, NoSpace, SpaceMismatch, TooLarge, UnreadableImage
from hooke.index import IndexDirectory
from hooke.model import Manifest
from hooke.settings import DEFAULT_CLUSTER, DEFAULT_READING, ClusterSettings, ReadingSettings
from hooke.store.base import MetadataReader, MetadataStore, MetadataWriter
from hooke.vectors.base import Block, Ordinals, VectorStore
from hooke.vectors.place import open_vectors
from hooke.vectors.workers import usable_threads
from hooke.views import Kind
from indexer.compaction import tidy_index
from indexer.ledger import Ledger, PackedImages
from indexer.overlap import overlapped
from indexer.report import Progress
from indexer.sources import Quarantined

if TYPE_CHECKING:
    from hooke.pixels import FileReader

BATCH = 32
BATCH_BYTES = 2**27
"""A batch has no more images than that, and ends with the raster that brings it to these bytes."""
SEGMENT_IMAGES = 4_096
SEGMENT_SECONDS = 60.0
MORE_LOADERS = 2
"""Threads that load, beside one a core: some wait for a disk or the network."""


@dataclass(frozen=True, slots=True)
class Model:
    """The preset or timm model to embed with, and a weights file where its weights are in no package or hub.

    tiles: the most tiles of an image that get rows of their own; None: as many as the index has, of a new one none.
    device: where it runs, auto, cpu or cuda.
    """

    name: str
    weights: Path | None = None
    tiles: int | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Asked:
    """An image to look at; known: the digest of what its rows in the index were made of."""

    ordinal: int
    path: str
    known: int | None


@dataclass(frozen=True, slots=True)
class Content:
    """A content, and the images that have it, by ordinal and path: more join while it waits to be embedded."""

    digest: int
    images: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Loaded(Content):
    """A content that was read, and its thumbnail, a JPEG."""

    raster: Raster
    thumbnail: bytes


C = TypeVar("C", bound=Content)
Embedded = tuple[Content, Views | Exception]
KeepThumbnail = Callable[[int, bytes], None]
"""Given an image's ordinal and its thumbnail."""


class New(Protocol):
    """Lets through the contents that have no rows yet."""

    def __call__(self, found: Iterable[C | Quarantined | None], /) -> Iterator[C]:
        """What of it is to be embedded, in its order; None is an image that is known already."""
        ...


class Hands(Protocol):
    """Who reads images and embeds them: threads of this process, or the workers of a cluster."""

    def embedded(self, asked: Iterable[Asked], new: New) -> Generator[Sequence[Embedded], None, None]:
        """Read what is asked for, keep its thumbnails, and embed what is new; in order, some batches ahead."""
        ...


HandsOf = Callable[[Embedder, KeepThumbnail, ReadingSettings], Hands]


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of this process."""

    embedder: Embedder
    keep: KeepThumbnail
    reading: ReadingSettings

    def embedded(self, asked: Iterable[Asked], new: New) -> Generator[Sequence[Embedded], None, None]:
        """See `Hands`."""
        from hooke.pixels import shared_file_reader

        threads = usable_threads() + MORE_LOADERS
        reader = shared_file_reader(threads)
        load = partial(self._load, reader)
        with closing(overlapped(load, asked, threads=threads, ahead=threads, abandon=reader.kill)) as loaded:
            batches = _batches(new(loaded))
            # while one batch ends, with less and less to do at once, another has begun
            with closing(overlapped(partial(embedded, self.embedder), batches, threads=2, ahead=1)) as done:
                yield from done

    def _load(self, reader: "FileReader", asked: Asked) -> Loaded | Quarantined | None:
        found = look(asked, self.embedder.space, reader, self.reading)
        if isinstance(found, Loaded):
            self.keep(asked.ordinal, found.thumbnail)
        return found


@dataclass(slots=True)
class _Open:
    """The segment being gathered; what a kill loses."""

    images: list[tuple[int, int, Views]] = field(default_factory=list)
    """Ordinal, digest and rows of each: Ctrl-C between two lists would leave one of them longer."""
    places: dict[int, int] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    def add(self, ordinal: int, digest: int, views: Views) -> None:
        self.places.setdefault(digest, len(self.images))
        self.images.append((ordinal, digest, views))

    def is_full(self) -> bool:
        return len(self.images) >= SEGMENT_IMAGES or time.monotonic() - self.since > SEGMENT_SECONDS

    @property
    def ordinals(self) -> Ordinals:
        return np.array([ordinal for ordinal, _, _ in self.images], np.uint32)

    @property
    def digests(self) -> npt.NDArray[np.uint64]:
        return np.array([digest for _, digest, _ in self.images], np.uint64)

    def blocks(self) -> Iterator[Block]:
        """The rows of all its images, a block for each kind."""
        for kind in (kind for kind in Kind if kind in self.images[0][2]):
            rows = [views[kind] for _, _, views in self.images]
            counts = [len(each.vectors) for each in rows]
            yield Block(
                np.concatenate([each.vectors for each in rows]),
                np.repeat(self.ordinals, counts),
                np.repeat(self.digests, counts),
                kind,
                np.concatenate([each.places for each in rows]),
            )


def embedded_ordinals(index: IndexDirectory, reader: MetadataReader, cluster: ClusterSettings) -> BitMap:
    """The images that a snapshot has vectors of."""
    from hooke.embed.fingerprint import load_space

    manifest = reader.snapshot.manifest
    if manifest.space is None:
        return BitMap()
    space, _ = load_space(index.spaces / f"{manifest.space}.json")
    return open_vectors(index, space.fingerprint, cluster).read(manifest.segments).ordinals()


class EmbeddingRun:
    """Embeds every image whose content has no vector yet."""

    def __init__(
        self,
        index: IndexDirectory,
        store: MetadataStore,
        model: Model,
        quarantine: Callable[[Quarantined], None],
        progress: Progress,
        cluster: ClusterSettings = DEFAULT_CLUSTER,
        reading: ReadingSettings = DEFAULT_READING,
        hands: HandsOf = Threads,
    ) -> None:
        self._cluster = cluster
        self._reading = reading
        self._hands = hands
        self._index = index
        self._store = store
        self._model = model
        self._quarantine = quarantine
        self._progress = progress
        self._loaded: Embedder | None = None

    def load(self) -> None:
        """Load the model. Raises UnknownModel, and SpaceMismatch where the index has vectors of another."""
        with self._store.read() as reader:
            self._embedder(reader.snapshot.manifest)

    def run(self, writer: MetadataWriter) -> None:
        """Do all that is left to do. What Ctrl-C, or the loss of a cluster, finds gathered is published first."""
        with self._store.read() as reader:
            images = PackedImages(reader.images_with_pixels())
            manifest = reader.snapshot.manifest
        if not images:
            return
        embedder = self._embedder(manifest)
        vectors = open_vectors(self._index, embedder.space.fingerprint, self._cluster)
        vectors.discard_except(manifest.segments)
        ledger = Ledger(vectors, manifest.segments, embedder.space.kinds)
        gathered = _Gathered(ledger, vectors, writer, replace(manifest, space=embedder.space.fingerprint))
        try:
            self._embed(images, embedder, gathered)
        except (KeyboardInterrupt, BackendUnavailable):
            gathered.publish()
            raise
        gathered.publish()
        tidy_index(self._store, writer, vectors)
        self._progress("embedding", len(images), len(images))

    def _embedder(self, manifest: Manifest) -> Embedder:
        from hooke.embed.fingerprint import check_golden, differences, golden_vector, load_space, save_space
        from hooke.embed.presets import timm_name

        if self._loaded is not None:
            return self._loaded
        known, golden = load_space(self._index.spaces / f"{manifest.space}.json") if manifest.space else (None, None)
        name = timm_name(self._model.name)
        try:
            from hooke.embed.timm import check_name, load_embedder
        except ModuleNotFoundError as exc:
            raise BadInput(f"embedding needs {exc.name}: install Hooke's extra `embed`, or use --no-embed") from exc
        if known is not None and known.model != name:
            check_name(name)
            # before its weights are asked for: without a network that takes a minute to fail
            raise SpaceMismatch(
                f"this index holds vectors of space {known.fingerprint[:12]} (model: {known.model}, here {name}): "
                "use the model and settings it was made with, or index into a new directory"
            )
        own = known.tiles if known else 0
        tiles = own if self._model.tiles is None else self._model.tiles
        embedder = load_embedder(self._model.name, self._model.weights, tiles=tiles, device=self._model.device)
        found = embedder.space.fingerprint
        if known is not None and known.fingerprint != found:
            raise SpaceMismatch(
                f"this index holds vectors of space {known.fingerprint[:12]}, {self._model.name} makes {found[:12]}"
                f" ({differences(known, embedder.space)}): "
                "use the model and settings it was made with, or index into a new directory"
            )
        if golden is not None:
            check_golden(embedder, golden)
        path = self._index.spaces / f"{found}.json"
        if not path.exists():
            with _room_for(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                save_space(embedder.space, golden_vector(embedder), path)
        self._loaded = embedder
        return embedder

    def _embed(self, images: PackedImages, embedder: Embedder, gathered: "_Gathered") -> None:
        def new(found: Iterable[C | Quarantined | None], /) -> Iterator[C]:
            return self._new(found, gathered)

        hands = self._hands(embedder, self._write_thumbnail, self._reading)
        with closing(hands.embedded(self._asked(images, gathered), new)) as done:
            for batch in done:
                self._add(batch, gathered)

    def _asked(self, images: PackedImages, gathered: "_Gathered") -> Iterator[Asked]:
        for done, (ordinal, path) in enumerate(images):
            self._progress("embedding", done, len(images))
            yield Asked(ordinal, path, gathered.ledger.known.get(ordinal))

    def _new(self, found: Iterable[C | Quarantined | None], gathered: "_Gathered") -> Iterator[C]:
        """The images of content that has no rows yet, and gets none already."""
        for loaded in found:
            if isinstance(loaded, Quarantined):
                self._quarantine(loaded)
            elif loaded is not None and gathered.is_new(loaded):
                yield loaded

    def _add(self, batch: Sequence[Embedded], gathered: "_Gathered") -> None:
        for loaded, found in batch:
            if isinstance(found, Exception):
                for _, path in loaded.images:
                    self._quarantine(_quarantined(path, found))
            gathered.add(loaded, None if isinstance(found, Exception) else found)

    def _write_thumbnail(self, ordinal: int, content: bytes) -> None:
        path = self._index.thumbnail(ordinal)
        with _room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(content)
            temporary.replace(path)


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise NoSpace(f"cannot write {path}: {exc.strerror}; free some space and run the same command again") from exc


class _Gathered:
    """The open segment and what was published before it: rows by content, so that no content is embedded twice."""

    def __init__(self, ledger: Ledger, vectors: VectorStore, writer: MetadataWriter, manifest: Manifest) -> None:
        self.ledger = ledger
        self._vectors = vectors
        self._writer = writer
        self._manifest = manifest
        self._waiting: dict[int, Content] = {}
        self._open = _Open()

    def is_new(self, loaded: Content) -> bool:
        """Whether an image must be embedded; else it has, or shall have, the rows that its content has."""
        twin = self._waiting.setdefault(loaded.digest, loaded)
        if twin is not loaded:
            twin.images.extend(loaded.images)
            return False
        views = self._views_with(loaded.digest)
        if views is not None:
            self.add(loaded, views)
        return views is None

    def add(self, loaded: Content, views: Views | None) -> None:
        """Take in an image's rows (None: it could not be embedded), and publish a segment that is full."""
        del self._waiting[loaded.digest]
        if views is None:
            return
        for ordinal, _ in loaded.images:
            self._open.add(ordinal, loaded.digest, views)
        if self._open.is_full():
            self.publish()

    def publish(self) -> None:
        """Write the open segment, if it holds anything, and commit it."""
        if not self._open.images:
            return
        segments = tuple(self._vectors.append(block) for block in self._open.blocks())
        self._manifest = replace(self._manifest, segments=(*self._manifest.segments, *segments))
        self._writer.commit(self._manifest)
        self.ledger.add(segments, self._open.digests, self._open.ordinals)
        self._open = _Open()

    def _views_with(self, digest: int) -> Views | None:
        place = self._open.places.get(digest)
        return self.ledger.views_with(digest) if place is None else self._open.images[place][2]


def _batches(images: Iterable[Loaded]) -> Iterator[list[Loaded]]:
    """What is embedded together: at most so many images, and not much more than so many bytes."""
    batch: list[Loaded] = []
    size = 0
    for loaded in images:
        batch.append(loaded)
        size += raster_bytes(loaded.raster)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def raster_bytes(raster: Raster) -> int:
    """The memory that its pixels take."""
    return sum(each.nbytes for each in (raster.pixels, *raster.others, *(tile.pixels for tile in raster.tiles)))


def look(asked: Asked, space: Space, reader: "FileReader", reading: ReadingSettings) -> Loaded | Quarantined | None:
    """The image's pixels and thumbnail; None when what is known of it still holds."""
    from hooke.pixels import Limits

    path, side = asked.path, space.input_side
    try:
        found = reader.read_changed(path, Limits(), asked.known, side, parts=space.tiles, settings=reading)
    except (UnreadableImage, TooLarge, MemoryError) as exc:
        return _quarantined(path, exc)
    if found is None:
        return None
    return Loaded(found.digest, [(asked.ordinal, path)], found.raster, found.thumbnail)


def embedded(embedder: Embedder, batch: Sequence[Loaded]) -> list[Embedded]:
    """Each image's rows; where a batch fails each image is tried alone, so that only what is at fault is lost."""
    try:
        found = embedder.embed_views([loaded.raster for loaded in batch])
    except (UnreadableImage, MemoryError) as exc:
        if len(batch) == 1:
            return [(batch[0], exc)]
        return [result for loaded in batch for result in embedded(embedder, [loaded])]
    return list(zip(batch, found, strict=True))


def _quarantined(path: str, exc: Exception) -> Quarantined:
    if isinstance(exc, MemoryError):
        return Quarantined(path, "it needs more memory than there is; write smaller levels")
    return Quarantined(path, str(exc).removeprefix(f"{path}: "))

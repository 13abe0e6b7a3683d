"""The pixel half of a run: images to thumbnails and vectors, a segment and a commit at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from hooke.embed.base import Embedder, Raster, Space, Views
from hooke.errors import BadInput, NoSpace, SpaceMismatch, TooLarge, UnreadableImage
from hooke.index import IndexDirectory
from hooke.model import Manifest
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import MetadataReader, MetadataStore, MetadataWriter
from hooke.vectors.base import Block, VectorStore
from hooke.vectors.place import open_vectors
from hooke.views import Kind
from indexer.report import Progress
from indexer.sources import Quarantined

BATCH = 32
SEGMENT_IMAGES = 4_096
SEGMENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Model:
    """The timm model to embed with, and a local weights file where its weights are in no package or hub.

    tiles: the most tiles of an image that get rows of their own; None: as many as the index has, of a new one none.
    """

    name: str
    weights: Path | None = None
    tiles: int | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    ordinal: int
    digest: int
    raster: Raster


@dataclass(slots=True)
class _Open:
    """The segment being gathered; what a kill loses."""

    views: list[Views] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def is_full(self) -> bool:
        return len(self.ordinals) >= SEGMENT_IMAGES or time.monotonic() - self.since > SEGMENT_SECONDS


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
    ) -> None:
        self._cluster = cluster
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
        """Do all that is left to do."""
        with self._store.read() as reader:
            images = list(reader.images_with_pixels())
            manifest = reader.snapshot.manifest
        if not images:
            return
        embedder = self._embedder(manifest)
        vectors = open_vectors(self._index, embedder.space.fingerprint, self._cluster)
        vectors.discard_except(manifest.segments)
        publish = _Publisher(vectors, writer, replace(manifest, space=embedder.space.fingerprint))
        self._embed(images, embedder, vectors.read(manifest.segments).digests(), publish)

    def _embedder(self, manifest: Manifest) -> Embedder:
        from hooke.embed.fingerprint import differences, golden_vector, load_space, save_space

        try:
            from hooke.embed.timm import load_embedder
        except ModuleNotFoundError as exc:
            raise BadInput(f"embedding needs {exc.name}: install Hooke's extra `embed`, or use --no-embed") from exc
        known = load_space(self._index.spaces / f"{manifest.space}.json")[0] if manifest.space else None
        if self._loaded is None:
            own = known.tiles if known else 0
            tiles = own if self._model.tiles is None else self._model.tiles
            self._loaded = load_embedder(self._model.name, self._model.weights, tiles=tiles)
        embedder = self._loaded
        found = embedder.space.fingerprint
        if known is not None and known.fingerprint != found:
            raise SpaceMismatch(
                f"this index holds vectors of space {known.fingerprint[:12]}, {self._model.name} makes {found[:12]}"
                f" ({differences(known, embedder.space)}): "
                "use the model and settings it was made with, or index into a new directory"
            )
        path = self._index.spaces / f"{found}.json"
        if not path.exists():
            with _room_for(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                save_space(embedder.space, golden_vector(embedder), path)
        return embedder

    def _embed(
        self, images: list[tuple[int, str]], embedder: Embedder, known: dict[int, int], publish: "_Publisher"
    ) -> None:
        pending = _Open()
        batch: list[_Loaded] = []
        for loaded in self._changed(images, known, embedder.space):
            batch.append(loaded)
            if len(batch) == BATCH:
                self._add(batch, embedder, pending)
                batch = []
                if pending.is_full():
                    publish(pending)
                    pending = _Open()
        self._add(batch, embedder, pending)
        publish(pending)
        self._progress("embedding", len(images), len(images))

    def _changed(self, images: list[tuple[int, str]], known: dict[int, int], space: Space) -> Iterator[_Loaded]:
        for done, (ordinal, path) in enumerate(images):
            self._progress("embedding", done, len(images))
            loaded = self._load(ordinal, path, known.get(ordinal), space)
            if loaded is not None:
                yield loaded

    def _load(self, ordinal: int, path: str, known: int | None, space: Space) -> _Loaded | None:
        """The image's pixels, its thumbnail made on the way; None when it is known already or cannot be read."""
        from hooke.pixels import Limits, read_changed, thumbnail

        try:
            changed = read_changed(path, Limits(), known, space.input_side, parts=space.tiles)
            if changed is None:
                return None
            digest, raster = changed
            picture = thumbnail(raster)
        except (UnreadableImage, TooLarge) as exc:
            self._quarantine(Quarantined(path, str(exc).removeprefix(f"{path}: ")))
            return None
        except MemoryError:
            self._quarantine(Quarantined(path, "it needs more memory than there is; write smaller levels"))
            return None
        self._write_thumbnail(ordinal, picture)
        return _Loaded(ordinal, digest, raster)

    def _write_thumbnail(self, ordinal: int, content: bytes) -> None:
        path = self._index.thumbnail(ordinal)
        with _room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(content)
            temporary.replace(path)

    def _add(self, batch: list[_Loaded], embedder: Embedder, pending: _Open) -> None:
        if batch:
            pending.views.extend(embedder.embed_views([loaded.raster for loaded in batch]))
            pending.ordinals.extend(loaded.ordinal for loaded in batch)
            pending.digests.extend(loaded.digest for loaded in batch)


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise NoSpace(f"cannot write {path}: {exc.strerror}; free some space and run the same command again") from exc


class _Publisher:
    """Writes segments and commits them one by one."""

    def __init__(self, vectors: VectorStore, writer: MetadataWriter, manifest: Manifest) -> None:
        self._vectors = vectors
        self._writer = writer
        self._manifest = manifest

    def __call__(self, pending: _Open) -> None:
        if not pending.ordinals:
            return
        kinds = [kind for kind in Kind if kind in pending.views[0]]
        segments = [self._vectors.append(_block(pending, kind)) for kind in kinds]
        self._manifest = replace(self._manifest, segments=(*self._manifest.segments, *segments))
        self._writer.commit(self._manifest)


def _block(pending: _Open, kind: Kind) -> Block:
    """The rows of one kind of all images of a segment."""
    rows = [views[kind] for views in pending.views]
    counts = [len(each.vectors) for each in rows]
    return Block(
        np.concatenate([each.vectors for each in rows]),
        np.repeat(np.array(pending.ordinals, np.uint32), counts),
        np.repeat(np.array(pending.digests, np.uint64), counts),
        kind,
        np.concatenate([each.places for each in rows]),
    )

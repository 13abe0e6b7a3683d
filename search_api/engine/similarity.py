"""The visual half of the engine: the vectors of a snapshot, and the embedder of its space."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hooke.embed.base import INPUT_SIDE, Embedder, Raster, Views
from hooke.errors import BadInput, SpaceMismatch
from hooke.index import IndexDirectory
from hooke.model import Snapshot
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.vectors.base import VectorReader, VectorStore
from hooke.vectors.place import open_vectors
from hooke.views import Kind

Vectors = npt.NDArray[np.float32]
_NOTHING_LEFT = 1e-6


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """The model that a program was started with (None: the index's own); it must make the index's space."""

    model: str | None = None
    weights: Path | None = None
    device: str = "cpu"


class Visuals:
    """Opens vectors by snapshot and the embedder when an upload first needs it; safe to share between threads."""

    def __init__(
        self,
        index: IndexDirectory,
        choice: EmbedderChoice,
        cluster: ClusterSettings = DEFAULT_CLUSTER,
        vector_bytes: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._vector_bytes = vector_bytes
        self._index = index
        self._choice = choice
        self._readers_lock = threading.Lock()
        # loading and embedding take seconds, during which vectors are wanted
        self._embedder_lock = threading.Lock()
        self._readers: dict[tuple[tuple[str, ...], Kind], VectorReader] = {}
        self._embedder: Embedder | None = None

    def vectors(self, snapshot: Snapshot, kind: Kind = Kind.WHOLE) -> VectorReader:
        """The rows of a kind that a snapshot names. Raises BadInput when it has none."""
        manifest = snapshot.manifest
        if manifest.space is None:
            raise BadInput("this index holds no embedded images: index a folder of images into it first")
        with self._readers_lock:
            wanted = (manifest.segments, kind)
            if wanted not in self._readers:
                # only the newest snapshot is kept: readers of older ones hold their own reference
                kept = {key: reader for key, reader in self._readers.items() if key[0] == manifest.segments}
                self._readers = {**kept, wanted: self._store(manifest.space).read(manifest.segments, kind)}
            return self._readers[wanted]

    def _store(self, space: str) -> VectorStore:
        from hooke.embed.fingerprint import load_space

        known, _ = load_space(self._index.spaces / f"{space}.json")
        return open_vectors(self._index, known.fingerprint, self._cluster, self._vector_bytes)

    def space(self, snapshot: Snapshot) -> Mapping[str, object] | None:
        """What the snapshot's space is made of."""
        from hooke.embed.fingerprint import load_space

        if snapshot.manifest.space is None:
            return None
        space, _ = load_space(self._index.spaces / f"{snapshot.manifest.space}.json")
        return {"fingerprint": space.fingerprint, "model": space.model, "dim": space.dim, "recipe": dict(space.recipe)}

    def input_side(self, snapshot: Snapshot) -> int:
        """The side of the model's input."""
        from hooke.embed.fingerprint import load_space

        if snapshot.manifest.space is None:
            return INPUT_SIDE
        return load_space(self._index.spaces / f"{snapshot.manifest.space}.json")[0].input_side

    def tiles(self, snapshot: Snapshot) -> int:
        """The most tiles that an image has; 0 where images have none."""
        from hooke.embed.fingerprint import load_space

        if snapshot.manifest.space is None:
            return 0
        return load_space(self._index.spaces / f"{snapshot.manifest.space}.json")[0].tiles

    def embed(self, rasters: Sequence[Raster], snapshot: Snapshot) -> list[Views]:
        """The rasters' rows in the snapshot's space. Raises SpaceMismatch when this program makes another."""
        embedder = self.embedder(snapshot)
        with self._embedder_lock:
            return embedder.embed_views(rasters)

    def embedder(self, snapshot: Snapshot) -> Embedder:
        """The embedder, loaded and held against the space's golden vectors once."""
        from hooke.embed.fingerprint import differences, load_space

        with self._embedder_lock:
            if self._embedder is None:
                self._embedder = self._load(snapshot)
        if self._embedder.space.fingerprint != snapshot.manifest.space:
            known, _ = load_space(self._index.spaces / f"{snapshot.manifest.space}.json")
            raise SpaceMismatch(
                f"the index's images were embedded in space {str(snapshot.manifest.space)[:12]}, this program embeds "
                f"with {self._embedder.space.model} in space {self._embedder.space.fingerprint[:12]} "
                f"({differences(known, self._embedder.space)}): "
                "start it with the model and weights that indexed them"
            )
        return self._embedder

    def _load(self, snapshot: Snapshot) -> Embedder:
        from hooke.embed.fingerprint import check_golden, load_space
        from hooke.embed.presets import timm_name
        from hooke.embed.timm import check_name, load_embedder

        known, golden = load_space(self._index.spaces / f"{snapshot.manifest.space}.json")
        choice = self._choice
        name = timm_name(choice.model or known.model)
        if name != known.model:
            check_name(name)
            # before its weights are asked for: without a network that takes a minute to fail
            raise SpaceMismatch(
                f"the index's images were embedded in space {known.fingerprint[:12]} "
                f"(model: {known.model}, here {name}): start it with the model and weights that indexed them"
            )
        embedder = load_embedder(name, choice.weights, tiles=known.tiles, device=choice.device)
        if embedder.space.fingerprint == known.fingerprint:
            check_golden(embedder, golden)
        return embedder


def towards(like: Sequence[Vectors], unlike: Sequence[Vectors] = ()) -> Vectors:
    """One query row near the examples and away from the counter-examples: float32 (1, dim), of unit length.

    Each is the rows of one example, and counts once however many they are. Raises BadInput where nothing is left.
    Rocchio 1971, with the weights of Manning, Raghavan & Schütze 2008, §9.1.1 scaled to 1 and 0.2.
    """
    row = np.mean([_unit_mean(rows) for rows in like], axis=0)
    if unlike:
        row = row - 0.2 * np.mean([_unit_mean(rows) for rows in unlike], axis=0)
    return _unit_mean(row[np.newaxis])[np.newaxis].astype(np.float32)


def _unit_mean(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    mean: npt.NDArray[np.float64] = rows.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean)
    if length < _NOTHING_LEFT:
        raise BadInput("examples=average: these examples cancel each other out; give fewer, or examples=best")
    return mean / length

"""`hooke compact`: an index's vector segments merged, published by one commit."""

import logging
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from hooke.errors import BadInput, NoSpace
from hooke.index import existing_index
from hooke.model import Level
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import EVERYTHING, MetadataStore, MetadataWriter
from hooke.store.choose import open_store
from hooke.vectors.base import VectorStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compacted:
    """How many segments there were and are, and their bytes."""

    segments_before: int
    segments: int
    bytes_before: int
    bytes: int


def compact_index(directory: Path, cluster: ClusterSettings = DEFAULT_CLUSTER) -> Compacted:
    """Merge an index's vector segments. Killed at any point, the index answers as before or as after.

    The former segments stay for readers of the former snapshot, until the next run that writes vectors.
    Raises BadInput where the vectors are in a cluster, which merges its own.
    """
    from hooke.embed.fingerprint import load_space
    from hooke.vectors.compact import compact
    from hooke.vectors.place import open_vectors
    from hooke.vectors.segments import SegmentStore

    index = existing_index(directory)
    with closing(open_store(index, cluster)) as store, store.write() as writer:
        with store.read() as reader:
            manifest, images = reader.snapshot.manifest, reader.ordinals(Level.IMAGE, EVERYTHING)
        if manifest.space is None:
            return Compacted(0, 0, 0, 0)
        space, _ = load_space(index.spaces / f"{manifest.space}.json")
        vectors = open_vectors(index, space.fingerprint, cluster)
        if not isinstance(vectors, SegmentStore):
            raise BadInput(f"{directory} has its vectors in a cluster: Elasticsearch merges its segments itself")
        vectors.discard_except(manifest.segments)
        names = compact(vectors, manifest.segments, images)
        if names != manifest.segments:
            writer.commit(replace(manifest, segments=names))
        before, after = vectors.size_bytes(manifest.segments), vectors.size_bytes(names)
        return Compacted(len(manifest.segments), len(names), before, after)


def tidy_index(store: MetadataStore, writer: MetadataWriter, vectors: VectorStore) -> None:
    """At the end of a run, merge what many small runs left, published by one commit; a cluster merges its own."""
    from hooke.vectors.compact import tidy
    from hooke.vectors.segments import SegmentStore

    if not isinstance(vectors, SegmentStore):
        return
    with store.read() as reader:
        manifest, images = reader.snapshot.manifest, reader.ordinals(Level.IMAGE, EVERYTHING)
    try:
        names = tidy(vectors, manifest.segments, images)
    except NoSpace as exc:
        logger.warning("vector segments stay unmerged, searches of many are slower: %s", exc)
        return
    if names != manifest.segments:
        writer.commit(replace(manifest, segments=names))

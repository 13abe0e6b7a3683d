"""Indices that tests make in a cluster, and take away again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
from elasticsearch import Elasticsearch

from hooke.index import IndexDirectory
from hooke.settings import ClusterSettings
from hooke.store.choose import open_store
from hooke.store.location import Location
from hooke.vectors.base import Block, VectorReader
from hooke.vectors.place import Place, open_vectors, settle_place
from hooke.views import Kind


@contextmanager
def emptied(location: Location) -> Iterator[None]:
    """A block after which a location holds nothing."""
    try:
        yield
    finally:
        with closing(Elasticsearch(list(location.nodes))) as client:
            found = list(client.indices.get(index=f"{location.prefix}-*").body)
            if found:
                client.indices.delete(index=found)


def move_vectors(index: IndexDirectory, location: Location, settings: ClusterSettings) -> None:
    """Put an index's vectors, which are in files, into a cluster: a new snapshot names them there."""
    with closing(open_store(index, settings)) as store:
        with store.read() as reader:
            manifest = reader.snapshot.manifest
        assert manifest.space is not None
        files = open_vectors(index, manifest.space, settings)
        readers = {kind: files.read(manifest.segments, kind) for kind in Kind}
        settle_place(index, Place(location), ())
        cluster = open_vectors(index, manifest.space, settings)
        segments = tuple(cluster.append(_block(reader, kind)) for kind, reader in readers.items() if reader.dim)
        with store.write() as writer:
            writer.commit(replace(manifest, segments=segments))


def _block(reader: VectorReader, kind: Kind) -> Block:
    rows, ordinals = reader.matrix(reader.ordinals())
    known = reader.digests()
    digests = np.array([known[ordinal] for ordinal in ordinals.tolist()], np.uint64)
    places = None
    if kind is not Kind.WHOLE:
        places = np.concatenate([reader.places_of(ordinal) for ordinal in reader.ordinals()])
    return Block(rows, ordinals, digests, kind, places)

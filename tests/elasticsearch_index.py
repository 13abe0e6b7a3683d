"""Indices that tests make in a cluster, and take away again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from elasticsearch import Elasticsearch

from hooke.store.location import Location


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

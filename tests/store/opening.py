"""Stores on a server, and what the server has behind their back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx

from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.location import Location
from tests.elasticsearch_index import emptied
from tests.store.loading import SETTINGS


@contextmanager
def opened(url: str) -> Iterator[ElasticsearchStore]:
    location = Location((url,), f"loading-{uuid4().hex[:12]}")
    with (
        emptied(location),
        TemporaryDirectory() as folder,
        closing(ElasticsearchStore(Path(folder) / "metadata.sqlite", SETTINGS, location)) as store,
    ):
        yield store


def prefix_of(store: ElasticsearchStore) -> str:
    return store.location.rpartition("/")[2]


def documents(url: str, prefix: str, query: object = None, part: str = "*") -> int:
    """How many documents match, asked of the server behind the store's back."""
    httpx.post(f"{url}/{prefix}-*/_refresh", timeout=30).raise_for_status()
    asked = {"query": query or {"match_all": {}}}
    answer = httpx.post(f"{url}/{prefix}-{part}-*/_count", json=asked, timeout=30).raise_for_status().json()
    assert answer["_shards"]["failed"] == 0
    return int(answer["count"])


def writes(url: str, prefix: str) -> int:
    """How many documents the server has indexed so far, updates too."""
    answer = httpx.get(f"{url}/{prefix}-*/_stats/indexing", timeout=30).raise_for_status().json()
    return int(answer["_all"]["primaries"]["indexing"]["index_total"])

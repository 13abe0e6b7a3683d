"""ElasticsearchStore passes the whole contract on a real server."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from hooke.settings import ClusterSettings
from hooke.store.base import MetadataStore
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.location import Location
from tests.contract.metadata_store import StoreContract
from tests.elasticsearch_index import emptied


class TestElasticsearchStore(StoreContract):
    """Several shards, so that nothing is right only because all records lie together."""

    @pytest.fixture(autouse=True)
    def server(self, elasticsearch_url: str) -> None:
        self.url = elasticsearch_url

    @pytest.fixture
    def store(self, server: None) -> Iterator[MetadataStore]:
        with self.new_store() as store:
            yield store

    @contextmanager
    def new_store(self) -> Iterator[MetadataStore]:
        location = Location((self.url,), f"contract-{uuid4().hex[:12]}")
        with (
            emptied(location),
            TemporaryDirectory() as folder,
            closing(ElasticsearchStore(Path(folder) / "metadata.sqlite", ClusterSettings(shards=3), location)) as store,
        ):
            yield store

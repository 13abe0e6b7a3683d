"""An empty store on the session's server."""

from collections.abc import Iterator

import pytest

from hooke.store.elasticsearch import ElasticsearchStore
from tests.store.opening import opened


@pytest.fixture
def store(elasticsearch_url: str) -> Iterator[ElasticsearchStore]:
    with opened(elasticsearch_url) as store:
        yield store

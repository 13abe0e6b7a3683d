"""The store for more than one machine: Elasticsearch."""

from hooke.store.elasticsearch.store import ElasticsearchStore

__all__ = ["ElasticsearchStore"]

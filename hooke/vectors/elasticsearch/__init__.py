"""The vector store for more than one machine: an Elasticsearch index a space, exact or approximate by its method."""

from hooke.vectors.elasticsearch.layout import Method
from hooke.vectors.elasticsearch.store import ElasticsearchVectors

__all__ = ["ElasticsearchVectors", "Method"]

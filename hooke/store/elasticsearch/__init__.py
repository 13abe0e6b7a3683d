"""The store for more than one machine: Elasticsearch."""

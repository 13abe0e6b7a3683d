"""All behaviour of the read program, without HTTP: search, similarity, both at once, and why."""

from search_api.engine.engine import Engine
from search_api.engine.request import Filter, SearchRequest

__all__ = ["Engine", "Filter", "SearchRequest"]

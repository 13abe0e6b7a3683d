"""All behaviour of the read program, without HTTP: search, similarity, both at once, and why."""

from search_api.engine.engine import Engine, Example
from search_api.engine.similarity import EmbedderChoice

__all__ = ["EmbedderChoice", "Engine", "Example"]

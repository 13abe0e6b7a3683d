"""Embedding: pixels to unit vectors of a named space."""

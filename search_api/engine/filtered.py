"""The nearest images among those that a filter allows, by the cheaper of two ways; both give the same answer.

A filter's ordinals are fetched whole, or, where they are many and far away, the nearest images are found first and
asked about: the first k of them that the filter allows are the k nearest allowed ones.
"""

from dataclasses import dataclass
from typing import Protocol

from pyroaring import BitMap

from hooke.model import Level
from hooke.query import Among, And, Everything, Node
from hooke.store.base import MetadataReader
from hooke.vectors.base import Neighbours, Vectors

NEAREST_FIRST_ABOVE = 200_000
"""Matching images from which asking about the nearest costs a remote store less, by benchmarks/stores.py.

They are level at some ten thousand; but what was fetched is remembered, and serves every later request with the filter.
"""
_FIRST_ASKED = 100
_MOST_ASKED_ABOUT = 20_000


class Ranking(Protocol):
    """What ranks images by look: the rows of a snapshot, or those in contrast to others."""

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        ...

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None, exact: bool = False) -> Neighbours:
        """As a `VectorReader`'s."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """The images that may be found: those that match, but for the excluded; exact: whatever it takes."""

    reader: MetadataReader
    vectors: Ranking
    where: Node
    excluded: BitMap
    exact: bool = False


def nearest(pool: Pool, queries: Vectors, k: int) -> Neighbours:
    """The k images of a pool that are nearest to any query row."""
    if pool.reader.is_remote and pool.reader.count(Level.IMAGE, pool.where) > NEAREST_FIRST_ABOVE:
        found = _nearest_first(pool, queries, k)
        if found is not None:
            return found
    allowed = pool.reader.ordinals(Level.IMAGE, pool.where) - pool.excluded
    return pool.vectors.search(queries, k, allowed=allowed, exact=pool.exact)


def _nearest_first(pool: Pool, queries: Vectors, k: int) -> Neighbours | None:
    """None where too few of the nearest are allowed, too many images have no vector to say how many could be, or the
    nearest are found approximately.
    """
    reader, vectors, where = pool.reader, pool.vectors, pool.where
    live = reader.ordinals(Level.IMAGE, Everything())
    searchable = (live & vectors.ordinals()) - pool.excluded
    beside = live - searchable
    if len(beside) > _MOST_ASKED_ABOUT:
        return None
    matching = reader.count(Level.IMAGE, where)
    candidates = matching - reader.count(Level.IMAGE, _among(where, beside))
    asked = min(_MOST_ASKED_ABOUT, _FIRST_ASKED + 2 * k * len(live) // max(1, matching))
    while asked <= _MOST_ASKED_ABOUT:
        ranked = vectors.search(queries, asked, allowed=searchable, exact=pool.exact)
        if ranked.recall is not None:  # estimated for all images, of which the filter may keep those that are missed
            return None
        allowed = reader.ordinals(Level.IMAGE, _among(where, BitMap(hit.ordinal for hit in ranked.hits)))
        hits = tuple(hit for hit in ranked.hits if hit.ordinal in allowed)[:k]
        if len(hits) == k or len(ranked.hits) < asked:
            return Neighbours(hits, ranked.exact, ranked.method, candidates)
        asked *= 4
    return None


def _among(where: Node, ordinals: BitMap) -> Node:
    return And((where, Among(frozenset(ordinals))))

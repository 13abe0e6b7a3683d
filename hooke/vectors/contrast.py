"""Images near to some rows and away from others: ranked by the best of the one less the best of the other.

Of an image whose row r is nearest to query q the score is q r less the largest n r: for any one n at most (q - n) r.
What a search for the direction of q - n leaves out therefore scores no more than its length times the last similarity
found. The images of these searches, scored by definition, hold the k best once the k-th of them scores more than that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from hooke.vectors import planner
from hooke.vectors.base import Neighbour, Neighbours, Ordinals, VectorReader, Vectors
from hooke.vectors.planner import Scores
from hooke.vectors.reader import checked_queries

_FIRST_ASKED, _ASKED_A_HIT, _WIDER = 64, 4, 8
_WORTH = 4  # to ask for more than this part of all costs as much as to look at all
_IMAGES_AT_ONCE = 8_192
_ROUNDING = 2.0**-22  # of a direction to float32, of a float32 difference
_NOWHERE = 1e-6  # a shorter difference of two rows of about unit length has no direction to speak of


@dataclass(frozen=True, slots=True)
class _Direction:
    """From the nearest row not to be like to a query: its length, and a row of unit length to search with."""

    row: Vectors
    length: float

    def limit(self, found: Neighbours, asked: int) -> float:
        """What no image that such a search left out scores more than."""
        if len(found.hits) < asked:
            return -np.inf
        last = found.hits[-1].similarity
        # what is reported as 1 may be more
        return np.inf if last >= 1 else self.length * (last + _ROUNDING)


@dataclass(frozen=True, eq=False, slots=True)
class Contrast:
    """A search by the largest dot product with a query less the largest with a row of `unlike`, in [-2, 2]."""

    vectors: VectorReader
    unlike: Vectors

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        return self.vectors.ordinals()

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None, exact: bool = True) -> Neighbours:
        """As a `VectorReader`'s; exact where the reader can be, asked for or not: what is left out must be less."""
        queries = checked_queries(queries, k, self.vectors.dim)
        wanted = self.vectors.ordinals() if allowed is None else self.vectors.ordinals() & allowed
        directions = [each for query in queries if (each := self._direction(query)).length > _NOWHERE]
        least = 2 * _NOWHERE if len(directions) < len(queries) else -np.inf
        asked = _FIRST_ASKED + _ASKED_A_HIT * k
        while directions and asked * _WORTH <= len(wanted):
            found = [self.vectors.search(each.row, asked, allowed=wanted, exact=True) for each in directions]
            hits = self._best(queries, k, BitMap(hit.ordinal for each in found for hit in each.hits))
            limits = [each.limit(nearest, asked) for each, nearest in zip(directions, found, strict=True)]
            if len(hits) == k and hits[-1].similarity > max(least, *limits):
                return Neighbours(hits, all(each.exact for each in found), found[0].method, len(wanted))
            asked *= _WIDER
        hits = self._best(queries, k, self._finalists(queries, k, wanted))
        return Neighbours(hits, exact=True, method=planner.SCAN, candidates=len(wanted))

    def _direction(self, query: Vectors) -> _Direction:
        away = query.astype(np.float64) - self.unlike[np.argmax(self.unlike @ query)]
        length = float(np.linalg.norm(away))
        return _Direction((away / max(length, _NOWHERE))[np.newaxis].astype(np.float32), length)

    def _best(self, queries: Vectors, k: int, images: BitMap) -> tuple[Neighbour, ...]:
        """The k best of the images by definition: float64, ties by ordinal."""
        ordinals, scores = [np.empty(0, np.uint32)], [np.empty(0)]
        for some, rows, begins in self._blocks(images):
            every = np.arange(len(rows))
            near, far = (planner.rescore(rows, each, every) for each in (queries, self.unlike))
            ordinals.append(some)
            scores.append(np.maximum.reduceat(near, begins) - np.maximum.reduceat(far, begins))
        found, values = np.concatenate(ordinals), np.concatenate(scores)
        order = np.lexsort((found, -values))[:k]
        return tuple(Neighbour(int(found[at]), float(np.clip(values[at], -2, 2))) for at in order)

    def _finalists(self, queries: Vectors, k: int, images: BitMap) -> BitMap:
        """Those of the images that may be among the k best, of all their rows by float32."""
        ordinals: list[Ordinals] = [np.empty(0, np.uint32)]
        scores: list[Scores] = [np.empty(0, np.float32)]
        for some, rows, begins in self._blocks(images):
            near, far = ((rows @ each.T).max(axis=1) for each in (queries, self.unlike))
            ordinals.append(some)
            scores.append(np.maximum.reduceat(near, begins) - np.maximum.reduceat(far, begins))
        bound = 2 * planner.error_bound(self.vectors.dim) + _ROUNDING
        return BitMap(np.concatenate(ordinals)[planner.finalists(np.concatenate(scores), k, bound)])

    def _blocks(self, images: BitMap) -> Iterator[tuple[Ordinals, Vectors, planner.Positions]]:
        """The images by ordinal, so many at once, with their rows, and where each one's begin."""
        every = np.frombuffer(images.to_array(), dtype=np.uint32)
        for start in range(0, len(every), _IMAGES_AT_ONCE):
            rows, owners = self.vectors.matrix(BitMap(every[start : start + _IMAGES_AT_ONCE]))
            some, begins = np.unique(owners, return_index=True)
            yield some, rows, begins

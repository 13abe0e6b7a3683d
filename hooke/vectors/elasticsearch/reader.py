"""Search in a view of an index: the nearest rows, proven to be enough where the method is exact, rescored in float64.

A window is the best rows of an index by float32 dot product, for each query row. What is not in it scores no more than
its last row, so an exact window is wide enough when its last row is more than twice the float32 error below the k-th
best image: nothing outside it can then be among the k (`hooke.vectors.planner` has the bound and its source).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from hooke.errors import CorruptIndex
from hooke.vectors import planner
from hooke.vectors.base import Digests, Neighbour, Neighbours, Ordinals, Places, Vectors
from hooke.vectors.columns import Columns, joined, latest_digests, live_images
from hooke.vectors.elasticsearch.filters import images_filter, segments_filter
from hooke.vectors.elasticsearch.layout import FLAT, Method, row_ids
from hooke.vectors.elasticsearch.view import WIDEST, View
from hooke.vectors.planner import Similarities
from hooke.vectors.reader import checked_queries

_FIRST_WINDOW = 40
_WIDER = 8
# Elasticsearch gives float32 scores of 1 + x or 1 / (1 - x): three more roundings of numbers below 2.1.
_SCORE_ERROR = 2.0**-21


@dataclass(frozen=True, slots=True)
class _Window:
    """Images by ordinal, each with the best score of its rows in the window; no row outside scores over `limit`."""

    images: Ordinals
    scores: Similarities
    limit: float

    @property
    def complete(self) -> bool:
        """Whether it has every row."""
        return self.limit == -np.inf

    def kth(self, k: int) -> float:
        """The score of the k-th best image."""
        return float(np.partition(self.scores, len(self.scores) - k)[len(self.scores) - k])


class ElasticsearchReader:
    """A VectorReader over segments of one kind in a view, oldest first."""

    def __init__(self, view: View, segments: Mapping[str, Columns], *, dim: int, method: Method) -> None:
        self._view = view
        self._segments = dict(segments)
        self._dim = dim
        self._method = method
        columns = list(segments.values())
        self._live = dict(zip(segments, live_images(columns), strict=True))
        self._all = BitMap.union(BitMap(), *self._live.values())
        self._digests = latest_digests(columns)
        images = {name: each.bitmap for name, each in segments.items()}
        self._base = segments_filter(images, self._live)

    @property
    def dim(self) -> int:
        """Length of a row; 0 when there is none."""
        return self._dim

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        return self._all.copy()

    def digests(self) -> Digests:
        """The content digest of every image that has a vector, by ordinal."""
        return self._digests

    def vectors_of(self, ordinal: int) -> Vectors:
        """The rows of one image, a copy; shape (0, dim) when it has none."""
        for ids, _, _ in self._stored(BitMap([ordinal]) & self._all):
            return self._view.rows(ids)
        return np.empty((0, self._dim), dtype=np.float32)

    def places_of(self, ordinal: int) -> Places:
        """Where in the image each of its rows is."""
        for name, columns in self._segments.items():
            if ordinal in self._live[name] and (rows := columns.rows_at(ordinal)):
                return np.array(columns.places[rows])
        return np.empty((0, 0), dtype=np.uint32)

    def matrix(self, images: BitMap) -> tuple[Vectors, Ordinals]:
        """All rows of those of some images that have any, a copy, by ordinal; and the image of each row."""
        found = [(np.empty((0, self._dim), dtype=np.float32), np.empty(0, dtype=np.uint32))]
        for ids, begins, some in self._stored(images):
            found.append((self._view.rows(ids), np.repeat(some, np.diff(begins, append=len(ids)))))
        return joined(found)

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None, exact: bool = False) -> Neighbours:
        """The k images nearest to any of the query rows, among the allowed ones (None: all).

        The answer is exact always with `flat`; with a graph when all images were scored: few ones, or if `exact`.
        """
        queries = checked_queries(queries, k, self._dim)
        wanted = self._all if allowed is None else self._all & allowed
        if not wanted:
            return Neighbours((), exact=True, method=self._method, candidates=0)
        every = exact and self._method != FLAT
        window = self._everything(queries, wanted) if every else self._wide_enough(queries, wanted, k)
        ordinals, similarities = self._rescored(queries, self._finalists(window, k))
        order = np.lexsort((ordinals, -similarities))[:k]
        hits = tuple(Neighbour(int(ordinals[at]), float(np.clip(similarities[at], -1, 1))) for at in order)
        exact = self._method == FLAT or window.complete
        return Neighbours(hits, exact=exact, method=self._method, candidates=len(wanted))

    @property
    def _error(self) -> float:
        return planner.error_bound(self._dim) + _SCORE_ERROR

    def _wide_enough(self, queries: Vectors, wanted: BitMap, k: int) -> _Window:
        """A window with all that may be among the k nearest; of a graph, with k images."""
        rows = self._row_count(wanted)
        size = _FIRST_WINDOW + 2 * k
        while True:
            size = min(size, rows, WIDEST)
            window = self._window(queries, wanted, size, rows)
            if window.complete or self._suffices(window, min(k, len(wanted))):
                return window
            if size in (rows, WIDEST):
                return self._everything(queries, wanted)
            size *= _WIDER

    def _suffices(self, window: _Window, k: int) -> bool:
        if len(window.images) < k:
            return False
        return self._method != FLAT or window.limit < window.kth(k) - 2 * self._error

    def _window(self, queries: Vectors, wanted: BitMap, size: int, rows: int) -> _Window:
        keep = self._base + images_filter(wanted, self._all)
        found = [self._view.nearest(query, size, keep) for query in queries]
        fewest = min(len(scores) for _, scores in found)
        if self._method == FLAT and fewest < size:
            raise CorruptIndex(f"{fewest} of {size} rows were scored; index anew")
        images, inverse = np.unique(np.concatenate([ordinals for ordinals, _ in found]), return_inverse=True)
        scores = np.full(len(images), -np.inf)
        np.maximum.at(scores, inverse, np.concatenate([scores for _, scores in found]))
        limit = -np.inf if fewest >= rows else max((float(each.min(initial=np.inf)) for _, each in found))
        return _Window(images.astype(np.uint32), scores, limit)

    def _everything(self, queries: Vectors, wanted: BitMap) -> _Window:
        """A window of all images, in pieces that one request can give: when too many are too much alike."""
        most = max(int(np.diff(columns.starts).max()) for columns in self._segments.values())
        step = max(1, WIDEST // most)
        images = np.frombuffer(wanted.to_array(), dtype=np.uint32)
        parts = []
        for start in range(0, len(images), step):
            some = BitMap(images[start : start + step])
            rows = min(self._row_count(some), WIDEST)  # of one image with more rows than that, the best are enough
            parts.append(self._window(queries, some, rows, rows))
        return _Window(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.scores for part in parts]),
            max(part.limit for part in parts),
        )

    def _finalists(self, window: _Window, k: int) -> BitMap:
        if len(window.images) <= k:
            return BitMap(window.images)
        return BitMap(window.images[window.scores >= window.kth(k) - 2 * self._error])

    def _rescored(self, queries: Vectors, images: BitMap) -> tuple[Ordinals, Similarities]:
        """Images and their similarities by definition: float64, over all their rows."""
        ordinals, similarities = [np.empty(0, dtype=np.uint32)], [np.empty(0)]
        for ids, begins, some in self._stored(images):
            rows = self._view.rows(ids)
            scores = planner.rescore(rows, queries, np.arange(len(rows)))
            ordinals.append(some)
            similarities.append(np.maximum.reduceat(scores, begins))
        return np.concatenate(ordinals), np.concatenate(similarities)

    def _stored(self, images: BitMap) -> Iterator[tuple[list[str], planner.Positions, Ordinals]]:
        """The documents of the images' rows, segment by segment; where each image's begin; the images."""
        for name, columns in self._segments.items():
            if here := self._live[name] & images:
                positions = columns.positions(here)
                rows, begins = columns.rows_of(positions)
                yield row_ids(name, rows.tolist()), begins, columns.images[positions]

    def _row_count(self, images: BitMap) -> int:
        return sum(len(ids) for ids in self._rows_of(images))

    def _rows_of(self, images: BitMap) -> Iterator[planner.Positions]:
        for name, columns in self._segments.items():
            if here := self._live[name] & images:
                yield columns.rows_of(columns.positions(here))[0]

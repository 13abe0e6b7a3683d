"""Rows sorted into lists by the nearest of some centres, each in one bit a value (RaBitQ: Gao & Long 2024).

A search reads the lists whose centres are nearest to the query, and of them a seventh of what byte codes take. Nothing
in it bounds what it leaves out: `hooke.vectors.approximate` says how much that should be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors
from hooke.vectors.kernels import CodeRows, RaBitQ
from hooke.vectors.planner import Positions, Similarities
from hooke.vectors.workers import Workers

_PIECE_ROWS = 32_768  # read by one thread at a time; by rows, not by threads: the same answer on any machine
ListNumbers = npt.NDArray[np.int32]
Wanted = npt.NDArray[np.uint8]
"""A bit a row."""


@dataclass(frozen=True)
class Inverted:
    """The lists of some rows, which are known by number.

    centres: (lists, dim). spreads: the root mean square distance of each list's rows from its centre. begins: where
    each list begins in `rows` and `codes`, and the end. rows: their numbers, by list; codes: theirs. lists: the list of
    each row by its number.
    """

    centres: Vectors
    spreads: Similarities
    begins: Positions
    rows: Positions
    lists: ListNumbers
    codes: CodeRows

    @cached_property
    def sizes(self) -> Positions:
        """How many rows each list has."""
        return np.diff(self.begins)

    def nearest(
        self, query: Vectors, depth: int, lists: Positions, wanted: Wanted | None, workers: Workers
    ) -> tuple[Positions, Similarities]:
        """The `depth` wanted rows of some lists that are nearest by estimate, and their estimated similarities."""
        edges = np.searchsorted(np.cumsum(self.sizes[lists]), np.arange(0, self.sizes[lists].sum(), _PIECE_ROWS)[1:])
        pieces = [piece for piece in np.split(lists, np.unique(edges)) if len(piece)]
        found = workers.run([partial(self._scan, query, depth, piece, wanted) for piece in pieces])
        rows = np.concatenate([np.empty(0, np.int64), *(numbers for numbers, _ in found)])
        estimates = np.concatenate([np.empty(0), *(each for _, each in found)])
        best = np.lexsort((rows, -estimates))[:depth]
        return rows[best], estimates[best]

    def _scan(
        self, query: Vectors, depth: int, lists: Positions, wanted: Wanted | None
    ) -> tuple[Positions, Similarities]:
        ends = zip(self.begins[lists].tolist(), self.begins[lists + 1].tolist(), strict=True)
        ranges = zip(lists.tolist(), (slice(*each) for each in ends), strict=True)
        rows, distances = self._kernel.nearest(query, depth, self.codes, self.rows, ranges, wanted)
        return rows, 1 - distances.astype(np.float64) / 2  # of rows of unit length

    @cached_property
    def _kernel(self) -> RaBitQ:
        return RaBitQ(self.centres)


def sort_rows(
    centres: Vectors, blocks: Callable[[], Iterable[Vectors]], rows: int, progress: Callable[[int], None]
) -> Inverted:
    """The lists of all rows, which come in blocks, twice. progress: is told how many are done."""
    kernel = RaBitQ(centres)
    lists = np.empty(rows, dtype=np.int32)
    squares = np.zeros(len(centres))
    done = 0
    for block in blocks():
        here = slice(done, done + len(block))
        lists[here], distances = kernel.assign(block)
        squares += np.bincount(lists[here], distances, len(centres))
        done = here.stop
        progress(done // 2)
    begins = np.append(0, np.cumsum(np.bincount(lists, minlength=len(centres))))
    numbers = np.argsort(lists, kind="stable")
    places = np.empty(rows, dtype=np.int64)
    places[numbers] = np.arange(rows)
    codes = np.empty((rows, kernel.code_bytes), dtype=np.uint8)
    done = 0
    for block in blocks():
        here = slice(done, done + len(block))
        codes[places[here]] = kernel.encode(block, lists[here])
        done = here.stop
        progress((rows + done) // 2)
    spreads = np.sqrt(squares / np.maximum(np.diff(begins), 1))
    return Inverted(centres, spreads, begins, numbers, lists, codes)

"""Pending postings of one writer: gathered as arrays, sorted once, merged into the tables at a flush."""

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.store.sqlite.cells import Cell, CellTable, unpack
from hooke.store.sqlite.columns import SORTERS, dense_index, merge_columns
from hooke.store.sqlite.schema import bitmap, blob, blobs

_LOW = np.int64(0xFFFFFFFF)
Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]
"""Keys, or numbers of cells, and ordinals: two arrays of one length."""
Sorted = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Keys, ordinals, and where those of each key begin and end: one more than there are keys."""


class Postings:
    """What the records put since the last flush add to one level."""

    def __init__(self, level: int) -> None:
        self.level = level
        self._cells: dict[int, Cell] = {}
        self._numbers = array("q")
        self._ords = array("L")
        self._shared: defaultdict[int, BitMap] = defaultdict(BitMap)
        self._shared_tokens: defaultdict[int, BitMap] = defaultdict(BitMap)

    def add(self, cells: Iterable[Cell], ordinal: int) -> None:
        """One record's own cells."""
        numbers = {cell.id: cell for cell in cells}
        self._cells |= numbers
        self._numbers.extend(numbers)
        self._ords.extend([ordinal] * len(numbers))

    def __len__(self) -> int:
        """Pending pairs of a cell and an ordinal."""
        return len(self._numbers)

    def add_shared(self, cells: Iterable[Cell], ordinals: BitMap) -> None:
        """Cells that many records have alike: a study's text is added once for all its images."""
        for cell in cells:
            self._cells[cell.id] = cell
            self._shared[cell.id] |= ordinals

    def flush(self, connection: sqlite3.Connection, table: CellTable) -> None:
        """Merge everything into the database; these postings are spent."""
        self._spread_shared()
        numbers, ords = self._pairs()
        distinct, index = dense_index(numbers)
        cells = [self._cells[number] for number in distinct.tolist()]
        own = slice(len(self._numbers))
        # sorting leaves the interpreter to others: it is done beside the writing of what is sorted
        with ThreadPoolExecutor(SORTERS) as sorters:
            tokens = sorters.submit(_sorted, index[own], ords[own], [cell.keys for cell in cells])
            terms = sorters.submit(_sorted, index, ords, [cell.terms for cell in cells])
            postings = sorters.submit(_sorted, index, ords, [cell.posting for cell in cells])
            columns = sorters.submit(_by_field, index, ords, [cell.items for cell in cells])
            _write(connection, "tokens", self._token_rows(_bitmaps(tokens.result()), table), 4)
            rows = ((self.level, *unpack(key), stored) for key, stored in _bitmaps(terms.result()))
            _write(connection, "term_postings", rows, 4)
            of_cells = ((self.level, cell, stored) for cell, stored in _bitmaps(postings.result()))
            _write(connection, "cell_postings", of_cells, 3)
            merge_columns(connection, self.level, columns.result())

    def _spread_shared(self) -> None:
        for number, ordinals in self._shared.items():
            for key in self._cells[number].keys:
                self._shared_tokens[key] |= ordinals

    def _pairs(self) -> Pairs:
        """Every pair of a cell's number and an ordinal: records' own, then the shared ones."""
        shared = [(number, np.array(ordinals.to_array(), np.uint32)) for number, ordinals in self._shared.items()]
        return (
            np.concatenate([np.array(self._numbers, np.int64), *(np.full(len(o), n, np.int64) for n, o in shared)]),
            np.concatenate([np.array(self._ords, np.uint32), *(o for _, o in shared)]),
        )

    def _token_rows(
        self, bitmaps: Iterable[tuple[int, bytes]], table: CellTable
    ) -> Iterator[tuple[int, int, str, bytes]]:
        pending = dict(self._shared_tokens)
        for key, stored in bitmaps:
            shared = pending.pop(key, None)
            field, token = unpack(key)
            yield self.level, field, table.tokens[token], blob(shared | bitmap(stored)) if shared else stored
        for key, shared in pending.items():
            field, token = unpack(key)
            yield self.level, field, table.tokens[token], blob(shared)


def _sorted(index: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32], keys: Sequence[tuple[int, ...]]) -> Sorted:
    """The keys that occur, and the ordinals of each."""
    flat, counts = _flat(keys)
    distinct, dense = dense_index(flat)
    found, owners = _expand(index, ords, dense, counts)
    packed = np.sort(found << 32 | owners)
    bounds = np.flatnonzero(np.diff(packed >> 32, prepend=-1, append=-1))
    return distinct[packed[bounds[:-1]] >> 32], (packed & _LOW).astype(np.uint32), bounds


def _bitmaps(found: Sorted) -> Iterator[tuple[int, bytes]]:
    """Each key, ascending, with the stored bitmap of its ordinals."""
    keys, ordinals, bounds = found
    yield from zip(keys.tolist(), blobs(ordinals, bounds.tolist()), strict=True)


def _by_field(
    index: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32], items: Sequence[tuple[int, ...]]
) -> list[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.uint32]]]:
    """Field by field: (field, items, ordinals), every pair of an item and an ordinal that has it."""
    found, owners = _expand(index, ords, *_flat(items))
    order = np.argsort(found >> 32, kind="stable")
    fields = (found >> 32)[order]
    bounds = np.flatnonzero(np.diff(fields, prepend=-1, append=-1)).tolist()
    parts = ((int(fields[start]), order[start:stop]) for start, stop in pairwise(bounds))
    return [(field, found[rows] & _LOW, owners[rows]) for field, rows in parts]


def _flat(keys: Sequence[tuple[int, ...]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The keys of all cells one after another, and how many each has."""
    counts = np.fromiter(map(len, keys), np.int64, len(keys))
    return np.fromiter(chain.from_iterable(keys), np.int64, int(counts.sum())), counts


def _expand(
    index: npt.NDArray[np.int64],
    ords: npt.NDArray[np.uint32],
    flat: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> Pairs:
    """Replace each (place of a cell, ordinal) by all the (key, ordinal) of the cell there."""
    starts = np.cumsum(counts) - counts
    repeats = counts[index]
    first = np.repeat(starts[index] - (np.cumsum(repeats) - repeats), repeats)
    return flat[first + np.arange(len(first))], np.repeat(ords, repeats)


def _write(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]], width: int) -> None:
    marks = ", ".join("?" * width)
    connection.executemany(
        f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO UPDATE SET bitmap = bitmap_or(bitmap, excluded.bitmap)",
        rows,
    )

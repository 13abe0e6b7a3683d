"""Pending postings of one writer: gathered as arrays, sorted once, merged into the tables at a flush."""

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.store.sqlite.cells import Cell, CellTable, unpack
from hooke.store.sqlite.columns import SORTERS, Column, dense_index, merge_columns
from hooke.store.sqlite.schema import bitmap, blob, blobs

_LOW = np.int64(0xFFFFFFFF)
_INT32 = 1 << 31
_NOTHING = np.empty(0, np.int32), np.empty(0, np.uint32)
Sorted = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Keys, ordinals, and where those of each key begin and end: one more than there are keys."""


class Postings:
    """What the records put since the last flush add to one level."""

    def __init__(self, level: int) -> None:
        self.level = level
        self._cells: dict[int, Cell] = {}
        self._numbers = array("q")
        self._ords = array("L")
        self._shared: dict[int, tuple[Cell, BitMap]] = {}

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
            _, images = self._shared.setdefault(cell.id, (cell, BitMap()))
            images |= ordinals

    def flush(self, connection: sqlite3.Connection, table: CellTable) -> None:
        """Merge everything into the database; these postings are spent."""
        numbers, index = dense_index(np.array(self._numbers, np.int64))
        ords = np.array(self._ords, np.uint32)
        cells = [self._cells[number] for number in numbers.tolist()]
        shared = list(self._shared.values())
        # sorting leaves the interpreter to others: it is done beside the writing of what is sorted
        with ThreadPoolExecutor(SORTERS) as sorters:
            tokens = sorters.submit(_sorted, index, ords, [cell.keys for cell in cells])
            terms = sorters.submit(_sorted, index, ords, [cell.terms for cell in cells])
            postings = sorters.submit(_sorted, index, ords, [cell.posting for cell in cells])
            columns = sorters.submit(_by_field, index, ords, [cell.items for cell in cells])
            words = _bitmaps(tokens.result(), [(cell.keys, images) for cell, images in shared])
            split = ((*unpack(key), stored) for key, stored in words)
            rows = ((self.level, field, table.tokens[token], stored) for field, token, stored in split)
            _write(connection, "tokens", rows, 4)
            named = _bitmaps(terms.result(), [(cell.terms, images) for cell, images in shared])
            _write(connection, "term_postings", ((self.level, *unpack(key), stored) for key, stored in named), 4)
            whole = _bitmaps(postings.result(), [(cell.posting, images) for cell, images in shared])
            _write(connection, "cell_postings", ((self.level, cell, stored) for cell, stored in whole), 3)
            merge_columns(connection, self.level, _columns(columns.result(), shared))


def _sorted(index: npt.NDArray[np.int32], ords: npt.NDArray[np.uint32], keys: Sequence[tuple[int, ...]]) -> Sorted:
    """The keys that occur, and the ordinals of each."""
    flat, counts = _flat(keys)
    distinct, dense = dense_index(flat)
    places, owners = _expand(index, ords, counts)
    # in place: these arrays are the most memory that a run takes
    packed = dense[places].astype(np.int64)
    packed <<= 32
    packed |= owners
    packed.sort()
    found = (packed >> 32).astype(np.int32)
    bounds = np.flatnonzero(np.diff(found, prepend=-1, append=-1))
    return distinct[found[bounds[:-1]]], packed.astype(np.uint32), bounds


def _bitmaps(found: Sorted, shared: Iterable[tuple[tuple[int, ...], BitMap]]) -> Iterator[tuple[int, bytes]]:
    """Each key with the stored bitmap of its ordinals: those found, and those of keys that many records share."""
    alike: defaultdict[int, BitMap] = defaultdict(BitMap)
    for shared_keys, images in shared:
        for key in shared_keys:
            alike[key] |= images
    keys, ordinals, bounds = found
    for key, stored in zip(keys.tolist(), blobs(ordinals, bounds.tolist()), strict=True):
        more = alike.pop(key, None)
        yield key, blob(more | bitmap(stored)) if more else stored
    for key, images in alike.items():
        yield key, blob(images)


def _by_field(
    index: npt.NDArray[np.int32], ords: npt.NDArray[np.uint32], items: Sequence[tuple[int, ...]]
) -> dict[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]]:
    """By field: items and ordinals, every pair of an item and an ordinal that has it."""
    flat, counts = _flat(items)
    fields, dense = dense_index(flat >> 32)
    places, owners = _expand(index, ords, counts)
    # as few bytes as there are fields: those of one and two are sorted by radix
    of_fields = dense.astype(np.min_scalar_type(len(fields)))[places]
    order = np.argsort(of_fields, kind="stable")
    bounds = np.searchsorted(of_fields, np.arange(len(fields) + 1), sorter=order).tolist()
    low = (flat & _LOW).astype(np.int32)
    parts = ((field, order[start:stop]) for field, (start, stop) in zip(fields.tolist(), pairwise(bounds), strict=True))
    return {field: (low[places[rows]], owners[rows]) for field, rows in parts}


def _columns(
    own: Mapping[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]], shared: Iterable[tuple[Cell, BitMap]]
) -> list[Column]:
    alike: defaultdict[int, list[tuple[int, BitMap]]] = defaultdict(list)
    for cell, images in shared:
        for field, item in map(unpack, cell.items):
            alike[field].append((item, images))
    return [Column(field, *own.get(field, _NOTHING), alike[field]) for field in sorted(own.keys() | alike.keys())]


def _flat(keys: Sequence[tuple[int, ...]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The keys of all cells one after another, and how many each has."""
    counts = np.fromiter(map(len, keys), np.int64, len(keys))
    return np.fromiter(chain.from_iterable(keys), np.int64, int(counts.sum())), counts


def _expand(
    index: npt.NDArray[np.int32], ords: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.signedinteger[Any]], npt.NDArray[np.uint32]]:
    """Replace each (place of a cell, ordinal) by all the (place of a key among those of all cells, ordinal)."""
    ends, repeats = np.cumsum(counts), counts[index]
    shift = ends[index] - np.cumsum(repeats)
    size = int(repeats.sum())
    number: type[np.signedinteger[Any]] = np.int32 if size + int(counts.sum()) < _INT32 else np.int64
    places = np.arange(size, dtype=number)
    places += np.repeat(shift.astype(number), repeats)
    return places, np.repeat(ords, repeats)


def _write(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]], width: int) -> None:
    marks = ", ".join("?" * width)
    connection.executemany(
        f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO UPDATE SET bitmap = bitmap_or(bitmap, excluded.bitmap)",
        rows,
    )

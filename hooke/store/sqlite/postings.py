"""Pending postings of one writer: gathered as arrays, sorted once, merged into the tables at a flush."""

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.store.sqlite.cells import Cell, CellTable, unpack
from hooke.store.sqlite.columns import dense_index, merge_columns
from hooke.store.sqlite.schema import blob

_LOW = np.int64(0xFFFFFFFF)


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
        numbers = np.array(self._numbers, np.int64)
        ords = np.array(self._ords, np.uint32)
        self._spread_shared()
        _write(connection, "tokens", self._token_rows(numbers, ords, table), 4)
        all_numbers, all_ords = self._with_shared(numbers, ords)
        _write(connection, "term_postings", self._term_rows(all_numbers, all_ords), 4)
        _write(connection, "cell_postings", self._cell_rows(all_numbers, all_ords), 3)
        merge_columns(connection, self.level, self._items(all_numbers, all_ords))

    def _spread_shared(self) -> None:
        for number, ordinals in self._shared.items():
            for key in self._cells[number].keys:
                self._shared_tokens[key] |= ordinals

    def _with_shared(
        self, numbers: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        shared = [(number, np.array(ordinals.to_array(), np.uint32)) for number, ordinals in self._shared.items()]
        return (
            np.concatenate([numbers, *(np.full(len(o), number, np.int64) for number, o in shared)]),
            np.concatenate([ords, *(o for _, o in shared)]),
        )

    def _token_rows(
        self, numbers: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32], table: CellTable
    ) -> Iterator[tuple[int, int, str, bytes]]:
        keys, cell_index = self._per_cell(numbers, lambda cell: cell.keys)
        dense, key_index = dense_index(keys[0])
        pair_keys, pair_ords = _expand(cell_index, ords, key_index, keys[1])
        pending = dict(self._shared_tokens)
        for code, ordinals in _groups(pair_keys, pair_ords):
            key = int(dense[code])
            shared = pending.pop(key, None)
            stored = blob(BitMap(ordinals)) if shared is None else blob(shared | BitMap(ordinals))
            field, token = unpack(key)
            yield self.level, field, table.tokens[token], stored
        for key, bitmap in pending.items():
            field, token = unpack(key)
            yield self.level, field, table.tokens[token], blob(bitmap)

    def _term_rows(
        self, numbers: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]
    ) -> Iterator[tuple[int, int, int, bytes]]:
        for key, ordinals in self._by_key(numbers, ords, lambda cell: cell.terms):
            yield self.level, *unpack(key), blob(BitMap(ordinals))

    def _cell_rows(
        self, numbers: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]
    ) -> Iterator[tuple[int, int, bytes]]:
        for cell, ordinals in self._by_key(numbers, ords, lambda cell: cell.posting):
            yield self.level, cell, blob(BitMap(ordinals))

    def _items(
        self, numbers: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.uint32]]]:
        """Field by field: (field, items, ordinals), every pair of an item and an ordinal that has it."""
        packed, cell_index = self._per_cell(numbers, lambda cell: cell.items)
        pair_keys, pair_ords = _expand(cell_index, ords, packed[0], packed[1])
        order = np.argsort(pair_keys >> 32, kind="stable")
        fields = (pair_keys >> 32)[order]
        bounds = np.flatnonzero(np.diff(fields, prepend=-1, append=-1)).tolist()
        for start, stop in pairwise(bounds):
            rows = order[start:stop]
            yield int(fields[start]), pair_keys[rows] & _LOW, pair_ords[rows]

    def _by_key(
        self,
        numbers: npt.NDArray[np.int64],
        ords: npt.NDArray[np.uint32],
        keys_of: Callable[[Cell], tuple[int, ...]],
    ) -> Iterator[tuple[int, npt.NDArray[np.uint32]]]:
        packed, cell_index = self._per_cell(numbers, keys_of)
        dense, key_index = dense_index(packed[0])
        pair_keys, pair_ords = _expand(cell_index, ords, key_index, packed[1])
        for code, ordinals in _groups(pair_keys, pair_ords):
            yield int(dense[code]), ordinals

    def _per_cell(
        self, numbers: npt.NDArray[np.int64], keys_of: Callable[[Cell], tuple[int, ...]]
    ) -> tuple[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
        """The keys of the distinct cells as (flat keys, their count per cell), and each pair's index of its cell."""
        distinct, index = dense_index(numbers)
        lists = [keys_of(self._cells[number]) for number in distinct.tolist()]
        counts = np.fromiter((len(keys) for keys in lists), np.int64, len(lists))
        flat = np.fromiter(chain.from_iterable(lists), np.int64, int(counts.sum()))
        return (flat, counts), index


def _expand(
    index: npt.NDArray[np.int64],
    ords: npt.NDArray[np.uint32],
    flat: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Replace each (cell, ordinal) by all the (key, ordinal) of the cell's keys."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(counts) else counts
    repeats = counts[index]
    first = np.repeat(starts[index] - np.concatenate([[0], np.cumsum(repeats)[:-1]]).astype(np.int64), repeats)
    return flat[first + np.arange(len(first))], np.repeat(ords, repeats)


def _groups(keys: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]) -> Iterator[tuple[int, npt.NDArray[np.uint32]]]:
    """Each dense key with its sorted ordinals."""
    packed = np.sort(keys << 32 | ords)
    codes, sorted_ords = packed >> 32, (packed & _LOW).astype(np.uint32)
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=-1)).tolist()
    heads = codes[bounds[:-1]].tolist()
    for code, start, stop in zip(heads, bounds, bounds[1:], strict=False):
        yield code, sorted_ords[start:stop]


def _write(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]], width: int) -> None:
    marks = ", ".join("?" * width)
    connection.executemany(
        f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO UPDATE SET bitmap = bitmap_or(bitmap, excluded.bitmap)",
        rows,
    )

"""Columns: for each field the set of values that each record has, as one code per ordinal."""

import sqlite3
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

_Integer = TypeVar("_Integer", np.int32, np.int64)
_LOW = np.int64(0xFFFFFFFF)

FieldItems = Iterable[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.uint32]]]


def merge_columns(connection: sqlite3.Connection, level: int, fields: FieldItems) -> None:
    """Set the value sets of some records, field by field; the records had none in those fields before."""
    sets = SetTable(connection)
    for field, items, ords in fields:
        new_ords, codes = sets.codes(field, items, ords)
        old_ords, old_codes = read_column(connection, level, field)
        write_column(connection, level, field, np.concatenate([old_ords, new_ords]), np.concatenate([old_codes, codes]))


def drop_from_columns(connection: sqlite3.Connection, level: int, fields: Iterable[int], ordinals: BitMap) -> None:
    """Take records out of columns, before they are put anew."""
    gone = np.array(ordinals.to_array(), np.uint32)
    for field in fields:
        ords, codes = read_column(connection, level, field)
        keep = ~np.isin(ords, gone)
        write_column(connection, level, field, ords[keep], codes[keep])


def read_column(
    connection: sqlite3.Connection, level: int, field: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """A field's ordinals and the set each of them has; both empty when no record has the field."""
    row = connection.execute("SELECT ords, codes FROM columns WHERE level = ? AND field = ?", (level, field)).fetchone()
    ords, codes = row or (b"", b"")
    return np.frombuffer(ords, "<u4").astype(np.uint32), np.frombuffer(codes, "<i4").astype(np.int32)


def write_column(
    connection: sqlite3.Connection,
    level: int,
    field: int,
    ords: npt.NDArray[np.uint32],
    codes: npt.NDArray[np.int32],
) -> None:
    """Store a column, its ordinals ascending."""
    order = np.argsort(ords, kind="stable")
    connection.execute(
        "INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?)",
        (level, field, ords[order].astype("<u4").tobytes(), codes[order].astype("<i4").tobytes()),
    )


class SetTable:
    """Numbers for sets of items, one space for all fields."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def codes(
        self, field: int, items: npt.NDArray[np.int64], ords: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
        """Each ordinal once, ascending, with the number of its set."""
        packed = _sorted_set(ords.astype(np.int64) << 32 | items)
        owners, held = packed >> 32, (packed & _LOW).astype("<i4")
        bounds = np.flatnonzero(np.diff(owners, prepend=-1, append=-1))
        starts, sizes = bounds[:-1], np.diff(bounds)
        codes = np.empty(len(starts), np.int32)
        numbers = self._numbers_of(field)
        self._single(numbers, held[starts[sizes == 1]], codes, sizes == 1)
        for row in np.flatnonzero(sizes > 1).tolist():
            codes[row] = numbers[held[starts[row] : starts[row] + sizes[row]].tobytes()]
        self._save(field, numbers)
        return owners[starts].astype(np.uint32), codes

    def _single(
        self,
        numbers: "_Numbers",
        items: npt.NDArray[np.int32],
        codes: npt.NDArray[np.int32],
        rows: npt.NDArray[np.bool_],
    ) -> None:
        distinct, index = dense_index(items)
        codes[rows] = np.array([numbers[item.tobytes()] for item in distinct.astype("<i4")], np.int32)[index]

    def _numbers_of(self, field: int) -> "_Numbers":
        known = self._connection.execute("SELECT items, id FROM sets WHERE field = ?", (field,))
        following = self._connection.execute("SELECT coalesce(max(id), 0) + 1 FROM sets").fetchone()[0]
        return _Numbers(known, following)

    def _save(self, field: int, numbers: "_Numbers") -> None:
        self._connection.executemany(
            "INSERT INTO sets (id, field, items) VALUES (?, ?, ?)",
            ((number, field, items) for items, number in numbers.new.items()),
        )


class _Numbers(dict[bytes, int]):
    """The numbers of a field's sets; a set that has none gets the next one."""

    def __init__(self, known: Iterable[tuple[bytes, int]], following: int) -> None:
        super().__init__(known)
        self.new: dict[bytes, int] = {}
        self._following = following

    def __missing__(self, items: bytes) -> int:
        number = self[items] = self.new[items] = self._following + len(self.new)
        return number


def _sorted_set(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    # np.unique hashes here, which takes four times as long as sorting when most values differ
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[0] - 1) != 0] if len(ordered) else ordered


def dense_index(values: npt.NDArray[_Integer]) -> tuple[npt.NDArray[_Integer], npt.NDArray[np.int64]]:
    """The distinct values, ascending, and for each value the index of it among them."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.ones(len(values), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    index = np.empty(len(values), np.int64)
    index[order] = np.cumsum(first) - 1
    return ordered[first], index

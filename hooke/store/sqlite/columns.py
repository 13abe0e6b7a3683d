"""Columns: for each field the set of values that each record has, as one code per ordinal."""

import sqlite3
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

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
        packed = np.unique(ords.astype(np.int64) << 32 | items)
        owners, held = packed >> 32, (packed & _LOW).astype("<i4")
        bounds = np.flatnonzero(np.diff(owners, prepend=-1, append=-1))
        starts, sizes = bounds[:-1], np.diff(bounds)
        codes = np.empty(len(starts), np.int32)
        self._single(field, held[starts[sizes == 1]], codes, sizes == 1)
        seen: dict[bytes, int] = {}
        for row in np.flatnonzero(sizes > 1).tolist():
            key = held[starts[row] : starts[row] + sizes[row]].tobytes()
            number = seen.get(key)
            if number is None:
                number = seen[key] = self._number(field, key)
            codes[row] = number
        return owners[starts].astype(np.uint32), codes

    def _single(
        self, field: int, items: npt.NDArray[np.int32], codes: npt.NDArray[np.int32], rows: npt.NDArray[np.bool_]
    ) -> None:
        distinct, index = np.unique(items, return_inverse=True)
        numbers = [self._number(field, item.tobytes()) for item in distinct.astype("<i4")]
        codes[rows] = np.array(numbers, np.int32)[index]

    def _number(self, field: int, items: bytes) -> int:
        row = self._connection.execute("SELECT id FROM sets WHERE field = ? AND items = ?", (field, items)).fetchone()
        if row:
            return int(row[0])
        cursor = self._connection.execute("INSERT INTO sets (field, items) VALUES (?, ?)", (field, items))
        return int(cursor.lastrowid or 0)

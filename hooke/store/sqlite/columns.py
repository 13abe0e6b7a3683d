"""Columns: for each field what each record has, an item or a set of them, as one code an ordinal, in chunks of these.

A flush rewrites the chunks of its own records only. What a study's images inherit alike is one long run of one code,
which packs to nearly nothing.
"""

import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.model import Level
from hooke.store.sqlite.schema import ANY_FIELD, LEVEL_CODE, bitmap, blob

_Integer = TypeVar("_Integer", np.int32, np.int64)
_CHUNK_BITS = 16
SORTERS = 2
"""Threads that sort what is to be written."""
_IMAGES = LEVEL_CODE[Level.IMAGE]


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """What some records get in one field: items and ordinals, pair by pair, and items that many records get alike."""

    field: int
    items: npt.NDArray[np.int32]
    ordinals: npt.NDArray[np.uint32]
    shared: Sequence[tuple[int, BitMap]] = ()


def merge_columns(connection: sqlite3.Connection, level: int, columns: Sequence[Column]) -> None:
    """Set the value sets of some records, field by field; the records had none in those fields before."""
    sets = SetTable(connection)
    with ThreadPoolExecutor(SORTERS) as sorters:
        for field, held in zip([c.field for c in columns], sorters.map(_held, columns), strict=True):
            new_ords, codes = sets.codes(field, held)
            for chunk, part in _chunks(new_ords):
                old_ords, old_codes = _read_chunk(connection, level, field, chunk)
                ordinals, every = np.concatenate([old_ords, new_ords[part]]), np.concatenate([old_codes, codes[part]])
                order = np.argsort(ordinals, kind="stable")
                _write_chunk(connection, level, field, chunk, ordinals[order], every[order])


def drop_from_columns(connection: sqlite3.Connection, level: int, fields: Iterable[int], ordinals: BitMap) -> None:
    """Take records out of columns, before they are put anew."""
    gone = np.array(ordinals.to_array(), np.uint32)
    for field, (chunk, part) in product(fields, list(_chunks(gone))):
        ords, codes = _read_chunk(connection, level, field, chunk)
        keep = ~np.isin(ords, gone[part])
        _write_chunk(connection, level, field, chunk, ords[keep], codes[keep])


def read_column(
    connection: sqlite3.Connection, level: int, field: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """A field's ordinals, ascending, and the set each of them has; both empty when no record has the field."""
    rows = connection.execute(
        "SELECT ords, codes FROM columns WHERE level = ? AND field = ? ORDER BY chunk", (level, field)
    )
    read = [_decoded(ords, codes) for ords, codes in rows]
    return (
        np.concatenate([np.empty(0, np.uint32), *(ords for ords, _ in read)]),
        np.concatenate([np.empty(0, np.int32), *(codes for _, codes in read)]),
    )


def set_owners(connection: sqlite3.Connection, images: Mapping[int, BitMap]) -> None:
    """Say which studies some images belong to, which had none before."""
    nothing = np.empty(0, np.int32), np.empty(0, np.uint32)
    merge_columns(connection, _IMAGES, [Column(ANY_FIELD, *nothing, list(images.items()))])


def read_owners(connection: sqlite3.Connection) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The live images, ascending, and the study of each."""
    ordinals, owners = read_column(connection, _IMAGES, ANY_FIELD)
    return ordinals, owners.astype(np.uint32)


def images_of(connection: sqlite3.Connection, studies: Collection[int]) -> list[int]:
    """The live images of studies, nothing of them pending."""
    if not studies:
        return []
    ordinals, owners = read_owners(connection)
    found: list[int] = ordinals[np.isin(owners, list(studies))].tolist()
    return found


def _chunks(ordinals: npt.NDArray[np.uint32]) -> Iterator[tuple[int, slice]]:
    """The chunks that ascending ordinals are in, and which of them are in each."""
    chunks = ordinals >> _CHUNK_BITS
    bounds = np.flatnonzero(np.diff(chunks.astype(np.int64), prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(bounds):
        yield int(chunks[start]), slice(start, stop)


def _read_chunk(
    connection: sqlite3.Connection, level: int, field: int, chunk: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    row = connection.execute(
        "SELECT ords, codes FROM columns WHERE level = ? AND field = ? AND chunk = ?", (level, field, chunk)
    ).fetchone()
    return _decoded(*row) if row else (np.empty(0, np.uint32), np.empty(0, np.int32))


def _decoded(ords: bytes, codes: bytes) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    return np.array(bitmap(ords).to_array(), np.uint32), np.frombuffer(zlib.decompress(codes), "<i4").astype(np.int32)


def _write_chunk(
    connection: sqlite3.Connection,
    level: int,
    field: int,
    chunk: int,
    ords: npt.NDArray[np.uint32],
    codes: npt.NDArray[np.int32],
) -> None:
    """Store a chunk, its ordinals ascending; an empty one goes."""
    if len(ords):
        stored = blob(BitMap(ords)), zlib.compress(codes.astype("<i4").tobytes(), 1), len(ords)
        connection.execute("INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?, ?)", (level, field, chunk, *stored))
    else:
        connection.execute("DELETE FROM columns WHERE level = ? AND field = ? AND chunk = ?", (level, field, chunk))


def read_sets(connection: sqlite3.Connection, field: int, codes: Iterable[int]) -> list[list[int]]:
    """The items that each code of a field stands for."""
    stored = dict(connection.execute("SELECT id, items FROM sets WHERE field = ?", (field,)))
    return [[code] if code >= 0 else np.frombuffer(stored[~code], "<i4").tolist() for code in codes]


class SetTable:
    """Codes for sets of items; those of two and more are numbered, in one space for all fields."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def codes(self, field: int, held: "_Held") -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
        """Each ordinal once, ascending, with the code of what it has."""
        codes = held.items[held.bounds[:-1]].astype(np.int32)
        several = np.flatnonzero(np.diff(held.bounds) > 1)
        if len(several):
            numbers, packed = self._numbers_of(field), held.items.tobytes()
            starts, ends = 4 * held.bounds[several], 4 * held.bounds[several + 1]
            codes[several] = [~numbers[packed[a:b]] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            self._save(field, numbers)
        return held.ordinals, codes

    def _numbers_of(self, field: int) -> "_Numbers":
        known = self._connection.execute("SELECT items, id FROM sets WHERE field = ?", (field,))
        following = self._connection.execute("SELECT coalesce(max(id), 0) + 1 FROM sets").fetchone()[0]
        return _Numbers(known, following)

    def _save(self, field: int, numbers: "_Numbers") -> None:
        self._connection.executemany(
            "INSERT INTO sets (id, field, items) VALUES (?, ?, ?)",
            ((number, field, items) for items, number in numbers.new.items()),
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Held:
    """What records have: ordinals, ascending, and of each the items `items[bounds[i] : bounds[i + 1]]`, ascending."""

    ordinals: npt.NDArray[np.uint32]
    items: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]


def _held(column: Column) -> _Held:
    alike = (_packed(item, np.array(images.to_array(), np.uint32)) for item, images in column.shared)
    packed = _sorted_set(np.concatenate([_packed(column.items, column.ordinals), *alike]))
    owners = packed >> 32
    bounds = np.flatnonzero(np.diff(owners, prepend=-1, append=-1))
    return _Held(owners[bounds[:-1]].astype(np.uint32), packed.astype("<i4"), bounds)


class _Numbers(dict[bytes, int]):
    """The numbers of a field's sets; one that has none gets the next."""

    def __init__(self, known: Iterable[tuple[bytes, int]], following: int) -> None:
        super().__init__(known)
        self.new: dict[bytes, int] = {}
        self._following = following

    def __missing__(self, items: bytes) -> int:
        number = self[items] = self.new[items] = self._following + len(self.new)
        return number


def _packed(items: npt.NDArray[np.int32] | int, ordinals: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    packed = ordinals.astype(np.int64)
    packed <<= 32
    packed |= items
    return packed


def _sorted_set(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    # np.unique hashes here, which takes four times as long as sorting when most values differ
    values.sort()
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values if first.all() else values[first]


def dense_index(values: npt.NDArray[_Integer]) -> tuple[npt.NDArray[_Integer], npt.NDArray[np.int32]]:
    """The distinct values, ascending, and for each value the index of it among them."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.ones(len(values), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    index = np.empty(len(values), np.int32)
    index[order] = np.cumsum(first) - 1
    return ordered[first], index

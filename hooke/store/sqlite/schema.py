"""Tables, and bitmaps as they are stored."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.model import Level
from hooke.store import database, worklist

ANY_FIELD = 0
EMPTY_BYTES = 8
"""The stored size of a bitmap without ordinals; any other is of another size."""
LEVEL_CODE = {Level.STUDY: 0, Level.IMAGE: 1}

_TABLES = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY, created TEXT NOT NULL, ontologies TEXT NOT NULL, segments TEXT NOT NULL, space TEXT
);
CREATE TABLE fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
-- ids, mentions: null where there are none; ids: an object where a spreadsheet counted them up
-- canon: the first cell of the field with this folded text, null in itself
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, field INTEGER NOT NULL, text TEXT NOT NULL, ids TEXT, mentions TEXT, canon INTEGER
);
CREATE INDEX cells_canon ON cells (canon) WHERE canon IS NOT NULL;
CREATE INDEX cells_mentions ON cells (id) WHERE mentions IS NOT NULL;
-- folded: a digest of the text
CREATE TABLE canons (
    field INTEGER, folded BLOB, cell INTEGER NOT NULL, PRIMARY KEY (field, folded)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE cell_words USING fts5 (words, content='', columnsize=0, tokenize="unicode61 remove_diacritics 0");
CREATE TABLE studies (
    ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, origins TEXT NOT NULL,
    datasets TEXT NOT NULL, cells BLOB NOT NULL, live INTEGER NOT NULL
);
CREATE TABLE images (
    ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, study INTEGER NOT NULL, dataset TEXT, title TEXT NOT NULL,
    cells BLOB NOT NULL, pixels TEXT, live INTEGER NOT NULL, part INTEGER NOT NULL
);
CREATE INDEX images_part ON images (part);
CREATE TABLE part_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE live (level INTEGER PRIMARY KEY, bitmap BLOB NOT NULL);
-- field: ~field for the words of prose that images inherit
CREATE TABLE tokens (
    level INTEGER, field INTEGER, token TEXT, bitmap BLOB NOT NULL, PRIMARY KEY (level, token, field)
) WITHOUT ROWID;
CREATE TABLE term_postings (
    level INTEGER, field INTEGER, term INTEGER, bitmap BLOB NOT NULL, PRIMARY KEY (level, field, term)
) WITHOUT ROWID;
-- values that no column names, and those with a term; and prose, whose inherited values have the number ~cell
CREATE TABLE cell_postings (
    level INTEGER, cell INTEGER, bitmap BLOB NOT NULL, PRIMARY KEY (level, cell)
) WITHOUT ROWID;
-- of 65,536 ordinals; ords: a bitmap; codes: int32, packed by zlib; records: how many they are
-- a code is an item that is all a record has, or below zero and ~code the number of a set
-- an item: even = cell * 2 (a value without a term), odd = term * 2 + 1; field 0 of images has their studies' ordinals
CREATE TABLE columns (
    level INTEGER, field INTEGER, chunk INTEGER, ords BLOB NOT NULL, codes BLOB NOT NULL, records INTEGER NOT NULL,
    PRIMARY KEY (level, field, chunk)
) WITHOUT ROWID;
-- of two items or more: int32
CREATE TABLE sets (id INTEGER PRIMARY KEY, field INTEGER NOT NULL, items BLOB NOT NULL);
CREATE INDEX sets_field ON sets (field);
"""


_SCHEMA = database.Schema(application=database.EMBEDDED, version=4, tables=_TABLES + worklist.TABLES)


def handed_down(number: int) -> int:
    """The number under which prose that images inherit is posted: a field's for its words, a cell's for the whole.

    So what they say themselves is known from it; `~` in SQL.
    """
    return ~number


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, creating its tables when it is new."""
    connection = database.connect(path, _SCHEMA)
    connection.create_function("bitmap_or", 2, _or, deterministic=True)
    connection.create_function("bitmap_andnot", 2, _andnot, deterministic=True)
    return connection


def bitmap(blob: bytes) -> BitMap:
    """Read a stored bitmap; four bytes are a single ordinal, which is what most tokens have."""
    return BitMap([int.from_bytes(blob, "little")]) if len(blob) == 4 else BitMap.deserialize(blob)


def blob(ordinals: BitMap) -> bytes:
    """The stored form of a bitmap."""
    if len(ordinals) == 1:
        return int(ordinals[0]).to_bytes(4, "little")
    ordinals.run_optimize()
    return bytes(ordinals.serialize())


def blobs(ordinals: npt.NDArray[np.uint32], bounds: Sequence[int]) -> Iterator[bytes]:
    """The stored bitmaps of `ordinals[bounds[i] : bounds[i + 1]]`, which ascend; made by the million."""
    packed = ordinals.astype("<u4").tobytes()
    for start, stop in pairwise(bounds):
        yield packed[4 * start : 4 * stop] if stop == start + 1 else blob(BitMap(ordinals[start:stop]))


def _or(old: bytes, new: bytes) -> bytes:
    return blob(bitmap(old) | bitmap(new))


def _andnot(old: bytes, gone: bytes) -> bytes:
    return blob(bitmap(old) - bitmap(gone))

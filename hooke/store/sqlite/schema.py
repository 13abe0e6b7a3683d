"""Tables, connections, and how driver errors become Hooke's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroaring import BitMap

from hooke.errors import BackendUnavailable, CorruptIndex, HookeError, IndexLocked, NoSpace
from hooke.model import Level

VERSION = 1
ANY_FIELD = 0
LEVEL_CODE = {Level.STUDY: 0, Level.IMAGE: 1}

_TABLES = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY, created TEXT NOT NULL, ontologies TEXT NOT NULL, segments TEXT NOT NULL, space TEXT
);
CREATE TABLE fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
-- canon: the first cell of the field with the same folded text; digest: of the whole value with its mentions
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, field INTEGER NOT NULL, text TEXT NOT NULL, ids TEXT NOT NULL, mentions TEXT NOT NULL,
    canon INTEGER NOT NULL, folded BLOB NOT NULL, digest BLOB NOT NULL UNIQUE
);
CREATE INDEX cells_folded ON cells (field, folded);
CREATE VIRTUAL TABLE cell_words USING fts5 (words, content='', tokenize="unicode61 remove_diacritics 0");
CREATE TABLE studies (
    ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, origins TEXT NOT NULL,
    datasets TEXT NOT NULL, cells BLOB NOT NULL, live INTEGER NOT NULL
);
CREATE TABLE images (
    ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, study INTEGER NOT NULL, dataset TEXT, title TEXT NOT NULL,
    cells BLOB NOT NULL, pixels TEXT, live INTEGER NOT NULL, part INTEGER NOT NULL
);
CREATE INDEX images_study ON images (study);
CREATE INDEX images_part ON images (part);
CREATE TABLE part_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE live (level INTEGER PRIMARY KEY, bitmap BLOB NOT NULL);
CREATE TABLE tokens (
    level INTEGER, field INTEGER, token TEXT, bitmap BLOB NOT NULL, PRIMARY KEY (level, field, token)
) WITHOUT ROWID;
CREATE TABLE term_postings (
    level INTEGER, field INTEGER, term INTEGER, bitmap BLOB NOT NULL, PRIMARY KEY (level, field, term)
) WITHOUT ROWID;
-- values that no column names: prose, and values with a term
CREATE TABLE cell_postings (
    level INTEGER, cell INTEGER, bitmap BLOB NOT NULL, PRIMARY KEY (level, cell)
) WITHOUT ROWID;
CREATE TABLE columns (
    level INTEGER, field INTEGER, ords BLOB NOT NULL, codes BLOB NOT NULL, PRIMARY KEY (level, field)
) WITHOUT ROWID;
-- items: int32, even = cell * 2 (a value without a term), odd = term * 2 + 1
CREATE TABLE sets (id INTEGER PRIMARY KEY, field INTEGER NOT NULL, items BLOB NOT NULL, UNIQUE (field, items));
CREATE TABLE unresolved (
    part TEXT NOT NULL, field TEXT NOT NULL, text TEXT NOT NULL, ids TEXT NOT NULL, reason TEXT NOT NULL,
    candidates TEXT NOT NULL, records INTEGER NOT NULL
);
CREATE INDEX unresolved_part ON unresolved (part);
CREATE TABLE parts (part TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, creating its tables when it is new."""
    with driver_errors(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")
        connection.create_function("bitmap_or", 2, _or, deterministic=True)
        connection.create_function("bitmap_andnot", 2, _andnot, deterministic=True)
        _check_version(connection, path)
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == 0:
        # one transaction: two processes opening a new index at once must not both create it
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    elif found != VERSION:
        raise CorruptIndex(
            f"{path} has schema version {found}, this Hooke reads {VERSION}: index again into a new directory"
        )


@contextmanager
def driver_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Hooke's, naming the file."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise _operational(exc, path) from exc
    except sqlite3.DatabaseError as exc:
        raise CorruptIndex(f"{path} cannot be read as an index ({exc}): restore a copy or index again") from exc


def _operational(exc: sqlite3.OperationalError, path: Path) -> HookeError:
    text = str(exc)
    if "full" in text:
        return NoSpace(f"no space left to write {path}: free some and run the same command again")
    if "locked" in text:
        return IndexLocked(f"{path} is locked by another process: wait for it to finish")
    return BackendUnavailable(f"{path} cannot be used ({text}): check the path and its permissions")


def bitmap(blob: bytes) -> BitMap:
    """Read a stored bitmap; four bytes are a single ordinal, which is what most tokens have."""
    return BitMap([int.from_bytes(blob, "little")]) if len(blob) == 4 else BitMap.deserialize(blob)


def blob(ordinals: BitMap) -> bytes:
    """The stored form of a bitmap."""
    if len(ordinals) == 1:
        return int(ordinals[0]).to_bytes(4, "little")
    ordinals.run_optimize()
    return bytes(ordinals.serialize())


def _or(old: bytes, new: bytes) -> bytes:
    return blob(bitmap(old) | bitmap(new))


def _andnot(old: bytes, gone: bytes) -> bytes:
    return blob(bitmap(old) - bitmap(gone))

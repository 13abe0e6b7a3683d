"""SQLite files: opened with their tables, locked by their one writer, and their errors made Hooke's."""

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hooke.errors import BackendUnavailable, CorruptIndex, HookeError, IndexLocked, NoSpace

EMBEDDED, LEDGER = 0, 0x486B4573
"""Kinds of files (SQLite's application_id): one with records in it, one that says where they are ("HkEs")."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file holds: `application` tells one kind from another (SQLite's application_id), `version` its state."""

    application: int
    version: int
    tables: str


def connect(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open the file, creating its tables when it is new. Raises CorruptIndex for another kind or version."""
    with driver_errors(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")
        _check(connection, path, schema)
    return connection


class Readers:
    """Connections to a file, each for one reader at a time; they are kept, since opening one reads the schema."""

    def __init__(self, path: Path, open_one: Callable[[Path], sqlite3.Connection]) -> None:
        """Opens the first, which creates the file if it is new."""
        self._path = path
        self._open_one = open_one
        self._lock = threading.Lock()
        self._idle = [open_one(path)]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A read transaction, from its first statement on; SQLite's errors become Hooke's."""
        connection = self._take()
        try:
            with driver_errors(self._path):
                connection.execute("BEGIN")
                yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections; those in use stay usable."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._open_one(self._path)


def application_of(path: Path) -> int | None:
    """The kind of an existing file; None where there is none yet."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    with driver_errors(path), closing(sqlite3.connect(path, timeout=10)) as connection:
        made = connection.execute("PRAGMA user_version").fetchone()[0]
        return int(connection.execute("PRAGMA application_id").fetchone()[0]) if made else None


def _check(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == 0:
        _create(connection, schema)
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if found and application != schema.application:
        raise CorruptIndex(f"{path} is of another kind of store: open the index directory that it lies in")
    if found not in (0, schema.version):
        raise CorruptIndex(
            f"{path} has schema version {found}, this Hooke reads {schema.version}: index again into a new directory"
        )


def _create(connection: sqlite3.Connection, schema: Schema) -> None:
    # one transaction: two processes opening a new index at once must not both create it
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in schema.tables.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.application}")
        connection.execute(f"PRAGMA user_version = {schema.version}")
    connection.execute("COMMIT")


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


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Be the one writer of a file, in this process and on this machine. Raises IndexLocked."""
    # flock is released by the kernel however the process ends, so a killed indexer leaves no stale lock
    with path.with_suffix(".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise IndexLocked(f"another indexer is writing to {path.parent}: wait for it, or stop it") from exc
        yield

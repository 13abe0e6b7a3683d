"""The embedded store: a pool of readers, and one writer."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hooke.model import Manifest, Snapshot
from hooke.store.cache import NewestCache
from hooke.store.database import driver_errors, one_writer
from hooke.store.sqlite.reader import SqliteReader
from hooke.store.sqlite.schema import connect
from hooke.store.sqlite.writer import SqliteWriter


class SqliteStore:
    """A `MetadataStore` in one SQLite file; readers never wait for the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = [connect(path)]
        self._caches = NewestCache()

    @property
    def location(self) -> str:
        """The file."""
        return f"SQLite, {self._path.name}"

    @contextmanager
    def read(self) -> Iterator[SqliteReader]:
        """Open the newest snapshot for one thread."""
        connection = self._take()
        try:
            with driver_errors(self._path):
                connection.execute("BEGIN")
                snapshot = _newest(connection)
                yield SqliteReader(connection, snapshot, self._caches.of(snapshot.id))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                self._idle.append(connection)

    @contextmanager
    def write(self) -> Iterator[SqliteWriter]:
        """Become the one writer, in this process and on this machine."""
        with one_writer(self._path):
            connection = connect(self._path)
            try:
                writer = SqliteWriter(connection, self._path)
                yield writer
                writer.rollback()
            finally:
                connection.close()

    def close(self) -> None:
        """Close the idle connections; readers that are open stay usable."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect(self._path)


def _newest(connection: sqlite3.Connection) -> Snapshot:
    row = connection.execute(
        "SELECT id, created, ontologies, segments, space FROM snapshots ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return Snapshot(0)
    number, created, ontologies, segments, space = row
    return Snapshot(number, Manifest(ontologies, tuple(json.loads(segments)), space), created)

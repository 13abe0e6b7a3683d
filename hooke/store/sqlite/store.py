"""The embedded store: a pool of readers, and one writer."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hooke.model import Manifest, Snapshot
from hooke.store.cache import NewestCache
from hooke.store.database import Readers, one_writer
from hooke.store.sqlite.reader import SqliteReader
from hooke.store.sqlite.schema import connect
from hooke.store.sqlite.writer import SqliteWriter


class SqliteStore:
    """A `MetadataStore` in one SQLite file; readers never wait for the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers = Readers(path, connect)
        self._caches = NewestCache()

    @property
    def location(self) -> str:
        """The file."""
        return f"SQLite, {self._path.name}"

    @contextmanager
    def read(self) -> Iterator[SqliteReader]:
        """Open the newest snapshot for one thread."""
        with self._readers.transaction() as connection:
            snapshot = _newest(connection)
            yield SqliteReader(connection, snapshot, self._caches.of(snapshot.id))

    @contextmanager
    def write(self) -> Iterator[SqliteWriter]:
        """Become the one writer, in this process and on this machine."""
        with one_writer(self._path):
            connection = connect(self._path)
            # words and digests go to pages all over the file: these are kept until they are written
            connection.execute("PRAGMA cache_size = -262144")
            try:
                writer = SqliteWriter(connection, self._path)
                yield writer
                writer.rollback()
            finally:
                connection.close()

    def close(self) -> None:
        """Close the idle connections; readers that are open stay usable."""
        self._readers.close()


def _newest(connection: sqlite3.Connection) -> Snapshot:
    row = connection.execute(
        "SELECT id, created, ontologies, segments, space FROM snapshots ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return Snapshot(0)
    number, created, ontologies, segments, space = row
    return Snapshot(number, Manifest(ontologies, tuple(json.loads(segments)), space), created)

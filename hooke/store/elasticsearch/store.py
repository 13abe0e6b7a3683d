"""The store on a cluster: readers of its committed states, and one writer."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from hooke.errors import BadInput
from hooke.settings import ClusterSettings
from hooke.store.cache import NewestCache
from hooke.store.database import driver_errors, one_writer
from hooke.store.elasticsearch import ledger
from hooke.store.elasticsearch.cluster import Cluster
from hooke.store.elasticsearch.ledger import Home
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import Names
from hooke.store.elasticsearch.reader import ElasticsearchReader
from hooke.store.elasticsearch.states import States
from hooke.store.elasticsearch.writer import ElasticsearchWriter
from hooke.store.location import Location
from hooke.store.worklist import Worklist


class ElasticsearchStore:
    """A `MetadataStore` in a cluster; `path` is its ledger in the index directory.

    location: where a new index goes; an existing one remembers, and takes its nodes' new addresses from it.
    A new index is made here: raises BackendUnavailable, and Conflict for a prefix that another index has. An existing
    one is first asked when it is read, so that a server can start before its cluster; CorruptIndex comes then.
    """

    def __init__(self, path: Path, settings: ClusterSettings, location: Location | None = None) -> None:
        self._path = path
        with closing(ledger.connect(path)) as connection, driver_errors(path):
            home = _home(connection, location)
            self._cluster = Cluster(home.location, settings)
            self._names = Names(home.location.prefix, home.uid)
            self._states = States(self._cluster, self._names)
            self._checked = not ledger.is_made(connection)
            if self._checked:
                self._states.create()
                ledger.supersede(connection, 0)
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._caches = NewestCache()

    @property
    def location(self) -> str:
        """The nodes and the prefix."""
        return f"Elasticsearch, {self._cluster.location}"

    @contextmanager
    def read(self) -> Iterator[ElasticsearchReader]:
        """Open the newest snapshot for one thread."""
        self._check()
        connection = self._take()
        try:
            with driver_errors(self._path):
                connection.execute("BEGIN")
                state = ledger.newest(connection)
                lookup = Lookup(self._cluster, self._names, state)
                yield ElasticsearchReader(lookup, Worklist(connection), self._caches.of(state.number))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                self._idle.append(connection)

    @contextmanager
    def write(self) -> Iterator[ElasticsearchWriter]:
        """Become the one writer, in this process and on this machine."""
        self._check()
        with one_writer(self._path), closing(ledger.connect(self._path)) as connection:
            writer = ElasticsearchWriter(self._cluster, self._names, connection, self._path)
            try:
                yield writer
            finally:
                writer.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()
        self._cluster.close()

    def _check(self) -> None:
        if not self._checked:
            self._states.check()
            self._checked = True

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return ledger.connect(self._path)


def _home(connection: sqlite3.Connection, location: Location | None) -> Home:
    home = ledger.read_home(connection)
    if location is not None and (home is None or home.location != location):
        # only now: a writer holds the lock for as long as it writes, and nobody else need wait for it
        connection.execute("BEGIN IMMEDIATE")
        home = ledger.settle(connection, Home(location, uuid4().hex[:8]))
        connection.execute("COMMIT")
    if home is None:
        raise BadInput("this index does not say where its records are: name it with --store http://host:9200/PREFIX")
    return home

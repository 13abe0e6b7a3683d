"""The store on a cluster: readers of its committed states, and one writer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from hooke.errors import BadInput
from hooke.settings import ClusterSettings
from hooke.store.cache import NewestCache
from hooke.store.database import Readers, driver_errors, one_writer
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
        self._readers = Readers(path, ledger.connect)
        self._caches = NewestCache()

    @property
    def location(self) -> str:
        """The nodes and the prefix."""
        return f"Elasticsearch, {self._cluster.location}"

    @contextmanager
    def read(self) -> Iterator[ElasticsearchReader]:
        """Open the newest snapshot for one thread."""
        self._check()
        with self._readers.transaction() as connection:
            state = ledger.newest(connection)
            lookup = Lookup(self._cluster, self._names, state)
            yield ElasticsearchReader(lookup, Worklist(connection), self._caches.of(state.number))

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
        self._readers.close()
        self._cluster.close()

    def _check(self) -> None:
        if not self._checked:
            self._states.check()
            self._checked = True


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

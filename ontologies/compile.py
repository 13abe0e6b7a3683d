"""Write one snapshot from stored ontologies: SQLite for terms, ids and names, arrays for the graph.

Several sources may describe one term. Its label and synonyms come from the source whose own prefix it has, else
from the first; its edges from all.
"""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hooke.model import TermId
from hooke.text import fold
from ontologies.graph import FIRST_RELATIONS, Graph, Ints, build, save
from ontologies.ids import key, prefix_of
from ontologies.model import Scope, Term
from ontologies.names import abbreviated, forms
from ontologies.spelling import build_spellings, save_spellings
from ontologies.stored import Stored

DATABASE = "terms.sqlite"
SCOPES = (Scope.LABEL, Scope.EXACT, Scope.NARROW, Scope.BROAD, Scope.RELATED)
"""Scopes by their code in the table of names, best first."""
AS_WRITTEN, NORMAL, ABBREVIATED = "=", "~", "."
"""First character of a name's key: what was done to the name to make it."""

_SCHEMA = """
CREATE TABLE sources (no INTEGER PRIMARY KEY, digest TEXT NOT NULL, info TEXT NOT NULL);
CREATE TABLE relations (code INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE terms (
    no INTEGER PRIMARY KEY, id TEXT NOT NULL, label TEXT NOT NULL, obsolete INTEGER NOT NULL, source INTEGER NOT NULL,
    fields TEXT NOT NULL);
CREATE TABLE ids (key TEXT NOT NULL, id TEXT NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE TABLE names (
    key TEXT NOT NULL, no INTEGER NOT NULL, scope INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (key, no, scope, name)) WITHOUT ROWID;
CREATE TABLE spelt (prefix TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE unsorted (key TEXT NOT NULL, no INTEGER NOT NULL, scope INTEGER NOT NULL, name TEXT NOT NULL);
"""


def compile_snapshot(sources: Sequence[Stored], folder: Path) -> None:
    """Write the database and the arrays of these sources into an existing, empty folder."""
    index = _Index(sources)
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        # A snapshot that is not finished is thrown away whole: it needs no journal.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")
        database.executescript(_SCHEMA)
        database.executemany("INSERT INTO sources VALUES (?, ?, ?)", _source_rows(sources))
        for number, source in enumerate(sources):
            _insert_terms(database, index, number, source)
        database.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", index.alias_rows())
        # Sorted first: millions of keys put into a tree at random would read and write it all over.
        database.execute("INSERT INTO names SELECT DISTINCT * FROM unsorted ORDER BY key, no, scope, name")
        spellings = build_spellings(sure_names(database))
        database.executemany("INSERT INTO spelt VALUES (?, ?, ?)", ((p, *rows) for p, rows in spellings.groups.items()))
        save_spellings(spellings, folder)
        graph = _graph(sources, index)
        database.executemany("INSERT INTO relations VALUES (?, ?)", enumerate(graph.relations))
        database.commit()
    save(graph, folder)
    _save_ids(index.ids, folder)


def sure_names(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """The labels and exact synonyms of every term in use, folded, each with its term's prefix; in their own order."""
    query = (
        "SELECT n.key, t.id FROM names n JOIN terms t USING (no) "
        "WHERE n.key >= '=' AND n.key < '>' AND n.scope IN (?, ?) AND NOT t.obsolete ORDER BY n.key"
    )
    for name_key, term in database.execute(query, (SCOPES.index(Scope.LABEL), SCOPES.index(Scope.EXACT))):
        yield name_key[len(AS_WRITTEN) :], prefix_of(term)


class _Index:
    """Which terms there are, their numbers, and which source describes each."""

    def __init__(self, sources: Sequence[Stored]) -> None:
        self.ids: list[TermId] = []
        self.numbers: dict[TermId, int] = {}
        self._describer: list[int] = []
        self._aliases: dict[TermId, TermId] = {}
        prefixes = [source.info.prefix for source in sources]
        for number, source in enumerate(sources):
            for term in source.terms():
                self._add(term, number, prefixes)
        self._drop_renamed(sources)

    def describes(self, source: int, term: TermId) -> bool:
        number = self.numbers.get(term)
        return number is not None and self._describer[number] == source

    def number(self, term: TermId) -> int | None:
        """The number of a term, also by its alternative id; None where no source defines it."""
        number = self.numbers.get(term)
        return self.numbers.get(self._aliases.get(term, "")) if number is None else number

    def alias_rows(self) -> Iterator[tuple[str, TermId, int]]:
        for alias, term in self._aliases.items():
            if alias not in self.numbers and term in self.numbers:
                yield key(alias), alias, self.numbers[term]

    def _add(self, term: Term, source: int, prefixes: list[str]) -> None:
        own = prefix_of(term.id) == prefixes[source]
        number = self.numbers.get(term.id)
        if number is None:
            self.numbers[term.id] = len(self.ids)
            self.ids.append(term.id)
            self._describer.append(source)
        elif own and prefixes[self._describer[number]] != prefixes[source]:
            self._describer[number] = source
        for alias in term.alt_ids:
            if own or alias not in self._aliases:
                self._aliases[alias] = term.id

    def _drop_renamed(self, sources: Sequence[Stored]) -> None:
        """A term that its own ontology has merged into another is no term any more, whatever an older import says."""
        for alias in self._aliases:
            number = self.numbers.get(alias)
            if number is not None and sources[self._describer[number]].info.prefix != prefix_of(alias):
                del self.numbers[alias]


def _insert_terms(database: sqlite3.Connection, index: _Index, number: int, source: Stored) -> None:
    """One pass for the terms this source describes; in batches, for a source may hold a million."""
    batch: list[Term] = []
    for term in source.terms():
        if index.describes(number, term.id):
            batch.append(term)
        if len(batch) >= 10_000:
            _insert(database, index, number, batch)
            batch.clear()
    _insert(database, index, number, batch)


def _insert(database: sqlite3.Connection, index: _Index, source: int, terms: list[Term]) -> None:
    numbered = [(index.numbers[term.id], term) for term in terms]
    database.executemany(
        "INSERT OR IGNORE INTO terms VALUES (?, ?, ?, ?, ?, ?)",
        ((no, term.id, term.label, term.obsolete, source, _fields(term)) for no, term in numbered),
    )
    database.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", ((key(t.id), t.id, no) for no, t in numbered))
    database.executemany("INSERT INTO unsorted VALUES (?, ?, ?, ?)", _name_rows(numbered))


def _fields(term: Term) -> str:
    synonyms = [[synonym.text, synonym.scope] for synonym in term.synonyms]
    fields = [term.definition, synonyms, term.alt_ids, term.replaced_by, term.consider, term.xrefs, term.subsets]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _name_rows(terms: Iterable[tuple[int, Term]]) -> Iterator[tuple[str, int, int, str]]:
    for number, term in terms:
        names = [(Scope.LABEL, term.label), *((synonym.scope, synonym.text) for synonym in term.synonyms)]
        for scope, name in names:
            for name_key in _name_keys(term.id, name):
                yield name_key, number, SCOPES.index(scope), name


def _name_keys(term: TermId, name: str) -> Iterator[str]:
    if folded := fold(name):
        yield AS_WRITTEN + folded
    for plain in forms(name):
        yield NORMAL + plain
    if prefix_of(term) == "NCBITaxon" and (short := abbreviated(name)):
        yield ABBREVIATED + short


def _source_rows(sources: Sequence[Stored]) -> Iterator[tuple[int, str, str]]:
    for number, source in enumerate(sources):
        yield number, source.digest, json.dumps(asdict(source.info))


def _graph(sources: Sequence[Stored], index: _Index) -> Graph:
    """Edges to terms that no source defines are left out: there is nothing to show of them, nor anything beyond."""
    codes = {name: code for code, name in enumerate(FIRST_RELATIONS)}
    blocks = [_edges(source, index, codes) for source in sources]
    edges = np.concatenate([np.zeros((0, 3), dtype=np.int64), *blocks])
    return build(len(index.ids), edges, codes)


def _edges(source: Stored, index: _Index, codes: dict[str, int]) -> Ints:
    flat = array("q")
    for term, relation, parent in source.edges():
        low, high = index.number(term), index.number(parent)
        if low is not None and high is not None and low != high:
            flat.extend((low, codes.setdefault(relation, len(codes)), high))
    return np.frombuffer(flat, dtype=np.int64).reshape(-1, 3)


def _save_ids(ids: list[TermId], folder: Path) -> None:
    """All ids in one array of bytes, to turn the numbers of a closure into ids without a query each."""
    encoded = [term.encode() for term in ids]
    np.save(folder / "ids.npy", np.frombuffer(b"".join(encoded), dtype=np.uint8))
    np.save(folder / "id_starts.npy", np.cumsum([0, *map(len, encoded)], dtype=np.int64))

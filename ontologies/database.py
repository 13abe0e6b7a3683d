"""The SQLite half of a snapshot, read only; safe to share between threads."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hooke.errors import CorruptIndex
from hooke.model import TermId
from ontologies.compile import DATABASE, SCOPES, sure_names
from ontologies.model import LoadWarning, OntologyInfo, Scope, Synonym, Term
from ontologies.spelling import Spellings, build_spellings, open_spellings


class Named(NamedTuple):
    """One name of one term, by the key it was found under."""

    key: str
    scope: Scope
    name: str
    id: TermId
    label: str
    obsolete: bool
    source: int


class Database:
    """Look-ups by key. One connection under a lock: a look-up takes some twenty microseconds."""

    def __init__(self, folder: Path) -> None:
        path = folder / DATABASE
        self._lock = threading.Lock()
        with _database_errors(path):
            self._connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False)
            self.sources = tuple(_info(row[0]) for row in self._rows("SELECT info FROM sources ORDER BY no"))
            self.relations = tuple(row[0] for row in self._rows("SELECT name FROM relations ORDER BY code"))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def ids(self, key: str) -> list[tuple[TermId, int]]:
        """The ids spelled by a key, with the numbers of their terms; an alternative id has its primary's number."""
        return self._rows("SELECT id, no FROM ids WHERE key = ?", (key,))

    def label(self, number: int) -> str:
        """The label of a term by its number; "" where it has none."""
        return str(self._rows("SELECT label FROM terms WHERE no = ?", (number,))[0][0])

    def term(self, number: int) -> Term:
        """A term by its number."""
        query = "SELECT id, label, obsolete, source, fields FROM terms WHERE no = ?"
        id_, label, obsolete, source, fields = self._rows(query, (number,))[0]
        definition, synonyms, alt_ids, replaced_by, consider, *more = json.loads(fields)
        xrefs, subsets = more or ([], [])  # snapshots made before these were kept
        return Term(
            id=id_,
            label=label,
            definition=definition,
            synonyms=tuple(Synonym(text, Scope(scope)) for text, scope in synonyms),
            alt_ids=tuple(alt_ids),
            obsolete=bool(obsolete),
            replaced_by=tuple(replaced_by),
            consider=tuple(consider),
            ontology=self.sources[source].name,
            xrefs=tuple(xrefs),
            subsets=tuple(subsets),
        )

    def names(self, keys: Sequence[str]) -> list[Named]:
        """The names under any of the keys."""
        query = (
            "SELECT n.key, n.scope, n.name, t.id, t.label, t.obsolete, t.source FROM names n JOIN terms t USING (no) "
            f"WHERE n.key IN ({','.join('?' * len(keys))})"
        )
        return [Named(key, SCOPES[scope], *rest) for key, scope, *rest in self._rows(query, tuple(keys))]

    def spellings(self, folder: Path) -> Spellings:
        """The names that a misspelt one is compared with."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'spelt'"):  # made before they were kept
            with self._lock:
                return build_spellings(sure_names(self._connection))
        groups = self._rows("SELECT prefix, first, last FROM spelt")
        return open_spellings(folder, {prefix: (first, last) for prefix, first, last in groups})

    def keys_beginning(self, key: str, limit: int) -> list[str]:
        """At most `limit` keys that are this one or go on with a space: `~brain`, `~brain stem`."""
        query = "SELECT DISTINCT key FROM names WHERE key = ? OR (key >= ? AND key < ?) LIMIT ?"
        return [row[0] for row in self._rows(query, (key, f"{key} ", f"{key}!", limit))]

    # The columns are known to each caller, who names them in its query.
    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock, _database_errors(Path(DATABASE)):
            return self._connection.execute(query, values).fetchall()


def _info(text: str) -> OntologyInfo:
    fields = json.loads(text)
    return OntologyInfo(**{**fields, "warnings": tuple(LoadWarning(**warning) for warning in fields["warnings"])})


@contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise CorruptIndex(f"{path}: the terms cannot be read ({exc}); add the ontologies again") from exc

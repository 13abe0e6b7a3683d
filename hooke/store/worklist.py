"""What an index directory knows of its inputs: which were indexed whole, and which values wait for a curator."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import groupby

from hooke.model import ID_LABEL_CONFLICT, Unresolved

TABLES = """
CREATE TABLE unresolved (
    part TEXT NOT NULL, field TEXT NOT NULL, text TEXT NOT NULL, ids TEXT NOT NULL, reason TEXT NOT NULL,
    candidates TEXT NOT NULL, records INTEGER NOT NULL
);
CREATE INDEX unresolved_part ON unresolved (part);
CREATE TABLE parts (part TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""


class Worklist:
    """These tables in an open connection, within its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, part: str, unresolved: Mapping[Unresolved, int]) -> None:
        """Replace the entries of one input."""
        self._connection.execute("DELETE FROM unresolved WHERE part = ?", (part,))
        self._connection.executemany(
            "INSERT INTO unresolved VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (part, u.field, u.text, json.dumps(u.ids), u.reason, json.dumps(u.candidates), records)
                for u, records in unresolved.items()
            ),
        )

    def mark(self, part: str, digest: str) -> None:
        """Remember that an input was indexed whole."""
        self._connection.execute(
            "INSERT INTO parts VALUES (?, ?) ON CONFLICT DO UPDATE SET digest = excluded.digest", (part, digest)
        )

    def most_frequent(self, limit: int) -> tuple[tuple[Unresolved, int], ...]:
        """Entries summed over inputs, most frequent first."""
        rows = self._connection.execute(
            "SELECT field, text, ids, reason, candidates, sum(records) AS n FROM unresolved "
            "GROUP BY field, text, ids, reason, candidates "
            "ORDER BY n DESC, field, text, ids, reason, candidates LIMIT ?",
            (limit,),
        )
        return tuple((_entry(row), row[5]) for row in rows)

    def count(self) -> int:
        """How many distinct values found no term; those in conflict have one."""
        statement = "SELECT count(*) FROM (SELECT DISTINCT field, text, ids, reason FROM unresolved WHERE reason != ?)"
        return int(self._connection.execute(statement, (ID_LABEL_CONFLICT,)).fetchone()[0])

    def digest(self, part: str) -> str | None:
        """The digest an input was indexed whole under."""
        row = self._connection.execute("SELECT digest FROM parts WHERE part = ?", (part,)).fetchone()
        return str(row[0]) if row else None

    def parts(self) -> dict[str, str]:
        """Every input that was indexed whole, with its digest."""
        return dict(self._connection.execute("SELECT part, digest FROM parts ORDER BY part"))

    def by_part(self) -> Iterator[tuple[str, dict[Unresolved, int]]]:
        """The entries of each input."""
        rows = self._connection.execute(
            "SELECT field, text, ids, reason, candidates, records, part FROM unresolved ORDER BY part, rowid"
        )
        for part, entries in groupby(rows, key=lambda row: str(row[6])):
            yield part, {_entry(row): row[5] for row in entries}


def _entry(row: tuple[str, str, str, str, str, int]) -> Unresolved:
    field, text, ids, reason, candidates = row[:5]
    return Unresolved(field, text, _texts(ids), reason, _texts(candidates))


def _texts(stored: str) -> tuple[str, ...]:
    # most entries have neither ids nor candidates, and a curator's page reads them all
    return () if stored == "[]" else tuple(json.loads(stored))

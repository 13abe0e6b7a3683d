"""What an index directory keeps when its records are in a cluster: where they are, and every commit.

It is `metadata.sqlite` as with the embedded store, and its transaction is the commit point: a state of the cluster that
no row names was never committed.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyroaring import BitMap

from hooke.errors import Conflict
from hooke.model import Manifest, Snapshot
from hooke.store import database, worklist
from hooke.store.elasticsearch.mapping import Part
from hooke.store.location import Location, read_location

KEPT_S = 15 * 60
"""How long a state stays readable after the next one is committed."""
_TABLES = """
CREATE TABLE store (location TEXT NOT NULL, uid TEXT NOT NULL, reserved INTEGER NOT NULL);
-- state: which alias of the cluster a snapshot reads; commits that change no record share one
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY, created TEXT NOT NULL, ontologies TEXT NOT NULL, segments TEXT NOT NULL, space TEXT,
    state INTEGER NOT NULL
);
-- which ordinals of a part are live in a snapshot, and the first that was never given out
CREATE TABLE extents (
    snapshot INTEGER NOT NULL, part TEXT NOT NULL, live BLOB NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (snapshot, part)
) WITHOUT ROWID;
-- superseded: when a later state was committed, in seconds since 1970
CREATE TABLE states (number INTEGER PRIMARY KEY, superseded REAL);
"""
_SCHEMA = database.Schema(database.LEDGER, 1, _TABLES + worklist.TABLES)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an index's records are: a location, and the id by which its indices are known there."""

    location: Location
    uid: str


@dataclass(frozen=True, slots=True)
class Extent:
    """Which ordinals of a part are live, and the first that was never given out."""

    live: BitMap
    next: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """One committed state: its snapshot, the number of its aliases (0: nothing was ever put), and its ordinals."""

    snapshot: Snapshot
    number: int
    extents: Mapping[Part, Extent]


_EMPTY = State(Snapshot(0), 0, {part: Extent(BitMap()) for part in Part})


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger, creating it when there is none."""
    return database.connect(path, _SCHEMA)


def read_home(connection: sqlite3.Connection) -> Home | None:
    """Where the records are; None before they were ever anywhere."""
    row = connection.execute("SELECT location, uid FROM store").fetchone()
    return Home(read_location(row[0]), row[1]) if row else None


def settle(connection: sqlite3.Connection, home: Home) -> Home:
    """Remember a location, unless one is known; a known one can change its nodes, not its prefix.

    Returns what is remembered now. Raises Conflict for another prefix.
    """
    known = read_home(connection)
    if known is None:
        connection.execute("INSERT INTO store VALUES (?, ?, 0)", (str(home.location), home.uid))
        return home
    if known.location.prefix != home.location.prefix and not is_made(connection):
        # nothing was ever put there: the address was mistyped, and is now put right
        connection.execute("UPDATE store SET location = ?, uid = ?", (str(home.location), home.uid))
        return home
    if known.location.prefix != home.location.prefix:
        raise Conflict(
            f"this index has its records at {known.location}, not at {home.location}: leave --store out, or move the "
            "index with `hooke copy`"
        )
    connection.execute("UPDATE store SET location = ?", (str(home.location),))
    return replace(known, location=home.location)


def is_made(connection: sqlite3.Connection) -> bool:
    """Whether the indices were made."""
    return connection.execute("SELECT 1 FROM states LIMIT 1").fetchone() is not None


def reserve_state(connection: sqlite3.Connection) -> int:
    """A number for the next state that no writer had before, not even one that was killed."""
    connection.execute("UPDATE store SET reserved = reserved + 1")
    return int(connection.execute("SELECT reserved FROM store").fetchone()[0])


def newest(connection: sqlite3.Connection) -> State:
    """The last commit."""
    row = connection.execute("SELECT * FROM snapshots ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return _EMPTY
    number, created, ontologies, segments, space, state = row
    rows = connection.execute("SELECT part, live, next FROM extents WHERE snapshot = ?", (number,))
    extents = {Part(part): Extent(BitMap.deserialize(live), following) for part, live, following in rows}
    return State(Snapshot(number, Manifest(ontologies, tuple(json.loads(segments)), space), created), state, extents)


def add(connection: sqlite3.Connection, manifest: Manifest, state: int, extents: Mapping[Part, Extent]) -> Snapshot:
    """Add a commit to the open transaction."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    cursor = connection.execute(
        "INSERT INTO snapshots (created, ontologies, segments, space, state) VALUES (?, ?, ?, ?, ?)",
        (created, manifest.ontologies, json.dumps(manifest.segments), manifest.space, state),
    )
    number = int(cursor.lastrowid or 0)
    for part, extent in extents.items():
        extent.live.run_optimize()
        row = (number, str(part), extent.live.serialize(), extent.next)
        connection.execute("INSERT INTO extents VALUES (?, ?, ?, ?)", row)
    # readers of earlier commits have theirs in memory; kept rows would add up
    connection.execute("DELETE FROM snapshots WHERE id < ?", (number,))
    connection.execute("DELETE FROM extents WHERE snapshot < ?", (number,))
    return Snapshot(number, manifest, created)


def supersede(connection: sqlite3.Connection, state: int) -> None:
    """Note that a state is the newest one from now on."""
    now = datetime.now(UTC).timestamp()
    connection.execute("UPDATE states SET superseded = ? WHERE superseded IS NULL AND number != ?", (now, state))
    connection.execute("INSERT OR IGNORE INTO states VALUES (?, NULL)", (state,))


def forget_states(connection: sqlite3.Connection) -> int:
    """Forget the states whose readers have had their time; returns the oldest that is kept."""
    then = datetime.now(UTC).timestamp() - KEPT_S
    connection.execute("DELETE FROM states WHERE superseded < ?", (then,))
    return int(connection.execute("SELECT coalesce(min(number), 0) FROM states").fetchone()[0])

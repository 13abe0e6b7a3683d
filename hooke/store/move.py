"""Moving an index's records between its directory and a cluster; ordinals are kept, since vectors hang on them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hooke.collector import without_collector
from hooke.errors import Conflict, CorruptIndex, IndexLocked
from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.settings import ClusterSettings
from hooke.store.base import EVERYTHING, MetadataReader, MetadataStore
from hooke.store.choose import is_clustered, open_cluster
from hooke.store.database import driver_errors, one_writer
from hooke.store.location import Location
from hooke.store.sqlite import SqliteStore

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""What is copied, how much is done, of how much."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied, and the file that the directory used before, which nothing reads any more."""

    studies: int
    images: int
    former: Path


def move_to_cluster(index: IndexDirectory, location: Location, cluster: ClusterSettings, progress: Progress) -> Moved:
    """Copy the records of a directory into a cluster, which the directory remembers from then on.

    Killed at any point, the same call finishes it; until it has, the directory answers as before.
    Raises Conflict where the records are in a cluster already, IndexLocked while anything has the index open.
    """
    if is_clustered(index.metadata):
        raise Conflict(f"{index.root} has its records in a cluster already: see `hooke info --index {index.root}`")
    with one_writer(index.metadata):
        made = index.root / "metadata.new.sqlite"
        with (
            closing(SqliteStore(index.metadata)) as source,
            closing(open_cluster(made, cluster, location)) as target,
        ):
            counts = copy_records(source, target, progress)
        return Moved(*counts, _switch(index.metadata, made, index.root / "metadata.embedded.sqlite"))


def move_home(index: IndexDirectory, location: Location, cluster: ClusterSettings, progress: Progress) -> Moved:
    """Copy the records of a cluster back into the directory that they belong to.

    Raises Conflict for another location than the directory remembers.
    """
    if not is_clustered(index.metadata):
        raise Conflict(f"{index.root} keeps its records itself: there is nothing to bring home")
    with one_writer(index.metadata):
        made = index.root / "metadata.new.sqlite"
        made.unlink(missing_ok=True)  # what a killed copy left
        with (
            closing(open_cluster(index.metadata, cluster, location)) as source,
            closing(SqliteStore(made)) as target,
        ):
            counts = copy_records(source, target, progress)
        return Moved(*counts, _switch(index.metadata, made, index.root / "metadata.cluster.sqlite"))


def copy_records(source: MetadataStore, target: MetadataStore, progress: Progress) -> tuple[int, int]:
    """Copy everything that a store holds into an empty one, in one commit; returns how many studies and images."""
    with without_collector(), source.read() as reader, target.write() as writer:
        for level in (Level.STUDY, Level.IMAGE):
            told = _told(reader.stored(level), f"copying {level} records", reader.count(level), progress)
            writer.restore(level, told)
        refused = writer.refused()
        if refused:
            raise CorruptIndex(f"{len(refused)} records were refused, {refused[0].id!r} first: {refused[0].reason}")
        for part, digest in reader.parts().items():
            writer.mark_part(part, digest)
        for part, unresolved in reader.worklists():
            writer.put_unresolved(part, unresolved)
        writer.commit(reader.snapshot.manifest)
        return _same(reader, target)


def _same(reader: MetadataReader, target: MetadataStore) -> tuple[int, int]:
    with target.read() as copy:
        for level in Level:
            if copy.ordinals(level, EVERYTHING) != reader.ordinals(level, EVERYTHING):
                raise CorruptIndex(f"the copy has other {level} records than its original: run the same command again")
        return copy.count(Level.STUDY), copy.count(Level.IMAGE)


def _told(items: Iterable[T], what: str, total: int, progress: Progress) -> Iterator[T]:
    for done, item in enumerate(items):
        progress(what, done, total)
        yield item
    progress(what, total, total)


def _switch(path: Path, made: Path, former: Path) -> Path:
    """Put a new file in the place of the old one, which is kept under another name."""
    _settle(path)
    _settle(made)
    former.unlink(missing_ok=True)
    former.hardlink_to(path)
    made.replace(path)
    return former


def _settle(path: Path) -> None:
    """Fold the write-ahead log into its file: under another name it would be lost.

    That takes the file to itself, so nobody can go on reading it under its old name.
    """
    with driver_errors(path), closing(sqlite3.connect(path, timeout=5)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        except sqlite3.OperationalError as exc:
            raise IndexLocked(f"{path.parent} is open in a server or another program: stop it first") from exc
        if mode != "delete":
            raise IndexLocked(f"{path.parent} is open in a server or another program: stop it first")

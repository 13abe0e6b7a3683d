"""Add ontologies to a directory of immutable snapshots.

    root/CURRENT                 the version added last
    root/<version>/              terms.sqlite, the arrays, and sources/: every ontology as it was loaded

A snapshot is written beside its place, synced and renamed: whatever fails, the one before it stays as it was.
"""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from hooke.errors import BadInput, HookeError, NoSpace
from ontologies.compile import compile_snapshot
from ontologies.load import load_into
from ontologies.source import open_source
from ontologies.stored import Stored, open_stored

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many parts are done, and of how many."""

_FORMAT = 3
"""Counts up when the layout or the making of names and ids changes, so that a version names what it was made by."""
_CURRENT = "CURRENT"


def add_ontologies(files_or_names: Iterable[str | Path], root: Path, *, progress: Progress | None = None) -> str:
    """Write a snapshot of the latest one's ontologies and these, and return its version.

    A source with the name of an earlier one replaces it; adding the same again changes nothing. Raises BadInput,
    BadOntology, NoSpace; the latest snapshot is then still the latest.
    """
    report = progress or (lambda _what, _done, _of: None)
    with _disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".adding-") as scratch:
            folder = Path(scratch) / "snapshot"
            (folder / "sources").mkdir(parents=True)
            sources = _gather(list(files_or_names), root, Path(scratch), report)
            version = _version(sources)
            if not (root / version).exists():
                report("compiling", len(sources), len(sources))
                compile_snapshot([_placed(source, folder) for source in sources], folder)
                _publish(folder, root / version)
        _set_current(root, version)
    return version


def latest_version(root: Path) -> str:
    """The version added last to this directory, or "" when none was."""
    try:
        version = (root / _CURRENT).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return version if (root / version).is_dir() else ""


def _gather(files: Sequence[str | Path], root: Path, scratch: Path, report: Progress) -> list[Stored]:
    """The stored ontologies of the next snapshot, in the order in which their names were first added."""
    known = {stored.info.name: stored for stored in _stored(root)}
    for done, file in enumerate(files):
        report(str(file), done, len(files))
        source = open_source(file)
        if source.digest not in {stored.digest for stored in known.values()}:
            # Loaded one at a time and put away at once: pronto takes 415 MB for the Gene Ontology.
            stored = load_into(source, scratch / f"{source.digest}.jsonl.zst")
            known[stored.info.name] = stored
    return list(known.values())


def _stored(root: Path) -> list[Stored]:
    version = latest_version(root)
    folder = root / version / "sources"
    return [open_stored(path) for path in sorted(folder.glob("*.jsonl.zst"))] if version else []


def _placed(source: Stored, folder: Path) -> Stored:
    """The source copied to its place in a new snapshot; its number keeps the order."""
    number = len(list((folder / "sources").iterdir()))
    place = folder / "sources" / f"{number:03d}-{source.digest}.jsonl.zst"
    shutil.copyfile(source.path, place)
    return Stored(place, source.digest, source.info)


def _version(sources: Sequence[Stored]) -> str:
    named = "\n".join(f"{source.info.name} {source.digest}" for source in sources)
    return blake2b(f"{_FORMAT}\n{named}".encode(), digest_size=8).hexdigest() if sources else ""


def _publish(folder: Path, place: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)
    folder.rename(place)
    _sync(place.parent)


def _set_current(root: Path, version: str) -> None:
    if not version or version == latest_version(root):
        return
    fresh = root / f".{_CURRENT}-{os.getpid()}"
    fresh.write_text(version, encoding="ascii")
    _sync(fresh)
    fresh.replace(root / _CURRENT)
    _sync(root)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except HookeError:
        raise
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise _no_space(root) from exc
        raise BadInput(f"cannot write ontologies under {root}: {exc}") from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(root) from exc
        raise BadInput(f"cannot write ontologies under {root}: {exc.strerror or exc}") from exc


def _no_space(root: Path) -> NoSpace:
    return NoSpace(f"no space left under {root} for the ontologies; free some and add them again")

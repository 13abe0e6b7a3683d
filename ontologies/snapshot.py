"""Add ontologies to a directory of immutable snapshots.

    root/CURRENT                 the version added last
    root/<version>/              terms.sqlite, the arrays, and sources/: every ontology as it was loaded

A snapshot is written beside its place, synced and renamed: whatever fails, the one before it stays as it was.
"""

import errno
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooke.errors import BadInput, HookeError, NoSpace
from ontologies.compile import compile_snapshot
from ontologies.load import load_into
from ontologies.model import OntologyInfo
from ontologies.source import open_source
from ontologies.stored import Stored, open_stored

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many parts are done, and of how many."""

_FORMAT = 3
"""Counts up when the layout or the making of names and ids changes, so that a version names what it was made by."""
_CURRENT = "CURRENT"


def add_ontologies(
    files_or_names: Iterable[str | Path], root: Path, *, releases: bool = False, progress: Progress | None = None
) -> str:
    """Write a snapshot of the latest one's ontologies and these, and return its version.

    A source with the name of an earlier one replaces it; adding the same again changes nothing. releases: each must be
    a release of one that is there, by its name or else by its prefix. Raises BadInput, BadOntology, NoSpace; the
    latest snapshot is then still the latest.
    """
    report = progress or (lambda _what, _done, _of: None)
    with _disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".adding-") as scratch:
            folder = Path(scratch) / "snapshot"
            (folder / "sources").mkdir(parents=True)
            sources = _gather(list(files_or_names), root, Path(scratch), report, releases)
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


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two versions: ontologies as the later has them, and the number of terms not alike in both.

    Terms are alike where every field and edge is.
    """

    releases: tuple[str, ...]
    terms: int


def changes(root: Path, before: str, after: str) -> Changes:
    """What differs between two versions; what they have in common is not read."""
    former, present = ({source.digest: source for source in _stored(root, version)} for version in (before, after))
    gone = [source for digest, source in former.items() if digest not in present]
    new = [source for digest, source in present.items() if digest not in former]
    different = set(np.setxor1d(_hashes(gone), _hashes(new)).tolist())
    rows = (row for source in (*gone, *new) for row in source.rows())
    terms = {json.loads(row)[0] for row in rows if hash(row) in different}
    return Changes(tuple(f"{source.info.name} {source.info.version}".strip() for source in new), len(terms))


def _hashes(sources: Sequence[Stored]) -> NDArray[np.int64]:
    """A number for each term and edge; eight bytes, for a source may have five million of both."""
    return np.fromiter((hash(row) for source in sources for row in source.rows()), dtype=np.int64)


def _gather(files: Sequence[str | Path], root: Path, scratch: Path, report: Progress, releases: bool) -> list[Stored]:
    """The stored ontologies of the next snapshot, in the order in which their names were first added."""
    known = {stored.info.name: stored for stored in _stored(root, latest_version(root))}
    for done, file in enumerate(files):
        report(str(file), done, len(files))
        source = open_source(file)
        if source.digest not in {stored.digest for stored in known.values()}:
            # Loaded one at a time and put away at once: pronto takes 415 MB for the Gene Ontology.
            stored = load_into(source, scratch / f"{source.digest}.jsonl.zst")
            former = _former(stored.info, known) if releases else stored.info.name
            # in its place: of two ontologies that describe one term the first is believed
            known = {(stored.info.name if name == former else name): source for name, source in known.items()}
            known[stored.info.name] = stored
    return list(known.values())


def _former(release: OntologyInfo, known: Mapping[str, Stored]) -> str:
    """The name of the ontology that a release is a newer one of."""
    if release.name in known:
        return release.name
    same = [name for name, stored in known.items() if stored.info.prefix == release.prefix]
    if len(same) == 1:
        return same[0]
    which = f"{' and '.join(same)} have its prefix" if same else f"there are {', '.join(known) or 'none'}"
    raise BadInput(
        f"{release.source} is {release.name or 'without a name'} ({release.prefix}), a release of no ontology of this "
        f"index: {which}; add it with `hooke ontologies add`"
    )


def _stored(root: Path, version: str) -> list[Stored]:
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

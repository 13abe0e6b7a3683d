"""The file of a kind's trained lists: our own arrays under checksums, read only if they hold. No FAISS file is read.

One line of JSON, then the arrays. It is written whole and renamed, so that a search has the former or the new one.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from hooke.vectors.approximate import Odds, Trained
from hooke.vectors.inverted import Inverted

logger = logging.getLogger(__name__)

FORMAT = 1
_HEADER_BYTES = 2**16  # a multiple of 8: arrays are read where they lie
_HEADER_MOST = 2**26
_ABANDONED_SECONDS = 3_600
Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class _Shape:
    lists: int
    rows: int
    dim: int
    code_bytes: int

    def arrays(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The type and the shape of each array, in their order: numbers of eight bytes come first."""
        return (
            ("<i8", (self.lists + 1,)),
            ("<f8", (self.lists,)),
            ("<i8", (self.rows,)),
            ("<f4", (self.lists, self.dim)),
            ("<i4", (self.rows,)),
            ("u1", (self.rows, self.code_bytes)),
        )


@dataclass(frozen=True, slots=True)
class Lists:
    """Where a kind's trained lists are, and when they answer: where an exact search may have to read more bytes.

    names: of the segments that are searched.
    """

    path: Path
    fingerprint: str
    names: tuple[str, ...]
    most_bytes: int

    def version(self) -> tuple[int, int] | None:
        """Another for another file; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def read(self) -> Trained | None:
        """As `read_trained`."""
        return read_trained(self.path, self.fingerprint)


def write_trained(path: Path, trained: Trained, fingerprint: str) -> None:
    """Write, or replace, a file; killed at any point there is the former one, or the new."""
    lists = trained.inverted
    arrays: list[Array] = [lists.begins, lists.spreads, lists.rows, lists.centres, lists.lists, lists.codes]
    shape = _Shape(len(lists.centres), len(lists.rows), lists.centres.shape[1], lists.codes.shape[1])
    parts = [
        np.ascontiguousarray(array, dtype=kind).reshape(-1).view(np.uint8).data
        for array, (kind, _) in zip(arrays, shape.arrays(), strict=True)
    ]
    payload = hashlib.sha256()
    for part in parts:
        payload.update(part)
    body = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "shape": [shape.lists, shape.rows, shape.dim, shape.code_bytes],
        "segments": trained.segments,
        "gaps": trained.odds.gaps.tolist(),
        "ranks": trained.odds.ranks.tolist(),
        "shares": trained.odds.shares.tolist(),
        "veil": trained.veil,
        "doubt": trained.doubt,
        "payload": payload.hexdigest(),
    }
    header = json.dumps({"body": body, "sha256": _digest(body)}).encode()
    padding = -(len(header) + 1) % _HEADER_BYTES
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    unfinished = path.with_name(f"tmp-{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.writelines([header, b" " * padding, b"\n", *parts])
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed trainings left; one that is written now has changed within the hour."""
    for left in folder.glob("tmp-*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()


def read_trained(path: Path, fingerprint: str) -> Trained | None:
    """What a file has; None, and a line in the log, where there is none, or one that does not hold."""
    try:
        with path.open("rb") as file:
            body, begin = _header(file, fingerprint), file.tell()
            if hashlib.file_digest(file, "sha256").hexdigest() != body["payload"]:
                raise ValueError("its checksum does not hold")
            # of the open file: another may have its name by now
            begins, spreads, rows, centres, lists, codes = _mapped(file, begin, _Shape(*body["shape"]))
        inverted = Inverted(centres, spreads, begins, rows, lists, codes)  # type: ignore[arg-type]  # by _Shape.arrays
        odds = Odds(
            np.array(body["gaps"], dtype=np.float64),
            np.array(body["ranks"], dtype=np.int64),
            np.array(body["shares"], dtype=np.float64),
        )
        segments = tuple((str(name), int(count)) for name, count in body["segments"])
        return Trained(inverted, odds, float(body["veil"]), float(body["doubt"]), segments)
    except FileNotFoundError:
        logger.warning("no trained lists in %s: searching exactly; make them with `hooke train`", path)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        logger.warning("%s is not used (%s): searching exactly; make it anew with `hooke train`", path, exc)
    return None


def named_segments(path: Path, fingerprint: str) -> list[str]:
    """The segments of which a file has lists; none where there is none, or its header does not hold."""
    try:
        with path.open("rb") as file:
            return [str(name) for name, _ in _header(file, fingerprint)["segments"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _header(file: BinaryIO, fingerprint: str) -> dict[str, Any]:
    content = json.loads(file.readline(_HEADER_MOST))
    body: dict[str, Any] = content["body"]
    if body["format"] != FORMAT or body["fingerprint"] != fingerprint or _digest(body) != content["sha256"]:
        raise ValueError("it is of another space or format, or its header does not hold")
    return body


def _mapped(file: BinaryIO, begin: int, shape: _Shape) -> Iterator[Array]:
    for kind, size in shape.arrays():
        array = np.memmap(file, dtype=kind, mode="r", offset=begin, shape=size)
        begin += array.nbytes
        yield np.asarray(array)


def _digest(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

"""Files of our own arrays under checksums, read only if they hold: no pickle and no FAISS file is ever loaded.

One line of JSON that says what they are, then the arrays. A file is written whole and renamed, so that a search has the
former or the new one.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
About = Mapping[str, Any]
FAULTS = (OSError, ValueError, KeyError, TypeError, RecursionError)
"""What reading raises where there is no file, or one that does not hold."""
_TYPES = frozenset({"|u1", "<i4", "<i8", "<f4", "<f8"})
_HEADER_BYTES = 4096  # a multiple of 8: arrays are read where they lie
_HEADER_MOST = 2**26


def digest(body: object) -> str:
    """A checksum of what JSON can say."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_arrays(path: Path, about: About, arrays: Iterable[Array]) -> None:
    """Write, or replace, a file; killed at any point there is the former one, or the new. Wide types come first."""
    stored = [np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for array in arrays]
    parts = [array.reshape(-1).view(np.uint8).data for array in stored]
    payload = hashlib.sha256()
    for part in parts:
        payload.update(part)
    layout = [[array.dtype.str, list(array.shape)] for array in stored]
    body = {**about, "arrays": layout, "payload": payload.hexdigest()}
    header = json.dumps({"body": body, "sha256": digest(body)}).encode()
    padding = -(len(header) + 1) % _HEADER_BYTES
    path.parent.mkdir(exist_ok=True)  # not its parents: of an index that was removed nothing comes back
    unfinished = path.with_name(f"tmp-{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.writelines([header, b" " * padding, b"\n", *parts])
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_arrays(path: Path, expected: About) -> tuple[About, list[Array]]:
    """What a file says of itself, and its arrays, mapped. Raises one of FAULTS; expected: what it has to say."""
    with path.open("rb") as file:
        body, begin = _header(file, expected), file.tell()
        if hashlib.file_digest(file, "sha256").hexdigest() != body["payload"]:
            raise ValueError("its checksum does not hold")
        # of the open file: another may have its name by now
        return body, list(_mapped(file, begin, body["arrays"]))


def read_about(path: Path, expected: About) -> About:
    """What a file says of itself; its arrays are not looked at. Raises as `read_arrays`."""
    with path.open("rb") as file:
        return _header(file, expected)


def _header(file: BinaryIO, expected: About) -> About:
    content = json.loads(file.readline(_HEADER_MOST))
    body: About = content["body"]
    if digest(body) != content["sha256"] or any(body[key] != value for key, value in expected.items()):
        raise ValueError("it is of another space or format, or its header does not hold")
    return body


def _mapped(file: BinaryIO, begin: int, layout: Sequence[tuple[str, Sequence[int]]]) -> Iterator[Array]:
    whole = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))  # one map: each holds the file open
    for kind, shape in layout:
        if kind not in _TYPES:
            raise ValueError(f"it has values of type {kind}")
        size = math.prod(shape) * np.dtype(kind).itemsize
        yield whole[begin : begin + size].view(kind).reshape(shape)
        begin += size

"""The process that decodes one image after another: `python -m hooke.pixels.worker`, driven by `pool`.

Both ways a message is one line of JSON and then raw bytes; nothing is pickled, so that a decoder taken over by a
crafted file can send its parent nothing but numbers.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hooke.embed.base import Raster
from hooke.errors import HookeError
from hooke.pixels.limits import Limits
from hooke.pixels.parts import Parts
from hooke.pixels.read import read_changed, read_raster_bytes
from hooke.pixels.thumbnail import thumbnail
from hooke.views import Box

READY = b"ready\n"
Request = Mapping[str, Any]  # from JSON, of the parent, which is trusted
Described = tuple[dict[str, object], Sequence[memoryview]]
_STATM = Path("/proc/self/statm")
_GRACE_SECONDS = 5


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the parent hangs up."""
    answers.write(READY)
    answers.flush()
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        _limit_memory(request["memory_bytes"])
        # the parent is who kills a late one; where it is gone the alarm does, whatever a codec is at
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + _GRACE_SECONDS)
        _answer(answers, request, content)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(answers: BinaryIO, request: Request, content: bytes) -> None:
    try:
        header, parts = _changed(request) if "path" in request else _decoded(request, content)
    except HookeError as error:
        kind = MemoryError if _comes_of_memory(error) else type(error)
        answers.write(_line({"error": kind.__name__, "message": str(error)}))
    except MemoryError:
        answers.write(_line({"error": MemoryError.__name__, "message": ""}))
    else:
        answers.write(_line(header))
        for part in parts:
            answers.write(part)
    answers.flush()


def _comes_of_memory(error: BaseException | None) -> bool:
    return isinstance(error, MemoryError) or (error is not None and _comes_of_memory(error.__cause__))


def _decoded(request: Request, content: bytes) -> Described:
    return _described(
        read_raster_bytes(content, Limits(**request["limits"]), request["short_side"], parts=_parts(request))
    )


def _changed(request: Request) -> Described:
    """The image at a path, with its digest and thumbnail, where it is not the known one."""
    limits, known = Limits(**request["limits"]), request["known"]
    changed = read_changed(request["path"], limits, known, request["short_side"], parts=_parts(request))
    if changed is None:
        return {"unchanged": True}, ()
    digest, raster = changed
    picture = thumbnail(raster)
    header, parts = _described(raster)
    return {**header, "digest": digest, "thumbnail": len(picture)}, (*parts, memoryview(picture))


def _described(raster: Raster) -> Described:
    """What announces a raster, and its bytes."""
    frames = (raster.pixels, *raster.others)
    header = {
        "shape": (len(frames), *raster.pixels.shape),
        "dtype": raster.pixels.dtype.name,
        "rgb": raster.rgb,
        "tiles": [[*astuple(tile.box), *tile.pixels.shape[1:]] for tile in raster.tiles],
    }
    planes = (*frames, *(tile.pixels for tile in raster.tiles))
    return header, [np.ascontiguousarray(each).reshape(-1).view(np.uint8).data for each in planes]


def _parts(request: Request) -> Parts:
    parts = request["parts"]
    return Box(*parts) if isinstance(parts, list) else int(parts)


def _limit_memory(allowance: int) -> None:
    """Let the address space grow by the allowance from where it is now; only Linux tells, and keeps, such a limit."""
    if not _STATM.exists():
        return
    pages = int(_STATM.read_text(encoding="ascii").split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + allowance
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def main() -> None:
    """Serve on stdin and stdout, after moving stdout aside: a C library that prints must not break the protocol."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()

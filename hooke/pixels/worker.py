"""The process that decodes one upload after another: `python -m hooke.pixels.worker`, driven by `bounded`.

Both ways a message is one line of JSON and then raw bytes; nothing is pickled, so that a decoder taken over by a
crafted file can send its parent nothing but numbers.
"""

import json
import os
import resource
import sys
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hooke.embed.base import Raster
from hooke.errors import HookeError, TooLarge
from hooke.pixels.limits import Limits
from hooke.pixels.parts import Parts
from hooke.pixels.read import read_raster_bytes
from hooke.views import Box

READY = b"ready\n"
_STATM = Path("/proc/self/statm")


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the parent hangs up."""
    answers.write(READY)
    answers.flush()
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        _limit_memory(request["memory_bytes"])
        parts = request["parts"]
        wanted = Box(*parts) if isinstance(parts, list) else parts
        _answer(answers, content, Limits(**request["limits"]), request["short_side"], wanted)


def _answer(answers: BinaryIO, content: bytes, limits: Limits, short_side: int, parts: Parts) -> None:
    try:
        raster = _decoded(content, limits, short_side, parts)
    except HookeError as error:
        answers.write(_line({"error": type(error).__name__, "message": str(error)}))
    else:
        frames = (raster.pixels, *raster.others)
        shape, dtype = (len(frames), *raster.pixels.shape), raster.pixels.dtype.name
        tiles = [[*astuple(tile.box), *tile.pixels.shape[1:]] for tile in raster.tiles]
        answers.write(_line({"shape": shape, "dtype": dtype, "rgb": raster.rgb, "tiles": tiles}))
        for frame in (*frames, *(tile.pixels for tile in raster.tiles)):
            answers.write(np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data)
    answers.flush()


def _decoded(content: bytes, limits: Limits, short_side: int, parts: Parts) -> Raster:
    try:
        return read_raster_bytes(content, limits, short_side, parts=parts)
    except MemoryError as exc:
        raise TooLarge("the image needs more memory to decode than allowed; send a smaller one") from exc


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

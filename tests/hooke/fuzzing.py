"""Damage as it happens, and as it is made, to the bytes of a file."""

import io
import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from hooke.embed.base import INPUT_SIDE
from hooke.errors import BadInput, TooLarge
from hooke.pixels import Limits, UploadReader
from hooke.views import Box

LIMITS = Limits(pixels=10**7)
SECONDS = 10
MEMORY = 2**30
_LARGEST = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
ASKED: tuple[tuple[int, int | Box], ...] = ((INPUT_SIDE, 0), (8, 4), (8, Box(5, 3, 20, 24)))
"""The model's input, and what is looked at beside the whole: nothing, tiles of a finer level, a region."""
_METADATA = (".zarray", ".zattrs", "zarr.json")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Content with one to eight bits, bytes or runs of it altered, lost, put in, or put elsewhere."""
    altered = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        # headers are short, and half of what can go wrong
        place = chance.randrange(max(1, min(len(altered), 400 if chance.random() < 0.5 else len(altered))))
        end = place + chance.randrange(64)
        match chance.randrange(7 if altered else 1):
            case 0:
                altered[place:place] = chance.randbytes(end - place)
            case 1:
                altered[place] ^= 1 << chance.randrange(8)
            case 2:
                altered[place] = chance.randrange(256)
            case 3:
                altered[place : place + 4] = chance.choice(_LARGEST)
            case 4:
                del altered[place:end]
            case 5:
                altered[place:end] = altered[: end - place]
            case _:
                del altered[place : len(altered) if chance.random() < 0.3 else place + 1]
    return bytes(altered)


def mutated_zarr(folder: Path, chance: random.Random) -> bytes:
    """A zip, whole in itself, of an OME-Zarr one of whose files is damaged: half of the time its metadata."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    metadata = [name for name in files if name.endswith(_METADATA)]
    damaged = chance.choice(metadata if chance.random() < 0.5 else list(files))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files.items():
            content = path.read_bytes()
            archive.writestr(name, mutated(content, chance) if name == damaged else content)
    return buffer.getvalue()


def fuzz(kinds: Mapping[str, Callable[[random.Random], bytes]], reader: UploadReader, times: int) -> Counter[str]:
    """What reading damaged files came to, kind by kind in turn. Any end but a raster or a named error raises.

    A decoder that crashes its process, or that has to be stopped, is an error here, though its parent survives it.
    """
    ends: Counter[str] = Counter()
    names = sorted(kinds)
    for number in range(times):
        chance = random.Random(number)
        name = names[number % len(names)]
        content = kinds[name](chance)
        try:
            side, parts = ASKED[number // len(names) % len(ASKED)]
            reader.read(content, LIMITS, seconds=SECONDS, memory_bytes=MEMORY, short_side=side, parts=parts)
            end, reason = "read", ""
        except (BadInput, TooLarge) as error:  # a region may be outside of what is left
            end, reason = type(error).__name__, str(error)
        ends[end] += 1
        assert not re.search(r"\n|crash|took over", reason), f"{name}, damage {number}: {reason}"
    return ends

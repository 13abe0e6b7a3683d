"""Reading of images in processes that are killed when they take too long, and that may only use so much memory."""

import atexit
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from functools import cache, partial
from math import prod
from typing import IO

import numpy as np

from hooke.embed.base import INPUT_SIDE, Raster, Tile
from hooke.pixels.decoding import Array
from hooke.pixels.limits import Limits
from hooke.pixels.parts import MOST_TILES, Parts
from hooke.pixels.pool import Answer, Pool, Wording
from hooke.pixels.read import is_address
from hooke.settings import DEFAULT_READING, ReadingSettings
from hooke.views import Box

_UPLOADS = Wording(
    late="the image took over {seconds} s to decode; send a smaller one",
    crashed="the image made its decoder crash; convert it to PNG or plain TIFF",
    memory="the image needs more memory to decode than allowed; send a smaller one",
)
_FILES = Wording(
    late="it took over {seconds} s to read; see whether its disk answers, or raise HOOKE_IMAGE_SECONDS",
    crashed="the process that read it crashed or was killed; convert it to PNG or plain TIFF, or see whether memory "
    "is short",
    memory="it needs more memory to read than allowed; raise HOOKE_IMAGE_MEMORY, or save it with smaller levels",
)
_DTYPES = ("uint8", "uint16", "float32")
_MOST_THUMBNAIL_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of an image that an index looks at: its digest (as `read_changed` has it), raster and thumbnail."""

    digest: int
    raster: Raster
    thumbnail: bytes


class UploadReader:
    """Decodes uploads in as many processes at once as there are `workers`; safe to use from several threads."""

    def __init__(self, workers: int = 2) -> None:
        self._pool = Pool(workers, _UPLOADS)

    def read(
        self,
        data: bytes,
        limits: Limits,
        *,
        seconds: float,
        memory_bytes: int,
        short_side: int = INPUT_SIDE,
        parts: Parts = 0,
    ) -> Raster:
        """The raster of an upload, and its parts.

        Raises TooLarge beyond the limits, the seconds or the memory; UnreadableImage for what is no image or damaged;
        BadInput for a region outside it.
        """
        limits.check_size(len(data))
        request = _request(limits, memory_bytes, short_side, parts)
        return self._pool.ask(request, data, partial(_raster, limits=limits), seconds=seconds)

    def close(self) -> None:
        """End the processes, once they are idle."""
        self._pool.close()


class FileReader:
    """Reads images by path or address in as many processes at once as there are `workers`, as `UploadReader` does."""

    def __init__(self, workers: int) -> None:
        self._pool = Pool(workers, _FILES)

    def read_changed(
        self,
        path: str,
        limits: Limits,
        known: int | None,
        short_side: int = INPUT_SIDE,
        *,
        parts: int = 0,
        settings: ReadingSettings = DEFAULT_READING,
    ) -> Reading | None:
        """What is read of an image; None where its digest is the known one.

        Raises TooLarge beyond the limits, the seconds or the memory; UnreadableImage for what is no image or damaged.
        """
        place = path if is_address(path) else os.path.join(os.getcwd(), path)
        request = {"path": place, "known": known, **_request(limits, settings.memory_bytes, short_side, parts)}
        return self._pool.ask(request, b"", partial(_reading, limits=limits), seconds=settings.seconds)

    def kill(self) -> None:
        """End the processes now, as `Pool.kill` does; a later read starts them anew."""
        self._pool.kill()

    def close(self) -> None:
        """End the processes, once they are idle."""
        self._pool.close()


def read_upload(data: bytes, limits: Limits, *, seconds: float, memory_bytes: int) -> Raster:
    """The raster of an upload, by processes that this program shares: see `UploadReader.read`."""
    return _shared_upload_reader().read(data, limits, seconds=seconds, memory_bytes=memory_bytes)


@cache
def _shared_upload_reader() -> UploadReader:
    reader = UploadReader()
    atexit.register(reader.close)
    return reader


@cache
def shared_file_reader(workers: int) -> FileReader:
    """The reader with so many processes that this program shares: they take a second to start."""
    reader = FileReader(workers)
    atexit.register(reader.close)
    return reader


def _request(limits: Limits, memory_bytes: int, short_side: int, parts: Parts) -> Mapping[str, object]:
    return {
        "limits": asdict(limits),
        "memory_bytes": memory_bytes,
        "short_side": short_side,
        "parts": astuple(parts) if isinstance(parts, Box) else parts,
    }


def _reading(answers: IO[bytes], answer: Answer, limits: Limits) -> Reading | None:
    if answer.get("unchanged") is True:
        return None
    digest, size = answer["digest"], answer["thumbnail"]
    if not isinstance(digest, int) or not isinstance(size, int) or not 0 < size <= _MOST_THUMBNAIL_BYTES:
        raise EOFError
    return Reading(digest, _raster(answers, answer, limits), _bytes(answers, size))


def _raster(answers: IO[bytes], answer: Answer, limits: Limits) -> Raster:
    """The raster an answer announces, checked again: the sender has handled hostile bytes."""
    shape, dtype = answer["shape"], answer["dtype"]
    if not isinstance(shape, list) or len(shape) != 4 or dtype not in _DTYPES:
        raise EOFError
    frames, channels, height, width = (int(length) for length in shape)
    limits.check_shape(width, height, channels=channels, planes=frames)
    first, *others = _array(answers, (frames, channels, height, width), str(dtype))
    tiles = _tiles(answers, answer["tiles"], channels, str(dtype), limits)
    return Raster(first, answer["rgb"] is True, tuple(others), tuple(tiles))


def _tiles(answers: IO[bytes], announced: object, channels: int, dtype: str, limits: Limits) -> Iterator[Tile]:
    if not isinstance(announced, list) or len(announced) > MOST_TILES:
        raise EOFError
    for numbers in announced:
        x, y, box_width, box_height, height, width = (int(number) for number in numbers)
        limits.check_shape(width, height, channels=channels)
        yield Tile(Box(x, y, box_width, box_height), _array(answers, (channels, height, width), dtype))


def _array(answers: IO[bytes], shape: tuple[int, ...], dtype: str) -> Array:
    return np.frombuffer(_bytes(answers, prod(shape) * np.dtype(dtype).itemsize), dtype=dtype).reshape(shape)


def _bytes(answers: IO[bytes], size: int) -> bytes:
    content = answers.read(size)
    if len(content) != size:
        raise EOFError
    return content

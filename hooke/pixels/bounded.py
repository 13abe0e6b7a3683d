"""Decoding of uploads in a process that is killed when it takes too long, and that may only use so much memory."""

import atexit
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, astuple
from functools import cache
from math import prod
from pathlib import Path
from queue import LifoQueue
from threading import Event, Timer
from typing import IO

import numpy as np

import hooke
from hooke.embed.base import INPUT_SIDE, Raster, Tile
from hooke.errors import BackendUnavailable, BadInput, HookeError, TooLarge, UnreadableImage
from hooke.pixels.decoding import Array
from hooke.pixels.limits import Limits
from hooke.pixels.parts import MOST_TILES, Parts
from hooke.pixels.worker import READY
from hooke.views import Box

_MODULE = "hooke.pixels.worker"
_START_SECONDS = 60
_ERRORS = {error.__name__: error for error in (BadInput, TooLarge, UnreadableImage)}
# a process that has died, or that sends what no worker would
_CRASHES = (OSError, EOFError, ValueError, LookupError, TypeError, RecursionError)
_DTYPES = ("uint8", "uint16", "float32")


class UploadReader:
    """Decodes uploads in warm processes, as many at once as there are `workers`; safe to use from several threads.

    A process is started at its first use, and anew when it has died or was killed.
    """

    def __init__(self, workers: int = 2) -> None:
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for _ in range(workers):
            self._idle.put(_Worker())
        self._count = workers

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
        worker = self._idle.get()
        try:
            needs: dict[str, object] = {
                "limits": asdict(limits),
                "memory_bytes": memory_bytes,
                "short_side": short_side,
            }
            needs["parts"] = astuple(parts) if isinstance(parts, Box) else parts
            return worker.read(data, limits, needs, seconds=seconds)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the processes, once they are idle."""
        for _ in range(self._count):
            self._idle.get().stop()
        self._count = 0


def read_upload(data: bytes, limits: Limits, *, seconds: float, memory_bytes: int) -> Raster:
    """The raster of an upload, by processes that this program shares: see `UploadReader.read`."""
    return _shared_reader().read(data, limits, seconds=seconds, memory_bytes=memory_bytes)


@cache
def _shared_reader() -> UploadReader:
    reader = UploadReader()
    atexit.register(reader.close)
    return reader


class _Worker:
    """One decoding process, for one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, limits: Limits, needs: Mapping[str, object], *, seconds: float) -> Raster:
        process = self._started()
        late = Event()
        timer = Timer(seconds, _kill, (process, late))
        timer.daemon = True
        timer.start()
        try:
            answer = _ask(process, {"size": len(data), **needs}, data, limits)
        except BaseException as exc:
            # what is left of an answer would be taken for the next one
            self.stop()
            if not isinstance(exc, _CRASHES):
                raise
            if late.is_set():
                raise TooLarge(f"the image took over {seconds:g} s to decode; send a smaller one") from exc
            raise UnreadableImage("the image made its decoder crash; convert it to PNG or plain TIFF") from exc
        finally:
            timer.cancel()
        if isinstance(answer, Raster):
            return answer
        raise answer

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                _close(pipe)
            self._process = None

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = _start()
        return self._process


def _start() -> "subprocess.Popen[bytes]":
    """A process that has loaded its decoders.

    Not `multiprocessing`: fork copies the server's threads' locks, spawn imports its main module, and both unpickle.
    """
    root = Path(hooke.__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    timer = Timer(_START_SECONDS, process.kill)
    timer.start()
    ready = _pipe(process.stdout).readline()
    timer.cancel()
    if ready != READY:
        process.kill()
        process.wait()
        raise BackendUnavailable("the process that decodes uploads does not start; see whether memory is short")
    return process


def _ask(
    process: "subprocess.Popen[bytes]", header: Mapping[str, object], data: bytes, limits: Limits
) -> Raster | HookeError:
    """The raster, or the error that the process answers with."""
    requests, answers = _pipe(process.stdin), _pipe(process.stdout)
    requests.write(json.dumps(header).encode() + b"\n")
    requests.write(data)
    requests.flush()
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    if "error" in answer:
        return _ERRORS.get(answer["error"], UnreadableImage)(answer["message"])
    return _received(answers, answer, limits)


def _received(answers: IO[bytes], answer: Mapping[str, object], limits: Limits) -> Raster:
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
    size = prod(shape) * np.dtype(dtype).itemsize
    content = answers.read(size)
    if len(content) != size:
        raise EOFError
    return np.frombuffer(content, dtype=dtype).reshape(shape)


def _kill(process: "subprocess.Popen[bytes]", late: Event) -> None:
    late.set()
    process.kill()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise OSError("the process has no pipe")
    return pipe


def _close(pipe: IO[bytes] | None) -> None:
    # Closing sends what is still buffered, to a process that is gone.
    with suppress(OSError):
        _pipe(pipe).close()

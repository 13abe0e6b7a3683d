"""Decoding processes, seen from their parent: started, asked, and killed when they take too long."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Timer
from typing import IO, TypeVar

import hooke
from hooke.errors import BackendUnavailable, BadInput, HookeError, TooLarge, UnreadableImage
from hooke.pixels.worker import READY

_MODULE = "hooke.pixels.worker"
_START_SECONDS = 60
_PATIENCE_SECONDS = 0.1
_ERRORS = {error.__name__: error for error in (BadInput, TooLarge, UnreadableImage)}
# a process that has died, or that sends what no worker would
_CRASHES = (OSError, EOFError, ValueError, LookupError, TypeError, RecursionError)

T = TypeVar("T")
Answer = Mapping[str, object]
Receive = Callable[[IO[bytes], Answer], T]
"""Makes a result of an answer's first line and of the bytes behind it. Raises EOFError for what no worker sends."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is told where an image is given up; in `late`, `{seconds}` stands for the seconds that it was given."""

    late: str
    crashed: str
    memory: str


class Pool:
    """Warm processes, as many at once as `workers`; safe to use from several threads.

    The first is started when it is needed, a further one when none got free for a while: small images need no second.
    One that has died or was killed is started anew.
    """

    def __init__(self, workers: int, wording: Wording) -> None:
        self._wording = wording
        self._workers = tuple(_Worker(wording) for _ in range(workers))
        self._cold = list(self._workers)
        self._idle: list[_Worker] = []
        self._is_starting = False
        self._kills = 0
        self._changed = Condition()

    def ask(self, request: Mapping[str, object], data: bytes, receive: Receive[T], *, seconds: float) -> T:
        """What is received of a process's answer to a request, of which `data` is the content that goes with it.

        Raises TooLarge beyond the seconds, UnreadableImage where the process dies, and what it answers with.
        """
        kills = self._kills
        worker = self._taken(kills)
        try:
            process = self._started(worker, kills)
            return worker.ask(process, {"size": len(data), "seconds": seconds, **request}, data, receive, seconds)
        finally:
            with self._changed:
                self._idle.append(worker)
                self._changed.notify()

    def kill(self) -> None:
        """End all processes now, those at work too: who has one, or waits for one, is told that it crashed."""
        with self._changed:
            # before the processes: one that is started meanwhile is seen to be late
            self._kills += 1
            self._changed.notify_all()
        for worker in self._workers:
            worker.kill()

    def close(self) -> None:
        """End the processes, once they are idle."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._idle) + len(self._cold) == len(self._workers))
            for worker in self._workers:
                worker.stop()

    def _taken(self, kills: int) -> "_Worker":
        patience = time.monotonic() + _PATIENCE_SECONDS
        with self._changed:
            while not self._idle and not self._may_start(patience):
                self._changed.wait(_PATIENCE_SECONDS)
                self._check(kills)
            if self._idle:
                return self._idle.pop()
            worker, self._is_starting = self._cold.pop(), True
        self._start(worker, kills)
        return worker

    def _check(self, kills: int) -> None:
        """Raise what a crash raises where the processes were killed since there had been so many kills."""
        if self._kills != kills:
            raise UnreadableImage(self._wording.crashed)

    def _started(self, worker: "_Worker", kills: int) -> "subprocess.Popen[bytes]":
        try:
            process = worker.start()
        except BackendUnavailable:
            self._check(kills)
            raise
        self._check(kills)
        return process

    def _may_start(self, patience: float) -> bool:
        is_due = len(self._cold) == len(self._workers) or time.monotonic() >= patience
        return bool(self._cold) and is_due and not self._is_starting

    def _start(self, worker: "_Worker", kills: int) -> None:
        """Start a process; others may be served by those before it meanwhile."""
        try:
            self._started(worker, kills)
        except BaseException:
            self._cold.append(worker)
            raise
        finally:
            with self._changed:
                self._is_starting = False
                self._changed.notify_all()


class _Worker:
    """One decoding process, for one thread at a time."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._process: subprocess.Popen[bytes] | None = None

    def ask(
        self,
        process: "subprocess.Popen[bytes]",
        request: Mapping[str, object],
        data: bytes,
        receive: Receive[T],
        seconds: float,
    ) -> T:
        """What the process, as `start` gave it, answers; where it was killed since, no other is started."""
        late = Event()
        timer = Timer(seconds, _kill, (process, late))
        timer.daemon = True
        timer.start()
        try:
            answer = _ask(process, request, data, receive)
        except BaseException as exc:
            # what is left of an answer would be taken for the next one
            self.stop()
            if not isinstance(exc, _CRASHES):
                raise
            if late.is_set():
                raise TooLarge(self._wording.late.format(seconds=f"{seconds:g}")) from exc
            raise UnreadableImage(self._wording.crashed) from exc
        finally:
            timer.cancel()
        if isinstance(answer, MemoryError):
            raise TooLarge(self._wording.memory)
        if isinstance(answer, HookeError):
            raise answer
        return answer

    def start(self) -> "subprocess.Popen[bytes]":
        """The process, started where there is none that lives."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = _start()
            _await_ready(self._process)
        return self._process

    def kill(self) -> None:
        """From any thread: the one that waits for the process sees it end."""
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                _close(pipe)
            self._process = None


def _start() -> "subprocess.Popen[bytes]":
    """A process that is to load its decoders.

    Not `multiprocessing`: fork copies the server's threads' locks, spawn imports its main module, and both unpickle.
    """
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        cwd=Path(hooke.__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for the parent, which may have something left to do with what is being read
        process_group=0,
    )


def _await_ready(process: "subprocess.Popen[bytes]") -> None:
    timer = Timer(_START_SECONDS, process.kill)
    timer.start()
    ready = _pipe(process.stdout).readline()
    timer.cancel()
    if ready != READY:
        process.kill()
        process.wait()
        raise BackendUnavailable("the process that decodes images does not start; see whether memory is short")


def _ask(
    process: "subprocess.Popen[bytes]", request: Mapping[str, object], data: bytes, receive: Receive[T]
) -> T | HookeError | MemoryError:
    """What is received, or the error that the process answers with."""
    requests, answers = _pipe(process.stdin), _pipe(process.stdout)
    requests.write(json.dumps(request).encode() + b"\n")
    requests.write(data)
    requests.flush()
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    if answer.get("error") == MemoryError.__name__:
        return MemoryError()
    if "error" in answer:
        return _ERRORS.get(answer["error"], UnreadableImage)(answer["message"])
    return receive(answers, answer)


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

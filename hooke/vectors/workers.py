"""Threads for one search's shards, and searches that arrive together made one."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """Runs functions on so many threads, the caller's among them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def run(self, functions: Sequence[Callable[[], R]]) -> list[R]:
        """What each returns, in their order. Raises what the first of them to fail raised, once all have ended."""
        waiting = deque(enumerate(functions))
        results: dict[int, R] = {}

        def work() -> None:
            while True:
                try:
                    number, function = waiting.popleft()
                except IndexError:
                    return
                results[number] = function()

        others = min(self.threads, len(functions)) - 1
        futures = [_pool().submit(work) for _ in range(others)]
        try:
            work()
        finally:
            waiting.clear()
            # one that a busy pool has not begun would find nothing left to do
            failures = [future.exception() for future in futures if not future.cancel()]
        for failure in failures:
            if failure is not None:
                raise failure
        return [results[number] for number in range(len(functions))]

    def apart(self, function: Callable[[], R]) -> R:
        """What a function returns that is run by one of the threads that stay, whose memory need not be mapped anew."""
        return _pool().submit(function).result()


def usable_threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_threads(), thread_name_prefix="vectors")


@dataclass(eq=False, slots=True)
class _Waiting(Generic[T, R]):
    task: T
    answer: Future[R] = field(default_factory=Future)


class Batcher(Generic[T, R]):
    """Answers tasks that arrive while others are being answered together, as many at once as are allowed.

    Whoever finds nobody at work answers what waits: a task that comes alone waits for nothing.
    """

    def __init__(self, answer: Callable[[Sequence[T]], Sequence[R]], most: int) -> None:
        self._answer = answer
        self._most = most
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._turn = threading.Lock()

    def submit(self, task: T) -> R:
        """The answer to a task; raises what answering it alone would raise."""
        mine: _Waiting[T, R] = _Waiting(task)
        self._waiting.append(mine)
        while not mine.answer.done():
            with self._turn:
                if not mine.answer.done():
                    self._answer_some()
        return mine.answer.result()

    def _answer_some(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            self._settle(taken)
        finally:
            # interrupted (Ctrl-C): the others are answered by whoever has the next turn
            self._waiting.extendleft(reversed([each for each in taken if not each.answer.done()]))

    def _settle(self, taken: Sequence[_Waiting[T, R]]) -> None:
        try:
            for each, answer in zip(taken, self._answer([each.task for each in taken]), strict=True):
                each.answer.set_result(answer)
        except Exception as exc:
            # one bad task must not fail the others: each is answered, or fails, alone
            if len(taken) == 1:
                taken[0].answer.set_exception(exc)
                return
            logger.info("%d tasks together failed: they are answered one by one", len(taken), exc_info=True)
            for each in taken:
                self._settle([each])

"""Work on a stream of items in threads, a bounded number of them at once, in the stream's order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlapped(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int,
    ahead: int,
    abandon: Callable[[], None] | None = None,
) -> Generator[R, None, None]:
    """What the function makes of each item, in order; while one is waited for, at most `ahead` more are under way.

    Items are taken in the caller's thread, as they are needed. Raises what the function raised when its item's turn
    comes; closed early, it waits only for the items that threads are at, after `abandon`, which is to end them soon.

    >>> list(overlapped(abs, [-1, 2, -3], threads=2, ahead=1))
    [1, 2, 3]
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        if abandon is not None:
            abandon()
        raise
    finally:
        pool.shutdown(cancel_futures=True)

"""Python's cyclic garbage collector, and when to leave it alone."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """A block in which nothing is collected.

    Millions of small objects live through a load and none is in a circle; walking them takes longer than making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

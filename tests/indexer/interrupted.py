"""`hooke` with small commits and segments, that sends itself a signal at a chosen point.

python -m tests.indexer.interrupted POINT NUMBER SIGNAL COMMAND...: the NUMBER-th time POINT is passed.
"""

import os
import sys
from collections.abc import Callable
from itertools import count
from typing import ParamSpec, TypeVar

from hooke.cli import main
from hooke.store.sqlite.writer import SqliteWriter
from hooke.vectors import compact
from hooke.vectors.segments import SegmentStore
from indexer import embedding, pipeline
from indexer.annotate import Annotator

P = ParamSpec("P")
R = TypeVar("R")

COMMIT_IMAGES, SEGMENT_IMAGES, BATCH = 7, 6, 3


def signalling(function: Callable[P, R], number: int, signal: int) -> Callable[P, R]:
    """The function, and the signal once it has returned for the number-th time."""
    calls = count(1)

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        result = function(*args, **kwargs)
        if next(calls) == number:
            os.kill(os.getpid(), signal)
        return result

    return wrapped


POINTS = {
    "image read": (Annotator, "image"),
    "studies put": (SqliteWriter, "put_studies"),
    "commit": (SqliteWriter, "commit"),
    "batch embedded": (embedding.EmbeddingRun, "_add"),
    "segment written": (SegmentStore, "append"),
    "rows copied": (compact, "_block"),
    "rows merged": (SegmentStore, "append_sorted"),
}

if __name__ == "__main__":
    point, times, number, *command = sys.argv[1:]
    owner, name = POINTS[point]
    setattr(owner, name, signalling(getattr(owner, name), int(times), int(number)))
    pipeline.COMMIT_IMAGES, embedding.SEGMENT_IMAGES, embedding.BATCH = COMMIT_IMAGES, SEGMENT_IMAGES, BATCH
    sys.argv = ["hooke", *command]
    main()

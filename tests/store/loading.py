"""A load in a process of its own, that kills itself at a chosen point.

python -m tests.store.loading LEDGER URL PREFIX IMAGES [POINT NUMBER]: when POINT is come to for the NUMBER-th time.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from hooke.settings import ClusterSettings
from hooke.store.elasticsearch import ElasticsearchStore, ledger
from hooke.store.elasticsearch.bulk import Bulk
from hooke.store.elasticsearch.states import States
from hooke.store.location import Location
from tests.store.records import MANIFEST, STUDIES, images, study

P = ParamSpec("P")
R = TypeVar("R")
COMMIT_IMAGES = 200
SETTINGS = ClusterSettings(shards=2, replicas=0)
POINTS: dict[str, tuple[object, str]] = {
    "aliases set": (States, "_alias"),
    "batch sent": (Bulk, "_carry_out"),
    "batch awaited": (Bulk, "_next"),
    "state published": (States, "publish"),
    "state recorded": (ledger, "supersede"),
    "state shown": (States, "show"),
}


def killed_at(function: Callable[P, R], number: int) -> Callable[P, R]:
    """The function, but the process is killed when it is called for the number-th time."""
    calls = count(1)

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return wrapped


def load_in_parts(store: ElasticsearchStore, total: int) -> None:
    """Studies, then images with a commit after each part: what an indexer does."""
    with store.write() as writer:
        writer.put_studies(map(study, range(STUDIES)))
        writer.commit(MANIFEST)
        coming = images(total)
        while part := list(islice(coming, COMMIT_IMAGES)):
            writer.put_images(part)
            assert writer.refused() == ()
            writer.commit(MANIFEST)


if __name__ == "__main__":
    path, url, prefix, total, *rest = sys.argv[1:]
    if rest:
        owner, name = POINTS[rest[0]]
        setattr(owner, name, killed_at(getattr(owner, name), int(rest[1])))
    with closing(ElasticsearchStore(Path(path), SETTINGS, Location((url,), prefix))) as store:
        load_in_parts(store, int(total))

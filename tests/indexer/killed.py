"""Runs of `hooke index` that are killed at random, and what each of them lost.

python -m tests.indexer.killed FOLDER INDEX CALM KILLS SEED SEGMENT_IMAGES BATCH: index the images of a folder into
CALM, undisturbed; then KILLS times into INDEX, killed after some images, or in the first third of the time that the
calm run took, and at last to the end. Print, for each of these, the images embedded and those of them kept.

What is slow to load is loaded once: each run is a fork of this process, which has started no thread.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hooke.embed.base import Embedder
from hooke.embed.timm import DEFAULT_MODEL
from hooke.index import IndexDirectory
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.sqlite import SqliteStore
from indexer import embedding
from indexer.embedding import Model, embedded_ordinals
from indexer.pipeline import IndexJob, run

_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


@dataclass(frozen=True, slots=True)
class Kill:
    """When: so many seconds after the run has embedded so many images."""

    images: int
    seconds: float


def kept(index: Path) -> int:
    """The images that have rows."""
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        return len(embedded_ordinals(IndexDirectory(index), reader, DEFAULT_CLUSTER))


def run_counted(folder: Path, index: Path, count: int) -> None:
    """Index a folder; a byte goes to the file `count` for each image that is embedded."""
    embed = embedding.embedded

    def counted(embedder: Embedder, batch: Sequence[embedding.Loaded]) -> list[embedding.Embedded]:
        found = embed(embedder, batch)
        os.write(count, b"." * len(batch))
        return found

    embedding.embedded = counted
    run(IndexJob((folder,), index, model=Model(DEFAULT_MODEL)))


def embedded_by(run_to: Kill | None, folder: Path, index: Path) -> int:
    """Fork a run and kill it there, if it gets there; the images that it embedded."""
    with tempfile.TemporaryFile() as count:
        child = os.fork()
        if child == 0:
            try:
                run_counted(folder, index, count.fileno())
                os._exit(0)
            finally:
                os._exit(1)
        if run_to is not None:
            while os.fstat(count.fileno()).st_size < run_to.images and os.waitid(os.P_PID, child, _LOOK) is None:
                time.sleep(0.005)
            time.sleep(run_to.seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if run_to is None and status != 0:
            sys.exit(f"the run to the end failed: {status}")
        return count.seek(0, 2)


def main() -> None:
    folder, index, calm = map(Path, sys.argv[1:4])
    kills, seed, embedding.SEGMENT_IMAGES, embedding.BATCH = map(int, sys.argv[4:])
    random, started = Random(seed), time.monotonic()
    embedded_by(None, folder, calm)
    whole = time.monotonic() - started
    # most where a run surely is at work, the others early: one that is killed late may have ended
    early, most = kills // 3, 2 * embedding.SEGMENT_IMAGES
    at = [Kill(random.randrange(1, most), random.uniform(0, 0.1)) for _ in range(kills - early)]
    at += [Kill(0, random.uniform(0, whole / 3)) for _ in range(early)]
    random.shuffle(at)
    before = 0
    for run_to in (*at, None):
        embedded = embedded_by(run_to, folder, index)
        now = kept(index) if (index / "metadata.sqlite").exists() else 0
        sys.stdout.write(f"{embedded} {now - before}\n")
        before = now


if __name__ == "__main__":
    main()

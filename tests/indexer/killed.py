"""Runs of `hooke index` that are killed at random, and what each of them lost.

python -m tests.indexer.killed FOLDER INDEX KILLS SECONDS SEED SEGMENT_IMAGES BATCH: index the images of a folder KILLS
times, killed within SECONDS, and then to the end; print, for each, the images embedded and those of them kept.

What is slow to load is loaded once: each run is a fork of this process, which has started no thread.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
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


def kept(index: Path) -> int:
    """The images that have rows."""
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        return len(embedded_ordinals(IndexDirectory(index), reader, DEFAULT_CLUSTER))


def run_counted(folder: Path, index: Path, count: int) -> None:
    """Index a folder; a byte goes to the file `count` for each image that is embedded."""
    embed = embedding._embedded

    def counted(embedder: Embedder, batch: Sequence[embedding._Loaded]) -> list[embedding._Embedded]:
        found = embed(embedder, batch)
        os.write(count, b"." * len(batch))
        return found

    embedding._embedded = counted
    run(IndexJob((folder,), index, model=Model(DEFAULT_MODEL)))


def killed_after(seconds: float | None, folder: Path, index: Path) -> int:
    """Fork a run and kill it after so many seconds; the images that it embedded."""
    with tempfile.TemporaryFile() as count:
        child = os.fork()
        if child == 0:
            try:
                run_counted(folder, index, count.fileno())
                os._exit(0)
            finally:
                os._exit(1)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if seconds is None and status != 0:
            sys.exit(f"the run to the end failed: {status}")
        return count.seek(0, 2)


def main() -> None:
    folder, index = Path(sys.argv[1]), Path(sys.argv[2])
    kills, seconds = int(sys.argv[3]), float(sys.argv[4])
    random = Random(int(sys.argv[5]))
    embedding.SEGMENT_IMAGES, embedding.BATCH = int(sys.argv[6]), int(sys.argv[7])
    before = 0
    for _ in range(kills):
        embedded = killed_after(random.uniform(0, seconds), folder, index)
        now = kept(index) if (index / "metadata.sqlite").exists() else 0
        sys.stdout.write(f"{embedded} {now - before}\n")
        before = now
    embedded = killed_after(None, folder, index)
    sys.stdout.write(f"{embedded} {kept(index) - before}\n")


if __name__ == "__main__":
    main()

"""Images read and embedded by Dask's workers: the index is that of one process, whatever happens to them."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import tifffile
from distributed import LocalCluster
from PIL import Image as Picture

from hooke.index import IndexDirectory
from hooke.store.sqlite import SqliteStore
from indexer.pipeline import IndexJob, run
from indexer.report import Report
from tests.hooke.test_ome_zarr import dark
from tests.hooke.zarrs import write_plate
from tests.indexer.archives import MODEL, held, index_all, write_images

POISON = "poison"
# a worker that begins to read a file of this name dies, as one does whose decoder crashes
PRELOAD = f"""
import os
from indexer import distribution
read = distribution.look
def dying(asked, space):
    if {POISON!r} in asked.path:
        os._exit(9)
    return read(asked, space)
distribution.look = dying
"""
IMAGES = 18


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two processes of one thread; one worker's death is enough to give a task up."""
    with LocalCluster(
        2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        preload=[PRELOAD],
        scheduler_kwargs={"allowed_failures": 1, "dashboard_address": "127.0.0.1:0"},
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several formats: the same content twice, within a chunk and beyond it, and broken ones."""
    folder = write_images(tmp_path_factory.mktemp("archive") / "images", IMAGES)
    for n in (2, 3, 11):
        pixels = np.random.default_rng(n).integers(0, 60_000, (3, 40, 30), dtype=np.uint16)
        tifffile.imwrite(folder / f"field{n:03}.png", pixels, photometric="minisblack")
    Picture.new("RGB", (30, 20), (200, 10, 90)).save(folder / "field004.png", format="JPEG")
    for twin, first in ((6, 5), (16, 5), (17, 3)):
        copyfile(folder / f"field{first:03}.png", folder / f"field{twin:03}.png")
    broken = folder / "field008.png"
    broken.write_bytes(broken.read_bytes()[:60])
    (folder / "field012.png").write_text("no image")
    write_plate(folder.parent / "screen" / "p.zarr", {f"A/1/{n}": [dark(2, 40, 60)] for n in range(2)}, "cyx")
    return folder


@pytest.fixture(scope="module")
def alone(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """The index that one process makes."""
    index = tmp_path_factory.mktemp("alone")
    return index, index_all(index, archive, archive.parent / "screen", model=MODEL)


def job(index: Path, archive: Path, workers: str) -> IndexJob:
    return IndexJob((archive, archive.parent / "screen"), index, model=MODEL, workers=workers)


def files(index: Path) -> list[tuple[str, bytes]]:
    """What the segments of an index hold in their order, and its thumbnails."""
    directory = IndexDirectory(index)
    with closing(SqliteStore(directory.metadata)) as store, store.read() as reader:
        segments = [index / "vectors" / name for name in reader.snapshot.manifest.segments]
    found = [(each.name, each.read_bytes()) for segment in segments for each in sorted(segment.iterdir())]
    pictures = sorted((index / "thumbnails").rglob("*.*"))
    return found + [(each.relative_to(index).as_posix(), each.read_bytes()) for each in pictures]


def test_the_index_is_that_of_one_process(
    archive: Path, alone: tuple[Path, Report], cluster: LocalCluster, tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []
    work = job(tmp_path, archive, cluster.scheduler_address)
    report = run(work, lambda stage, done, _: told.append((stage, done)))
    assert report.quarantined == alone[1].quarantined
    assert len(report.quarantined) == 2
    assert report.embedded == IMAGES
    assert held(tmp_path) == held(alone[0])
    assert files(tmp_path) == files(alone[0])
    assert [done for stage, done in told if stage == "embedding"] == list(range(IMAGES + 3))

    again = run(work)
    assert (again.embedded, again.quarantined) == (IMAGES, report.quarantined)
    assert files(tmp_path) == files(alone[0]), "nothing is embedded twice"

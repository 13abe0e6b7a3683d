"""Images read and embedded by Dask's workers: the index is that of one process, whatever happens to them."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from distributed import Client, LocalCluster
from PIL import Image as Picture

from hooke.embed.fingerprint import golden_vector
from hooke.embed.timm import load_embedder
from hooke.errors import BackendUnavailable, BadInput, SpaceMismatch
from hooke.index import IndexDirectory
from hooke.settings import DEFAULT_READING
from hooke.store.sqlite import SqliteStore
from indexer import distribution
from indexer.distribution import Recipe, hands_at
from indexer.embedding import Asked, C, Content, Model
from indexer.pipeline import IndexJob, run
from indexer.report import Report
from indexer.sources import Quarantined
from tests.hooke.test_ome_zarr import dark
from tests.hooke.zarrs import write_plate
from tests.indexer.archives import MODEL, held, index_all, write_images

POISON = "poison"
# a worker that begins to read a file of this name dies, as one does whose decoder crashes
PRELOAD = f"""
import os
from indexer import distribution
if distribution.look.__name__ != "dying":  # Dask may run this twice
    read = distribution.look
def dying(asked, *rest):
    if {POISON!r} in asked.path:
        os._exit(9)
    return read(asked, *rest)
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
        scheduler_kwargs={"allowed_failures": 0, "dashboard_address": "127.0.0.1:0"},
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


def files(index: Path) -> dict[str, bytes]:
    """What an index has of each kind of rows, however its segments were cut (each minute too), and its thumbnails."""
    directory = IndexDirectory(index)
    with closing(SqliteStore(directory.metadata)) as store, store.read() as reader:
        segments = reader.snapshot.manifest.segments
    found: dict[str, bytes] = defaultdict(bytes)
    for segment in segments:
        # its own name and checksums are in the JSON
        for each in sorted((index / "vectors" / segment).iterdir()):
            if each.suffix != ".json":
                found[f"{segment.partition('-')[0]} {each.name}"] += each.read_bytes()
    for kind in {name.partition(" ")[0] for name in found}:
        ordinals = np.frombuffer(found[f"{kind} ordinals.u32"], np.uint32)
        order = np.argsort(ordinals, kind="stable")
        for name in [name for name in found if name.startswith(f"{kind} ")]:
            found[name] = np.frombuffer(found[name], np.uint8).reshape(len(ordinals), -1)[order].tobytes()
    pictures = [path for path in (index / "thumbnails").rglob("*") if path.is_file()]
    return found | {path.relative_to(index).as_posix(): path.read_bytes() for path in pictures}


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


def test_a_worker_that_is_killed_costs_nothing(
    archive: Path, alone: tuple[Path, Report], cluster: LocalCluster, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(stage: str, done: int, _: int | None) -> None:
        if stage == "embedding" and done >= IMAGES // 2 and not killed:
            with Client(cluster.scheduler_address, set_as_default=False) as client:
                killed.extend(list(client.run(os.getpid).values())[:1])
            os.kill(killed[0], signal.SIGKILL)

    report = run(job(tmp_path, archive, cluster.scheduler_address), kill)
    assert killed
    assert report.quarantined == alone[1].quarantined
    assert files(tmp_path) == files(alone[0])


def test_a_worker_with_other_weights_or_other_vectors_is_refused_by_its_address(cluster: LocalCluster) -> None:
    embedder = load_embedder(MODEL.name, threads=1)
    golden = golden_vector(embedder)
    for other, reason in (
        (Recipe(Model("balanced"), golden.tobytes(), embedder.space), "another space"),
        (Recipe(MODEL, golden[::-1].tobytes(), embedder.space), "other vectors"),
    ):
        with hands_at(cluster.scheduler_address, MODEL) as hands:
            workers = hands(embedder, lambda ordinal, picture: None, DEFAULT_READING)
            assert isinstance(workers, distribution.Workers)
            workers.recipe = other
            with pytest.raises(SpaceMismatch, match=rf"worker tcp://127\.0\.0\.1:\d+ is refused: .*{reason}"):
                list(workers.embedded([], lambda found: iter(())))


def test_what_a_worker_cannot_see_is_told_at_once_and_by_image(cluster: LocalCluster, tmp_path: Path) -> None:
    seen = str(write_images(tmp_path, 1) / "field000.png")
    embedder = load_embedder(MODEL.name, threads=1)
    found: list[Content | Quarantined | None] = []

    def new(told: Iterable[C | Quarantined | None], /) -> Iterator[C]:
        for each in told:
            found.append(each)
            yield from ()

    with open(seen, "rb") as file, hands_at(cluster.scheduler_address, MODEL) as hands:
        mine = f"/proc/self/fd/{file.fileno()}"
        workers = hands(embedder, lambda ordinal, picture: None, DEFAULT_READING)
        with pytest.raises(BadInput, match=r"worker tcp://.* cannot read .*give it the same folder"):
            list(workers.embedded([Asked(1, mine, None)], new))
        list(workers.embedded([Asked(1, seen, None), Asked(2, mine, None)], new))
    assert isinstance(found[1], Quarantined)
    assert "though this machine can" in found[1].reason


def test_what_is_no_cluster_is_refused_within_seconds(archive: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        run(job(tmp_path, archive, "tcp://127.0.0.1:9"))
    assert time.monotonic() - started < 2 * distribution.CONNECT_SECONDS
    for wrong in ("0", "many", "nonsense://127.0.0.1:9"):
        with pytest.raises(BadInput, match=f"--workers {wrong}"):
            run(job(tmp_path, archive, wrong))
    assert not list(tmp_path.iterdir()), "an index was left behind"


def test_the_command_takes_a_number_of_processes(archive: Path, alone: tuple[Path, Report], tmp_path: Path) -> None:
    inputs = [str(archive), str(archive.parent / "screen")]
    options = ["--index", str(tmp_path), "--model", MODEL.name, "--workers", "1", "--json"]
    command = [sys.executable, "-m", "hooke", "index", *inputs, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["embedded"] == IMAGES
    assert files(tmp_path) == files(alone[0])


def test_one_look_that_sees_no_worker_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler whose only worker starts anew at that moment, and one that stays without."""
    monkeypatch.setattr(distribution, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(distribution, "PATIENCE_SECONDS", 0.5)

    class Slow:
        looks = 0

        def exception(self, timeout: float) -> None:
            self.looks += 1
            if self.looks < 3 or not workers:
                time.sleep(timeout)
                raise TimeoutError

    hands, future, workers = distribution.Workers.__new__(distribution.Workers), Slow(), {"a": 1}
    hands._client = SimpleNamespace(nthreads=lambda: {} if future.looks == 1 else workers)  # type: ignore[assignment]
    assert hands._failure(future) is None  # type: ignore[arg-type]
    workers.clear()
    with pytest.raises(BackendUnavailable, match="no worker"):
        hands._failure(future)  # type: ignore[arg-type]


def test_an_image_that_kills_its_workers_is_quarantined_alone(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # both workers are away while they start anew, on a busy machine for longer than a run would wait
    monkeypatch.setattr(distribution, "PATIENCE_SECONDS", 300)
    images = write_images(tmp_path / "images", 3)
    (images / "field001.png").rename(images / f"{POISON}.png")
    manifest = images / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("field001", POISON))
    report = run(IndexJob((images,), tmp_path / "index", model=MODEL, workers=cluster.scheduler_address))
    (line,) = report.quarantined
    assert Path(line.path).name == f"{POISON}.png"
    assert "died" in line.reason
    assert sorted(held(tmp_path / "index").vectors) == ["images/field000.png", "images/field002.png"]

"""A run that is stopped anywhere, by anything, and the same command again."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hooke.errors import UnknownIndex
from hooke.model import Level
from hooke.request import SearchRequest
from hooke.results import SearchResult
from indexer import embedding, pipeline
from search_api.engine import EmbedderChoice, Engine
from tests.indexer import interrupted
from tests.indexer.archives import (
    MODEL,
    Held,
    held,
    index_all,
    write_crate,
    write_idr,
    write_images,
    write_ontologies,
)

IMAGES = 20
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_idr(folder / "idr")
    write_crate(folder / "crate", "S-BIAD7", "Livers of mice", taxon="10090")
    write_images(folder / "images", IMAGES)
    write_ontologies(folder / "ontologies")
    return folder


@pytest.fixture(autouse=True)
def _small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "COMMIT_IMAGES", interrupted.COMMIT_IMAGES)
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", interrupted.SEGMENT_IMAGES)
    monkeypatch.setattr(embedding, "BATCH", interrupted.BATCH)


def inputs(archive: Path) -> list[Path]:
    return [archive / "idr", archive / "crate", archive / "images"]


def ontologies(archive: Path) -> list[str]:
    return [str(archive / "ontologies" / name) for name in ("taxa.obo", "methods.obo")]


def finish(directory: Path, archive: Path) -> Held:
    """The same command, to its end."""
    report = index_all(directory, *inputs(archive), ontologies=ontologies(archive), model=MODEL)
    assert (report.images, report.embedded) == (IMAGES + 3, IMAGES)
    return held(directory)


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Held:
    directory = tmp_path_factory.mktemp("undisturbed")
    index_all(directory, *inputs(archive), ontologies=ontologies(archive), model=MODEL)
    return held(directory)


def interrupt(
    directory: Path, archive: Path, *, at: str, times: int, by: signal.Signals
) -> "subprocess.CompletedProcess[str]":
    """Run the command until it sends itself a signal at a point that it passes for the n-th time."""
    command = ["index", *map(str, inputs(archive)), "--index", str(directory), "--model", MODEL.name]
    for name in ontologies(archive):
        command += ["--ontology", name]
    driver = [sys.executable, "-m", "tests.indexer.interrupted", at, str(times), str(int(by)), *command]
    return subprocess.run(driver, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def everything(directory: Path, level: Level) -> SearchResult:
    with closing(Engine(directory, EmbedderChoice())) as engine:
        return engine.search(SearchRequest(level, facets=("organism",), limit=1000))


@pytest.mark.parametrize(
    ("at", "times", "committed"),
    [
        ("studies put", 1, 0),
        ("image read", 12, 7),
        ("commit", 4, None),
        ("batch embedded", 3, IMAGES + 3),
        ("segment written", 3, IMAGES + 3),
    ],
)
def test_a_killed_run_answers_meanwhile_and_is_finished_by_the_same_command(
    archive: Path, tmp_path: Path, undisturbed: Held, at: str, times: int, committed: int | None
) -> None:
    killed = interrupt(tmp_path, archive, at=at, times=times, by=signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    meanwhile = everything(tmp_path, Level.IMAGE)
    assert committed is None or meanwhile.total == committed
    assert {hit.id for hit in meanwhile.hits} <= undisturbed.images.keys()
    partial = held(tmp_path)
    assert partial.vectors.items() <= undisturbed.vectors.items()
    assert len(partial.vectors) == {"batch embedded": 6, "segment written": 6}.get(at, len(partial.vectors))

    finished = finish(tmp_path, archive)
    assert finished.studies == undisturbed.studies
    assert finished.images == undisturbed.images
    assert finished.vectors == undisturbed.vectors
    assert finished.unresolved == undisturbed.unresolved
    assert len(list((tmp_path / "vectors").iterdir())) == 8, "a segment that no snapshot names was left behind"


def test_ctrl_c_says_so_in_one_line_and_the_same_command_goes_on(
    archive: Path, tmp_path: Path, undisturbed: Held
) -> None:
    stopped = interrupt(tmp_path, archive, at="batch embedded", times=5, by=signal.SIGINT)
    assert stopped.returncode == 130
    assert "Traceback" not in stopped.stderr
    assert stopped.stderr.strip().splitlines()[-1] == (
        "stopped; what was committed is kept, the same command goes on from there"
    )
    assert len(held(tmp_path).vectors) == 15, "what was embedded, but is no whole segment yet, is kept too"
    assert finish(tmp_path, archive).vectors == undisturbed.vectors


def test_whatever_kills_a_run_whenever_the_index_becomes_the_same_and_little_is_lost(tmp_path: Path) -> None:
    folder, killed, calm = write_images(tmp_path / "images", 40), tmp_path / "killed", tmp_path / "calm"
    segment, batch, kills = 6, 3, 3
    driver = [sys.executable, "-m", "tests.indexer.killed", str(folder), str(killed), str(calm), str(kills), "7"]
    done = subprocess.run(
        [*driver, str(segment), str(batch)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    runs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(runs) == kills + 1
    # an open segment, and the batches that are being embedded or wait to be gathered
    assert all(embedded - kept <= segment + 3 * batch for embedded, kept in runs)
    assert sum(kept for _, kept in runs) == 40
    assert held(killed) == held(calm)


# --- a full disk -----------------------------------------------------------------------------------------------------


def mounted(folder: Path, megabytes: int) -> bool:
    """Whether a file system of this size could be mounted there, which takes root."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    if not mounted(folder, 8):
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def run_command(*arguments: str, limit: Callable[[], None] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hooke", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit
    )


@pytest.mark.parametrize("left", [40_000, 200_000])
def test_a_full_disk_stops_the_run_with_one_line_and_the_index_answers_as_before(
    small_disk: Path, archive: Path, tmp_path: Path, left: int
) -> None:
    directory = small_disk / "index"
    index_all(directory, archive / "idr", ontologies=ontologies(archive))
    before = held(directory)
    ballast = small_disk / "ballast"
    fill(ballast, left)

    more = write_images(tmp_path / "more", 12)
    stopped = run_command("index", str(more), "--index", str(directory))
    assert stopped.returncode == 1, stopped.stderr
    last = stopped.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "space" in last.lower()
    assert "Traceback" not in stopped.stderr
    assert everything(directory, Level.STUDY).total >= 1
    assert before.images.items() <= held(directory).images.items()

    ballast.unlink()
    assert run_command("index", str(more), "--index", str(directory)).returncode == 0
    after = held(directory)
    assert len(after.images) == 15
    assert len(after.vectors) == 12


def fill(ballast: Path, left: int) -> None:
    """Take all space of a disk but some bytes."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            size = file.tell()
        file.truncate(max(0, size - left))


@pytest.mark.xfail(reason="SQLite's WAL cannot be opened where its shared memory file has no room")
def test_an_index_on_a_disk_without_a_byte_left_answers(small_disk: Path, archive: Path) -> None:
    index_all(small_disk / "index", archive / "idr", ontologies=ontologies(archive))
    fill(small_disk / "ballast", 0)
    assert everything(small_disk / "index", Level.IMAGE).total == 3


def test_a_file_that_may_not_grow_stops_the_run_and_the_index_answers_as_before(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "index"
    index_all(directory, archive / "idr", ontologies=ontologies(archive))
    before = held(directory)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))

    stopped = run_command("index", str(archive / "images"), "--index", str(directory), "--no-embed", limit=limit)
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in stopped.stderr
    assert held(directory) == before


def test_no_index_is_there_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownIndex, match="hooke index"):
        Engine(tmp_path, EmbedderChoice())

"""`hooke compact`: one segment of many, at any moment whole."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hooke.model import Level
from hooke.request import SearchRequest
from hooke.vectors.compact import FEW
from indexer import embedding
from indexer.compaction import compact_index
from search_api.engine import EmbedderChoice, Engine, Example
from tests.indexer.archives import MODEL, held, index_all, write_images

IMAGES = 8
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with four segments of each kind."""
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", 2)
    monkeypatch.setattr(embedding, "BATCH", 2)
    index_all(tmp_path / "index", write_images(tmp_path / "images", IMAGES), model=MODEL)
    return tmp_path / "index"


def segments(index: Path) -> set[str]:
    return {path.name for path in (index / "vectors").iterdir() if not path.name.startswith("tmp-")}


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )


def test_segments_become_one_with_the_same_vectors(index: Path) -> None:
    before, former = held(index), segments(index)
    done = compact_index(index)
    assert (done.segments_before, done.segments) == (8, 2)
    assert done.bytes < done.bytes_before
    assert held(index) == before
    assert former < segments(index), "readers of the former snapshot lost their segments"

    again = compact_index(index)
    assert (again.segments_before, again.segments) == (2, 2)
    assert len(segments(index)) == 2
    assert held(index) == before


def test_many_small_runs_leave_few_segments_and_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", 1)
    monkeypatch.setattr(embedding, "BATCH", 1)
    index, images = tmp_path / "index", tmp_path / "images"
    index_all(index, write_images(images, FEW), model=MODEL)
    assert len(segments(index)) == 2 * FEW
    index_all(index, write_images(images, FEW + 1), model=MODEL)
    once = tmp_path / "once"
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", IMAGES)
    index_all(once, images, model=MODEL)
    assert held(index).vectors == held(once).vectors
    assert compact_index(index).segments_before == 2
    assert len(segments(index)) == 2


def test_an_engine_that_is_open_goes_on_and_follows(index: Path) -> None:
    request = SearchRequest(Level.IMAGE, limit=IMAGES)
    with closing(Engine(index, EmbedderChoice())) as engine:
        first = engine.search(request).hits[0].id
        before = engine.similar(Example(images=(first,)), request)
        compact_index(index)
        after = engine.similar(Example(images=(first,)), request)
    assert [hit.id for hit in after.hits] == [hit.id for hit in before.hits]


@pytest.mark.parametrize(("at", "times", "count"), [("rows copied", 1, 8), ("rows merged", 1, 8), ("commit", 1, 2)])
def test_a_killed_compaction_leaves_the_index_as_before_or_as_after(
    index: Path, at: str, times: int, count: int
) -> None:
    before = held(index)
    killed = command(
        "tests.indexer.interrupted", at, str(times), str(int(signal.SIGKILL)), "compact", "--index", str(index)
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert held(index) == before

    finished = command("hooke", "compact", "--index", str(index), "--json")
    assert finished.returncode == 0, finished.stderr
    assert f'"segments_before": {count}' in finished.stdout
    assert held(index) == before

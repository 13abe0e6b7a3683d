"""`hooke train`, and what an index above its budget answers from then on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hooke.cli import app
from hooke.embed.fingerprint import load_space
from hooke.errors import BadInput
from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.query import Everything
from hooke.request import LookOptions, SearchRequest
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.choose import open_store
from hooke.vectors.place import open_vectors
from hooke.vectors.segments import SegmentStore
from hooke.views import Kind
from indexer import training
from search_api.engine import EmbedderChoice, Engine, Example
from tests.contract.vector_store import block, placed
from tests.hooke.test_approximate import looks
from tests.indexer.archives import MODEL, index_all, write_images, write_manifest

IMAGES = 5_000
EXAMPLE = Example(images=("images/field0002.png",))
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of some thousand images, of which all but one were never read: their rows are made up."""
    folder = tmp_path_factory.mktemp("trained")
    images = write_images(folder / "images", 1)
    write_manifest(images, ["field000.png", *(f"field{number:04}.png" for number in range(1, IMAGES))])
    index_all(folder / "index", images, model=MODEL)
    index = IndexDirectory(folder / "index")
    with closing(open_store(index, DEFAULT_CLUSTER)) as store, store.write() as writer:
        with store.read() as reader:
            manifest, ordinals = reader.snapshot.manifest, reader.ordinals(Level.IMAGE, Everything())
        space, _ = load_space(index.spaces / f"{manifest.space}.json")
        vectors = open_vectors(index, space.fingerprint, DEFAULT_CLUSTER)
        writer.commit(replace(manifest, segments=(vectors.append(block(looks(IMAGES, seed=1), ordinals)),)))
    return index.root


@pytest.fixture(scope="module")
def trained(index: Path) -> str:
    """What the command printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "FEWEST_ROWS", 1_000)
        done = CliRunner().invoke(app, ["train", "--index", str(index)])
    assert done.exit_code == 0, done.output
    return done.stdout


def ask(k: int = 5, facets: tuple[str, ...] = ()) -> SearchRequest:
    return SearchRequest(Level.IMAGE, facets=facets, limit=k)


def test_the_command_says_what_was_trained_and_tested(index: Path, trained: str) -> None:
    size = (index / "vectors" / "approximate" / "whole.lists").stat().st_size
    assert f"whole: {IMAGES:,} rows in 70 lists, {size:,} bytes" in trained
    assert "100%" in trained


def test_above_the_budget_an_answer_says_its_recall_and_whoever_asks_gets_the_exact_one(
    index: Path, trained: str
) -> None:
    with closing(Engine(index, EmbedderChoice())) as engine:
        right = engine.similar(EXAMPLE, ask(100))
    with closing(Engine(index, EmbedderChoice(), vector_bytes=0)) as engine:
        near = engine.similar(EXAMPLE, ask(100, facets=("organism",)))
        exact = engine.similar(EXAMPLE, ask(100), LookOptions(exact=True))
        counted = engine.similar(EXAMPLE, ask(5, facets=("organism",)), LookOptions(similar_set=2_000))
        grouped = engine.similar(EXAMPLE, ask(1), LookOptions(by_study=True))
        both = engine.combined(EXAMPLE, replace(ask(5), text="field"), LookOptions(exact=True))
    assert (right.exact, right.recall) == (exact.exact, exact.recall) == (True, None)
    assert exact.hits == right.hits
    assert (near.exact, near.method, near.candidates) == (False, "lists", IMAGES - 1)
    assert near.recall is not None
    assert near.recall >= 0.94
    assert len({hit.id for hit in near.hits} & {hit.id for hit in right.hits}) >= 90
    assert near.facets["organism"][0].count == len(near.hits) == 100
    assert (counted.similar, counted.facets["organism"][0].count) == (2_000, 2_000)
    assert len(grouped.hits) == 1
    assert grouped.exact == (grouped.recall is None)
    assert (both.exact, both.recall) == (True, None)


@pytest.mark.parametrize(("options", "exact"), [([], False), (["--exact"], True)])
def test_the_command_line_asks_for_either(
    index: Path, trained: str, monkeypatch: pytest.MonkeyPatch, options: list[str], exact: bool
) -> None:
    monkeypatch.setenv("HOOKE_VECTOR_BYTES", "1000")
    asked = ["similar", *EXAMPLE.images, "--index", str(index), *options]
    answer = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (answer["exact"], answer["recall"] is None) == (exact, exact)
    shown = CliRunner().invoke(app, asked).stdout
    assert ("approximate, with some 9" in shown) == (not exact)


def test_a_killed_training_leaves_the_former_lists(index: Path, trained: str) -> None:
    file = index / "vectors" / "approximate" / "whole.lists"
    before = file.read_bytes()
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from indexer import training\n"
        "from hooke.vectors import trained\n"
        "training.FEWEST_ROWS = 1_000\n"
        "trained.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"training.train_index(Path({str(index)!r}), lambda *_: None)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=os.environ, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert file.read_bytes() == before


def test_segments_that_are_merged_away_meanwhile_are_no_damage(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FEWEST_ROWS", 1_000)
    copy = IndexDirectory(shutil.copytree(index, tmp_path / "index"))
    with closing(open_store(copy, DEFAULT_CLUSTER)) as store, store.write() as writer:
        with store.read() as reader:
            manifest, ordinals = reader.snapshot.manifest, reader.ordinals(Level.IMAGE, Everything())
        vectors = open_vectors(copy, str(manifest.space), DEFAULT_CLUSTER)
        assert isinstance(vectors, SegmentStore)
        made = vectors.append(placed(looks(1_000, seed=1), list(ordinals)[:1_000], Kind.CHANNEL, [[0]] * 1_000))
        writer.commit(replace(manifest, segments=(*manifest.segments, made)))

        def progress(what: str, done: int, of: int | None) -> None:
            writer.commit(manifest)
            vectors.discard_except(manifest.segments)

        with pytest.raises(BadInput, match=r"merged meanwhile.*run again"):
            training.train_index(copy.root, progress)
    assert vectors.trained_file(Kind.WHOLE).exists()
    assert not vectors.trained_file(Kind.CHANNEL).exists()


def test_what_cannot_be_trained_is_told(index: Path, tmp_path: Path) -> None:
    few = CliRunner().invoke(app, ["train", "--index", str(index)])
    assert (few.exit_code, "fewer than 16,384 vectors" in few.stderr) == (2, True)
    index_all(tmp_path / "bare", write_images(tmp_path / "images", 1))
    bare = CliRunner().invoke(app, ["train", "--index", str(tmp_path / "bare")])
    assert (bare.exit_code, "no embedded images" in bare.stderr) == (2, True)

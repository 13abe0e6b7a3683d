"""`hooke copy`: an index's records go to a cluster and come home, and nothing else notices."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from hooke.cli import app
from hooke.errors import Conflict, IndexLocked
from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.request import SearchRequest
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.choose import open_store
from hooke.store.location import Location
from hooke.store.move import move_home, move_to_cluster
from search_api.engine import EmbedderChoice, Engine, Example
from tests.contract.metadata_store import contents
from tests.elasticsearch_index import emptied
from tests.small_index import image_id, shared_index


@pytest.fixture
def index(tmp_path: Path) -> IndexDirectory:
    shutil.copytree(shared_index(), tmp_path / "index")
    return IndexDirectory(tmp_path / "index")


@pytest.fixture
def location(elasticsearch_url: str) -> Iterator[Location]:
    place = Location((elasticsearch_url,), f"move-{uuid4().hex[:12]}")
    with emptied(place):
        yield place


def stored(index: IndexDirectory) -> list[object]:
    with closing(open_store(index, DEFAULT_CLUSTER)) as store:
        return contents(store)


def answers(index: IndexDirectory) -> list[object]:
    with closing(Engine(index.root, EmbedderChoice())) as engine:
        request = SearchRequest(Level.IMAGE, "fluorescence", facets=("organism", "imaging_method"), limit=50)
        found = engine.search(request)
        alike = engine.similar(Example(images=(image_id("plain.png"),)), request)
        return [{hit.id for hit in found.hits}, found.total, found.facets, alike.hits, alike.facets, alike.candidates]


def silent(*_: object) -> None:
    pass


def test_there_and_back_is_equal_in_content(index: IndexDirectory, location: Location) -> None:
    before, answered = stored(index), answers(index)
    moved = move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    assert moved.former.is_file()
    with closing(open_store(index, DEFAULT_CLUSTER)) as store:
        assert str(location) in store.location
    assert stored(index) == before
    assert answers(index) == answered

    move_home(index, location, DEFAULT_CLUSTER, silent)
    with closing(open_store(index, DEFAULT_CLUSTER)) as store:
        assert store.location.startswith("SQLite")
    assert stored(index) == before
    assert answers(index) == answered


def test_an_index_that_is_open_stays_where_it_is(index: IndexDirectory, location: Location) -> None:
    before = stored(index)
    with (
        closing(open_store(index, DEFAULT_CLUSTER)) as store,
        store.read(),
        pytest.raises(IndexLocked, match="stop it first"),
    ):
        move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    assert stored(index) == before


def test_a_copy_that_was_stopped_is_finished_by_the_same_command(index: IndexDirectory, location: Location) -> None:
    before = stored(index)

    def stop(_: str, done: int, __: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_to_cluster(index, location, DEFAULT_CLUSTER, stop)
    assert stored(index) == before
    move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    assert stored(index) == before


def test_what_is_there_already_is_not_moved_twice(index: IndexDirectory, location: Location) -> None:
    with pytest.raises(Conflict, match="nothing to bring home"):
        move_home(index, location, DEFAULT_CLUSTER, silent)
    move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    with pytest.raises(Conflict, match="already"):
        move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    with pytest.raises(Conflict, match="not at"):
        move_home(index, Location(location.nodes, "elsewhere"), DEFAULT_CLUSTER, silent)


def test_the_command_moves_an_index_and_info_says_where_it_is(index: IndexDirectory, location: Location) -> None:
    run = CliRunner().invoke
    done = run(app, ["copy", "--from", str(index.root), "--to", str(location)])
    assert (done.exit_code, str(location) in done.stdout) == (0, True)
    told = json.loads(run(app, ["info", "--index", str(index.root), "--json"]).stdout)
    assert str(location) in told["store"]
    assert told["bytes"]["metadata"] > 0
    assert run(app, ["copy", "--from", str(location), "--to", str(index.root)]).exit_code == 0


@pytest.mark.parametrize("ends", [("a", "b"), ("http://a:9200", "http://b:9200")])
def test_a_copy_goes_between_a_directory_and_a_url(ends: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["copy", "--from", ends[0], "--to", ends[1]])
    assert done.exit_code == 2
    assert "one of --from and --to" in done.stderr


def test_another_directory_does_not_take_a_prefix_that_is_taken(
    index: IndexDirectory, location: Location, tmp_path: Path
) -> None:
    move_to_cluster(index, location, DEFAULT_CLUSTER, silent)
    other = IndexDirectory(tmp_path / "other")
    shutil.copytree(shared_index(), other.root)
    with pytest.raises(Conflict, match="another prefix"):
        move_to_cluster(other, location, DEFAULT_CLUSTER, silent)

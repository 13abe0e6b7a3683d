"""Vectors in a cluster: the directory remembers them, and look-alikes are the same."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from hooke.embed.timm import DEFAULT_MODEL
from hooke.errors import BadInput, Conflict, CorruptIndex
from hooke.model import Level
from hooke.request import Filter, SearchRequest
from hooke.store.location import Location
from hooke.vectors.place import Place
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine, Example
from tests.elasticsearch_index import emptied
from tests.small_index import image_id, shared_index, write_archive, write_ontologies

EXAMPLE = Example(images=(image_id("plain.png"),))
REQUESTS = (
    SearchRequest(Level.IMAGE, limit=100),
    SearchRequest(Level.IMAGE, "fluorescence microscopy", limit=3, facets=("organism",)),
    SearchRequest(Level.IMAGE, "", (Filter("organism", ("Fungi",)),), limit=5),
)


@pytest.fixture
def location(elasticsearch_url: str) -> Iterator[Location]:
    place = Location((elasticsearch_url,), f"vectors-{uuid4().hex[:12]}")
    with emptied(place):
        yield place


def job(root: Path, place: Place | None) -> IndexJob:
    return IndexJob(
        write_archive(root), root / "index", None, write_ontologies(root), Model(DEFAULT_MODEL), None, place
    )


def test_look_alikes_are_those_of_the_files(location: Location, tmp_path: Path) -> None:
    report = run(job(tmp_path, Place(location)))
    again = run(job(tmp_path, None))  # the directory remembers
    assert (again.embedded, again.unchanged > 0) == (report.embedded, True)
    with (
        closing(Engine(shared_index(), EmbedderChoice())) as files,
        closing(Engine(tmp_path / "index", EmbedderChoice())) as cluster,
    ):
        for request in REQUESTS:
            expected, found = files.similar(EXAMPLE, request), cluster.similar(EXAMPLE, request)
            assert found.hits == expected.hits
            assert (found.facets, found.candidates, found.exact) == (expected.facets, expected.candidates, True)
        assert found.method == "flat"
    with pytest.raises(Conflict, match="already"):
        run(job(tmp_path, Place(Location(location.nodes, "elsewhere"))))


def test_vectors_in_files_stay_there(location: Location, tmp_path: Path) -> None:
    run(job(tmp_path, None))
    with pytest.raises(Conflict, match="vectors"):
        run(job(tmp_path, Place(location)))


def test_a_method_is_one_of_four(location: Location) -> None:
    with pytest.raises(BadInput, match="int8_hnsw"):
        Place(location, "magic")


def test_a_broken_memory_is_told(tmp_path: Path) -> None:
    run(job(tmp_path, None))
    (tmp_path / "index" / "vectors" / "cluster.json").write_text("{}", encoding="utf-8")
    with (
        closing(Engine(tmp_path / "index", EmbedderChoice())) as engine,
        pytest.raises(CorruptIndex, match=r"cluster\.json"),
    ):
        engine.similar(EXAMPLE, REQUESTS[0])

"""The labelled images through the whole pipeline: every one embedded, and near images of the same kind."""

import csv
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measures import leave_one_out
from benchmarks.quality import read_labelled
from hooke.embed.timm import DEFAULT_MODEL
from hooke.model import Level
from hooke.request import Filter, SearchRequest
from indexer.embedding import Model
from search_api.engine import EmbedderChoice, Engine, Example
from tests.indexer.archives import held, index_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> Path:
    return shared_data / "images" / "labelled"


@pytest.fixture(scope="module")
def rows(labelled: Path) -> list[dict[str, str]]:
    with (labelled / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def index(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("labelled")
    report = index_all(directory, labelled, model=Model(DEFAULT_MODEL))
    assert (report.images, report.embedded, report.quarantined) == (1415, 1415, ())
    return directory


def test_near_images_of_the_index_are_of_the_same_kind(index: Path, labelled: Path) -> None:
    known = read_labelled(labelled)
    vectors = held(index).vectors
    rows = [vectors[f"labelled/{path.relative_to(labelled).as_posix()}"] for path in known.paths]
    quality = leave_one_out(np.stack([np.frombuffer(row, np.float32) for row in rows]), known.classes)
    assert quality.nearest >= 0.774
    assert quality.precision >= 0.571


def test_classes_are_counted_as_the_manifest_has_them(index: Path, rows: list[dict[str, str]]) -> None:
    with closing(Engine(index, EmbedderChoice())) as engine:
        result = engine.search(SearchRequest(Level.IMAGE, facets=("class_label", "dataset"), limit=1))
    for field in ("class_label", "dataset"):
        # values that differ in case only are one value
        counts = Counter(row[field].casefold() for row in rows)
        assert {value.id.casefold(): value.count for value in result.facets[field]} == counts


def test_look_alikes_within_a_collection_come_from_it_until_there_are_no_more(
    index: Path, rows: list[dict[str, str]]
) -> None:
    collection = rows[0]["dataset"]
    members = {f"labelled/{row['path']}" for row in rows if row["dataset"] == collection}
    first = f"labelled/{rows[0]['path']}"
    with closing(Engine(index, EmbedderChoice())) as engine:
        request = SearchRequest(Level.IMAGE, filters=(Filter("dataset", (collection,)),), limit=len(members) + 10)
        result = engine.similar(Example(images=(first,)), request)
    assert result.exact
    assert {hit.id for hit in result.hits} == members - {first}
    assert result.candidates == len(members) - 1
    similarities = [hit.similarity for hit in result.hits]
    assert similarities == sorted(similarities, reverse=True)

"""Labelled images compared with each other: copies that were smuggled in, real duplicates, and an odd image out."""

import csv
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from hooke.comparisons import By, DuplicatesRequest, OutliersRequest, StudiesRequest
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLASSES = {
    "pollen": ("eucalyptus_sp", "chromolaena_laevigata"),
    "blood": ("wbc_neutrophil",),
    "monocytes": ("wbc_monocyte",),
}
TWICE = {("pollen/0145.jpg", "pollen/0150.jpg")}
REFOCUSED = {("pollen/0063.jpg", "pollen/0064.jpg")}
"""Grains that their collection has twice, a little shifted; and refocused, which only a lower threshold finds."""


@pytest.fixture(scope="module")
def engine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Pollen, blood cells with one pollen grain among them, and a set with two blood cells, one saved anew."""
    labelled, root = shared_data / "images" / "labelled", tmp_path_factory.mktemp("compared")
    with (labelled / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for study, classes in CLASSES.items():
        (root / study).mkdir()
        for row in rows:
            if row["class_label"] in classes and row["dataset"] in ("pollen73s", "wbc_ds1"):
                shutil.copyfile(labelled / row["path"], root / study / Path(row["path"]).name)
    first, second = sorted((root / "blood").iterdir())[:2]
    (root / "set").mkdir()
    shutil.copyfile(first, root / "set" / "copied.png")
    Image.open(second).convert("RGB").save(root / "set" / "saved anew.tif")
    shutil.move(root / "pollen" / "0160.jpg", root / "blood" / "stray.jpg")
    run(IndexJob(tuple(root / name for name in (*CLASSES, "set")), root / "index", None, (), Model("fast")))
    with closing(Engine(root / "index", EmbedderChoice())) as opened:
        yield opened


def test_leaks_and_real_duplicates_are_found_and_nothing_else(engine: Engine) -> None:
    found = engine.duplicates(DuplicatesRequest())
    groups = [(tuple(image.id for image in group.images), group.identical) for group in found.groups]
    assert (found.across, found.within) == (2, 1)
    assert {images for images, _ in groups[2:]} == TWICE
    assert sorted((images[1], identical) for images, identical in groups[:2]) == [
        ("set/copied.png", True),
        ("set/saved anew.tif", False),
    ]
    assert all(images[0].startswith("blood/") for images, _ in groups[:2])
    lower = engine.duplicates(DuplicatesRequest(threshold=0.97))
    assert {tuple(image.id for image in group.images) for group in lower.groups[2:]} == TWICE | REFOCUSED
    apart = engine.duplicates(DuplicatesRequest(across_studies=True))
    assert (apart.across, apart.within) == (2, 0)


def test_a_pollen_grain_among_blood_cells_is_the_odd_one_out(engine: Engine) -> None:
    first = engine.outliers(OutliersRequest("blood", 1)).hits[0]
    assert first.id == "blood/stray.jpg"
    assert first.deviation is not None
    assert first.deviation > 3


def test_the_study_most_like_blood_cells_is_of_blood_cells(engine: Engine) -> None:
    looks = engine.similar_studies(StudiesRequest("monocytes", By.LOOK))
    assert [hit.id for hit in looks.hits][-1] == "pollen"
    assert looks.exact

"""What a source no longer names goes; what could not be read stays."""

from contextlib import closing
from pathlib import Path

import pytest

from hooke.model import Level
from hooke.request import SearchRequest
from search_api.engine import EmbedderChoice, Engine, Example
from tests.indexer.archives import MODEL, held, index_all, write_idr, write_images, write_manifest


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_idr(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def index(tmp_path: Path, archive: Path) -> Path:
    index_all(tmp_path / "index", archive)
    return tmp_path / "index"


def without(table: Path, row: str) -> None:
    lines = table.read_text().splitlines(keepends=True)
    assert any(line.startswith(row) for line in lines)
    table.write_text("".join(line for line in lines if not line.startswith(row)))


def test_an_image_whose_row_is_gone_goes_and_the_others_keep_their_ordinals(index: Path, archive: Path) -> None:
    before = held(index)
    without(archive / "idr0001-screenA-annotation.csv", "P1,A2")
    report = index_all(index, archive)
    assert report.removed == 1
    after = held(index)
    assert set(before.images) - set(after.images) == {"idr0001/screenA/P1_A2"}
    assert {key: before.ordinals[key] for key in after.ordinals} == after.ordinals


def test_a_table_that_can_no_longer_be_read_takes_nothing_away(index: Path, archive: Path) -> None:
    before = set(held(index).images)
    table = archive / "idr0001-screenA-annotation.csv"
    table.rename(table.with_suffix(".csv.gz"))
    table.with_suffix(".csv.gz").write_bytes(b"\x1f\x8b\x08\x00 this is no gzip")
    report = index_all(index, archive)
    assert report.removed == 0
    assert set(held(index).images) == before


def test_a_later_run_on_another_archive_takes_nothing_away(index: Path, archive: Path, tmp_path: Path) -> None:
    before = held(index)
    write_idr(tmp_path / "copy")
    report = index_all(index, tmp_path / "copy")
    assert report.removed == 0
    assert held(index).images == before.images


def test_the_worklist_keeps_what_another_run_put_there(tmp_path: Path) -> None:
    index_all(tmp_path / "index", archive_of(tmp_path / "a", "idr0001", "unicorn"))
    report = index_all(tmp_path / "index", archive_of(tmp_path / "b", "idr0002", "yeti"))
    assert report.unresolved == 2


def archive_of(folder: Path, study: str, organism: str) -> Path:
    folder.mkdir()
    (folder / f"{study}-study.txt").write_text(
        f"Comment[IDR Study Accession]\t{study}\nStudy Title\tOne\nStudy Organism\t{organism}\n"
    )
    return folder


def test_a_row_that_moves_from_one_input_to_another_is_not_lost(tmp_path: Path) -> None:
    first, second = (write_idr(tmp_path / "archives" / name) for name in ("a", "b"))
    table = "idr0001-screenA-annotation.csv"
    whole = (first / table).read_text()
    without(first / table, "P1,A2")
    without(second / table, "P1,A1")
    index_all(tmp_path / "index", tmp_path / "archives")
    before = set(held(tmp_path / "index").images)
    (first / table).write_text(whole)
    without(second / table, "P1,A2")
    index_all(tmp_path / "index", tmp_path / "archives")
    assert set(held(tmp_path / "index").images) == before


def test_omero_searcher_a_deleted_image_is_no_look_alike(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 4)
    index_all(tmp_path / "index", images, model=MODEL)
    write_manifest(images, ["field000.png", "field002.png", "field003.png"])
    report = index_all(tmp_path / "index", images, model=MODEL)
    assert (report.removed, report.embedded) == (1, 3)
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        found = engine.similar(Example(images=("images/field000.png",)), SearchRequest(Level.IMAGE, limit=10))
    assert {hit.id for hit in found.hits} == {"images/field002.png", "images/field003.png"}

"""The write program on small archives: what a run puts into an index, and what a second run changes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from hooke.errors import BadOntology, IndexLocked, SpaceMismatch, UnknownModel, UnreadableSource
from hooke.index import IndexDirectory
from hooke.model import Level, Value
from hooke.request import SearchRequest
from hooke.store.sqlite import SqliteStore
from indexer.embedding import Model
from indexer.pipeline import add_to_index
from search_api.engine import EmbedderChoice, Engine
from tests.indexer.archives import (
    METHODS,
    MODEL,
    held,
    index_all,
    write_crate,
    write_idr,
    write_images,
    write_manifest,
    write_ontologies,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A crate and an IDR study of one accession, another crate, and a table."""
    folder = tmp_path / "archive"
    write_idr(folder / "idr")
    write_crate(folder / "one", "idr0001", "Nuclei, as the crate names them")
    write_crate(folder / "two", "S-BIAD7", "Livers of mice", taxon="10090")
    return folder


@pytest.fixture
def ontologies(tmp_path: Path) -> tuple[str, ...]:
    return write_ontologies(tmp_path / "ontologies")


@pytest.fixture
def index(tmp_path: Path, archive: Path, ontologies: tuple[str, ...]) -> Path:
    index_all(tmp_path / "index", archive, ontologies=ontologies)
    return tmp_path / "index"


def found(index: Path, text: str, level: Level = Level.STUDY) -> set[str]:
    with closing(Engine(index, EmbedderChoice())) as engine:
        result = engine.search(SearchRequest(level, text, limit=1000))
    assert result.total == len(result.hits)
    return {hit.id for hit in result.hits}


# --- what a run puts -------------------------------------------------------------------------------------------------


def test_an_accession_of_a_crate_and_a_study_file_is_one_study_with_both_origins(index: Path) -> None:
    with closing(Engine(index, EmbedderChoice())) as engine:
        detail = engine.detail(Level.STUDY, "idr0001")
        assert engine.info().studies == 2
    assert set(detail.origins) == {"idr", "ro-crate"}
    texts = {(value["field"], value["text"]) for value in detail.values}
    assert ("description", "What was done in idr0001.") in texts
    assert ("study_type", "high content screen") in texts


def test_an_image_inherits_what_it_is_silent_on_and_keeps_its_own(index: Path) -> None:
    assert found(index, "Homo sapiens", Level.IMAGE) == {"idr0001/screenA/P1_A2", "idr0001/screenA/P1_A3"}
    assert found(index, "organism:10090", Level.IMAGE) == {"idr0001/screenA/P1_A1"}
    assert len(found(index, "fluorescence microscopy", Level.IMAGE)) == 3


def test_a_value_without_a_term_is_in_the_worklist_with_its_records(index: Path) -> None:
    with closing(SqliteStore(index / "metadata.sqlite")) as store, store.read() as reader:
        worklist = {(u.field, u.text): count for u, count in reader.unresolved()}
    assert worklist["cell_line", "HeLa"] == 2
    assert worklist["cell_line", "NMuMG"] == 1
    assert ("organism", "Homo sapiens") not in worklist


def test_the_report_counts_the_whole_index(tmp_path: Path, archive: Path, ontologies: tuple[str, ...]) -> None:
    report = index_all(tmp_path / "index", archive, ontologies=ontologies)
    assert (report.studies, report.images, report.embedded, report.quarantined) == (2, 3, 0, ())
    assert report.mentions > 0
    assert report.unresolved == 2
    assert report.unchanged == 0
    assert report.seconds > 0
    assert report.peak_memory_bytes > 10_000_000


# --- the same command again ------------------------------------------------------------------------------------------


def test_the_same_command_again_changes_nothing(
    tmp_path: Path, index: Path, archive: Path, ontologies: tuple[str, ...]
) -> None:
    before = held(index)
    first = index_all(index, archive, ontologies=ontologies)
    again = index_all(index, archive, ontologies=ontologies)
    assert held(index) == before
    assert first.unchanged == again.unchanged == 4
    assert replace(first, seconds=0, peak_memory_bytes=0) == replace(again, seconds=0, peak_memory_bytes=0)


def test_a_changed_table_updates_its_records_and_keeps_their_ordinals(index: Path, archive: Path) -> None:
    before = held(index)
    table = archive / "idr" / "idr0001-screenA-annotation.csv"
    table.write_text(table.read_text().replace("P1,A2,,,,HeLa", "P1,A2,,,,U2OS"))
    report = index_all(index, archive)
    after = held(index)
    assert report.unchanged == 3
    assert after.ordinals == before.ordinals
    assert found(index, "U2OS", Level.IMAGE) == {"idr0001/screenA/P1_A2"}
    assert found(index, "HeLa", Level.IMAGE) == {"idr0001/screenA/P1_A3"}
    unchanged = before.images.keys() - {"idr0001/screenA/P1_A2"}
    assert {key: after.images[key] for key in unchanged} == {key: before.images[key] for key in unchanged}


def test_a_changed_study_file_reaches_the_images_that_inherit_from_it(index: Path, archive: Path) -> None:
    study = archive / "idr" / "idr0001-study.txt"
    study.write_text(study.read_text().replace("Nuclei of many cells", "Mitochondria of many cells"))
    index_all(index, archive)
    assert found(index, "mitochondria", Level.IMAGE) == set(held(index).images)
    assert found(index, "mitochondria") == {"idr0001"}


def test_inputs_given_one_after_the_other_make_the_same_index_as_together(
    tmp_path: Path, index: Path, archive: Path, ontologies: tuple[str, ...]
) -> None:
    apart = tmp_path / "apart"
    for part in sorted(archive.iterdir(), reverse=True):
        index_all(apart, part, ontologies=ontologies)
    once, again = held(index), held(apart)
    assert again.images.keys() == once.images.keys()
    for study, values in once.studies.items():
        # the title is that of the source that came first
        assert untitled(again.studies[study]) == untitled(values)


def untitled(values: tuple[Value, ...]) -> set[Value]:
    return {value for value in values if value.field != "title"}


def test_a_new_release_of_an_ontology_grounds_everything_again(index: Path, archive: Path, tmp_path: Path) -> None:
    assert found(index, "rodents") == set()
    release = tmp_path / "release"
    (taxa, _) = write_ontologies(release)
    Path(taxa).write_text(
        Path(taxa)
        .read_text()
        .replace("name: Mus musculus\nis_a: NCBITaxon:40674", "name: Mus musculus\nis_a: NCBITaxon:9989")
        + '\n[Term]\nid: NCBITaxon:9989\nname: Rodentia\nsynonym: "rodents" EXACT []\nis_a: NCBITaxon:40674\n'
        + "\n[Term]\nid: NCBITaxon:1\nname: HeLa\n"
    )
    add_to_index([taxa], index)
    report = index_all(index, archive)
    assert report.unchanged == 0
    assert found(index, "rodents") == {"S-BIAD7"}
    assert found(index, "rodents", Level.IMAGE) == {"idr0001/screenA/P1_A1"}


# --- what cannot be read ---------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_quarantined_with_its_reason_and_the_rest_is_indexed(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    good = write_crate(folder / "good", "S-BIAD1", "A good crate")
    bad = folder / "bad" / "ro-crate-metadata.json"
    bad.parent.mkdir()
    bad.write_bytes(good.read_bytes()[:-40])
    images = write_images(folder / "images", 3)
    truncated = images / "field001.png"
    truncated.write_bytes(truncated.read_bytes()[:200])
    (images / "notes.png").write_text("these are notes")
    write_manifest(images, ["field000.png", "field001.png", "field002.png", "notes.png", "gone.png"])
    report = index_all(tmp_path / "index", folder, model=MODEL)
    reasons = {Path(q.path).name: q.reason for q in report.quarantined}
    assert len(report.quarantined) == 4
    assert "not JSON" in reasons["ro-crate-metadata.json"]
    assert reasons["field001.png"]
    assert reasons["notes.png"]
    assert "no such file" in next(reason for place, reason in reasons.items() if place.startswith("manifest.csv"))
    assert (report.studies, report.images, report.embedded) == (2, 5, 2)


def test_a_broken_crate_and_a_missing_file_are_told_again_by_the_same_command(tmp_path: Path) -> None:
    write_crate(tmp_path / "bad", "S-BIAD1", "Broken").write_text("{")
    write_manifest(write_images(tmp_path / "images", 1), ["field000.png", "gone.png"])
    paths = (tmp_path / "bad", tmp_path / "images")
    first = index_all(tmp_path / "index", *paths, model=MODEL)
    again = index_all(tmp_path / "index", *paths, model=MODEL)
    assert len(first.quarantined) == 2
    assert again.quarantined == first.quarantined


def test_an_unreadable_image_is_told_again_by_the_same_command(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 2)
    (images / "field001.png").write_text("no image")
    first = index_all(tmp_path / "index", images, model=MODEL)
    again = index_all(tmp_path / "index", images, model=MODEL)
    assert first.quarantined == again.quarantined
    assert len(first.quarantined) == 1


def test_an_unreadable_folder_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no such file or folder"):
        index_all(tmp_path / "index", tmp_path / "nowhere")
    assert not (tmp_path / "index").exists()


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that nobody may read; root, whom no permission stops, becomes another user meanwhile."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = write_images(Path(parent) / "images", 1)
        folder.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield folder
        os.seteuid(user)
        folder.chmod(0o755)


def test_a_folder_without_permission_is_named(closed_folder: Path) -> None:
    with pytest.raises(UnreadableSource, match="images") as error:
        index_all(closed_folder.parent / "index", closed_folder)
    assert "permission" in str(error.value).lower()


# --- what stops a run leaves the index as it was ---------------------------------------------------------------------


def test_an_ontology_that_does_not_parse_stops_the_run_and_the_index_answers(
    index: Path, archive: Path, tmp_path: Path
) -> None:
    before = held(index)
    broken = tmp_path / "broken.obo"
    broken.write_text(METHODS.replace("[Term]", "[Term", 1))
    with pytest.raises(BadOntology, match=r"broken\.obo") as error:
        index_all(index, archive, ontologies=[str(broken)])
    assert error.value.exit_code == 2
    assert held(index) == before
    assert found(index, "Mammalia") == {"idr0001", "S-BIAD7"}


def test_an_unknown_model_is_refused_before_anything_is_indexed(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 2)
    with pytest.raises(UnknownModel, match="did you mean"):
        index_all(tmp_path / "index", images, model=Model("tf_efficientnet_lite00"))
    with closing(SqliteStore(IndexDirectory(tmp_path / "index").metadata)) as store, store.read() as reader:
        assert reader.count(Level.IMAGE) == 0


def other_weights(path: Path) -> Path:
    """Weights of a tiny model, as they come: random."""
    save_file(timm.create_model("test_resnet", pretrained=False, num_classes=0).state_dict(), path)
    return path


def test_a_model_of_another_space_is_refused_and_the_index_answers(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 2)
    index_all(tmp_path / "index", images, model=MODEL)
    before = held(tmp_path / "index")
    weights = other_weights(tmp_path / "other.safetensors")
    write_images(images, 3)
    with pytest.raises(SpaceMismatch, match="new directory") as error:
        index_all(tmp_path / "index", images, model=Model("test_resnet", weights))
    assert "model: tf_efficientnet_lite0, here test_resnet" in str(error.value)
    assert error.value.exit_code == 1
    assert held(tmp_path / "index") == before
    assert len(found(tmp_path / "index", "Homo sapiens", Level.IMAGE)) == 2


def test_an_image_that_went_from_its_source_goes_from_the_index(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 3)
    index_all(tmp_path / "index", images)
    (images / "field001.png").unlink()
    write_manifest(images, ["field000.png", "field002.png"])
    index_all(tmp_path / "index", images)
    assert held(tmp_path / "index").images.keys() == {"images/field000.png", "images/field002.png"}


def test_a_second_indexer_is_turned_away(index: Path, archive: Path) -> None:
    store = SqliteStore(index / "metadata.sqlite")
    with closing(store), store.write(), pytest.raises(IndexLocked, match="another indexer"):
        index_all(index, archive)
    assert index_all(index, archive).studies == 2

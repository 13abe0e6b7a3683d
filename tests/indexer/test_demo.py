import csv
import tomllib
from pathlib import Path

import pytest

from hooke.errors import BadInput
from hooke.model import Image, Study
from hooke.pixels import Limits, image_facts, read_raster
from indexer.demo import DemoArchive, write_demo_archive
from indexer.demo.archive import IMAGING_METHODS, TAXA
from indexer.demo.model import TERM_COLUMNS
from indexer.sources import Quarantined, discover, read_images, read_studies
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return write_demo_archive(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def read(archive: DemoArchive) -> tuple[list[Study], list[Image], list[Quarantined]]:
    quarantined: list[Quarantined] = []
    inputs = discover(archive.paths, quarantine=quarantined.append).inputs
    studies = [study for source in inputs for study in read_studies(source, quarantined.append)]
    images = [image for source in inputs for image in read_images(source, quarantined.append)]
    return studies, images, quarantined


@pytest.fixture(scope="module")
def catalogue(archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = tmp_path_factory.mktemp("ontologies")
    return Catalogue.open(root, add_ontologies(archive.ontologies, root))


def rows(archive: DemoArchive) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in archive.paths:
        with (path / "manifest.csv").open(newline="", encoding="utf-8") as table:
            found.extend(csv.DictReader(table))
    return found


def texts(item: Image | Study, field: str) -> set[str]:
    return {value.text for value in item.values if value.field == field}


def test_about_three_hundred_images_come_out_and_nothing_is_quarantined(
    read: tuple[list[Study], list[Image], list[Quarantined]],
) -> None:
    studies, images, quarantined = read
    assert (len(studies), len(images), quarantined) == (10, 314, [])
    assert len({image.id for image in images}) == 314


def test_every_image_can_be_read_and_they_are_of_all_kinds(
    read: tuple[list[Study], list[Image], list[Quarantined]],
) -> None:
    kinds = set()
    for image in read[1]:
        assert image.pixels is not None, image.id
        raster = read_raster(Path(image.pixels.path), Limits())
        facts = image_facts(raster)
        assert 100 <= facts.width <= 256, image.id
        assert raster.pixels.max() > raster.pixels.min(), image.id
        kinds.add((facts.channels, facts.dtype, raster.rgb))
    assert kinds == {(1, "uint8", False), (1, "uint16", False), (2, "uint16", False), (3, "uint8", True)}


def test_a_second_time_gives_the_same_bytes(archive: DemoArchive, tmp_path: Path) -> None:
    again = write_demo_archive(tmp_path)
    first, second = archive.example.parent.parent, again.example.parent.parent
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [file for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []


def test_writing_over_an_archive_repairs_what_changed_and_touches_nothing_else(archive: DemoArchive) -> None:
    folder = archive.example.parent.parent
    content = archive.example.read_bytes()
    archive.example.write_bytes(b"broken")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_demo_archive(folder)
    assert archive.example.read_bytes() == content
    assert [path for path, time in times.items() if path.stat().st_mtime_ns != time] == [archive.example]


def test_every_term_id_is_known_under_the_label_beside_it(archive: DemoArchive, catalogue: Catalogue) -> None:
    pairs = {(row.get(f"{column}_id", ""), row.get(column, "")) for row in rows(archive) for column in TERM_COLUMNS}
    named = sorted(pair for pair in pairs if any(pair))
    assert len(named) > 25
    assert [(identifier, catalogue.term(identifier).label) for identifier, _ in named] == named


def test_fluorescence_images_of_mammals_are_many_but_not_all(archive: DemoArchive, catalogue: Catalogue) -> None:
    mammals = catalogue.descendants("NCBITaxon:40674")
    fluorescence = catalogue.descendants("FBbi:00000246")
    found = [
        row
        for row in rows(archive)
        if row.get("organism_id") in mammals and row.get("imaging_method_id") in fluorescence
    ]
    assert len(found) == 120
    assert {row["organism"] for row in found} == {"Homo sapiens", "Mus musculus", "Rattus norvegicus"}


def test_mammals_can_be_named_by_their_common_name(catalogue: Catalogue) -> None:
    assert "NCBITaxon:40674" in {match.term for match in catalogue.find("mammals")}


def test_simulated_images_say_so_in_their_own_row_title_and_study(
    read: tuple[list[Study], list[Image], list[Quarantined]],
) -> None:
    studies, images, _ = read
    marked = {image.study_id for image in images if texts(image, "simulated") == {"yes"}}
    assert marked == {study.id for study in studies if "simulated" in study.id}
    for image in images:
        simulated = image.study_id in marked
        assert texts(image, "simulated") == {"yes" if simulated else "no"}
        assert image.title.startswith("Simulated ") == simulated
    assert all(study.title.startswith("Simulated ") == (study.id in marked) for study in studies)


def test_every_study_says_its_licence_and_its_source(read: tuple[list[Study], list[Image], list[Quarantined]]) -> None:
    licences = {study.id: texts(study, "licence") for study in read[0]}
    assert licences.pop("demo-ihc-colon") == {"no known copyright restrictions"}
    assert set(map(frozenset, licences.values())) == {frozenset({"CC0-1.0"})}
    assert all(texts(study, "source") for study in read[0])


def test_what_scikit_image_does_not_say_stays_empty(archive: DemoArchive) -> None:
    silent = [row for row in rows(archive) if row.get("cut_from") in ("ihc.png", "cell.png")]
    assert len(silent) == 22
    assert {row.get("organism", "") for row in silent} == {""}


def test_the_example_is_not_among_the_images(archive: DemoArchive) -> None:
    example = read_raster(archive.example, Limits())
    assert image_facts(example).dtype == "uint16"
    contents = {(path / row).read_bytes() for path in archive.paths for row in _files(path)}
    assert archive.example.read_bytes() not in contents


def test_settings_are_toml_that_names_the_study(archive: DemoArchive) -> None:
    for path in archive.paths:
        settings = tomllib.loads((path / "hooke.toml").read_text(encoding="utf-8"))
        assert settings["study"]["id"] == path.name


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(BadInput, match=r"^cannot write the demo archive to .*taken: Not a directory$"):
        write_demo_archive(tmp_path / "taken")


@pytest.mark.parametrize("facts", [IMAGING_METHODS, TAXA])
def test_the_facts_hold_no_prose(facts: Path) -> None:
    keys = {line.partition(":")[0] for line in facts.read_text(encoding="utf-8").splitlines() if ":" in line}
    header = {"format-version", "data-version", "default-namespace", "remark", "ontology"}
    assert keys - header <= {"id", "name", "is_a", "synonym"}


def _files(study: Path) -> list[str]:
    with (study / "manifest.csv").open(newline="", encoding="utf-8") as table:
        return [row["path"] for row in csv.DictReader(table)]

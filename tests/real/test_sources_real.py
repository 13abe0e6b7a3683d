"""The sources on what the archives published: nothing lost, counted again by a direct reading of the files."""

import csv
import gzip
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooke.model import Image, Study
from hooke.settings import read_settings
from hooke.text import tokens
from indexer.sources import Input, Quarantined, Source, discover, read_images, read_studies
from tests.indexer.sourcing import Read, read

DATA = read_settings().shared_data
CRATES = DATA / "metadata" / "gide" / "gide-ro-crates.tar.gz"
STUDIES = DATA / "metadata" / "idr" / "idr-study-files.tar.gz"
TABLES = DATA / "metadata" / "idr" / "annotations"
LABELLED = DATA / "images" / "labelled"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}; set HOOKE_SHARED_DATA")


@pytest.fixture(scope="module")
def crates() -> Read:
    return read(CRATES)


@pytest.fixture(scope="module")
def studies() -> Read:
    return read(STUDIES)


@pytest.fixture(scope="module")
def tables() -> tuple[Input, ...]:
    return discover([TABLES], quarantine=refuse).inputs


def refuse(quarantined: Quarantined) -> None:
    raise AssertionError(quarantined)


def images_of(table: Input) -> list[Image]:
    return list(read_images(table, refuse))


def rows_of(table: Input) -> tuple[list[str], list[list[str]]]:
    text = gzip.decompress(table.path.read_bytes()).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return [label.strip() for label in header], rows


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            raw = opened.extractfile(member)
            if raw:
                yield member.name, raw.read()


def local_id(identifier: str) -> str:
    return re.split(r"[/#]", identifier)[-1].removeprefix("obo:").replace(":", "_")


def by_id(studies: tuple[Study, ...]) -> dict[str, Study]:
    return {study.id: study for study in studies}


def crate_roots() -> Iterator[dict[str, object]]:
    for _, data in members(CRATES):
        yield next(node for node in json.loads(data)["@graph"] if "identifier" in node)


def test_every_crate_is_one_study_and_none_is_quarantined(crates: Read) -> None:
    assert not crates.quarantined
    assert sorted(study.id for study in crates.studies) == sorted(str(root["identifier"]) for root in crate_roots())
    assert len(crates.studies) == 1291


def test_every_term_of_a_crate_is_a_value_with_its_id(crates: Read) -> None:
    found = by_id(crates.studies)
    missing, checked = [], 0
    for root in crate_roots():
        study = found[str(root["identifier"])]
        ids = {local_id(identifier) for value in study.values for identifier in value.ids}
        # the profile's `about` and `measurementMethod` are lists of references
        refs = [
            *json.loads(json.dumps(root.get("about", []))),
            *json.loads(json.dumps(root.get("measurementMethod", []))),
        ]
        terms = [local_id(ref["@id"]) for ref in refs if not ref["@id"].startswith("#")]
        checked += len(terms)
        missing += [(study.id, term) for term in terms if term not in ids]
    assert not missing
    assert checked == 3688


def test_every_word_of_a_crates_prose_is_in_a_value(crates: Read) -> None:
    found = by_id(crates.studies)
    for root in crate_roots():
        study = found[str(root["identifier"])]
        words = {word for value in study.values for word in tokens(value.text)}
        keywords = root.get("keywords", [])
        assert isinstance(keywords, list)
        prose = " ".join([str(root["name"]), str(root["description"]), *keywords])
        assert set(tokens(prose)) <= words, study.id


def test_crates_are_of_four_archives_under_known_licences(crates: Read) -> None:
    archives = Counter(value.text for study in crates.studies for value in study.values if value.field == "archive")
    licences = Counter(value.text for study in crates.studies for value in study.values if value.field == "licence")
    assert archives == {"BioImage Archive": 679, "SSBD": 475, "IDR": 110, "EMPIAR": 27}
    assert licences == {"CC-BY-4.0": 889, "CC0-1.0": 393, "CC-BY-SA-4.0": 7, "CC-BY-3.0": 1, "CC-BY-SA-3.0": 1}


def test_every_study_file_is_one_study_and_most_are_in_the_crates_too(studies: Read, crates: Read) -> None:
    assert not studies.quarantined
    assert len(by_id(studies.studies)) == 110
    assert len(set(by_id(studies.studies)) & set(by_id(crates.studies))) == 107


def test_every_study_file_gives_what_its_archive_requires(studies: Read) -> None:
    for study in studies.studies:
        fields = {value.field for value in study.values}
        assert study.datasets, study.id
        assert fields >= {"title", "description", "organism", "imaging_method", "licence", "year"}, study.id
        assert {value for dataset in study.datasets for value in dataset.values} <= set(study.values), study.id


def test_every_screen_and_experiment_is_a_dataset_of_its_archives_name(studies: Read) -> None:
    found = by_id(studies.studies)
    for name, data in members(STUDIES):
        given = re.findall(rb"IDR (?:Screen|Experiment) Name\]\t\"?[^\t\r\n]*/([A-Za-z]+)", data)
        accession = re.findall(r"idr\d{4}", name)[-1]
        assert [dataset.name for dataset in found[accession].datasets] == [part.decode() for part in given]


def test_every_row_of_the_tables_is_one_image_of_its_own_id(tables: tuple[Input, ...]) -> None:
    rows = 0
    ids: set[str] = set()
    for table in tables:
        assert table.source is Source.IDR_TABLE
        images = images_of(table)
        assert len(images) == len(rows_of(table)[1]), table.path.name
        rows += len(images)
        ids.update(image.id for image in images)
    assert (len(tables), rows, len(ids)) == (140, 166_555, 166_555)


def test_every_organism_and_cell_line_of_the_tables_is_in_its_row(tables: tuple[Input, ...]) -> None:
    shared = {"Organism": "organism", "Cell Line": "cell_line"}
    counted = 0
    for table in tables:
        header, rows = rows_of(table)
        columns = {
            position: shared[match.group(1)]
            for position, label in enumerate(header)
            if (match := re.fullmatch(r"(?:Characteristics|Comment) \[(Organism|Cell Line)(?: \d+)?\]", label))
        }
        for row, image in zip(rows, images_of(table), strict=True):
            values = {(value.field, value.text) for value in image.values}
            labels = {(field, row[position].strip()) for position, field in columns.items() if row[position].strip()}
            counted += len(labels)
            assert labels <= values, image.id
    assert counted > 250_000


def test_every_id_of_the_tables_is_an_id_of_its_row(tables: tuple[Input, ...]) -> None:
    for table in tables:
        header, rows = rows_of(table)
        accessions = [
            n for n, label in enumerate(header) if re.fullmatch(r"(Term|Phenotype).* Accession( [ab])?", label)
        ]
        for row, image in zip(rows, images_of(table), strict=True):
            ids = {re.sub(r"\W|_", " ", identifier) for value in image.values for identifier in value.ids}
            numbers = {number for identifier in ids for number in identifier.split()}
            for cell in (row[position] for position in accessions):
                assert set(re.findall(r"(?<=[_:])\w+", cell)) <= numbers, (image.id, cell)


def test_a_spreadsheets_dragged_ids_are_kept_as_submitted(tables: tuple[Input, ...]) -> None:
    images = [image for table in tables if table.path.name.startswith("idr0056") for image in images_of(table)]
    hela = {
        identifier for image in images for value in image.values if value.text == "HeLa" for identifier in value.ids
    }
    assert len(hela) == 2208


def test_every_table_belongs_to_a_study_file_or_makes_its_own_study(tables: tuple[Input, ...]) -> None:
    for table in tables:
        (study,) = read_studies(table, refuse)
        image = next(read_images(table, refuse))
        assert image.study_id == study.id
        assert [dataset.name for dataset in study.datasets] == [image.dataset]


def test_every_labelled_image_has_its_pixels_and_its_row(tables: tuple[Input, ...]) -> None:
    found = read(LABELLED)
    with (LABELLED / "manifest.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert not found.quarantined
    assert [study.id for study in found.studies] == ["labelled"]
    assert [image.id for image in found.images] == [f"labelled/{row['path']}" for row in rows]
    assert all(image.pixels and Path(image.pixels.path).is_file() for image in found.images)
    for image, row in zip(found.images, rows, strict=True):
        assert {value.text for value in image.values if value.field == "class_label"} == {row["class_label"]}


def test_all_metadata_is_found_in_one_walk(tables: tuple[Input, ...]) -> None:
    found = discover([DATA / "metadata"], quarantine=refuse)
    sources = Counter(i.source for i in found.inputs)
    in_tables = {Source.IDR_TABLE: 140, Source.IDR_STUDY: 1, Source.RO_CRATE: 1}
    assert sources == {**in_tables, Source.BIOSTUDIES: 22, Source.BIA_WEBSITE: 2}

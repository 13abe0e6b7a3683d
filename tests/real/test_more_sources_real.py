"""BioStudies submissions and the website's exports, against the raw JSON read directly."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooke.model import Study
from hooke.settings import read_settings
from hooke.text import tokens
from indexer.merge import merge_studies
from indexer.sources import Source, discover
from tests.indexer.archives import held, index_all
from tests.indexer.sourcing import Read, read, texts

DATA = read_settings().shared_data
SUBMISSIONS = DATA / "metadata" / "biostudies"
EXPORTS = DATA / "metadata" / "bia-website"
CRATES = DATA / "metadata" / "gide" / "gide-ro-crates.tar.gz"
SPDX = {"CC BY 4.0": "CC-BY-4.0", "CC-BY 4.0": "CC-BY-4.0", "CC0": "CC0-1.0"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}; set HOOKE_SHARED_DATA")

Raw = dict[str, object]


@pytest.fixture(scope="module")
def submissions() -> Read:
    return read(SUBMISSIONS)


@pytest.fixture(scope="module")
def exports() -> Read:
    return read(EXPORTS)


def raw_submissions() -> dict[str, Raw]:
    found = [json.loads(path.read_text()) for path in sorted(SUBMISSIONS.glob("*.json"))]
    return {str(submission["accno"]): submission for submission in found}


def raw_records(kind: str) -> Iterator[Raw]:
    for path in sorted(EXPORTS.glob("*.json.gz")):
        yield from json.loads(gzip.decompress(path.read_bytes()))[kind].values()


def objects(value: object, key: str) -> Iterator[Raw]:
    """Every object that stands in a list under a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, list):
                yield from (item for item in inner if isinstance(item, dict))
            yield from objects(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner, key)


def said(value: object, *names: str) -> list[str]:
    """The texts of the attributes of these names, anywhere below."""
    return [str(a["value"]) for a in objects(value, "attributes") if a.get("name") in names and a.get("value")]


def by_id(found: Read) -> dict[str, Study]:
    assert len({study.id for study in found.studies}) == len(found.studies)
    return {study.id: study for study in found.studies}


def as_written(study: Study, field: str = "organism") -> set[str]:
    """The study's organisms, alone and with each of its common names in brackets."""
    names = texts(study.values, field)
    return {*names, *(f"{name} ({common})" for name in names for common in texts(study.values, "common_name"))}


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_submission_is_one_study_and_none_is_quarantined(submissions: Read) -> None:
    assert not submissions.quarantined
    assert len(submissions.studies) == 22
    assert by_id(submissions).keys() == raw_submissions().keys()
    assert not submissions.images  # their file lists are files of their own, which are not here


def test_every_submission_has_its_title_organisms_and_licence(submissions: Read) -> None:
    organisms = 0
    for accession, raw in raw_submissions().items():
        study = by_id(submissions)[accession]
        own = [raw, raw["section"]]
        titles = [
            str(a["value"])
            for part in own
            if isinstance(part, dict)
            for a in part["attributes"]
            if a["name"] == "Title"
        ]
        assert study.title in map(words, titles), accession
        found = said(raw, "Organism", "Scientific name")
        organisms += len(found)
        assert found, accession
        assert {words(name) for name in found} <= {words(name) for name in as_written(study)}, accession
        assert texts(study.values, "licence") == [SPDX[text] for text in said(raw, "License")], accession
    assert organisms == 46


def test_every_id_in_a_submission_is_an_id_of_its_value(submissions: Read) -> None:
    counted = 0
    for accession, raw in raw_submissions().items():
        ids = {re.sub(r"\D", "", i) for value in by_id(submissions)[accession].values for i in value.ids}
        given = said(raw, "Ontology Term ID", "NCBI taxon ID")
        qualifiers = [q for a in objects(raw, "attributes") for q in objects(a, "valqual")]
        given += [str(q["value"]) for q in qualifiers if q["name"] == "TermId"]
        counted += len(given)
        assert {re.sub(r"\D", "", identifier) for identifier in given} <= ids, accession
    assert counted == 14


def test_every_date_method_author_and_word_of_prose_is_there(submissions: Read) -> None:
    for accession, raw in raw_submissions().items():
        study = by_id(submissions)[accession]
        assert texts(study.values, "year") == [said(raw, "ReleaseDate")[0][:4]], accession
        methods = said(raw, "Imaging method", "Imaging Method", "Ontology Value")
        assert {m.strip() for m in methods} == set(texts(study.values, "imaging_method")), accession
        authors = [s for s in objects(raw, "subsections") if str(s.get("type")).lower() == "author"]
        names = {name.strip() for author in authors for name in said(author, "Name")}
        assert names == set(texts(study.values, "authors")), accession
        held = {word for value in study.values for word in tokens(value.text)}
        skipped = ("E-mail", "Email", "affiliation", "AttachTo", "Template", "Ontology Name", "License")
        prose = [a for a in objects(raw, "attributes") if a.get("name") not in skipped and a.get("value")]
        lost = {word for a in prose for word in tokens(str(a["value"]))} - held
        assert all(re.fullmatch(r"https?|doi|org|dx|orcid|ncbi|txid9606|ncbitaxon|\d+|fbbi|www", w) for w in lost), (
            accession,
            lost,
        )


def test_every_study_component_is_a_dataset_with_its_method(submissions: Read) -> None:
    components = 0
    for accession, raw in raw_submissions().items():
        names = [
            words(said({"attributes": s["attributes"]}, "Name")[0])
            for s in objects(raw, "subsections")
            if s.get("type") == "Study Component"
        ]
        datasets = by_id(submissions)[accession].datasets
        assert [dataset.name for dataset in datasets] == names, accession
        components += len(names)
    assert components == 48
    hitips = by_id(submissions)["S-BIAD1043"]
    assert [texts(d.values, "sample") for d in hitips.datasets] == [
        ["DNA FISH DMSO", "DNA FISH AUXIN"],
        ["Biosample Live ERRFI1", "Biosample Live KPNB1"],
        ["Biosample IF siNCAPH2", "Biosample IF siScrambled"],
    ]


def test_every_record_of_the_exports_is_a_study_or_an_image(exports: Read) -> None:
    assert not exports.quarantined
    assert (len(exports.studies), len(exports.images)) == (45, 735)
    assert sorted(by_id(exports)) == sorted(str(raw["accession_id"]) for raw in raw_records("datasets"))
    assert Counter(image.study_id for image in exports.images) == Counter(
        str(raw["study_accession_id"]) for raw in raw_records("images")
    )
    assert len({image.id for image in exports.images}) == 735


def test_every_study_of_the_exports_says_what_its_record_says(exports: Read) -> None:
    for raw in raw_records("datasets"):
        study = by_id(exports)[str(raw["accession_id"])]
        assert study.title == words(str(raw["title"]))
        organism = str(raw["organism"])
        assert as_written(study) == set() if organism == "Unknown" else organism in as_written(study)
        assert texts(study.values, "year") == [str(raw["release_date"])[:4]]


def test_every_image_of_the_exports_has_its_sizes_channels_and_thumbnail(exports: Read) -> None:
    images = {uuid: image for image in exports.images for uuid in texts(image.values, "uuid")}
    for raw in raw_records("images"):
        image = images[str(raw["uuid"])]
        assert image.id == f"{raw['study_accession_id']}/{raw['original_relpath']}"
        for axis in "XYZCT":
            assert texts(image.values, f"size_{axis.lower()}") == [str(raw[f"size{axis}"])]
        for axis in "XYZ":
            (size,) = texts(image.values, f"voxel_physical_size_{axis.lower()}")
            assert float(size) == raw[f"PhysicalSize{axis}"]
        assert texts(image.values, "thumbnail_uri") == [text for text in [raw["thumbnail_uri"]] if text]
        attributes = raw["attributes"]
        assert isinstance(attributes, dict)
        assert {str(v).strip() for v in attributes.values() if v} <= {value.text for value in image.values}


def test_a_study_of_several_sources_is_one_with_all_its_origins(submissions: Read, exports: Read) -> None:
    crates = read(CRATES)
    merged = merge_studies((*crates.studies, *submissions.studies, *exports.studies))
    origins = Counter(frozenset(study.origins) for study in merged.values())
    in_crates, in_submissions, in_exports = (
        {study.id for study in found.studies} for found in (crates, submissions, exports)
    )
    assert len(merged) == len(in_crates | in_submissions | in_exports)
    assert origins[frozenset({"ro-crate", "biostudies"})] == len((in_crates & in_submissions) - in_exports)
    assert origins[frozenset({"biostudies", "bia-website"})] == len((in_submissions & in_exports) - in_crates)
    for accession in in_crates & in_submissions:
        assert merged[accession].title == by_id(crates)[accession].title


def test_a_crate_and_a_submission_of_one_study_agree_on_licence_and_date(submissions: Read) -> None:
    crates = by_id(read(CRATES))
    both = sorted(crates.keys() & by_id(submissions).keys())
    for accession in both:
        crate, submission = crates[accession], by_id(submissions)[accession]
        assert texts(crate.values, "licence") == texts(submission.values, "licence")
        assert texts(crate.values, "release_date") == texts(submission.values, "release_date")[:1]
    assert len(both) == 15


def test_the_whole_folder_is_found_by_content() -> None:
    found = discover([SUBMISSIONS, EXPORTS], quarantine=lambda quarantined: pytest.fail(str(quarantined)))
    assert Counter(i.source for i in found.inputs) == {Source.BIOSTUDIES: 22, Source.BIA_WEBSITE: 2}
    assert found.ignored == 0


def test_each_submission_is_read_by_itself_too() -> None:
    for path in sorted(SUBMISSIONS.glob("*.json")):
        (study,) = read(Path(path)).studies
        assert study.id == path.stem


def test_an_index_of_both_holds_every_study_and_image_and_the_next_run_reads_nothing(tmp_path: Path) -> None:
    report = index_all(tmp_path / "index", SUBMISSIONS, EXPORTS)
    assert not report.quarantined
    assert (report.studies, report.images, report.embedded) == (65, 735, 0)
    stored = held(tmp_path / "index")
    shared = {value.text for value in stored.studies["S-BIAD954"] if value.field in ("n_images", "file_list")}
    assert len(shared) == 2, "one study that both sources describe has what each says"
    assert index_all(tmp_path / "index", SUBMISSIONS, EXPORTS).unchanged == 24

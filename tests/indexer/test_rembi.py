"""REMBI and MIFA metadata as YAML."""

from pathlib import Path
from time import perf_counter

import pytest

from hooke.model import Study
from indexer.merge import merge_studies
from indexer.sources import rembi
from tests.indexer.archives import held, index_all, write_crate
from tests.indexer.sourcing import read, texts, with_ids

REMBI = """
rembi_version: 1.5
accession_id: s-biad7
study:
  title: Nuclei of two species
  description: How nuclei divide.
  keywords: [nucleus, mitosis]
  license: {name: CC BY 4.0, url: https://creativecommons.org/licenses/by/4.0/}
  release_date: 2023-03-07
  authors:
    - first_name: Ada
      last_name: Lovelace
      email: ada@example.org
      orcid: https://orcid.org/0000-0001-2345-6789
      affiliation: {name: EMBL, url: https://ror.org/03mstc592}
  funding:
    funding_statement: Funded by many.
    grant_references: [{identifier: "844198", funder: FFG}]
  publications: [{title: A paper, doi: "https://doi.org/10.1/x", year: 2020, pubmed_id: 123}]
study_components:
  - name: humans
    description: Cells in a dish
    biosample: HeLa cells
    image_acquisition: [confocal]
  - name: mice
    biosamples: [liver]
biosamples:
  - title: HeLa cells
    organism: {scientific_name: Homo sapiens, common_name: human, ncbi_taxon: NCBI:txid9606}
    biological_entity: cervix
    experimental_variables: [siRNA, time]
  - id: liver
    organism:
      - {scientific_name: Mus musculus, ncbi_taxon: 10090}
specimens:
  - {title: fixed, sample_preparation: Formalin}
image_acquisitions:
  - title: confocal
    imaging_method: {value: confocal microscopy, ontology_name: FBbi, ontology_id: FBbi_00000251}
    imaging_instrument: Zeiss LSM 880
"""
MIFA_STUDY = """
title: Nuclear segmentation
description: Annotated images
authors:
  - {author_first_name: Sabine , author_last_name: Taschner, orcid_id: 0000-0002-1439-5301,
     organisation: [{organisation_name: CCRI, address: Vienna}], role: [data acquisition]}
license: CC0
ai_models_trained: https://example.org/model
link_url: https://example.org
publications: [{publication_title: A dataset, publication_doi: https://doi.org/10.1038/s41597}]
"""
MIFA_ANNOTATIONS = """
annotation_overview: Masks of nuclei
annotation_method: >-
  Experts drew
  polygons.
annotation_confidence_level: "4"
file_metadata:
  - annotation_id : groundtruth/a.tif
    annotation_type : segmentation_mask
    source_image_id : raw/a.tif
  - {annotation_id: groundtruth/b.tif, annotation_type: class_labels, source_image_id: raw/b.tif}
"""
MIFA_VERSION = """
version: 1.10
timestamp: 2023-03-07T14:37:00-00:00
changes: More metadata
previous_version: https://example.org/S-BSST265
"""


def study_of(folder: Path, text: str, name: str = "S-BIAD7.yaml") -> Study:
    (folder / name).write_text(text)
    found = read(folder / name)
    assert not found.quarantined
    (study,) = found.studies
    return study


def test_rembi_is_a_study_with_its_components_and_what_they_name(tmp_path: Path) -> None:
    study = study_of(tmp_path, REMBI, "any.yaml")
    assert (study.id, study.title, study.origins) == ("S-BIAD7", "Nuclei of two species", ("rembi",))
    assert {field: texts(study.values, field) for field in ("archive", "licence", "year", "keywords", "authors")} == {
        "archive": ["BioImage Archive"],
        "licence": ["CC-BY-4.0"],
        "year": ["2023"],
        "keywords": ["nucleus", "mitosis"],
        "authors": ["Ada Lovelace"],
    }
    assert texts(study.values, "orcid") == ["0000-0001-2345-6789"]
    assert texts(study.values, "affiliation") == ["EMBL"]
    assert (texts(study.values, "grant"), texts(study.values, "funder")) == (["844198"], ["FFG"])
    assert (texts(study.values, "doi"), texts(study.values, "protocol_description")) == (["10.1/x"], ["Formalin"])
    assert not [value for value in study.values if "@" in value.text]
    humans, mice = study.datasets
    assert (humans.name, mice.name) == ("humans", "mice")
    assert with_ids(humans.values, "organism") == [("Homo sapiens", ("NCBI:txid9606",))]
    assert with_ids(humans.values, "imaging_method") == [("confocal microscopy", ("FBbi_00000251",))]
    assert texts(humans.values, "instrument") == ["Zeiss LSM 880"]
    assert texts(humans.values, "experimental_variables") == ["siRNA", "time"]
    assert with_ids(mice.values, "organism") == [("Mus musculus", ("NCBITaxon:10090",))]
    assert not texts(mice.values, "imaging_method")


def test_mifas_files_of_one_study_are_one_study(tmp_path: Path) -> None:
    for name, text in (("Study", MIFA_STUDY), ("Annotations", MIFA_ANNOTATIONS), ("Version", MIFA_VERSION)):
        (tmp_path / f"{name}_S-BIAD634.yaml").write_text(text)
    found = read(tmp_path)
    assert not found.quarantined
    (study,) = merge_studies(found.studies).values()
    assert (study.id, study.title, study.origins) == ("S-BIAD634", "Nuclear segmentation", ("rembi",))
    said = {value.field: value.text for value in study.values}
    assert said["authors"] == "Sabine Taschner"
    assert said["ai_models_trained"] == "https://example.org/model"
    assert said["annotation_overview"] == "Masks of nuclei"
    assert said["annotation_method"] == "Experts drew polygons."
    assert said["annotation_confidence_level"] == "4"
    assert texts(study.values, "annotation_type") == ["segmentation_mask", "class_labels"]
    assert (said["version"], said["previous_version"]) == ("1.10", "https://example.org/S-BSST265")
    assert not [value for value in study.values if "groundtruth" in value.text]


def test_a_file_and_a_crate_of_one_study_are_one_study(tmp_path: Path) -> None:
    write_crate(tmp_path / "archive" / "crate", "S-BIAD7", "Nuclei")
    (tmp_path / "archive" / "study.yaml").write_text(REMBI)
    report = index_all(tmp_path / "index", tmp_path / "archive")
    assert (report.studies, report.quarantined) == (1, ())
    assert {"nucleus", "mitosis"} <= set(texts(held(tmp_path / "index").studies["S-BIAD7"], "keywords"))


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("my-cells.yaml", "my-cells"),
        ("Study.yaml", "the folder"),
        ("rembi-idr0056.yml", "idr0056"),
        ("MIFA_study_worms.yaml", "worms"),
    ],
)
def test_a_file_without_an_accession_is_called_as_it_or_its_folder_is(
    tmp_path: Path, name: str, identifier: str
) -> None:
    (tmp_path / "the folder").mkdir()
    assert study_of(tmp_path / "the folder", MIFA_STUDY, name).id == identifier


def test_plain_values_stay_as_they_are_written(tmp_path: Path) -> None:
    study = study_of(tmp_path, MIFA_STUDY + "country: NO\nrelease: 1.10\nstart: 12:30\nanswer: yes\nnone: ~\n")
    said = {value.field: value.text for value in study.values}
    assert [said.get(key) for key in ("country", "release", "start", "answer", "none")] == [
        "NO",
        "1.10",
        "12:30",
        "yes",
        None,
    ]


def test_aliases_and_merged_keys_are_what_they_stand_for(tmp_path: Path) -> None:
    study = study_of(
        tmp_path,
        MIFA_STUDY + "biosamples:\n- &a {title: one, organism: Homo sapiens}\n- {<<: *a, title: two}\n",
    )
    assert texts(study.values, "sample") == ["one", "two"]
    assert texts(study.values, "organism") == ["Homo sapiens"]


BOMB = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9) if n else 'ha'}]\n" for n in range(12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "aliases written out"),
        ("x: &a [*a]\n", "an alias stands for what it is in"),
        ("x: !!python/object/apply:os.system [echo]\n", "could not determine a constructor"),
        ("x: " + "[" * 5000 + "]" * 5000 + "\n", "not YAML: maximum recursion"),
        ("x: 'open\n", "not YAML"),
        ("x: *nobody\n", "undefined alias"),
        ("? [1, 2]\n: x\n", "unhashable"),
        ("x: !!int y\n", "not YAML"),
        ("x: !!bool maybe\n", "not YAML"),
        ('x: !!int ""\n', "not YAML"),
        ("x: !!timestamp y\n", "not YAML"),
    ],
)
def test_a_hostile_or_broken_file_is_quarantined_and_the_others_are_read(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "bad.yaml").write_text("annotation_overview: x\n" + text)
    (tmp_path / "good.yaml").write_text(REMBI)
    found = read(tmp_path)
    assert [study.id for study in found.studies] == ["S-BIAD7"]
    assert reason in found.reasons


def test_a_line_of_spaces_is_looked_through_once() -> None:
    start = perf_counter()
    assert not rembi.is_rembi("a.yaml", b"a" + b" " * 100_000)
    assert rembi.is_rembi("a.yaml", b"'rembi version'  : 1\n")
    assert perf_counter() - start < 5


def test_a_file_beyond_its_limits_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rembi, "FILE_LIMIT", 2**20)
    (tmp_path / "big.yaml").write_text("annotation_overview: x\n" + "# more\n" * 200_000)
    assert "of YAML" in read(tmp_path).reasons


def test_what_is_nested_too_deep_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text(MIFA_STUDY + "x: " + "{a: " * 20 + "1" + "}" * 20 + "\ny: [[1]]\n")
    found = read(tmp_path)
    assert len(found.studies) == 1
    assert found.reasons.count("nested too deep") == 2

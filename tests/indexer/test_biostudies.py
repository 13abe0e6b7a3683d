"""BioStudies page-tab submissions."""

import json
from pathlib import Path

import pytest

from hooke.inherit import inherited_values
from hooke.model import Study, Value
from indexer.merge import merge_studies
from tests.indexer.archives import write_crate
from tests.indexer.sourcing import Read, read, tar, texts, with_ids


def attributes(**texts: object) -> list[dict[str, object]]:
    """Attributes by name; a list gives several of one name."""
    return [
        {"name": name.replace("_", " "), "value": text}
        for name, found in texts.items()
        for text in (found if isinstance(found, list) else [found])
    ]


def section(kind: str, *inner: object, **texts: object) -> dict[str, object]:
    return {"type": kind, "attributes": attributes(**texts), "subsections": list(inner)}


TERM = {"name": "Ontology", "value": "FBbi"}, {"name": "TermId", "value": "FBbi_00000251"}
LICENCE = {"name": "License", "value": "CC BY 4.0", "valqual": [{"name": "URL", "value": "https://x.org/by/4.0"}]}
STUDY = {
    **section("Study", Title="Nuclei of\nmany cells", Description="What was done.", Keywords=["nucleus", "mitosis"]),
    "links": [[{"url": "10.5281/zenodo.1", "attributes": attributes(Description="the code")}]],
    "subsections": [
        section("author", Name="Ada B", ORCID="https://orcid.org/0000-0001", E_mail="a@b.org", Role="submitter"),
        section("organization", Name="An Institute", RORID="https://ror.org/1"),
        section("Publication", Title="On nuclei", DOI="https://doi.org/10.1/x", Year="2024"),
        section("Funding", Agency="A Fund", grant_id="G-1"),
        section("Biosample", Title="Cells", Organism="Homo sapiens (human)", Biological_entity="HeLa cells"),
        section("Biosample", Title="Tissue", Organism="Mus musculus", Extrinsic_variable="DMSO"),
        section("Specimen", Title="Fixed", Sample_preparation_protocol="In PFA."),
        {
            "type": "Image acquisition",
            "accno": "Image acquisition-1",
            "attributes": [
                *attributes(Title="Confocal", Imaging_instrument="SP8"),
                {"name": "Imaging method", "value": "confocal microscopy", "valqual": TERM},
            ],
        },
        section(
            "Study Component",
            section("Associations", Biosample="cells ", Specimen="Fixed", Image_acquisition="Image acquisition-1"),
            Name="Cultured",
            Description="Images of cells.",
            File_List="cells.json",
        ),
        section("Study Component", section("Associations", Biosample="Tissue", Specimen="Lost"), Name="From mice"),
    ],
}
STUDY["attributes"] = [*attributes(Title="Nuclei of\nmany cells", Description="What was done."), LICENCE]
STUDY["attributes"] += attributes(Keywords=["nucleus", "mitosis"])  # type: ignore[operator] # a list of attributes
SUBMISSION = {
    "accno": "s-biad9001",
    "attributes": [
        {"name": "ReleaseDate", "value": "2024-03-01"},
        {"name": "AttachTo", "value": "BioImages"},
        {"name": "DOI", "value": "10.6019/S-BIAD9001"},
    ],
    "section": STUDY,
    "type": "submission",
}


def read_json(folder: Path, submission: object, name: str = "S-BIAD9001.json") -> Read:
    path = folder / name
    path.write_text(submission if isinstance(submission, str) else json.dumps(submission))
    return read(path, source="biostudies")


def one(folder: Path, submission: object) -> Study:
    found = read_json(folder, submission)
    assert not found.quarantined
    (study,) = found.studies
    return study


def with_sections(*inner: object, **more: object) -> dict[str, object]:
    return {**SUBMISSION, "section": {"type": "Study", "attributes": [], "subsections": list(inner), **more}}


def test_a_submission_is_a_study_under_the_names_that_crates_have(tmp_path: Path) -> None:
    study = one(tmp_path, SUBMISSION)
    assert (study.id, study.title, study.origins) == ("S-BIAD9001", "Nuclei of many cells", ("biostudies",))
    said = {field: texts(study.values, field) for field in {value.field for value in study.values}}
    assert said == {
        "accession": ["S-BIAD9001"],
        "archive": ["BioImage Archive"],
        "title": ["Nuclei of\nmany cells"],
        "description": ["What was done.", "Images of cells."],
        "release_date": ["2024-03-01"],
        "year": ["2024"],
        "doi": ["10.6019/S-BIAD9001", "10.1/x"],
        "licence": ["CC-BY-4.0"],
        "licence_url": ["https://x.org/by/4.0"],
        "keywords": ["nucleus", "mitosis"],
        "authors": ["Ada B"],
        "orcid": ["0000-0001"],
        "role": ["submitter"],
        "affiliation": ["An Institute"],
        "ror_id": ["https://ror.org/1"],
        "publication_title": ["On nuclei"],
        "publication_date": ["2024"],
        "funder": ["A Fund"],
        "grant": ["G-1"],
        "sample": ["Cells", "Tissue", "cells"],
        "organism": ["Homo sapiens", "Mus musculus"],
        "common_name": ["human"],
        "sample_description": ["HeLa cells"],
        "extrinsic_variable": ["DMSO"],
        "protocol_name": ["Fixed", "Confocal", "Image acquisition-1", "Lost"],
        "protocol_description": ["In PFA."],
        "instrument": ["SP8"],
        "imaging_method": ["confocal microscopy"],
        "dataset": ["Cultured", "From mice"],
        "file_list": ["cells.json"],
        "link_url": ["10.5281/zenodo.1"],
        "link_description": ["the code"],
    }
    assert with_ids(study.values, "imaging_method") == [("confocal microscopy", ("FBbi_00000251",))]


def test_a_component_has_what_it_names_and_nothing_of_the_others(tmp_path: Path) -> None:
    cultured, mice = one(tmp_path, SUBMISSION).datasets
    assert (cultured.name, mice.name) == ("Cultured", "From mice")
    assert texts(cultured.values, "organism") == ["Homo sapiens"]
    assert texts(cultured.values, "imaging_method") == ["confocal microscopy"]
    assert texts(mice.values, "organism") == ["Mus musculus"]
    assert texts(mice.values, "imaging_method") == []


def test_a_name_in_the_associations_that_nothing_has_is_kept_as_the_submitter_wrote_it(tmp_path: Path) -> None:
    _, mice = one(tmp_path, SUBMISSION).datasets
    assert texts(mice.values, "protocol_name") == ["Lost"]


def test_older_templates_hold_samples_and_methods_inside_the_component(tmp_path: Path) -> None:
    organism = section("Organism", Scientific_name="homo sapiens", Common_name="human", NCBI_taxon_ID="NCBI:txid9606")
    method = section("Imaging Method", Ontology_Value="TEM", Ontology_Name="FBbi", Ontology_Term_ID="FBbi:00000258")
    component = section(
        "Study Component",
        section("Biosample", organism, Biological_entity="bronchial epithelia"),
        section("Image Acquisition", method, Imaging_Instrument="H7650"),
        Name="Ultrastructure",
    )
    study = one(tmp_path, with_sections(component))
    (dataset,) = study.datasets
    for values in (study.values, dataset.values):
        assert with_ids(values, "organism") == [("homo sapiens", ("NCBI:txid9606",))]
        assert with_ids(values, "imaging_method") == [("TEM", ("FBbi:00000258",))]
        assert texts(values, "instrument") == ["H7650"]


def test_one_id_beside_several_names_is_nobodys_in_particular(tmp_path: Path) -> None:
    several = section("Organism", Scientific_name=["Homo sapiens", "Mus musculus"], NCBI_taxon_ID="9606")
    study = one(tmp_path, with_sections(section("Biosample", several)))
    assert with_ids(study.values, "organism") == [
        ("Homo sapiens", ()),
        ("Mus musculus", ()),
        ("NCBITaxon:9606", ("NCBITaxon:9606",)),
    ]


def test_a_term_that_is_only_an_id_is_a_value_by_its_id(tmp_path: Path) -> None:
    study = one(tmp_path, with_sections(section("Biosample", section("Organism", NCBI_taxon_ID="9606"))))
    assert with_ids(study.values, "organism") == [("NCBITaxon:9606", ("NCBITaxon:9606",))]


def test_references_and_mail_addresses_are_left_out(tmp_path: Path) -> None:
    author = {
        "type": "Author",
        "attributes": [
            {"name": "Email", "value": "a@b.org"},
            {"name": "affiliation", "value": "o1", "reference": True},
            {"name": "affiliation", "value": "At home"},
        ],
    }
    study = one(tmp_path, with_sections(author))
    assert texts(study.values, "affiliation") == ["At home"]
    assert "a@b.org" not in {value.text for value in study.values}


def test_files_inside_are_images_of_their_component_and_the_others_are_found_by_path(tmp_path: Path) -> None:
    files: list[object] = [
        {"path": "day 1/a.czi", "size": 17, "type": "file", "attributes": attributes(Cell_line="HeLa", Size_Z="5")},
        {"path": "day 1/a.czi"},
        {"path": "notes.txt", "size": 3},
        [{"path": "b.tif", "attributes": attributes(Organism="Mus musculus")}],
    ]
    component = {**section("Study Component", Name="Cells"), "files": files}
    found = read_json(tmp_path, with_sections(component, files=[{"path": "c.png"}]))
    assert not found.quarantined
    assert [(image.id, image.dataset) for image in found.images] == [
        ("S-BIAD9001/day 1/a.czi", "Cells"),
        ("S-BIAD9001/day 1/a.czi#2", "Cells"),
        ("S-BIAD9001/b.tif", "Cells"),
        ("S-BIAD9001/c.png", None),
    ]
    first = next(image for image in found.images if image.id.endswith("a.czi"))
    assert {(value.field, value.text) for value in first.values} == {
        ("path", "day 1/a.czi"),
        ("size_bytes", "17"),
        ("cell_line", "HeLa"),
        ("size_z", "5"),
    }
    (study,) = found.studies
    assert texts(study.values, "path") == ["notes.txt"]
    # an image's own organism stays its own
    assert texts(study.values, "organism") == []
    assert inherited_values(study, "Cells")


def test_two_components_of_one_name_stay_two(tmp_path: Path) -> None:
    components = [
        {**section("Study Component", Name="Cells", Description=text), "files": [{"path": f"{text}.png"}]}
        for text in ("one", "two")
    ]
    found = read_json(tmp_path, with_sections(*components))
    assert [dataset.name for dataset in found.studies[0].datasets] == ["Cells", "Cells#2"]
    assert [image.dataset for image in found.images] == ["Cells", "Cells#2"]


def test_the_submission_has_title_and_date_where_the_study_has_none(tmp_path: Path) -> None:
    submission = with_sections(attributes=attributes(Release_date="2019-12-10"))
    submission["attributes"] = attributes(Title="Of cells", ReleaseDate="2020-02-14")
    study = one(tmp_path, submission)
    assert study.title == "Of cells"
    assert texts(study.values, "release_date") == ["2020-02-14", "2019-12-10"]
    assert texts(study.values, "year") == ["2020"]


def test_a_submission_without_title_is_called_by_its_accession(tmp_path: Path) -> None:
    assert one(tmp_path, with_sections()).title == "S-BIAD9001"


def test_a_study_of_biostudies_alone_is_of_that_archive(tmp_path: Path) -> None:
    study = one(tmp_path, {"accno": "S-BSST223", "attributes": [], "section": {"type": "Study"}})
    assert texts(study.values, "archive") == ["BioStudies"]


@pytest.mark.parametrize(
    ("submission", "reason"),
    [
        (json.dumps(SUBMISSION)[:500], "not JSON"),
        ({**SUBMISSION, "accno": None}, "no accession"),
        ({**SUBMISSION, "accno": {"x": 1}}, "no accession"),
        ({**SUBMISSION, "section": []}, "no `section`"),
        ("[1]", "no `section`"),
        ('{"section": ' + "[" * 10_000, "recursion"),
        ('{"accno": "S-1", "section": ' + '{"subsections": [' * 10_000 + "]}" * 10_000 + "}", "recursion"),
    ],
)
def test_a_document_that_is_no_submission_is_quarantined_with_the_reason(
    tmp_path: Path, submission: object, reason: str
) -> None:
    found = read_json(tmp_path, submission)
    assert not found.studies
    assert not found.images
    assert reason in found.reasons


@pytest.mark.parametrize(
    ("part", "where", "reason"),
    [
        ({"subsections": ["a text"]}, "section.subsections[0]", "an object is expected"),
        ({"subsections": [[[7]]]}, "section.subsections[0][0][0]", "an object is expected"),
        ({"attributes": [{"value": "x"}]}, "section.attributes[0]", "an attribute without a name"),
        ({"attributes": [{"name": "Title", "value": ["x"]}]}, "section.attributes[0]", "the value of title is no text"),
        ({"files": ["x.tif"]}, "section.files[0]", "an object is expected"),
    ],
)
def test_a_part_of_the_wrong_shape_is_quarantined_and_the_rest_counts(
    tmp_path: Path, part: dict[str, list[object]], where: str, reason: str
) -> None:
    whole = section("Biosample", Organism="Homo sapiens")
    parts = {key: [*found, whole] if key == "subsections" else found for key, found in part.items()}
    study = {"type": "Study", "subsections": [whole], **parts}
    read_all = read_json(tmp_path, {**SUBMISSION, "section": study})
    assert f"{where}: " in read_all.reasons
    assert reason in read_all.reasons
    assert texts(read_all.studies[0].values, "organism") == ["Homo sapiens"]


def test_sections_nested_past_reason_are_left_out_and_told(tmp_path: Path) -> None:
    deep = section("Biosample", Organism="Mus musculus")
    for _ in range(100):
        deep = section("Study Component", deep)
    found = read_json(tmp_path, with_sections(section("Biosample", Organism="Homo sapiens"), deep))
    assert "nested more than 12 deep" in found.reasons
    assert texts(found.studies[0].values, "organism") == ["Homo sapiens"]


def test_a_submission_and_a_crate_of_one_accession_are_one_study_of_both_origins(tmp_path: Path) -> None:
    crate = write_crate(tmp_path / "crate", "S-BIAD9001", "Nuclei of many cells")
    (tmp_path / "S-BIAD9001.json").write_text(json.dumps(SUBMISSION))
    found = read(tmp_path)
    assert crate.is_file()
    assert not found.quarantined
    (study,) = merge_studies(found.studies).values()
    assert set(study.origins) == {"ro-crate", "biostudies"}
    assert Value("organism", "Mus musculus") in study.values
    assert Value("keywords", "nucleus") in study.values
    assert [dataset.name for dataset in study.datasets] == ["Cultured", "From mice"]


def test_submissions_in_a_tar_are_a_study_each(tmp_path: Path) -> None:
    data = {
        f"x/S-BIAD{n}.json": json.dumps({**SUBMISSION, "accno": f"S-BIAD{n}"} if n != 2 else {"section": {}}).encode()
        for n in range(4)
    }
    found = read(tar(tmp_path / "all.tar.gz", data | {"x/cut.json": json.dumps(SUBMISSION).encode()[:-5]}))
    assert [study.id for study in found.studies] == ["S-BIAD0", "S-BIAD1", "S-BIAD3"]
    assert [q.path.partition("tar.gz:")[2] for q in found.quarantined] == ["x/cut.json"]

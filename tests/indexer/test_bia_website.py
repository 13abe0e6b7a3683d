"""The exports of the BioImage Archive's website."""

import gzip
import json
from pathlib import Path

import pytest

from indexer.merge import merge_studies
from tests.indexer.archives import write_crate
from tests.indexer.sourcing import Read, read, texts, with_ids

IMAGE = {
    "uuid": "u1",
    "name": "a.lif",
    "alias": "IM1",
    "original_relpath": "day 1/a.lif",
    "study_title": "Of leaves",
    "release_date": "2018-12-28",
    "study_accession_id": "S-BSST223",
    "thumbnail_uri": "https://example.org/u1-thumbnail.png",
    "sizeX": 512,
    "sizeZ": 110,
    "source_image_uuid": None,
    "PhysicalSizeX": 2.703066536203522e-07,
    "biosample_organism_scientific_name": "Homo sapiens",
    "biosample_organism_ncbi_taxon": "9606",
    "image_acquisition_imaging_method": ["confocal microscopy", "FRAP"],
    "attributes": {"Channel 1": "pacSph", "Channel2": "Lamp1", "Number of Channels": "2", "Staining(channel)": "GFP"},
}
STUDY = {
    "accession_id": "S-BSST223",
    "title": "Of leaves",
    "release_date": "2018-12-28",
    "imaging_type": "Unknown",
    "organism": "Arabidopsis thaliana (thale cress)",
    "annotation_type": "segmentation masks, class labels",
    "n_images": 0,
    "image_uuids": ["u1"],
    "annotation_images": {"u7": "u8"},
    "links": [{"name": "original_submission", "type": "original_submission", "url": "https://example.org/S-BSST223"}],
}
EXPORT = {"collections": {}, "images": {"u1": IMAGE}, "datasets": {"S-BSST223": STUDY}}


def read_text(folder: Path, text: str) -> Read:
    path = folder / "export.json"
    path.write_text(text)
    return read(path, source="bia-website")


def read_export(folder: Path, **parts: object) -> Read:
    return read_text(folder, json.dumps({**EXPORT, **parts}))


def test_a_dataset_record_is_a_study(tmp_path: Path) -> None:
    (study,) = read_export(tmp_path).studies
    assert (study.id, study.title, study.origins) == ("S-BSST223", "Of leaves", ("bia-website",))
    assert {field: texts(study.values, field) for field in {value.field for value in study.values}} == {
        "accession": ["S-BSST223"],
        "archive": ["BioImage Archive"],
        "year": ["2018"],
        "title": ["Of leaves"],
        "release_date": ["2018-12-28"],
        "organism": ["Arabidopsis thaliana"],
        "common_name": ["thale cress"],
        "annotation_type": ["segmentation masks", "class labels"],
        "n_images": ["0"],
        "link_url": ["https://example.org/S-BSST223"],
    }


def test_an_image_record_is_an_image_with_sizes_and_addresses_as_values(tmp_path: Path) -> None:
    found = read_export(tmp_path)
    assert not found.quarantined
    (image,) = found.images
    assert (image.id, image.study_id, image.title) == ("S-BSST223/day 1/a.lif", "S-BSST223", "a.lif")
    assert image.pixels is None
    assert {field: texts(image.values, field) for field in {value.field for value in image.values}} == {
        "uuid": ["u1"],
        "alias": ["IM1"],
        "path": ["day 1/a.lif"],
        "thumbnail_uri": ["https://example.org/u1-thumbnail.png"],
        "size_x": ["512"],
        "size_z": ["110"],
        "voxel_physical_size_x": ["2.703066536203522e-07"],
        "organism": ["Homo sapiens"],
        "imaging_method": ["confocal microscopy", "FRAP"],
        "channels": ["pacSph", "Lamp1"],
        "number_of_channels": ["2"],
        "staining_channel": ["GFP"],
    }
    assert with_ids(image.values, "organism") == [("Homo sapiens", ("NCBITaxon:9606",))]


@pytest.mark.parametrize(
    ("taxa", "ids"),
    [(["9606", "10090"], [("NCBITaxon:9606",), ("NCBITaxon:10090",)]), (["9606"], [(), ()])],
)
def test_ids_of_organisms_belong_to_names_by_position_or_to_none(
    tmp_path: Path, taxa: list[str], ids: list[tuple[str, ...]]
) -> None:
    organisms = ["Homo sapiens", "Mus musculus"]
    image = IMAGE | {"biosample_organism_scientific_name": organisms, "biosample_organism_ncbi_taxon": taxa}
    (read,) = read_export(tmp_path, images={"u1": image}).images
    found = [(value.text, value.ids) for value in read.values if value.field == "organism"]
    assert found == list(zip(organisms, ids, strict=True))


def test_images_of_one_path_keep_ids_of_their_own(tmp_path: Path) -> None:
    found = read_export(tmp_path, images={"u1": IMAGE, "u2": {**IMAGE, "uuid": "u2"}})
    assert [image.id for image in found.images] == ["S-BSST223/day 1/a.lif", "S-BSST223/day 1/a.lif#2"]


def test_a_study_that_only_images_name_is_made_of_what_they_say(tmp_path: Path) -> None:
    images = {"u1": IMAGE, "u2": {**IMAGE, "study_accession_id": "s-biad7"}, "u3": {"study_accession_id": "S-BIAD7"}}
    found = read_export(tmp_path, images=images)
    assert [study.id for study in found.studies] == ["S-BSST223", "S-BIAD7"]
    made = found.studies[1]
    assert made.title == "Of leaves"
    assert texts(made.values, "year") == ["2018"]
    assert {image.study_id for image in found.images} <= {study.id for study in found.studies}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([1, 2], "a record is an object"),
        ("u2", "a record is an object"),
        ({**IMAGE, "study_accession_id": None}, "without `study_accession_id`"),
        ({"study_accession_id": "S-BSST223"}, "without `original_relpath`"),
    ],
)
def test_a_record_of_the_wrong_shape_is_quarantined_by_its_key_and_the_rest_counts(
    tmp_path: Path, record: object, reason: str
) -> None:
    found = read_export(tmp_path, images={"bad": record, "u1": IMAGE})
    assert [image.id for image in found.images] == ["S-BSST223/day 1/a.lif"]
    assert [(q.path.partition(".json:")[2], reason in q.reason) for q in found.quarantined] == [("images/bad", True)]


def test_a_study_without_accession_is_quarantined_and_its_images_make_one(tmp_path: Path) -> None:
    found = read_export(tmp_path, datasets={"S-BSST223": {**STUDY, "accession_id": ""}})
    assert "datasets/S-BSST223: a study without `accession_id`" in found.reasons
    assert [(study.id, texts(study.values, "organism")) for study in found.studies] == [("S-BSST223", [])]


@pytest.mark.parametrize("part", ["images", "datasets"])
@pytest.mark.parametrize("shape", [[], "x", 7, None])
def test_a_part_of_the_wrong_shape_is_quarantined(tmp_path: Path, part: str, shape: object) -> None:
    found = read_export(tmp_path, **{part: shape})
    assert f"`{part}` is no object of records" in found.reasons
    assert len(found.studies) == 1


def test_a_record_nested_past_reason_is_quarantined_and_the_rest_counts(tmp_path: Path) -> None:
    deep = '{"a": ' * 10_000 + "1" + "}" * 10_000
    shallow = '{"a": ' * 100 + "1" + "}" * 100
    text = json.dumps({**EXPORT, "images": {"deep": "DEEP", "shallow": "SHALLOW", "u1": IMAGE}})
    found = read_text(tmp_path, text.replace('"DEEP"', deep).replace('"SHALLOW"', shallow))
    assert [image.id for image in found.images] == ["S-BSST223/day 1/a.lif"]
    assert [q.path.partition(".json:")[2] for q in found.quarantined] == ["images/deep", "images/shallow"]


def test_a_truncated_export_gives_every_record_before_the_cut_and_is_told(tmp_path: Path) -> None:
    images = {f"u{n}": {**IMAGE, "original_relpath": f"{n}.tif"} for n in range(5)}
    text = json.dumps({**EXPORT, "images": images})
    cut = text.index('"3.tif"')
    found = read_text(tmp_path, text[:cut])
    assert [image.title for image in found.images] == ["a.lif"] * 3
    assert [image.id for image in found.images] == [f"S-BSST223/{n}.tif" for n in range(3)]
    # the studies came after the cut
    assert [study.id for study in found.studies] == ["S-BSST223"]
    assert "images/u3: not JSON" in found.reasons
    assert "the file ends in the middle" in found.reasons


def test_no_object_at_all_is_quarantined(tmp_path: Path) -> None:
    found = read_text(tmp_path, "[]")
    assert "no object of `images` and `datasets`" in found.reasons


def test_a_packed_export_is_known_by_content(tmp_path: Path) -> None:
    path = tmp_path / "whatever.gz"
    path.write_bytes(gzip.compress(json.dumps(EXPORT).encode()))
    assert len(read(path).images) == 1


def test_an_export_and_a_crate_of_one_accession_are_one_study_of_both_origins(tmp_path: Path) -> None:
    write_crate(tmp_path / "crate", "S-BSST223", "Of leaves and auxin")
    (tmp_path / "export.json").write_text(json.dumps(EXPORT))
    found = read(tmp_path)
    (study,) = merge_studies(found.studies).values()
    assert set(study.origins) == {"ro-crate", "bia-website"}
    assert "Arabidopsis thaliana" in texts(study.values, "organism")
    assert len(found.images) == 1

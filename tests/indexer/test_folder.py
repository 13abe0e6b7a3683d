"""Image folders, with and without a manifest."""

from pathlib import Path

import pytest

from hooke.inherit import inherited_values
from hooke.model import Dataset, Pixels, Value
from indexer.sources import Input, Source, digest
from tests.indexer.sourcing import read, texts, with_ids

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My cells"
    (root / "day 1").mkdir(parents=True)
    for name in ("a.png", "b.png", "day 1/c.png"):
        (root / name).write_bytes(PNG)
    return root


def manifest(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_folder_without_manifest_has_every_image_in_it(folder: Path) -> None:
    found = read(folder)
    assert [image.id for image in found.images] == ["My-cells/a.png", "My-cells/b.png", "My-cells/day 1/c.png"]
    assert found.images[2].pixels == Pixels(str(folder.resolve() / "day 1" / "c.png"))


def test_an_image_is_known_by_its_content_whatever_its_name(folder: Path) -> None:
    (folder / "scan").write_bytes(PNG)
    (folder / "README").write_text("not an image")
    (folder / ".hidden.png").write_bytes(PNG)
    assert [image.title for image in read(folder).images] == ["a.png", "b.png", "day 1/c.png", "scan"]


def test_a_zarr_is_one_image(folder: Path) -> None:
    (folder / "z.zarr" / "0").mkdir(parents=True)
    (folder / "z.zarr" / ".zattrs").write_text("{}")
    (folder / "z.zarr" / "0" / "0.png").write_bytes(PNG)
    assert [image.title for image in read(folder).images] == ["a.png", "b.png", "day 1/c.png", "z.zarr"]


def test_columns_are_fields_and_ids_belong_to_their_labels(folder: Path) -> None:
    manifest(
        folder,
        "file,Organism,organism ontology id,Cell Line,size-x,License\n"
        "a.png,Homo sapiens,NCBITaxon:9606,HeLa,17,CC BY 4.0\n"
        "b.png,Homo sapiens; Mus musculus,9606; 10090,,,\n",
    )
    first, second = read(folder).images
    assert with_ids(first.values, "organism") == [("Homo sapiens", ("NCBITaxon:9606",))]
    assert with_ids(second.values, "organism") == [
        ("Homo sapiens", ("NCBITaxon:9606",)),
        ("Mus musculus", ("NCBITaxon:10090",)),
    ]
    assert [texts(first.values, f) for f in ("cell_line", "size_x", "licence")] == [["HeLa"], ["17"], ["CC-BY-4.0"]]
    assert {value.field for value in second.values} == {"path", "organism"}


def test_the_path_column_is_found_by_the_files_it_names(folder: Path) -> None:
    manifest(folder, "sample\twhere\nHeLa\tday 1\\c.png\n", "table.tsv")
    found = read(folder)
    assert [(i.id, texts(i.values, "sample")) for i in found.images] == [("My-cells/day 1/c.png", ["HeLa"])]


def test_a_dataset_column_makes_datasets_and_a_study_column_studies(folder: Path) -> None:
    manifest(folder, "path,study,dataset\na.png,worms,one\nb.png,worms,two\nday 1/c.png,,\n")
    found = read(folder)
    assert [(s.id, s.datasets) for s in found.studies] == [
        ("worms", (Dataset("one"), Dataset("two"))),
        ("My-cells", ()),
    ]
    assert [(i.id, i.dataset) for i in found.images] == [
        ("worms/a.png", "one"),
        ("worms/b.png", "two"),
        ("My-cells/day 1/c.png", None),
    ]


def test_settings_name_the_study_and_map_columns_to_fields(folder: Path) -> None:
    manifest(folder, "Where,Species\na.png,Homo sapiens\n")
    (folder / "hooke.toml").write_text(
        '[study]\nid = "cells-1"\ntitle = "My cells"\nlicense = "CC0"\nkeywords = ["a", "b"]\n'
        '[fields]\nWhere = "path"\nSpecies = "organism"\n'
    )
    found = read(folder)
    assert (found.studies[0].id, found.studies[0].title) == ("cells-1", "My cells")
    assert texts(found.studies[0].values, "licence") == ["CC0-1.0"]
    assert texts(found.studies[0].values, "keywords") == ["a", "b"]
    assert [(i.id, texts(i.values, "organism")) for i in found.images] == [("cells-1/a.png", ["Homo sapiens"])]


def test_broken_settings_are_quarantined_and_the_images_are_read(folder: Path) -> None:
    manifest(folder, "path\na.png\n")
    (folder / "hooke.toml").write_text("[study\n")
    found = read(folder)
    assert [image.id for image in found.images] == ["My-cells/a.png"]
    assert "hooke.toml: not TOML" in found.reasons


def test_a_missing_file_is_quarantined_and_its_metadata_kept(folder: Path) -> None:
    manifest(folder, "path,organism\ngone.png,Homo sapiens\na.png,Homo sapiens\n")
    found = read(folder)
    assert [(i.title, i.pixels is not None) for i in found.images] == [("gone.png", False), ("a.png", True)]
    assert "manifest.csv:2: no such file" in found.reasons


@pytest.mark.parametrize("path", ["../../secret.png", "/etc/passwd", "day 1/../../x.png", "link/x.png"])
def test_a_path_out_of_the_folder_is_quarantined(folder: Path, path: str) -> None:
    (folder.parent / "outside").mkdir()
    (folder / "link").symlink_to(folder.parent / "outside")
    manifest(folder, f"path\n{path}\na.png\n")
    found = read(folder)
    assert [image.title for image in found.images] == ["a.png"]
    assert "leads out of the folder" in found.reasons


def test_dirty_rows_stop_nothing(folder: Path) -> None:
    long = "x" * 5000
    manifest(folder, f"\ufeffpath,note\na.png,\n,no path\n\nb.png,ok,extra\n{long}.png,\na.png,again\n")
    found = read(folder)
    ids = [image.id for image in found.images]
    assert ids == ["My-cells/a.png", "My-cells/b.png", f"My-cells/{long}.png", "My-cells/a.png#2"]
    assert Value("column_3", "extra") in found.images[1].values
    assert "manifest.csv:3: a row without a path" in found.reasons


def test_a_link_to_a_folder_is_reported_and_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    found = read(folder)
    assert len(found.images) == 3
    assert "loop: a link to a folder is not followed" in found.reasons


def test_the_digest_changes_with_the_manifest_and_with_any_image(folder: Path) -> None:
    source = Input(Source.FOLDER, manifest(folder, "path\na.png\n"))
    before = digest(source)
    (folder / "a.png").write_bytes(PNG + b"\x00")
    changed_image = digest(source)
    manifest(folder, "path,organism\na.png,Homo sapiens\n")
    assert len({before, changed_image, digest(source)}) == 3


@pytest.mark.parametrize("path", [f"{'d' * 300}/b.png", "../outside/b.png", "a\x00b/c.png"])
def test_a_digest_lists_no_folder_that_cannot_be_or_is_outside(folder: Path, path: str) -> None:
    (folder.parent / "outside").mkdir()
    source = Input(Source.FOLDER, manifest(folder, f"path\n{path}\na.png\n"))
    before = digest(source)
    (folder.parent / "outside" / "x.ome.xml").write_text("<OME/>")
    assert digest(source) == before


def test_ids_without_a_label_are_values_and_other_texts_stay_where_they_are(folder: Path) -> None:
    manifest(folder, "path,organism,organism_id\na.png,,9606\nb.png,,\nday 1/c.png,Mus musculus,unknown\n")
    values = [[(v.field, v.text, v.ids) for v in image.values[1:]] for image in read(folder).images]
    assert values == [
        [("organism", "NCBITaxon:9606", ("NCBITaxon:9606",))],
        [],
        [("organism", "Mus musculus", ()), ("organism_id", "unknown", ())],
    ]


def test_a_study_is_found_by_what_its_images_show_and_no_silent_image_inherits_it(folder: Path) -> None:
    manifest(folder, "file,organism,stain\na.png,Homo sapiens,DAPI\nb.png,,\n")
    found = read(folder)
    study = found.studies[0]
    assert ("Homo sapiens", ()) in with_ids(study.values, "organism")
    assert with_ids(study.values, "stain") == []
    assert with_ids(inherited_values(study, None), "organism") == []

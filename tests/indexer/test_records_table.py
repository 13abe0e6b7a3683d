"""Tables of images as JSON and JSON Lines: manifests in another notation."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexer.merge import merge_studies
from tests.indexer.archives import index_all, write_crate
from tests.indexer.sourcing import Read, read, texts, with_ids

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
RECORDS: list[dict[str, object]] = [
    {
        "path": "a.png",
        "Organism": {"label": "Homo sapiens", "id": "NCBITaxon:9606"},
        "Pixel Size": {"x (um)": 0.25, "y (um)": 0.25},
        "stains": ["DAPI", "phalloidin"],
        "License": "CC BY 4.0",
        "is control": True,
        "dataset": "day 1",
    },
    {"path": "b.png", "organism": ["Homo sapiens", "Mus musculus"], "organism_id": [9606, 10090], "stains": None},
]
FORMATS = ["manifest.json", "manifest.jsonl", "manifest.ndjson"]


def written(records: Sequence[object], name: str) -> str:
    return json.dumps(records) if name.endswith(".json") else "".join(json.dumps(record) + "\n" for record in records)


def read_text(folder: Path, text: str, name: str = "manifest.json") -> Read:
    root = folder / "cells"
    root.mkdir(exist_ok=True)
    for image in ("a.png", "b.png"):
        (root / image).write_bytes(PNG)
    (root / name).write_text(text)
    return read(root)


@pytest.mark.parametrize("name", FORMATS)
def test_a_record_is_an_image_under_the_manifests_rules(tmp_path: Path, name: str) -> None:
    found = read_text(tmp_path, written(RECORDS, name), name)
    assert not found.quarantined
    first, second = found.images
    assert (first.id, first.dataset, second.id) == ("cells/a.png", "day 1", "cells/b.png")
    assert all(image.pixels and Path(image.pixels.path).is_file() for image in found.images)
    assert {field: texts(first.values, field) for field in {value.field for value in first.values}} == {
        "path": ["a.png"],
        "organism": ["Homo sapiens"],
        "pixel_size_x_um": ["0.25"],
        "pixel_size_y_um": ["0.25"],
        "stains": ["DAPI", "phalloidin"],
        "licence": ["CC-BY-4.0"],
        "is_control": ["true"],
    }
    assert with_ids(first.values, "organism") == [("Homo sapiens", ("NCBITaxon:9606",))]
    assert with_ids(second.values, "organism") == [
        ("Homo sapiens", ("NCBITaxon:9606",)),
        ("Mus musculus", ("NCBITaxon:10090",)),
    ]
    assert [(study.id, study.origins) for study in found.studies] == [("cells", ("folder",))]


def test_ids_that_not_every_term_has_are_values_of_their_own(tmp_path: Path) -> None:
    organisms = [{"label": "Mus musculus", "id": "NCBITaxon:10090"}, {"label": "Homo sapiens"}, {"label": "Rattus"}]
    (image,) = read_text(tmp_path, json.dumps([{"path": "a.png", "organism": organisms}])).images
    assert with_ids(image.values, "organism") == [
        ("Mus musculus", ()),
        ("NCBITaxon:10090", ()),
        ("Homo sapiens", ()),
        ("Rattus", ()),
    ]


@pytest.mark.parametrize(
    "terms",
    [
        [{"label": "HeLa"}, {"id": "EFO:0001185"}],
        [{"id": "EFO:0001185"}, {"label": "HeLa"}],
        [{"label": "HeLa", "id": ""}, {"label": None, "id": "EFO:0001185"}],
        ["HeLa", {"id": "EFO:0001185"}],
    ],
)
def test_a_name_without_an_id_and_an_id_without_a_name_are_no_pair(tmp_path: Path, terms: list[object]) -> None:
    (image,) = read_text(tmp_path, json.dumps([{"path": "a.png", "cell_line": terms}])).images
    assert {text: ids for text, ids in with_ids(image.values, "cell_line")} == {"HeLa": (), "EFO:0001185": ()}


def test_a_list_of_files_kept_elsewhere_is_told_once_and_read_once(tmp_path: Path) -> None:
    rows = [{"path": f"{n}.png", "organism": "Homo sapiens"} for n in range(20)]
    path = tmp_path / "list1.json"
    path.write_text(json.dumps(rows))
    report = index_all(tmp_path / "index", path)
    assert report.images == 20
    assert [q.reason for q in report.quarantined] == ["none of its files is here; its images are without pixels"]
    again = index_all(tmp_path / "index", path)
    assert (again.unchanged, again.images, again.quarantined) == (1, 20, ())
    (tmp_path / "3.png").write_bytes(PNG)
    third = index_all(tmp_path / "index", path)
    assert len(third.quarantined) == 19


def test_the_same_table_says_the_same_in_every_format(tmp_path: Path) -> None:
    rows = [{"path": f"{name}.png", "Cell Line": "HeLa; U2OS", "field": 7} for name in "ab"]
    csv = "path,Cell Line,field\n" + "".join("{path},{Cell Line},{field}\n".format(**row) for row in rows)
    found = []
    for name in (*FORMATS, "manifest.csv"):
        folder = tmp_path / name
        folder.mkdir()
        found.append(read_text(folder, csv if name.endswith("csv") else written(rows, name), name))
    assert all(
        (one.studies, [i.values for i in one.images]) == (found[0].studies, [i.values for i in found[0].images])
        for one in found
    )
    assert texts(found[0].images[0].values, "cell_line") == ["HeLa", "U2OS"]


def test_a_file_list_of_biostudies_is_a_table_of_its_files(tmp_path: Path) -> None:
    attributes = [{"name": "Organism", "value": "Mus musculus"}, {"name": "Size Z", "value": 5}]
    found = read_text(tmp_path, json.dumps([{"path": "a.png", "size": 17, "type": "file", "attributes": attributes}]))
    assert {(value.field, value.text) for value in found.images[0].values} == {
        ("path", "a.png"),
        ("size", "17"),
        ("type", "file"),
        ("organism", "Mus musculus"),
        ("size_z", "5"),
    }


def test_columns_called_name_and_value_are_columns(tmp_path: Path) -> None:
    found = read_text(tmp_path, '[{"name": "a.png", "value": 3}]')
    assert [(image.id, texts(image.values, "value")) for image in found.images] == [("cells/a.png", ["3"])]


def test_settings_map_nested_columns_too(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "hooke.toml").write_text('[fields]\n"where file" = "path"\n"species name" = "organism"\n')
    found = read_text(tmp_path, '[{"where": {"file": "a.png"}, "species": {"name": "Homo sapiens"}}]')
    assert [(i.id, texts(i.values, "organism")) for i in found.images] == [("cells/a.png", ["Homo sapiens"])]


def test_the_path_column_is_found_by_the_files_it_names(tmp_path: Path) -> None:
    found = read_text(tmp_path, '[{"sample": "HeLa", "where": "a.png"}, {"where": "b.png"}]')
    assert [image.id for image in found.images] == ["cells/a.png", "cells/b.png"]


def test_a_column_that_only_late_records_have_is_not_lost(tmp_path: Path) -> None:
    rows = [{"path": "a.png"}] * 50 + [{"path": "b.png", "late": "yes"}]
    assert texts(read_text(tmp_path, json.dumps(rows)).images[-1].values, "late") == ["yes"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("[1, 2]", "not a record"),
        ('"a text"', "not a record"),
        ("null", "not a record"),
        ('{"organism": "Homo sapiens"}', "a row without a path"),
        ('{"path": ["", null]}', "a row without a path"),
        ('{"path": "a.png", "x": nope}', "not JSON"),
        ('{"path": "a.png", "x": ' + "[" * 10_000 + "]" * 10_000 + "}", "recursion"),
        ('{"path": "a.png", "x": ' + "[" * 50 + "1" + "]" * 50 + "}", "nested more than 16 deep"),
        ('{"path": "../up.png"}', "leads out of the folder"),
    ],
)
@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_bad_record_is_quarantined_by_its_line_and_the_rest_counts(
    tmp_path: Path, name: str, bad: str, reason: str
) -> None:
    lines = ['{"path": "a.png"}', bad, '{"path": "b.png"}']
    found = read_text(tmp_path, "\n".join(lines) if name.endswith("l") else "[" + ",\n".join(lines) + "]", name)
    assert [image.id for image in found.images] == ["cells/a.png", "cells/b.png"]
    assert [(q.path.rpartition("/")[2], reason in q.reason) for q in found.quarantined] == [(f"{name}:2", True)]


@pytest.mark.parametrize("name", FORMATS[:2])
@pytest.mark.parametrize("cut", range(1, 19))
def test_a_truncated_table_gives_every_record_before_the_cut_and_is_told(tmp_path: Path, name: str, cut: int) -> None:
    text = written([{"path": "a.png"}, {"path": "b.png"}], name).rstrip()
    found = read_text(tmp_path, text[:-cut], name)
    assert found.images[0].id == "cells/a.png"
    assert len(found.images) == (2 if cut == 1 and name.endswith(".json") else 1)
    # JSON Lines cut at the end of a line are whole
    assert found.quarantined or (name.endswith("l") and text[:-cut].rstrip().endswith("}"))


def test_text_after_a_list_is_told(tmp_path: Path) -> None:
    found = read_text(tmp_path, '[{"path": "a.png"}]\n[{"path": "b.png"}]')
    assert len(found.images) == 1
    assert "text after the end" in found.reasons


def test_half_a_surrogate_pair_and_a_nul_are_made_storable(tmp_path: Path) -> None:
    found = read_text(tmp_path, '[{"path": "a.png", "note": "x\\ud800y\\u0000z", "k\\udfff": "\\ud83d\\ude00"}]')
    values = {value.field: value.text for value in found.images[0].values}
    assert values == {"path": "a.png", "note": "x?yz", "k": "😀"}


def test_a_broken_table_that_is_named_as_one_is_told_why(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('[{"path": "a.png"')
    found = read(path, source="folder")
    assert not found.images
    assert "not JSON" in found.reasons
    assert "no column of image paths" in found.reasons


def test_a_table_that_names_a_crates_study_adds_to_it(tmp_path: Path) -> None:
    write_crate(tmp_path / "crate", "S-BIAD7", "Nuclei")
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "manifest.jsonl").write_text(
        '{"path": "a.png", "study": "S-BIAD7", "organism": "Mus musculus"}'
    )
    (study,) = merge_studies(read(tmp_path).studies).values()
    assert (study.title, set(study.origins)) == ("Nuclei", {"ro-crate", "folder"})
    assert "Mus musculus" in texts(study.values, "organism")

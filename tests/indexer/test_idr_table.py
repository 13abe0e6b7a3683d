"""IDR annotation tables, written here as the archive writes them."""

import gzip
from pathlib import Path

import pytest

from hooke.model import Image, Value
from tests.indexer.sourcing import Read, read, tar, texts, with_ids

SCREEN = """\
Plate,Well Number,Well,Characteristics [Organism],Term Source 1 REF,Term Source 1 Accession,\
Characteristics [Cell Line],Term Source 2 REF,Term Source 2 Accession,Gene Symbol,Channels,Comments,\
Phenotype 1,Phenotype 1 Term Name a,Phenotype 1 Term Accession a,Phenotype 1 Term Name b,Phenotype 1 Term Accession b
1921,1,A1,Homo sapiens,NCBITaxon,NCBITaxon_9606,HeLa,EFO,EFO_0001185,TP53,Hoechst (DNA; nuclei);GFP:tubulin,,\
long arms,cell with projections,CMPO_0000071,elevated arms,CMPO_0000072
1921,2,A2,Homo sapiens,NCBITaxon,9607,MCF 10A,EFO,EFO_0001200;EFO_0001201,,"DAPI (DNA), Cy3",,,,,,
1921,2,A2,Homo sapiens,NCBITaxon,9608,,,EFO:0001185,,,,,,,,
"""

EXPERIMENT = """\
Dataset Name,Image Name,Characteristics [Organism 1],Term Source 1 REF,Term Source 1 Accession,\
Characteristics [Organism Part],Term Source 2 REF,Term Source 2 Accession,Characteristics [Diagnosis],Compound 1 Name
day 1,cell/a.tif,Mus musculus,NCBITaxon 10090,,Kidney,UBERON,UBERON_0002113,healthy,nocodazole
day 1,b.tif,"Mus
musculus",,,,,,,
"""


def table(folder: Path, text: str | bytes, name: str = "idr9001-screenA-annotation.csv") -> Read:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


@pytest.fixture
def wells(tmp_path: Path) -> tuple[Image, ...]:
    return table(tmp_path, SCREEN).images


def test_a_row_is_an_image_named_by_its_plate_and_well(wells: tuple[Image, ...]) -> None:
    assert [image.id for image in wells] == [
        "idr9001/screenA/1921_A1",
        "idr9001/screenA/1921_A2",
        "idr9001/screenA/1921_A2#2",
    ]
    assert (wells[0].study_id, wells[0].dataset, wells[0].title) == ("idr9001", "screenA", "1921 A1")


def test_ids_belong_to_the_column_before_them(wells: tuple[Image, ...]) -> None:
    assert with_ids(wells[0].values, "organism") == [("Homo sapiens", ("NCBITaxon_9606",))]
    assert with_ids(wells[0].values, "cell_line") == [("HeLa", ("EFO_0001185",))]


def test_a_dragged_cell_keeps_the_wrong_id_it_has(wells: tuple[Image, ...]) -> None:
    assert [with_ids(image.values, "organism")[0][1] for image in wells[1:]] == [
        ("NCBITaxon:9607",),
        ("NCBITaxon:9608",),
    ]


def test_two_ids_in_one_cell_are_two_ids(wells: tuple[Image, ...]) -> None:
    assert with_ids(wells[1].values, "cell_line") == [("MCF 10A", ("EFO_0001200", "EFO_0001201"))]


def test_an_id_without_a_label_is_a_value(wells: tuple[Image, ...]) -> None:
    assert with_ids(wells[2].values, "cell_line") == [("EFO:0001185", ("EFO:0001185",))]


def test_a_phenotype_has_its_terms_and_each_term_its_name(wells: tuple[Image, ...]) -> None:
    assert with_ids(wells[0].values, "phenotype") == [
        ("long arms", ("CMPO_0000071", "CMPO_0000072")),
        ("cell with projections", ("CMPO_0000071",)),
        ("elevated arms", ("CMPO_0000072",)),
    ]


def test_each_channel_is_a_value(wells: tuple[Image, ...]) -> None:
    assert texts(wells[1].values, "channels") == ["DAPI (DNA)", "Cy3"]


def test_other_columns_keep_their_own_names_and_empty_cells_are_no_values(wells: tuple[Image, ...]) -> None:
    assert texts(wells[0].values, "gene_symbol") == ["TP53"]
    assert {value.field for value in wells[2].values} == {"plate", "well_number", "well", "organism", "cell_line"}


def test_equal_cells_are_one_object(wells: tuple[Image, ...]) -> None:
    plates = [value for image in wells for value in image.values if value.field == "plate"]
    assert all(plate is plates[0] for plate in plates)


def test_images_of_experiments_are_named_by_dataset_and_image(tmp_path: Path) -> None:
    found = table(tmp_path, EXPERIMENT, "idr9001-experimentB-annotation.csv")
    assert [(i.id, i.title) for i in found.images] == [
        ("idr9001/experimentB/day 1/cell/a.tif", "cell/a.tif"),
        ("idr9001/experimentB/day 1/b.tif", "b.tif"),
    ]


def test_columns_of_shared_fields_get_their_names(tmp_path: Path) -> None:
    image = table(tmp_path, EXPERIMENT, "idr9001-experimentB-annotation.csv").images[0]
    assert with_ids(image.values, "organism") == [("Mus musculus", ("NCBITaxon:10090",))]
    assert with_ids(image.values, "anatomy") == [("Kidney", ("UBERON_0002113",))]
    assert texts(image.values, "disease") == ["healthy"]
    assert texts(image.values, "compound") == ["nocodazole"]


def test_a_table_alone_gives_a_study_so_that_every_image_has_one(tmp_path: Path) -> None:
    studies = table(tmp_path, SCREEN).studies
    assert [(s.id, [d.name for d in s.datasets]) for s in studies] == [("idr9001", ["screenA"])]


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_of_any_system_give_the_same_images(tmp_path: Path, wells: tuple[Image, ...], line_end: str) -> None:
    assert table(tmp_path, SCREEN.replace("\n", line_end)).images == wells


def test_a_lone_cr_in_a_cell_breaks_no_row(tmp_path: Path) -> None:
    found = table(tmp_path, SCREEN.replace("TP53", "TP\r53"))
    assert texts(found.images[0].values, "gene_symbol") == ["TP 53"]
    assert len(found.images) == 3


def test_bom_nul_and_gzip_change_nothing(tmp_path: Path, wells: tuple[Image, ...]) -> None:
    data = gzip.compress(b"\xef\xbb\xbf" + SCREEN.encode() + b"\x00")
    assert table(tmp_path, data, "idr9001-screenA-annotation.csv.gz").images == wells


def test_a_long_row_keeps_its_extra_cells_and_a_short_one_its_own(tmp_path: Path) -> None:
    found = table(tmp_path, "Plate,Well,Gene Symbol\np,A1,TP53,extra\np,A2\n")
    assert Value("column_4", "extra") in found.images[0].values
    assert [value.field for value in found.images[1].values] == ["plate", "well"]


def test_an_open_quote_is_reported_and_swallows_no_row(tmp_path: Path) -> None:
    found = table(tmp_path, 'Plate,Well,Comments\np,A1,"open\np,A2,fine\np,A3,"also ""fine"""\n')
    assert [image.title for image in found.images] == ["p A1", "p A2", "p A3"]
    assert ".csv:2: " in found.reasons
    assert "read as one line" in found.reasons


def test_an_empty_table_is_quarantined(tmp_path: Path) -> None:
    assert "an empty table" in table(tmp_path, "").reasons


def test_a_truncated_gzip_is_quarantined_and_the_other_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "idr9001-screenB-annotation.csv.gz").write_bytes(gzip.compress(SCREEN.encode())[:-20])
    (tmp_path / "idr9001-screenA-annotation.csv").write_text(SCREEN)
    found = read(tmp_path)
    assert len(found.images) == 3
    assert "idr9001-screenB-annotation.csv.gz" in found.reasons


def test_tables_and_studies_in_one_tar_are_both_read(tmp_path: Path) -> None:
    study = b"Comment[IDR Study Accession]\tidr9001\nStudy Title\tKinesins\n"
    members = {"x/idr9001-study.txt": study, "x/idr9001-screenA-annotation.csv": SCREEN.encode()}
    found = read(tar(tmp_path / "idr.tar.gz", members))
    assert {study.title for study in found.studies} == {"Kinesins", "idr9001"}
    assert len(found.images) == 3

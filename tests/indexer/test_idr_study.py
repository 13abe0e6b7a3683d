"""IDR study files, written here as the archive writes them."""

from pathlib import Path

import pytest

from hooke.model import Study, Value
from tests.indexer.sourcing import read, tar, texts, with_ids

STUDY = """\
# FILL IN AS MUCH INFORMATION AS YOU CAN.
# Section with generic information\t\t\t
Comment[IDR Study Accession]\tidr9001\t\t
Study Title\tKinesins at the spindle\t
Study Type\thigh content screen\t\t
Study Type Term Source REF\tEFO
Study Type Term Accession\tEFO_0007550
Study Description\t"A first line, then
a second ""quoted"" line"\t\t
Study Key Words\tmitosis\tkinesin\t# add more
Study Organism\tHomo sapiens\tMus musculus\t
Study Organism Term Source REF\tNCBITaxon\tNCBITaxon
Study Organism Term Accession\t9606\tNCBITaxon_10090
Study Public Release Date\t2020-03-03
Study BioImage Archive Accession\tS-BIAD3
Study PubMed ID\t32296040
Study Author List\tStojic L, Lun ATL
Study DOI\thttps://doi.org/10.1038/s41467-020-14978-7
Study License\tCC BY 4.0
Study License URL\thttps://creativecommons.org/licenses/by/4.0/
Term Source Name\tNCBITaxon\tEFO

Screen Number\t1
Comment[IDR Screen Name]\tidr9001-stojic-kinesins/screenA
Screen Size\tPlates: 10\t5D Images: 1,536\tPlanes:\tTotal Tb:\t0.5
Screen Imaging Method\tspinning disk confocal microscopy\tfluorescence microscopy
Screen Imaging Method Term Source REF\tFbbi\tFbbi
Screen Imaging Method Term Accession\tFBbi_00000253\t00000246
Protocol Name\tgrowth protocol\ttreatment protocol
Protocol Description\tGrowth Protocol - HeLa cells were grown.\t\t

Treatment Protocol - siRNA was added.
Library Experimental Conditions Term Accession\t# leave blank
Phenotype Name\tlong arms\tsmall cells
Phenotype Description\tarms are long\t
Phenotype Term Source REF\tCMPO
Phenotype Term Name\tcell with projections\t
Phenotype Term Accession\tCMPO_0000071\t
Phenotype Term Source REF\tCMPO
Phenotype Term Name\televated arms
Phenotype Term Accession\tCMPO_0000072

Screen Number\t2
Comment[IDR Screen Name]\tidr9001-stojic-kinesins/screenB
Screen Imaging Method\tbright-field microscopy
Screen Imaging Method Term Accession\tFBbi_00000243
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_of(tmp_path, STUDY.encode())


def study_of(folder: Path, data: bytes, name: str = "idr9001-study.txt") -> Study:
    path = folder / name
    path.write_bytes(data)
    found = read(path)
    assert not found.quarantined
    return found.studies[0]


def test_a_study_is_named_by_its_accession_and_title(study: Study) -> None:
    assert (study.id, study.title, study.origins) == ("idr9001", "Kinesins at the spindle", ("idr",))


def test_study_values_have_the_names_that_a_searcher_types(study: Study) -> None:
    wanted = {
        "keywords": ["mitosis", "kinesin"],
        "licence": ["CC-BY-4.0"],
        "release_date": ["2020-03-03"],
        "year": ["2020"],
        "archive": ["IDR"],
        "authors": ["Stojic L", "Lun ATL"],
        "doi": ["10.1038/s41467-020-14978-7"],
        "pubmed_id": ["32296040"],
        "bioimage_archive_accession": ["S-BIAD3"],
    }
    assert {field: texts(study.values, field) for field in wanted} == wanted


def test_ids_belong_to_the_values_above_them_by_position(study: Study) -> None:
    assert with_ids(study.values, "organism") == [
        ("Homo sapiens", ("NCBITaxon:9606",)),
        ("Mus musculus", ("NCBITaxon_10090",)),
    ]
    assert with_ids(study.values, "study_type") == [("high content screen", ("EFO_0007550",))]


def test_each_screen_is_a_dataset_with_its_own_values(study: Study) -> None:
    methods = {dataset.name: with_ids(dataset.values, "imaging_method") for dataset in study.datasets}
    assert methods == {
        "screenA": [
            ("spinning disk confocal microscopy", ("FBbi_00000253",)),
            ("fluorescence microscopy", ("Fbbi:00000246",)),
        ],
        "screenB": [("bright-field microscopy", ("FBbi_00000243",))],
    }


def test_a_study_holds_the_values_of_all_its_datasets_once(study: Study) -> None:
    every = [value for dataset in study.datasets for value in dataset.values]
    assert set(every) <= set(study.values)
    assert len(set(study.values)) == len(study.values)


def test_a_quoted_value_keeps_its_line_break_and_quotes(study: Study) -> None:
    assert texts(study.values, "description") == ['A first line, then\na second "quoted" line']


def test_lines_without_a_key_continue_the_value_above(study: Study) -> None:
    assert texts(study.values, "protocol_description") == [
        "Growth Protocol - HeLa cells were grown.",
        "Treatment Protocol - siRNA was added.",
    ]


def test_a_phenotype_keeps_every_term_that_repeated_rows_give_it(study: Study) -> None:
    assert with_ids(study.values, "phenotype") == [
        ("long arms", ("CMPO_0000071", "CMPO_0000072")),
        ("cell with projections", ("CMPO_0000071",)),
        ("elevated arms", ("CMPO_0000072",)),
        ("small cells", ()),
    ]


def test_sizes_are_fields_that_compare_as_numbers(study: Study) -> None:
    assert texts(study.values, "plates") == ["10"]
    assert texts(study.values, "5d_images") == ["1536"]
    assert texts(study.values, "total_tb") == ["0.5"]


def test_template_hints_are_no_values(study: Study) -> None:
    assert not [value for value in study.values if "leave blank" in value.text or "add more" in value.text]


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\r\r\n"])
def test_line_ends_of_any_system_give_the_same_study(tmp_path: Path, study: Study, line_end: str) -> None:
    assert study_of(tmp_path, STUDY.replace("\n", line_end).encode()) == study


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, study: Study, encoding: str) -> None:
    assert study_of(tmp_path, STUDY.encode(encoding)) == study


def test_nul_bytes_change_nothing(tmp_path: Path, study: Study) -> None:
    assert study_of(tmp_path, STUDY.encode() + b"\x00\x00") == study


@pytest.mark.parametrize(("raw", "read_as"), [(b"H\xe9rich\xe9", "Hériché"), (b"Z\x9frich", "Zürich")])
def test_bytes_of_old_encodings_become_their_letters(tmp_path: Path, raw: bytes, read_as: str) -> None:
    data = b"Comment[IDR Study Accession]\tidr9002\nStudy Title\t" + raw + b"\n"
    assert study_of(tmp_path, data, "idr9002-study.txt").title == read_as


def test_an_open_quote_swallows_nothing_below_it(tmp_path: Path) -> None:
    data = STUDY.replace("Kinesins at", '"Kinesins at').encode()
    study = study_of(tmp_path, data)
    assert texts(study.values, "keywords") == ["mitosis", "kinesin"]
    assert '"Kinesins at the spindle' in study.title


def test_an_empty_copy_of_the_template_section_is_no_dataset(tmp_path: Path) -> None:
    data = STUDY + "Screen Number\t\nComment[IDR Screen Name]\t\nScreen Description\t# leave blank\n"
    assert [dataset.name for dataset in study_of(tmp_path, data.encode()).datasets] == ["screenA", "screenB"]


def test_a_tab_lost_to_spaces_is_still_a_key(tmp_path: Path) -> None:
    data = "Comment[IDR Study Accession]\tidr9003\nScreen Number\t1\nScreen Type primary screen\t\t\n"
    study = study_of(tmp_path, data.encode(), "idr9003-study.txt")
    assert Value("screen_type", "primary screen") in study.values


def test_a_study_without_accession_is_quarantined_and_the_others_are_read(tmp_path: Path) -> None:
    nameless = b"Study Title\tNo accession here\n"
    archive = tar(tmp_path / "studies.tar.gz", {"a/nameless.txt": nameless, "a/idr9001-study.txt": STUDY.encode()})
    found = read(archive)
    assert [study.id for study in found.studies] == ["idr9001"]
    assert "nameless.txt: no IDR accession" in found.reasons


def test_a_quoted_cell_keeps_its_position_after_empty_ones(tmp_path: Path) -> None:
    rows = 'Study Organism\t\t"Mus musculus"\nStudy Organism Term Accession\t\t10090\n'
    study = study_of(tmp_path, f"Comment[IDR Study Accession]\tidr9004\n{rows}".encode(), "idr9004-study.txt")
    assert with_ids(study.values, "organism") == [("Mus musculus", ("NCBITaxon:10090",))]


def test_a_long_sequence_after_a_section_name_is_prose(tmp_path: Path) -> None:
    text = "Protocol " + "ACGT" * 5000
    data = f"Comment[IDR Study Accession]\tidr9005\nStudy Description\tfirst\n{text}\n".encode()
    assert texts(study_of(tmp_path, data, "idr9005-study.txt").values, "description") == [f"first\n{text}"]

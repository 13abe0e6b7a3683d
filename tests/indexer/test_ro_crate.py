"""RO-Crate study records of the GIDE profile, written here as the archives write them."""

import json
from pathlib import Path

import pytest

from hooke.model import Study, Value
from tests.indexer.sourcing import read, tar, texts, with_ids

ROOT = "https://www.ebi.ac.uk/biostudies/bioimages/studies/S-BIAD9001"
OBO = "http://purl.obolibrary.org/obo/"


def ref(identifier: str) -> dict[str, str]:
    return {"@id": identifier}


ROOT_NODE: dict[str, object] = {
    "@id": ROOT,
    "@type": ["Dataset"],
    "identifier": "S-BIAD9001",
    "name": "Spindles of worms",
    "description": "Time-lapse of early embryos",
    "keywords": ["mitosis", "embryo"],
    "datePublished": "2024-06-07",
    "license": "https://creativecommons.org/publicdomain/zero/1.0/",
    "publisher": ref("https://www.ebi.ac.uk/bioimage-archive/"),
    "author": [ref("https://orcid.org/0000-0001-5522-1810")],
    "about": [ref("#sample-1"), ref("obo:NCBITaxon_6239"), ref(OBO + "GO_0051301"), ref(OBO + "CLO_0003684")],
    "measurementMethod": [ref("#protocol-1"), ref("obo:FBbi_00000251"), ref("#term"), ref(OBO + "CHMO_0002194")],
    "size": [ref("#bytes"), ref("#files")],
    "thumbnailUrl": ["https://example.org/thumbnail.png"],
    "funder": [],
}
NODES: list[dict[str, object]] = [
    {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": ref(ROOT)},
    ROOT_NODE,
    {"@id": "https://www.ebi.ac.uk/bioimage-archive/", "@type": ["Organization"], "name": "BioImage Archive"},
    {"@id": "https://orcid.org/0000-0001-5522-1810", "@type": ["Person"], "name": "Johan Elf", "email": ""},
    {
        "@id": "obo:NCBITaxon_6239",
        "@type": ["Taxon"],
        "scientificName": "Caenorhabditis elegans",
        "vernacularName": "worm",
    },
    {"@id": OBO + "GO_0051301", "@type": "DefinedTerm", "name": "cell division"},
    {"@id": OBO + "GO_0051301", "@type": "DefinedTerm", "name": "first cleavage"},
    {"@id": OBO + "CLO_0003684", "@type": "DefinedTerm", "name": "HeLa cell"},
    {"@id": "obo:FBbi_00000251", "@type": ["DefinedTerm"], "name": "confocal microscopy"},
    {"@id": OBO + "CHMO_0002194", "@type": ["DefinedTerm"], "name": "epifluorescence microscopy"},
    {"@id": "#term", "@type": "DefinedTerm", "name": "imaging mass cytometry"},
    {
        "@id": "#sample-1",
        "@type": ["BioSample"],
        "name": "Embryos",
        "description": "N2 embryos",
        "taxonomicRange": ref("obo:NCBITaxon_6239"),
        "hasCellLine": [ref(OBO + "CLO_0003684"), "K562 cell"],
    },
    {
        "@id": "#protocol-1",
        "@type": ["LabProtocol"],
        "name": "Live imaging",
        "description": "60x objective",
        "labEquipment": "Nikon CSU-X1",
        "measurementTechnique": [ref("obo:FBbi_00000251"), ref("http://www.ebi.ac.uk/efo/EFO_0003789")],
    },
    {"@id": "http://www.ebi.ac.uk/efo/EFO_0003789", "@type": "DefinedTerm", "name": "growth protocol"},
    {"@id": "#bytes", "@type": ["QuantitiveValue"], "unitText": "bytes", "value": 81577164},
    {"@id": "#files", "@type": ["QuantitativeValue"], "unitText": "file count", "value": 51, "description": "50 + 1"},
]


def crate(folder: Path, changes: dict[str, object] | None = None, name: str = "ro-crate-metadata.json") -> Study:
    path = folder / name
    nodes = [{**node, **(changes or {})} if node is ROOT_NODE else node for node in NODES]
    path.write_text(json.dumps({"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": nodes}))
    found = read(path)
    assert not found.quarantined
    return found.studies[0]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return crate(tmp_path)


def test_a_crate_is_the_study_of_its_accession(study: Study) -> None:
    assert (study.id, study.title, study.origins) == ("S-BIAD9001", "Spindles of worms", ("ro-crate",))


def test_properties_of_the_root_have_the_names_that_a_searcher_types(study: Study) -> None:
    wanted = {
        "title": ["Spindles of worms"],
        "description": ["Time-lapse of early embryos"],
        "keywords": ["mitosis", "embryo"],
        "archive": ["BioImage Archive"],
        "year": ["2024"],
        "release_date": ["2024-06-07"],
        "licence": ["CC0-1.0"],
        "licence_url": ["https://creativecommons.org/publicdomain/zero/1.0/"],
        "authors": ["Johan Elf"],
        "orcid": ["0000-0001-5522-1810"],
        "size_bytes": ["81577164"],
        "file_count": ["51"],
        "thumbnail_url": ["https://example.org/thumbnail.png"],
        "common_name": ["worm"],
        "instrument": ["Nikon CSU-X1"],
        "sample_description": ["N2 embryos"],
    }
    assert {field: texts(study.values, field) for field in wanted} == wanted


def test_every_term_is_in_the_field_of_its_ontology_with_its_id(study: Study) -> None:
    assert with_ids(study.values, "organism") == [("Caenorhabditis elegans", ("NCBITaxon_6239",))]
    assert with_ids(study.values, "imaging_method") == [
        ("confocal microscopy", ("FBbi_00000251",)),
        ("imaging mass cytometry", ()),
        ("epifluorescence microscopy", (OBO + "CHMO_0002194",)),
    ]
    assert with_ids(study.values, "protocol_type") == [("growth protocol", ("http://www.ebi.ac.uk/efo/EFO_0003789",))]


def test_a_cell_line_may_be_a_term_or_a_text(study: Study) -> None:
    assert set(with_ids(study.values, "cell_line")) == {("HeLa cell", (OBO + "CLO_0003684",)), ("K562 cell", ())}


def test_nodes_of_one_id_are_merged_with_both_their_names(study: Study) -> None:
    assert with_ids(study.values, "gene_ontology") == [
        ("cell division", (OBO + "GO_0051301",)),
        ("first cleavage", (OBO + "GO_0051301",)),
    ]


def test_a_term_without_a_node_keeps_its_id(tmp_path: Path) -> None:
    study = crate(tmp_path, {"about": [ref("obo:NCBITaxon_9606")]})
    assert ("NCBITaxon_9606", ("NCBITaxon_9606",)) in with_ids(study.values, "organism")


@pytest.mark.parametrize(
    ("identifier", "accession"),
    [
        ("idr0056", "idr0056"),
        ("IDR0056", "idr0056"),
        ("https://idr.openmicroscopy.org/study/idr0056/", "idr0056"),
        (["S-biad12"], "S-BIAD12"),
        ({"@type": "PropertyValue", "value": "EMPIAR-10404"}, "S-BIAD9001"),
        (None, "S-BIAD9001"),
    ],
)
def test_an_accession_is_spelt_as_its_archive_spells_it(tmp_path: Path, identifier: object, accession: str) -> None:
    assert crate(tmp_path, {"identifier": identifier}).id == accession


def test_a_study_of_empiar_is_in_empiar_whoever_publishes_the_record(tmp_path: Path) -> None:
    assert texts(crate(tmp_path, {"identifier": "EMPIAR-10404"}).values, "archive") == ["EMPIAR"]


def test_entities_nested_in_others_are_read(tmp_path: Path) -> None:
    nested = {"@id": "obo:NCBITaxon_9606", "@type": "Taxon", "scientificName": "Homo sapiens"}
    study = crate(tmp_path, {"about": [nested]})
    assert ("Homo sapiens", ("NCBITaxon_9606",)) in with_ids(study.values, "organism")


def test_a_lone_surrogate_becomes_text_that_can_be_stored(tmp_path: Path) -> None:
    study = crate(tmp_path, {"description": "broken \ud800 text"})
    assert Value("description", "broken ? text") in study.values


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"@graph": [', "not JSON"),
        (b'{"name": "no graph"}', "no @graph"),
        (b'{"@graph": []}', "no root dataset"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"@graph": [1, "two", null, {"@id": 3}]}', "no root dataset"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_broken_crate_is_quarantined_and_the_others_are_read(tmp_path: Path, data: bytes, reason: str) -> None:
    good = json.dumps({"@graph": NODES}).encode()
    members = {"c/bad-ro-crate-metadata.json": data, "c/good-ro-crate-metadata.json": b"\xef\xbb\xbf" + good}
    found = read(tar(tmp_path / "crates.tar.gz", members))
    assert [study.id for study in found.studies] == ["S-BIAD9001"]
    assert reason in found.reasons
    assert "bad-ro-crate-metadata.json" in found.reasons


def test_a_truncated_archive_gives_what_it_still_holds(tmp_path: Path) -> None:
    good = json.dumps({"@graph": NODES}).encode()
    path = tar(tmp_path / "crates.tar.gz", {f"{n}-ro-crate-metadata.json": good + b" " * n * 999 for n in range(50)})
    path.write_bytes(path.read_bytes()[:-200])
    found = read(path)
    assert found.studies
    assert "cannot be unpacked" in found.reasons

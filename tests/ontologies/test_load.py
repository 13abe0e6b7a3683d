import gzip
from pathlib import Path

import pytest
import zstandard

from hooke.errors import BadInput, BadOntology
from ontologies.load import load
from ontologies.model import Ontology, Scope, Synonym
from tests.ontologies.samples import obo, write_file


def _warnings(ontology: Ontology) -> dict[str, int]:
    return {warning.name: warning.count for warning in ontology.warnings}


def test_obo_keeps_every_field_of_a_term(tmp_path: Path) -> None:
    ontology = load(write_file(tmp_path, "uberon.obo"))
    brain = next(term for term in ontology.terms if term.id == "UBERON:0000955")
    assert (ontology.name, ontology.version, ontology.prefix) == ("uberon", "2025-08-15", "UBERON")
    assert (brain.label, brain.definition) == ("brain", "The rostral part of the nervous system.")
    assert brain.synonyms == (Synonym("encephalon", Scope.EXACT), Synonym("the brain", Scope.RELATED))
    assert brain.alt_ids == ("UBERON:6110636",)
    assert (brain.xrefs, brain.subsets) == (("FMA:50801", "http://example.org/brain"), ("efo_slim", "major_organ"))


def test_every_spelling_of_part_of_is_one_relation(tmp_path: Path) -> None:
    frames = """[Term]
id: X:1
relationship: BFO:0000050 X:9
[Term]
id: X:2
relationship: part_of X:9
[Term]
id: X:3
relationship: OBO_REL:part_of X:9
[Term]
id: X:4
relationship: X:77 X:9
[Term]
id: X:9
[Typedef]
id: X:77
name: part of
[Typedef]
id: BFO:0000050
[Typedef]
id: part_of
[Typedef]
id: OBO_REL:part_of
"""
    edges = load(obo(tmp_path, frames)).edges
    assert edges == tuple((f"X:{n}", "part_of", "X:9") for n in (1, 2, 3, 4))


def test_owl_edges_that_pronto_loses_are_recovered_with_a_warning(tmp_path: Path) -> None:
    ontology = load(write_file(tmp_path, "fbbi.owl"))
    assert ("FBbi:00000001", "part_of", "FBbi:00000246") in ontology.edges
    assert ("FBbi:00000001", "is_a", "FBbi:00000222") in ontology.edges
    assert len(ontology.edges) == 3
    assert _warnings(ontology)["RecoveredEdges"] == 2


def test_owl_classes_that_pronto_cannot_read_refuse_the_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, "fbbi.owl")
    description = (
        '<rdf:Description rdf:about="http://purl.obolibrary.org/obo/FBbi_00000009">'
        '<rdf:type rdf:resource="http://www.w3.org/2002/07/owl#Class"/></rdf:Description></rdf:RDF>'
    )
    path.write_text(path.read_text().replace("</rdf:RDF>", description))
    with pytest.raises(BadOntology, match=r"would lose 1 of 4 terms \(such as FBbi:00000009\)"):
        load(path)


def test_obo_graph_loads_classes_and_edges_only(tmp_path: Path) -> None:
    ontology = load(write_file(tmp_path, "go.json"))
    assert [term.id for term in ontology.terms] == ["GO:0005575", "GO:0005634", "GO:0005730"]
    assert ontology.edges == (("GO:0005634", "is_a", "GO:0005575"), ("GO:0005730", "part_of", "GO:0005634"))


def test_cellxgene_json_closes_over_levels_that_it_leaves_out(tmp_path: Path) -> None:
    ontology = load(write_file(tmp_path, "CVCL-ontology-v55.0.json"))
    assert (ontology.name, ontology.version, ontology.relations) == ("cvcl", "55.0", "merged")
    assert ontology.edges == (("CVCL:0030", "merged", "CVCL:0001"), ("CVCL:0031", "merged", "CVCL:0030"))
    assert _warnings(ontology) == {"SkippedLevels": 1}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_format_and_compression_are_told_by_content_not_by_name(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / "misnamed.owl"
    path.write_bytes(pack(write_file(tmp_path, "uberon.obo").read_bytes()))
    assert load(path).name == "uberon"


def test_undefined_parents_are_declared_and_their_edges_kept(tmp_path: Path) -> None:
    ontology = load(obo(tmp_path, "[Term]\nid: PO:1\nis_a: UBERON:0001062 ! anatomical entity\n"))
    assert [term.id for term in ontology.terms] == ["PO:1"]
    assert ontology.edges == (("PO:1", "is_a", "UBERON:0001062"),)
    assert _warnings(ontology) == {"UndefinedParents": 1}


def test_undeclared_synonym_types_are_declared(tmp_path: Path) -> None:
    ontology = load(obo(tmp_path, '[Term]\nid: DOID:1\nsynonym: "a \\"b\\"" EXACT OMO:0003012 []\n'))
    assert ontology.terms[0].synonyms == (Synonym('a "b"', Scope.EXACT),)
    assert _warnings(ontology) == {"UndeclaredSynonymTypes": 1}


def test_a_file_without_a_header_loads(tmp_path: Path) -> None:
    path = tmp_path / "bare.obo"
    path.write_text("[Term]\nid: X:1\nname: one\n")
    assert load(path).terms[0].label == "one"


def test_a_malformed_line_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = obo(tmp_path, "[Term]\nid: X:1\nname: one\nis_obsolete: perhaps\n")
    with pytest.raises(BadOntology, match=r"^x\.obo line 7: does not parse"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an ontology",
        b"%PDF-1.4",
        b"<html><body/></html>",
        b'<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><a>',
        b'{"graphs": [',
        b'{"graphs": 3}',
        b'{"X:1": {"ancestors": {}, "label": "a"',
        b'{"X:1": {"ancestors": {"X:2": "near"}}}',
        gzip.compress(b"format-version: 1.2\n" * 5000, mtime=0)[:40],
        zstandard.compress(b"format-version: 1.2\n")[:12],
    ],
)
def test_what_is_no_ontology_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.obo"
    path.write_bytes(content)
    with pytest.raises(BadOntology, match=r"^bad\.obo") as refused:
        load(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        load(tmp_path / "absent.obo")


def test_an_ontology_that_the_package_lacks_is_bad_input() -> None:
    pytest.importorskip("cellxgene_ontology_guide")
    with pytest.raises(BadInput, match=r"has no ontology 'NOPE'; it has .*UBERON"):
        load("cellxgene:NOPE")

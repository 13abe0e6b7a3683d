"""Small ontologies written for the tests, one a format, and a snapshot of them."""

from pathlib import Path

from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies

ANATOMY = """format-version: 1.2
data-version: releases/2025-08-15
ontology: uberon
subsetdef: efo_slim "slim"
subsetdef: major_organ "organs"

[Term]
id: UBERON:0001062
name: anatomical entity

[Term]
id: UBERON:0000955
name: brain
def: "The rostral part of the nervous system." []
synonym: "encephalon" EXACT []
synonym: "the brain" RELATED []
alt_id: UBERON:6110636
subset: major_organ
subset: efo_slim
xref: http://example.org/brain
xref: FMA:50801 "Brain"
is_a: UBERON:0001062 ! anatomical entity

[Term]
id: UBERON:0000956
name: cerebral cortex
synonym: "brain cortex" BROAD []
relationship: BFO:0000050 UBERON:0000955 ! brain

[Term]
id: UBERON:0001950
name: neocortex
is_a: UBERON:0000956
relationship: part_of UBERON:0000955

[Term]
id: UBERON:0001049
name: neural tube
is_a: UBERON:0001062

[Term]
id: UBERON:0010000
name: neural nucleus
synonym: "nucleus" EXACT []
is_a: UBERON:0001062
relationship: RO:0002202 UBERON:0001049 ! develops from neural tube

[Term]
id: UBERON:0002107
name: liver
synonym: "iecur" RELATED []

[Term]
id: UBERON:0009001
name: obsolete hind brain
synonym: "old brain" EXACT []
is_obsolete: true
replaced_by: UBERON:0009002

[Term]
id: UBERON:0009002
name: obsolete hindbrain again
is_obsolete: true
replaced_by: UBERON:0000955

[Term]
id: UBERON:0009003
name: obsolete humour
is_obsolete: true
consider: UBERON:0000955
consider: UBERON:0002107

[Term]
id: UBERON:0009004
name: obsolete circle a
is_obsolete: true
replaced_by: UBERON:0009005

[Term]
id: UBERON:0009005
name: obsolete circle b
is_obsolete: true
replaced_by: UBERON:0009004

[Typedef]
id: BFO:0000050
name: part of

[Typedef]
id: part_of
name: part of

[Typedef]
id: RO:0002202
name: develops from
"""

TAXA = """format-version: 1.2
ontology: ncbitaxon

[Term]
id: NCBITaxon:1
name: root

[Term]
id: NCBITaxon:40674
name: Mammalia
synonym: "mammals" EXACT []
is_a: NCBITaxon:1

[Term]
id: NCBITaxon:9606
name: Homo sapiens
synonym: "human" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:10090
name: Mus musculus
synonym: "house mouse" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:7227
name: Drosophila melanogaster
is_a: NCBITaxon:1

[Term]
id: NCBITaxon:999999
name: Danio melanogaster
is_a: NCBITaxon:1
"""

CELL_LINES = """format-version: 1.2
ontology: efo

[Term]
id: EFO:0001185
name: HeLa

[Term]
id: EFO:0001200
name: MCF 10A
synonym: "MCF-10A" EXACT []

[Term]
id: EFO:0000100
name: hybrid line
synonym: "twin" EXACT []

[Term]
id: EFO:0000101
name: other hybrid line
synonym: "twin" EXACT []

[Term]
id: CLO:0003684
name: HeLa cell

[Term]
id: NCBITaxon:9606
name: man
synonym: "imported synonym" EXACT []
is_a: EFO:0000999
"""

METHODS_OWL = """<?xml version="1.0"?>
<rdf:RDF xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
     xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:obo="http://purl.obolibrary.org/obo/"
     xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#">
  <owl:Ontology rdf:about="http://purl.obolibrary.org/obo/fbbi.owl"/>
  <owl:ObjectProperty rdf:about="http://purl.obolibrary.org/obo/BFO_0000050">
    <rdfs:label>part of</rdfs:label>
  </owl:ObjectProperty>
  <owl:Class rdf:about="http://purl.obolibrary.org/obo/FBbi_00000222">
    <rdfs:label>imaging method</rdfs:label>
  </owl:Class>
  <owl:Class rdf:about="http://purl.obolibrary.org/obo/FBbi_00000246">
    <rdfs:label>fluorescence microscopy</rdfs:label>
    <oboInOwl:hasExactSynonym>epifluorescence</oboInOwl:hasExactSynonym>
    <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/FBbi_00000222"/>
  </owl:Class>
  <owl:Class rdf:about="http://purl.obolibrary.org/obo/FBbi_00000001">
    <rdfs:label>illumination</rdfs:label>
    <rdfs:subClassOf><owl:Class><owl:intersectionOf rdf:parseType="Collection">
      <rdf:Description rdf:about="http://purl.obolibrary.org/obo/FBbi_00000222"/>
      <owl:Restriction>
        <owl:onProperty rdf:resource="http://purl.obolibrary.org/obo/BFO_0000050"/>
        <owl:someValuesFrom rdf:resource="http://purl.obolibrary.org/obo/FBbi_00000246"/>
      </owl:Restriction>
    </owl:intersectionOf></owl:Class></rdfs:subClassOf>
  </owl:Class>
</rdf:RDF>
"""

GRAPH_JSON = """{"graphs": [{"id": "http://purl.obolibrary.org/obo/go.owl", "nodes": [
  {"id": "http://purl.obolibrary.org/obo/GO_0005575", "type": "CLASS", "lbl": "cellular_component"},
  {"id": "http://purl.obolibrary.org/obo/GO_0005634", "type": "CLASS", "lbl": "nucleus",
   "meta": {"synonyms": [{"pred": "hasExactSynonym", "val": "cell nucleus"}]}},
  {"id": "http://purl.obolibrary.org/obo/GO_0005730", "type": "CLASS", "lbl": "nucleolus"},
  {"id": "http://purl.obolibrary.org/obo/BFO_0000050", "type": "PROPERTY", "lbl": "part of"}],
 "edges": [
  {"sub": "http://purl.obolibrary.org/obo/GO_0005634", "pred": "is_a", "obj": "http://purl.obolibrary.org/obo/GO_0005575"},
  {"sub": "http://purl.obolibrary.org/obo/GO_0005730", "pred": "http://purl.obolibrary.org/obo/BFO_0000050",
   "obj": "http://purl.obolibrary.org/obo/GO_0005634"}]}]}
"""

CELLXGENE_JSON = """{"CVCL_0001":{"ancestors":{},"label":"HEL","deprecated":false},
"CVCL_0030":{"ancestors":{"CVCL_0001":1},"label":"HEL derived","synonyms":["HEL d"],"deprecated":false},
"CVCL_0031":{"ancestors":{"CVCL_0030":2,"CVCL_0001":3},"label":"HEL grandchild","deprecated":false},
"CVCL_0032":{"ancestors":{},"label":"obsolete_HEL old","deprecated":true,"replaced_by":"CVCL_0001"}}"""

FILES = {
    "uberon.obo": ANATOMY,
    "taxa.obo": TAXA,
    "efo.obo": CELL_LINES,
    "fbbi.owl": METHODS_OWL,
    "go.json": GRAPH_JSON,
    "CVCL-ontology-v55.0.json": CELLXGENE_JSON,
}


def write_file(folder: Path, name: str) -> Path:
    """One of the files, in a folder."""
    path = folder / name
    path.write_text(FILES[name], encoding="utf-8")
    return path


def obo(folder: Path, frames: str, name: str = "x.obo") -> Path:
    """An OBO file of these frames."""
    path = folder / name
    path.write_text(f"format-version: 1.2\nontology: {name.partition('.')[0]}\n\n{frames}", encoding="utf-8")
    return path


def catalogue_of(folder: Path, *files: Path) -> Catalogue:
    """A catalogue of just these files."""
    root = folder / "ontologies"
    return Catalogue.open(root, add_ontologies(files, root))

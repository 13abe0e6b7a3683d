"""Every ontology of the shared data loads whole, and answers as the archives need it."""

import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import zstandard

from hooke.model import IS_A, Method, Value
from hooke.settings import read_settings
from ontologies.catalogue import Catalogue
from ontologies.ground import ground
from ontologies.ids import key
from ontologies.load import load
from ontologies.model import Ontology
from ontologies.obo_stream import stream_obo
from ontologies.snapshot import add_ontologies
from ontologies.source import open_source

FOLDER = read_settings().shared_data / "ontologies"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared real data is not here")

# The table of the data's README.
TERMS = {
    "fbbi.obo.gz": 647,
    "fbbi.owl.gz": 647,
    "fbbi.json.gz": 647,
    "cmpo.obo.gz": 399,
    "cmpo-simple.owl.gz": 399,
    "cl-basic.obo.gz": 2_804,
    "uberon-oba-import.obo.gz": 5_465,
    "ncbitaxon-taxslim.obo.gz": 14_907,
    "pato.obo.gz": 2_785,
    "po.obo.gz": 1_793,
    "zfa.obo.gz": 3_214,
    "wbbt.obo.gz": 7_192,
    "doid-ncit-slim.obo.gz": 4_757,
    "fbbt-simple-2013.obo.gz": 8_674,
    "go-2013.obo.gz": 39_616,
    "edam-bioimaging.owl.gz": 473,
    "clo-lincs-view.owl.gz": 1_828,
    "derived/efo-3.90.0-from-czi.obo.gz": 18_382,
    "derived/uberon-2026-04-01-from-czi.obo.gz": 16_358,
    "czi-json/EFO-ontology-v3.90.0.json.zst": 18_382,
    "czi-json/UBERON-ontology-v2026-04-01.json.zst": 16_358,
    "czi-json/CL-ontology-v2026-03-26.json.zst": 3_596,
    "czi-json/CVCL-ontology-55.0.json.zst": 167_186,
}
OBO = [name for name in TERMS if ".obo" in name]
OWL = [name for name in TERMS if ".owl" in name]
CELLXGENE = [name for name in TERMS if ".zst" in name]


@cache
def _loaded(name: str) -> Ontology:
    return load(FOLDER / name)


def _text(name: str) -> str:
    return gzip.decompress((FOLDER / name).read_bytes()).decode()


def _warnings(ontology: Ontology) -> dict[str, int]:
    return {warning.name: warning.count for warning in ontology.warnings}


@pytest.mark.parametrize("name", OBO)
def test_an_obo_file_loads_with_all_its_terms_and_edges(name: str) -> None:
    frames = re.split(r"^\[Term\]\s*$", _text(name), flags=re.MULTILINE)[1:]
    edges = set()
    for frame in frames:
        own = re.split(r"^\[", frame, flags=re.MULTILINE)[0]
        term = re.findall(r"^id: (\S+)", own, flags=re.MULTILINE)[0]
        edges |= {(term, "", parent) for parent in re.findall(r"^is_a: (\S+)", own, flags=re.MULTILINE)}
        edges |= {(term, *pair) for pair in re.findall(r"^relationship: (\S+) (\S+)", own, flags=re.MULTILINE)}
    ontology = _loaded(name)
    assert (len(ontology.terms), len(ontology.edges)) == (TERMS[name], len(edges))


@pytest.mark.parametrize("name", OBO)
def test_an_obo_file_read_as_a_stream_holds_what_pronto_reads(name: str, tmp_path: Path) -> None:
    loaded, stored = _loaded(name), stream_obo(open_source(FOLDER / name), tmp_path / "streamed")
    assert {term.id: term for term in stored.terms()} == {term.id: term for term in loaded.terms}
    assert sorted(stored.edges()) == list(loaded.edges)
    info = stored.info
    assert (info.name, info.version, info.prefix) == (loaded.name, loaded.version, loaded.prefix)
    assert (info.terms, info.edges) == (len(loaded.terms), len(loaded.edges))


@pytest.mark.parametrize("name", OWL)
def test_an_owl_file_loads_with_all_its_terms_and_edges(name: str) -> None:
    # As text, so that nothing is shared with the reader: plain superclasses, and restrictions that stand alone.
    classes = re.findall(
        r'^\s*<owl:Class rdf:about="([^"]+)">(.*?)^    </owl:Class>', _text(name), re.DOTALL | re.MULTILINE
    )
    edges = set()
    for term, body in classes:
        parents = re.findall(r'<rdfs:subClassOf rdf:resource="([^"]+)"', body)
        edges |= {(term, "", parent) for parent in parents if not parent.endswith("owl#Thing")}
        alone = r'<rdfs:subClassOf>\s*<owl:Restriction>\s*<owl:onProperty rdf:resource="([^"]+)"/>\s*'
        some = r'<owl:someValuesFrom rdf:resource="([^"]+)"/>'
        edges |= {(term, relation, parent) for relation, parent in re.findall(alone + some, body)}
    ontology = _loaded(name)
    assert len(ontology.terms) == TERMS[name]
    assert len(ontology.edges) == len(edges)


@pytest.mark.parametrize("name", CELLXGENE)
def test_a_cellxgene_file_closes_to_its_own_ancestors(name: str, tmp_path: Path) -> None:
    with (FOLDER / name).open("rb") as file:
        listed = json.loads(zstandard.ZstdDecompressor().stream_reader(file).read())
    catalogue = Catalogue.open(tmp_path, add_ontologies([FOLDER / name], tmp_path))
    assert catalogue.ontologies()[0].terms == len(listed) == TERMS[name]
    for term in list(listed)[::20]:
        given = {ancestor.replace("_", ":") for ancestor in listed[term]["ancestors"]}
        assert catalogue.ancestors(term) == given | {term.replace("_", ":")}


def test_an_obo_graph_loads_with_the_terms_and_edges_of_its_obo_twin() -> None:
    graph, obo = _loaded("fbbi.json.gz"), _loaded("fbbi.obo.gz")
    assert {key(term.id) for term in graph.terms} == {key(term.id) for term in obo.terms}
    # The graph leaves out "part of itself" of three upper classes.
    in_obo = {(key(low), relation, key(high)) for low, relation, high in obo.edges if low != high}
    assert in_obo == {(key(low), relation, key(high)) for low, relation, high in graph.edges}


def test_three_formats_of_one_ontology_give_the_same_terms() -> None:
    by_format = [{key(term.id): term for term in _loaded(f"fbbi.{kind}.gz").terms} for kind in ("obo", "owl", "json")]
    for name in ("label", "definition", "synonyms", "xrefs", "subsets", "obsolete", "alt_ids", "replaced_by"):
        obo, owl, graph = ({id_: getattr(term, name) for id_, term in terms.items()} for terms in by_format)
        assert obo == owl == graph, name


def test_the_repairs_are_named() -> None:
    assert _warnings(_loaded("po.obo.gz"))["UndefinedParents"] == 3
    assert _warnings(_loaded("doid-ncit-slim.obo.gz"))["UndeclaredSynonymTypes"] == 1
    assert _warnings(_loaded("clo-lincs-view.owl.gz"))["ParserWarnings"] > 800


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    root = tmp_path_factory.mktemp("ontologies")
    names = ("fbbi.obo.gz", "ncbitaxon-taxslim.obo.gz", "cl-basic.obo.gz", "uberon-oba-import.obo.gz")
    opened = Catalogue.open(root, add_ontologies([*(FOLDER / name for name in names), FOLDER / OBO[-2]], root))
    yield opened
    opened.close()


def test_mammals_are_above_humans_and_mice(catalogue: Catalogue) -> None:
    mammals = catalogue.descendants("NCBITaxon:40674")
    assert {"NCBITaxon:9606", "NCBITaxon:10090", "NCBITaxon:40674"} <= mammals
    assert not {"NCBITaxon:7227", "NCBITaxon:4932"} & mammals
    path = catalogue.path("NCBITaxon:9606", "NCBITaxon:40674")
    assert (path[0].label, path[-1].label) == ("Homo sapiens", "Mammalia")


def test_develops_from_leads_to_no_ancestor(catalogue: Catalogue) -> None:
    default = catalogue.ancestors("UBERON:0000955")
    assert "UBERON:0001062" in default
    assert default < catalogue.ancestors("UBERON:0000955", ("is_a", "part_of", "develops_from"))
    assert catalogue.ancestors("UBERON:0000955", (IS_A,)) < default


@pytest.mark.parametrize(
    ("spelling", "term"),
    [
        ("FBbi_00000246", "FBbi:00000246"),
        ("fbbi:246", "FBbi:00000246"),
        ("http://purl.obolibrary.org/obo/FBbi_00000246", "FBbi:00000246"),
        ("NCBITaxon:09606", "NCBITaxon:9606"),
        ("NCBI:txid9606", "NCBITaxon:9606"),
        ("taxonomy:9606", "NCBITaxon:9606"),
        ("NCBITaxon 9606", "NCBITaxon:9606"),
        ("http://www.ebi.ac.uk/efo/EFO_0001185", "EFO:0001185"),
    ],
)
def test_ids_of_the_archives_resolve(catalogue: Catalogue, spelling: str, term: str) -> None:
    found = catalogue.resolve(spelling)
    assert found is not None
    assert found.term == term


@pytest.mark.parametrize(
    ("field", "text", "term", "method"),
    [
        ("organism", "Homo sapiens", "NCBITaxon:9606", Method.LABEL),
        ("organism", "H. sapiens", "NCBITaxon:9606", Method.NORMALISED),
        ("organism", "Human", "NCBITaxon:9606", Method.EXACT_SYNONYM),
        ("organism", "D. melanogaster", "NCBITaxon:7227", Method.NORMALISED),
        ("imaging_method", "Fluorescence microscopy", "FBbi:00000246", Method.LABEL),
        ("cell_line", "HeLa", "EFO:0001185", Method.LABEL),
        ("anatomy", "brains", "UBERON:0000955", Method.NORMALISED),
    ],
)
def test_values_of_the_archives_are_grounded(
    catalogue: Catalogue, field: str, text: str, term: str, method: Method
) -> None:
    (mention,), unresolved = ground(Value(field, text), catalogue)
    assert (mention.term, mention.method, unresolved) == (term, method, ())

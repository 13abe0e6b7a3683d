"""Defects that neighbouring systems had, each named by its system: `tests/pitfalls.md` says which report it is."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from hooke.model import Level
from hooke.request import SearchRequest, read_conditions
from hooke.results import FacetValue, SearchResult
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine

MANY = 1_500
"""More terms below one than BioStudies expands."""
COLUMNS = 2_100
"""More keys than HuBMAP's index may have."""

ANATOMY = """format-version: 1.2
ontology: uberon

[Term]
id: UBERON:0000062
name: organ

[Term]
id: UBERON:0000948
name: heart
is_a: UBERON:0000062

[Term]
id: UBERON:0000955
name: brain
is_a: UBERON:0000062

[Term]
id: UBERON:0002193
name: hemolymphoid system

[Term]
id: UBERON:0002106
name: spleen
is_a: UBERON:0000062
relationship: part_of UBERON:0002193

[Term]
id: UBERON:0002082
name: cardiac ventricle
relationship: part_of UBERON:0000948

[Term]
id: UBERON:0000001
name: heart lymph vessel
is_a: UBERON:0000062
relationship: part_of UBERON:0000948
relationship: part_of UBERON:0002193

[Typedef]
id: part_of
name: part of
xref: BFO:0000050
"""

METHODS = """format-version: 1.2
ontology: fbbi

[Term]
id: FBbi:00000246
name: fluorescence microscopy

[Term]
id: FBbi:00000251
name: confocal microscopy
is_a: FBbi:00000246
"""

TAXA = """format-version: 1.2
ontology: ncbitaxon

[Term]
id: NCBITaxon:9606
name: Homo sapiens
synonym: "human" EXACT []

[Term]
id: NCBITaxon:50557
name: Insecta
""" + "".join(
    f"\n[Term]\nid: NCBITaxon:{900_000 + n}\nname: Insectus {n:04}\nis_a: NCBITaxon:50557\n" for n in range(MANY)
)

ROWS = (
    # path, anatomy, anatomy_id, organism, imaging_method, age, size, note
    ("ventricle.png", "cardiac ventricle", "UBERON:0002082", "Homo sapiens", "confocal microscopy", "17", "9", "s 1"),
    ("heart.png", "heart", "UBERON:0000948", "human", "fluorescence microscopy", "Not Applicable", "10", "s 2"),
    ("spleen.png", "spleen", "UBERON:0002106", "Insectus 0007", "", "3", "100", "spindle assembly in early embryos"),
    ("vessel.png", "heart lymph vessel", "UBERON:0000001", "Insectus 1499", "", "", "6", "early spindle"),
    ("organoid.png", "brain (organoid)", "UBERON:0000955", "", "", "", "", "BONE MARROW"),
    *((f"strain{n:02}.png", "", "", "", "", "", "", f"strain {n:02}") for n in range(30)),
)

Ask = Callable[..., SearchResult]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("others")
    for name, text in (("uberon.obo", ANATOMY), ("fbbi.obo", METHODS), ("ncbitaxon.obo", TAXA)):
        (root / name).write_text(text)
    cells = root / "cells"
    cells.mkdir()
    header = ("path", "anatomy", "anatomy_id", "organism", "imaging_method", "age", "size_x", "note")
    extra = [f"key {n}" for n in range(COLUMNS)]
    rows = [(*row, *(("x",) * COLUMNS if row[0] == "heart.png" else ())) for row in ROWS]
    lines = [",".join(row) for row in ((*header, *extra), *rows)]
    (cells / "manifest.csv").write_text("\n".join([*lines, ""]))
    ontologies = tuple(str(root / name) for name in ("uberon.obo", "fbbi.obo", "ncbitaxon.obo"))
    run(IndexJob((cells,), root / "index", ontologies=ontologies))
    with closing(Engine(root / "index", EmbedderChoice())) as opened:
        yield opened


@pytest.fixture(scope="module")
def ask(engine: Engine) -> Ask:
    def asked(text: str = "", *conditions: str, facets: tuple[str, ...] = (), **more: object) -> SearchResult:
        filters, ranges = read_conditions(conditions, ())
        wanted = SearchRequest(Level.IMAGE, text, filters, ranges, facets, limit=100, **more)  # type: ignore[arg-type]
        return engine.search(wanted)

    return asked


def names(found: SearchResult) -> set[str]:
    return {hit.id.removeprefix("cells/").removesuffix(".png") for hit in found.hits}


def by_label(values: tuple[FacetValue, ...]) -> dict[str, FacetValue]:
    assert len({value.id for value in values}) == len(values)
    return {value.label: value for value in values}


def test_hubmap_heart_finds_no_spleen(ask: Ask) -> None:
    for text, conditions in (("heart", ()), ("", ("anatomy=heart",))):
        assert names(ask(text, *conditions)) == {"heart", "ventricle", "vessel"}


def test_hubmap_a_record_below_two_parents_counts_once_under_each_and_once_above(ask: Ask) -> None:
    found = by_label(ask(facets=("anatomy",)).facets["anatomy"])
    assert set(found["heart lymph vessel"].parents) == {
        found[label].id for label in ("organ", "heart", "hemolymphoid system")
    }
    assert {label: (value.count, value.direct_count) for label, value in found.items()} == {
        "organ": (5, 0),
        "heart": (3, 1),
        "hemolymphoid system": (2, 0),
        "cardiac ventricle": (1, 1),
        "heart lymph vessel": (1, 1),
        "spleen": (1, 1),
        "brain": (1, 1),
    }


def test_rero_a_child_of_another_branch_is_not_under_a_parent(ask: Ask) -> None:
    found = by_label(ask("heart", facets=("anatomy",)).facets["anatomy"])
    assert found["cardiac ventricle"].parents == (found["heart"].id,)
    assert "spleen" not in found
    assert "brain" not in found


def test_invenio_a_parent_counts_what_is_annotated_with_itself(ask: Ask) -> None:
    heart = by_label(ask(facets=("anatomy",)).facets["anatomy"])["heart"]
    assert (heart.count, heart.direct_count) == (3, 1)
    assert "heart" in names(ask("", "anatomy=heart"))


def test_cellxgene_an_organoid_is_of_its_tissue(ask: Ask) -> None:
    assert "organoid" in names(ask("brain"))
    assert "organoid" in names(ask("", "anatomy=organ"))
    assert by_label(ask(facets=("anatomy",)).facets["anatomy"])["brain"].count == 1


@pytest.mark.parametrize(
    "text",
    [
        "FBbi:00000246",
        "FBbi_00000246",
        "fbbi:246",
        "FBBI:0000000246",
        "Fbbi:00000246",
        "http://purl.obolibrary.org/obo/FBbi_00000246",
    ],
)
def test_gide_an_id_is_an_id_in_any_case_and_padding(ask: Ask, text: str) -> None:
    assert names(ask(text)) == {"heart", "ventricle"}


def test_gide_a_taxon_may_have_zeros_before_it(ask: Ask) -> None:
    assert names(ask("NCBITaxon:0009606")) == names(ask("NCBITaxon:9606")) == {"heart", "ventricle"}


def test_idr_numbers_are_compared_as_numbers(ask: Ask) -> None:
    assert names(ask("", "size_x>9")) == {"heart", "spleen"}
    assert names(ask("size_x:[6 TO 10]")) == {"vessel", "ventricle", "heart"}


def test_idr_a_bound_is_about_its_own_key(ask: Ask) -> None:
    """The spleen is 3 old and 100 wide: a bound of 5 on its age must not see its width."""
    assert names(ask("", "age>5")) == {"ventricle"}
    assert names(ask("age:>5")) == {"ventricle"}


def test_idr_an_accession_column_is_a_term_and_no_key_of_its_own(ask: Ask, engine: Engine) -> None:
    assert names(ask("UBERON:0000948 AND NOT UBERON:0002082")) == {"heart", "vessel"}
    assert "anatomy_id" not in {str(value["field"]) for value in engine.detail(Level.IMAGE, "cells/heart.png").values}


def test_hubmap_a_number_and_words_live_in_one_field(ask: Ask) -> None:
    assert names(ask("", "age=Not Applicable")) == {"heart"}
    assert names(ask("", "age=17")) == {"ventricle"}
    assert {value.id: value.count for value in ask(facets=("age",)).facets["age"]} == {
        "17": 1,
        "3": 1,
        "Not Applicable": 1,
    }


def test_hubmap_any_number_of_keys_is_searched(ask: Ask) -> None:
    assert names(ask("", f"key_{COLUMNS - 1}=x")) == {"heart"}
    assert names(ask(f"key_{COLUMNS - 1}:x")) == {"heart"}


def test_bia_words_are_found_in_any_order_and_apart(ask: Ask) -> None:
    assert names(ask("early spindle")) == names(ask("spindle early")) == {"spleen", "vessel"}


def test_bia_a_facet_has_every_value_and_not_ten(ask: Ask) -> None:
    assert sum(value.id.startswith("strain") for value in ask(facets=("note",)).facets["note"]) == 30


def test_bia_alternatives_are_required_beside_another_choice(ask: Ask) -> None:
    assert names(ask("", "anatomy=spleen", "anatomy=brain", "organism=Insecta")) == {"spleen"}


def test_bia_an_imaging_method_has_its_ontology_id(engine: Engine) -> None:
    mentions = engine.detail(Level.IMAGE, "cells/ventricle.png").mentions
    assert "FBbi:00000251" in {mention["term"] for mention in mentions if mention["field"] == "imaging_method"}


def test_biostudies_a_term_with_thousands_below_it_is_expanded(ask: Ask) -> None:
    assert names(ask("Insecta")) == {"spleen", "vessel"}
    assert by_label(ask(facets=("organism",)).facets["organism"])["Insecta"].count == 2


def test_azul_a_synonym_finds_what_its_term_finds(ask: Ask) -> None:
    assert names(ask("human")) == names(ask("Homo sapiens")) == {"heart", "ventricle"}


def test_azul_the_search_box_and_the_facet_agree(ask: Ask) -> None:
    for value in ask(facets=("anatomy",)).facets["anatomy"]:
        assert ask(value.id).total == ask("", f"anatomy={value.id}").total == value.count


def test_cytomine_values_are_found_in_any_case(ask: Ask) -> None:
    assert names(ask("bone marrow")) == names(ask("", "note=Bone Marrow")) == {"organoid"}


@pytest.mark.parametrize("text", ["cells/heart.png", '"cells/heart.png"', "id:cells/heart.png", 'id:"cells/heart.png"'])
def test_omero_an_image_is_found_by_its_bare_id(ask: Ask, text: str) -> None:
    assert "heart" in names(ask(text))


def test_a_fuzzy_word_is_suggested_and_brings_in_no_hit_of_another_group(ask: Ask) -> None:
    """biofile-finder#906: what is nearly a word of one group must not be counted in another."""
    found = ask("spleem", facets=("anatomy",))
    assert (found.total, found.facets["anatomy"]) == (0, ())
    assert "spleen" in {suggestion.label for suggestion in found.query.suggestions}

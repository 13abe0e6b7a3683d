"""Facet counts, held against counting by hand over every record."""

import pytest

from hooke.errors import BadInput
from hooke.model import Level
from hooke.results import FacetValue
from search_api.engine import Engine
from tests.search_api.conftest import Search

PARENTS = {
    "NCBITaxon:40674": {"NCBITaxon:2759"},
    "NCBITaxon:9989": {"NCBITaxon:40674", "NCBITaxon:2759"},
    "NCBITaxon:10090": {"NCBITaxon:9989", "NCBITaxon:40674", "NCBITaxon:2759"},
    "NCBITaxon:9606": {"NCBITaxon:40674", "NCBITaxon:2759"},
    "NCBITaxon:4751": {"NCBITaxon:2759"},
    "NCBITaxon:4932": {"NCBITaxon:4751", "NCBITaxon:2759"},
}


def counted_by_hand(engine: Engine, records: set[str]) -> dict[str, tuple[int, int]]:
    """Closure and direct counts of the organisms, from the records one by one."""
    counts: dict[str, list[int]] = {}
    for record in records:
        direct = {str(m["term"]) for m in engine.detail(Level.IMAGE, record).mentions if m["field"] == "organism"}
        closed = direct.union(*(PARENTS.get(term, set()) for term in direct))
        for term in closed:
            pair = counts.setdefault(term, [0, 0])
            pair[0] += 1
            pair[1] += term in direct
    return {term: (count, direct) for term, (count, direct) in counts.items()}


def as_counts(values: tuple[FacetValue, ...]) -> dict[str, tuple[int, int]]:
    return {value.id: (value.count, value.direct_count) for value in values}


@pytest.mark.parametrize("text", ["", "light microscopy", "mouse", "NOT Mammalia", "brain", "lost", "nothingatall"])
def test_an_ontology_facet_counts_its_closure_and_direct_annotations_exactly(
    engine: Engine, search: Search, text: str
) -> None:
    found = search(text, facets=("organism",))
    assert as_counts(found.facets["organism"]) == counted_by_hand(engine, {hit.id for hit in found.hits})


def test_a_count_is_what_choosing_the_value_finds(search: Search) -> None:
    found = search("", facets=("organism", "imaging_method", "anatomy", "cell_type", "gene"))
    for field, values in found.facets.items():
        for value in values:
            assert search("", f"{field}={value.id}").total == value.count, (field, value)


def test_a_facet_ignores_its_own_selection_and_obeys_the_others(search: Search) -> None:
    free = search("", facets=("organism", "anatomy"))
    chosen = search("", "organism=human", facets=("organism", "anatomy"))
    assert chosen.facets["organism"] == free.facets["organism"]
    assert {v.label: v.count for v in chosen.facets["anatomy"]} == {"brain": 1, "heart": 1, "organ": 2}
    assert as_counts(free.facets["anatomy"])["UBERON:0000955"] == (3, 2)


def test_a_facet_obeys_what_is_excluded_in_it(search: Search) -> None:
    left = search("", without=("organism=rodents",), facets=("organism",))
    assert "NCBITaxon:10090" not in as_counts(left.facets["organism"])
    assert search("", "organism=human", without=("organism=rodents",), facets=("organism",)).facets == left.facets


def test_a_plain_facet_has_the_value_as_id_and_counts_it_directly(search: Search) -> None:
    values = search("", facets=("gene", "size_x")).facets
    assert [(v.id, v.label, v.count, v.direct_count) for v in values["gene"]] == [
        ("Actb", "Actb", 2, 2),
        ("CDC28", "CDC28", 2, 2),
        ("TP53", "TP53", 2, 2),
        ("Trp53", "Trp53", 2, 2),
    ]
    assert all(v.count == v.direct_count and v.id == v.label for v in values["size_x"])


def test_a_value_names_the_facet_values_above_it(search: Search) -> None:
    parents = {v.id: v.parents for v in search("", facets=("anatomy",)).facets["anatomy"]}
    assert parents == {
        "UBERON:0000062": (),
        "UBERON:0000955": ("UBERON:0000062",),
        "UBERON:0000948": ("UBERON:0000062",),
        "UBERON:0000956": ("UBERON:0000955",),
    }


def test_relations_decide_what_a_facet_value_includes(search: Search) -> None:
    brain = {e: as_counts(search("", facets=("anatomy",), expand=e).facets["anatomy"]) for e in ("none", "is_a")}
    assert brain["is_a"]["UBERON:0000955"] == (2, 2)
    assert brain["none"] == {"UBERON:0000955": (2, 2), "UBERON:0000948": (2, 2), "UBERON:0000956": (1, 1)}


def test_facets_of_studies_count_studies(search: Search) -> None:
    found = search("", level=Level.STUDY, facets=("organism", "archive"))
    assert as_counts(found.facets["organism"])["NCBITaxon:9606"] == (3, 3)
    assert found.total == 5


def test_prose_makes_no_facet(search: Search) -> None:
    with pytest.raises(BadInput, match="title"):
        search("", facets=("title",))


def test_a_known_facet_that_no_record_has_is_empty(search: Search) -> None:
    assert search("", facets=("disease",)).facets == {"disease": ()}

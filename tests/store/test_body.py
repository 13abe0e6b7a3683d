"""Query trees as Elasticsearch is asked them: exactly the bodies in `golden/`.

A change of a body on purpose: `python -m tests.store.test_body` writes them anew; read the difference then.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hooke.errors import BadInput
from hooke.query import (
    Among,
    And,
    Best,
    Equals,
    Everything,
    Node,
    Not,
    Or,
    Order,
    Phrase,
    Prefix,
    Range,
    SortKey,
    TermRef,
    Terms,
    Text,
    Weighted,
    Words,
    scoring,
)
from hooke.store.elasticsearch import body
from hooke.store.elasticsearch.body import Known, Leaf
from hooke.store.elasticsearch.cluster import Body

GOLDEN = Path(__file__).parent / "golden"
MITOSIS = Words(frozenset({"mitosis", "mitotic"}))
MOUSE = Terms(frozenset({"NCBITaxon:10090"}), "organism")
LEAVES: dict[str, Leaf] = {
    "words_anywhere": MITOSIS,
    "words_in_a_field": Words(frozenset({"dapi"}), "channels"),
    "words_in_a_field_of_an_odd_name": Words(frozenset({"5"}), "größe (µm)"),
    "no_words": Words(frozenset()),
    "phrase_anywhere": Phrase(("light", "sheet")),
    "phrase_in_a_field": Phrase(("mus", "musculus"), "organism"),
    "phrase_of_one_word": Phrase(("mitosis",), "title"),
    "phrase_of_no_word": Phrase(()),
    "terms_anywhere": Terms(frozenset({"NCBITaxon:10090", "NCBITaxon:9606"})),
    "terms_in_a_field": MOUSE,
    "equals": Equals("licence", " CC  BY 4.0"),
    "equals_a_long_value": Equals("licence", "as is " * 100),
    "range_closed": Range("size_x", 512, 1024),
    "range_half_open": Range("size_x", 512, 1024, include_low=False, include_high=False),
    "range_below": Range("size_x", high=-0.5),
    "range_of_any_number": Range("size_x"),
}
TITLE = Best((Weighted(Words(frozenset({"mitosis"}), "title"), 5.0), Weighted(MITOSIS, 1.0)))
SPECIES = Best((Weighted(MOUSE, 4.0),))
TREES: dict[str, Node] = {
    "everything": Everything(),
    "among": Among(frozenset({7, 3})),
    "among_none": Among(frozenset()),
    "and": And((MITOSIS, MOUSE)),
    "and_of_nothing": And(()),
    "or": Or((MITOSIS, MOUSE)),
    "or_of_nothing": Or(()),
    "not": Not(MITOSIS),
    "best": TITLE,
    "best_of_nothing": Best(()),
    "best_of_several_under_and": And((TITLE, SPECIES, Range("size_x", low=512))),
    "best_under_or_and_not": Or((And((TITLE, Not(SPECIES))), Not(Or((MITOSIS, Not(MOUSE)))))),
}
KNOWN = Known({MITOSIS: [2, 5], MOUSE: [2]}, {TITLE: 1.5, SPECIES: 0.25, Best(()): 0.0})
"""Two groups of images inherit the word, one the term; what each `Best` is worth."""
MOUSE_CLAUSE = body.condition(MOUSE, KNOWN)
NEWEST = Order(SortKey.DATE, descending=True)
REQUESTS: dict[str, Body] = {
    "first_page": body.page(TITLE, KNOWN, size=11, after=None),
    "next_page": body.page(MITOSIS, KNOWN, size=11, after=(1.5, 17)),
    "first_page_by_title": body.page(MOUSE, KNOWN, size=11, order=Order(SortKey.TITLE)),
    "next_page_newest_first": body.page(MOUSE, KNOWN, size=11, after=(None, 17), order=NEWEST),
    "sort_values": body.sort_values(17, NEWEST),
    "total": body.total(MOUSE_CLAUSE),
    "ordinals_in_blocks": body.blocks(MOUSE_CLAUSE, first=0, last=96),
    "facets": body.counts(MOUSE_CLAUSE, {"organism": "facet.organism", "gene": "column.gene"}, size=30_000),
    "facet_in_portions": body.counts(MOUSE_CLAUSE, {"s": "column.gene"}, size=60_000, portion=(1, 4)),
}


def asked() -> dict[str, dict[str, Body]]:
    """Every body by file and name."""
    return {
        "leaves": {name: body.leaf(node) for name, node in LEAVES.items()},
        "conditions": {name: body.condition(node, KNOWN) for name, node in TREES.items()},
        "rankings": {name: body.ranking(node, KNOWN) for name, node in TREES.items()},
        "requests": REQUESTS,
    }


@pytest.mark.parametrize(
    ("node", "clause"),
    [
        (MITOSIS, body.leaf(MITOSIS)),
        (MOUSE, body.leaf(MOUSE)),
        (Words(frozenset({"b", "a"}), None, inherited_prose=False), {"terms": {"stated.word": ["a", "b"]}}),
        (Phrase(("a",), None, inherited_prose=False), {"terms": {"stated.word": ["a"]}}),
        (Phrase(("b", "a"), None, inherited_prose=False), {"match_phrase": {"stated.phrase": {"query": "b a"}}}),
        (Phrase((), None, inherited_prose=False), {"match_none": {}}),
        (Words(frozenset({"a"}), "title", inherited_prose=False), {"match_none": {}}),
        (Phrase(("b", "a"), "data_description", inherited_prose=False), {"match_none": {}}),
        (Words(frozenset({"a"}), "gene", inherited_prose=False), body.leaf(Words(frozenset({"a"}), "gene"))),
    ],
)
def test_prose_is_passed_over_in_heirlooms_alone(node: Leaf, clause: Body) -> None:
    assert body.inherited(node) == clause
    if isinstance(node, Words | Phrase):
        assert body.leaf(node) == body.leaf(replace(node, inherited_prose=True))


@pytest.mark.parametrize("file", asked())
def test_a_tree_is_asked_as_it_always_was(file: str) -> None:
    expected = json.loads((GOLDEN / f"{file}.json").read_text(encoding="utf-8"))
    assert asked()[file] == expected


@pytest.mark.parametrize("node", [Text(("a",)), Prefix("a"), TermRef("T:1"), And((MITOSIS, Not(Prefix("a"))))])
def test_a_node_that_only_text_can_say_is_refused(node: Node) -> None:
    with pytest.raises(BadInput, match="expand it first"):
        body.condition(node, Known())


def test_a_set_larger_than_a_clause_may_be_is_several_clauses() -> None:
    terms = frozenset(f"T:{number}" for number in range(body.MAX_TERMS + 1))
    clauses = body.leaf(Terms(terms))["bool"]["should"]
    assert [len(clause["terms"]["term"]) for clause in clauses] == [body.MAX_TERMS, 1]
    assert {term for clause in clauses for term in clause["terms"]["term"]} == terms


def test_what_an_image_inherits_is_asked_for_by_leaf() -> None:
    tree = Or((And((TITLE, Not(SPECIES))), Among(frozenset({1})), Everything()))
    assert set(body.leaves(tree)) == {Words(frozenset({"mitosis"}), "title"), MITOSIS, MOUSE}


def test_what_is_under_a_not_is_worth_nothing() -> None:
    assert list(scoring(And((TITLE, Not(SPECIES))))) == [TITLE]


def _write() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for file, bodies in asked().items():
        text = json.dumps(bodies, indent=2, ensure_ascii=False) + "\n"
        (GOLDEN / f"{file}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()

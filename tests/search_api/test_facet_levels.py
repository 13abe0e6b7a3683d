"""Facets one level at a time, numbers as ranges, and studies counted among images: held against single searches."""

from dataclasses import replace

import pytest

from hooke.errors import BadInput, UnknownTerm
from hooke.model import Level
from hooke.request import FacetRequest, SearchRequest, read_conditions, read_expand
from hooke.results import FacetLevel, FacetNode
from search_api.engine import Engine
from tests.search_api.conftest import Search


def level_of(
    engine: Engine,
    field: str,
    parent: str = "",
    text: str = "",
    *filters: str,
    level: Level = Level.IMAGE,
    expand: str | None = None,
    limit: int = 1000,
    studies: bool = False,
) -> FacetLevel:
    chosen, ranges = read_conditions(filters, ())
    asked = SearchRequest(
        level, text, chosen, ranges, facet_limit=limit, expand=read_expand(expand), count_studies=studies
    )
    return engine.facet(FacetRequest(field, parent, asked))


def counts(nodes: tuple[FacetNode, ...]) -> dict[str, tuple[int, int]]:
    return {node.label: (node.count, node.direct_count) for node in nodes}


def test_the_top_begins_where_records_part_and_says_what_it_passed_over(engine: Engine) -> None:
    top = level_of(engine, "organism")
    assert [(node.label, node.children) for node in top.values] == [("Mammalia", 2), ("Fungi", 1)]
    assert [node.label for node in top.skipped] == ["Eukaryota"]
    assert top.skipped[0].count == top.total - top.silent


def test_a_term_with_records_of_its_own_is_not_passed_over(engine: Engine) -> None:
    top = level_of(engine, "organism", text="budding OR qz001")
    assert [node.label for node in top.values] == ["Fungi"]
    assert counts(top.values)["Fungi"] == (2, 1)
    assert [node.label for node in top.skipped] == ["Eukaryota"]


@pytest.mark.parametrize("parent", ["NCBITaxon:40674", "ncbitaxon_40674", "40674", "Mammalia", "mammals"])
def test_the_children_of_a_term_are_given_whatever_its_spelling(engine: Engine, parent: str) -> None:
    found = level_of(engine, "organism", parent)
    assert found.parent is not None
    assert (found.parent.id, [node.label for node in found.skipped]) == ("NCBITaxon:40674", ["Rodentia"])
    assert [node.label for node in found.values] == ["Homo sapiens", "Mus musculus"]


def test_the_whole_tree_has_the_counts_of_the_flat_facet(engine: Engine, search: Search) -> None:
    for field in ("organism", "imaging_method", "anatomy", "cell_type"):
        flat = {v.id: (v.count, v.direct_count) for v in search("", facets=(field,)).facets[field]}
        top = level_of(engine, field)
        walked = {node.id: (node.count, node.direct_count) for node in top.skipped}
        waiting = list(top.values)
        while waiting:
            node = waiting.pop()
            walked[node.id] = (node.count, node.direct_count)
            below = level_of(engine, field, node.id)
            assert bool(below.values) == bool(node.children)
            walked |= {passed.id: (passed.count, passed.direct_count) for passed in below.skipped}
            waiting.extend(below.values)
        assert walked == flat


def test_a_flat_facet_lists_last_what_the_top_passes_over(engine: Engine, search: Search) -> None:
    whole = search("", facets=("organism",)).facets["organism"]
    assert [value.label for value in (whole[0], whole[-1])] == ["Mammalia", "Eukaryota"]
    assert whole[-1].count == max(value.count for value in whole)
    assert whole[0].parents == ("NCBITaxon:2759",)


def test_a_cut_facet_names_no_parent_that_was_passed_over(engine: Engine) -> None:
    asked = SearchRequest(Level.IMAGE, facets=("organism",), facet_limit=2)
    cut = engine.search(asked).facets["organism"]
    assert [(value.label, value.parents) for value in cut] == [
        ("Mammalia", ()),
        ("Homo sapiens", ("NCBITaxon:40674",)),
    ]


def test_a_level_below_a_term_begins_where_records_part_too(engine: Engine) -> None:
    found = level_of(engine, "organism", "Eukaryota", "organism:Mammalia")
    assert [node.label for node in found.skipped] == ["Mammalia", "Rodentia"]
    assert [node.label for node in found.values] == ["Homo sapiens", "Mus musculus"]
    assert found.parent is not None
    assert (found.parent.children, found.skipped[0].children) == (1, 2)


def test_a_level_ignores_what_is_chosen_in_it_and_obeys_the_rest(engine: Engine) -> None:
    free = level_of(engine, "organism", "Mammalia", "brain")
    chosen = level_of(engine, "organism", "Mammalia", "brain", "organism=Fungi")
    assert replace(chosen, query=free.query) == free
    assert counts(level_of(engine, "organism", "Mammalia", "", "anatomy=heart").values) == {
        "Mus musculus": (1, 1),
        "Homo sapiens": (1, 1),
    }


def test_a_term_that_no_match_has_has_no_children(engine: Engine) -> None:
    found = level_of(engine, "organism", "Mammalia", "budding")
    assert found.parent == FacetNode("NCBITaxon:40674", "Mammalia", 0, 0)
    assert (found.values, found.size) == ((), 0)
    assert level_of(engine, "organism", "FBbi:00000246").parent == FacetNode(
        "FBbi:00000246", "fluorescence microscopy", 0, 0
    )


def test_without_relations_there_are_no_levels(engine: Engine, search: Search) -> None:
    found = level_of(engine, "organism", expand="none")
    assert {v.id: v.count for v in found.values} == {
        v.id: v.count for v in search("", facets=("organism",), expand="none").facets["organism"]
    }
    assert not any(node.children for node in found.values)


def test_an_unknown_term_and_a_field_of_prose_are_refused(engine: Engine) -> None:
    with pytest.raises(UnknownTerm, match="NCBITaxon:406744"):
        level_of(engine, "organism", "NCBITaxon:406744")
    with pytest.raises(BadInput, match="title"):
        level_of(engine, "title")


def test_a_level_is_cut_to_its_most_frequent_values_and_says_how_many_there_are(engine: Engine) -> None:
    cut = level_of(engine, "gene", limit=2)
    assert ([node.label for node in cut.values], cut.size) == (["Actb", "CDC28"], 4)


def test_what_says_nothing_is_counted(engine: Engine, search: Search) -> None:
    found = level_of(engine, "anatomy", text="mouse")
    assert found.total == search("mouse").total
    assert found.silent == search("mouse").total - search("mouse AND organ").total


def test_few_numbers_are_each_counted_and_words_stand_beside_them(engine: Engine, search: Search) -> None:
    found = level_of(engine, "size_x", "", "NOT lost")
    assert [(span.low, span.high) for span in found.ranges] == [(n, n) for n in (17, 64, 256, 512, 1024, 2048)]
    for span in found.ranges:
        assert search("NOT lost", f"size_x>={span.low}", f"size_x<={span.high}").total == span.count
    assert found.values == ()
    channels = level_of(engine, "gene")
    assert (channels.ranges, len(channels.values)) == ((), 4)


def test_many_numbers_are_counted_in_ranges_of_one_width(engine: Engine, search: Search) -> None:
    found = level_of(engine, "size_x", "", "lost")
    assert [(span.low, span.high, span.count) for span in found.ranges] == [
        (low, low + 5, 5) for low in range(0, 30, 5)
    ]
    for span in found.ranges:
        assert search("lost", f"size_x>={span.low}", f"size_x<{span.high}").total == span.count
    assert found.silent == 0


def test_images_are_counted_with_their_studies(engine: Engine, search: Search) -> None:
    top = level_of(engine, "imaging_method", studies=True)
    for node in (*top.values, *top.skipped):
        studies = {hit.study_id for hit in search("", f"imaging_method={node.id}").hits}
        assert node.studies == len(studies), node
    spans = level_of(engine, "size_x", studies=True).ranges
    for span in spans:
        bound = "<=" if span.low == span.high else "<"
        hits = search("", f"size_x>={span.low}", f"size_x{bound}{span.high}").hits
        assert span.studies == len({hit.study_id for hit in hits})
    assert all(node.studies is None for node in level_of(engine, "imaging_method").values)


def test_a_study_is_one_study(engine: Engine) -> None:
    found = level_of(engine, "organism", level=Level.STUDY, studies=True)
    assert found.values
    assert all(node.studies == node.count for node in (*found.values, *found.skipped))


def test_flat_facets_can_count_studies_too(engine: Engine) -> None:
    request = SearchRequest(Level.IMAGE, facets=("organism", "licence"), limit=1000, count_studies=True)
    organisms = {v.id: v.studies for v in engine.search(request).facets["organism"]}
    for term, studies in organisms.items():
        hits = engine.search(SearchRequest(Level.IMAGE, f"organism:{term}", limit=1000)).hits
        assert studies == len({hit.study_id for hit in hits})

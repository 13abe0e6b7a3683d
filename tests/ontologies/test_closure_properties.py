import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ontologies.graph import FIRST_RELATIONS, Graph, build, open_graph, save

RELATIONS = (*FIRST_RELATIONS, "develops_from")
COUNT = 8

terms = st.integers(0, COUNT - 1)
edge_lists = st.lists(st.tuples(terms, st.integers(0, len(RELATIONS) - 1), terms), max_size=24)
relation_sets = st.frozensets(st.sampled_from(RELATIONS[1:]))


def _graph(edges: list[tuple[int, int, int]]) -> Graph:
    return build(COUNT, np.array(edges, dtype=np.int64).reshape(-1, 3), RELATIONS)


def _up(graph: Graph, term: int, relations: frozenset[str]) -> set[int]:
    return set(graph.closure(term, relations, rows=graph.parents).tolist())


def _down(graph: Graph, term: int, relations: frozenset[str]) -> set[int]:
    return set(graph.closure(term, relations, rows=graph.children).tolist())


@given(edge_lists, terms, relation_sets, relation_sets)
def test_closure_is_monotone_in_its_relations(
    edges: list[tuple[int, int, int]], term: int, fewer: frozenset[str], others: frozenset[str]
) -> None:
    graph = _graph(edges)
    assert _up(graph, term, fewer) <= _up(graph, term, fewer | others)


@given(edge_lists, terms, relation_sets)
def test_closure_is_idempotent(edges: list[tuple[int, int, int]], term: int, relations: frozenset[str]) -> None:
    graph = _graph(edges)
    once = _up(graph, term, relations)
    assert set().union(*(_up(graph, ancestor, relations) for ancestor in once)) == once


@given(edge_lists, relation_sets)
def test_ancestors_and_descendants_are_converse(edges: list[tuple[int, int, int]], relations: frozenset[str]) -> None:
    graph = _graph(edges)
    up = {(low, high) for low in range(COUNT) for high in _up(graph, low, relations)}
    down = {(low, high) for high in range(COUNT) for low in _down(graph, high, relations)}
    assert up == down


@given(edge_lists, terms, terms, relation_sets)
def test_a_path_exists_just_when_the_closure_says_so(
    edges: list[tuple[int, int, int]], term: int, ancestor: int, relations: frozenset[str]
) -> None:
    graph = _graph(edges)
    path = graph.path(term, ancestor, relations)
    assert bool(path) == (ancestor in _up(graph, term, relations))
    steps = pairwise(path)
    assert all(after[0] in graph.adjacent(before[0], relations, rows=graph.parents) for before, after in steps)


@given(edge_lists)
@settings(max_examples=20)
def test_a_graph_is_the_same_from_disk(edges: list[tuple[int, int, int]]) -> None:
    graph = _graph(edges)
    with tempfile.TemporaryDirectory() as folder:
        save(graph, Path(folder))
        opened = open_graph(Path(folder), RELATIONS)
        wanted = frozenset(RELATIONS)
        assert all(_up(opened, term, wanted) == _up(graph, term, wanted) for term in range(COUNT))

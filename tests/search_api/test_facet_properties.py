"""Facets of random records over random ontologies in which terms have several parents, held against brute force."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hooke.index import new_or_existing_index
from hooke.model import Image, Level, Manifest, Mention, Method, Study, Value
from hooke.request import FacetRequest, Filter, SearchRequest
from hooke.results import FacetLevel, FacetNode
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.choose import open_store
from ontologies.snapshot import add_ontologies
from search_api.engine import EmbedderChoice, Engine

TERMS = 9
STUDIES = ("A", "B", "C")
FIELDS = ("organism", "anatomy")
UNKNOWN = "T:99"

Parents = Mapping[str, frozenset[str]]
Annotations = tuple[frozenset[str], frozenset[str]]
Records = Mapping[str, Annotations]


def term(number: int) -> str:
    return f"T:{number}"


# a term's parents are among the terms before it, and a term may lead back to a later one: ontologies hold circles
numbers = st.integers(0, TERMS - 1)
edges = st.frozensets(st.tuples(numbers, numbers).filter(lambda edge: edge[0] != edge[1]), max_size=14)
upward = edges.map(lambda found: frozenset((max(edge), min(edge)) for edge in found))
named = st.frozensets(numbers.map(term) | st.just(UNKNOWN), max_size=3)
records = st.lists(st.tuples(st.sampled_from(STUDIES), named, named), max_size=10).map(
    lambda rows: {f"{study}/{row}": (first, second) for row, (study, first, second) in enumerate(rows)}
)


def parents_of(drawn: frozenset[tuple[int, int]]) -> Parents:
    return {term(n): frozenset(term(high) for low, high in drawn if low == n) for n in range(TERMS)}


def closed(terms: frozenset[str], parents: Parents) -> frozenset[str]:
    found, waiting = set(terms), list(terms)
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return frozenset(found)


def values(field: str, terms: frozenset[str]) -> Iterator[Value]:
    for found in sorted(terms):
        yield Value(field, f"label {found}", (found,), (Mention(field, found, found, found, Method.ID, 1.0),))


@contextmanager
def indexed(parents: Parents, records: Records) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "t.obo"
        stanzas = [
            "\n".join((f"[Term]\nid: {name}\nname: name {name}", *(f"is_a: {p}" for p in sorted(above))))
            for name, above in parents.items()
        ]
        source.write_text("\n\n".join(("format-version: 1.2\nontology: t", *stanzas)) + "\n", encoding="utf-8")
        index = new_or_existing_index(Path(folder) / "index")
        version = add_ontologies([source], index.ontologies)
        with closing(open_store(index, DEFAULT_CLUSTER)) as store, store.write() as writer:
            writer.put_studies(Study(study, study) for study in STUDIES)
            writer.put_images(
                Image(key, key[0], key, None, (*values("organism", found[0]), *values("anatomy", found[1])))
                for key, found in records.items()
            )
            writer.commit(Manifest(version))
        with closing(Engine(index.root, EmbedderChoice())) as engine:
            yield engine


def asked(*, organism: str | None = None, studies: bool = False) -> SearchRequest:
    filters = (Filter("organism", (organism,)),) if organism else ()
    return SearchRequest(Level.IMAGE, filters=filters, facets=FIELDS, limit=100, count_studies=studies)


def by_hand(records: Records, parents: Parents, place: int) -> dict[str, tuple[int, int, int]]:
    """Of every term: images, images that name it, studies."""
    images, direct = Counter[str](), Counter[str]()
    studies: dict[str, set[str]] = {}
    for key, found in records.items():
        direct.update(found[place])
        for each in closed(found[place], parents):
            images[each] += 1
            studies.setdefault(each, set()).add(key[0])
    return {each: (count, direct[each], len(studies[each])) for each, count in images.items()}


def tree_of(engine: Engine, field: str) -> tuple[list[FacetNode], dict[str, FacetLevel]]:
    """The top with what it passed over, and the level below every term that is reached from there."""
    top = engine.facet(FacetRequest(field, "", asked(studies=True)))
    below: dict[str, FacetLevel] = {}
    waiting = [*top.skipped, *top.values]
    for node in waiting:
        if node.id not in below:
            found = below[node.id] = engine.facet(FacetRequest(field, node.id, asked(studies=True)))
            assert found.parent == node
            assert len(found.values) == found.size
            waiting.extend((*found.skipped, *found.values))
    return [*top.skipped, *top.values], below


def children_of(name: str, parents: Parents, wanted: Iterable[str]) -> set[str]:
    return {child for child, above in parents.items() if name in above and child in wanted}


@settings(deadline=None, max_examples=25)
@given(upward | edges, records)
def test_flat_facets_and_trees_count_as_brute_force_does(drawn: frozenset[tuple[int, int]], records: Records) -> None:
    parents = parents_of(drawn)
    with indexed(parents, records) as engine:
        facets = engine.search(asked(studies=True)).facets
        for place, field in enumerate(FIELDS):
            wanted = by_hand(records, parents, place)
            flat = {found.id: (found.count, found.direct_count, found.studies) for found in facets[field]}
            assert flat == wanted
            top, below = tree_of(engine, field)
            nodes = [*top, *(node for found in below.values() for node in (*found.skipped, *found.values))]
            assert {node.id: (node.count, node.direct_count, node.studies) for node in nodes} == wanted
            for name, found in below.items():
                children = children_of(name, parents, wanted)
                assert found.parent is not None
                assert found.parent.children == len(children)
                passed = {node.id for node in found.skipped}
                assert all(wanted[each][1] == 0 for each in passed)
                shown = children.union(*(children_of(each, parents, wanted) for each in passed)) - passed
                assert {node.id for node in found.values} == shown


@settings(deadline=None, max_examples=15)
@given(upward, records, numbers.map(term))
def test_disjunctive_counts_are_those_of_separate_queries(
    drawn: frozenset[tuple[int, int]], records: Records, chosen: str
) -> None:
    parents = parents_of(drawn)
    kept = {key: found for key, found in records.items() if chosen in closed(found[0], parents)}
    with indexed(parents, records) as engine:
        facets = engine.search(asked(organism=chosen)).facets
        found = [{v.id: (v.count, v.direct_count) for v in facets[field]} for field in FIELDS]
        wanted = [by_hand(records, parents, 0), by_hand(kept, parents, 1)]
        assert found == [{each: counted[:2] for each, counted in of.items()} for of in wanted]
        for each, (count, _) in found[0].items():
            assert each == UNKNOWN or engine.search(asked(organism=each)).total == count

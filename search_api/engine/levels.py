"""A facet level by level: what is below a term, or the top, each where the matching records part."""

from collections.abc import Iterable, Sequence

import numpy as np

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import Method
from hooke.query import Node
from hooke.request import FacetRequest
from hooke.results import FacetLevel, FacetNode, FacetRange, QueryReport
from hooke.store.base import MetadataReader
from hooke.text import number
from ontologies.catalogue import Catalogue
from search_api.engine.facets import Facets, FacetTable, Held, hold
from search_api.engine.ranges import find_numbers


class FacetTree:
    """A facet's values, counted, as a tree of those that occur. A term with several parents is under each of them."""

    def __init__(self, table: FacetTable, held: Held) -> None:
        self._table = table
        self._held = held
        self._counts = table.count(held)

    def node(self, value: int) -> FacetNode:
        """One value."""
        records, direct, studies = self._counts.of(value)
        children = len(self.children(value))
        return FacetNode(self._table.ids[value], self._table.labels[value], records, direct, children, studies)

    def nodes(self, values: Sequence[int], limit: int) -> tuple[FacetNode, ...]:
        """The most frequent of some values."""
        return tuple(map(self.node, self._table.best(self._counts, np.array(values, np.int64), limit)))

    def children(self, value: int) -> list[int]:
        """What occurs right below a value."""
        return self._table.occurring(self._counts, self._table.children[value])

    def level(self, above: int | None) -> tuple[list[int], list[int]]:
        """The values under one, or at the top, and the terms in between that were passed over, outermost first."""
        return self._table.parted(self._counts, self._table.roots if above is None else self._table.children[above])

    def ranges(self) -> tuple[FacetRange, ...]:
        """The numbers that occur."""
        bounds, reach = find_numbers(self._table.sets).among(self._held.records > 0)
        records, studies = self._held.reaching(reach)
        return tuple(
            FacetRange(low, high, int(records[i]), None if studies is None else int(studies[i]))
            for i, (low, high) in enumerate(bounds)
            if records[i]
        )

    def words(self, values: Iterable[int]) -> list[int]:
        """The values that are no numbers."""
        return [value for value in values if number(self._table.ids[value]) is None]


def facet_level(
    request: FacetRequest,
    field: str,
    where: Node,
    report: QueryReport,
    facets: Facets,
    reader: MetadataReader,
    catalogue: Catalogue,
) -> FacetLevel:
    """One level of a field's facet among the records of `where`. Raises UnknownTerm."""
    asked = request.search
    table = facets.table(reader, catalogue, asked.level, field, asked.counted_over)
    [held] = hold(reader, where, level=asked.level, fields=[field], studies=asked.count_studies)
    tree = FacetTree(table, held)
    parent: FacetNode | None = None
    values, passed = list[int](), list[int]()
    if request.parent:
        term, number_of_it = _place(request.parent, field, table, catalogue)
        if number_of_it is None:
            parent = FacetNode(term, catalogue.label(term), 0, 0, studies=0 if asked.count_studies else None)
        else:
            parent = tree.node(number_of_it)
            values, passed = tree.level(number_of_it)
    else:
        values, passed = tree.level(None)
    numeric = not request.parent and not table.has_terms
    values = tree.words(values) if numeric else values
    total = reader.count(asked.level, where)
    return FacetLevel(
        field,
        parent,
        tuple(map(tree.node, passed)),
        tree.nodes(values, asked.facet_limit),
        len(values),
        tree.ranges() if numeric else (),
        total,
        total - int(held.records.sum()),
        report,
        reader.snapshot.id,
    )


def _place(parent: str, field: str, table: FacetTable, catalogue: Catalogue) -> tuple[str, int | None]:
    """The term that an id or a name stands for, and its number where a record has it or one below it."""
    if parent in table.position:
        return parent, table.position[parent]
    resolution = catalogue.resolve(parent, prefixes=ONTOLOGY_FIELDS.get(field, ()))
    named = [match.term for match in catalogue.find(parent) if match.method is not Method.FUZZY]
    spelt = [resolution.term] if resolution else named or [catalogue.term(parent).id]
    term = next((term for term in spelt if term in table.position), spelt[0])
    return term, table.position.get(term)

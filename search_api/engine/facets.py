"""Facet counts: a product of how many records have each set of values and of what each set amounts to."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hooke.errors import UnknownTerm
from hooke.model import Level
from hooke.query import Node
from hooke.results import FacetValue
from hooke.store.base import MetadataReader, ValueSet
from ontologies.catalogue import Catalogue

_KEPT = 256

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """What matching records have: how many each set, `by_study` (studies, sets), 1 where a record of the study does."""

    records: Ints
    by_study: sparse.csr_array | None = None

    def reaching(self, reach: sparse.csr_array) -> tuple[Ints, Ints | None]:
        """How many records, and studies, the columns of `reach` (sets, any; 0 or 1) stand for."""
        if self.by_study is None:
            return reach.T @ self.records, None
        # a row of the product names a column once, by however many sets the study reaches it
        return reach.T @ self.records, np.bincount((self.by_study @ reach).indices, minlength=reach.shape[1])


@dataclass(frozen=True)
class Counts:
    """The values of a facet, each with its records, those that name it themselves, and its studies."""

    records: Ints
    direct: Ints
    studies: Ints | None

    def of(self, value: int) -> tuple[int, int, int | None]:
        """Of one value: records, those that name it themselves, studies."""
        studies = None if self.studies is None else int(self.studies[value])
        return int(self.records[value]), int(self.direct[value]), studies


@dataclass(frozen=True)
class FacetTable:
    """What each set of a field counts for: `closure` and `direct` are (sets, values), 0 or 1."""

    sets: Sequence[ValueSet]
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    parents: tuple[tuple[str, ...], ...]
    direct: sparse.csr_array
    closure: sparse.csr_array

    def count(self, held: Held) -> Counts:
        """Every value counted."""
        records, studies = held.reaching(self.closure)
        return Counts(records, self.direct.T @ held.records, studies)

    def best(self, counts: Counts, values: Ints, limit: int) -> list[int]:
        """Of some values the most frequent, then those that records name themselves, then by label."""
        records = counts.records[values]
        if len(values) > limit:
            least = np.partition(records, len(values) - limit)[len(values) - limit]
            values, records = values[records >= least], records[records >= least]
        order = np.lexsort((self._rank[values], -counts.direct[values], -records))
        return [int(value) for value in values[order[:limit]]]

    def values(self, held: Held, limit: int) -> tuple[FacetValue, ...]:
        """The most frequent values; the upper terms that the top of the tree passes over come after all others."""
        counts = self.count(held)
        passed = np.array(self.parted(counts, self.groups)[1], np.int64)
        listed = self.best(counts, np.setdiff1d(np.flatnonzero(counts.records), passed), limit)
        last = self.best(counts, passed, limit - len(listed)) if len(listed) < limit else []
        # what begins below a term that is not listed has nothing above it here
        cut = {self.ids[i] for i in passed.tolist()} - {self.ids[i] for i in last}
        return tuple(
            FacetValue(self.ids[i], self.labels[i], records, direct, parents, studies)
            for i in (*listed, *last)
            for records, direct, studies in [counts.of(i)]
            for parents in [tuple(parent for parent in self.parents[i] if parent not in cut)]
        )

    def parted(self, counts: Counts, values: Iterable[int]) -> tuple[list[int], list[int]]:
        """What to show in the place of some values, and the terms that are passed over for it, outermost first.

        A term that nothing is annotated with parts no records as long as it has one child, or is the only group there.
        """
        shown, passed = dict.fromkeys(self.occurring(counts, values)), dict[int, None]()

        def below(value: int) -> list[int]:
            return self.occurring(counts, self.children[value])

        def opened(value: int) -> list[int]:
            del shown[value]
            passed[value] = None
            fresh = [child for child in below(value) if child not in passed and child not in shown]
            shown.update(dict.fromkeys(fresh))
            return fresh

        waiting = list(shown)
        while waiting:
            for value in waiting:  # which grows
                if not counts.direct[value] and len(below(value)) == 1:
                    waiting += opened(value)
            groups = [value for value in shown if below(value)]
            waiting = opened(groups[0]) if len(groups) == 1 and not counts.direct[groups[0]] else []
        return list(shown), list(passed)

    def occurring(self, counts: Counts, values: Iterable[int]) -> list[int]:
        """Those of some values that a counted record has."""
        return [value for value in values if counts.records[value]]

    @cached_property
    def has_terms(self) -> bool:
        """Whether a record has a term in the field."""
        return any(held.terms for held in self.sets)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The number of each value."""
        return {name: number for number, name in enumerate(self.ids)}

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each value those right below it."""
        found: list[list[int]] = [[] for _ in self.ids]
        for number, parents in enumerate(self.parents):
            for parent in parents:
                found[self.position[parent]].append(number)
        return tuple(map(tuple, found))

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """The values under which all others are: those without parents, and one of every circle that has no way in."""
        roots = [number for number, parents in enumerate(self.parents) if not parents]
        reached = self.below(roots)
        for number in range(len(self.ids)):
            if number not in reached:
                roots.append(number)
                reached |= self.below([number])
        return tuple(roots)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Those of the roots that something is below."""
        return tuple(root for root in self.roots if self.children[root])

    def below(self, values: Sequence[int]) -> set[int]:
        """The values and everything below them."""
        found, waiting = set(values), list(values)
        while waiting:
            for child in self.children[waiting.pop()]:
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found

    @cached_property
    def _rank(self) -> Ints:
        order = sorted(range(len(self.ids)), key=lambda i: (self.labels[i], self.ids[i]))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank


Key = tuple[int, str, Level, str, tuple[str, ...]]


class Facets:
    """Counts facets; the tables are kept by snapshot, so a count is one bincount and two products."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Key, FacetTable] = OrderedDict()
        self._lock = Lock()
        self._making: dict[Key, Lock] = {}

    def count(
        self,
        reader: MetadataReader,
        catalogue: Catalogue,
        where: Node,
        *,
        level: Level,
        fields: Sequence[str],
        relations: tuple[str, ...],
        limit: int,
        studies: bool,
    ) -> list[tuple[FacetValue, ...]]:
        """The values of each field among the matching records, all counted at once."""
        tables = [self.table(reader, catalogue, level, field, relations) for field in fields]
        held = hold(reader, where, level=level, fields=fields, studies=studies)
        return [table.values(counts, limit) for table, counts in zip(tables, held, strict=True)]

    def table(
        self, reader: MetadataReader, catalogue: Catalogue, level: Level, field: str, relations: tuple[str, ...]
    ) -> FacetTable:
        """The table of a field; who asks for one that is being made waits for it."""
        key = (reader.snapshot.id, catalogue.version, level, field, relations)
        with self._lock:
            table = self._tables.get(key)
            if table is not None:
                return table
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                table = self._tables.get(key)
            return table or self._keep(key, build_table(reader, catalogue, level, field, relations))

    def _keep(self, key: Key, table: FacetTable) -> FacetTable:
        with self._lock:
            self._tables[key] = table
            self._making.pop(key, None)
            while len(self._tables) > _KEPT:
                self._tables.popitem(last=False)
        return table


def hold(reader: MetadataReader, where: Node, *, level: Level, fields: Sequence[str], studies: bool) -> list[Held]:
    """What the matching records have in each field; a study is of itself, so only images are asked for theirs."""
    counted = reader.count_sets(level, fields, where)
    if not studies:
        return [Held(records) for records in counted]
    if level is Level.STUDY:
        return [Held(records, _each_once(records)) for records in counted]
    return [
        Held(records, _by_study(*reader.study_sets(field, where), len(records)))
        for field, records in zip(fields, counted, strict=True)
    ]


def _by_study(studies: Ints, sets: Ints, width: int) -> sparse.csr_array:
    known, rows = np.unique(studies, return_inverse=True)
    return sparse.csr_array((np.ones(len(sets), np.int64), (rows, sets)), shape=(len(known), width))


def _each_once(records: Ints) -> sparse.csr_array:
    sets = np.repeat(np.arange(len(records)), records)
    return _by_study(np.arange(len(sets)), sets, len(records))


def build_table(
    reader: MetadataReader, catalogue: Catalogue, level: Level, field: str, relations: tuple[str, ...]
) -> FacetTable:
    """The table of a field: a set counts for its values, its terms, and every term above them, once each."""
    sets = reader.value_sets(level, field)
    used = {term for held in sets for term in held.terms}
    above = {term: _above(term, catalogue, relations) for term in used}
    ids = sorted(used.union(*above.values(), *(held.values for held in sets)))
    position = {name: column for column, name in enumerate(ids)}
    known = reader.labels(level, field)
    terms = used.union(*above.values())
    return FacetTable(
        sets,
        tuple(ids),
        tuple(_label(name, catalogue, known) if name in terms else name for name in ids),
        tuple(_parents(name, catalogue, relations, position) if name in terms else () for name in ids),
        _matrix([{position[name] for name in (*held.terms, *held.values)} for held in sets], len(ids)),
        _matrix([_reached(held, above, position) for held in sets], len(ids)),
    )


def _above(term: str, catalogue: Catalogue, relations: tuple[str, ...]) -> frozenset[str]:
    try:
        return catalogue.ancestors(term, relations)
    except UnknownTerm:  # of an ontology that is no longer loaded, or of an older release
        return frozenset({term})


def _reached(held: ValueSet, above: dict[str, frozenset[str]], position: dict[str, int]) -> set[int]:
    terms = held.terms.union(*(above[term] for term in held.terms))
    return {position[name] for name in (*terms, *held.values)}


def _matrix(rows: Sequence[set[int]], width: int) -> sparse.csr_array:
    columns = [column for row in rows for column in sorted(row)]
    ends = np.cumsum([0, *(len(row) for row in rows)])
    return sparse.csr_array((np.ones(len(columns), np.int64), columns, ends), shape=(len(rows), width))


def _label(term: str, catalogue: Catalogue, known: Mapping[str, str]) -> str:
    label = catalogue.label(term)
    # a term that is no longer loaded keeps the label it was indexed with
    return known.get(term, label) if label == term else label


def _parents(term: str, catalogue: Catalogue, relations: tuple[str, ...], position: dict[str, int]) -> tuple[str, ...]:
    if not relations:
        return ()
    try:
        return tuple(parent for parent in catalogue.parents(term, relations) if parent in position)
    except UnknownTerm:
        return ()

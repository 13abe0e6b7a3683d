"""Facet counts: a product of how many records have each set of values and of what each set amounts to."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hooke.model import Level
from hooke.query import Node
from hooke.results import FacetValue
from hooke.store.base import MetadataReader, ValueSet
from ontologies.catalogue import Catalogue

_KEPT = 256


@dataclass(frozen=True)
class FacetTable:
    """What each set of a field counts for: `closure` and `direct` are (sets, values), 0 or 1."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    parents: tuple[tuple[str, ...], ...]
    direct: sparse.csr_array
    closure: sparse.csr_array

    def count(self, set_counts: npt.NDArray[np.int64], limit: int) -> tuple[FacetValue, ...]:
        """The facet's values, most frequent first, then those that records name themselves, then by label."""
        counts, direct = self.closure.T @ set_counts, self.direct.T @ set_counts
        present = np.flatnonzero(counts).tolist()
        present.sort(key=lambda i: (-counts[i], -direct[i], self.labels[i], self.ids[i]))
        return tuple(
            FacetValue(self.ids[i], self.labels[i], int(counts[i]), int(direct[i]), self.parents[i])
            for i in present[:limit]
        )


Key = tuple[int, str, Level, str, tuple[str, ...]]


class Facets:
    """Counts facets; the tables are kept by snapshot, so a count is one bincount and two products."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Key, FacetTable] = OrderedDict()
        self._lock = Lock()

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
    ) -> list[tuple[FacetValue, ...]]:
        """The values of each field among the matching records, all counted at once."""
        tables = [self._table(reader, catalogue, level, field, relations) for field in fields]
        counted = reader.count_sets(level, fields, where)
        return [table.count(counts, limit) for table, counts in zip(tables, counted, strict=True)]

    def _table(
        self, reader: MetadataReader, catalogue: Catalogue, level: Level, field: str, relations: tuple[str, ...]
    ) -> FacetTable:
        key = (reader.snapshot.id, catalogue.version, level, field, relations)
        with self._lock:
            table = self._tables.get(key)
        return table or self._keep(key, build_table(reader, catalogue, level, field, relations))

    def _keep(self, key: Key, table: FacetTable) -> FacetTable:
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > _KEPT:
                self._tables.popitem(last=False)
        return table


def build_table(
    reader: MetadataReader, catalogue: Catalogue, level: Level, field: str, relations: tuple[str, ...]
) -> FacetTable:
    """The table of a field: a set counts for its values, its terms, and every term above them, once each."""
    sets = reader.value_sets(level, field)
    used = {term for held in sets for term in held.terms}
    above = {term: catalogue.ancestors(term, relations) for term in used}
    ids = sorted(used.union(*above.values(), *(held.values for held in sets)))
    position = {name: column for column, name in enumerate(ids)}
    known = reader.labels(level, field)
    terms = used.union(*above.values())
    return FacetTable(
        tuple(ids),
        tuple(_label(name, catalogue, known) if name in terms else name for name in ids),
        tuple(_parents(name, catalogue, relations, position) if name in terms else () for name in ids),
        _matrix([{position[name] for name in (*held.terms, *held.values)} for held in sets], len(ids)),
        _matrix([_reached(held, above, position) for held in sets], len(ids)),
    )


def _reached(held: ValueSet, above: dict[str, frozenset[str]], position: dict[str, int]) -> set[int]:
    terms = held.terms.union(*(above[term] for term in held.terms))
    return {position[name] for name in (*terms, *held.values)}


def _matrix(rows: Sequence[set[int]], width: int) -> sparse.csr_array:
    columns = [column for row in rows for column in sorted(row)]
    ends = np.cumsum([0, *(len(row) for row in rows)])
    return sparse.csr_array((np.ones(len(columns), np.int64), columns, ends), shape=(len(rows), width))


def _label(term: str, catalogue: Catalogue, known: Mapping[str, str]) -> str:
    label = catalogue.label(term)
    # a term of an ontology that is no longer loaded keeps the label it was indexed with
    return known.get(term, label) if label == term else label


def _parents(term: str, catalogue: Catalogue, relations: tuple[str, ...], position: dict[str, int]) -> tuple[str, ...]:
    return tuple(parent for parent in catalogue.parents(term, relations) if parent in position) if relations else ()

"""The distinct sets of values of a field, and how many records have each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hooke.errors import CorruptIndex
from hooke.store.base import ValueSet
from hooke.store.elasticsearch.cluster import Body
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import MAX_PAGE, sequence_number
from hooke.text import fold


@dataclass(frozen=True)
class Column:
    """A field's sets in the order they were first met, where each stands, and the labels of their terms."""

    sets: tuple[ValueSet, ...]
    positions: Mapping[str, int]
    labels: Mapping[str, str]

    def counts(self, counted: Mapping[str, int]) -> npt.NDArray[np.int64]:
        """Records by key as records by set: int64 (sets,)."""
        counts = np.zeros(len(self.sets), np.int64)
        try:
            positions = [self.positions[key] for key in counted]
        except KeyError as exc:
            raise CorruptIndex(f"a record names a set of values {exc} that is not kept: index again") from exc
        counts[positions] = list(counted.values())
        return counts


def read_column(lookup: Lookup, field: str) -> Column:
    """Every set of a field that was made by a state; a value is spelt as it first was."""
    request: Body = {
        "query": {
            "bool": {
                "filter": [
                    {"term": {"field": field}},
                    {"range": {"seq": {"lt": sequence_number(lookup.state.number + 1, 0)}}},
                ]
            }
        },
        "sort": [{"seq": "asc"}],
    }
    sets: list[ValueSet] = []
    positions: dict[str, int] = {}
    labels: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for hit in lookup.cluster.scan(lookup.names.sets, request, size=MAX_PAGE):
        source = hit["_source"]
        positions[hit["_id"]] = len(sets)
        labels |= {term: label for term, label in source["terms"]}
        values = (spellings.setdefault(fold(value), value) for value in source["values"])
        sets.append(ValueSet(frozenset(term for term, _ in source["terms"]), frozenset(values)))
    return Column(tuple(sets), positions, labels)

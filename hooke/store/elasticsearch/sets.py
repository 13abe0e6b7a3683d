"""The distinct sets of values of a field, and how many records have each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hooke.errors import CorruptIndex
from hooke.store.base import ValueSet
from hooke.store.elasticsearch.bulk import Action, put
from hooke.store.elasticsearch.cluster import Body
from hooke.store.elasticsearch.document import FieldSet
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import sequence_number
from hooke.text import fold

_PAGE = 20
_TOGETHER = 2**20
"""Characters of values that fill a document of sets: a value can be a page long, and a request has an end."""


def by_field(sets: Iterable[FieldSet]) -> Iterator[Sequence[FieldSet]]:
    """Sets of one field at a time, as many as go into a document, in the order given."""
    groups: dict[str, list[FieldSet]] = {}
    sizes: Counter[str] = Counter()
    for held in sets:
        groups.setdefault(held.field, []).append(held)
        sizes[held.field] += sum(map(len, held.values))
        if sizes[held.field] > _TOGETHER:
            yield groups.pop(held.field)
            del sizes[held.field]
    yield from groups.values()


def set_action(index: str, sets: Sequence[FieldSet], sequence: int) -> Action:
    """The action that adds sets of one field. Where one is there already, the first stands."""
    body: Body = {"field": sets[0].field, "seq": sequence, "sets": [(s.key, s.terms, s.values) for s in sets]}
    return put(index, f"set-{sequence}", body)


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
    for hit in lookup.cluster.scan(lookup.names.sets, request, size=_PAGE):
        for key, terms, values in hit["_source"]["sets"]:
            if key not in positions:
                positions[key] = len(sets)
                labels.update(terms)
                spelt = (spellings.setdefault(fold(value), value) for value in values)
                sets.append(ValueSet(frozenset(term for term, _ in terms), frozenset(spelt)))
    return Column(tuple(sets), positions, labels)

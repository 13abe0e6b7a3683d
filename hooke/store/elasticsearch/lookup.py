"""Asking one state of an index: targets, exact counts over any number of buckets, and bitmaps of ordinals."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pyroaring import BitMap

from hooke.errors import CorruptIndex
from hooke.store.elasticsearch import body
from hooke.store.elasticsearch.cluster import Body, Cluster
from hooke.store.elasticsearch.ledger import State
from hooke.store.elasticsearch.mapping import BLOCK, MAX_PAGE, Names, Part

_BUCKETS = 60_000
"""In one answer; `search.max_buckets` is 65,536."""


class Lookup:
    """One state of an index in a cluster."""

    def __init__(self, cluster: Cluster, names: Names, state: State) -> None:
        self.cluster = cluster
        self.names = names
        self.state = state

    def search(self, part: Part, request: Body) -> Body:
        """One search of a part."""
        return self.cluster.search(self.names.state(part, self.state.number), request)

    def searches(self, part: Part, requests: Sequence[Body]) -> list[Body]:
        """Several searches of a part in one request."""
        return self.cluster.searches(self.names.state(part, self.state.number), requests)

    def scan(self, part: Part, request: Body) -> Iterator[Body]:
        """All hits of a search of a part, by ordinal."""
        target = self.names.state(part, self.state.number)
        yield from self.cluster.scan(target, {**request, "sort": [{"ordinal": "asc"}]}, size=MAX_PAGE)

    def ordinals(self, part: Part, clause: Body) -> BitMap:
        """The ordinals of the records that match a clause."""
        [found] = self.many_ordinals(part, [clause])
        return found

    def many_ordinals(self, part: Part, clauses: Sequence[Body]) -> list[BitMap]:
        """The ordinals that match each clause, in one request while they fit."""
        end = self.state.extents[part].next
        found = [BitMap() for _ in clauses]
        for first in range(0, end, _BUCKETS * BLOCK):
            last = min(end, first + _BUCKETS * BLOCK)
            answers = self.searches(part, [body.blocks(clause, first=first, last=last) for clause in clauses])
            for bitmap, answer in zip(found, answers, strict=True):
                bitmap |= _bitmap(answer["aggregations"]["blocks"]["buckets"])
        return found

    def counts(self, part: Part, clause: Body, fields: Mapping[str, str]) -> dict[str, dict[str, int]]:
        """How many matching records have each value of keyword fields: fields by the name they are asked under."""
        if not fields:
            return {}
        size = _BUCKETS // len(fields)
        answer = self.search(part, body.counts(clause, fields, size=size))["aggregations"]
        whole = {name: _buckets(answer[name]) for name in fields if not answer[name]["sum_other_doc_count"]}
        rest = {name: path for name, path in fields.items() if name not in whole}
        return whole | {name: self._portions(part, clause, path) for name, path in rest.items()}

    def pairs(self, part: Part, clause: Body, first: str, second: str) -> Iterator[tuple[int, str]]:
        """Every pair of a number and a keyword that a matching record has in two fields, once."""
        after: Body | None = None
        while True:
            request = body.pairs(clause, first, second, size=_BUCKETS, after=after)
            answer = self.search(part, request)["aggregations"]["p"]
            for bucket in answer["buckets"]:
                yield bucket["key"]["first"], bucket["key"]["second"]
            after = answer.get("after_key")
            if after is None:
                return

    def _portions(self, part: Part, clause: Body, path: str) -> dict[str, int]:
        """A field with too many values for one answer, in so many portions that each is whole."""
        portions = 1
        while True:
            found: dict[str, int] = {}
            for portion in range(portions):
                request = body.counts(clause, {"s": path}, size=_BUCKETS, portion=(portion, portions))
                answer = self.search(part, request)["aggregations"]["s"]
                if answer["sum_other_doc_count"]:
                    break
                found |= _buckets(answer)
            else:
                return found
            portions *= 4


def _buckets(aggregation: Body) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in aggregation["buckets"]}


def _bitmap(buckets: Sequence[Body]) -> BitMap:
    if not buckets:
        return BitMap()
    keys = np.array([bucket["key"] for bucket in buckets], np.int64)
    sums = np.array([int(bucket["bits"]["value"]) for bucket in buckets], "<u8")
    bits = np.unpackbits(sums.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")[:, :BLOCK]
    if not np.array_equal(bits.sum(axis=1), [bucket["doc_count"] for bucket in buckets]):
        raise CorruptIndex("two versions of a record are alive in one state: run the last `hooke index` again")
    rows, places = np.nonzero(bits)
    return BitMap((keys[rows] + places).astype(np.uint32))

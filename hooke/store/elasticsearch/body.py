"""Query trees as Elasticsearch's query DSL. Pure: the same tree gives the same body (`tests/store/golden`)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hooke.errors import BadInput
from hooke.inherit import is_prose
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
    Range,
    Terms,
    Words,
    scoring,
)
from hooke.sorting import number_key
from hooke.store.elasticsearch.cluster import Body
from hooke.store.elasticsearch.document import value_key
from hooke.store.elasticsearch.mapping import BLOCK, SORTED, field_key
from hooke.text import fold

MAX_TERMS = 65_536
"""`index.max_terms_count`: a larger set is several clauses."""
_NOTHING: Body = {"match_none": {}}
_ALL: Body = {"match_all": {}}

Leaf = Words | Phrase | Equals | Terms | Range


@dataclass(frozen=True, slots=True)
class Known:
    """What has to be known before a tree can be asked.

    heirlooms: which groups of images match a leaf by what they inherit. idf: what each `Best` is worth.
    """

    heirlooms: Mapping[Leaf, Sequence[int]] = field(default_factory=dict)
    idf: Mapping[Best, float] = field(default_factory=dict)


def condition(node: Node, known: Known) -> Body:
    """The clause that a node's records match; it scores nothing. Raises BadInput for a node no store answers."""
    match node:
        case Everything():
            return _ALL
        case Words() | Phrase() | Equals() | Terms() | Range():
            return _any([leaf(node), *_chunks("heirlooms", known.heirlooms.get(node, ()))])
        case Among(ordinals):
            return among(sorted(ordinals))
        case And(children):
            return {"bool": {"filter": [condition(child, known) for child in children]}} if children else _ALL
        case Or(children):
            return _any([condition(child, known) for child in children])
        case Best(options):
            return _any([condition(option.node, known) for option in options])
        case Not(child):
            return {"bool": {"must_not": [condition(child, known)]}}
        case _:
            raise BadInput(f"a store does not answer {type(node).__name__}: expand it first")


def ranking(node: Node, known: Known) -> Body:
    """The clause that scores: a record is worth, summed over the `Best` nodes, the best option it matches."""
    match node:
        case Best(options):
            idf = known.idf[node]
            scored = [
                {"constant_score": {"filter": condition(option.node, known), "boost": option.weight * idf}}
                for option in options
            ]
            return {"dis_max": {"tie_breaker": 0, "queries": scored}} if scored else _NOTHING
        case And(children) if any(scoring(node)):
            return {"bool": {"must": [ranking(child, known) for child in children]}}
        case Or(children) if any(scoring(node)):
            return _any([ranking(child, known) for child in children])
        case _:
            return {"constant_score": {"filter": condition(node, known), "boost": 0}}


def leaves(node: Node) -> Iterator[Leaf]:
    """The leaves that an image can match by what it inherits."""
    match node:
        case Words() | Phrase() | Equals() | Terms() | Range():
            yield node
        case And(children) | Or(children):
            for child in children:
                yield from leaves(child)
        case Best(options):
            for option in options:
                yield from leaves(option.node)
        case Not(child):
            yield from leaves(child)


def inherited(node: Leaf) -> Body:
    """The clause of a leaf on heirlooms: prose stands there beside the rest, and may be passed over."""
    if not isinstance(node, Words | Phrase) or node.inherited_prose:
        return leaf(node)
    if node.field is not None:
        return _NOTHING if is_prose(node.field) else leaf(node)
    if isinstance(node, Phrase) and len(node.tokens) > 1:
        return _in_a_row("stated.phrase", node.tokens)
    return _any(_chunks("stated.word", sorted(set(node.tokens))))


def leaf(node: Leaf) -> Body:
    """The clause of a leaf on what a document says itself."""
    match node:
        case Words(words, name):
            return _keyed("word", "token", words, name)
        case Terms(terms, name):
            return _keyed("term", "field_term", terms, name)
        case Phrase(words, name):
            return _phrase(words, name) if len(words) > 1 else leaf(Words(frozenset(words), name))
        case Equals(name, value):
            return {"term": {"value": value_key(name, fold(value))}}
        case Range():
            return _range(node)


def _keyed(anywhere: str, in_field: str, keys: frozenset[str], name: str | None) -> Body:
    if name is None:
        return _any(_chunks(anywhere, sorted(keys)))
    return _any(_chunks(in_field, sorted(f"{field_key(name)}={key}" for key in keys)))


def _phrase(words: Sequence[str], name: str | None) -> Body:
    if name is None:
        return _in_a_row("phrase", words)
    return _in_a_row("field_phrase", [f"{field_key(name)}={word}" for word in words])


def _in_a_row(path: str, words: Iterable[str]) -> Body:
    return {"match_phrase": {path: {"query": " ".join(words)}}}


def page(
    node: Node, known: Known, *, size: int, after: Sequence[object] | None = None, order: Order | None = None
) -> Body:
    """The request for a page of hits, ties by ordinal; after: the sort values of the last hit before it."""
    body: Body = {
        "query": ranking(node, known),
        "size": size,
        "sort": [_sort(order), {"ordinal": "asc"}],
        "track_total_hits": True,
        "_source": False,
    }
    if order:
        body["track_scores"] = True
    return body | ({"search_after": list(after)} if after else {})


def sort_values(ordinal: int, order: Order) -> Body:
    """The request for what a record is sorted by."""
    return {"query": {"term": {"ordinal": ordinal}}, "size": 1, "sort": [_sort(order), {"ordinal": "asc"}]}


def _sort(order: Order | None) -> Body:
    if order is None:
        return {"_score": "desc"}
    return {f"{SORTED}.{order.key}": {"order": "desc" if order.descending else "asc", "missing": "_last"}}


def among(numbers: Sequence[int], path: str = "ordinal") -> Body:
    """The clause of records by number."""
    return _any(_chunks(path, numbers))


def total(clause: Body) -> Body:
    """The request for how many records match."""
    return {"query": _filtered(clause), "size": 0, "track_total_hits": True}


def blocks(clause: Body, *, first: int, last: int) -> Body:
    """The request for the ordinals in `[first, last)`, as sums of the powers of two of a block.

    Ordinals of a block are distinct, so the sum is their bitmap: 48 ordinals come back in one bucket, where hits
    would be 48 lines.
    """
    within: Body = {"range": {"ordinal": {"gte": first, "lt": last}}}
    histogram: Body = {"field": "ordinal", "interval": BLOCK, "min_doc_count": 1}
    return {
        "query": {"bool": {"filter": [clause, within]}},
        "size": 0,
        "track_total_hits": False,
        "aggs": {"blocks": {"histogram": histogram, "aggs": {"bits": {"sum": {"field": "bit"}}}}},
    }


def counts(clause: Body, fields: Mapping[str, str], *, size: int, portion: tuple[int, int] | None = None) -> Body:
    """The request for how many records have each value of keyword fields, by name; portion: one of how many."""
    include: Body = {"include": {"partition": portion[0], "num_partitions": portion[1]}} if portion else {}
    return {
        "query": _filtered(clause),
        "size": 0,
        "track_total_hits": False,
        "aggs": {name: {"terms": {"field": path, "size": size, **include}} for name, path in fields.items()},
    }


def pairs(clause: Body, first: str, second: str, *, size: int, after: Body | None) -> Body:
    """The request for the pairs of values that records have in two fields, from a pair on."""
    sources = [{name: {"terms": {"field": path}}} for name, path in (("first", first), ("second", second))]
    composite: Body = {"size": size, "sources": sources} | ({"after": after} if after else {})
    return {
        "query": _filtered(clause),
        "size": 0,
        "track_total_hits": False,
        "aggs": {"p": {"composite": composite}},
    }


def _filtered(clause: Body) -> Body:
    return {"bool": {"filter": [clause]}}


def _chunks(path: str, values: Sequence[str] | Sequence[int]) -> list[Body]:
    return [{"terms": {path: list(values[i : i + MAX_TERMS])}} for i in range(0, len(values), MAX_TERMS)]


def _any(clauses: Sequence[Body]) -> Body:
    if len(clauses) == 1:
        return clauses[0]
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}} if clauses else _NOTHING


def _range(node: Range) -> Body:
    bounds: Body = {"gte": number_key(float("-inf"))}
    if node.low is not None:
        bounds = {"gte" if node.include_low else "gt": number_key(node.low)}
    if node.high is not None:
        bounds["lte" if node.include_high else "lt"] = number_key(node.high)
    return {"range": {f"number.{field_key(node.field)}": bounds}}

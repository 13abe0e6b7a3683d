"""Requests: narrowed from parameters, and the same after a trip as parameters."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.errors import BadInput
from hooke.model import Level
from hooke.query import Range
from hooke.request import Filter, SearchRequest, read_condition, read_conditions, read_expand
from hooke.results import FacetValue, PathStep, QueryReport, Reason, SearchHit, SearchResult
from hooke.wire import from_plain, query_parameters, to_json, to_plain
from search_api.parameters import json_pairs, read_request

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
FIELDS = st.from_regex(r"[a-z]{1,8}(_[a-z]{1,4})?", fullmatch=True).filter(lambda f: not f.endswith("_not"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@st.composite
def requests(draw: st.DrawFn) -> SearchRequest:
    keys = draw(st.lists(st.tuples(FIELDS, st.booleans()), unique=True, max_size=3))
    chosen = [Filter(f, tuple(draw(st.lists(WORDS, min_size=1, max_size=3))), negate) for f, negate in keys]
    bounds = draw(st.lists(st.tuples(FIELDS, NUMBERS, st.booleans(), st.booleans()), max_size=3))
    return SearchRequest(
        draw(st.sampled_from(Level)),
        draw(WORDS),
        tuple(sorted(chosen, key=lambda each: each.negate)),
        tuple(
            Range(f, low=n, include_low=inclusive) if low else Range(f, high=n, include_high=inclusive)
            for f, n, low, inclusive in bounds
        ),
        tuple(draw(st.lists(FIELDS, max_size=3))),
        draw(st.integers(1, 5000)),
        draw(st.sampled_from([(), ("is_a",), ("is_a", "part_of")])),
        draw(st.integers(1, 10_000)),
        draw(st.none() | st.text("abcXYZ-_0", min_size=1)),
        draw(st.booleans()),
    )


@given(requests())
def test_a_request_survives_its_parameters(request: SearchRequest) -> None:
    assert read_request(request.level, query_parameters(request)) == request


@given(requests())
def test_a_request_survives_a_json_body(request: SearchRequest) -> None:
    body: dict[str, object] = {}
    for name, value in query_parameters(request):
        known = body.get(name)
        body[name] = [*known, value] if isinstance(known, list) else value if known is None else [known, value]
    read = read_request(request.level, json_pairs(body))
    # an object has a name once, so bounds of one field move together
    assert replace(read, ranges=()) == replace(request, ranges=())
    assert Counter(read.ranges) == Counter(request.ranges)


@pytest.mark.parametrize("limit", [0, -5, 10_001])
def test_a_limit_outside_1_to_10000_is_refused(limit: int) -> None:
    with pytest.raises(BadInput, match="10000"):
        SearchRequest(limit=limit)


@pytest.mark.parametrize(
    "build",
    [
        lambda half: SearchRequest(text=half),
        lambda half: SearchRequest(facets=(half,)),
        lambda half: SearchRequest(filters=(Filter("gene", (half,)),)),
        lambda half: SearchRequest(filters=(Filter(half, ("TP53",)),)),
        lambda half: SearchRequest(ranges=(Range(half, 1.0),)),
    ],
)
def test_half_a_surrogate_pair_is_refused(build: object) -> None:
    assert callable(build)
    with pytest.raises(BadInput, match="not valid Unicode"):
        build("a\ud800")


def test_conditions_on_one_field_are_alternatives_and_bounds_add_up() -> None:
    filters, ranges = read_conditions(["a=1", "b=2", "a=3", "year>=2019", "year<2021"], ["a=4"])
    assert filters == (Filter("a", ("1", "3")), Filter("b", ("2",)), Filter("a", ("4",), negate=True))
    assert ranges == (Range("year", low=2019.0), Range("year", high=2021.0, include_high=False))


@pytest.mark.parametrize("text", ["", "organism", "organism=", "=mouse", "year>=", "year>=soon"])
def test_a_condition_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_conditions([text], [])
    assert repr(text) in str(refused.value) or "year.gte" in str(refused.value)


def test_a_bound_cannot_be_negated() -> None:
    with pytest.raises(BadInput, match="turn it around"):
        read_conditions([], ["year>=2020"])


def test_the_first_operator_of_a_condition_counts() -> None:
    assert read_condition("gene=a=b<c") == ("gene", "", "a=b<c")


@pytest.mark.parametrize("text", ["", "none,is_a", "is a", ","])
def test_relations_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expand"):
        read_expand(text)


def test_a_result_survives_json() -> None:
    reason = Reason(
        "inferred", "anatomy", "cortex", "U:2", (PathStep("U:2", "cortex", None), PathStep("U:1", "b", "r"))
    )
    facets = {"anatomy": (FacetValue("U:1", "brain", 2, 1, ("U:0",)),)}
    result = SearchResult(1, (SearchHit("a/b", "a", "é <b>", 1.5, (reason,)),), facets, QueryReport(), "c", 3)
    assert from_plain(to_plain(result), SearchResult) == result
    assert "é <b>" in to_json(result)

"""Results and requests as JSON: the same bodies from the command line, over HTTP and in a notebook."""

import json
from typing import TypeVar

from cattrs import Converter

from hooke.comparisons import DuplicatesRequest
from hooke.request import SAME_DATASET, CompletionRequest, FacetRequest, SearchRequest, sort_name

T = TypeVar("T")

_converter = Converter()
# a value of any type stands as JSON gave it
_converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)


def to_plain(value: object) -> object:
    """Dataclasses as dicts, lists and scalars."""
    return _converter.unstructure(value)


def to_json(value: object) -> str:
    """Dataclasses as indented JSON text."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False)


def from_plain(data: object, kind: type[T]) -> T:
    """A dataclass from what `to_plain` made of it; keys it does not know are passed over."""
    return _converter.structure(data, kind)


def query_parameters(request: SearchRequest) -> list[tuple[str, str]]:
    """A request as the query parameters of `/v1/search/...`; its level is in the path."""
    parameters = [("q", request.text), ("limit", str(request.limit)), ("facet_limit", str(request.facet_limit))]
    parameters.append(("expand", ",".join(request.expand) or "none"))
    if request.cursor:
        parameters.append(("cursor", request.cursor))
    parameters += [(name, "true") for name in ("strict", "exclude_inferred", "explain") if getattr(request, name)]
    if request.sort:
        parameters.append(("sort", sort_name(request.sort)))
    if request.count_studies:
        parameters.append(("count", "studies"))
    if request.same_dataset:
        parameters.append(("same", SAME_DATASET))
    if request.facets:
        parameters.append(("facets", ",".join(request.facets)))
    for chosen in request.filters:
        name = f"facet.{chosen.field}" + (".not" if chosen.negate else "")
        parameters.extend((name, value) for value in chosen.values)
    for bounds in request.ranges:
        if bounds.low is not None:
            parameters.append((f"{bounds.field}.{'gte' if bounds.include_low else 'gt'}", repr(bounds.low)))
        if bounds.high is not None:
            parameters.append((f"{bounds.field}.{'lte' if bounds.include_high else 'lt'}", repr(bounds.high)))
    return parameters


def facet_parameters(request: FacetRequest) -> list[tuple[str, str]]:
    """A request as the query parameters of `/v1/facets/...`; its field is in the path."""
    search = [(name, value) for name, value in query_parameters(request.search) if name != "limit"]
    return [*search, ("level", str(request.search.level)), *([("parent", request.parent)] if request.parent else [])]


def duplicates_parameters(request: DuplicatesRequest) -> list[tuple[str, str]]:
    """A request as the query parameters of `/v1/duplicates`."""
    search = [(name, value) for name, value in query_parameters(request.search) if name not in ("limit", "facet_limit")]
    across = [("across_studies", "true")] if request.across_studies else []
    return [*search, ("threshold", repr(request.threshold)), *across]


def completion_parameters(request: CompletionRequest) -> list[tuple[str, str]]:
    """A request as the query parameters of `/v1/autocomplete`."""
    parameters = [("q", request.text), ("level", str(request.level)), ("limit", str(request.limit))]
    return [*parameters, ("field", request.field)] if request.field is not None else parameters

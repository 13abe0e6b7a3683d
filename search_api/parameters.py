"""Query parameters, form fields and JSON bodies, narrowed to one `SearchRequest`."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from hooke.comparisons import NEAR_DUPLICATE, DuplicatesRequest, read_threshold
from hooke.errors import BadInput
from hooke.model import Level
from hooke.query import Range
from hooke.request import (
    LOOK_PARAMETERS,
    OF_COMBINED,
    OF_SIMILAR,
    CompletionRequest,
    FacetRequest,
    Filter,
    LookOptions,
    SearchRequest,
    read_expand,
    read_filters,
    read_look,
    read_range,
    read_same,
    read_sort,
    read_switch,
)

Pairs = Iterable[tuple[str, str]]

_PLAIN = (
    "q",
    "limit",
    "k",
    "cursor",
    "facets",
    "facet_limit",
    "expand",
    "strict",
    "exclude_inferred",
    "sort",
    "explain",
    "count",
    "same",
)
_COUNTED = ("records", "studies")
_OF_DUPLICATES = ("threshold", "across_studies")
_UNUSED_BY_DUPLICATES = ("limit", "k", "cursor", "sort", "facets", "facet_limit", "explain", "count")
_UNUSED_BY_LOOKS = ("cursor", "sort")
UNUSED_BY_COMBINED = (*OF_SIMILAR, "explain")
_UNUSED_BY_FACETS = ("facets", "cursor", "limit", "k")
_COMPLETION = ("q", "field", "level", "limit")
_BOUNDS = ("gte", "gt", "lte", "lt")


def read_request(level: Level, pairs: Pairs, known: Sequence[str] = _PLAIN) -> SearchRequest:
    """The request that parameters make. Raises BadInput naming the parameter that is wrong or unknown.

    known: what may have been meant by one that is unknown.
    """
    plain: dict[str, str] = {}
    wanted: dict[str, tuple[str, ...]] = {}
    unwanted: dict[str, tuple[str, ...]] = {}
    ranges: list[Range] = []
    for name, value in pairs:
        if name.startswith("facet."):
            group, field = (unwanted, name[6:-4]) if name.endswith(".not") else (wanted, name[6:])
            group[field] = (*group.get(field, ()), value)
        elif name.rpartition(".")[2] in _BOUNDS:
            field, _, bound = name.rpartition(".")
            ranges.append(read_range(field, bound, value))
        elif name in _PLAIN:
            plain[name] = value
        else:
            raise _unknown(name, known)
    return _request(level, plain, read_filters(wanted, unwanted), tuple(ranges))


def read_look_request(pairs: Pairs, unused: Sequence[str] = OF_COMBINED) -> tuple[SearchRequest, LookOptions]:
    """The request for look-alikes: a search's parameters without pages and order, and the options of looks.

    unused: what of both this search does not have, and cannot be meant by what is unknown.
    """
    every = list(pairs)
    known = [name for name in _without(_UNUSED_BY_LOOKS, *LOOK_PARAMETERS) if name not in unused]
    asked = read_request(Level.IMAGE, [(name, value) for name, value in every if name not in LOOK_PARAMETERS], known)
    if asked.cursor is not None:
        raise BadInput("cursor: look-alikes have no pages; ask for a larger k")
    if asked.sort is not None:
        raise BadInput("sort: look-alikes come in the order of likeness; leave it out")
    return asked, read_look({name: value for name, value in every if name in LOOK_PARAMETERS})


def read_facet(field: str, pairs: Pairs) -> FacetRequest:
    """The request for one level of a facet: a search's parameters, its `level` and a `parent`."""
    own = {"level": Level.STUDY.value, "parent": ""}
    search: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in own:
            own[name] = value
        elif name in _UNUSED_BY_FACETS:
            raise BadInput(f"{name}: one facet has no pages; facet_limit is the most values of a level")
        else:
            search.append((name, value))
    asked = read_request(_level(own["level"]), search, _without(_UNUSED_BY_FACETS, *own))
    return FacetRequest(field, own["parent"], asked)


def read_duplicates(pairs: Pairs) -> DuplicatesRequest:
    """The request for near-duplicates: what a search is restricted by, `threshold` and `across_studies`."""
    own: dict[str, str] = {}
    search: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in _OF_DUPLICATES:
            own[name] = value
        elif name in _UNUSED_BY_DUPLICATES:
            raise BadInput(f"{name}: duplicates come all at once, in groups; leave it out")
        else:
            search.append((name, value))
    threshold = read_threshold(own.get("threshold", str(NEAR_DUPLICATE)))
    asked = read_request(Level.IMAGE, search, _without(_UNUSED_BY_DUPLICATES, *_OF_DUPLICATES))
    return DuplicatesRequest(asked, threshold, read_switch("across_studies", own.get("across_studies")))


def read_completion(pairs: Pairs) -> CompletionRequest:
    """The request to complete a text. Raises BadInput naming the parameter that is wrong or unknown."""
    plain = dict(pairs)
    unknown = next((name for name in plain if name not in _COMPLETION), None)
    if unknown is not None:
        raise BadInput(f"unknown parameter {unknown!r}: autocomplete takes {', '.join(_COMPLETION)}")
    level = _level(plain.get("level", Level.STUDY))
    limit = _whole("limit", plain.get("limit", "10"))
    return CompletionRequest(plain.get("q", ""), level, plain.get("field") or None, limit)


def _request(
    level: Level, plain: dict[str, str], filters: tuple[Filter, ...], ranges: tuple[Range, ...]
) -> SearchRequest:
    size = "k" if "k" in plain else "limit"
    return SearchRequest(
        level,
        plain.get("q", ""),
        filters,
        ranges,
        tuple(name.strip() for name in plain.get("facets", "").split(",") if name.strip()),
        _whole("facet_limit", plain.get("facet_limit", "1000")),
        read_expand(plain.get("expand")),
        _whole(size, plain.get(size, "10")),
        plain.get("cursor") or None,
        read_switch("strict", plain.get("strict")),
        read_switch("exclude_inferred", plain.get("exclude_inferred")),
        read_sort(plain.get("sort")),
        read_switch("explain", plain.get("explain")),
        _counted(plain.get("count", "records")) == "studies",
        read_same(plain.get("same")),
    )


def _level(text: str) -> Level:
    if text not in list(Level):
        raise BadInput(f"level must be study or image, not {text!r}")
    return Level(text)


def _counted(text: str) -> str:
    if text not in _COUNTED:
        raise BadInput(f"count must be records or studies, not {text!r}")
    return text


def refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    """Raise BadInput for a name that a route does not take."""
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise BadInput(f"unknown parameter {unknown!r}: give {', '.join(known[:-1])} or {known[-1]}")


def json_pairs(body: dict[str, object]) -> list[tuple[str, str]]:
    """A JSON body as parameters: a list repeats its name, except for `facets`."""
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        if isinstance(value, dict):
            raise BadInput(f"{name}: give a text, a number or a list, not an object")
        if isinstance(value, list) and name != "facets":
            pairs.extend((name, _text(item)) for item in value)
        elif isinstance(value, list):
            pairs.append((name, ",".join(map(_text, value))))
        elif value is not None:
            pairs.append((name, _text(value)))
    return pairs


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        raise BadInput(f"{name} must be a whole number, not {text!r}") from exc


def _without(unused: Sequence[str], *more: str) -> tuple[str, ...]:
    return (*(name for name in _PLAIN if name not in unused), *more)


def _unknown(name: str, known: Sequence[str]) -> BadInput:
    if name in LOOK_PARAMETERS:
        return BadInput(f"{name}: it is of look-alikes, the similar and combined searches; leave it out")
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ": a field is asked for as facet.FIELD, a bound as FIELD.gte"
    return BadInput(f"unknown parameter {name!r}{hint}")

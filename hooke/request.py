"""What is asked of an index, from the command line, over HTTP or in a notebook: narrowed from parameters once."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute

from hooke.errors import BadInput
from hooke.model import DEFAULT_RELATIONS, Level
from hooke.query import Order, Range, SortKey
from hooke.text import MAX_DIGITS, number, whole_number
from hooke.views import Box, Kind

MAX_CHOICES = 1_000
MAX_FACETS = 50
MAX_LIMIT = 10_000
MAX_FACET_VALUES = 1_000
MAX_TYPED = 500
MAX_COMPLETIONS = 100
MAX_SIMILAR_SET = 50_000
EXCLUDABLE = ("study", "dataset", "plate")
VIEW_PARAMETERS = ("region", "channel", "views")
EXAMPLE_RULES = ("average", "best")
OF_SIMILAR = ("min_percentile", "similar_set", "semantic")
OF_COMBINED = ("weight",)
LOOK_PARAMETERS = ("exclude", "group", "examples", "exact", *OF_SIMILAR, *OF_COMBINED, *VIEW_PARAMETERS)
RELEVANCE = "relevance"
SAME_DATASET = "dataset"
_BOUNDS = ("gte", "gt", "lte", "lt")


@dataclass(frozen=True, slots=True)
class Filter:
    """One facet choice: any of the values, or none of them. A value is an id, a label or a plain value."""

    field: str
    values: tuple[str, ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search: text and filters, and what to give back.

    expand: the relations over which a term includes narrower ones; empty: none, and words name no terms.
    exclude_inferred: a term stands for itself, without what is below it. sort: None is by relevance.
    explain: each hit tells the annotation, too, by which it matched, and how the query names its term.
    count_studies: facets of images also say of how many studies they are. same_dataset: one dataset or image of a study
    satisfies all that is asked, so that the organism of one is not paired with the method of another.
    """

    level: Level = Level.STUDY
    text: str = ""
    filters: tuple[Filter, ...] = ()
    ranges: tuple[Range, ...] = ()
    facets: tuple[str, ...] = ()
    facet_limit: int = MAX_FACET_VALUES
    expand: tuple[str, ...] = DEFAULT_RELATIONS
    limit: int = 10
    cursor: str | None = None
    strict: bool = False
    exclude_inferred: bool = False
    sort: Order | None = None
    explain: bool = False
    count_studies: bool = False
    same_dataset: bool = False

    @property
    def counted_over(self) -> tuple[str, ...]:
        """The relations over which facets count a term's narrower ones too."""
        return () if self.exclude_inferred else self.expand

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise BadInput(f"limit must be from 1 to {MAX_LIMIT}, not {self.limit}; use the cursor for more")
        if self.facet_limit < 1:
            raise BadInput(f"facet_limit must be at least 1, not {self.facet_limit}")
        chosen = sum(len(filter_.values) for filter_ in self.filters) + len(self.ranges) + len(self.facets)
        if len(self.facets) > MAX_FACETS:
            raise BadInput(f"a request has at most {MAX_FACETS} facets, not {len(self.facets):,}")
        if chosen > MAX_CHOICES:
            raise BadInput(f"a request has at most {MAX_CHOICES} filter values, bounds and facets, not {chosen:,}")
        _check_unicode(self._texts())

    def _texts(self) -> Iterator[str]:
        yield from (self.text, *self.facets, *self.expand, *(bounds.field for bounds in self.ranges))
        for chosen in self.filters:
            yield from (chosen.field, *chosen.values)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """Which views of an example are compared with which of the indexed images; by default whole with whole.

    region: of the example alone, in pixels; compared with tiles, or where the index has none with whole images.
    channel: of the examples, by number from 0 or by name; compared with channels. kind: of what it is compared with.
    """

    region: Box | None = None
    channel: str = ""
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if self.region and self.channel:
            raise BadInput("region and channel: a region has all channels together; give one of them")
        if self.channel and self.kind not in (None, Kind.CHANNEL):
            raise BadInput(f"views={self.kind}: a channel is compared with channels; leave views out")
        if self.region and self.kind is Kind.CHANNEL:
            raise BadInput("views=channel: a region has all channels together; compare it with tile or whole")


@dataclass(frozen=True, slots=True)
class LookOptions:
    """What is asked of look-alikes beside what a search is asked.

    exclude: `study`, `dataset` or `plate`: leave out what shares it with an example of the index. by_study: the best
    image of each study, and k counts studies. min_percentile: only what is more alike than this share of random pairs.
    similar_set: facets count this many nearest images, not the hits. semantic: how much of the order is by what the
    images are annotated with, the rest by look. weight: of a combined search, how much of the score is by look;
    None: reciprocal ranks. views: what of the images is compared. examples: `best`, the best positive example less the
    best negative one, or `average`, near to the mean of the positive and away from that of the negative ones; empty:
    the best without negative ones, else the average. exact: search exactly, whatever it takes.
    """

    exclude: str = ""
    by_study: bool = False
    min_percentile: float | None = None
    similar_set: int | None = None
    semantic: float = 0.0
    weight: float | None = None
    views: ViewOptions = ViewOptions()
    examples: str = ""
    exact: bool = False

    def __post_init__(self) -> None:
        if self.examples not in ("", *EXAMPLE_RULES):
            raise BadInput(f"examples is {' or '.join(EXAMPLE_RULES)}, not {self.examples!r}")
        if self.exclude not in ("", *EXCLUDABLE):
            raise BadInput(f"exclude is {', '.join(EXCLUDABLE[:-1])} or {EXCLUDABLE[-1]}, not {self.exclude!r}")
        for name in ("min_percentile", "semantic", "weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise BadInput(f"{name} must be from 0 to 1, not {value:g}")
        if self.similar_set is not None and not 1 <= self.similar_set <= MAX_SIMILAR_SET:
            raise BadInput(f"similar_set must be from 1 to {MAX_SIMILAR_SET:,}, not {self.similar_set:,}")


@dataclass(frozen=True, slots=True)
class FacetRequest:
    """One level of a facet among what a search finds, at most its `facet_limit` values.

    name: the field's; what is chosen in it is ignored. parent: a term, by id or name, whose children to give; empty:
    the top.
    """

    name: str
    parent: str = ""
    search: SearchRequest = attribute(default_factory=SearchRequest)

    def __post_init__(self) -> None:
        _check_unicode((self.name, self.parent))


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What is typed so far, to be completed; field None: by anything that the level's records have."""

    text: str
    level: Level = Level.STUDY
    field: str | None = None
    limit: int = 10

    def __post_init__(self) -> None:
        if len(self.text) > MAX_TYPED:
            raise BadInput(f"at most {MAX_TYPED} characters are completed, not {len(self.text):,}: give the last words")
        if not 1 <= self.limit <= MAX_COMPLETIONS:
            raise BadInput(f"limit must be from 1 to {MAX_COMPLETIONS}, not {self.limit}")
        _check_unicode((self.text, self.field or ""))


def _check_unicode(texts: Iterable[str]) -> None:
    for text in texts:
        # half a surrogate pair, from JSON or a terminal of another encoding, is in no index and in no answer
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise BadInput(f"{text.encode(errors='replace').decode()!r} is not valid Unicode: send UTF-8")


def read_expand(text: str | None) -> tuple[str, ...]:
    """The relations of an `expand` parameter.

    >>> read_expand("none"), read_expand("is_a"), read_expand(None)
    ((), ('is_a',), ('is_a', 'part_of'))
    """
    if text is None:
        return DEFAULT_RELATIONS
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("none",):
        return ()
    bad = next((name for name in names if not name.isidentifier() or name == "none"), None)
    if bad is not None or not names:
        raise BadInput(f"expand is none, or relations such as is_a,part_of; not {text!r}")
    return names


def read_switch(name: str, text: str | None) -> bool:
    """Whether a parameter that is true or false is true; left out it is false.

    >>> read_switch("strict", "Yes"), read_switch("strict", None)
    (True, False)
    """
    said = (text or "false").casefold()
    if said not in ("true", "1", "yes", "false", "0", "no"):
        raise BadInput(f"{name} must be true or false, not {text!r}")
    return said in ("true", "1", "yes")


def read_same(text: str | None) -> bool:
    """Whether a `same` parameter asks that one dataset or image satisfies everything."""
    if text not in (None, "", SAME_DATASET):
        raise BadInput(f"same is {SAME_DATASET}, or left out; not {text!r}")
    return text == SAME_DATASET


def read_sort(text: str | None) -> Order | None:
    """The order of a `sort` parameter, `-` for the other way round; None for relevance.

    >>> read_sort("-date"), read_sort("title").descending, read_sort("relevance")
    (Order(key=<SortKey.DATE: 'date'>, descending=True), False, None)
    """
    if text in (None, "", RELEVANCE):
        return None
    assert text is not None
    key = text.removeprefix("-")
    if key not in list(SortKey):
        raise BadInput(f"sort is relevance, date, title or size, or -date, -title, -size the other way; not {text!r}")
    return Order(SortKey(key), text != key)


def sort_name(order: Order | None) -> str:
    """The `sort` parameter of an order."""
    return ("-" if order.descending else "") + str(order.key) if order else RELEVANCE


def read_look(parameters: Mapping[str, str]) -> LookOptions:
    """The options that `LOOK_PARAMETERS` make.

    >>> read_look({"group": "study", "weight": "0.3"})
    LookOptions(exclude='', by_study=True, min_percentile=None, similar_set=None, semantic=0.0, weight=0.3, \
views=ViewOptions(region=None, channel='', kind=None), examples='', exact=False)
    """
    given = {name: text for name, text in parameters.items() if text}
    if given.get("group", "study") != "study":
        raise BadInput(f"group is study, not {given['group']!r}")
    shares = {name: _share(name, given[name]) for name in ("min_percentile", "semantic", "weight") if name in given}
    size = _whole_number("similar_set", given["similar_set"]) if "similar_set" in given else None
    views = read_views(*(given.get(name, "") for name in VIEW_PARAMETERS))
    rule, exact = given.get("examples", ""), read_switch("exact", given.get("exact"))
    return LookOptions(
        given.get("exclude", ""), "group" in given, similar_set=size, views=views, examples=rule, exact=exact, **shares
    )


def look_parameters(options: LookOptions) -> dict[str, str]:
    """The parameters that `read_look` reads as these options."""
    numbers = {name: getattr(options, name) for name in ("min_percentile", "similar_set", "semantic", "weight")}
    given = {"exclude": options.exclude, "group": "study" if options.by_study else "", **numbers}
    given |= {"region": _region(options.views.region), "channel": options.views.channel, "views": options.views.kind}
    given |= {"examples": options.examples, "exact": "true" if options.exact else ""}
    return {name: str(value) for name, value in given.items() if value not in (None, "")}


def read_views(region: str = "", channel: str = "", views: str = "") -> ViewOptions:
    """The options of the parameters `region`, `channel` and `views`.

    >>> read_views("10,20,300,200").region
    Box(x=10, y=20, width=300, height=200)
    """
    numbers = [whole_number(part.strip()) for part in region.split(",")] if region else []
    sides = [number for number in numbers if number is not None]
    if numbers and not len(numbers) == len(sides) == 4:
        raise BadInput(f"region is x,y,width,height in whole pixels, such as 0,0,512,512; not {region!r}")
    if views not in ("", *Kind):
        raise BadInput(f"views is {', '.join(Kind)}, not {views!r}")
    return ViewOptions(Box(*sides) if sides else None, channel, Kind(views) if views else None)


def _region(box: Box | None) -> str:
    return f"{box.x},{box.y},{box.width},{box.height}" if box else ""


def _share(name: str, text: str) -> float:
    value = number(text)
    if value is None:
        raise BadInput(f"{name} must be a number from 0 to 1, not {text!r}")
    return value


def _whole_number(name: str, text: str) -> int:
    value = whole_number(text)
    if value is None:
        raise BadInput(f"{name} must be a whole number of at most {MAX_DIGITS} digits, not {text!r}")
    return value


def read_filters(wanted: Mapping[str, tuple[str, ...]], unwanted: Mapping[str, tuple[str, ...]]) -> tuple[Filter, ...]:
    """Filters from values by field."""
    return tuple(
        Filter(field, values, negate)
        for group, negate in ((wanted, False), (unwanted, True))
        for field, values in group.items()
        if values
    )


def read_condition(text: str) -> tuple[str, str, str]:
    """A condition such as `organism=mouse` or `year>=2020` as field, operator and value.

    >>> read_condition("year>=2020"), read_condition("compound=a>b")
    (('year', 'gte', '2020'), ('compound', '', 'a>b'))
    """
    found = re.fullmatch(r"([^=<>]+)(>=|<=|>|<|=)(.*)", text, flags=re.DOTALL)
    if found is None or not found.group(3).strip():
        raise BadInput(f"a filter is FIELD=VALUE, FIELD>=NUMBER or FIELD<=NUMBER, not {text!r}")
    operator = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt", "=": ""}[found.group(2)]
    return found.group(1).strip(), operator, found.group(3).strip()


def read_conditions(wanted: Iterable[str], unwanted: Iterable[str]) -> tuple[tuple[Filter, ...], tuple[Range, ...]]:
    """Filters and ranges from conditions; those on one field are alternatives, bounds add up."""
    ranges: list[Range] = []
    groups: dict[bool, dict[str, tuple[str, ...]]] = {False: {}, True: {}}
    for negate, conditions in ((False, wanted), (True, unwanted)):
        for field, operator, value in map(read_condition, conditions):
            if operator and negate:
                raise BadInput(f"{field}: a bound cannot be negated; turn it around instead")
            if operator:
                ranges.append(read_range(field, operator, value))
            else:
                groups[negate][field] = (*groups[negate].get(field, ()), value)
    return read_filters(groups[False], groups[True]), tuple(ranges)


def read_range(field: str, bound: str, text: str) -> Range:
    """One bound such as `year.gte=2020`."""
    value = number(text)
    if value is None or bound not in _BOUNDS:
        raise BadInput(f"{field}.{bound}={text!r}: a bound is gte, gt, lte or lt with a number or an ISO date")
    inclusive = bound.endswith("e")
    if bound.startswith("g"):
        return Range(field, low=value, include_low=inclusive)
    return Range(field, high=value, include_high=inclusive)

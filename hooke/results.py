"""What a search answers: the same shape from the command line, over HTTP and in a notebook, also when it is empty."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hooke.views import Box, Kind


@dataclass(frozen=True, slots=True)
class PathStep:
    """A term on the way from an annotation up to the term that was asked for; `relation` led to it from the last."""

    id: str
    label: str
    relation: str | None


@dataclass(frozen=True, slots=True)
class ResolvedTerm:
    """Words of the query and a term they name. `relations` of `merged` sources cannot be told apart.

    name: the name of the term that the words spell, its scope (LABEL, EXACT, RELATED …; "" for an id) and who gives it,
    the ontology or `hooke` for one of Hooke's own. version: the ontology's.
    """

    text: str
    id: str
    label: str
    method: str
    ontology: str
    merged: bool = False
    name: str = ""
    scope: str = ""
    named_by: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a record was annotated with, and how it came to that.

    text, ids: as submitted, given_id the one of them that the term was taken from. method, score, note: of the
    grounding. name, scope: the name of the term that the text is, where it is one. ontology, version: the term's.
    """

    text: str
    ids: tuple[str, ...]
    given_id: str | None
    method: str
    score: float
    note: str | None
    name: str
    scope: str
    ontology: str
    version: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a hit matched.

    kind: `text` (a word in a value), `direct` (annotated with the term), `inferred` (with a narrower one),
    `value` (a whole value), `range`. value: the matching text, cut around the word when it is long. words: those that
    matched. name, scope: the other name of the query's term that they are. term: the annotation's term; path: from it
    to the query's term. Where explanations are asked for, asked: that term as the query names it; and the annotation.
    """

    kind: str
    field: str
    value: str
    term: str | None = None
    path: tuple[PathStep, ...] = ()
    words: tuple[str, ...] = ()
    name: str = ""
    scope: str = ""
    asked: ResolvedTerm | None = None
    annotation: Annotation | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A study or an image that matched."""

    id: str
    study_id: str
    title: str
    score: float
    why: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A facet's value: how many records have it, and how many say it themselves rather than by a narrower term.

    parents: the facet's own values right above this one, where an ontology orders them. studies: how many studies those
    records are of, where that was asked.
    """

    id: str
    label: str
    count: int
    direct_count: int
    parents: tuple[str, ...] = ()
    studies: int | None = None


@dataclass(frozen=True, slots=True)
class FacetNode:
    """A facet's value on one level of its tree; `children` values right below it occur among the same records."""

    id: str
    label: str
    count: int
    direct_count: int
    children: int = 0
    studies: int | None = None


@dataclass(frozen=True, slots=True)
class FacetRange:
    """Records with a number from `low` on and below `high`; with exactly that number where the two are the same."""

    low: float
    high: float
    count: int
    studies: int | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """An id of the query that was replaced, and why (`alt_id`, `replaced_by`)."""

    given: str
    id: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Did you mean: never applied by itself. A term, or with an empty id a word that records hold."""

    text: str
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """A word with an open end or with misspellings, and the indexed words that it stands for."""

    text: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryReport:
    """What the query was understood to mean. understood: the text as it was read, with its operators written out."""

    terms: tuple[ResolvedTerm, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    unresolved: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    notices: tuple[str, ...] = ()
    expansions: tuple[Expansion, ...] = ()
    understood: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a query and whether a record has it.

    kind: `all` or `any` of its parts, `not`, or `one`, which has terms that its words name and reasons.
    """

    text: str
    kind: str
    matched: bool
    terms: tuple[ResolvedTerm, ...] = ()
    reasons: tuple[Reason, ...] = ()
    parts: "tuple[Part, ...]" = ()  # quoted whole: `hooke.wire` resolves it


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a record matches a query, or which part of the query it does not have."""

    id: str
    level: str
    study_id: str
    title: str
    matches: bool
    score: float
    query: QueryReport
    whole: Part


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits. `total` and all counts are exact; `cursor` is None on the last page."""

    total: int
    hits: tuple[SearchHit, ...]
    facets: Mapping[str, tuple[FacetValue, ...]]
    query: QueryReport
    cursor: str | None
    snapshot: int


@dataclass(frozen=True, slots=True)
class FacetLevel:
    """One level of a facet: what is right below `parent`, or with no parent its top.

    total: the records that match what is chosen outside the facet; silent: those of them without a value in it.
    skipped: terms above the top that nothing is annotated with and that all it shows is below, outermost first.
    values: the most frequent of `size`; numbers are no values but in `ranges`, in a field without an ontology.
    """

    field: str
    parent: FacetNode | None
    skipped: tuple[FacetNode, ...]
    values: tuple[FacetNode, ...]
    size: int
    ranges: tuple[FacetRange, ...]
    total: int
    silent: int
    query: QueryReport
    snapshot: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an image a view is: a channel by its number from 0, a box of pixels, or neither: all of it."""

    channel: int | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class ViewPair:
    """The two views of one kind, of an example (an id, or `upload 1`) and of a hit, that are most alike."""

    kind: Kind
    similarity: float
    example: str
    example_place: Place
    hit_place: Place


@dataclass(frozen=True, slots=True)
class SimilarHit:
    """An image and how alike it is: the cosine of its vector and the query's, in [-1, 1]; by the best example less the
    best negative one the difference of two, in [-2, 2].

    percentile: the share of random pairs of different studies that are less alike. expected: how many candidates would
    be so alike by chance. Both None of a difference, and where the index is too small to tell. Where hits are
    re-ranked, semantic: how alike their annotations are, in [0, 1]; score: what they are ranked by. pairs: where
    explanations are asked for, which channels, and which tiles, are most alike.
    """

    id: str
    study_id: str
    title: str
    similarity: float
    percentile: float | None = None
    expected: float | None = None
    semantic: float | None = None
    score: float | None = None
    pairs: tuple[ViewPair, ...] = ()


@dataclass(frozen=True, slots=True)
class SimilarResult:
    """The images that look most alike. `candidates`: how many images passed the filter.

    similar: how many images the facets count, these hits unless a larger set was asked for. meaningful: how many of the
    hits are more alike than chance explains, None where the index is too small to tell. reranked: of how many nearest
    images, or studies, the order was changed by annotations; 0: by look alone. views: what of them was compared.
    recall: the share of the right hits that an answer by trained lists, which is not exact, is estimated to have.
    """

    hits: tuple[SimilarHit, ...]
    exact: bool
    method: str
    candidates: int
    facets: Mapping[str, tuple[FacetValue, ...]]
    query: QueryReport
    space: str
    snapshot: int
    similar: int = 0
    meaningful: int | None = None
    reranked: int = 0
    views: Kind = Kind.WHOLE
    recall: float | None = None


@dataclass(frozen=True, slots=True)
class CombinedHit:
    """An image ranked by text and by look; a rank is None where that ranking did not reach the image.

    text_part, look_part: what each added to the score.
    """

    id: str
    study_id: str
    title: str
    score: float
    text_rank: int | None
    text_score: float | None
    look_rank: int | None
    similarity: float | None
    percentile: float | None = None
    text_part: float = 0.0
    look_part: float = 0.0


@dataclass(frozen=True, slots=True)
class CombinedResult:
    """Text rank and look rank fused: by `weight` of the look, or where it is None by reciprocal rank.

    Cormack et al. 2009, k = 60; docs/similarity.md has both rules. recall: as in `SimilarResult`, of the look.
    """

    hits: tuple[CombinedHit, ...]
    exact: bool
    method: str
    candidates: int
    facets: Mapping[str, tuple[FacetValue, ...]]
    query: QueryReport
    space: str
    snapshot: int
    weight: float | None = None
    views: Kind = Kind.WHOLE
    recall: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to complete what is typed; `text` takes its place: a term's id where its label would be read as syntax.

    kind: `term`, `value` (of a field, grounded to no term) or `record` (a study; its label is its title).
    name: what matched, of a term its label or a synonym, with the `scope` of that (LABEL, EXACT, NARROW …).
    count: how many records have the term or what is below it, or the value; None for a record. fields: where they do.
    """

    kind: str
    text: str
    id: str
    label: str
    name: str = ""
    scope: str = ""
    count: int | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionResult:
    """Completions, best first: whole names, then names that begin so, then words inside; the most frequent first.

    replaces: the part of the text that a completion takes the place of, from and to, in Unicode characters. It is the
    longest run of last words that anything fits.
    """

    replaces: tuple[int, int]
    completions: tuple[Completion, ...]
    snapshot: int


@dataclass(frozen=True, slots=True)
class OntologySummary:
    """A loaded ontology."""

    name: str
    version: str
    prefix: str
    terms: int
    edges: int
    relations: str
    source: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds; `store` is where its records are."""

    studies: int
    images: int
    embedded: int
    mentions: Mapping[str, int]
    unresolved: int
    ontologies: tuple[OntologySummary, ...]
    space: Mapping[str, object] | None
    bytes: Mapping[str, int]
    snapshot: int
    created: str = ""
    store: str = ""


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """One study or image, whole."""

    id: str
    level: str
    study_id: str
    title: str
    dataset: str | None
    origins: tuple[str, ...]
    values: tuple[Mapping[str, object], ...]
    mentions: tuple[Mapping[str, object], ...]
    embedded: bool
    images: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term that a value of the worklist may stand for; score is in (0, 1], best 1."""

    term: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class CurationEntry:
    """A value that waits for a curator, in how many records, and why.

    ids: the submitter's; `*` where more ids than one can look at stand beside one text. decision: what was decided
    since the records were indexed.
    """

    field: str
    text: str
    ids: tuple[str, ...]
    records: int
    reason: str
    candidates: tuple[Candidate, ...] = ()
    decision: str = ""


@dataclass(frozen=True, slots=True)
class CurationList:
    """The most frequent entries of the worklist, and how many there are in all."""

    total: int
    entries: tuple[CurationEntry, ...]
    snapshot: int

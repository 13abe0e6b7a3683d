"""What a term is, what loading an ontology gives, and what a catalogue answers with. Frozen, no I/O."""

from dataclasses import dataclass, field
from enum import StrEnum

from hooke.model import Method, TermId


class Scope(StrEnum):
    """How a name relates to its term; `LABEL` is the term's own name, the others are OBO's synonym scopes."""

    LABEL = "LABEL"
    EXACT = "EXACT"
    BROAD = "BROAD"
    NARROW = "NARROW"
    RELATED = "RELATED"


MERGED = "merged"
"""The relation of an edge whose source does not say whether it is is_a or part_of."""


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a term."""

    text: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Term:
    """An ontology class. `ontology` names the loaded source that its label and synonyms come from.

    xrefs: ids of the same thing elsewhere, as the source spells them. subsets: the slims that the term is in.
    """

    id: TermId
    label: str
    definition: str = ""
    synonyms: tuple[Synonym, ...] = ()
    alt_ids: tuple[TermId, ...] = ()
    obsolete: bool = False
    replaced_by: tuple[TermId, ...] = ()
    consider: tuple[TermId, ...] = ()
    ontology: str = ""
    xrefs: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()


Edge = tuple[TermId, str, TermId]
"""(term, relation, parent): the term stands in the relation to the parent."""


@dataclass(frozen=True, slots=True)
class LoadWarning:
    """Something in an ontology file that was repaired or passed over; `count` is how often, `example` one of them."""

    name: str
    message: str
    count: int = 1
    example: str = ""


@dataclass(frozen=True, slots=True)
class Ontology:
    """One loaded source. Edges may lead to terms that this source does not define.

    prefix: the id prefix this source is the authority for. relations: `typed`, or `merged` where is_a and part_of
    cannot be told apart. digest: of the source's bytes.
    """

    name: str
    version: str
    prefix: str
    relations: str
    source: str
    digest: str
    terms: tuple[Term, ...]
    edges: tuple[Edge, ...]
    warnings: tuple[LoadWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class OntologyInfo:
    """What a snapshot says of one source; terms and edges are counts in the source, is_a and relationships together."""

    name: str
    version: str
    prefix: str
    terms: int
    edges: int
    relations: str
    source: str
    warnings: tuple[LoadWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The term an id stands for.

    given: the text as asked. rewritten_from: the id it names, where that is an alternative or obsolete id of `term`,
    with the reason `alt_id` or `replaced_by`. suggestions: terms that an obsolete term names for consideration only.
    """

    term: TermId
    given: str
    rewritten_from: TermId | None = None
    reason: str | None = None
    suggestions: tuple[TermId, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One term on a path upwards, and the relation that led to it (None for the first)."""

    term: TermId
    label: str
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A term found by one of its names. score is in (0, 1]; name is the name that matched, scope its scope."""

    term: TermId
    label: str
    method: Method
    score: float
    name: str
    scope: Scope
    ontology: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file itself holds, read without pronto, to compare a loaded ontology with."""

    terms: frozenset[TermId]
    edges: frozenset[Edge]
    notes: tuple[LoadWarning, ...] = field(default=())

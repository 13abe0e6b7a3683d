"""What is asked: one syntax tree, whatever the backend.

`Text`, `Prefix`, `Fuzzy` and `TermRef` are what a person can say and a store cannot answer: the engine turns them into
words and terms first (`search_api.understand`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hooke.model import Level, TermId


@dataclass(frozen=True, slots=True)
class Everything:
    """Every live record."""


@dataclass(frozen=True, slots=True)
class Words:
    """Records that hold at least one of the tokens in a field; field None: in any value.

    inherited_prose: False passes over the prose (`hooke.inherit.is_prose`) that an image has from its study.
    """

    tokens: frozenset[str]
    field: str | None = None
    inherited_prose: bool = True


@dataclass(frozen=True, slots=True)
class Phrase:
    """Records with one value that holds the tokens next to each other in this order.

    inherited_prose: as of `Words`.
    """

    tokens: tuple[str, ...]
    field: str | None = None
    inherited_prose: bool = True


@dataclass(frozen=True, slots=True)
class Terms:
    """Records annotated directly with at least one of the terms; field None: in any field."""

    terms: frozenset[TermId]
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Equals:
    """Records with this whole value in the field, as `hooke.text.fold` compares values."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """Records with a number (or ISO date, see `hooke.text.number`) between the bounds; None: no bound.

    Fields that are never counted (`hooke.fields.UNCOUNTED_FIELDS`) have no numbers.
    """

    field: str
    low: float | None = None
    high: float | None = None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True, slots=True)
class And:
    """Records that match every child; no child: every record."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Records that match a child; no child: none."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Live records that do not match the child."""

    child: "Node"


@dataclass(frozen=True, slots=True)
class Weighted:
    """One way of matching, and what it is worth."""

    node: "Node"
    weight: float


@dataclass(frozen=True, slots=True)
class Best:
    """Matches as `Or` does; a record scores the weight of the best option it matches, times the idf of the whole."""

    options: tuple[Weighted, ...]


@dataclass(frozen=True, slots=True)
class Among:
    """Records with one of these ordinals: a set that was found another way, by look."""

    ordinals: frozenset[int]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words next to each other, which may name terms; not for stores.

    not_first: a NOT stands before them, and applies to what the first of them name.
    """

    words: tuple[str, ...]
    field: str | None = None
    not_first: bool = False


@dataclass(frozen=True, slots=True)
class Prefix:
    """A word with an open end (`mito*`); not for stores."""

    prefix: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word that may be misspelt in so many places (`flourescence~`, `word~1`); not for stores."""

    word: str
    edits: int
    field: str | None = None


@dataclass(frozen=True, slots=True)
class TermRef:
    """A term named by id in the text (`FBbi:00000246`, `organism:9606`); not for stores."""

    text: str
    field: str | None = None


Leaf = Words | Phrase | Terms | Equals | Range | Among
Node = Everything | Leaf | And | Or | Not | Best | Text | Prefix | Fuzzy | TermRef


def scoring(node: Node) -> Iterator[Best]:
    """The `Best` nodes that a match can owe its rank to: those not under a `Not`."""
    match node:
        case Best():
            yield node
        case And(children) | Or(children):
            for child in children:
                yield from scoring(child)


class SortKey(StrEnum):
    """What hits can be sorted by beside relevance; `hooke.sorting` says from which fields."""

    DATE = "date"
    TITLE = "title"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Order:
    """Sorted by a value that records have, those without it last; ties go by ordinal."""

    key: SortKey
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the score and the ordinal of its last hit."""

    score: float
    ordinal: int


@dataclass(frozen=True, slots=True)
class Query:
    """What a store is asked for: the records of a level that match, after a position; order None: best first."""

    level: Level
    where: Node
    limit: int = 10
    after: Position | None = None
    order: Order | None = None

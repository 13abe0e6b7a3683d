"""The shared vocabulary: what an archive says, what Hooke makes of it, and what a store gives back.

Frozen, validated when built, no I/O. The words are those of DESIGN: study, dataset, image, term, mention.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from hooke.errors import BadInput

_CONTROL = re.compile(r"[\x00-\x1f]")

TermId = str
"""A term by its CURIE, in its ontology's own spelling: `FBbi:00000246`."""

IS_A = "is_a"
PART_OF = "part_of"
DEFAULT_RELATIONS = (IS_A, PART_OF)


class Level(StrEnum):
    """The two searchable levels; each has its own space of ordinals."""

    STUDY = "study"
    IMAGE = "image"


class Method(StrEnum):
    """How a piece of metadata was grounded to its term, surest first; `TEXT`: prose names the term."""

    ID = "id"
    LABEL = "label"
    EXACT_SYNONYM = "exact_synonym"
    OTHER_SYNONYM = "other_synonym"
    NORMALISED = "normalised"
    FUZZY = "fuzzy"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Mention:
    """A value grounded to a term.

    text: the value as submitted; label: the term's own. score is in (0, 1].
    given_id: the submitter's id where it differs from `term`, with `note` saying why (alt_id, replaced_by,
    id_label_conflict …).
    source, start: for `Method.TEXT`, the prose field in which text was found, and its first character there.
    """

    field: str
    text: str
    term: TermId
    label: str
    method: Method
    score: float
    given_id: str | None = None
    note: str | None = None
    source: str | None = None
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One value as its source gives it, under a field's name, with what it was grounded to.

    ids: the submitter's term ids for it, in any spelling. A mention may stand in another field than the value does:
    a crate does not tell components from processes.
    dragged: the ids were counted up by a spreadsheet, as only the row above showed (`indexer.dragged`).
    """

    field: str
    text: str
    ids: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    dragged: bool = False

    def __post_init__(self) -> None:
        if not self.field:
            raise BadInput(f"a value needs a field: {self.text!r}")
        _check_text(self.field, self.text, *self.ids)

    @property
    def from_text(self) -> bool:
        """Whether no submitter gave this value: words of the record's prose name its term."""
        return any(mention.method is Method.TEXT for mention in self.mentions)


ID_LABEL_CONFLICT = "id_label_conflict"
"""The note of mentions, and the reason of a worklist entry, where a value's text names another term than its ids."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A value of an ontology field that waits for a curator; never guessed silently.

    No term was found for it, or more than one (unknown_id, no_term, ambiguous): it is unresolved. Or its text names
    another term than its ids (ID_LABEL_CONFLICT): it is found by both, and candidates are the text's term, then theirs.
    """

    field: str
    text: str
    ids: tuple[str, ...]
    reason: str
    candidates: tuple[TermId, ...] = ()


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where an image's pixels are: a path as the indexer saw it."""

    path: str

    def __post_init__(self) -> None:
        _check_text(self.path)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A study component: its values hold for the images in it."""

    name: str
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.name)


@dataclass(frozen=True, slots=True)
class Study:
    """An accessioned deposit. `origins` names the sources it was read from (`idr`, `ro-crate`, `biostudies` …)."""

    id: str
    title: str
    values: tuple[Value, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_text(self.title)


@dataclass(frozen=True, slots=True)
class Image:
    """One n-dimensional image: a field, a well, a slide, a volume. Its id starts with its study's."""

    id: str
    study_id: str
    title: str
    dataset: str | None = None
    values: tuple[Value, ...] = ()
    pixels: Pixels | None = None

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_text(self.title, self.dataset or "")
        if not self.id.startswith(self.study_id + "/"):
            raise BadInput(f"image id {self.id!r} must start with its study's id and '/': {self.study_id!r}")


@dataclass(frozen=True, slots=True)
class Record:
    """A study or an image as a store gives it back.

    values are the effective ones: an image's own first, then so many that it has inherited (see `hooke.inherit`).
    """

    id: str
    level: Level
    ordinal: int
    study_id: str
    title: str
    values: tuple[Value, ...]
    dataset: str | None = None
    origins: tuple[str, ...] = ()
    pixels: Pixels | None = None
    inherited: int = 0

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """Everything its values were grounded to."""
        return tuple(mention for value in self.values for mention in value.mentions)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a commit names beside the records: the ontologies' version, the vector segments, the space."""

    ontologies: str = ""
    segments: tuple[str, ...] = ()
    space: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed state of an index. `id` counts up from 0 (an empty index)."""

    id: int
    manifest: Manifest = field(default_factory=Manifest)
    created: str = ""


def _check_id(text: str) -> None:
    if not text or text != text.strip() or _CONTROL.search(text):
        raise BadInput(f"an id is one line of text without spaces around it, not {text!r}")
    _check_text(text)


def _check_text(*texts: str) -> None:
    for text in texts:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as exc:
                # JSON escapes and file names can hold half a surrogate pair; no file, and so no store, can
                shown = text[max(0, exc.start - 40) : exc.start + 40]
                raise BadInput(f"{shown!r} is not valid Unicode: replace what cannot be written as UTF-8") from exc

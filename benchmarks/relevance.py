"""What is relevant to an information need, by rules over what submitters wrote; nothing here is grounded or expanded.

The needs, their rules and what reading changed are in `retrieval_needs.toml`, which says how a rule is read.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hooke.errors import BadInput
from hooke.model import Image, Level, Study, TermId, Value
from hooke.text import fold
from indexer.merge import merge_studies
from indexer.sources import Input, Quarantined, discover, read_images, read_studies

NEEDS = Path(__file__).with_name("retrieval_needs.toml")
ABOUT, PART = 2, 1
"""Grades: the record is about it; it has it among other things."""

Judged = dict[str, int]
"""The grades of the relevant records by id."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that is looked for.

    words: as a person types it; ids: its terms, for the baseline that asks by id; means: what is relevant, in words.
    The rule: values (whole cells of a field, as patterns), titled and says (patterns in prose), unless (what is
    blanked out of prose first), within (another concept that must hold too). read: grades of studies that a person
    read and judged otherwise. own: an image counts only by its own cells; what its study says is not of each image.
    """

    name: str
    words: str
    ids: tuple[TermId, ...]
    means: str
    values: Mapping[str, re.Pattern[str]]
    titled: re.Pattern[str] | None
    says: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    within: str | None
    read: Mapping[str, int]
    own: bool


@dataclass(frozen=True, slots=True)
class Need:
    """An information need: what is typed, and the concepts that must all hold."""

    text: str
    kind: str
    level: Level
    concepts: tuple[Concept, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that name a record beside its title, those that say what it is about, and those that tell more."""

    name: frozenset[str]
    head: frozenset[str]
    body: frozenset[str]


@dataclass(frozen=True)
class Needs:
    """The content of the needs' file."""

    needs: tuple[Need, ...]
    concepts: Mapping[str, Concept]
    fields: Fields


@dataclass
class Corpus:
    """The records as submitted, with what was judged of them before."""

    needs: Needs
    inputs: tuple[Input, ...]
    studies: Mapping[str, Study]
    _grades: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Sequence[Path], needs: Needs) -> "Corpus":
        """The records of files and folders."""
        inputs = discover(paths, quarantine=_pass_over).inputs
        studies = merge_studies(study for source in inputs for study in read_studies(source, _pass_over))
        return cls(needs, tuple(inputs), studies)

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Every image, with its own values."""
        sources = (source for source in self.inputs if source.has_images)
        return tuple(image for source in sources for image in read_images(source, _pass_over))

    def judge(self, need: Need) -> Judged:
        """The relevant records of a need."""
        if need.level is Level.IMAGE:
            graded = ((image.id, [self._image_grade(image, each) for each in need.concepts]) for image in self.images)
        else:
            graded = ((study, [self._grade(each, study) for each in need.concepts]) for study in self.studies)
        return {key: min(grades) for key, grades in graded if min(grades)}

    def _image_grade(self, image: Image, concept: Concept) -> int:
        """By the image's own cells in the rule's fields; where it has none, as its study."""
        speaks = [value for value in image.values if value.field in concept.values]
        if speaks or concept.own:
            return ABOUT if any(_is(value, concept) for value in speaks) else 0
        return self._grade(concept, image.study_id)

    def _grade(self, concept: Concept, study_id: str) -> int:
        known = self._grades.setdefault(concept.name, {})
        if study_id not in known:
            known[study_id] = concept.read.get(study_id, self._by_rule(concept, self.studies[study_id]))
        return known[study_id]

    def _by_rule(self, concept: Concept, study: Study) -> int:
        if concept.within and not self._grade(self.needs.concepts[concept.within], study.id):
            return 0
        return grade(study, concept, self.needs.fields)


def grade(study: Study, concept: Concept, fields: Fields) -> int:
    """What the rule of a concept makes of a study."""
    listed = [value for value in study.values if value.field in concept.values]
    named = [value for value in listed if _is(value, concept)]
    if named and len(named) == len(listed):
        return ABOUT
    names = [study.title, *_texts(study, fields.name)]
    heads = _texts(study, fields.head)
    if _any(names, concept, concept.titled, concept.says) or _any(heads, concept, concept.says):
        return ABOUT
    if not listed and _any(heads, concept, concept.titled):
        return ABOUT
    return PART if named or _any(_texts(study, fields.body), concept, concept.says) else 0


def _texts(study: Study, fields: frozenset[str]) -> list[str]:
    return [value.text for value in study.values if value.field in fields]


def _is(value: Value, concept: Concept) -> bool:
    return bool(concept.values[value.field].fullmatch(fold(value.text)))


def _any(texts: Iterable[str], concept: Concept, *patterns: re.Pattern[str] | None) -> bool:
    asked = [pattern for pattern in patterns if pattern]
    for text in texts:
        plain = concept.unless.sub(" ", text) if concept.unless else text
        if any(pattern.search(plain) for pattern in asked):
            return True
    return False


def read_needs(path: Path = NEEDS) -> Needs:
    """The needs of a file. Raises BadInput for a concept that is not there."""
    with path.open("rb") as file:
        content = tomllib.load(file)
    concepts = {name: _concept(name, entry) for name, entry in content["concept"].items()}
    missing = {concept.within for concept in concepts.values() if concept.within} - concepts.keys()
    missing |= {name for entry in content["need"] for name in entry["concepts"]} - concepts.keys()
    if missing:
        raise BadInput(f"{path.name}: no concept {', '.join(sorted(missing))}; add it or correct the name")
    fields = Fields(*(frozenset(content["fields"][name]) for name in ("name", "head", "body")))
    return Needs(tuple(_need(entry, concepts) for entry in content["need"]), concepts, fields)


# Any: what a TOML table holds is checked by use, at the one place where it is narrowed
def _concept(name: str, entry: Mapping[str, object]) -> Concept:
    values, read = entry.get("values", {}), entry.get("read", {})
    assert isinstance(values, dict)
    assert isinstance(read, dict)
    return Concept(
        name,
        str(entry["words"]),
        tuple(_strings(entry["ids"])),
        str(entry["means"]),
        {column: re.compile("|".join(_strings(patterns)), re.IGNORECASE) for column, patterns in values.items()},
        _pattern(entry.get("titled")),
        _pattern(entry.get("says")),
        _pattern(entry.get("unless")),
        str(entry["within"]) if "within" in entry else None,
        dict(read),
        bool(entry.get("own", False)),
    )


def _need(entry: Mapping[str, object], concepts: Mapping[str, Concept]) -> Need:
    parts = tuple(concepts[name] for name in _strings(entry["concepts"]))
    text = str(entry.get("text", " ".join(part.words for part in parts)))
    return Need(text, str(entry["kind"]), Level(str(entry.get("level", "study"))), parts)


def _strings(entry: object) -> list[str]:
    assert isinstance(entry, list)
    return [str(item) for item in entry]


def _pattern(entry: object) -> re.Pattern[str] | None:
    """Patterns between word boundaries. Case counts only for those that are written in capitals: `SIM`, not `sim`."""
    if entry is None:
        return None
    parts = (text if text.isupper() else f"(?i:{text})" for text in _strings(entry))
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")


def _pass_over(_: Quarantined) -> None:
    """What cannot be read is relevant to nothing."""

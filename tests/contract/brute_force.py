"""The dullest possible metadata store: records in dicts, every answer by looking at each of them."""

import math
import re
from collections import Counter
from collections.abc import Iterable

from hooke.fields import UNCOUNTED_FIELDS
from hooke.inherit import effective_values, image_values, inherited_values, is_prose, study_values
from hooke.model import Image, Level, Study, Value
from hooke.query import And, Best, Equals, Everything, Node, Not, Or, Order, Phrase, Range, SortKey, Terms, Words
from hooke.store.base import ValueSet
from hooke.text import fold, number, tokens


class BruteForce:
    """An oracle for `MetadataStore`: what each answer must be."""

    def __init__(self) -> None:
        self.studies: dict[str, Study] = {}
        self.images: dict[str, Image] = {}

    def delete(self, level: Level, ids: Iterable[str]) -> None:
        for gone in ids:
            if level is Level.IMAGE:
                self.images.pop(gone, None)
            elif self.studies.pop(gone, None):
                self.images = {k: i for k, i in self.images.items() if i.study_id != gone}

    def values(self, level: Level) -> dict[str, tuple[Value, ...]]:
        if level is Level.STUDY:
            return {key: study_values(study) for key, study in self.studies.items()}
        return {
            key: effective_values(image_values(i), inherited_values(self.studies[i.study_id], i.dataset))
            for key, i in self.images.items()
        }

    def own(self, level: Level, key: str) -> int:
        """How many of its values, the first, are the record's own."""
        return len(self.values(level)[key] if level is Level.STUDY else image_values(self.images[key]))

    def match(self, level: Level, node: Node) -> set[str]:
        return {key for key, values in self.values(level).items() if matches(values, self.own(level, key), node)}

    def place(self, level: Level, key: str, order: Order) -> tuple[bool, object]:
        """What a record's place in an order goes by, for `sorted` with ties by ordinal: those without it last."""
        values = self.values(level)[key]
        found: float | str | None = None
        if order.key is SortKey.TITLE:
            title = (self.studies if level is Level.STUDY else self.images)[key].title
            found = " ".join(re.sub(r"0*(\d+)", lambda n: n[1].rjust(9, "0"), word) for word in tokens(title)) or None
        elif order.key is SortKey.DATE:
            years = [year * 10_000 for year in _numbers(values, "year")]
            found = min(_numbers(values, "release_date") or years, default=None)
        elif level is Level.STUDY:
            found = max(_numbers(values, "size_bytes"), default=None)
        else:
            axes = [max(_numbers(values, f"size_{axis}"), default=None) for axis in "xyzct"]
            if axes[0] is not None and axes[1] is not None:
                found = math.prod(1 if size is None else size for size in axes)
        return found is None, found or 0

    def counts(self, level: Level, field: str, node: Node) -> Counter[ValueSet]:
        found = self.match(level, node)
        held = (value_set(values, field) for key, values in self.values(level).items() if key in found)
        return Counter(s for s in held if s.terms or s.values)

    def study_sets(self, field: str, node: Node) -> set[tuple[str, ValueSet]]:
        found, values = self.match(Level.IMAGE, node), self.values(Level.IMAGE)
        pairs = {(self.images[key].study_id, value_set(values[key], field)) for key in found}
        return {(study, held) for study, held in pairs if held.terms or held.values}


def _numbers(values: tuple[Value, ...], field: str) -> list[float]:
    found = [number(v.text) for v in values if v.field == field and not any(m.field == field for m in v.mentions)]
    return [n for n in found if n is not None]


def value_set(values: tuple[Value, ...], field: str) -> ValueSet:
    terms = {m.term for value in values for m in value.mentions if m.field == field}
    plain = {
        fold(value.text)
        for value in values
        if value.field == field and field not in UNCOUNTED_FIELDS and not any(m.field == field for m in value.mentions)
    }
    return ValueSet(frozenset(terms), frozenset(plain))


def matches(values: tuple[Value, ...], own: int, node: Node) -> bool:
    """Whether a record matches whose first values are its own and the others inherited."""
    match node:
        case Everything():
            return True
        case And(children):
            return all(matches(values, own, child) for child in children)
        case Or(children):
            return any(matches(values, own, child) for child in children)
        case Best(options):
            return any(matches(values, own, option.node) for option in options)
        case Not(child):
            return not matches(values, own, child)
        case Terms(terms, field):
            return any(m.term in terms and field in (None, m.field) for value in values for m in value.mentions)
        case Words(inherited_prose=False) | Phrase(inherited_prose=False):
            values = (*values[:own], *(value for value in values[own:] if not is_prose(value.field)))
    return any(_value_matches(value, node) for value in values)


def _value_matches(value: Value, node: Node) -> bool:
    match node:
        case Words(words, field):
            return field in (None, value.field) and not words.isdisjoint(tokens(value.text))
        case Phrase(words, field):
            return field in (None, value.field) and bool(words) and _holds(tokens(value.text), words)
        case Equals(field, text):
            return field == value.field and fold(text) == fold(value.text)
        case Range(field, low, high, include_low, include_high):
            found = number(value.text)
            unranged = field in UNCOUNTED_FIELDS or field != value.field
            if unranged or found is None or any(m.field == field for m in value.mentions):
                return False
            above = low is None or found > low or (include_low and found == low)
            return above and (high is None or found < high or (include_high and found == high))
    raise AssertionError(node)


def _holds(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))

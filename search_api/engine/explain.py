"""Why a record matched: the words, the annotation, and the path from it to the term that was asked for."""

from collections.abc import Iterable, Iterator

from hooke.model import Record, Value
from hooke.query import Range
from hooke.results import PathStep, Reason
from hooke.text import fold, number, tokens
from ontologies.catalogue import Catalogue
from search_api.engine.understand import Atom

_EXCERPT = 160
_UNCUT = 180


class Explainer:
    """Gives the reasons of one request's hits.

    An image inherits the values of its study, thousands of them at times and the same objects for every image, so
    those that no atom asks for are told apart once.
    """

    def __init__(self, atoms: Iterable[Atom], catalogue: Catalogue, relations: tuple[str, ...]) -> None:
        self._atoms = tuple(atoms)
        self._catalogue = catalogue
        self._relations = relations
        # by id(), which is faster than hashing a text; the values are kept, so that an id() stays its own
        self._asked: dict[int, Value] = {}
        self._not_asked: dict[int, Value] = {}
        self._paths: dict[tuple[str, tuple[str, ...]], tuple[PathStep, ...]] = {}

    def reasons(self, record: Record) -> tuple[Reason, ...]:
        """Every way in which a record matches the query, annotations first."""
        values = [value for value in record.values if id(value) not in self._not_asked and self._is_asked(value)]
        found: dict[Reason, None] = {}
        for atom in self._atoms:
            found |= dict.fromkeys(self._by_terms(values, atom))
            found |= dict.fromkeys(_by_text([v for v in values if atom.field in (None, v.field)], atom))
        return tuple(found)

    def _is_asked(self, value: Value) -> bool:
        if id(value) in self._asked:
            return True
        asked = any(_annotated(value, atom) or _says(value, atom) for atom in self._atoms)
        (self._asked if asked else self._not_asked)[id(value)] = value
        return asked

    def _by_terms(self, values: Iterable[Value], atom: Atom) -> Iterator[Reason]:
        for value in values:
            for mention in value.mentions:
                if mention.term not in atom.terms or atom.field not in (None, mention.field):
                    continue
                kind = "direct" if mention.term in atom.targets else "inferred"
                yield Reason(kind, mention.field, mention.text, mention.term, self._path(mention.term, atom.targets))

    def _path(self, term: str, targets: tuple[str, ...]) -> tuple[PathStep, ...]:
        path = self._paths.get((term, targets))
        if path is None:
            path = self._paths[term, targets] = _path(term, targets, self._catalogue, self._relations)
        return path


def _annotated(value: Value, atom: Atom) -> bool:
    return any(mention.term in atom.terms for mention in value.mentions)


def _says(value: Value, atom: Atom) -> bool:
    """Whether a value has a part in a match by text."""
    if atom.field not in (None, value.field):
        return False
    if atom.value is not None:
        return fold(value.text) == fold(atom.value)
    if atom.bounds is not None:
        return _inside(value.text, atom.bounds)
    if not _may_hold(value.text, (atom.prefix,) if atom.prefix is not None else atom.phrase[:1] or atom.words):
        return False
    if atom.phrase:
        return _has_phrase(value, atom.phrase)
    if atom.prefix is not None:
        return any(token.startswith(atom.prefix) for token in tokens(value.text))
    return not set(atom.words).isdisjoint(tokens(value.text))


def _may_hold(text: str, words: Iterable[str]) -> bool:
    """Whether a text may hold a token that begins with one of the words: a quick no for most."""
    if not text.isascii():
        return True
    lower = text.lower()
    # a longer token is cut and ends in a digest
    return any(word[:_UNCUT] in lower for word in words)


def _path(term: str, targets: Iterable[str], catalogue: Catalogue, relations: tuple[str, ...]) -> tuple[PathStep, ...]:
    for target in targets:
        steps = catalogue.path(term, target, relations)
        if steps:
            return tuple(PathStep(step.term, step.label, step.relation) for step in steps)
    return (PathStep(term, catalogue.label(term), None),)


def _by_text(values: list[Value], atom: Atom) -> Iterator[Reason]:
    if atom.value is not None:
        yield from (Reason("value", v.field, v.text) for v in values if fold(v.text) == fold(atom.value))
    elif atom.bounds is not None:
        yield from (Reason("range", v.field, v.text) for v in values if _inside(v.text, atom.bounds))
    elif atom.phrase:
        yield from (Reason("text", v.field, _excerpt(v, atom.phrase[0])) for v in values if _has_phrase(v, atom.phrase))
    elif atom.prefix is not None:
        yield from _first_with_prefix(values, atom.prefix)
    else:
        yield from _with_all_words(values, atom.words)


def _with_all_words(values: list[Value], words: tuple[str, ...]) -> Iterator[Reason]:
    """For each word the first value that holds it; nothing unless every word is there."""
    held = [(value, set(tokens(value.text))) for value in values]
    firsts = [next((value for value, have in held if word in have), None) for word in words]
    for word, value in zip(words, firsts, strict=True):
        if value is not None and None not in firsts:
            yield Reason("text", value.field, _excerpt(value, word))


def _first_with_prefix(values: list[Value], prefix: str) -> Iterator[Reason]:
    for value in values:
        word = next((token for token in tokens(value.text) if token.startswith(prefix)), None)
        if word is not None:
            yield Reason("text", value.field, _excerpt(value, word))
            return


def _has_phrase(value: Value, phrase: tuple[str, ...]) -> bool:
    words = tokens(value.text)
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))


def _inside(text: str, bounds: Range) -> bool:
    found = number(text)
    if found is None:
        return False
    above = bounds.low is None or found > bounds.low or (bounds.include_low and found == bounds.low)
    below = bounds.high is None or found < bounds.high or (bounds.include_high and found == bounds.high)
    return above and below


def _excerpt(value: Value, word: str) -> str:
    """The value, cut to whole words around the word when it is long."""
    if len(value.text) <= _EXCERPT:
        return value.text
    pieces = value.text.split()
    at = next((i for i, piece in enumerate(pieces) if word in tokens(piece)), 0)
    return " ".join(pieces[max(0, at - 8) : at + 12])

"""Why a record matched: the words, the annotation, and the path from it to the term that was asked for."""

from collections.abc import Iterable, Iterator, Sequence

from hooke.model import Record, Value
from hooke.query import Range
from hooke.results import PathStep, Reason
from hooke.text import fold, number, tokens
from ontologies.catalogue import Catalogue
from search_api.engine.understand import Atom

_EXCERPT = 160
_UNCUT = 180


class _Asked:
    """A value that an atom asks for, with what is made of its text once."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self.words = tokens(value.text)
        self.distinct = frozenset(self.words)
        self._excerpts: dict[str, str] = {}

    def reason(self, word: str) -> Reason:
        """The value as a reason by text, cut to whole words around the word when it is long."""
        if word not in self._excerpts:
            self._excerpts[word] = _excerpt(self.value.text, word)
        return Reason("text", self.value.field, self._excerpts[word])


class Explainer:
    """Gives the reasons of one request's hits.

    An image inherits the values of its study, thousands of them at times and the same objects for every image, so
    each is read once, and those that no atom asks for are passed over from then on.
    """

    def __init__(self, atoms: Iterable[Atom], catalogue: Catalogue, relations: tuple[str, ...]) -> None:
        self._atoms = tuple(atoms)
        self._catalogue = catalogue
        self._relations = relations
        # by id(), which is faster than hashing a text; the values are kept, so that an id() stays its own
        self._asked: dict[int, _Asked] = {}
        self._not_asked: dict[int, Value] = {}
        self._paths: dict[tuple[str, tuple[str, ...]], tuple[PathStep, ...]] = {}

    def reasons(self, record: Record) -> tuple[Reason, ...]:
        """Every way in which a record matches the query, annotations first."""
        self._read(value for value in record.values if id(value) not in self._not_asked)
        asked = [self._asked[id(value)] for value in record.values if id(value) in self._asked]
        found: dict[Reason, None] = {}
        for atom in self._atoms:
            found |= dict.fromkeys(self._by_terms(asked, atom))
            found |= dict.fromkeys(_by_text([each for each in asked if atom.field in (None, each.value.field)], atom))
        return tuple(found)

    def _read(self, values: Iterable[Value]) -> None:
        for value in values:
            if id(value) in self._asked:
                continue
            if any(_annotated(value, atom) or _says(value, atom) for atom in self._atoms):
                self._asked[id(value)] = _Asked(value)
            else:
                self._not_asked[id(value)] = value

    def _by_terms(self, asked: Iterable[_Asked], atom: Atom) -> Iterator[Reason]:
        for each in asked:
            for mention in each.value.mentions:
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
    """Whether a value may have a part in a match by text; a quick no for most."""
    if atom.field not in (None, value.field):
        return False
    if atom.value is not None:
        return fold(value.text) == fold(atom.value)
    if atom.bounds is not None:
        return _inside(value.text, atom.bounds)
    openings = (atom.prefix,) if atom.prefix is not None else atom.phrase[:1] or atom.words
    if value.text.isascii():
        lower = value.text.lower()
        # a longer token is cut and ends in a digest
        return any(opening[:_UNCUT] in lower for opening in openings)
    return any(token.startswith(tuple(openings)) for token in tokens(value.text))


def _path(term: str, targets: Iterable[str], catalogue: Catalogue, relations: tuple[str, ...]) -> tuple[PathStep, ...]:
    for target in targets:
        steps = catalogue.path(term, target, relations)
        if steps:
            return tuple(PathStep(step.term, step.label, step.relation) for step in steps)
    return (PathStep(term, catalogue.label(term), None),)


def _by_text(asked: Sequence[_Asked], atom: Atom) -> Iterator[Reason]:
    values = [each.value for each in asked]
    if atom.value is not None:
        yield from (Reason("value", v.field, v.text) for v in values if fold(v.text) == fold(atom.value))
    elif atom.bounds is not None:
        yield from (Reason("range", v.field, v.text) for v in values if _inside(v.text, atom.bounds))
    elif atom.phrase:
        yield from (each.reason(atom.phrase[0]) for each in asked if _has_phrase(each.words, atom.phrase))
    elif atom.prefix is not None:
        yield from _first_with_prefix(asked, atom.prefix)
    else:
        yield from _with_all_words(asked, atom.words)


def _with_all_words(asked: Sequence[_Asked], words: tuple[str, ...]) -> Iterator[Reason]:
    """For each word the first value that holds it; nothing unless every word is there."""
    firsts = [next((each for each in asked if word in each.distinct), None) for word in words]
    for word, first in zip(words, firsts, strict=True):
        if first is not None and None not in firsts:
            yield first.reason(word)


def _first_with_prefix(asked: Iterable[_Asked], prefix: str) -> Iterator[Reason]:
    for each in asked:
        word = next((token for token in each.words if token.startswith(prefix)), None)
        if word is not None:
            yield each.reason(word)
            return


def _has_phrase(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))


def _inside(text: str, bounds: Range) -> bool:
    found = number(text)
    if found is None:
        return False
    above = bounds.low is None or found > bounds.low or (bounds.include_low and found == bounds.low)
    below = bounds.high is None or found < bounds.high or (bounds.include_high and found == bounds.high)
    return above and below


def _excerpt(text: str, word: str) -> str:
    if len(text) <= _EXCERPT:
        return text
    pieces = text.split()
    at = next((i for i, piece in enumerate(pieces) if word in tokens(piece)), 0)
    return " ".join(pieces[max(0, at - 8) : at + 12])

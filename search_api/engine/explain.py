"""Why a record matched: the words, the annotation, and the path from it to the term that was asked for."""

from collections.abc import Iterable, Iterator

from hooke.model import Record, Value
from hooke.query import Range
from hooke.results import PathStep, Reason
from hooke.text import fold, number, tokens
from ontologies.catalogue import Catalogue
from search_api.engine.understand import Atom

_EXCERPT = 160


def reasons(
    record: Record, atoms: Iterable[Atom], catalogue: Catalogue, relations: tuple[str, ...]
) -> tuple[Reason, ...]:
    """Every way in which a record matches the atoms of a query, annotations first."""
    found: dict[Reason, None] = {}
    for atom in atoms:
        found |= dict.fromkeys(_by_terms(record, atom, catalogue, relations))
        found |= dict.fromkeys(_by_text(record, atom))
    return tuple(found)


def _by_terms(record: Record, atom: Atom, catalogue: Catalogue, relations: tuple[str, ...]) -> Iterator[Reason]:
    for value in record.values:
        for mention in value.mentions:
            if mention.term not in atom.terms or atom.field not in (None, mention.field):
                continue
            path = _path(mention.term, atom.targets, catalogue, relations)
            kind = "direct" if mention.term in atom.targets else "inferred"
            yield Reason(kind, mention.field, mention.text, mention.term, path)


def _path(term: str, targets: Iterable[str], catalogue: Catalogue, relations: tuple[str, ...]) -> tuple[PathStep, ...]:
    for target in targets:
        steps = catalogue.path(term, target, relations)
        if steps:
            return tuple(PathStep(step.term, step.label, step.relation) for step in steps)
    return (PathStep(term, catalogue.label(term), None),)


def _by_text(record: Record, atom: Atom) -> Iterator[Reason]:
    values = [value for value in record.values if atom.field in (None, value.field)]
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

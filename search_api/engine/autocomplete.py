"""What the words being typed can become: terms by any of their names, studies by their id, values of facets.

Everything is worked out once for a snapshot and kept, so that a keystroke asks no store. What is suggested:

- terms that a record has directly or below it, by label and every synonym, at any word of the name;
- studies by id, at any word of it;
- values by their start: of the facets every archive has the 50,000 most frequent each, and all of any other field of at
  most 10,000. Values over 200 characters are prose, and outside the shared facets those without a letter are numbers
  and those of one or two characters soon typed: none is completed. Nor is an image's prose, for a search of its words
  passes over what the image inherits (docs/adr/0014). A field that is asked for by name gives its 50,000 most frequent,
  numbers and prose too.
"""

import re
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.inherit import is_prose
from hooke.model import Level
from hooke.query import Everything, Terms
from hooke.request import CompletionRequest
from hooke.results import Completion, CompletionResult
from hooke.store.base import MetadataReader
from hooke.text import located, tokens
from ontologies.catalogue import Catalogue
from ontologies.model import Scope
from search_api.engine.understand import LONGEST_NAME
from search_api.engine.word_starts import Ints, WordStarts

_WORDS_READ = 12
"""How many of the last words are taken together: no name in use is much longer."""
_MOST_VALUES = 50_000
_FEW_VALUES = 10_000
_LONGEST_VALUE = 200
_STUDIES_AT_ONCE = 1_000
_KEPT = 32
_SCOPES = {scope: place for place, scope in enumerate(Scope)}
_SYNTAX = re.compile(r'[()\[\]{}":^~*?\\/]')
_ACCESSION = "accession"
"""The field of the studies' ids, which stand for themselves."""


_Place = tuple[Level, str | None]
"""Where something is completed: on a level, by one field or by all."""


class _Name(NamedTuple):
    """A name of one suggestion; scope: how the name relates to a term, "" for what is no term."""

    item: int
    text: str
    scope: str


@dataclass(frozen=True, slots=True)
class _FieldCounts:
    """How many records have each term of a field, with all below it, and each value that is no term."""

    name: str
    terms: Mapping[str, int]
    values: Mapping[str, int]


class Suggestions:
    """Everything that can be suggested on one level of one snapshot, in the order in which it is."""

    def __init__(self, snapshot: int, items: Iterable[Completion], catalogue: Catalogue) -> None:
        self.snapshot = snapshot
        self._items = sorted(items, key=_place)
        self._names, written = _names(self._items, catalogue)
        of_values = np.array([self._items[name.item].kind == "value" for name in self._names], bool)
        self._starts = WordStarts(written, of_values)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def names(self) -> list[str]:
        """Every name there is to find."""
        return [name.text for name in self._names]

    def matching(self, words: str, limit: int, *, unfinished: bool) -> list[Completion]:
        """The best for some words: whole names first, then names that begin so, then names with such a word inside."""
        found = self._starts.find(words, unfinished=unfinished)
        by_item: dict[int, _Name] = {}
        for ranks in (found.exact, found.all):
            for name in self._best_names(ranks):
                if len(by_item) == limit:
                    break
                by_item.setdefault(name.item, name)
        return [replace(self._items[item], name=name.text, scope=name.scope) for item, name in by_item.items()]

    def _best_names(self, ranks: Ints) -> Iterator[_Name]:
        """Names in order; a popular prefix has tens of thousands, of which few are ever taken."""
        done, size = 0, 128
        while done < len(ranks):
            best = ranks if size >= len(ranks) else np.partition(ranks, size)[:size]
            yield from (self._names[rank % len(self._names)] for rank in np.sort(best)[done:].tolist())
            done, size = len(best), size * 16


class Completer:
    """Completes text. One thread makes what it looks in; others wait for the first, or use that of the last state."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Place, Suggestions] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def complete(self, request: CompletionRequest, reader: MetadataReader, catalogue: Catalogue) -> CompletionResult:
        """The suggestions for the longest run of last words that any fits. The field's name is the store's own."""
        typed = located(request.text)[-_WORDS_READ:]
        suggestions = self.suggestions((request.level, request.field), reader, catalogue)
        unfinished = request.text == request.text.rstrip()
        for first in range(len(typed)):
            words = " ".join(word for word, _, _ in typed[first:])
            found = suggestions.matching(words, request.limit, unfinished=unfinished)
            if found:
                return CompletionResult((typed[first][1], typed[-1][2]), tuple(found), suggestions.snapshot)
        return CompletionResult((len(request.text), len(request.text)), (), suggestions.snapshot)

    def suggestions(self, place: _Place, reader: MetadataReader, catalogue: Catalogue) -> Suggestions:
        """What there is on a level, in a field or anywhere; one state late while another thread makes it anew."""
        kept = self._find(place)
        if kept is not None and kept.snapshot >= reader.snapshot.id:
            return kept
        # many who type at once must not all wait: they would leave no thread to answer searches
        if not self._making.acquire(blocking=kept is None):
            return kept  # type: ignore[return-value]  # None never comes here: it waits for the lock
        try:
            made = self._find(place)
            if made is None or made.snapshot < reader.snapshot.id:
                made = self._keep(place, make_suggestions(*place, reader, catalogue))
            return made
        finally:
            self._making.release()

    def _find(self, place: _Place) -> Suggestions | None:
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
            return self._kept.get(place)

    def _keep(self, place: _Place, made: Suggestions) -> Suggestions:
        with self._lock:
            self._kept[place] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


def make_suggestions(level: Level, field: str | None, reader: MetadataReader, catalogue: Catalogue) -> Suggestions:
    """All that can be suggested; field None: of every field, and the studies."""
    if field is not None:
        counted = [_count(field, level, reader, catalogue)]
        of_field = [*_terms(counted, level, reader, catalogue), *_values(counted)]
        return Suggestions(reader.snapshot.id, of_field, catalogue)
    counted = [_count(name, level, reader, catalogue) for name in _completed_fields(level, reader)]
    said = [each for each in counted if not (level is Level.IMAGE and is_prose(each.name))]
    plain = [_worth_completing(each) for each in said if each.name != _ACCESSION]
    items = [*_terms(counted, level, reader, catalogue), *_values(plain), *_studies(reader)]
    return Suggestions(reader.snapshot.id, items, catalogue)


def _completed_fields(level: Level, reader: MetadataReader) -> list[str]:
    """The shared facets, in their order, then the other fields of few values."""
    present = reader.fields(level)
    shared = [name for name in FACET_FIELDS if name in present]
    others = [name for name in present if name not in FACET_FIELDS and name not in UNCOUNTED_FIELDS]
    # words first: they tell a column of file names or numbers, which would be large to read and stay in memory
    words = reader.token_counts(level, others, _FEW_VALUES)
    few = [name for name in others if words[name] <= _FEW_VALUES]
    return shared + [name for name in few if _has_few_values(name, level, reader)]


def _has_few_values(name: str, level: Level, reader: MetadataReader) -> bool:
    values = {value for held in reader.value_sets(level, name) for value in held.values}
    return len(values) <= _FEW_VALUES and any(map(_has_letter, values))


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _count(name: str, level: Level, reader: MetadataReader, catalogue: Catalogue) -> _FieldCounts:
    """Counts by what the sets of a field amount to, as the facets count."""
    terms: Counter[str] = Counter()
    values: Counter[str] = Counter()
    (counts,) = reader.count_sets(level, [name], Everything())
    for held, count in zip(reader.value_sets(level, name), counts.tolist(), strict=True):
        if count:
            terms.update(dict.fromkeys(_closure(held.terms, catalogue), count))
            values.update({value: count for value in held.values if len(value) <= _LONGEST_VALUE})
    return _FieldCounts(name, terms, dict(values.most_common(_MOST_VALUES)))


def _closure(terms: frozenset[str], catalogue: Catalogue) -> frozenset[str]:
    return terms.union(*map(catalogue.ancestors, terms))


def _worth_completing(counted: _FieldCounts) -> _FieldCounts:
    if counted.name in FACET_FIELDS:
        return counted
    return replace(counted, values={v: n for v, n in counted.values.items() if len(v) > 2 and _has_letter(v)})


def _terms(
    counted: Sequence[_FieldCounts], level: Level, reader: MetadataReader, catalogue: Catalogue
) -> Iterator[Completion]:
    used = reader.terms_in_use(level)
    fields: defaultdict[str, list[str]] = defaultdict(list)
    counts: dict[str, int] = {}
    for each in counted:
        for term, count in each.terms.items():
            fields[term].append(each.name)
            counts[term] = count
    for term, names in fields.items():
        # a record that has a term in two fields is one record
        count = counts[term] if len(names) == 1 else reader.count(level, Terms(catalogue.descendants_among(term, used)))
        label = catalogue.label(term)
        text = _found_by(term, label, catalogue)
        if text is not None:
            yield Completion("term", text, term, label, count=count, fields=tuple(names))


def _found_by(term: str, label: str, catalogue: Catalogue) -> str | None:
    """What a query finds a term by: its label; its id where that names none, as a dead term's does; None: nothing."""
    if _reads_as_name(label) and any(match.term == term for match in catalogue.find(label)):
        return label
    resolved = catalogue.resolve(term)
    return term if resolved and resolved.term == term else None


def _reads_as_name(label: str) -> bool:
    """Whether a query of just this label is read as one name, and not as syntax or as several names."""
    words = label.split()
    return len(words) <= LONGEST_NAME and not _SYNTAX.search(label) and not {"AND", "OR", "NOT"} & set(words)


def _values(counted: Iterable[_FieldCounts]) -> Iterator[Completion]:
    for each in counted:
        for value, count in each.values.items():
            yield Completion("value", value, value, value, count=count, fields=(each.name,))


def _studies(reader: MetadataReader) -> Iterator[Completion]:
    ordinals = reader.ordinals(Level.STUDY, Everything()).to_array().tolist()
    for start in range(0, len(ordinals), _STUDIES_AT_ONCE):
        for record in reader.records(Level.STUDY, ordinals[start : start + _STUDIES_AT_ONCE]):
            yield Completion("record", record.id, record.id, record.title)


def _place(item: Completion) -> tuple[int, int, str, str]:
    """Terms and values of the shared facets by frequency, then studies, then what other fields say."""
    if item.kind == "record":
        return 1, 0, item.text, item.id
    is_shared = item.kind == "term" or item.fields[0] in FACET_FIELDS
    return 0 if is_shared else 2, -(item.count or 0), item.text, item.id


def _names(items: Sequence[Completion], catalogue: Catalogue) -> tuple[list[_Name], list[str]]:
    """Every name of every item, the items in order and of each the surest first, and how it is written for finding."""
    names: list[_Name] = []
    written: list[str] = []
    for number, item in enumerate(items):
        spelled = _names_of_term(item.id, catalogue) if item.kind == "term" else [(item.text, "")]
        seen: set[str] = set()
        for text, scope in spelled:
            words = " ".join(tokens(text))
            if words and words not in seen:
                seen.add(words)
                names.append(_Name(number, text, scope))
                written.append(words)
    return names, written


def _names_of_term(term: str, catalogue: Catalogue) -> list[tuple[str, str]]:
    found = catalogue.term(term)
    synonyms = sorted(found.synonyms, key=lambda synonym: _SCOPES[synonym.scope])
    return [(found.label or term, Scope.LABEL.value), *((each.text, each.scope.value) for each in synonyms)]

"""What the words being typed can become: terms by any of their names, studies by their id, values of facets.

Everything is worked out once for a snapshot and kept, so that a keystroke asks no store. What is suggested:

- terms that a record has directly or below it, by label and every synonym, at any word of the name;
- studies by id, at any word of it;
- values by their start: of the facets every archive has the 50,000 most frequent each, and all of any other field of at
  most 5,000. Values over 200 characters are prose, and outside the shared facets those without a letter are numbers:
  neither is completed. A field that is asked for by name gives its 50,000 most frequent, numbers too.
"""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.model import DEFAULT_RELATIONS, Level
from hooke.query import Everything, Terms
from hooke.request import CompletionRequest
from hooke.results import Completion, CompletionResult
from hooke.store.base import MetadataReader
from hooke.text import located, tokens
from ontologies.catalogue import Catalogue
from ontologies.model import Scope
from search_api.engine.facets import build_table
from search_api.engine.word_starts import Ints, WordStarts

_WORDS_READ = 12
"""How many of the last words are taken together: no name in use is much longer."""
_MOST_VALUES = 50_000
_FEW_VALUES = 5_000
_FEW_TOKENS = 4 * _FEW_VALUES
_LONGEST_VALUE = 200
_STUDIES_AT_ONCE = 1_000
_KEPT = 32
_KINDS = ("term", "value", "record")
_SCOPES = {scope: place for place, scope in enumerate(Scope)}
_ACCESSION = "accession"
"""The field of the studies' ids, which stand for themselves."""


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
    """Everything that can be suggested on one level of one snapshot, the most frequent first."""

    def __init__(self, items: Iterable[Completion], catalogue: Catalogue) -> None:
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
    """Completes text; what it looks in is kept by snapshot, and made by one thread while others wait for it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, Level, str | None], Suggestions] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def complete(self, request: CompletionRequest, reader: MetadataReader, catalogue: Catalogue) -> CompletionResult:
        """The suggestions for the longest run of last words that any fits. The field's name is the store's own."""
        typed = located(request.text)[-_WORDS_READ:]
        suggestions = self._suggestions(request.level, request.field, reader, catalogue) if typed else None
        unfinished = request.text == request.text.rstrip()
        for first in range(len(typed)):
            words = " ".join(word for word, _, _ in typed[first:])
            found = suggestions.matching(words, request.limit, unfinished=unfinished) if suggestions else []
            if found:
                return CompletionResult((typed[first][1], typed[-1][2]), tuple(found), reader.snapshot.id)
        return CompletionResult((len(request.text), len(request.text)), (), reader.snapshot.id)

    def _suggestions(
        self, level: Level, field: str | None, reader: MetadataReader, catalogue: Catalogue
    ) -> Suggestions:
        key = (reader.snapshot.id, catalogue.version, level, field)
        kept = self._find(key)
        if kept is None:
            with self._making:
                kept = self._find(key) or self._keep(key, make_suggestions(level, field, reader, catalogue))
        return kept

    def _find(self, key: tuple[int, str, Level, str | None]) -> Suggestions | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[int, str, Level, str | None], made: Suggestions) -> Suggestions:
        with self._lock:
            self._kept[key] = made
            # older snapshots are read no more, but for requests that began just before a commit
            for past in [other for other in self._kept if other[0] < key[0]]:
                del self._kept[past]
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


def make_suggestions(level: Level, field: str | None, reader: MetadataReader, catalogue: Catalogue) -> Suggestions:
    """All that can be suggested; field None: of every field, and the studies."""
    if field is not None:
        counted = [_count(field, level, reader, catalogue)]
        return Suggestions([*_terms(counted, level, reader, catalogue), *_values(counted)], catalogue)
    counted = [_count(name, level, reader, catalogue) for name in _completed_fields(level, reader)]
    plain = [_without_numbers(each) for each in counted if each.name != _ACCESSION]
    items = [*_terms(counted, level, reader, catalogue), *_values(plain), *_studies(reader)]
    return Suggestions(items, catalogue)


def _completed_fields(level: Level, reader: MetadataReader) -> list[str]:
    """The shared facets, in their order, then the other fields of few values."""
    present = reader.fields(level)
    shared = [name for name in FACET_FIELDS if name in present]
    others = [name for name in present if name not in FACET_FIELDS and name not in UNCOUNTED_FIELDS]
    return shared + [name for name in others if _has_few_values(name, level, reader)]


def _has_few_values(name: str, level: Level, reader: MetadataReader) -> bool:
    # words first: they are counted without reading a column of file names, which is large and would stay in memory
    if len(reader.tokens(level, "", field=name, limit=_FEW_TOKENS + 1)) > _FEW_TOKENS:
        return False
    return len({value for held in reader.value_sets(level, name) for value in held.values}) <= _FEW_VALUES


def _count(name: str, level: Level, reader: MetadataReader, catalogue: Catalogue) -> _FieldCounts:
    table = build_table(reader, catalogue, level, name, DEFAULT_RELATIONS)
    (counts,) = reader.count_sets(level, [name], Everything())
    plain = {value for held in reader.value_sets(level, name) for value in held.values}
    found = table.count(counts, len(table.ids))
    values = ((each.id, each.count) for each in found if each.id in plain and len(each.id) <= _LONGEST_VALUE)
    return _FieldCounts(
        name,
        {each.id: each.count for each in found if each.id not in plain},
        dict(islice(values, _MOST_VALUES)),
    )


def _without_numbers(counted: _FieldCounts) -> _FieldCounts:
    if counted.name in FACET_FIELDS:
        return counted
    return replace(counted, values={v: n for v, n in counted.values.items() if any(map(str.isalpha, v))})


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
        count = counts[term] if len(names) == 1 else reader.count(level, Terms(catalogue.descendants(term) & used))
        label = catalogue.label(term)
        yield Completion("term", label, term, label, count=count, fields=tuple(names))


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
    return -(item.count or 0), _KINDS.index(item.kind), item.text, item.id


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

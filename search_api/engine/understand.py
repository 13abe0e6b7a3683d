"""From what was typed to what a store is asked: words find their terms, terms what is below, prefixes their words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rapidfuzz import process

from hooke.errors import BadQuery, UnknownField
from hooke.fields import FACET_FIELDS, ONTOLOGY_FIELDS, TITLE, field_name
from hooke.model import Level, TermId
from hooke.query import (
    And,
    Best,
    Equals,
    Everything,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    TermRef,
    Terms,
    Text,
    Weighted,
    Words,
)
from hooke.query_text import Vocabulary, read_query
from hooke.request import Filter, SearchRequest
from hooke.results import QueryReport
from hooke.store.base import MetadataReader
from hooke.text import tokens
from ontologies.catalogue import Catalogue
from search_api.engine.terms import QueryTerms

MAX_EXPANSIONS = 400
LONGEST_NAME = 8
_WEIGHTS = {"title": 5.0, "direct": 4.0, "inferred": 2.0, "text": 1.0}
_NO_TERM = frozenset(
    {"a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "in", "is", "it", "its", "not", "of", "on", "or"}
    | {"that", "the", "to", "was", "with"}
)
"""Words too common to name a term by themselves."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing asked for, as explanations need it: words to find, or a term with everything below it."""

    text: str
    field: str | None
    words: tuple[str, ...] = ()
    phrase: tuple[str, ...] = ()
    prefix: str | None = None
    targets: tuple[TermId, ...] = ()
    terms: frozenset[TermId] = frozenset()
    value: str | None = None
    bounds: Range | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """A request as a store is asked it: the text's node, each filter's, and what was made of the words."""

    text: Node
    filters: tuple[tuple[str, Node], ...]
    atoms: tuple[Atom, ...]
    report: QueryReport

    def where(self, *, without: str | None = None) -> Node:
        """Everything at once; `without` leaves out what was chosen in one facet, for its own counts."""
        chosen = [node for name, node in self.filters if name != without]
        parts = [node for node in (self.text, *chosen) if node != Everything()]
        return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else Everything()


def understand(request: SearchRequest, reader: MetadataReader, catalogue: Catalogue) -> Understood:
    """Read a request against what is indexed. Raises BadQuery, UnknownField, UnknownTerm."""
    return _Reader(request, reader, catalogue).read()


def known_field(name: str, level: Level, reader: MetadataReader) -> str:
    """The field a name stands for, in any spelling. Raises UnknownField with the nearest names."""
    found = _field_or_none(name, level, reader)
    if found is None:
        near = [
            match
            for match, _, _ in process.extract(field_name(name), list(reader.fields(level)), limit=3, score_cutoff=60)
        ]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownField(f"no {level} has a field {name!r}{hint}")
    return found


def _field_or_none(name: str, level: Level, reader: MetadataReader) -> str | None:
    plain = field_name(name)
    return plain if plain in FACET_FIELDS or plain in reader.fields(level) else None


class _Reader:
    def __init__(self, request: SearchRequest, reader: MetadataReader, catalogue: Catalogue) -> None:
        self._request = request
        self._reader = reader
        self._catalogue = catalogue
        self._level = request.level
        self._terms = QueryTerms(request, reader, catalogue)
        self._atoms: list[Atom] = []
        self._notices: list[str] = []

    def read(self) -> Understood:
        vocabulary = Vocabulary(
            lambda name: _field_or_none(name, self._level, self._reader),
            self._is_id,
        )
        reading = read_query(self._request.text, vocabulary, strict=self._request.strict)
        self._notices.extend(reading.notices)
        text = self._node(reading.node)
        # a field's own values are alternatives, other fields restrict further
        filters = [(name, node) for f in self._request.filters for name, node in [self._filter(f)]]
        for bounds in self._request.ranges:
            name = known_field(bounds.field, self._level, self._reader)
            filters.append((name, self._bounds(replace(bounds, field=name))))
        return Understood(text, tuple(filters), tuple(self._atoms), self._terms.report(self._notices))

    def _is_id(self, text: str) -> bool:
        return self._catalogue.resolve(text) is not None

    def _node(self, node: Node) -> Node:
        match node:
            case And(children):
                return And(tuple(map(self._node, children)))
            case Or(children):
                return Or(tuple(map(self._node, children)))
            case Not(child):
                return Not(self._silently(child))
            case Text():
                return self._text(node)
            case Prefix(prefix, name):
                return self._prefix(prefix, name)
            case TermRef(text, name):
                return self._term_ref(text, name)
            case Phrase(words, name):
                self._atoms.append(Atom(" ".join(words), name, phrase=words))
                return Best((Weighted(Phrase(words, TITLE), _WEIGHTS["title"]), Weighted(node, _WEIGHTS["text"])))
            case Range():
                return self._bounds(node)
        return node

    def _silently(self, node: Node) -> Node:
        """A node under a NOT: understood and reported, but no reason for a hit."""
        atoms = len(self._atoms)
        understood = self._node(node)
        del self._atoms[atoms:]
        return understood

    def _bounds(self, bounds: Range) -> Node:
        self._atoms.append(Atom(bounds.field, bounds.field, bounds=bounds))
        return bounds

    def _text(self, text: Text) -> Node:
        nodes: list[Node] = []
        for position, (words, targets) in enumerate(self._segments(text)):
            if text.not_first and position == 0:
                nodes.append(Not(self._silently_atom(words, text.field, targets)))
            else:
                nodes.append(self._atom(words, text.field, targets))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _silently_atom(self, words: Sequence[str], name: str | None, targets: tuple[TermId, ...]) -> Node:
        atoms = len(self._atoms)
        node = self._atom(words, name, targets)
        del self._atoms[atoms:]
        return node

    def _segments(self, text: Text) -> Iterator[tuple[tuple[str, ...], tuple[TermId, ...]]]:
        """Words cut into the longest runs that name terms; a word that names none stands alone."""
        start = 0
        while start < len(text.words):
            longest = min(LONGEST_NAME, len(text.words) - start)
            runs = (text.words[start : start + length] for length in range(longest, 0, -1))
            named = ((run, self._targets(run, text.field)) for run in runs)
            run, targets = next(((r, t) for r, t in named if t), ((text.words[start],), ()))
            yield run, targets
            start += len(run)

    def _targets(self, run: tuple[str, ...], name: str | None) -> tuple[TermId, ...]:
        if not self._request.expand or (name is not None and name not in ONTOLOGY_FIELDS):
            return ()
        phrase = " ".join(run)
        if len(run) == 1:
            resolved = self._terms.resolved(phrase, name) if "_" in phrase or name else ()
            if resolved:
                return resolved
            if phrase.casefold() in _NO_TERM or (len(phrase) < 3 and phrase.isalpha()):
                return ()
        return self._terms.named(phrase, ONTOLOGY_FIELDS.get(name) if name else None)

    def _atom(self, run: Sequence[str], name: str | None, targets: tuple[TermId, ...]) -> Node:
        words = tuple(dict.fromkeys(token for word in run for token in tokens(word)))
        atom = Atom(" ".join(run), name, words, targets=targets, terms=self._terms.closure(targets))
        self._atoms.append(atom)
        options = [Weighted(_all_words(words, name), _WEIGHTS["text"])]
        if name is None:
            options.append(Weighted(_all_words(words, TITLE), _WEIGHTS["title"]))
        if targets:
            options.append(Weighted(Terms(frozenset(targets), name), _WEIGHTS["direct"]))
            options.append(Weighted(Terms(atom.terms, name), _WEIGHTS["inferred"]))
        node = Best(tuple(options))
        if not targets and not self._reader.count(self._level, node):
            self._terms.report_unknown(atom.text, name)
        return node

    def _prefix(self, prefix: str, name: str | None) -> Node:
        words = self._reader.tokens(self._level, prefix, field=name, limit=MAX_EXPANSIONS + 1)
        if len(words) > MAX_EXPANSIONS:
            raise BadQuery(f"{prefix!r}* stands for more than {MAX_EXPANSIONS} words: type more of the word")
        self._atoms.append(Atom(f"{prefix}*", name, prefix=prefix))
        found = frozenset(words)
        options = [Weighted(Words(found, name), _WEIGHTS["text"])]
        if name is None:
            options.append(Weighted(Words(found, TITLE), _WEIGHTS["title"]))
        return Best(tuple(options))

    def _term_ref(self, text: str, name: str | None) -> Node:
        targets = self._terms.resolved(text, name)
        atom = Atom(text, name, targets=targets, terms=self._terms.closure(targets))
        self._atoms.append(atom)
        return Best(
            (
                Weighted(Terms(frozenset(targets), name), _WEIGHTS["direct"]),
                Weighted(Terms(atom.terms, name), _WEIGHTS["inferred"]),
            )
        )

    def _filter(self, chosen: Filter) -> tuple[str, Node]:
        name = known_field(chosen.field, self._level, self._reader)
        atoms = len(self._atoms)
        either = Or(tuple(self._filter_value(name, value) for value in chosen.values))
        if not chosen.negate:
            return name, either
        del self._atoms[atoms:]
        # a facet's counts ignore what is chosen in it, not what is excluded
        return f"not {name}", Not(either)

    def _filter_value(self, name: str, value: str) -> Node:
        targets = self._filter_terms(name, value)
        if targets:
            atom = Atom(value, name, targets=targets, terms=self._terms.closure(targets), value=value)
            self._atoms.append(atom)
            return Or((Terms(atom.terms, name), Equals(name, value)))
        self._atoms.append(Atom(value, name, value=value))
        node = Equals(name, value)
        if not self._reader.count(self._level, node):
            self._terms.report_unknown(value, name)
        return node

    def _filter_terms(self, name: str, value: str) -> tuple[TermId, ...]:
        resolved = self._terms.resolved(value, name)
        if resolved or name not in ONTOLOGY_FIELDS:
            return resolved
        named = self._terms.named(value, ONTOLOGY_FIELDS[name])
        if not named and self._terms.looks_like_id(value):
            self._catalogue.term(value)  # raises UnknownTerm with the nearest ids
        return named


def _all_words(words: Iterable[str], name: str | None) -> Node:
    nodes = tuple(Words(frozenset({word}), name) for word in words)
    return nodes[0] if len(nodes) == 1 else And(nodes)

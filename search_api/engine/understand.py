"""From what was typed to what a store is asked: words find their terms, terms what is below, prefixes their words."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from rapidfuzz import process
from rapidfuzz.distance import OSA

from hooke.errors import BadQuery, UnknownField
from hooke.fields import FACET_FIELDS, ONTOLOGY_FIELDS, TITLE, field_name
from hooke.model import Level, TermId
from hooke.query import (
    And,
    Best,
    Equals,
    Everything,
    Fuzzy,
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
from hooke.query_print import print_query
from hooke.query_text import Vocabulary, read_query
from hooke.request import Filter, SearchRequest
from hooke.results import Expansion, QueryReport
from hooke.store.base import MetadataReader
from hooke.text import tokens
from ontologies.catalogue import Catalogue
from ontologies.more_names import more_names
from ontologies.names import normal, spellings
from ontologies.prose import tagger_of
from search_api.engine.terms import QueryTerms

MAX_EXPANSIONS = 400
LONGEST_NAME = 8
_SHORTEST = 3
"""Letters of a name that is looked for in texts though it was not typed."""
_MOST_NAMES = 12
_MOST_PHRASES = 8
_WORDS_COMPARED = 1_000_000
_WEIGHTS = {"title": 5.0, "direct": 4.0, "inferred": 2.0, "text": 1.0}
_NO_TERM = frozenset(
    {"a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "in", "is", "it", "its", "not", "of", "on", "or"}
    | {"that", "the", "to", "was", "with"}
)
"""Words too common to name a term by themselves."""


Run = tuple[frozenset[str], ...]
"""Words next to each other in one value, each in any of its spellings."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One way in which records say what is asked: every run, each anywhere.

    name, scope: the term's name that this is; "" for the words as typed.
    """

    runs: tuple[Run, ...]
    name: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing asked for, as explanations need it: words to find, or a term with everything below it.

    prefix: what all its words begin with, if they do. inherited_prose: whether an image's inherited prose may say it.
    """

    text: str
    field: str | None
    sayings: tuple[Saying, ...] = ()
    prefix: str | None = None
    targets: tuple[TermId, ...] = ()
    terms: frozenset[TermId] = frozenset()
    value: str | None = None
    bounds: Range | None = None
    inherited_prose: bool = True


@dataclass(frozen=True, slots=True)
class Understood:
    """A request as a store is asked it: the text's node, each filter's, and what was made of the words.

    atoms: what hits can match by. asked: what each leaf of the nodes asks for, also those under a NOT.
    """

    text: Node
    filters: tuple[tuple[str, Node], ...]
    atoms: tuple[Atom, ...]
    asked: Mapping[Node, Atom]
    report: QueryReport

    def where(self, *, without: str | None = None) -> Node:
        """Everything at once; `without` leaves out what was chosen in one facet, for its own counts."""
        chosen = [node for name, node in self.filters if name != without]
        parts = [node for node in (self.text, *chosen) if node != Everything()]
        return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else Everything()


def understand(request: SearchRequest, reader: MetadataReader, catalogue: Catalogue) -> Understood:
    """Read a request against what is indexed. Raises BadQuery, UnknownField, UnknownTerm."""
    catalogue.check_relations(request.expand)
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
        self._asked: dict[Node, Atom] = {}
        self._expansions: list[Expansion] = []

    def read(self) -> Understood:
        vocabulary = Vocabulary(
            lambda name: _field_or_none(name, self._level, self._reader),
            self._is_id,
        )
        reading = read_query(self._request.text, vocabulary, strict=self._request.strict)
        text = self._node(reading.node)
        # a field's own values are alternatives, other fields restrict further
        filters = [(name, node) for f in self._request.filters for name, node in [self._filter(f)]]
        for bounds in self._request.ranges:
            name = known_field(bounds.field, self._level, self._reader)
            filters.append((name, self._bounds(replace(bounds, field=name))))
        report = self._terms.report(reading.notices, self._expansions, print_query(reading.node))
        return Understood(text, tuple(filters), tuple(self._atoms), self._asked, report)

    def _ask(self, atom: Atom, node: Node) -> Node:
        """A leaf, remembered with what it asks for."""
        self._atoms.append(atom)
        self._asked[node] = atom
        return node

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
            case Prefix() | Fuzzy():
                return self._expanded(node)
            case TermRef(text, name):
                return self._term_ref(text, name)
            case Phrase(words, name):
                literal = Saying((tuple(frozenset({word}) for word in words),))
                options = (Weighted(Phrase(words, TITLE), _WEIGHTS["title"]), Weighted(node, _WEIGHTS["text"]))
                return self._ask(Atom(print_query(node), name, (literal,)), Best(options))
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
        return self._ask(Atom(print_query(bounds), bounds.field, bounds=bounds), bounds)

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
            short = len(phrase) < 3 and phrase.isalpha() and not more_names(phrase, normal(phrase))
            if phrase.casefold() in _NO_TERM or short:
                return ()
        return self._terms.named(phrase, name) or self._terms.headed(run, name)

    def _atom(self, run: Sequence[str], name: str | None, targets: tuple[TermId, ...]) -> Node:
        phrase, sayings = " ".join(run), self._sayings(run, targets)
        terms = self._terms.closure(targets)
        # what a study's text names is a term of its images already, wherever it may be believed
        is_read = bool(targets) and name is None and tagger_of(self._catalogue).reads(phrase, terms)
        prose = not is_read
        atom = Atom(phrase, name, sayings, targets=targets, terms=terms, inherited_prose=prose)
        node = Best((*_said(sayings, name, prose), *self._annotated(atom)))
        if not targets and not self._reader.count(self._level, node):
            self._terms.report_unknown(atom.text, name)
        return self._ask(atom, node)

    def _annotated(self, atom: Atom) -> tuple[Weighted, ...]:
        if not atom.targets:
            return ()
        direct = Weighted(Terms(frozenset(atom.targets), atom.field), _WEIGHTS["direct"])
        return direct, Weighted(Terms(atom.terms, atom.field), _WEIGHTS["inferred"])

    def _sayings(self, run: Sequence[str], targets: tuple[TermId, ...]) -> tuple[Saying, ...]:
        """The words as typed, and the other names of the terms that they name."""
        if not self._request.expand:
            return (Saying(tuple((frozenset({token}),) for token in _distinct(run))),)
        typed = _typed(run)
        named = sorted(self._terms.names(targets), key=lambda each: len(tokens(each[0])))
        others: dict[tuple[Run, ...], Saying] = {}
        for name, scope in named:
            words = tokens(name)
            if len("".join(words)) >= _SHORTEST:
                others.setdefault((_run(words),), Saying((_run(words),), name, str(scope)))
        kept = [typed]
        for saying in others.values():
            # `house mouse` is found wherever `mouse` is
            if not any(all(_holds(saying.runs[0], run) for run in known.runs) for known in kept):
                kept.append(saying)
        return tuple(kept[:_MOST_NAMES])

    def _expanded(self, node: Prefix | Fuzzy) -> Node:
        """A word with an open end or with misspellings, as the indexed words that it stands for."""
        shown = print_query(replace(node, field=None))
        words = self._words_like(node)
        if len(words) > MAX_EXPANSIONS:
            raise BadQuery(f"{shown} stands for more than {MAX_EXPANSIONS} words: type more of the word")
        self._expansions.append(Expansion(shown, words))
        said = (Saying(((frozenset(words),),)),)
        prefix = node.prefix if isinstance(node, Prefix) else node.word[0]
        return self._ask(Atom(print_query(node), node.field, said, prefix), Best(_said(said, node.field)))

    def _words_like(self, node: Prefix | Fuzzy) -> tuple[str, ...]:
        if isinstance(node, Prefix):
            return self._reader.tokens(self._level, node.prefix, field=node.field, limit=MAX_EXPANSIONS + 1)
        # the first letter is right: to compare with every word of a large index would take too long
        words = self._reader.tokens(self._level, node.word[0], field=node.field, limit=_WORDS_COMPARED)
        near = process.extract(node.word, words, scorer=OSA.distance, score_cutoff=node.edits, limit=MAX_EXPANSIONS + 1)
        return tuple(sorted(word for word, _, _ in near))

    def _term_ref(self, text: str, name: str | None) -> Node:
        targets = self._terms.resolved(text, name)
        atom = Atom(text, name, targets=targets, terms=self._terms.closure(targets))
        return self._ask(atom, Best(self._annotated(atom)))

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
            return self._ask(atom, Or((Terms(atom.terms, name), Equals(name, value))))
        node = Equals(name, value)
        if not self._reader.count(self._level, node):
            self._terms.report_unknown(value, name)
        return self._ask(Atom(value, name, value=value), node)

    def _filter_terms(self, name: str, value: str) -> tuple[TermId, ...]:
        resolved = self._terms.resolved(value, name)
        if resolved or name not in ONTOLOGY_FIELDS:
            return resolved
        named = self._terms.named(value, name)
        if not named and self._terms.looks_like_id(value):
            self._catalogue.term(value)  # raises UnknownTerm with the nearest ids
        return named


def _distinct(run: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token for word in run for token in tokens(word)))


def _typed(run: Sequence[str]) -> Saying:
    """Words as typed, each anywhere; next to each other where one says too little: `H&E`, `2-photon`, `E. coli`."""
    words = tuple(map(tokens, run))
    if len(run) > 1 and any(len(token) == 1 and token.isalpha() for word in words for token in word):
        return Saying((_run(tuple(token for word in words for token in word)),))
    runs: list[Run] = []
    for word in words:
        together = len(word) > 1 and min(map(len, word)) == 1
        runs += [_run(word)] if together else [(spellings(token),) for token in word]
    return Saying(tuple(dict.fromkeys(runs)))


def _run(words: tuple[str, ...]) -> Run:
    """Words next to each other, in all spellings while they make few phrases; in any case the last one's number."""
    every = tuple(map(spellings, words))
    if math.prod(map(len, every)) <= _MOST_PHRASES:
        return every
    return (*(frozenset({word}) for word in words[:-1]), every[-1])


def _holds(run: Run, part: Run) -> bool:
    """Whether all that has one run has the other."""
    places = range(len(run) - len(part) + 1)
    return any(all(run[at + i] <= part[i] for i in range(len(part))) for at in places)


def _said(sayings: Iterable[Saying], name: str | None, inherited_prose: bool = True) -> tuple[Weighted, ...]:
    """What the values of records say, best in the title."""
    ways = [(_WEIGHTS["text"], name)] + ([(_WEIGHTS["title"], TITLE)] if name is None else [])
    nodes = {field: [_saying(saying, field, inherited_prose) for saying in sayings] for _, field in ways}
    return tuple(Weighted(_any(nodes[field], Or), weight) for weight, field in ways)


def _saying(saying: Saying, name: str | None, inherited_prose: bool) -> Node:
    return _any([_run_node(run, name, inherited_prose) for run in saying.runs], And)


def _run_node(run: Run, name: str | None, inherited_prose: bool) -> Node:
    if len(run) == 1:
        return Words(run[0], name, inherited_prose)
    return _any([Phrase(words, name, inherited_prose) for words in product(*map(sorted, run))], Or)


def _any(nodes: Sequence[Node], join: type[And | Or]) -> Node:
    return nodes[0] if len(nodes) == 1 else join(tuple(nodes))

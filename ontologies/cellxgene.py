"""The JSON of cellxgene-ontology-guide: every term with its ancestors and their distance, relations not told apart."""

# array is generic to the type checker only
from __future__ import annotations

import codecs
import itertools
import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

from hooke.errors import BadOntology
from ontologies.ids import canonical, prefix_of
from ontologies.model import MERGED, Edge, LoadWarning, Ontology, Scope, Synonym, Term
from ontologies.source import Source

_FILE_NAME = re.compile(r"(?P<name>\w+)-ontology-v?(?P<version>.+)\.json(\.zst|\.gz)?")
_SEPARATORS = re.compile(r"[\s,:]*")

_DISTANCE = itemgetter(1)
_LONGEST = 1 << 26
"""Characters that wait for the end of one term: more is no term but a malformed file."""

Entry = dict[str, object]


def load_cellxgene(source: Source) -> Ontology:
    """Load such a file, one term at a time: the NCBI taxonomy is 844 MB of JSON.

    Parents are the ancestors at distance 1. The file leaves out terms of other ontologies, so that an ancestor may
    have nobody in between; such an ancestor becomes a parent too, and the closure equals the file's own list.
    """
    terms: list[Term] = []
    ancestors = _Ancestors()
    named = _FILE_NAME.fullmatch(source.name)
    name = named["name"].casefold() if named else ""
    for term_id, entry in _entries(source):
        term = _term(term_id, entry, name)
        terms.append(term)
        ancestors.add(term_id, entry.get("ancestors"), source.name)
    if not terms:
        raise BadOntology(f"{source.name}: holds no terms")
    edges, skipped = ancestors.edges()
    message = "ancestors with no term of this file in between, taken as parents"
    return Ontology(
        name=name or prefix_of(terms[0].id).casefold(),
        version=named["version"] if named else "",
        prefix=prefix_of(terms[0].id),
        relations=MERGED,
        source=source.name,
        digest=source.digest,
        terms=tuple(terms),
        edges=edges,
        warnings=(LoadWarning("SkippedLevels", message, len(skipped), skipped[0]),) if skipped else (),
    )


class _Ancestors:
    """The ancestors of every term, held as numbers: four bytes each, where a dict of strings takes a hundred."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []
        self._terms = array("i")
        self._starts = array("q", [0])
        self._of = array("i")
        self._distance = array("B")

    def add(self, term: str, listed: object, file: str) -> None:
        if not isinstance(listed, dict) or not all(isinstance(d, int) and d > 0 for d in listed.values()):
            raise BadOntology(f"{file}: the ancestors of {term} are no map from ids to distances")
        self._terms.append(self._number(term))
        nearest_first = sorted(listed.items(), key=_DISTANCE)
        self._of.extend([self._number(ancestor) for ancestor, _ in nearest_first])
        self._distance.extend([min(distance, 255) for _, distance in nearest_first])
        self._starts.append(len(self._of))

    def edges(self) -> tuple[tuple[Edge, ...], list[str]]:
        """The edges, and the terms with an ancestor that no parent at distance 1 leads to."""
        rows = {term: row for row, term in enumerate(self._terms)}
        edges: list[Edge] = []
        skipped: list[str] = []
        for row, term in enumerate(self._terms):
            direct, far = self._split(row)
            extra = self._uncovered(direct, far, rows) if far else []
            if extra:
                skipped.append(self._ids[term])
            edges.extend((self._ids[term], MERGED, self._ids[parent]) for parent in (*direct, *extra))
        return tuple(edges), skipped

    def _uncovered(self, direct: array[int], far: array[int], rows: dict[int, int]) -> list[int]:
        covered: set[int] = set()
        for parent in direct:
            covered.update(self._listed(rows.get(parent)))
        extra: list[int] = []
        for ancestor in far:  # nearest first, so that a farther one is covered by it
            if ancestor not in covered:
                extra.append(ancestor)
                covered.update((ancestor, *self._listed(rows.get(ancestor))))
        return extra

    def _split(self, row: int) -> tuple[array[int], array[int]]:
        start, end = self._starts[row], self._starts[row + 1]
        middle = bisect_left(self._distance, 2, start, end)
        return self._of[start:middle], self._of[middle:end]

    def _listed(self, row: int | None) -> array[int]:
        return array("i") if row is None else self._of[self._starts[row] : self._starts[row + 1]]

    def _number(self, spelling: str) -> int:
        number = self._numbers.setdefault(spelling, len(self._ids))
        if number == len(self._ids):
            self._ids.append(canonical(spelling))
        return number


def _term(term_id: str, entry: Entry, ontology: str) -> Term:
    label, definition = entry.get("label"), entry.get("description")
    return Term(
        id=canonical(term_id),
        label=label if isinstance(label, str) else "",
        definition=definition if isinstance(definition, str) else "",
        # The file does not tell the scopes of synonyms; like its makers, take them as exact.
        synonyms=tuple(Synonym(text, Scope.EXACT) for text in _strings(entry.get("synonyms"))),
        obsolete=entry.get("deprecated") is True,
        replaced_by=tuple(map(canonical, _strings(entry.get("replaced_by")))),
        consider=tuple(map(canonical, _strings(entry.get("consider")))),
        ontology=ontology,
    )


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _entries(source: Source) -> Iterator[tuple[str, Entry]]:
    """The members of the file's one object, decoded as they arrive."""
    decoder = json.JSONDecoder()
    pieces = _decoded(source)
    text, position = next(pieces, "").lstrip().removeprefix("{"), 0
    for piece in itertools.chain(("",), pieces):
        text, position = text[position:] + piece, 0
        if len(text) > _LONGEST:
            break
        while (member := _member(decoder, text, position)) is not None:
            term, entry, position = member
            yield term, entry
    if text[position:].strip() != "}":
        raise BadOntology(f"{source.name}: the JSON breaks off or is malformed after its last whole term")


def _member(decoder: json.JSONDecoder, text: str, position: int) -> tuple[str, Entry, int] | None:
    """One `"id": {...}` and where it ends, or None where the text ends before it does."""
    try:
        start = _skip(text, position)
        term, end = decoder.raw_decode(text, start)
        entry, end = decoder.raw_decode(text, _skip(text, end))
    except json.JSONDecodeError:
        return None
    return (term, entry, end) if isinstance(term, str) and isinstance(entry, dict) else None


def _skip(text: str, position: int) -> int:
    matched = _SEPARATORS.match(text, position)
    return matched.end() if matched else position


def _decoded(source: Source) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        for chunk in source.chunks():
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as exc:
        raise BadOntology(f"{source.name}: not UTF-8 at byte {exc.start}") from exc

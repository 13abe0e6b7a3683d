"""Terms by their names, exact or nearly so.

Scores, for every method that grounds a text (a submitter's id has those of `ontologies.ground`):

    label                       0.95
    exact synonym               0.90
    other synonym               0.75   narrow, broad, related
    normalised label            0.70   case counts for none of these; punctuation, plural, British spelling do here
    normalised synonym          0.65
    abbreviated species name    0.60   `H. sapiens`
    name of Hooke's own table   0.88   exact, else 0.73; see `ontologies.more_names`
    letters and digits parted   0.60   `T47D` for `T-47D`, `MCF 10A` for `MCF10A`
      or joined
    fuzzy                       0.50 x likeness, only ever suggested
"""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from hooke.model import Method
from hooke.text import fold
from ontologies.compile import ABBREVIATED, AS_WRITTEN, NORMAL
from ontologies.database import Database, Named
from ontologies.ids import key, prefix_of
from ontologies.model import Match, Scope, Term
from ontologies.more_names import OURS, MoreName, more_names
from ontologies.names import normal
from ontologies.spelling import Likeness, Spellings

_PARTS = 6
"""Runs of letters or digits in a name, beyond which it is too long to be spelled in every way."""
_OURS_LESS = 0.02
"""What a name of Hooke's own is worth less than one of the ontology."""


def _left_by_mistakes(pairs: int, length: int, lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Pairs that stay where a quarter of the letters is wrong.

    A wrong letter was in two pairs, one put in between parts one pair, and two changed round, twice at most, were in
    three.
    """
    mistakes = np.maximum(lengths, length) // 4
    put_in = np.maximum(lengths - length, 0)
    left: NDArray[np.int32] = pairs - 2 * mistakes + put_in - np.minimum(mistakes, 2)
    return left


def _most_words(pairs: int, length: int, lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Two fifths of the pairs: what has fewer has other words."""
    return np.full_like(lengths, math.ceil(0.4 * pairs))


# Two letters changed round are one mistake: mosue. Below 0.75 a name is another word, not a misspelling.
MISSPELT = Likeness(OSA.normalized_similarity, 0.75, 0.75, _left_by_mistakes)
# Below 65 of 100 what two names share is chance.
SAME_WORDS = Likeness(fuzz.token_sort_ratio, 65, 0.65 / 1.35, _most_words)


class Lookup:
    """Finds terms by name in one snapshot."""

    def __init__(self, database: Database, spellings: Spellings) -> None:
        self._database = database
        self._spellings = spellings

    def find(self, phrase: str, prefixes: Iterable[str] | None, *, obsolete: bool = False) -> tuple[Match, ...]:
        """The terms named so, best first; obsolete: whether obsolete terms are looked for, instead of those in use."""
        folded, plain = fold(phrase), normal(phrase)
        if not plain:
            return ()
        spellings = (NORMAL + spelling for spelling in _spellings(plain))
        named = self._database.names((AS_WRITTEN + folded, NORMAL + plain, ABBREVIATED + plain, *spellings))
        wanted = None if prefixes is None else frozenset(prefixes)
        best: dict[str, tuple[tuple[float, bool, str], Match]] = {}
        for name in named:
            if name.obsolete == obsolete and (wanted is None or prefix_of(name.id) in wanted):
                match = self._match(name, plain)
                # Among equals the name with the phrase's own capitals comes first.
                rank = (-match.score, name.name != phrase, name.id)
                if name.id not in best or rank < best[name.id][0]:
                    best[name.id] = (rank, match)
        for more in more_names(phrase, plain) if not obsolete else ():
            if wanted is None or prefix_of(more.term) in wanted:
                for match in self._own_match(more):
                    if match.term not in best or match.score > best[match.term][1].score:
                        best[match.term] = ((-match.score, False, match.term), match)
        return tuple(match for _, match in sorted(best.values(), key=lambda ranked: ranked[0]))

    def _own_match(self, more: MoreName) -> Iterator[Match]:
        """A name of Hooke's own, where its term is loaded and in use."""
        method, score = _method(AS_WRITTEN, more.scope)
        for named, number in self._database.ids(key(more.term)):
            term = self._database.term(number)
            if named == more.term == term.id and not term.obsolete:
                yield Match(term.id, term.label, method, round(score - _OURS_LESS, 2), more.name, more.scope, OURS)

    def suggest(self, text: str, limit: int, prefixes: Iterable[str] | None) -> tuple[Match, ...]:
        """The terms whose labels or exact synonyms are most like the text or its singular, each once."""
        return self._like(dict.fromkeys((fold(text), normal(text))), MISSPELT, 1.0, limit, prefixes)

    def resembling(self, text: str, limit: int, prefixes: Iterable[str] | None) -> tuple[Match, ...]:
        """The terms whose labels or exact synonyms have words most like the text's, in any order, each once."""
        return self._like((fold(text),), SAME_WORDS, 100.0, limit, prefixes)

    def _like(
        self, texts: Iterable[str], likeness: Likeness, best: float, limit: int, prefixes: Iterable[str] | None
    ) -> tuple[Match, ...]:
        wanted = None if prefixes is None else frozenset(prefixes)
        scores: dict[str, float] = {}
        for text in texts:
            for like, score in self._spellings.like(text, likeness, wanted, 4 * limit):
                scores[like] = max(score, scores.get(like, 0.0))
        found: dict[str, Match] = {}
        for name in sorted(self._sure(scores, wanted), key=lambda name: (-scores[name.key[1:]], name.scope, name.id)):
            found.setdefault(name.id, self._suggestion(name, scores[name.key[1:]] / best))
        return tuple(found.values())[:limit]

    def _sure(self, folded: Iterable[str], prefixes: frozenset[str] | None) -> Iterator[Named]:
        """The labels and exact synonyms of terms in use that are these."""
        for name in self._database.names([AS_WRITTEN + each for each in folded]):
            is_sure = name.scope in (Scope.LABEL, Scope.EXACT) and not name.obsolete
            if is_sure and (prefixes is None or prefix_of(name.id) in prefixes):
                yield name

    def by_id(self, term: Term) -> tuple[Match, ...]:
        """A term found by its id."""
        return (Match(term.id, term.label, Method.ID, 1.0, term.id, Scope.LABEL, term.ontology),)

    def _suggestion(self, name: Named, ratio: float) -> Match:
        ontology = self._database.sources[name.source].name
        return Match(name.id, name.label, Method.FUZZY, round(ratio / 2, 3), name.name, name.scope, ontology)

    def _match(self, name: Named, plain: str) -> Match:
        respelt = name.key[0] == NORMAL and name.key[1:] != plain
        method, score = _method(ABBREVIATED if respelt else name.key[0], name.scope)
        ontology = self._database.sources[name.source].name
        return Match(name.id, name.label, method, score, name.name, name.scope, ontology)


def _method(kind: str, scope: Scope) -> tuple[Method, float]:
    if kind == ABBREVIATED:
        return Method.NORMALISED, 0.60
    if kind == NORMAL:
        return Method.NORMALISED, 0.70 if scope is Scope.LABEL else 0.65
    if scope is Scope.LABEL:
        return Method.LABEL, 0.95
    return (Method.EXACT_SYNONYM, 0.90) if scope is Scope.EXACT else (Method.OTHER_SYNONYM, 0.75)


def _spellings(plain: str) -> Iterator[str]:
    """A name's other spellings where letters meet digits: writers part them by nothing, a space or a hyphen.

    >>> sorted(_spellings("t47d"))
    ['t 47 d', 't 47d', 't47 d']
    """
    parts = re.findall(r"[^\W\d]+|\d+", plain)
    if not any(part.isdecimal() for part in parts) or len(parts) > _PARTS:
        return
    for gaps in product(("", " "), repeat=len(parts) - 1):
        spelling = "".join(part + gap for part, gap in zip(parts, (*gaps, ""), strict=True))
        if spelling != plain:
            yield spelling

"""How alike two sets of terms are in meaning: by the information content that what they share has in the index.

Information content (Resnik 1995): -ln of the share of records that have the term or one below it. Two terms (Lin 1998):
twice that of the most informative term above both, over the sum of theirs. Two sets (Pesquita et al. 2008): the mean of
each term's best match in the other set, and the mean of that in both directions.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from hooke.errors import UnknownTerm
from hooke.model import DEFAULT_RELATIONS, TermId
from ontologies.catalogue import Catalogue
from ontologies.ids import prefix_of

MOST_TERMS = 64
"""Terms of a set that are compared, the most informative first: a study of hundreds of phenotypes is known by fewer."""
_UNSEEN = 0.5
"""The records that a term without any is taken to have: rarer than what one record has."""
_CACHED_PAIRS = 200_000


def terms_above(catalogue: Catalogue, term: TermId, relations: Iterable[str] = DEFAULT_RELATIONS) -> frozenset[TermId]:
    """The term and its ancestors; of a term that is no longer loaded, itself."""
    try:
        return catalogue.ancestors(term, relations)
    except UnknownTerm:
        return frozenset({term})


def closure_counts(catalogue: Catalogue, sets: Iterable[tuple[Collection[TermId], int]]) -> dict[TermId, int]:
    """How many records have each term or one below it, from distinct sets of direct terms and how many have each set.

    Where sets are those of one field, and fields are given together, a record counts once for each of its fields.
    """
    counts = Counter[TermId]()
    for terms, records in sets:
        if records:
            counts.update(dict.fromkeys(set[TermId]().union(*(terms_above(catalogue, t) for t in terms)), records))
    return dict(counts)


class SemanticSimilarity:
    """Compares sets of terms by one corpus; threads may share it."""

    def __init__(self, catalogue: Catalogue, counts_by_term: Mapping[TermId, int], total: int) -> None:
        """counts_by_term: records that have the term or one below it (`closure_counts`); total: all records."""
        self._catalogue = catalogue
        self._counts = counts_by_term
        self._total = max(1, total)
        self._above: dict[TermId, dict[TermId, float]] = {}
        self._pairs: dict[tuple[TermId, TermId], float] = {}

    def information(self, term: TermId) -> float:
        """The term's information content, in nats: 0 for what all records have."""
        return -math.log(min(1.0, (self._counts.get(term, 0) or _UNSEEN) / self._total))

    def of_terms(self, one: TermId, other: TermId) -> float:
        """Lin's similarity of two terms, in [0, 1]; 1 for the same one, 0 for terms of two ontologies."""
        if one == other:
            return 1.0
        if prefix_of(one) != prefix_of(other):
            return 0.0
        pair = (one, other) if one < other else (other, one)
        found = self._pairs.get(pair)
        if found is None:
            if len(self._pairs) >= _CACHED_PAIRS:
                self._pairs.clear()
            found = self._pairs[pair] = self._lin(*pair)
        return found

    def between(self, a: Collection[TermId], b: Collection[TermId]) -> float:
        """The best-match average of two sets, in [0, 1]: 1 for the same set, 0 for nothing in common or without terms.

        The same both ways round.
        """
        one, other = self._compared(a), self._compared(b)
        if not one or not other:
            return 0.0
        return (self._best_matches(one, other) + self._best_matches(other, one)) / 2

    def _compared(self, terms: Collection[TermId]) -> list[TermId]:
        each_once = sorted(set(terms))
        if len(each_once) <= MOST_TERMS:
            return each_once
        return sorted(each_once, key=self.information, reverse=True)[:MOST_TERMS]

    def _best_matches(self, terms: Collection[TermId], others: Collection[TermId]) -> float:
        return math.fsum(max(self.of_terms(term, other) for other in others) for term in terms) / len(terms)

    def _lin(self, one: TermId, other: TermId) -> float:
        both = self.information(one) + self.information(other)
        beside = self._informative(other)
        shared = next((content for term, content in self._informative(one).items() if term in beside), 0.0)
        # counts of several fields together can make a term seem more frequent than one above it
        return min(1.0, 2 * shared / both) if both else 0.0

    def _informative(self, term: TermId) -> dict[TermId, float]:
        """The terms that are the term or above it and say something, most informative first.

        One that no record has is left out, for nothing is known of how rare it is.
        """
        found = self._above.get(term)
        if found is None:
            above = terms_above(self._catalogue, term)
            contents = {each: self.information(each) for each in above if self._counts.get(each, 0)}
            ranked = sorted(contents.items(), key=lambda item: (-item[1], item[0]))
            found = self._above[term] = {each: content for each, content in ranked if content > 0}
        return found

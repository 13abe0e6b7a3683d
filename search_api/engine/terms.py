"""The terms of one query: which its words and ids stand for, what is below them, and what could have been meant."""

import re
from collections.abc import Iterable, Iterator, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import IS_A, Method, TermId
from hooke.request import SearchRequest
from hooke.results import Expansion, QueryReport, ResolvedTerm, Rewrite, Suggestion
from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue
from ontologies.ids import prefix_of
from ontologies.model import Match, Scope
from ontologies.more_names import OURS, names_of
from ontologies.names import abbreviated, halves, normal

_WORDS_COMPARED = 100_000
_SUGGESTED_FOR = 10
"""Unknown words of one query that suggestions are looked for: each is compared with all others."""
_LIKENESS = 0.75


def _is_line(term: TermId, catalogue: Catalogue) -> bool:
    if prefix_of(term) in ("CLO", "CVCL"):
        return True
    above = catalogue.ancestors(term, (IS_A,)) if prefix_of(term) == "EFO" else ()
    return any(catalogue.label(each).endswith("cell line") for each in above)


def _is_method(term: TermId, _: Catalogue) -> bool:
    return prefix_of(term) == "FBbi"


_NOUNS = {
    **dict.fromkeys(("cell line", "cell"), _is_line),
    **dict.fromkeys(("microscopy", "microscope", "imaging"), _is_method),
}
"""Nouns that people put behind a name which is whole without, in their normal form, and what the name must be."""


def _as_written(phrase: str, matches: Sequence[Match]) -> Sequence[Match]:
    """The matches; of a phrase in capitals, those with these capitals if there are any: PALM is a method, no palm."""
    if len(phrase) < 2 or not phrase.isupper():
        return matches
    return [match for match in matches if phrase in re.findall(r"[^\s()]+", match.name)] or matches


class QueryTerms:
    """Finds terms and remembers what it found, for the answer to say."""

    def __init__(self, request: SearchRequest, reader: MetadataReader, catalogue: Catalogue) -> None:
        self._request = request
        self._reader = reader
        self._catalogue = catalogue
        self._level = request.level
        self._sources = {info.name: info for info in catalogue.ontologies()}
        self._found: list[ResolvedTerm] = []
        self._rewrites: list[Rewrite] = []
        self._unresolved: list[str] = []
        self._suggestions: list[Suggestion] = []

    def report(self, notices: Iterable[str], expansions: Iterable[Expansion], understood: str) -> QueryReport:
        """What the query was understood to mean, each thing once."""
        return QueryReport(
            tuple(dict.fromkeys(self._found)),
            tuple(dict.fromkeys(self._rewrites)),
            tuple(dict.fromkeys(self._unresolved)),
            tuple(dict.fromkeys(self._suggestions)),
            tuple(dict.fromkeys((*notices, *self._merged_notices()))),
            tuple(dict.fromkeys(expansions)),
            understood,
        )

    def resolved(self, text: str, name: str | None) -> tuple[TermId, ...]:
        """The term an id stands for, once it is reported."""
        resolution = self._catalogue.resolve(text, prefixes=ONTOLOGY_FIELDS.get(name or "", ()))
        if resolution is None:
            return ()
        term = self._catalogue.term(resolution.term)
        info = self._sources[term.ontology]
        merged = self._catalogue.merged(term.id)
        found = ResolvedTerm(text, term.id, term.label, str(Method.ID), info.name, merged, version=info.version)
        self._found.append(found)
        if resolution.reason:
            given = resolution.rewritten_from or resolution.given
            self._rewrites.append(Rewrite(given, term.id, term.label, resolution.reason))
        if term.obsolete:
            self._suggest_terms(text, resolution.suggestions)
        return (term.id,)

    def _suggest_terms(self, text: str, terms: Iterable[TermId]) -> None:
        self._suggestions.extend(Suggestion(text, t, self._catalogue.label(t)) for t in terms)

    def named(self, phrase: str, field: str | None) -> tuple[TermId, ...]:
        """The terms a phrase names: of each ontology those that it names best.

        In a field they are of its ontologies, or lead to terms that its records have: archives put a plant's organ
        under phenotype, and it is found there by its name.
        """
        matches = self._meant(_as_written(phrase, self._matches(phrase, field)))
        best: dict[str, Method] = {}
        targets: dict[TermId, None] = {}
        for match in matches:
            if best.setdefault(prefix_of(match.term), match.method) is match.method and match.term not in targets:
                targets[match.term] = None
                self._found.append(self._by_name(phrase, match))
        return tuple(targets)

    def _meant(self, matches: Sequence[Match]) -> Sequence[Match]:
        """The matches by more than a related name, if there are any, but for an ontology's root where others are named.

        FBbt's organism has `Drosophila` for a related synonym, and the taxonomy's root is called `root`.
        """
        sure = [m for m in matches if m.method is not Method.OTHER_SYNONYM or m.ontology == OURS] or matches
        return [match for match in sure if self._catalogue.parents(match.term) or not self._is_root(match.term)] or sure

    def _is_root(self, term: TermId) -> bool:
        return bool(self._catalogue.children(term))

    def headed(self, words: Sequence[str], field: str | None) -> tuple[TermId, ...]:
        """The terms that words name without the noun at their end: `HeLa cells`, `SPIM imaging`."""
        for noun, fits in _NOUNS.items():
            head = len(noun.split())
            if len(words) > head and normal(" ".join(words[-head:])) == noun:
                rest = " ".join(words[:-head])
                matches = [m for m in _as_written(rest, self._matches(rest, field)) if fits(m.term, self._catalogue)]
                self._found.extend(self._by_name(" ".join(words), match) for match in matches)
                return tuple(dict.fromkeys(match.term for match in matches))
        return ()

    def _matches(self, phrase: str, field: str | None) -> list[Match]:
        prefixes = ONTOLOGY_FIELDS.get(field) if field else None
        found = list(self._catalogue.find(phrase, prefixes))
        if field and prefixes is not None:
            used = self._reader.terms_in_use(self._level, field)
            others = (m for m in self._catalogue.find(phrase) if prefix_of(m.term) not in prefixes)
            found += (m for m in others if self._catalogue.descendants_among(m.term, used, self._request.expand))
        return found

    def _by_name(self, text: str, match: Match) -> ResolvedTerm:
        info = self._sources[self._catalogue.term(match.term).ontology]
        merged = self._catalogue.merged(match.term)
        spelt = (match.name, str(match.scope), match.ontology)
        return ResolvedTerm(text, match.term, match.label, str(match.method), info.name, merged, *spelt, info.version)

    def names(self, targets: Iterable[TermId]) -> Iterator[tuple[str, Scope]]:
        """What else the terms are surely called, as texts may have it: labels, exact synonyms, `H. sapiens`."""
        for target in targets:
            term = self._catalogue.term(target)
            own = [(each.text, each.scope) for each in term.synonyms]
            ours = [(each.name, each.scope) for each in names_of(target)]
            for name, scope in ((term.label, Scope.LABEL), *own, *ours):
                if scope in (Scope.LABEL, Scope.EXACT):
                    plain = re.sub(r"\s*<[^<>]*>", "", name)  # `Mus <genus>`, as the taxonomy tells homonyms apart
                    short = abbreviated(plain) if prefix_of(target) == "NCBITaxon" else None
                    yield from ((each, scope) for each in (halves(plain) or (plain,)))
                    yield from [(short, scope)] if short else ()

    def report_unknown(self, text: str, name: str | None) -> None:
        """Remember words that nothing was found for, and what may have been meant."""
        self._unresolved.append(text)
        if len(self._unresolved) > _SUGGESTED_FOR:
            return
        prefixes = ONTOLOGY_FIELDS.get(name) if name else None
        for match in self._catalogue.suggest(text, prefixes=prefixes):
            self._suggestions.append(Suggestion(text, match.term, match.label))
        if name is None:
            self._suggestions.extend(Suggestion(text, "", word) for word in self._near_words(text.casefold()))

    def _near_words(self, word: str) -> list[str]:
        """The indexed word most like one that is not: `flourescence` names no term, but is nearly in many records."""
        if len(word) < 4 or not word.isalpha():
            return []
        words = [w for w in self._reader.tokens(self._level, word[0], limit=_WORDS_COMPARED) if w.isalpha()]
        near = process.extractOne(word, words, scorer=OSA.normalized_similarity, score_cutoff=_LIKENESS)
        return [near[0]] if near else []

    def closure(self, targets: Iterable[TermId]) -> frozenset[TermId]:
        """The terms and those below them; of the latter only what is indexed, which is all that can match."""
        if self._request.exclude_inferred:
            return frozenset(targets)
        used = self._reader.terms_in_use(self._level)
        below = (self._catalogue.descendants_among(target, used, self._request.expand) for target in targets)
        return frozenset(targets).union(*below)

    def looks_like_id(self, value: str) -> bool:
        """Whether a value is spelled as an id of a loaded ontology."""
        prefix, separator, local = value.replace("_", ":", 1).partition(":")
        known = {info.prefix.casefold() for info in self._catalogue.ontologies()}
        return bool(separator) and prefix.casefold() in known and local.strip().isalnum()

    def _merged_notices(self) -> Iterator[str]:
        merged = sorted({term.ontology for term in self._found if term.merged})
        if merged and self._request.expand == (IS_A,):
            names = ", ".join(merged)
            yield f"{names}: loaded from a source that does not tell is_a from part_of, so both were followed"

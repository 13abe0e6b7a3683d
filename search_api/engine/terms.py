"""The terms of one query: which its words and ids stand for, what is below them, and what could have been meant."""

from collections.abc import Iterable, Iterator

from rapidfuzz import process
from rapidfuzz.distance import OSA

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import IS_A, Method, TermId
from hooke.request import SearchRequest
from hooke.results import QueryReport, ResolvedTerm, Rewrite, Suggestion
from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue

_WORDS_COMPARED = 100_000
_SUGGESTED_FOR = 10
"""Unknown words of one query that suggestions are looked for: each is compared with all others."""
_LIKENESS = 0.75


class QueryTerms:
    """Finds terms and remembers what it found, for the answer to say."""

    def __init__(self, request: SearchRequest, reader: MetadataReader, catalogue: Catalogue) -> None:
        self._request = request
        self._reader = reader
        self._catalogue = catalogue
        self._level = request.level
        self._found: list[ResolvedTerm] = []
        self._rewrites: list[Rewrite] = []
        self._unresolved: list[str] = []
        self._suggestions: list[Suggestion] = []

    def report(self, notices: Iterable[str]) -> QueryReport:
        """What the query was understood to mean, each thing once."""
        return QueryReport(
            tuple(dict.fromkeys(self._found)),
            tuple(dict.fromkeys(self._rewrites)),
            tuple(dict.fromkeys(self._unresolved)),
            tuple(dict.fromkeys(self._suggestions)),
            tuple(dict.fromkeys((*notices, *self._merged_notices()))),
        )

    def resolved(self, text: str, name: str | None) -> tuple[TermId, ...]:
        """The term an id stands for, once it is reported."""
        resolution = self._catalogue.resolve(text, prefixes=ONTOLOGY_FIELDS.get(name or "", ()))
        if resolution is None:
            return ()
        term = self._catalogue.term(resolution.term)
        self._found.append(self._resolved_term(text, term.id, Method.ID))
        if resolution.reason:
            given = resolution.rewritten_from or resolution.given
            self._rewrites.append(Rewrite(given, term.id, term.label, resolution.reason))
        if term.obsolete:
            self._suggest_terms(text, resolution.suggestions)
        return (term.id,)

    def _suggest_terms(self, text: str, terms: Iterable[TermId]) -> None:
        self._suggestions.extend(Suggestion(text, t, self._catalogue.label(t)) for t in terms)

    def _resolved_term(self, text: str, term: TermId, method: Method) -> ResolvedTerm:
        found = self._catalogue.term(term)
        return ResolvedTerm(text, term, found.label, str(method), found.ontology, self._catalogue.merged(term))

    def named(self, phrase: str, prefixes: tuple[str, ...] | None) -> tuple[TermId, ...]:
        """The terms a phrase names: of each ontology those that it names best."""
        best: dict[str, Method] = {}
        targets: list[TermId] = []
        for match in self._catalogue.find(phrase, prefixes):
            if match.method is Method.FUZZY:
                continue
            prefix = match.term.partition(":")[0]
            if best.setdefault(prefix, match.method) is match.method and match.term not in targets:
                targets.append(match.term)
                self._found.append(self._resolved_term(phrase, match.term, match.method))
        return tuple(targets)

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

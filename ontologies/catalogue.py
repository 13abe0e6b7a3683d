"""One snapshot of ontologies, opened for reading: ids in any spelling, closures, paths, and terms by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz, process

from hooke.errors import BadInput, CorruptIndex, UnknownTerm
from hooke.model import DEFAULT_RELATIONS, TermId
from ontologies import ids
from ontologies.compile import NORMAL
from ontologies.database import Database
from ontologies.graph import Graph, Ints, Rows, mapped, open_graph
from ontologies.lookup import Lookup
from ontologies.model import MERGED, Match, OntologyInfo, Resolution, Step, Term
from ontologies.relations import relation_name, relation_names

_CACHED_CLOSURES = 20_000
_CACHED_TERMS = 10_000
"""Terms in a closure that is worth keeping; a kingdom's are a gigabyte."""
_ASKED_AMONG = 4
"""Sets of terms that descendants are looked for among: those in use on each level."""


class Catalogue:
    """The terms of one version. Open it with `Catalogue.open`; threads may share it."""

    def __init__(self, version: str, opened: "_Opened | None") -> None:
        self.version = version
        self._opened = opened
        self._closures: dict[tuple[TermId, frozenset[str], bool], frozenset[TermId]] = {}
        self._among: dict[frozenset[TermId], _Among] = {}

    @classmethod
    def open(cls, root: Path, version: str) -> "Catalogue":
        """Open a version under root; "" is an empty catalogue, which resolves nothing.

        Raises CorruptIndex for a version that is not there or cannot be read.
        """
        if not version:
            return cls("", None)
        if not (root / version).is_dir():
            raise CorruptIndex(f"no ontology snapshot {version!r} under {root}; add the ontologies again")
        return cls(version, _Opened(root / version))

    def close(self) -> None:
        """Give back the files; the catalogue cannot be used any more."""
        if self._opened:
            self._opened.database.close()

    def ontologies(self) -> tuple[OntologyInfo, ...]:
        """The sources, in the order in which they were first added."""
        return self._opened.database.sources if self._opened else ()

    def term(self, curie: str) -> Term:
        """The term of an id in any spelling; an obsolete one as it is, an alternative id's primary term.

        Raises UnknownTerm with suggestions.
        """
        opened, number = self._known(curie)
        return opened.database.term(number)

    def label(self, curie: str) -> str:
        """The label of a term, or the id itself where it has none or is unknown."""
        found = self._find_id(curie)
        return (self._opened.database.label(found[1]) if self._opened and found else "") or curie

    def resolve(self, text: str, *, prefixes: Iterable[str] = ()) -> Resolution | None:
        """The current term for an id in any spelling, or None; prefixes: those that a bare number may have.

        Alternative ids lead to their primary term, obsolete ones to the one term that replaces them.
        """
        found = self._find_id(text, prefixes)
        if found is None or self._opened is None:
            return None
        named, number = found
        term = self._opened.database.term(number)
        current = self._replacement(term)
        suggestions = current.consider if current.obsolete else ()
        if current.obsolete and len(current.replaced_by) > 1:
            suggestions = (*current.replaced_by, *suggestions)
        if current.id != term.id:
            return Resolution(current.id, text, named, "replaced_by", suggestions)
        if named != term.id:
            return Resolution(term.id, text, named, "alt_id", suggestions)
        return Resolution(term.id, text, None, None, suggestions)

    def ancestors(self, curie: str, relations: Iterable[str] = DEFAULT_RELATIONS) -> frozenset[TermId]:
        """The term and all it leads to over the relations; an edge of unknown relation counts for any of them."""
        return self._closure(curie, relations, upwards=True)

    def descendants(self, curie: str, relations: Iterable[str] = DEFAULT_RELATIONS) -> frozenset[TermId]:
        """The term and all that leads to it over the relations."""
        return self._closure(curie, relations, upwards=False)

    def descendants_among(
        self, curie: str, terms: frozenset[TermId], relations: Iterable[str] = DEFAULT_RELATIONS
    ) -> frozenset[TermId]:
        """Those of some terms that are the term or lead to it; a kingdom's millions are not named one by one."""
        opened, number = self._known(curie)
        asked = self._among.get(terms)
        if asked is None:
            if len(self._among) >= _ASKED_AMONG:
                self._among.clear()
            asked = self._among[terms] = self._numbered(terms, opened)
        key = (number, frozenset(relations))
        if key not in asked.found:
            below = opened.graph.closure(number, relation_names(relations), rows=opened.graph.children)
            asked.found[key] = asked.within(below)
        return asked.found[key]

    def _numbered(self, terms: frozenset[TermId], opened: "_Opened") -> "_Among":
        numbers = {found[1]: term for term in terms if (found := self._find_id(term)) and opened.id(found[1]) == term}
        ordered = sorted(numbers)
        return _Among(tuple(numbers[number] for number in ordered), np.array(ordered, dtype=np.int64), {})

    def parents(self, curie: str, relations: Iterable[str] = DEFAULT_RELATIONS) -> tuple[TermId, ...]:
        """The terms one step up."""
        opened, number = self._known(curie)
        found = opened.graph.adjacent(number, relation_names(relations), rows=opened.graph.parents)
        return tuple(opened.id(parent) for parent in found)

    def children(self, curie: str, relations: Iterable[str] = DEFAULT_RELATIONS) -> tuple[TermId, ...]:
        """The terms one step down."""
        opened, number = self._known(curie)
        found = opened.graph.adjacent(number, relation_names(relations), rows=opened.graph.children)
        return tuple(opened.id(child) for child in found)

    def path(self, curie: str, ancestor: str, relations: Iterable[str] = DEFAULT_RELATIONS) -> tuple[Step, ...]:
        """A shortest way from a term up to an ancestor, the term first; () when there is none."""
        opened, start = self._known(curie)
        _, end = self._known(ancestor)
        steps = opened.graph.path(start, end, relation_names(relations))
        return tuple(Step(opened.id(no), opened.database.label(no), relation) for no, relation in steps)

    def merged(self, curie: str) -> bool:
        """Whether edges at this term come from a source that does not tell is_a from part_of."""
        opened, number = self._known(curie)
        relations = {info.name: info.relations for info in opened.database.sources}
        return opened.graph.has_merged(number) or relations[opened.database.term(number).ontology] == MERGED

    def check_relations(self, relations: Iterable[str]) -> None:
        """Raises BadInput for a relation that no edge has: what is asked over it would silently be less."""
        known = {*DEFAULT_RELATIONS, *(self._opened.graph.relations if self._opened else ())} - {MERGED}
        for relation in relations:
            if relation_name(relation) not in known:
                raise BadInput(f"no relation {relation!r} in these ontologies; they have {', '.join(sorted(known))}")

    def find(self, phrase: str, prefixes: Iterable[str] | None = None) -> tuple[Match, ...]:
        """All terms of which the phrase is a name, the best method first; () for none.

        An obsolete term is found only where no other is, and stands as the term that replaces it.
        """
        if self._opened is None:
            return ()
        found = self._opened.lookup.find(phrase, prefixes)
        return found if found else self._replaced(self._opened.lookup.find(phrase, None, obsolete=True), prefixes)

    def names_beginning(self, words: str, many: int) -> frozenset[str] | None:
        """The names, in their normal form, that begin with these words in theirs; None for more than `many`."""
        if self._opened is None:
            return frozenset()
        keys = self._opened.database.keys_beginning(NORMAL + words, many + 1)
        return None if len(keys) > many else frozenset(key[1:] for key in keys)

    def suggest(self, text: str, limit: int = 3, prefixes: Iterable[str] | None = None) -> tuple[Match, ...]:
        """Terms whose label is spelled nearly like the text: for "did you mean", never to ground silently."""
        return self._opened.lookup.suggest(text, limit, prefixes) if self._opened else ()

    def resembling(self, text: str, limit: int = 3, prefixes: Iterable[str] | None = None) -> tuple[Match, ...]:
        """Terms whose names share words with the text: more than `suggest` gives, for a person to choose from."""
        return self._opened.lookup.resembling(text, limit, prefixes) if self._opened else ()

    def _replaced(self, matches: tuple[Match, ...], prefixes: Iterable[str] | None) -> tuple[Match, ...]:
        wanted = None if prefixes is None else frozenset(prefixes)
        current: dict[TermId, Match] = {}
        for match in matches:
            term = self._replacement(self.term(match.term))
            if not term.obsolete and (wanted is None or ids.prefix_of(term.id) in wanted):
                rewritten = (term.id, term.label, match.method, match.score, match.name, match.scope, term.ontology)
                current.setdefault(term.id, Match(*rewritten))
        return tuple(current.values())

    def _replacement(self, term: Term) -> Term:
        """Follow an obsolete term to the one that replaces it, while that is one and known; a circle leads nowhere."""
        seen = {term.id}
        current = term
        while current.obsolete and len(current.replaced_by) == 1:
            found = self._find_id(current.replaced_by[0])
            if found is None or self._opened is None:
                break
            current = self._opened.database.term(found[1])
            if current.id in seen:
                return term
            seen.add(current.id)
        return current

    def _closure(self, curie: str, relations: Iterable[str], *, upwards: bool) -> frozenset[TermId]:
        wanted = frozenset(relations)
        cached = self._closures.get((curie, wanted, upwards))
        if cached is not None:
            return cached
        opened, number = self._known(curie)
        rows = opened.graph.parents if upwards else opened.graph.children
        closure = frozenset(opened.closure(number, relation_names(wanted), rows))
        if len(self._closures) >= _CACHED_CLOSURES:
            self._closures.clear()
        if len(closure) <= _CACHED_TERMS:
            self._closures[curie, wanted, upwards] = closure
        return closure

    def _known(self, curie: str) -> tuple["_Opened", int]:
        found = self._find_id(curie)
        if found is None or self._opened is None:
            raise UnknownTerm(self._unknown(curie))
        return self._opened, found[1]

    def _find_id(self, text: str, prefixes: Iterable[str] = ()) -> tuple[TermId, int] | None:
        """The id that a text spells and its term's number; the exact spelling wins over a repaired one."""
        if self._opened is None:
            return None
        for key in ids.keys(text, prefixes):
            rows = self._opened.database.ids(key)
            exact = [row for row in rows if row[0] == text]
            if exact or len({number for _, number in rows}) == 1:
                return (exact or rows)[0]
        return None

    def _unknown(self, text: str) -> str:
        if self._opened is None:
            return f"no term {text!r}: no ontology is loaded; add one with `hooke ontologies add`"
        prefix = ids.prefix_of(text).casefold()
        mine = [f"{info.name} {info.version}".strip() for info in self.ontologies() if info.prefix.casefold() == prefix]
        where = f"in {' or '.join(mine)}" if mine else "in any loaded ontology"
        near = [f"{match.term} ({match.label})" for match in self._nearby(text)]
        advice = f"did you mean {' or '.join(near)}?" if near else "check the id, or look it up by its label"
        return f"no term {text!r} {where}; {advice}"

    def _nearby(self, text: str) -> tuple[Match, ...]:
        """Terms a mistyped id may mean: one digit too many, or a prefix misspelled; for words, terms by label."""
        prefix, colon, local = text.partition(":")
        if not colon or not any(c.isdecimal() for c in local):
            return self.suggest(text)
        known = sorted({info.prefix for info in self.ontologies()})
        prefixes = [name for name, *_ in process.extract(prefix, known, scorer=fuzz.ratio, score_cutoff=60, limit=2)]
        shorter = [local[:i] + local[i + 1 :] for i in range(len(local))]
        spellings = [f"{name}:{local}" for name in prefixes] + [f"{prefix}:{digits}" for digits in shorter]
        found = {term[0] for term in map(self._find_id, spellings) if term}
        return tuple(match for term in sorted(found)[:3] for match in self._as_match(term))

    def _as_match(self, term: TermId) -> tuple[Match, ...]:
        return self._opened.lookup.by_id(self.term(term)) if self._opened else ()


@dataclass(frozen=True, slots=True)
class _Among:
    """Terms that descendants are looked for among, by number (int64, rising), and what was found."""

    ids: tuple[TermId, ...]
    numbers: Ints
    found: dict[tuple[int, frozenset[str]], frozenset[TermId]]

    def within(self, numbers: Ints) -> frozenset[TermId]:
        """Those that have one of these numbers."""
        return frozenset(self.ids[place] for place in np.flatnonzero(np.isin(self.numbers, numbers)).tolist())


class _Opened:
    """The files of a snapshot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.database = Database(folder)
        self.graph: Graph = open_graph(folder, self.database.relations)
        self._ids = mapped(folder / "ids.npy")
        self._id_starts = mapped(folder / "id_starts.npy")

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup(self.database, self.database.spellings(self._folder))

    def id(self, number: int) -> TermId:
        return bytes(self._ids[self._id_starts[number] : self._id_starts[number + 1]]).decode()

    def closure(self, number: int, relations: frozenset[str], rows: Rows) -> list[TermId]:
        numbers: Ints = self.graph.closure(number, relations, rows=rows)
        starts, ends = self._id_starts[numbers].tolist(), self._id_starts[numbers + 1].tolist()
        ids_ = self._ids.data
        return [str(ids_[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]

"""Find the terms that free text names. Rules, no model; pure, so that callers may cache by text.

A name is a run of words that is a term's label or exact synonym but for case, hyphens, number and British spelling; of
several that begin at one word the longest counts, and nothing inside it. What is left out is in `prose_words`, and:

- a name that stands for terms of several fields belongs to the first of `_ORDER` that knows it as its own;
- ontologies of one clade (flies, worms, fishes, plants) only speak where the text or its record names that clade;
- short names and names in capitals must be written as their ontology writes them, so `was` is no syndrome, and a word
  in capitals is a gene, `CAT`, unless its term is written so;
- a name of a cell line that only Cellosaurus has needs "cells" or the like beside it;
- an abbreviation that the text explains stands for what it explains, and if that is no term, for none;
- not what is denied (`no tumour`, `non-neuronal`), hosts of antibodies (`anti-mouse`), products (`nerve growth
  factor`), institutions, addresses and file names.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import IS_A, TermId
from hooke.text import located
from ontologies.catalogue import Catalogue
from ontologies.ids import prefix_of
from ontologies.model import Match, Scope
from ontologies.names import normal
from ontologies.prose_words import (
    CELL_CUES,
    GENERIC,
    HOSTS,
    HUMAN_ROLES,
    MASKED,
    METHOD_NOUNS,
    NEGATIONS,
    NEGATIVE_ENDINGS,
    NOT_NAMES,
    OWN_NAMES,
    PRODUCT_NOUNS,
)

_ORDER = (
    *("NCBITaxon", "CL", "UBERON", "GO", "DOID", "MONDO", "FBbi", "CMPO", "FYPO", "CLO", "EFO", "CVCL", "BTO"),
    *("FBbt", "WBbt", "ZFA", "PO", "CHEBI"),
)
"""Whose term a name is where several ontologies have it: its own field's, so that CL has cells, not ZFA."""
_FIELDS = {
    prefix: field
    for field, prefixes in reversed(ONTOLOGY_FIELDS.items())
    for prefix in reversed(prefixes)
    if field != "developmental_stage"
}
_CLADES = {"FBbt": "NCBITaxon:50557", "WBbt": "NCBITaxon:6231", "ZFA": "NCBITaxon:7955", "PO": "NCBITaxon:33090"}
_METHOD_ROOTS = ("FBbi:00000222", "FBbi:00000321")
_DRAWINGS = "FBbi:00000266"
_GO_ASPECTS = {"GO:0008150": "biological_process", "GO:0005575": "cellular_component"}
_SCORED = 0.8
"""What a name is worth in prose, of what it is worth as a value of its field: prose may only touch on what it names."""
_ABBREVIATING = frozenset({"FBbi", "NCBITaxon", "EFO", "CLO"})
"""Whose names of up to four capitals are believed where the text does not explain them."""
_LONGEST = 10
_MANY = 2_000
"""Names that begin with one word, beyond which the next word is asked for too: `regulation of …`."""
_GAP = re.compile(r"[ \t\xa0]*[-\u2010\u2011\u2013_'\u2019]?[ \t\xa0]*(?:\r?\n[ \t]*)?|\.[ \xa0]?")
_WORD = re.compile(r"[^\W_]+")
_EXPLAINED = re.compile(r"\(\s*([A-Za-z][\w\-/+]{0,9})\s*[);,]")


@dataclass(frozen=True, slots=True)
class Tag:
    """A term that a text names between two of its characters."""

    field: str
    term: TermId
    label: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Word:
    plain: str
    start: int
    end: int
    joined: bool
    """Whether only a space or a hyphen is between it and the next word."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a name means wherever it stands; clade, cue: what must be near it; term "": a name that only hides others."""

    field: str = ""
    term: TermId = ""
    label: str = ""
    score: float = 0.0
    clade: TermId | None = None
    cue: bool = False


_NOTHING = _Reading()


class Tagger:
    """Finds terms in texts with one catalogue; keeps what it has looked up, so the second text is faster."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._below: dict[str, frozenset[str] | None] = {}
        self._readings: dict[tuple[str, str], _Reading | None] = {}
        self.tag = lru_cache(maxsize=1 << 15)(self._tag)
        methods = set().union(*(self._descendants(root) for root in _METHOD_ROOTS))
        self._methods = frozenset(methods - self._descendants(_DRAWINGS))

    def _descendants(self, term: TermId) -> frozenset[TermId]:
        return self._catalogue.descendants(term) if self._catalogue.resolve(term) else frozenset()

    def _tag(self, text: str, organisms: frozenset[TermId] = frozenset()) -> tuple[Tag, ...]:
        """The terms that a text names, in their order; organisms: those that its record names."""
        words = _words(text)
        found = list(self._named(words, text, None))
        clades = organisms | {reading.term for _, _, reading in found if reading.field == "organism"}
        if not all(self._in_clade(reading, clades) for _, _, reading in found):
            found = list(self._named(words, text, clades))
        explained = _explained(text, words, found)
        found = [
            (first, last, reading)
            for first, last, reading in found
            if first != last
            or reading.field == "imaging_method"
            or words[first].plain not in explained
            or not _is_abbreviation(text, words[first])
        ]
        taken = {place for first, last, _ in found for place in range(first, last + 1)}
        found += [
            (place, place, reading)
            for place, word in enumerate(words)
            if place not in taken and (reading := explained.get(word.plain)) and _is_abbreviation(text, word)
        ]
        return tuple(
            Tag(reading.field, reading.term, reading.label, reading.score, words[first].start, words[last].end)
            for first, last, reading in sorted(found, key=lambda named: named[0])
            if reading.term and not _is_barred(reading, first, last, words, text)
        )

    def _in_clade(self, reading: _Reading, organisms: frozenset[TermId]) -> bool:
        if reading.clade is None:
            return True
        known = [organism for organism in organisms if self._catalogue.resolve(organism)]
        if any(reading.clade in self._catalogue.ancestors(organism, (IS_A,)) for organism in known):
            return True
        return prefix_of(reading.term) == "PO" and not known

    def _named(
        self, words: list[_Word], text: str, clades: frozenset[TermId] | None
    ) -> Iterator[tuple[int, int, _Reading]]:
        """The longest name at each place that is not inside one before it."""
        place = 0
        while place < len(words):
            found = self._longest(words, place, text, clades)
            if found is None:
                place += 1
                continue
            last, reading = found
            yield place, last, reading
            place = last + 1

    def _longest(
        self, words: list[_Word], first: int, text: str, clades: frozenset[TermId] | None
    ) -> tuple[int, _Reading] | None:
        run = [words[first].plain]
        while len(run) < _LONGEST and words[first + len(run) - 1].joined:
            run.append(words[first + len(run)].plain)
        names = self._names(run)
        for length in range(len(run), 0, -1):
            name = " ".join(run[:length])
            last = first + length - 1
            surface = text[words[first].start : words[last].end]
            if name in names or name in OWN_NAMES or _is_code(surface, length):
                reading = self._reading(surface, name)
            elif length > 1 and run[length - 1] in METHOD_NOUNS:
                reading = self._method(run[: length - 1])
            else:
                continue
            if reading is not None and (clades is None or self._in_clade(reading, clades)):
                return last, reading
        return None

    def _names(self, run: list[str]) -> frozenset[str]:
        """Names in the catalogue that begin as a run of words does: all that could be the run's, and more."""
        found: frozenset[str] | None = None
        beginnings: list[str] = []
        for length in range(1, len(run) + 1):
            beginning = " ".join(run[:length])
            beginnings.append(beginning)
            found = self._below.get(beginning, frozenset({""}))
            if found == {""}:
                found = self._below[beginning] = self._catalogue.names_beginning(beginning, _MANY)
            if found is not None:
                break
        # a beginning of very many names may be a name itself; reading it tells
        return (found or frozenset()) | (frozenset(beginnings) if len(beginnings) > 1 else frozenset())

    def _reading(self, surface: str, name: str) -> _Reading | None:
        key = (surface, name)
        if key not in self._readings:
            self._readings[key] = self._read(surface, name)
        return self._readings[key]

    def _read(self, surface: str, name: str) -> _Reading | None:
        if name in OWN_NAMES and not (surface.isupper() and len(surface) <= 4 and surface != "TIRF"):
            field, term = OWN_NAMES[name]
            if self._catalogue.resolve(term):
                return _Reading(field, term, self._catalogue.label(term), round(0.9 * _SCORED, 3))
        if name in GENERIC:
            return None
        matches = [match for match in self._catalogue.find(surface) if _is_name(match, surface)]
        readings = [(match, reading) for match in matches if (reading := self._as_reading(match, surface))]
        if readings:
            return min(readings, key=lambda pair: (_rank(pair[0], surface), -pair[1].score, pair[1].term))[1]
        hides = any(" " in name and prefix_of(m.term) in _ORDER and prefix_of(m.term) != "CVCL" for m in matches)
        return _NOTHING if hides else None

    def _as_reading(self, match: Match, surface: str) -> _Reading | None:
        """What a match means, if it is of a kind that its field is for."""
        prefix = prefix_of(match.term)
        field = _FIELDS.get(prefix)
        clade = _CLADES.get(prefix)
        cue = False
        if prefix == "GO":
            field = self._aspect(match.term)
        elif prefix == "FBbi" and match.term not in self._methods:
            field = None
        elif prefix == "EFO":
            field = self._efo_field(match.term)
            cue = field == "cell_line" and len(_bare(surface)) < 4
        elif prefix in ("CVCL", "CLO"):
            cue = prefix == "CVCL" and not re.fullmatch(r"(?=.*\d)[A-Za-z]{2}.{4,}", _bare(surface))
        group = prefix == "EFO" and match.name.endswith("cell line")
        if field is None or group or prefix == "PATO" or normal(match.label) in GENERIC:
            return None
        return _Reading(field, match.term, match.label, round(match.score * _SCORED, 3), clade, cue)

    def _aspect(self, term: TermId) -> str | None:
        above = self._catalogue.ancestors(term, (IS_A,))
        return next((field for root, field in _GO_ASPECTS.items() if root in above), None)

    def _efo_field(self, term: TermId) -> str | None:
        above = [self._catalogue.label(parent) for parent in self._catalogue.ancestors(term) if parent != term]
        if any(label.endswith("cell line") for label in above):
            return "cell_line"
        return "disease" if any(label.endswith(("disease", "disorder")) for label in above) else None

    def _method(self, run: list[str]) -> _Reading | None:
        """A method by its name with another noun than "microscopy": electron micrograph, confocal image."""
        name = " ".join(run)
        if OWN_NAMES.get(name, ("",))[0] == "imaging_method":
            return self._reading(name, name)
        if name in ("fluorescence", "light", "x ray"):
            return None
        found = [match for match in self._catalogue.find(f"{name} microscopy", ("FBbi",)) if match.term in self._methods]
        return self._as_reading(found[0], name) if found else None


def _words(text: str) -> list[_Word]:
    masked = MASKED.sub(lambda found: "\n" * len(found.group()), text)
    if unicodedata.is_normalized("NFC", masked):
        spans = [(found.start(), found.end()) for found in _WORD.finditer(masked)]
    else:
        spans = [(start, end) for _, start, end in located(masked)]
    words = []
    for (start, end), following in zip(spans, [*spans[1:], None], strict=True):
        joined = False
        if following is not None:
            gap = masked[end : following[0]]
            joined = bool(_GAP.fullmatch(gap)) and (gap[0] != "." or end - start <= 2)
        words.append(_Word(_plain(masked[start:end]), start, end, joined))
    return words


@lru_cache(maxsize=1 << 16)
def _plain(word: str) -> str:
    return normal(word)


def _is_code(surface: str, length: int) -> bool:
    """Whether a run of words may be a code that is spelt in several ways: U-2 OS, MCF 10A."""
    return (
        length <= 3
        and surface[:1].isupper()
        and any(c.isdigit() for c in surface)
        and sum(c.isalpha() for c in surface) > 1
        and len(surface) <= 14
    )


def _bare(name: str) -> str:
    return "".join(_WORD.findall(name))


def _is_name(match: Match, surface: str) -> bool:
    """Whether a match is by a name that is sure, written as its ontology writes it where that matters."""
    prefix = prefix_of(match.term)
    sure = match.scope in (Scope.LABEL, Scope.EXACT)
    if not sure and not (prefix == "NCBITaxon" and match.scope is Scope.BROAD) and not (
        prefix in ("CL", "FBbi", "NCBITaxon") and " " in surface
    ):
        return False
    spelt = _part_named(match.name, surface)
    name, written = _bare(spelt), _bare(surface)
    if prefix == "CVCL":
        return name == written
    coded = len(name) <= 3 or not (name[1:].islower() or " " in spelt)
    if prefix not in _ABBREVIATING and spelt.isupper() and len(name) <= 4:
        return False
    if coded and prefix == "EFO" and len(name) >= 4:
        return name.casefold() == written.casefold() and written[:1].isupper()
    if coded and " " not in spelt:
        return name in (written, written.removesuffix("s"))
    if surface.isupper() and 1 < len(surface) <= 5 and not spelt.isupper():
        return False
    taxon = prefix == "NCBITaxon" and spelt[:1].isupper() and " " not in spelt
    return not taxon or surface[:1].isupper()


def _part_named(name: str, surface: str) -> str:
    """The part of `stimulated emission depletion (STED)` that was found."""
    parted = re.fullmatch(r"(.*\S)\s+\((.*)\)", name)
    plain = normal(surface)
    return next((part for part in parted.groups() if normal(part) == plain), name) if parted else name


def _rank(match: Match, surface: str) -> tuple[bool, int]:
    """Names that need no change before others, and among these the ontologies in their order."""
    prefix = prefix_of(match.term)
    lower_taxon = prefix == "NCBITaxon" and " " not in surface and match.scope is not Scope.EXACT
    return lower_taxon, _ORDER.index(prefix) if prefix in _ORDER else len(_ORDER)


def _is_abbreviation(text: str, word: _Word) -> bool:
    return sum(c.isupper() for c in text[word.start : word.end]) >= 2


def _explained(text: str, words: list[_Word], found: list[tuple[int, int, _Reading]]) -> dict[str, _Reading]:
    """What the abbreviations that a text explains stand for: `endoplasmic reticulum (ER)`."""
    meanings: dict[str, _Reading] = {}
    ends = {words[last].end: (first, reading) for first, last, reading in found}
    for bracket in _EXPLAINED.finditer(text):
        short = bracket.group(1)
        if sum(c.isupper() for c in short) < 2:
            continue
        before = [place for place, word in enumerate(words) if word.end <= bracket.start()][-8:]
        if not before or text[words[before[-1]].end : bracket.start()].strip():
            continue
        named = ends.get(words[before[-1]].end)
        if named and _initials(short, [text[w.start : w.end] for w in words[named[0] : before[-1] + 1]]):
            meanings[normal(short)] = named[1]
        elif any(_initials(short, [text[words[p].start : words[p].end] for p in before[k:]]) for k in range(len(before))):
            meanings[normal(short)] = _NOTHING
    return meanings


def _initials(short: str, long: list[str]) -> bool:
    """Whether the letters of an abbreviation stand in this order in its words, the first at their beginning."""
    letters = [c for c in short.removesuffix("s").casefold() if c.isalnum()]
    if not letters or long[0][:1].casefold() != letters[0] or len(long) > len(letters) + 2:
        return False
    rest = iter(" ".join(long).casefold())
    return all(c in rest for c in letters)


def _is_barred(reading: _Reading, first: int, last: int, words: list[_Word], text: str) -> bool:
    """Whether what stands beside a name takes its meaning from it."""
    start, end = words[first].start, words[last].end
    before = [word.plain for word in words[max(0, first - 3) : first]]
    after = [word.plain for word in words[last + 1 : last + 3]]
    follows = text[end : end + 1]
    if reading.cue and not CELL_CUES & set((*after, *before[-2:])):
        return True
    if follows == "-" and after and after[0] in NEGATIVE_ENDINGS:
        return True
    if _is_denied(before, text[:start]):
        return True
    if after and (after[0] in PRODUCT_NOUNS or " ".join(after) in PRODUCT_NOUNS) and words[last].joined:
        return True
    if text[first and words[first - 1].start : start].casefold().startswith(("anti-", "anti ")):
        return True
    if follows == "-" and after and after[0] in ("associated", "binding", "interacting"):
        return True
    plain = " ".join(word.plain for word in words[first : last + 1])
    if plain in HOSTS and (before[-1:] == ["recombinant"] or (after[:1] == ["anti"])):
        return True
    if plain == "human" and (before[-1:] == ["recombinant"] or (after and after[0] in HUMAN_ROLES)):
        return True
    beside = {*after[:2], *before[-1:]}
    return text[start].isupper() and bool(beside & NOT_NAMES) and _capital_beside(text, words, last)


def _capital_beside(text: str, words: list[_Word], last: int) -> bool:
    return last + 1 < len(words) and text[words[last + 1].start].isupper()


def _is_denied(before: list[str], text: str) -> bool:
    clause = re.split(r"[.;:,!?()\n]", text[-60:])[-1]
    words = normal(clause).split()[-3:]
    denied = [place for place, word in enumerate(words) if word in NEGATIONS]
    return bool(denied) and bool(before) and not {"only", "longer"} & set(words[denied[-1] :])

"""Find the terms that free text names. Rules, no model; pure, so that callers may cache by text.

A name is a run of words that is a term's label or exact synonym but for case, hyphens, number and British spelling; of
several that begin at one word the longest counts, and nothing inside it. What is left out is in `prose_words`, and:

- a name that stands for terms of several fields belongs to the first of `_ORDER` that knows it as its own;
- ontologies of one clade (flies, worms, fishes, plants) only speak where the text or its record names that clade;
- short names and names in capitals must be written as their ontology writes them, so `was` is no syndrome, and a word
  in capitals is a gene, `CAT`, unless its term is written so;
- a name of a cell line that only Cellosaurus has needs "cells" or the like beside it;
- an organ's cells right behind a line's name say where the line is from, not what is shown: `Vero E-6 kidney cells`;
- an abbreviation that the text explains stands for what it explains, and if that is no term, for none;
- not what is denied (`no tumour`, `non-neuronal`), hosts of antibodies (`anti-mouse`), products (`nerve growth
  factor`), institutions, addresses and file names.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import IS_A, TermId
from hooke.text import located
from ontologies.catalogue import Catalogue
from ontologies.ground import aspect_field
from ontologies.ids import prefix_of
from ontologies.model import Match, Scope
from ontologies.names import normal
from ontologies.prose_words import (
    ANTIBODY_WORDS,
    CELL_CUES,
    GENERIC,
    HOSTS,
    HUMAN_ROLES,
    MAY_MASK,
    METHOD_NOUNS,
    NEGATIONS,
    NEGATIVE_ENDINGS,
    NOT_NAMES,
    OWN_NAMES,
    PRODUCT_NOUNS,
    REAGENTS,
    is_address,
)

_ORDER = (
    *("NCBITaxon", "CL", "UBERON", "GO", "DOID", "MONDO", "FBbi", "CMPO", "FYPO", "CLO", "EFO", "CVCL", "BTO"),
    *("FBbt", "WBbt", "ZFA", "PO", "CHEBI"),
)
"""Whose term a name is where several ontologies have it: its own field's, so that CL has cells, not ZFA."""
_FIELDS = {
    prefix: field
    for field, prefixes in ONTOLOGY_FIELDS.items()
    for prefix in prefixes
    if field != "developmental_stage"
}
_CLADES = {"FBbt": "NCBITaxon:50557", "WBbt": "NCBITaxon:6231", "ZFA": "NCBITaxon:7955", "PO": "NCBITaxon:33090"}
_METHOD_ROOTS = ("FBbi:00000222", "FBbi:00000321")
_DRAWINGS = "FBbi:00000266"
_SCORED = 0.8
"""What a name is worth in prose, of what it is worth as a value of its field: prose may only touch on what it names."""
_HIDING = frozenset({"GO", "FBbi", "NCBITaxon"})
"""Whose names that are no field's, `actin binding`, still are names: nothing inside them is one."""
_ABBREVIATING = frozenset({"FBbi", "NCBITaxon", "EFO", "CLO"})
"""Whose names of up to four capitals are believed where the text does not explain them."""
_PLAIN_LIGHT = ("fluorescence", "light", "x ray")
"""What is no microscopy with another noun: fluorescence imaging of a whole mouse."""
_LONGEST, _CODED, _SHORT = 10, 3, 3
_MANY = 2_000
"""Names that begin with one word, beyond which the next word is asked for too: `regulation of …`."""
_RUN = re.compile(r"\S+")
_GAP = re.compile(r"[ \t\xa0]*[-\u2010\u2011\u2013_'\u2019]?[ \t\xa0]*(?:\r?\n[ \t]*)?")
_WORD = re.compile(r"[^\W_]+")
_SPECIES = re.compile(r"[A-Z][a-z]?\.\s?[a-z]+")
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


class _Word(NamedTuple):
    """A word in its normal form. joined: only a space or a hyphen parts it from the next.

    coded: it may begin a code or an abbreviated species, which are written in more ways than there are names: U-2 OS.
    """

    plain: str
    start: int
    end: int
    joined: bool
    coded: bool


class _Names(NamedTuple):
    """Names that begin with the same words, by how they may be written; openings: these, and their first words."""

    names: Mapping[str, str]
    openings: frozenset[str]
    many: bool = False


_NO_NAMES = _Names({}, frozenset())
_MANY_NAMES = _Names({}, frozenset({""}), many=True)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a name means wherever it stands; clade, cue: what must be near it; without a term it only hides."""

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
        self._below: dict[str, _Names] = {}
        self._readings: dict[tuple[str, str], _Reading | None] = {}
        self.tag = lru_cache(maxsize=1 << 15)(self._tag)
        methods = set().union(*(self._descendants(root) for root in _METHOD_ROOTS))
        self._methods = frozenset(methods - self._descendants(_DRAWINGS))

    def reads(self, name: str, terms: Collection[TermId]) -> bool:
        """Whether texts are read for a name of these terms: by itself, written so or as its ontology does, it is one.

        A short name counts as it is written only: `may` is no cell line, though `MAY` is.
        """
        matches = self._catalogue.find(name) if len(_bare(name)) > _SHORT else ()
        written = (name, *(match.name for match in matches if match.term in terms))
        return any(tag.term in terms for surface in dict.fromkeys(written) for tag in self.tag(surface))

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
        behind_lines = {_behind(words, last) for _, last, reading in found if reading.field == "cell_line"}
        return tuple(
            Tag(reading.field, reading.term, reading.label, reading.score, words[first].start, words[last].end)
            for first, last, reading in sorted(found, key=lambda named: named[0])
            if reading.term
            and not (first in behind_lines and reading.field == "cell_type" and self._is_organ(words[first], text))
            and not any(rule(_Place(reading, first, last, words, text)) for rule in _BARRED)
        )

    def _is_organ(self, word: _Word, text: str) -> bool:
        reading = self._reading(text[word.start : word.end], word.plain)
        return reading is not None and reading.field == "anatomy"

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
        begun = words[first]
        listed = self._beginning(begun.plain)
        if not listed.openings and not begun.coded:
            return None
        run = [begun.plain]
        opening, sure = begun.plain, 0
        while words[first + len(run) - 1].joined and len(run) < _LONGEST:
            following = f"{opening} {words[first + len(run)].plain}"
            if listed.many:
                sure = len(run)
                listed = self._beginning(following)
            if following not in listed.openings and not listed.many and not (begun.coded and len(run) < _CODED):
                break
            opening = following
            run.append(words[first + len(run)].plain)
        for length in range(len(run), 0, -1):
            written = " ".join(run[:length])
            surface = text[begun.start : words[first + length - 1].end]
            name = listed.names.get(written)
            if name is not None:
                reading = self._reading(surface if name == written else name, name)
            elif length <= sure or listed.many or (begun.coded and length <= _CODED):
                reading = self._reading(surface, written)
            else:
                continue
            if reading is not None and (clades is None or self._in_clade(reading, clades)):
                return first + length - 1, reading
        return None

    def _beginning(self, words: str) -> "_Names":
        """The names that begin so."""
        found = self._below.get(words)
        if found is None:
            listed = self._catalogue.names_beginning(words, _MANY)
            found = self._below[words] = _MANY_NAMES if listed is None else _written(words, listed)
        return found

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
        shortened = {match.term for match, _ in readings if prefix_of(match.term) == "NCBITaxon"}
        if _SPECIES.fullmatch(surface) and len(shortened) > 1:
            return None  # two genera of one letter
        if readings:
            return min(readings, key=lambda pair: (_rank(pair[0], surface), -pair[1].score, pair[1].term))[1]
        hides = any(" " in name and prefix_of(match.term) in _HIDING for match in matches)
        return _NOTHING if hides else None

    def _as_reading(self, match: Match, surface: str) -> _Reading | None:
        """What a match means, if it is of a kind that its field is for."""
        prefix = prefix_of(match.term)
        field = _FIELDS.get(prefix)
        clade = _CLADES.get(prefix)
        cue = False
        if prefix == "GO":
            field = aspect_field(match.term, self._catalogue)
        elif prefix == "FBbi" and match.term not in self._methods:
            field = None
        elif prefix == "EFO":
            field = self._efo_field(match.term)
            cue = len(_bare(surface)) < 4
        elif prefix == "CVCL":
            cue = not re.fullmatch(r"(?=.*\d)[A-Za-z]{2}.{4,}", _bare(surface))
        if field is None or prefix == "PATO" or normal(match.label) in GENERIC:
            return None
        if field == "cell_line" and not _is_line(match.name, surface, cue=cue):
            return None
        if field == "anatomy" and match.label.endswith(" stage"):
            return None
        if prefix == "NCBITaxon" and not match.term.partition(":")[2].isdecimal():
            return None  # the ranks are terms too
        return _Reading(field, match.term, match.label, round(match.score * _SCORED, 3), clade, cue)

    def _efo_field(self, term: TermId) -> str | None:
        above = [self._catalogue.label(parent) for parent in self._catalogue.ancestors(term) if parent != term]
        if any(label.endswith("cell line") for label in above):
            return "cell_line"
        return "disease" if any(label.endswith(("disease", "disorder")) for label in above) else None


def _behind(words: list[_Word], last: int) -> int | None:
    """The place of the word behind a line's name and the letters and numbers of its clone: `Vero E-6`."""
    place = last
    while words[place].joined:
        place += 1
        if len(words[place].plain) > 2:
            return place
    return None


def _words(text: str) -> list[_Word]:
    if MAY_MASK.search(text):
        text = _RUN.sub(lambda run: "\n" * len(run.group()) if is_address(run.group()) else run.group(), text)
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        spans = [found.span() for found in _WORD.finditer(text)]
    else:
        spans = [(start, end) for _, start, end in located(text)]
    plain = [_plain(text[start:end]) for start, end in spans]
    words: list[_Word] = []
    for place, (start, end) in enumerate(spans):
        joined = place + 1 < len(spans) and _are_joined(text, start, end, spans[place + 1][0])
        coded = text[start].isupper() and (
            not plain[place].isalpha() or (joined and (text[end] == "." or not plain[place + 1].isalpha()))
        )
        words.append(_Word(plain[place], start, end, joined, coded))
    return words


def _are_joined(text: str, start: int, end: int, following: int) -> bool:
    if following < end:  # one character is two words: `½`
        return False
    if following == end + 1 and text[end] in " -_":
        return True
    gap = text[end:following]
    if gap[0] == ".":  # the genus of a species: `E. coli`
        return end - start <= 2 and text[start].isupper() and gap in (".", ". ", ".\xa0") and text[following].islower()
    return bool(_GAP.fullmatch(gap))


@lru_cache(maxsize=1)
def tagger_of(catalogue: Catalogue) -> Tagger:
    """The tagger of a catalogue, kept for the next to ask."""
    return Tagger(catalogue)


@lru_cache(maxsize=1 << 16)
def _plain(word: str) -> str:
    return normal(word)


def _written(words: str, names: frozenset[str]) -> _Names:
    """Names by how they may be written: a method also with another noun than "microscopy", or with one more."""
    written = {name: name for name in names}
    for name in names:
        stem = name.removesuffix(" microscopy")
        if stem != name and stem not in _PLAIN_LIGHT:
            written |= {f"{stem} {noun}": name for noun in METHOD_NOUNS if f"{stem} {noun}" not in names}
    for name, (field, _) in OWN_NAMES.items():
        if name == words or name.startswith(words + " "):
            written[name] = name
            if field == "imaging_method":
                written |= {f"{name} {noun}": name for noun in METHOD_NOUNS}
    openings = {name[:place] for name in written for place, character in enumerate(name) if character == " "}
    return _Names(written, frozenset(openings | written.keys())) if written else _NO_NAMES


def _bare(name: str) -> str:
    return "".join(_WORD.findall(name))


def _is_name(match: Match, surface: str) -> bool:
    """Whether a match is by a name that is sure, written as its ontology writes it where that matters."""
    prefix = prefix_of(match.term)
    sure = match.scope in (Scope.LABEL, Scope.EXACT)
    if (
        not sure
        and not (prefix == "NCBITaxon" and match.scope is Scope.BROAD)
        and not (prefix in ("CL", "FBbi", "NCBITaxon") and " " in surface)
    ):
        return False
    if prefix == "NCBITaxon" and "<" in match.label and " " not in surface:
        return False  # `Echinops <placentals>`: the thistle of that name may just not be loaded
    spelt = _part_named(match.name, surface)
    name, written = _bare(spelt), _bare(surface)
    if prefix == "CVCL":
        return name == written
    if len(name) <= (3 if prefix == "NCBITaxon" else 2) and name != "S2":
        return False
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


def _is_line(name: str, surface: str, *, cue: bool) -> bool:
    """Whether a name can be told from other words and codes: it has a letter, and digits or capitals too."""
    bare = _bare(surface)
    capitals = sum(c.isupper() for c in bare)
    return (
        any(c.isalpha() for c in bare)
        and not name.endswith("cell line")
        and (capitals > 1 or any(c.isdigit() for c in bare) or " " in name or (capitals == 1 and not cue))
        and (len(bare) > 2 or bare == "S2")
    )


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
    word_ends = [word.end for word in words]
    for bracket in _EXPLAINED.finditer(text):
        short = bracket.group(1)
        if sum(c.isupper() for c in short) < 2:
            continue
        place = bisect_right(word_ends, bracket.start())
        before = range(max(0, place - 8), place)
        if not before or text[words[before[-1]].end : bracket.start()].strip():
            continue
        named = ends.get(words[before[-1]].end)
        spelt = [text[words[place].start : words[place].end] for place in before]
        if named and _initials(short, spelt[named[0] - before[-1] - 1 :]):
            meanings |= dict.fromkeys((normal(short), normal(short + "s")), named[1])
        elif any(_initials(short, spelt[start:]) for start in range(len(spelt))):
            meanings |= dict.fromkeys((normal(short), normal(short + "s")), _NOTHING)
    return meanings


def _initials(short: str, long: list[str]) -> bool:
    """Whether the letters of an abbreviation stand in this order in its words, the first at their beginning."""
    letters = [c for c in short.removesuffix("s").casefold() if c.isalnum()]
    if not letters or long[0][:1].casefold() != letters[0] or len(long) > len(letters) + 2:
        return False
    rest = iter(" ".join(long).casefold())
    return all(c in rest for c in letters)


class _Place(NamedTuple):
    """A name where it stands, for the rules about what is beside it."""

    reading: _Reading
    first: int
    last: int
    words: list[_Word]
    text: str

    @property
    def name(self) -> str:
        return " ".join(word.plain for word in self.words[self.first : self.last + 1])

    @property
    def surface(self) -> str:
        return self.text[self.words[self.first].start : self.words[self.last].end]

    @property
    def before(self) -> str:
        """The rest of its clause, as far as it matters."""
        start = self.words[self.first].start
        return re.split(r"[.;:,!?()\n]", self.text[max(0, start - 60) : start])[-1]

    @property
    def ending(self) -> str:
        """What a hyphen joins to it."""
        hyphen = self.text[self.words[self.last].end : self.words[self.last].end + 1] == "-"
        return self.after(1)[0] if hyphen and self.after(1) else ""

    def after(self, count: int) -> list[str]:
        return [word.plain for word in self.words[self.last + 1 : self.last + 1 + count]]

    def preceding(self, count: int) -> list[str]:
        return [word.plain for word in self.words[max(0, self.first - count) : self.first]]


def _is_no_cell_line(place: _Place) -> bool:
    return place.reading.cue and not CELL_CUES & set(place.after(1))


def _is_denied(place: _Place) -> bool:
    near = normal(place.before).split()[-3:]
    denied = [number for number, word in enumerate(near) if word in NEGATIONS]
    really = bool(denied) and not {"only", "longer"} & set(near[denied[-1] :])
    return really or place.ending in NEGATIVE_ENDINGS


def _is_product(place: _Place) -> bool:
    following = place.after(2) if place.words[place.last].joined else []
    nouns = REAGENTS if place.reading.field == "organism" else PRODUCT_NOUNS
    named = bool(nouns & {" ".join(following[:1]), " ".join(following)})
    return named or place.ending in ("associated", "binding", "interacting") or place.preceding(1) == ["recombinant"]


def _is_host(place: _Place) -> bool:
    against = re.search(r"(?i)\banti[- ]$", place.before) is not None
    return against or (place.name in HOSTS and bool(ANTIBODY_WORDS & {*place.preceding(3), *place.after(4)}))


def _is_counted_from(place: _Place) -> bool:
    """Days post fertilization."""
    return place.reading.field == "biological_process" and place.preceding(1) == ["post"]


def _is_standard_error(place: _Place) -> bool:
    return place.surface == "SEM" and re.search(r"(±|\bmeans?)\W*(and )?$", place.before) is not None


def _is_person(place: _Place) -> bool:
    return place.name == "human" and bool(HUMAN_ROLES & set(place.after(1)))


def _is_institution(place: _Place) -> bool:
    beside = {*place.after(2), *place.preceding(1)}
    following = place.words[place.last + 1 : place.last + 2]
    capitals = [place.text[word.start].isupper() for word in (place.words[place.first], *following)]
    return len(capitals) == 2 and all(capitals) and bool(beside & NOT_NAMES)


_BARRED: tuple[Callable[[_Place], bool], ...] = (
    *(_is_no_cell_line, _is_denied, _is_product, _is_host),
    *(_is_counted_from, _is_standard_error, _is_person, _is_institution),
)
"""Why what stands beside a name may take its meaning from it."""

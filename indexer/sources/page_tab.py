"""BioStudies' page-tab as JSON: a tree of sections, each a type with attributes, files, links and sections."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hooke.errors import UnreadableSource
from hooke.fields import field_name
from indexer.sources.base import Document, Quarantine, Quarantined, decode
from indexer.sources.json_text import Json, parse, scalar
from indexer.sources.values import accession_of, line_of

DEPTH = 12
"""Levels of sections, and of lists around them, that are read; the templates have four."""

FILE, LINK = "file", "link"
"""The kinds that the files and the links of a section are read as, with `path`, `size`, `url` for attributes."""

_Report = Callable[[str, str], None]
_KINDS = {"organization": "organisation", "annotations": "annotation"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name, as a field's, and a text; `qualifiers` of the text by name: `ontology`, `term_id`, `url`."""

    name: str
    text: str
    is_reference: bool = False
    qualifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A section; `kind` is its type as a field's name, `accession` its own one inside the submission."""

    kind: str
    attributes: tuple[Attribute, ...]
    sections: tuple["Section", ...] = ()
    accession: str = ""

    def first(self, *names: str) -> str:
        """The first text of the attributes named so."""
        return next((a.text for a in self.attributes if a.name in names and a.text), "")

    @property
    def tree(self) -> Iterator["Section"]:
        """The section and all below it, in order."""
        yield self
        for section in self.sections:
            yield from section.tree


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission: the study's accession, the attributes beside the study, and the study."""

    accession: str
    about: Section
    study: Section


def read_page_tab(document: Document, quarantine: Quarantine) -> Submission:
    """The submission in a document; parts of the wrong shape are quarantined. Raises UnreadableSource."""

    def report(where: str, reason: str) -> None:
        quarantine(Quarantined(f"{document.label}:{where}", f"{reason}; left out"))

    parsed = parse(decode(document.data))
    study = parsed.get("section") if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(study, dict):
        raise UnreadableSource("no `section` of the study in the submission; fetch it from BioStudies again")
    accession = line_of(scalar(parsed.get("accno")) or scalar(study.get("accno")))
    if not accession:
        raise UnreadableSource("no accession (`accno`) in the submission; fetch it from BioStudies again")
    about = Section("study", tuple(_attributes(parsed, "submission", report)))
    return Submission(accession_of(accession), about, _section(study, "section", report, 0))


def name_of(label: str) -> str:
    """The name of a type or attribute as a field's, words parted where a capital starts one.

    >>> name_of("ReleaseDate"), name_of("Study Component"), name_of("NCBI taxon ID")
    ('release_date', 'study_component', 'ncbi_taxon_id')
    """
    return field_name(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label))


def _section(entry: dict[str, Json], where: str, report: _Report, depth: int) -> Section:
    kind = name_of(scalar(entry.get("type")))
    inner = [
        _section(found, place, report, level)
        for found, place, level in _entries(entry, "subsections", where, report, depth)
    ]
    for key, kept in (("files", FILE), ("links", LINK)):
        inner += [
            Section(kept, (*_own(found), *_attributes(found, place, report)))
            for found, place, _ in _entries(entry, key, where, report, depth)
        ]
    attributes = tuple(_attributes(entry, where, report))
    return Section(_KINDS.get(kind, kind) or "section", attributes, tuple(inner), line_of(scalar(entry.get("accno"))))


def _entries(
    entry: dict[str, Json], key: str, where: str, report: _Report, depth: int
) -> Iterator[tuple[dict[str, Json], str, int]]:
    """The objects in a list, and in the lists in it (page-tab's tables), with where each stands and how deep."""
    waiting = [(entry.get(key), f"{where}.{key}", depth)]
    while waiting:
        found, place, level = waiting.pop()
        if level > DEPTH:
            report(place, f"nested more than {DEPTH} deep")
        elif isinstance(found, list):
            waiting.extend((item, f"{place}[{n}]", level + 1) for n, item in reversed(list(enumerate(found))))
        elif isinstance(found, dict):
            yield found, place, level
        elif found is not None:
            report(place, "a text or number where an object is expected")


def _attributes(entry: dict[str, Json], where: str, report: _Report) -> Iterator[Attribute]:
    for found, place, _ in _entries(entry, "attributes", where, report, 0):
        name, value = name_of(scalar(found.get("name"))), found.get("value")
        if not name or isinstance(value, dict | list):
            report(place, "an attribute without a name" if not name else f"the value of {name} is no text")
            continue
        is_reference = bool(found.get("reference") or found.get("isReference"))
        yield Attribute(name, scalar(value), is_reference, _qualifiers(found.get("valqual")))


def _own(entry: dict[str, Json]) -> Iterator[Attribute]:
    """The path, size and type of a file, the address of a link."""
    for key, value in entry.items():
        if key != "attributes" and scalar(value):
            yield Attribute(name_of(key), scalar(value))


def _qualifiers(found: Json) -> dict[str, str]:
    pairs = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return {name_of(scalar(item.get("name"))): scalar(item.get("value")) for item in pairs}

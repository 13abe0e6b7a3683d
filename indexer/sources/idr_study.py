"""IDR study files: tab-separated keys and values, one section for the study and one for each screen or experiment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hooke.fields import field_name
from hooke.model import Dataset, Study, Value
from indexer.sources.base import Document, decode
from indexer.sources.licence import spdx
from indexer.sources.values import bare_doi, canonical_field, clean, distinct, line_of, term_ids

ORIGIN = "idr"
ARCHIVE = "IDR"

_SECTION = (
    "Study|Screen|Experiment|Library|Assay|Protocol|Phenotype|Quality Control|Raw Image|Feature Level|Processed Data"
)
# A key is capitalised words that begin with a section's name; prose that continues a value is not.
_WORD = "[A-Z][A-Za-z]{0,19}"
_KEY = re.compile(rf"\"?(Comment ?\[[^\]]+\]|(?:{_SECTION}|Term Source)(?:{_WORD})?(?: {_WORD}){{0,8}})\"? *,?(?:\t|$)")
# a tab lost to spaces: `Screen Type primary screen`, `Term Source Name    NCBITaxon`
_SPACED_KEY = re.compile(
    r"((?:Study|Screen|Experiment) (?:Organism|Imaging Method|Type)(?: Term Source REF| Term Accession)?) +(?=\S)"
    r"|(Term Source Name) {2,}"
)
_DATASET_NUMBER = re.compile(r"(Screen|Experiment) Number")
_DATASET_NAME = re.compile(r"Comment ?\[IDR (?:Screen|Experiment) Name\]")
_COMPANION = re.compile(r"(.+) Term (Source(?: REF)?|Accession|Name)")
_SIZE_LABEL = re.compile(r"(?:\dD )?[A-Za-z][A-Za-z ]*(?:\([A-Z]+\))?")
_STUDY_FIELDS = {
    "Study Key Words": "keywords",
    "Study Key Word": "keywords",
    "Comment[IDR Study Accession]": "accession",
    "Study Author List": "authors",
    "Study PubMed ID": "pubmed_id",
    "Study DOI": "doi",
    "Study License URL": "licence_url",
    "Study Public Release Date": "release_date",
    "Study Type": "study_type",
    "Screen Type": "screen_type",
    "Phenotype Name": "phenotype",
    "Screen Size": "size",
    "Experiment Size": "size",
}


_Terms = dict[str, list[str]]
"""The `Source`, `Name` and `Accession` rows of one term for each value of a key, by position."""


@dataclass(slots=True)
class _Section:
    """The rows of the study or of one dataset, in order; a key may repeat."""

    rows: list[tuple[str, list[str]]] = field(default_factory=list)

    def first(self, key: str) -> str:
        """The first value of a key, or an empty text."""
        return next((cell for name, cells in self.rows if re.fullmatch(key, name) for cell in cells if cell), "")


def read_study(document: Document) -> Study | None:
    """The study that a study file describes; None where neither the file nor its name has an IDR accession."""
    sections = _sections(decode(document.data))
    about = sections[0]
    accession = about.first(r"Comment ?\[IDR Study Accession\]") + " " + document.name.rsplit("/", 1)[-1]
    found = re.search(r"idr\d{4,}", accession, flags=re.IGNORECASE)
    if not found:
        return None
    datasets = tuple(_dataset(section, n) for n, section in enumerate(sections[1:], start=1))
    identifier = found.group().lower()
    own = (Value("accession", identifier), Value("archive", ARCHIVE), *_values(about))
    values = distinct((*own, *(value for dataset in datasets for value in dataset.values)))
    title = about.first("Study Title") or identifier
    return Study(identifier, line_of(title), values, datasets, origins=(ORIGIN,))


def _dataset(section: _Section, number: int) -> Dataset:
    name = section.first(_DATASET_NAME.pattern).rstrip("/").rsplit("/", 1)[-1].strip()
    kind = "experiment" if any(key.startswith("Experiment") for key, _ in section.rows) else "screen"
    return Dataset(name or f"{kind}{chr(64 + number)}", distinct(_values(section)))


def _sections(text: str) -> list[_Section]:
    sections = [_Section()]
    for key, cells in _rows(text):
        if _DATASET_NUMBER.fullmatch(key):
            # a template's second section, left empty, is overwritten by the next
            if len(sections) == 1 or _has_values(sections[-1]):
                sections.append(_Section())
            continue
        sections[-1].rows.append((key, cells))
    return sections if len(sections) == 1 or _has_values(sections[-1]) else sections[:-1]


def _has_values(section: _Section) -> bool:
    return any(any(cells) for key, cells in section.rows if not _COMPANION.fullmatch(key))


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """Keys and their cells, by position. A line without a key continues the value above it."""
    key, raw = "", ""
    for line in re.split(r"\r\n|\r|\n", text):
        started = _started(line)
        if started:
            if key:
                yield key, _cells(raw)
            key, raw = started
        elif key and line.strip() and not re.match(r'\s*"?#', line):
            raw += "\n" + line
    if key:
        yield key, _cells(raw)


def _started(line: str) -> tuple[str, str] | None:
    match = _KEY.match(line)
    if match:
        return match.group(1), line[match.end() :]
    spaced = _SPACED_KEY.match(line)
    return (spaced.group(1) or spaced.group(2), line[spaced.end() :]) if spaced else None


def _cells(raw: str) -> list[str]:
    """Cells split at tabs outside quotes; an unmatched quote is an ordinary character."""
    quoted = r'(?:^|(?<=\t))[ \n]*"((?:[^"]|"")*)"[ \n]*(?=\t|$)'
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match.group(1).replace('""', '"'))
        return f"\x00{len(held) - 1}\x00"

    split = re.sub(quoted, hold, raw).split("\t")
    return [clean(re.sub("\x00(\\d+)\x00", lambda m: held[int(m.group(1))], cell)) for cell in split]


def _values(section: _Section) -> Iterator[Value]:
    companions = _companions(section)
    taken: dict[str, int] = {}
    for key, cells in section.rows:
        if _COMPANION.fullmatch(key) or key.startswith("Term Source"):
            continue
        nth = taken.get(key, 0)
        taken[key] = nth + 1
        yield from _row_values(_field(key), cells, companions.pop((key, nth), []))
    # term rows that a file gives without the row they describe
    for (key, _), terms in companions.items():
        yield from _row_values(_field(key), [], terms)


def _companions(section: _Section) -> dict[tuple[str, int], list[_Terms]]:
    """The `Term …` rows of each key, by the key they follow and how often it came before.

    They may repeat: a value may have several terms.
    """
    counts: dict[str, int] = {}
    found: dict[tuple[str, int], list[_Terms]] = {}
    for key, cells in section.rows:
        companion = _COMPANION.fullmatch(key)
        if not companion:
            counts[key] = counts.get(key, 0) + 1
            continue
        base, kind = companion.group(1), companion.group(2).removesuffix(" REF")
        owner = next((o for o in (base, f"{base} Name", f"{base} Type") if o in counts), base)
        terms = found.setdefault((owner, counts.get(owner, 1) - 1), [{}])
        if kind in terms[-1]:
            terms.append({})
        terms[-1][kind] = cells
    return found


def _row_values(name: str, cells: list[str], terms: list[_Terms]) -> Iterator[Value]:
    if name == "size":
        yield from _sizes(cells)
        return
    for position in range(max(len(row) for row in (cells, *(row for term in terms for row in term.values())))):
        labelled = [
            (
                _at(term.get("Name", []), position),
                term_ids(_at(term.get("Accession", []), position), _at(term.get("Source", []), position), name),
            )
            for term in terms
        ]
        every = tuple(dict.fromkeys(identifier for _, ids in labelled for identifier in ids))
        text = _at(cells, position)
        yield from _text_values(name, text, every)
        yield from (Value(name, label or ids[0], ids) for label, ids in labelled if label or (ids and not text))


def _text_values(name: str, text: str, ids: tuple[str, ...]) -> Iterator[Value]:
    if not text:
        return
    if name == "licence":
        yield Value(name, spdx(text))
    elif name == "authors":
        yield from (Value(name, author.strip()) for author in re.split(r"[,;]", text) if author.strip())
    elif name == "doi":
        yield Value(name, bare_doi(text))
    else:
        yield Value(name, text, ids)
    year = re.search(r"\b(?:19|20)\d\d\b", text) if name == "release_date" else None
    if year:
        yield Value("year", year.group())


def _field(key: str) -> str:
    if key in _STUDY_FIELDS:
        return _STUDY_FIELDS[key]
    own = re.sub(r"^(?:Study|Screen|Experiment) ", "", key)
    return canonical_field(own) or field_name(key)


def _sizes(cells: list[str]) -> Iterator[Value]:
    """`Plates: 10`, `5D Images: 1,536`: each its own field, as a number; a label and its value may be two cells."""
    label = ""
    for cell in filter(None, cells):
        name, colon, text = cell.partition(":")
        if not (colon and _SIZE_LABEL.fullmatch(name.strip())):
            name, text = label or "size", cell
        label = "" if text.strip() else name
        if text.strip():
            yield Value(field_name(name), re.sub(r"(?<=\d),(?=\d{3})", "", text.strip()))


def _at(cells: list[str], position: int) -> str:
    return cells[position] if position < len(cells) else ""

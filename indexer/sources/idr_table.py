"""IDR annotation tables: one row for each well of a screen or image of an experiment.

Columns of term ids have no name of their own: `Term Source n REF` and `Term Source n Accession` belong to the column
before them, `Phenotype n Term Name` and `Phenotype n Term Accession` to `Phenotype n`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hooke.fields import field_name
from hooke.model import Dataset, Image, Study, Value
from indexer.sources.base import Document, Quarantine, Quarantined, decode
from indexer.sources.delimited import read_rows
from indexer.sources.idr_study import ARCHIVE, ORIGIN
from indexer.sources.values import canonical_field, clean, distinct, line_of, term_ids, unique_id

CACHE_LIMIT = 20_000
"""Cells of one column that are remembered; beyond that a column is taken to be all different."""

_SOURCE = re.compile(r"Term Source(?: \d+)?(?: (REF|Accession))?", flags=re.IGNORECASE)
_ACCESSION_OF = re.compile(r"(.+\]) Accession")
_PHENOTYPE_TERM = re.compile(r"Phenotype(?: (\d+))? Term(?: (\d+))? (Name|Accession)(?: ([a-z]))?")
_PHENOTYPE = re.compile(r"Phenotype(?: (\d+))?")

Cells = tuple[str, ...]


@dataclass(slots=True)
class _Column:
    """One field of a table and the columns it is made of.

    columns: the text's first, then pairs of REF and accession (-1: the table has none).
    """

    name: str
    columns: list[int]
    make: Callable[[str, Cells], tuple[Value, ...]]
    seen: dict[Cells, tuple[Value, ...]] = field(default_factory=dict)

    def values(self, row: Sequence[str]) -> tuple[Value, ...]:
        """What a row says in this field. A cell seen before gives the very same values."""
        key = tuple([row[column] if column >= 0 else "" for column in self.columns])
        known = self.seen.get(key)
        if known is None:
            known = self.make(self.name, key) if any(key) else ()
            if len(self.seen) >= CACHE_LIMIT:
                self.seen.clear()
            self.seen[key] = known
        return known


def table_name(name: str) -> tuple[str, str] | None:
    """The study and the dataset that a table's file name gives; None for a name without an IDR accession.

    >>> table_name("idr0056-screenA-annotation.csv.gz"), table_name("x/experimentA-idr0070-experimentA-annotation.csv")
    (('idr0056', 'screenA'), ('idr0070', 'experimentA'))
    """
    base = name.rsplit("/", 1)[-1]
    study = re.search(r"idr\d{4,}", base, flags=re.IGNORECASE)
    dataset = re.search(r"(screen|experiment)([A-Za-z0-9]*)", base, flags=re.IGNORECASE)
    if not study:
        return None
    return study.group().lower(), dataset.group(1).lower() + dataset.group(2) if dataset else "annotation"


def read_table_study(document: Document) -> Study | None:
    """The study that a table belongs to, by its name: all that is known of it without its study file."""
    names = table_name(document.name)
    if names is None:
        return None
    study, dataset = names
    values = (Value("accession", study), Value("archive", ARCHIVE))
    return Study(study, study, values, (Dataset(dataset),), origins=(ORIGIN,))


def read_table_images(document: Document, quarantine: Quarantine) -> Iterator[Image]:
    """One image for each row of a table, in order; a second row of the same id gets `#2`."""
    names = table_name(document.name)
    if names is None:
        quarantine(Quarantined(document.label, "no IDR accession (idrNNNN) in the table's name; rename it"))
        return

    def report(line: int, reason: str) -> None:
        quarantine(Quarantined(f"{document.label}:{line}", reason))

    rows = read_rows(decode(document.data), report)
    _, first = next(rows, (0, []))
    header = [label.strip() for label in first]
    if not header:
        quarantine(Quarantined(document.label, "an empty table"))
        return
    yield from _images(names, header, rows)


def _images(names: tuple[str, str], header: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[Image]:
    study, dataset = names
    columns, naming, width = _columns(header), _naming(header), len(header)
    used: dict[str, int] = {}
    for line, row in rows:
        extra = row[width:]
        row = [*row, *[""] * (width - len(row))]
        values = tuple([value for column in columns for value in column.values(row)])
        parts = [part for column in naming if (part := line_of(row[column]).strip("/ "))]
        name = ("_" if "Plate" in header else "/").join(parts) or f"row{line}"
        identifier = unique_id(f"{study}/{dataset}/{name}", used)
        title = " ".join(parts) if "Plate" in header else (parts or [name])[-1]
        yield Image(identifier, study, title, dataset, distinct((*values, *_extra(extra, width))))


def _extra(cells: list[str], width: int) -> Iterator[Value]:
    for number, cell in enumerate(cells, start=width + 1):
        if clean(cell):
            yield Value(f"column_{number}", clean(cell))


def _naming(header: list[str]) -> list[int]:
    """The columns whose cells name a row's image: plate and well, or dataset and image."""
    for names in (("Plate", "Well"), ("Plate", "Well Number"), ("Dataset Name", "Image Name"), ("Image Name",)):
        if all(name in header for name in names):
            return [header.index(name) for name in names]
    return []


def _columns(header: list[str]) -> list[_Column]:
    owners = _owners(header)
    columns = []
    for position, label in enumerate(header):
        if position in owners:
            continue
        belonging = [i for i, owner in owners.items() if owner == position]
        columns.append(_column(header, position, label, belonging))
    return columns


def _column(header: list[str], position: int, label: str, belonging: list[int]) -> _Column:
    if label == "Channels":
        return _Column("channels", [position], _channels)
    if _PHENOTYPE.fullmatch(label):
        return _Column("phenotype", [position, *_phenotype_pairs(header, belonging)], _phenotypes)
    name = canonical_field(label) or field_name(label) or f"column_{position + 1}"
    if not belonging:
        return _Column(name, [position], _plain)
    refs = [i for i in belonging if not header[i].endswith("Accession")]
    accessions = [i for i in belonging if header[i].endswith("Accession")]
    pairs = [i for n in range(max(len(refs), len(accessions))) for i in (_nth(refs, n), _nth(accessions, n))]
    return _Column(name, [position, *pairs], _with_ids)


def _owners(header: list[str]) -> dict[int, int]:
    """For each column of term ids or names, the column that it belongs to."""
    owners: dict[int, int] = {}
    phenotypes = {match.group(1): i for i, label in enumerate(header) if (match := _PHENOTYPE.fullmatch(label))}
    before = -1
    for position, label in enumerate(header):
        term, named = _PHENOTYPE_TERM.fullmatch(label), _ACCESSION_OF.fullmatch(label)
        number = (term.group(1) or term.group(2)) if term else None
        if term and number in phenotypes:
            owners[position] = phenotypes[number]
        elif named and named.group(1) in header:
            owners[position] = header.index(named.group(1))
        elif _SOURCE.fullmatch(label) and before >= 0:
            owners[position] = before
        else:
            before = position
    return owners


def _phenotype_pairs(header: list[str], belonging: list[int]) -> list[int]:
    """Name and accession columns in turn; suffixes `a`, `b` pair them where a phenotype has several terms."""
    by_suffix: dict[str, dict[str, int]] = {}
    for position in belonging:
        term = _PHENOTYPE_TERM.fullmatch(header[position])
        if term:
            by_suffix.setdefault(term.group(4) or "", {})[term.group(3)] = position
    return [pair.get(kind, -1) for pair in by_suffix.values() for kind in ("Name", "Accession")]


def _nth(positions: list[int], number: int) -> int:
    return positions[number] if number < len(positions) else -1


def _plain(name: str, cells: Cells) -> tuple[Value, ...]:
    text = clean(cells[0])
    return (Value(name, text),) if text else ()


def _with_ids(name: str, cells: Cells) -> tuple[Value, ...]:
    text = clean(cells[0])
    pairs = zip(cells[1::2], cells[2::2], strict=True)
    ids = tuple(dict.fromkeys(i for ref, accession in pairs for i in term_ids(accession, ref, name)))
    return (Value(name, text or ids[0], ids),) if text or ids else ()


def _phenotypes(name: str, cells: Cells) -> tuple[Value, ...]:
    """The author's own words with every term given for them, then each term's name with its own id."""
    text = clean(cells[0])
    terms = [(clean(n), term_ids(a)) for n, a in zip(cells[1::2], cells[2::2], strict=True)]
    every = tuple(dict.fromkeys(i for _, ids in terms for i in ids))
    own = [Value(name, text, every)] if text else []
    return distinct([*own, *(Value(name, label or ids[0], ids) for label, ids in terms if label or ids)])


def _channels(name: str, cells: Cells) -> tuple[Value, ...]:
    """One value for each channel: they are parted by `;`, else by commas outside brackets."""
    separator = r";" if ";" in cells[0] else r",(?![^()]*\))"
    return distinct(Value(name, part) for part in map(clean, re.split(separator, cells[0])) if part)

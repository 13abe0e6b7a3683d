"""What curators decide: the worklist as a table for a spreadsheet, and the decisions that come back in it.

A cell that a spreadsheet would run as a formula is written with an apostrophe before it, and read without:
https://owasp.org/www-community/attacks/CSV_Injection.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hooke.errors import BadInput
from hooke.model import TermId
from hooke.results import CurationEntry
from hooke.text import fold

CANDIDATES = 3
ANY_IDS = "*"
"""In place of a value's ids: whatever ids stand beside the text."""
IN_TEXT = "text"
"""In place of a value's ids: the words as titles, descriptions and other prose have them."""
NO_TERM = "none"
"""The decision that a value is no term."""

_PAIRS = tuple(column for n in range(1, CANDIDATES + 1) for column in (f"candidate_{n}", f"label_{n}"))
_WORKLIST = ("field", "text", "ids", "records", "reason", *_PAIRS, "decision")
_KEPT = ("field", "text", "ids", "decision", "labels")
_NEEDED = ("field", "text", "ids", "decision")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Key = tuple[str, str, str]
"""A value as decisions name it: field, text, ids."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The terms that a value stands for, whatever grounding would say; no terms: it is none.

    ids: the submitter's as one text (`joined`), ANY_IDS or IN_TEXT.
    """

    field: str
    text: str
    ids: str
    terms: tuple[TermId, ...]

    @property
    def key(self) -> Key:
        """What is decided on."""
        return value_key(self.field, self.text, self.ids)

    @property
    def written(self) -> str:
        """The decision as a curator writes it."""
        return "; ".join(self.terms) or NO_TERM


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a curator's table that has a decision, as written."""

    line: int
    field: str
    text: str
    ids: str
    decision: str

    @property
    def key(self) -> Key:
        """What is decided on."""
        return value_key(self.field, self.text, self.ids)

    @property
    def terms(self) -> tuple[str, ...]:
        """The ids as spelled; () for `none`."""
        if self.decision.casefold() == NO_TERM:
            return ()
        return tuple(part.strip() for part in self.decision.split(";") if part.strip())


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a table: its decisions, how many of them said something new, how many are kept now, and where."""

    decisions: int
    changed: int
    kept: int
    path: str


class Decisions:
    """All decisions of an index, by what they are on."""

    def __init__(self, decisions: Iterable[Decision] = ()) -> None:
        self._by_key = {decision.key: decision for decision in decisions}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Decision]:
        """In the order in which they are kept."""
        return iter(sorted(self._by_key.values(), key=lambda decision: decision.key))

    def get(self, key: Key) -> Decision | None:
        """The decision on just this."""
        return self._by_key.get(key)

    def of(self, field: str, text: str, ids: Iterable[str], *, waits: bool = True) -> Decision | None:
        """The decision on a value; one on just its ids comes before one on any, which is on values that wait only."""
        exact = self._by_key.get(value_key(field, text, joined(ids)))
        return exact or (self._by_key.get(value_key(field, text, ANY_IDS)) if waits else None)

    def rejects(self, field: str, words: str) -> bool:
        """Whether words of prose name no term of a field, in whatever case."""
        return (field, fold(words)) in self._rejected

    @cached_property
    def _rejected(self) -> frozenset[tuple[str, str]]:
        return frozenset((decision.field, fold(decision.text)) for decision in self if decision.ids == IN_TEXT)

    def updated(self, decisions: Iterable[Decision]) -> "Decisions":
        """These and newer ones, which win."""
        return Decisions([*self._by_key.values(), *decisions])

    @cached_property
    def digest(self) -> str:
        """Changes when what is decided does; "" where nothing is."""
        if not self._by_key:
            return ""
        content = json.dumps([(*decision.key, decision.terms) for decision in self])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def joined(ids: Iterable[str]) -> str:
    """A value's ids in one cell."""
    return "; ".join(ids)


def value_key(field: str, text: str, ids: str) -> Key:
    """The key of a value. Spreadsheets change the line breaks inside a cell, so these do not count."""
    return field, "\n".join(text.splitlines()), ids


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a table that have a decision. Raises BadInput naming the line for what is no such table."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadInput(f"{path} is not UTF-8: save it from the spreadsheet as CSV UTF-8") from exc
    rows: dict[Key, Row] = {}
    for row in _read_table(text, path):
        other = rows.setdefault(row.key, row)
        if other.decision != row.decision:
            raise BadInput(f"{path}: line {row.line} decides otherwise than line {other.line} on the same value")
    return tuple(rows.values())


def read_decisions(path: Path) -> Decisions:
    """The decisions kept in a file; none where there is no file. Raises BadInput for one that does not read."""
    if not path.exists():
        return Decisions()
    return Decisions(Decision(row.field, row.text, row.ids, row.terms) for row in read_rows(path))


def write_decisions(path: Path, decisions: Decisions, label: Callable[[TermId], str]) -> None:
    """Keep decisions in a file, whole or not at all; the labels are for people."""
    lines = ((d.field, d.text, d.ids, d.written, "; ".join(map(label, d.terms))) for d in decisions)
    unfinished = path.with_name(path.name + ".tmp")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        file.write(guarded_csv(_KEPT, lines))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def worklist_table(entries: Iterable[CurationEntry]) -> str:
    """Entries of the worklist as CSV, with a column for decisions."""
    return guarded_csv(_WORKLIST, map(_worklist_line, entries))


def _worklist_line(entry: CurationEntry) -> Iterator[str]:
    yield from (entry.field, entry.text, joined(entry.ids), str(entry.records), entry.reason)
    for place in range(CANDIDATES):
        found = entry.candidates[place : place + 1]
        yield from (found[0].term, found[0].label) if found else ("", "")
    yield entry.decision


def guarded_csv(columns: tuple[str, ...], lines: Iterable[Iterable[str]]) -> str:
    """CSV of which no cell is a formula to a spreadsheet."""
    written = io.StringIO(newline="")
    # quoted whole: where spreadsheets part cells at semicolons, an unquoted text becomes several, unguarded
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows(map(_guarded, line) for line in lines)
    return written.getvalue()


def _read_table(text: str, path: Path) -> Iterator[Row]:
    # an archive's value can be longer than Python takes for a cell unasked
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    cells = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, path), strict=True)
    try:
        header = [name.strip().casefold() for name in next(cells)]
        end = cells.line_num
        for row in cells:
            line, end = end + 1, cells.line_num
            if len(row) > len(header):
                raise BadInput(f"{path}: line {line} has more cells than the header: put cells with commas in quotes")
            named = dict(zip(header, map(_unguarded, row), strict=False))
            decision = named.get("decision", "").strip()
            if decision and not decision.strip("; "):
                raise BadInput(f"{path}: line {line} decides {decision!r}: write a term's id, several, or {NO_TERM}")
            if decision:
                yield Row(line, named.get("field", ""), named.get("text", ""), named.get("ids", ""), decision)
    except csv.Error as exc:
        raise BadInput(f"{path}: line {cells.line_num} is not CSV ({exc})") from exc


def _delimiter(text: str, path: Path) -> str:
    """What parts the cells: spreadsheets save semicolons where the comma is a decimal mark."""
    first = text.partition("\n")[0]
    for delimiter in ",;\t":
        names = {name.strip().strip('"').casefold() for name in first.split(delimiter)}
        if names.issuperset(_NEEDED):
            return delimiter
    raise BadInput(
        f"{path} has no columns {', '.join(_NEEDED)}: give the table that `hooke curation unresolved --csv` wrote"
    )


def _guarded(cell: str) -> str:
    """A cell that no spreadsheet runs, and that `_unguarded` gives back.

    >>> [_guarded(cell) for cell in ("=1+1", "'=1+1", "'t Hooft", "brain")]
    ["'=1+1", "''=1+1", "'t Hooft", 'brain']
    """
    return "'" + cell if cell.startswith(_FORMULA) or _is_guarded(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if _is_guarded(cell) else cell


def _is_guarded(cell: str) -> bool:
    return cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'"))

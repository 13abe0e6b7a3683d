"""JSON as archives write it, one value at a time: a broken record, or a file cut short, costs nothing but itself."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from hooke.errors import UnreadableSource
from hooke.fields import ONTOLOGY_FIELDS, field_name
from indexer.sources.base import one_line
from indexer.sources.values import term_ids, utf8

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

Report = Callable[[int, str], None]
"""Told the line and the reason of what cannot be read."""

DEPTH = 16
"""Levels of nesting that a record may have; no real one has more than five."""

# an open string takes all that is left, so that a cut file is read once, not once for each quote in it
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}:,]', flags=re.DOTALL)
_OPEN, _CLOSE = frozenset("[{"), frozenset("]}")
# how term objects name their term: {"organism": {"label": "Homo sapiens", "id": "NCBITaxon:9606"}}
_LABEL_KEYS = ("label", "name", "value")
_ID_KEYS = ("id", "ids", "accession", "curie")


@dataclass(frozen=True, slots=True)
class Member:
    """A value in a JSON list or object as it is written: the line it starts on, its key (none in a list), its text."""

    line: int
    key: str
    text: str


def parse(text: str) -> Json:
    """A JSON text as a value. Raises UnreadableSource."""
    try:
        parsed: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"not JSON: {one_line(error)}") from error
    return parsed


def members(text: str, report: Report, line: int = 1) -> Iterator[Member]:
    """The members of the list or object that a text is, unparsed; a text that ends before it does is reported.

    line: that of the text's first character.
    """
    depth, key, begin = 0, "", 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        depth += (mark in _OPEN) - (mark in _CLOSE)
        if depth == 1 and mark == ":":
            key = text[begin : token.start()].strip().strip('"')
            line, begin = line + text.count("\n", begin, token.end()), token.end()
        elif depth == 0 or (depth == 1 and mark in "[{,"):
            written = text[begin : token.start()]
            if (written.strip() or key) and begin:
                yield Member(line + _leading_lines(written), key, written.strip())
            key, begin, line = "", token.end(), line + text.count("\n", begin, token.end())
        if depth == 0:
            if text[token.end() :].strip():
                report(line, "text after the end of the JSON; left out")
            return
    if text[begin:].strip():
        yield Member(line + _leading_lines(text[begin:]), key, text[begin:].strip())
    report(line, "the file ends in the middle; fetch it again")


def cells(record: Json, label: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The scalars in a record, each under its keys as one label; lists give several, null and blanks give none.

    A pair of `name` and `value`, as in the file lists of BioStudies, is a value under that name.
    Raises UnreadableSource for what is nested too deep.

    >>> list(cells({"organism": {"label": "Homo sapiens", "id": 9606}, "size": {"x": [1, 2.5]}, "stain": None}))
    [('organism', 'Homo sapiens'), ('organism id', '9606'), ('size x', '1'), ('size x', '2.5')]
    >>> list(cells({"attributes": [{"name": "Cell line", "value": "HeLa"}]}))
    [('Cell line', 'HeLa')]

    In a list of terms where not each has one name and one id, an id stands for itself:

    >>> list(cells({"cell_line": [{"label": "HeLa"}, {"id": "EFO:0001086"}]}))
    [('cell_line', 'HeLa'), ('cell_line', 'EFO:0001086')]
    """
    if depth > DEPTH:
        raise UnreadableSource(f"nested more than {DEPTH} deep: flatten it")
    if isinstance(record, dict):
        pair = _pair_name(record, label)
        for key, value in ({pair: record["value"]} if pair else record).items():
            yield from cells(value, pair or _joined(label, key), depth + 1)
    elif isinstance(record, list):
        paired = field_name(label) not in ONTOLOGY_FIELDS or all(_is_one_term(item) for item in record)
        for item in record:
            for key, text in cells(item, label, depth + 1):
                yield from [(key, text)] if paired or key == label else _unpaired(label, key, text)
    elif text := scalar(record):
        yield label, text


def scalar(value: Json) -> str:
    """A JSON text, number or truth value as text without spaces around it; nothing for any other value.

    >>> scalar(" HeLa "), scalar(True), scalar(2.5e-07), scalar(float("nan")), scalar([1])
    ('HeLa', 'true', '2.5e-07', '', '')
    """
    if isinstance(value, str):
        return utf8(value).replace("\x00", "").strip()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else ""


def _is_one_term(item: Json) -> bool:
    """Whether a member of a list says one name and one id, or a name alone as a text."""
    if not isinstance(item, dict):
        return True
    scalars = [key.casefold() in _LABEL_KEYS for key, value in item.items() if scalar(value)]
    return sorted(scalars) == [False, True] and len(scalars) == len(item)


def _unpaired(label: str, key: str, text: str) -> Iterator[tuple[str, str]]:
    ids = term_ids(text, field=field_name(label)) if key.rpartition(" ")[2].casefold() in _ID_KEYS else ()
    yield from ((label, identifier) for identifier in ids) if ids else [(key, text)]


def _pair_name(record: dict[str, Json], label: str) -> str:
    is_pair = label and record.keys() == {"name", "value"} and field_name(label) not in ONTOLOGY_FIELDS
    return scalar(record["name"]) if is_pair else ""


def _joined(label: str, key: str) -> str:
    if key.casefold() in _LABEL_KEYS and field_name(label) in ONTOLOGY_FIELDS:
        return label
    return f"{label} {key}".strip()


def _leading_lines(written: str) -> int:
    return written[: len(written) - len(written.lstrip())].count("\n")

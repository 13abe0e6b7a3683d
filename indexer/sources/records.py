"""Tables as JSON: a list of objects, or one object a line (JSON Lines); and as Parquet.

A record is a row, its keys are the columns.
"""

from collections.abc import Iterator
from pathlib import Path

from hooke.errors import TooLarge, UnreadableSource
from indexer.sources.json_text import Report, cells, members, parse
from indexer.sources.parquet import read_parquet

LINES_SUFFIXES = (".jsonl", ".ndjson")
JSON_SUFFIXES = (".json", *LINES_SUFFIXES)
PARQUET_SUFFIXES = (".parquet", ".pq")

Record = tuple[tuple[str, str], ...]
"""The cells of one record by their labels, in order; a label repeats where a list gave several values."""


def is_json(path: Path) -> bool:
    """Whether a table is named as JSON or JSON Lines."""
    return path.name.lower().endswith(JSON_SUFFIXES)


def is_parquet(path: Path) -> bool:
    """Whether a table is named as Parquet."""
    return path.name.lower().endswith(PARQUET_SUFFIXES)


def read_parquet_records(path: Path, report: Report) -> Iterator[tuple[int, Record]]:
    """The records of a Parquet table with their numbers; what is broken or nested too deep is reported."""
    number = 0
    try:
        for number, row in enumerate(read_parquet(path), start=1):
            try:
                yield number, tuple(cells(row))
            except UnreadableSource as error:
                report(number, str(error))
    except (UnreadableSource, TooLarge) as error:
        report(number + 1, str(error))


def read_records(text: str, report: Report) -> Iterator[tuple[int, Record]]:
    """The records of a table with the number of the line each starts on.

    A record that is broken, no object or nested too deep is reported and passed over.
    """
    for line, written in _written(text, report):
        try:
            record = parse(written)
            if not isinstance(record, dict):
                raise UnreadableSource("not a record: a table of images is a list of objects, one for each image")
            yield line, tuple(cells(record))
        except UnreadableSource as error:
            report(line, str(error))


def _written(text: str, report: Report) -> Iterator[tuple[int, str]]:
    if text.lstrip().startswith("["):
        yield from ((member.line, member.text) for member in members(text, report))
    else:
        yield from ((line, written) for line, written in enumerate(text.split("\n"), start=1) if written.strip())

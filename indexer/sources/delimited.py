"""Rows of CSV and TSV files as people save them."""

import csv
from collections.abc import Callable, Iterator


def read_rows(text: str, report: Callable[[int, str], None]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a delimited text with the number of the line each starts on; blank lines are no rows.

    A row whose quotes do not match is read as one line and reported (line, reason), so that an open quote never
    swallows the rows below it. Line ends are LF or CRLF, or CR where there is no LF at all; a lone CR beside LF
    is text.
    """
    lines = _lines(text)
    delimiter = _delimiter(lines[0]) if lines else ","
    start = 0
    while start < len(lines):
        reader = csv.reader((lines[n] for n in range(start, len(lines))), delimiter=delimiter, strict=True)
        before = 0
        try:
            for row in reader:
                if any(cell and not cell.isspace() for cell in row):
                    yield start + before + 1, row
                before = reader.line_num
            return
        except csv.Error as error:
            broken = start + before
            report(broken + 1, f"{error}; read as one line")
            yield broken + 1, _without_quotes(lines[broken], delimiter)
            start = broken + 1


def _lines(text: str) -> list[str]:
    if "\n" not in text:
        return [line + "\n" for line in text.split("\r")]
    return [line.rstrip("\r").replace("\r", " ") + "\n" for line in text.split("\n")]


def _delimiter(header: str) -> str:
    return max("\t,;", key=header.count) if any(d in header for d in "\t,;") else ","


def _without_quotes(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]

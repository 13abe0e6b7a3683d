"""The rows of an image folder: a manifest's, or one for each image where there is none.

A manifest is a CSV or TSV, or the same as JSON (a list of objects), JSON Lines or Parquet.

`hooke.toml` in the folder says what a manifest cannot: `[study]` holds the study's id, title and other values,
`[fields]` maps columns to the names of fields (`path`, `study` and `dataset` among them).
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from hooke.fields import field_name
from hooke.pixels.ome_zarr import MARKS
from hooke.pixels.read import FLAT, TIFF
from indexer.sources.base import HEAD, UNPACKING_ERRORS, Quarantine, Quarantined, decode, head, one_line, read_file
from indexer.sources.delimited import read_rows
from indexer.sources.json_text import Report
from indexer.sources.ome_xml import is_ome_xml
from indexer.sources.records import (
    JSON_SUFFIXES,
    LINES_SUFFIXES,
    PARQUET_SUFFIXES,
    Record,
    is_json,
    is_parquet,
    read_parquet_records,
    read_records,
)
from indexer.sources.values import clean, line_of, utf8

SETTINGS_NAME = "hooke.toml"
TABLE_SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES, *PARQUET_SUFFIXES)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".btf", ".zarr")
ZIPPED_SUFFIXES = (".zarr.zip", ".ozx")
"""Of an OME-Zarr in a zip: any other zip may hold anything."""
_PATH_NAMES: tuple[str, ...] = ("path", "file_path", "filepath", "image_path", "filename", "file_name", "file", "files")
_PATH_NAMES += ("image", "image_file", "image_name")
_SAMPLE_ROWS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What `hooke.toml` says: the study's values and the field of each column by the column's label."""

    study: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One image as the manifest names it: where it stands, its path, and its cells by field."""

    place: str
    path: str
    cells: tuple[tuple[str, str], ...]

    def cell(self, *names: str) -> str:
        """The first non-empty cell of the fields."""
        return next((text for name, text in self.cells if name in names and text), "")


def is_image(path: Path) -> bool:
    """Whether a file holds an image by its first bytes or is named as one; a folder, whether it is a Zarr."""
    if path.is_dir():
        return is_zarr(path)
    named = path.suffix.lower() in IMAGE_SUFFIXES or path.name.lower().endswith(ZIPPED_SUFFIXES)
    return named or _starts(path, (*FLAT, *TIFF))


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF by its first bytes."""
    return path.is_file() and _starts(path, TIFF)


def _starts(path: Path, magic: tuple[bytes, ...]) -> bool:
    try:
        with path.open("rb") as raw:
            return raw.read(8).startswith(magic)
    except OSError:
        return False


def is_zarr(folder: Path) -> bool:
    """Whether a folder is one OME-Zarr image rather than a folder of images."""
    return any(status(folder / mark) for mark in MARKS)


def status(path: Path) -> os.stat_result | None:
    """What the file system says of a path; None where there is nothing, or no way to it."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def find_manifest(folder: Path) -> Path | None:
    """The manifest of a folder: the table in it that names images, `manifest.*` before others, then text before others.

    A file of JSON is one by its name only: lists of files, and annotations of images, are JSON too.
    """
    tables = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in TABLE_SUFFIXES]
    tables = [path for path in tables if _is_called_manifest(path) or not is_json(path)]
    tables.sort(key=lambda path: (not _is_called_manifest(path), is_json(path) or is_parquet(path)))
    # a Parquet manifest that is broken is told, not passed by: nothing else is called so
    return next((p for p in tables if names_images(p) or (_is_called_manifest(p) and is_parquet(p))), None)


def _is_called_manifest(path: Path) -> bool:
    return path.stem.lower().startswith("manifest")


def names_images(table: Path) -> bool:
    """Whether a table has a column of image paths."""
    try:
        rows = _sample(table)
    except UNPACKING_ERRORS:
        return False
    if not rows or (re.search(r"idr\d{4,}", table.name) and "Characteristics" in " ".join(rows[0])):
        return False
    return _path_column(rows, table.parent, read_settings(table.parent, ignore)) is not None


def _sample(table: Path) -> list[list[str]]:
    """The header and the first rows of a table. Raises one of UNPACKING_ERRORS."""
    if is_parquet(table):
        return _first_records(read_parquet_records(table, _untold))
    start = head(table)
    if is_json(table):
        text = decode(start)
        # an object in a file of JSON is other metadata, whatever is in it
        listed = text.lstrip().startswith("[") or table.suffix.lower() in LINES_SUFFIXES
        return _first_records(read_records(text, _untold)) if listed else []
    # the last line of a longer file is cut
    return _first_rows(decode(start if len(start) < HEAD else start.rpartition(b"\n")[0]))


def _untold(line: int, reason: str) -> None:
    """Report for a first look: reading the table tells."""


def image_rows(path: Path, quarantine: Quarantine) -> Iterator[Row]:
    """The rows of a manifest in its order; of a folder, each image in and below it, by path; of an image, itself."""
    if path.is_dir():
        images = _images_below(path, quarantine)
        yield from (Row(str(image), image.relative_to(path).as_posix(), ()) for image in images)
    elif is_ome_xml(path) or is_image(path):
        yield Row(str(path), path.name, ())
    else:
        yield from _manifest_rows(path, quarantine)


def _manifest_rows(path: Path, quarantine: Quarantine) -> Iterator[Row]:
    def report(line: int, reason: str) -> None:
        quarantine(Quarantined(f"{path}:{line}", reason))

    try:
        text = "" if is_parquet(path) else decode(read_file(path))
    except UNPACKING_ERRORS as error:
        quarantine(Quarantined(str(path), f"cannot be read: {one_line(error)}"))
        return

    def records(report: Report) -> Iterator[tuple[int, Record]]:
        return read_parquet_records(path, report) if is_parquet(path) else read_records(text, report)

    settings = read_settings(path.parent, ignore)
    are_records = is_json(path) or is_parquet(path)
    first = _first_records(records(_untold)) if are_records else _first_rows(text)
    column = _path_column(first, path.parent, settings)
    if column is None:
        _ = [*records(report)] if are_records else []  # tells what is broken in it
        quarantine(Quarantined(str(path), "no column of image paths; name it `path` or map it in hooke.toml"))
    elif are_records:
        yield from _rows(path, _record_cells(records(report), first[0][column], settings), quarantine)
    else:
        yield from _rows(path, _delimited_cells(text, column, settings, report), quarantine)


def _rows(path: Path, found: Iterator[tuple[int, str, Record]], quarantine: Quarantine) -> Iterator[Row]:
    for line, image, cells in found:
        place = f"{path}:{line}"
        if line_of(image):
            yield Row(place, image.strip().replace("\\", "/"), tuple((name, clean(cell)) for name, cell in cells))
        else:
            quarantine(Quarantined(place, "a row without a path"))


def _delimited_cells(text: str, column: int, settings: Settings, report: Report) -> Iterator[tuple[int, str, Record]]:
    """The line, the path and the other cells by field of each row."""
    rows = read_rows(text, report)
    _, header = next(rows)
    names = [_column_field(label, position, settings) for position, label in enumerate(header)]
    for line, row in rows:
        # cells beyond the header keep a name of their own
        labels = [*names, *(f"column_{n}" for n in range(len(names) + 1, len(row) + 1))]
        cells = zip(labels, row, strict=False)
        image = row[column] if column < len(row) else ""
        yield line, image, tuple(cell for position, cell in enumerate(cells) if position != column)


def _record_cells(
    records: Iterator[tuple[int, Record]], column: str, settings: Settings
) -> Iterator[tuple[int, str, Record]]:
    """The line, the path and the other cells by field of each record."""
    names: dict[str, str] = {}
    for line, record in records:
        at = next((position for position, (label, _) in enumerate(record) if label == column), None)
        for position, (label, _) in enumerate(record):
            names[label] = names.get(label) or _column_field(label, position, settings)
        cells = tuple((names[label], cell) for position, (label, cell) in enumerate(record) if position != at)
        yield line, "" if at is None else record[at][1], cells


def _column_field(label: str, position: int, settings: Settings) -> str:
    mapped = settings.fields.get(label.strip(), settings.fields.get(field_name(label), label))
    name = field_name(mapped) or f"column_{position + 1}"
    return "licence" if name == "license" else name


def _path_column(rows: Sequence[Sequence[str]], root: Path, settings: Settings) -> int | None:
    """The column of paths: the one that is mapped or named so and holds images, else any that names files here."""
    if not rows:
        return None
    names = [_column_field(label, position, settings) for position, label in enumerate(rows[0])]
    mapped = [position for position, label in enumerate(rows[0]) if settings.fields.get(label.strip()) == "path"]
    if mapped:
        return mapped[0]
    columns = list(zip(*(list(row) + [""] * (len(names) - len(row)) for row in rows[1:]), strict=False))
    known = [names.index(name) for name in _PATH_NAMES if name in names]
    for position in (*known, *(p for p in range(len(columns)) if p not in known)):
        cells = [cell.strip() for cell in columns[position]] if position < len(columns) else []
        if any(_names_image(cell, root, named=position in known) for cell in cells):
            return position
    return None


def _names_image(cell: str, root: Path, *, named: bool) -> bool:
    if named and _is_named_as_image(cell.replace("\\", "/")):
        return True
    found = inside(cell.replace("\\", "/"), root.resolve()) if cell else None
    return found is not None and bool(status(root / found)) and is_image(root / found)


def _is_named_as_image(path: str) -> bool:
    """Whether a file, the Zarr or zip that it is in, or the file before `#` is named as an image."""
    whole = PurePosixPath(path.partition("#")[0].lower())
    return any(part.suffix in IMAGE_SUFFIXES or part.name.endswith(ZIPPED_SUFFIXES) for part in (whole, *whole.parents))


def inside(path: str, root: Path) -> Path | None:
    """A path relative to its folder; None for the folder itself and for what leads out of it, by name or by a link."""
    try:
        target = Path(os.path.normpath(root / path))
        if not target.is_relative_to(root) or not target.resolve().is_relative_to(root):
            return None
    except (OSError, ValueError, RuntimeError):
        return None
    return target.relative_to(root) if target != root else None


def _first_rows(text: str) -> list[list[str]]:
    return [row for _, row in islice(read_rows(text, _untold), _SAMPLE_ROWS)]


def _first_records(records: Iterator[tuple[int, Record]]) -> list[list[str]]:
    """The first records as rows below a header, the first value of each label."""
    first = [record for _, record in islice(records, _SAMPLE_ROWS)]
    header = list(dict.fromkeys(label for record in first for label, _ in record))
    return [header, *([next((c for name, c in record if name == label), "") for label in header] for record in first)]


def _images_below(folder: Path, quarantine: Quarantine) -> Iterator[Path]:
    for path in children(folder, quarantine):
        if path.is_dir() and not is_zarr(path):
            yield from _images_below(path, quarantine)
        elif is_image(path):
            yield path


def children(folder: Path, quarantine: Quarantine) -> list[Path]:
    """What is in a folder, sorted, but hidden files; links to folders, names that are no text are quarantined."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        quarantine(Quarantined(str(folder), f"cannot be read: {one_line(error)}"))
        return []
    found = []
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            quarantine(Quarantined(entry.path, "a link to a folder is not followed; index its target"))
        elif utf8(entry.name) != entry.name:
            quarantine(Quarantined(utf8(entry.path), "the file's name is not UTF-8; rename it"))
        else:
            found.append(Path(entry.path))
    return found


def root_of(path: Path) -> Path:
    """The folder that a source's paths start from."""
    return path if path.is_dir() else path.parent


def read_settings(root: Path, quarantine: Quarantine) -> Settings:
    """What the folder's `hooke.toml` says; nothing where there is none, or where it cannot be read."""
    path = root / SETTINGS_NAME
    if not path.is_file():
        return Settings()
    try:
        parsed = tomllib.loads(decode(path.read_bytes()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        quarantine(Quarantined(str(path), f"not TOML, ignored: {one_line(error)}"))
        return Settings()
    study, fields = parsed.get("study", {}), parsed.get("fields", {})
    if not isinstance(study, dict) or not isinstance(fields, dict):
        quarantine(Quarantined(str(path), "[study] and [fields] are tables; ignored"))
        return Settings()
    return Settings(study, {str(column): str(name) for column, name in fields.items()})


def ignore(_: Quarantined) -> None:
    """Quarantine for a second reading: the first one reports."""

"""Image folders: every image with its row of a CSV or TSV manifest, or, without one, every image in the folder.

`hooke.toml` in the folder says what a manifest cannot: `[study]` holds the study's id, title and other values,
`[fields]` maps columns to the names of fields (`path`, `study` and `dataset` among them).
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from hooke.fields import ONTOLOGY_FIELDS, field_name
from hooke.model import Dataset, Image, Pixels, Study, Value
from indexer.sources.base import UNPACKING_ERRORS, Quarantine, Quarantined, decode, head, one_line, read_file
from indexer.sources.delimited import read_rows
from indexer.sources.licence import spdx
from indexer.sources.values import clean, distinct, term_ids

ORIGIN = "folder"
SETTINGS_NAME = "hooke.toml"

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".btf", ".zarr")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_PATH_NAMES: tuple[str, ...] = (
    "path",
    "file_path",
    "filepath",
    "image_path",
    "filename",
    "file_name",
    "file",
    "files",
    "image",
)
_PATH_NAMES += ("image_file", "image_name")
_STUDY_NAMES = ("study", "study_id", "study_accession", "accession")
_IDS = re.compile(r"(.+?)_(?:ontology_)?(?:term_)?(?:ids?|accessions?|curies?)")
_SAMPLE_ROWS = 20


@dataclass(frozen=True, slots=True)
class _Settings:
    """What `hooke.toml` says: the study's values and the field of each column by the column's label."""

    study: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
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
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as raw:
            return raw.read(8).startswith(_MAGIC)
    except OSError:
        return False


def is_zarr(folder: Path) -> bool:
    """Whether a folder is one OME-Zarr image rather than a folder of images."""
    return any((folder / mark).exists() for mark in _ZARR_MARKS)


def find_manifest(folder: Path) -> Path | None:
    """The manifest of a folder: the table in it that names images, `manifest.*` before others; None without one."""
    tables = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in (".csv", ".tsv")]
    tables.sort(key=lambda path: not path.stem.lower().startswith("manifest"))
    return next((path for path in tables if names_images(path)), None)


def names_images(table: Path) -> bool:
    """Whether a table has a column of image paths."""
    try:
        text = decode(head(table)).rpartition("\n")[0]
    except UNPACKING_ERRORS:
        return False
    rows = _first_rows(text)
    return bool(rows) and _path_column(rows, table.parent, _read_settings(table.parent, _ignore)) is not None


def folder_digest(path: Path) -> str:
    """A digest of a folder's metadata and of the path, size and time of each image that it names."""
    digest = sha256()
    for document in (path, _root(path) / SETTINGS_NAME):
        if document.is_file():
            digest.update(document.read_bytes())
    for row in _rows(path, _ignore):
        target = _root(path) / row.path
        status = target.stat() if target.exists() else None
        digest.update(f"{row.path}\0{status and (status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


def read_folder_studies(path: Path, quarantine: Quarantine) -> Iterator[Study]:
    """The studies of a folder, with the names of their datasets."""
    root, settings = _root(path), _read_settings(_root(path), quarantine)
    datasets: dict[str, dict[str, None]] = {}
    for row in _rows(path, _ignore):
        datasets.setdefault(_study_id(row, root, settings), {})[row.cell("dataset")] = None
    for identifier, names in (datasets or {_default_id(root, settings): {}}).items():
        values = distinct((Value("accession", identifier), *_study_values(settings.study)))
        title = str(settings.study.get("title", "")).strip() or identifier
        components = tuple(Dataset(name) for name in names if name)
        yield Study(identifier, title, values, components, origins=(ORIGIN,))


def read_folder_images(path: Path, quarantine: Quarantine) -> Iterator[Image]:
    """The images of a folder in the manifest's order, or by path. A second row of one file gets `#2`.

    A file that is missing leaves the image without pixels and is quarantined; a path that leads out of the folder
    is quarantined and gives no image.
    """
    root, settings = _root(path), _read_settings(_root(path), _ignore)
    resolved = root.resolve()
    used: dict[str, int] = {}
    for row in _rows(path, quarantine):
        inside = _inside(row.path, resolved)
        if inside is None:
            quarantine(Quarantined(row.place, f"the path leads out of the folder: {row.path}"))
            continue
        target = resolved / inside
        pixels = Pixels(str(target)) if target.exists() else None
        if pixels is None:
            quarantine(Quarantined(row.place, f"no such file, indexed without pixels: {row.path}"))
        yield _image(row, inside.as_posix(), pixels, _study_id(row, root, settings), used)


def _image(row: _Row, path: str, pixels: Pixels | None, study: str, used: dict[str, int]) -> Image:
    path = " ".join(path.split())
    identifier = f"{study}/{path}"
    used[identifier] = times = used.get(identifier, 0) + 1
    values = distinct((Value("path", path), *_row_values(row.cells)))
    title = row.cell("title", "name") or path
    unique = identifier if times == 1 else f"{identifier}#{times}"
    return Image(unique, study, title, row.cell("dataset") or None, values, pixels=pixels)


def _row_values(cells: Sequence[tuple[str, str]]) -> Iterator[Value]:
    ids = {base: text for name, text in cells if (base := _id_base(name))}
    for name, text in cells:
        if name in ("path", "dataset", *_STUDY_NAMES) or _id_base(name) or not text:
            continue
        if name in ONTOLOGY_FIELDS:
            yield from _term_values(name, text, ids.pop(name, ""))
        else:
            yield Value(name, spdx(text) if name == "licence" else text)
    yield from (Value(name, term_ids(text, field=name)[0], term_ids(text, field=name)) for name, text in ids.items())


def _term_values(name: str, text: str, ids: str) -> Iterator[Value]:
    """Several terms in a cell are parted by `;` or `|`, and their ids likewise, in the same order."""
    parts = [part.strip() for part in re.split(r"[;|]", text) if part.strip()]
    every = term_ids(ids, field=name)
    if len(parts) == len(every):
        yield from (Value(name, part, (identifier,)) for part, identifier in zip(parts, every, strict=True))
    elif every:
        yield Value(name, text, every)
    else:
        yield from (Value(name, part) for part in parts)


def _id_base(name: str) -> str:
    match = _IDS.fullmatch(name)
    return match.group(1) if match and match.group(1) in ONTOLOGY_FIELDS else ""


def _study_values(study: Mapping[str, object]) -> Iterator[Value]:
    cells = []
    for key, value in study.items():
        name = {"license": "licence"}.get(field_name(key), field_name(key))
        for item in value if isinstance(value, list) else [value]:
            if name and name != "id" and str(item).strip():
                cells.append((name, str(item).strip()))
    yield from _row_values(cells)


def _rows(path: Path, quarantine: Quarantine) -> Iterator[_Row]:
    if path.is_dir():
        yield from (_Row(str(image), image.relative_to(path).as_posix(), ()) for image in _images_below(path))
    else:
        yield from _manifest_rows(path, quarantine)


def _manifest_rows(path: Path, quarantine: Quarantine) -> Iterator[_Row]:
    try:
        text = decode(read_file(path))
    except UNPACKING_ERRORS as error:
        quarantine(Quarantined(str(path), f"cannot be read: {one_line(error)}"))
        return
    settings = _read_settings(path.parent, _ignore)
    column = _path_column(_first_rows(text), path.parent, settings)
    if column is None:
        quarantine(Quarantined(str(path), "no column of image paths; name it `path` or map it in hooke.toml"))
        return
    rows = read_rows(text, lambda line, reason: quarantine(Quarantined(f"{path}:{line}", reason)))
    _, header = next(rows)
    names = [_column_field(label, position, settings) for position, label in enumerate(header)]
    for line, row in rows:
        place = f"{path}:{line}"
        if column >= len(row) or not row[column].strip():
            quarantine(Quarantined(place, "a row without a path"))
            continue
        # cells beyond the header keep a name of their own
        labels = [*names, *(f"column_{n}" for n in range(len(names) + 1, len(row) + 1))]
        cells = tuple(
            (name, clean(cell)) for n, (name, cell) in enumerate(zip(labels, row, strict=False)) if n != column
        )
        yield _Row(place, row[column].strip().replace("\\", "/"), cells)


def _column_field(label: str, position: int, settings: _Settings) -> str:
    mapped = settings.fields.get(label.strip(), settings.fields.get(field_name(label), label))
    name = field_name(mapped) or f"column_{position + 1}"
    return "licence" if name == "license" else name


def _path_column(rows: Sequence[Sequence[str]], root: Path, settings: _Settings) -> int | None:
    """The column of paths: the one that is mapped or named so and holds images, else any that names files here."""
    if not rows:
        return None
    names = [_column_field(label, position, settings) for position, label in enumerate(rows[0])]
    if "path" in settings.fields.values() and "path" in names:
        return names.index("path")
    columns = list(zip(*(list(row) + [""] * (len(names) - len(row)) for row in rows[1:]), strict=False))
    known = [names.index(name) for name in _PATH_NAMES if name in names]
    for position in (*known, *(p for p in range(len(columns)) if p not in known)):
        cells = [cell.strip() for cell in columns[position]] if position < len(columns) else []
        if any(_names_image(cell, root, named=position in known) for cell in cells):
            return position
    return None


def _names_image(cell: str, root: Path, *, named: bool) -> bool:
    if named and PurePosixPath(cell.replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES:
        return True
    inside = _inside(cell.replace("\\", "/"), root.resolve()) if cell and len(cell) < 1000 else None
    return inside is not None and (root / inside).exists() and inside != Path() and is_image(root / inside)


def _inside(path: str, root: Path) -> Path | None:
    """A path relative to its folder; None where it leads out, through `..`, from the root, or by a link."""
    try:
        target = Path(os.path.normpath(root / path))
        if not target.is_relative_to(root) or not target.resolve().is_relative_to(root):
            return None
    except (OSError, ValueError, RuntimeError):
        return None
    return target.relative_to(root)


def _first_rows(text: str) -> list[list[str]]:
    rows = read_rows(text, lambda line, reason: None)
    return [row for (_, row), _ in zip(rows, range(_SAMPLE_ROWS), strict=False)]


def _images_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not is_zarr(path):
            try:
                yield from _images_below(path)
            except PermissionError:
                continue
        elif is_image(path):
            yield path


def _study_id(row: _Row, root: Path, settings: _Settings) -> str:
    return _valid_id(row.cell(*_STUDY_NAMES)) or _default_id(root, settings)


def _default_id(root: Path, settings: _Settings) -> str:
    return _valid_id(str(settings.study.get("id", ""))) or _valid_id(root.resolve().name) or "folder"


def _valid_id(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text.strip()).strip("-.")


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _read_settings(root: Path, quarantine: Quarantine) -> _Settings:
    path = root / SETTINGS_NAME
    if not path.is_file():
        return _Settings()
    try:
        parsed = tomllib.loads(decode(path.read_bytes()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        quarantine(Quarantined(str(path), f"not TOML, ignored: {one_line(error)}"))
        return _Settings()
    study, fields = parsed.get("study", {}), parsed.get("fields", {})
    if not isinstance(study, dict) or not isinstance(fields, dict):
        quarantine(Quarantined(str(path), "[study] and [fields] are tables; ignored"))
        return _Settings()
    return _Settings(study, {str(column): str(name) for column, name in fields.items()})


def _ignore(_: Quarantined) -> None:
    """Quarantine for a second reading: the first one reports."""

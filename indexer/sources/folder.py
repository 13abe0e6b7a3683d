"""Image folders: every image with its row of a manifest, or, without one, every image in the folder.

What the header of an OME-TIFF says is added to its row, but for the fields that the row has itself.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from itertools import zip_longest
from pathlib import Path

from hooke.fields import ONTOLOGY_FIELDS, field_name
from hooke.inherit import OF_IMAGES
from hooke.model import Dataset, Image, Pixels, Study, Value
from hooke.pixels import ImageHeader, images_at, locate, zarr_documents
from indexer.sources.base import Quarantine, Quarantined
from indexer.sources.licence import spdx
from indexer.sources.manifest import (
    SETTINGS_NAME,
    Row,
    Settings,
    ignore,
    image_rows,
    inside,
    is_tiff,
    read_settings,
    root_of,
    status,
)
from indexer.sources.ome_xml import OmeImage, is_ome_xml, ome_images
from indexer.sources.values import distinct, line_of, term_ids, unique_id

ORIGIN = "folder"

_SHOWN = frozenset({*ONTOLOGY_FIELDS, "licence"})
"""The fields of its images by which a study is found."""
# a manifest may name images elsewhere, but no local file by an address: that would be a way out of the folder
_REMOTE = re.compile(r"(?:s3|gs|gcs|az|abfss?|https?|memory)://[^\s:]")
_STUDY_NAMES = ("study", "study_id", "study_accession")
_IDS = re.compile(r"(.+?)_(?:ontology_)?(?:term_)?(?:ids?|accessions?|curies?)")


def folder_digest(path: Path) -> str:
    """A digest of a folder's metadata and of the path, size and time of each image that it names."""
    digest = sha256()
    root = root_of(path).resolve()
    for document in (path, root / SETTINGS_NAME):
        if document.is_file():
            with document.open("rb") as raw:
                digest.update(file_digest(raw, "sha256").digest())
    folders = {root: None}
    for row in image_rows(path, ignore):
        image = Path(os.path.normpath(root / row.path))
        located = locate(image)
        file = located.path if located else image
        digest.update(_state(row.path, file))
        # a change of a Zarr's metadata leaves its folder's time as it was
        for document in zarr_documents(file) if os.path.isdir(file) else ():
            digest.update(_state(str(document.relative_to(file)), document))
        if file.parent not in folders and inside(row.path, root):
            folders[file.parent] = None
    for companion in (companion for folder in folders for companion in _companions(folder)):
        digest.update(_state(str(companion), companion))
    return digest.hexdigest()


def _companions(folder: Path) -> list[Path]:
    """The files of OME-XML in a folder; none where it cannot be listed, or its name is too long to be one."""
    with suppress(OSError, ValueError):
        return sorted(path for path in folder.iterdir() if is_ome_xml(path))
    return []


def _state(name: str, file: Path) -> bytes:
    found = status(file)
    return f"{name}\0{found and (found.st_size, found.st_mtime_ns)}\n".encode(errors="replace")


def read_folder_studies(path: Path, quarantine: Quarantine) -> Iterator[Study]:
    """The studies of a folder, with the names of their datasets and what their images show."""
    root, settings = root_of(path), read_settings(root_of(path), quarantine)
    datasets: dict[str, dict[str, None]] = {}
    shown: dict[str, dict[Value, None]] = {}
    for row in (row for found in _described(path, ignore) for row in found.images or (found.row,)):
        study = _study_id(row, root, settings)
        datasets.setdefault(study, {})[line_of(row.cell("dataset"))] = None
        shown.setdefault(study, {}).update(dict.fromkeys(v for v in _row_values(row.cells) if v.field in _SHOWN))
    for identifier, names in (datasets or {_default_id(root, settings): {}}).items():
        own = (Value("accession", identifier), *_study_values(settings.study))
        seen = tuple(shown.get(identifier, ()))
        title = str(settings.study.get("title", "")).strip() or identifier
        # values of a dataset that no image is in: the study is found by them, and no silent image inherits them
        components = (*(Dataset(name) for name in names if name), *([Dataset(OF_IMAGES, seen)] if seen else ()))
        yield Study(identifier, title, distinct((*own, *seen)), components, origins=(ORIGIN,))


def read_folder_images(path: Path, quarantine: Quarantine) -> Iterator[Image]:
    """The images of a folder in the manifest's order, or by path. A second row of one file gets `#2`.

    A file with several images, such as a plate, gives each of them, with the row's values. A file that is missing
    leaves the image without pixels and is quarantined, once for a table whose files are all elsewhere; a path that
    leads out of the folder is quarantined and gives no image. Addresses of remote images are taken as they are.
    """
    root, settings = root_of(path), read_settings(root_of(path), ignore)
    used: dict[str, int] = {}
    tell_missing = quarantine
    if _is_list_of_files_elsewhere(path):
        quarantine(Quarantined(str(path), "none of its files is here; its images are without pixels", lost=False))
        tell_missing = ignore
    for found in _described(path, quarantine):
        study = _study_id(found.row, root, settings)
        if _REMOTE.match(found.row.path):
            yield _image(found.row, found.row.path, Pixels(found.row.path), study, used)
        elif found.path is None:
            reason = f"the path leads out of the folder: {line_of(found.row.path)}"
            quarantine(Quarantined(found.row.place, reason))
        elif found.file is None:
            reason = f"no such file, indexed without pixels: {line_of(found.row.path)}"
            tell_missing(Quarantined(found.row.place, reason))
            yield _image(found.row, found.path.as_posix(), None, study, used)
        else:
            yield from _images_in(found.file, found, root, settings, quarantine, used)


def _images_in(
    file: Path, found: "_Described", root: Path, settings: Settings, quarantine: Quarantine, used: dict[str, int]
) -> Iterator[Image]:
    headers = () if is_ome_xml(file) else images_at(file)
    if not headers and not is_ome_xml(file):
        reason = f"the file has no such series, indexed without pixels: {line_of(found.row.path)}"
        quarantine(Quarantined(found.row.place, reason))
    if not found.images:
        images = [(found.row, header) for header in headers or (None,)]
    else:
        # which image of the XML is which in the file is known only where there are as many of both
        here = headers if len(headers) == len(found.images) else headers[:1]
        images = list(zip_longest(found.images, here))
    for row, header in images:
        suffix = header.suffix if header else ""
        path = f"{found.path}{suffix}"
        # behind a link `..` leads elsewhere than by name
        if ".." in suffix.split("/") or inside(path, root.resolve()) is None:
            quarantine(Quarantined(row.place, f"the path leads out of the folder: {line_of(path)}"))
            continue
        pixels = Pixels(f"{file}{suffix}") if header else None
        yield _image(row, path, pixels, _study_id(row, root, settings), used, header)


def _is_list_of_files_elsewhere(path: Path) -> bool:
    """Whether a table of several images names no file that is here, as an archive's list of files does."""
    rows = 0
    for row in image_rows(path, ignore):
        if _REMOTE.match(row.path) or locate(root_of(path) / row.path) is not None:
            return False
        rows += 1
    return rows > 1


@dataclass(frozen=True, slots=True)
class _Described:
    """A row; its path in the folder, None where that leads out of it; its file, None where there is none.

    images: the row with what OME-XML adds to it, for each image that the file's describes; none where it has none.
    """

    row: Row
    path: Path | None = None
    file: Path | None = None
    images: tuple[Row, ...] = ()


def _described(path: Path, quarantine: Quarantine) -> Iterator[_Described]:
    """The rows of a folder in order, with what OME-XML says of their files."""
    root = root_of(path).resolve()
    for row in image_rows(path, quarantine):
        relative = inside(row.path, root)
        located = None if relative is None or _REMOTE.match(row.path) else locate(root / relative)
        if relative is None or located is None:
            yield _Described(row, relative)
            continue
        file, series = located.path, located.series

        def report(reason: str, place: str = row.place) -> None:
            quarantine(Quarantined(place, reason))

        images = ome_images(file, report) if is_tiff(file) or is_ome_xml(file) else ()
        if series:
            # which image of the XML is which in the file is known only where there are as many of both
            images = images[series : series + 1] if len(images_at(file)) == len(images) else ()
        rows = tuple(replace(row, cells=(*row.cells, *_added(row, image))) for image in images)
        yield _Described(row, relative, root / relative, rows)


def _added(row: Row, image: OmeImage) -> Iterator[tuple[str, str]]:
    """The cells of a header in fields that the row says nothing of; an id goes with its name."""
    said = {_id_base(name) or name for name, text in row.cells if text}
    if not said & {"title", "name"}:
        yield "title", image.name
    for name, text in (("dataset", image.dataset), *image.cells):
        if (_id_base(name) or name) not in said:
            yield name, text


def _image(
    row: Row, path: str, pixels: Pixels | None, study: str, used: dict[str, int], header: ImageHeader | None = None
) -> Image:
    path = line_of(path)
    said = tuple(_row_values(row.cells))
    fields = {value.field for value in said}
    # what the manifest says of a field wins over what the file does
    found = (value for value in _header_values(header) if value.field not in fields) if header else ()
    values = distinct((Value("path", path), *said, *found))
    title = line_of(row.cell("title", "name")) or path
    identifier = unique_id(f"{study}/{path}", used)
    return Image(identifier, study, title, line_of(row.cell("dataset")) or None, values, pixels=pixels)


def _header_values(header: ImageHeader) -> Iterator[Value]:
    """What a file says of its image, by the names of REMBI and OME. An archive's voxel sizes are metres."""
    place = header.place
    pairs = [
        ("format", header.format),
        *((f"size_{axis}", str(header.lengths[axis])) for axis in "xyzct" if axis in header.lengths),
        *((f"physical_size_{axis}_um", f"{size:.6g}") for axis, size in header.pixel_size_um.items()),
        *((f"voxel_physical_size_{axis}", f"{size / 1e6:.6g}") for axis, size in header.pixel_size_um.items()),
        *(("channels", name) for name in header.channels),
        ("plate", place.plate),
        ("well", f"{place.row}{place.column}"),
        ("well_row", place.row),
        ("well_column", place.column),
        ("well_field", place.field),
        *(("labels", name) for name in header.labels),
    ]
    yield from (Value(name, text) for name, value in pairs if (text := line_of(value)))


def _row_values(cells: Sequence[tuple[str, str]]) -> Iterator[Value]:
    present = _terms_together([(name, text) for name, text in cells if text and name != "dataset"])
    ids = {base: text for name, text in present if (base := _id_base(name))}
    labelled = {name for name, _ in present}
    for name, text in present:
        base = _id_base(name)
        if name in ONTOLOGY_FIELDS:
            yield from _term_values(name, text, ids.get(name, ""))
        elif base and term_ids(text, field=base):
            # an id without a label is a value of its own
            yield from (Value(base, i, (i,)) for i in term_ids(text, field=base) if base not in labelled)
        else:
            yield Value(name, spdx(text) if name == "licence" else text)


def _terms_together(cells: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The cells in order, but several of one ontology field, or of its ids, as one: their order pairs them."""
    several: dict[str, list[str]] = {}
    for name, text in cells:
        several.setdefault(name, []).append(text)
    if len(several) == len(cells):
        return cells
    for name in [name for name in several if _id_base(name)]:
        # an id more or less than names: whose each is, is not said, so each stands for itself
        base = _id_base(name)
        if max(len(several[name]), len(several.get(base, ()))) > 1 and len(several[name]) != len(several.get(base, ())):
            several.setdefault(base, []).extend(several.pop(name))
            cells = [(base if each == name else each, text) for each, text in cells]
    joined = {name: ";".join(texts) for name, texts in several.items() if name in ONTOLOGY_FIELDS or _id_base(name)}
    return list(dict.fromkeys((name, joined.get(name, text)) for name, text in cells))


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
            if name and name not in ("id", "dataset") and str(item).strip():
                cells.append((name, str(item).strip()))
    yield from _row_values(cells)


def _study_id(row: Row, root: Path, settings: Settings) -> str:
    return _valid_id(row.cell(*_STUDY_NAMES)) or _default_id(root, settings)


def _default_id(root: Path, settings: Settings) -> str:
    return _valid_id(str(settings.study.get("id", ""))) or _valid_id(root.resolve().name) or "folder"


def _valid_id(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text.strip()).strip("-.")

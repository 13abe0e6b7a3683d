"""Image folders: every image with its row of a manifest, or, without one, every image in the folder.

What the header of an OME-TIFF says is added to its row, but for the fields that the row has itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from pathlib import Path

from hooke.fields import ONTOLOGY_FIELDS, field_name
from hooke.model import Dataset, Image, Pixels, Study, Value
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
from indexer.sources.ome_xml import OME_XML_SUFFIXES, OmeImage, is_ome_xml, ome_images
from indexer.sources.values import distinct, line_of, term_ids, unique_id

ORIGIN = "folder"

_SHOWN = frozenset({*ONTOLOGY_FIELDS, "licence"})
"""The fields of its images by which a study is found."""
_OF_IMAGES = "(images)"
_STUDY_NAMES = ("study", "study_id", "study_accession")
_IDS = re.compile(r"(.+?)_(?:ontology_)?(?:term_)?(?:ids?|accessions?|curies?)")


def folder_digest(path: Path) -> str:
    """A digest of a folder's metadata and of the path, size and time of each image that it names."""
    digest = sha256()
    root = root_of(path)
    for document in (path, root / SETTINGS_NAME):
        if document.is_file():
            with document.open("rb") as raw:
                digest.update(file_digest(raw, "sha256").digest())
    folders = {root: None}
    for row in image_rows(path, ignore):
        digest.update(_state(row.path, root))
        folders[(root / row.path).parent] = None
    for companion in (
        c for folder in folders for suffix in OME_XML_SUFFIXES for c in sorted(folder.glob(f"*{suffix}"))
    ):
        digest.update(_state(str(companion), root))
    return digest.hexdigest()


def _state(path: str, root: Path) -> bytes:
    found = status(root / path)
    return f"{path}\0{found and (found.st_size, found.st_mtime_ns)}\n".encode(errors="replace")


def read_folder_studies(path: Path, quarantine: Quarantine) -> Iterator[Study]:
    """The studies of a folder, with the names of their datasets and what their images show."""
    root, settings = root_of(path), read_settings(root_of(path), quarantine)
    datasets: dict[str, dict[str, None]] = {}
    shown: dict[str, dict[Value, None]] = {}
    for image in _described(path, ignore):
        row = image.row
        study = _study_id(row, root, settings)
        datasets.setdefault(study, {})[line_of(row.cell("dataset"))] = None
        shown.setdefault(study, {}).update(dict.fromkeys(v for v in _row_values(row.cells) if v.field in _SHOWN))
    for identifier, names in (datasets or {_default_id(root, settings): {}}).items():
        own = (Value("accession", identifier), *_study_values(settings.study))
        seen = tuple(shown.get(identifier, ()))
        title = str(settings.study.get("title", "")).strip() or identifier
        # values of a dataset that no image is in: the study is found by them, and no silent image inherits them
        components = (*(Dataset(name) for name in names if name), *([Dataset(_OF_IMAGES, seen)] if seen else ()))
        yield Study(identifier, title, distinct((*own, *seen)), components, origins=(ORIGIN,))


def read_folder_images(path: Path, quarantine: Quarantine) -> Iterator[Image]:
    """The images of a folder in the manifest's order, or by path. A second row of one file gets `#2`.

    A file that is missing leaves the image without pixels and is quarantined, once for a table whose files are all
    elsewhere; a path that leads out of the folder is quarantined and gives no image. Several images in one file get
    `#2` and so on, too.
    """
    root, settings = root_of(path), read_settings(root_of(path), ignore)
    used: dict[str, int] = {}
    is_list = _is_list_of_files_elsewhere(path)
    if is_list:
        quarantine(Quarantined(str(path), "none of its files is here; its images are without pixels", lost=False))
    for image in _described(path, quarantine):
        relative, row = image.path, image.row
        if relative is None:
            quarantine(Quarantined(row.place, f"the path leads out of the folder: {line_of(row.path)}"))
            continue
        if image.is_missing and not is_list:
            quarantine(Quarantined(row.place, f"no such file, indexed without pixels: {line_of(row.path)}"))
        # what looks at pixels sees the first image of a file
        pixels = image.pixels if image.is_first else None
        yield _image(row, relative.as_posix(), pixels, _study_id(row, root, settings), used)


def _is_list_of_files_elsewhere(path: Path) -> bool:
    """Whether a table of several images names no file that is here, as an archive's list of files does."""
    rows = 0
    for row in image_rows(path, ignore):
        if status(root_of(path) / row.path) is not None:
            return False
        rows += 1
    return rows > 1


@dataclass(frozen=True, slots=True)
class _Described:
    """One image: its row, with what its file's header adds; its path in the folder, None where it leads out of it.

    is_first: whether it is the first image in its file; is_missing: whether there is no such file.
    """

    row: Row
    path: Path | None
    pixels: Pixels | None
    is_first: bool = True
    is_missing: bool = False


def _described(path: Path, quarantine: Quarantine) -> Iterator[_Described]:
    """The images of a folder in the order of its rows, several in a row where the file's header describes several."""
    root = root_of(path).resolve()
    for row in image_rows(path, quarantine):
        relative = inside(row.path, root)
        there = relative is not None and status(root / relative) is not None
        if relative is None or not there:
            yield _Described(row, relative, None, is_missing=True)
            continue
        file = root / relative

        def report(reason: str, place: str = row.place) -> None:
            quarantine(Quarantined(place, reason))

        pixels = None if is_ome_xml(file) else Pixels(str(file))
        images = ome_images(file, report) if is_tiff(file) or pixels is None else ()
        rows = [replace(row, cells=(*row.cells, *_added(row, image))) for image in images] or [row]
        yield from (_Described(each, relative, pixels, number == 0) for number, each in enumerate(rows))


def _added(row: Row, image: OmeImage) -> Iterator[tuple[str, str]]:
    """The cells of a header in fields that the row says nothing of; an id goes with its name."""
    said = {_id_base(name) or name for name, text in row.cells if text}
    if not said & {"title", "name"}:
        yield "title", image.name
    for name, text in (("dataset", image.dataset), *image.cells):
        if (_id_base(name) or name) not in said:
            yield name, text


def _image(row: Row, path: str, pixels: Pixels | None, study: str, used: dict[str, int]) -> Image:
    path = line_of(path)
    values = distinct((Value("path", path), *_row_values(row.cells)))
    title = line_of(row.cell("title", "name")) or path
    identifier = unique_id(f"{study}/{path}", used)
    return Image(identifier, study, title, line_of(row.cell("dataset")) or None, values, pixels=pixels)


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

"""What a path holds, told by content: which sources, in which files."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooke.errors import BadInput, UnreadableSource
from indexer.sources.base import (
    UNPACKING_ERRORS,
    Input,
    Quarantine,
    Quarantined,
    Source,
    documents,
    head,
    is_tar,
    one_line,
)
from indexer.sources.manifest import (
    SETTINGS_NAME,
    TABLE_SUFFIXES,
    children,
    find_manifest,
    is_image,
    is_tiff,
    is_zarr,
    names_images,
    status,
)
from indexer.sources.ome_xml import is_ome_xml, ome_images
from indexer.sources.rembi import is_rembi

FORCED = {
    "idr": (Source.IDR_STUDY, Source.IDR_TABLE),
    "ro-crate": (Source.RO_CRATE,),
    "biostudies": (Source.BIOSTUDIES,),
    "bia-website": (Source.BIA_WEBSITE,),
    "rembi": (Source.REMBI,),
    "folder": (Source.FOLDER,),
}
"""The sources that a name on the command line stands for."""

EXPECTED = (
    "an IDR study file (idrNNNN-study.txt) or annotation table, an RO-Crate (ro-crate-metadata.json), "
    "a BioStudies submission (page-tab JSON), an export of the BioImage Archive's website, a .tar.gz of these, "
    "REMBI or MIFA metadata (YAML), a folder of images, a table of images (CSV, TSV, JSON, JSON Lines, Parquet), or "
    "an OME-TIFF"
)

_STUDY_KEY = re.compile(rb"(?:^|[\r\n])\"?(?:Comment ?\[IDR Study Accession\]|Study Title)\t", flags=re.IGNORECASE)
_STUDY_SECTION = re.compile(rb'"section"\s*:\s*\{')
_EXPORTED = re.compile(rb'"(?:images|datasets)"\s*:\s*\{')
_TABLE_NAME = re.compile(r"idr\d{4,}.*annotations?[^/]*\.(?:csv|tsv|txt)(?:\.gz)?", flags=re.IGNORECASE)
_TABLE_HEADER = re.compile(rb"[^\r\n]*\b(?:Image Name|Well)\b[^\r\n]*")


@dataclass(frozen=True, slots=True)
class Discovery:
    """The inputs found, sorted by path, and how many other files were passed by in folders."""

    inputs: tuple[Input, ...]
    ignored: int = 0


def discover(paths: Sequence[Path], *, source: str | None = None, quarantine: Quarantine) -> Discovery:
    """The inputs in files, tar archives and folders, each once.

    source: one of `FORCED`, to read the paths as that and nothing else.
    Raises UnreadableSource for a path that is missing, not readable or nothing known, BadInput for a source that
    does not exist; what is unreadable inside a folder is quarantined.
    """
    if source is not None and source not in FORCED:
        raise BadInput(f"no source {source!r}; Hooke reads {', '.join(FORCED)}")
    sources = FORCED[source] if source else tuple(Source)
    found: dict[Input, None] = {}
    ignored = 0
    for path in paths:
        inputs, passed = _explicit(path, sources, quarantine, forced=source is not None)
        found.update(dict.fromkeys(inputs))
        ignored += passed
    return Discovery(tuple(found), ignored)


def kind(name: str, start: bytes) -> Source | None:
    """The source of a metadata file by its name and first bytes (unpacked); None for anything else."""
    base = name.rsplit("/", 1)[-1]
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if base.endswith("ro-crate-metadata.json") or (
        text.startswith(b"{") and (b'"@graph"' in text or b"w3id.org/ro/crate" in text)
    ):
        return Source.RO_CRATE
    if text.startswith(b"{") and _STUDY_SECTION.search(text) and (b'"accno"' in text or b'"attributes"' in text):
        return Source.BIOSTUDIES
    if text.startswith(b"{") and _EXPORTED.search(text) and b'accession_id"' in text:
        return Source.BIA_WEBSITE
    if is_rembi(base, start):
        return Source.REMBI
    if _STUDY_KEY.search(start) or re.fullmatch(r"idr\d{4,}.*-study\.txt(?:\.gz)?", base):
        return Source.IDR_STUDY
    if _TABLE_NAME.search(base):
        return Source.IDR_TABLE
    header = _TABLE_HEADER.match(start)
    is_table = header is not None and b"Characteristics [" in header.group() and re.search(r"idr\d{4,}", base)
    return Source.IDR_TABLE if is_table else None


def _explicit(
    path: Path, sources: Sequence[Source], quarantine: Quarantine, *, forced: bool
) -> tuple[list[Input], int]:
    if not path.exists():
        raise UnreadableSource(f"no such file or folder: {path}")
    if Source.FOLDER in sources and path.is_file() and _describes_itself(path):
        return [Input(Source.FOLDER, path)], 0
    if is_zarr(path) or (path.is_file() and is_image(path)):
        raise UnreadableSource(f"{path} is an image, not metadata: give the folder that it is in")
    try:
        found, ignored = _folder(path, sources, quarantine) if path.is_dir() else (_file(path, sources), 0)
    except UNPACKING_ERRORS as error:
        raise UnreadableSource(f"cannot read {path}: {one_line(error)}") from error
    if not found and forced and not path.is_dir() and not is_tar(path):
        found = [Input(sources[-1] if path.name.lower().endswith(_TABLE_SUFFIXES) else sources[0], path)]
    if not found:
        raise UnreadableSource(f"no metadata in {path}: Hooke reads {EXPECTED}")
    return found, ignored


def _describes_itself(path: Path) -> bool:
    return is_ome_xml(path) or (is_tiff(path) and bool(ome_images(path, lambda reason: None)))


_TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def _file(path: Path, sources: Sequence[Source]) -> list[Input]:
    if is_tar(path):
        return _in_tar(path, sources)
    found = kind(path.name, head(path))
    if found is None and Source.FOLDER in sources and path.suffix.lower() in TABLE_SUFFIXES:
        found = Source.FOLDER if names_images(path) else None
    return [Input(found, path)] if found in sources and found else []


def _in_tar(path: Path, sources: Sequence[Source]) -> list[Input]:
    kinds: set[Source] = set()

    def note(name: str, start: bytes) -> bool:
        found = kind(name, start)
        if found in sources and found:
            kinds.add(found)
        return False

    broken: list[Quarantined] = []
    for _ in documents(path, note, broken.append):
        pass
    # reading the archive again will quarantine what is broken in it; one with nothing else in it never will
    if broken and not kinds:
        raise UnreadableSource(f"{broken[0].path} {broken[0].reason}")
    return [Input(found, path) for found in sorted(kinds)]


def _folder(folder: Path, sources: Sequence[Source], quarantine: Quarantine) -> tuple[list[Input], int]:
    """What a folder holds. Its images are a source of their own only where no other metadata is found."""
    if sources == FORCED["folder"]:
        return [Input(Source.FOLDER, find_manifest(folder) or folder)], 0
    os.scandir(folder).close()  # raises where a folder that the caller names may not be read
    found: list[Input] = []
    images = others = 0
    for item in _walk(folder, sources, quarantine):
        if isinstance(item, Input):
            found.append(item)
        elif is_image(item):
            images += 1
        else:
            others += 1
    if not found and images and Source.FOLDER in sources:
        return [Input(Source.FOLDER, folder)], others
    return found, images + others


def _walk(folder: Path, sources: Sequence[Source], quarantine: Quarantine) -> Iterator[Input | Path]:
    """Inputs, and the files that are none, in and below a folder. A manifest claims everything below it."""
    entries = children(folder, quarantine)
    claimed = _image_folder(folder) if Source.FOLDER in sources else None
    if claimed:
        yield Input(Source.FOLDER, claimed)
    for path in entries:
        if path.is_dir() and not is_zarr(path):
            if not claimed:
                yield from _walk(path, sources, quarantine)
        elif not claimed or (path not in (claimed, folder / SETTINGS_NAME) and not is_image(path)):
            yield from _nested_file(path, sources, quarantine)


def _image_folder(folder: Path) -> Path | None:
    """The manifest of a folder that says it is a source, or the folder itself if its settings alone say so."""
    return find_manifest(folder) or (folder if status(folder / SETTINGS_NAME) else None)


def _nested_file(path: Path, sources: Sequence[Source], quarantine: Quarantine) -> Iterator[Input | Path]:
    if path.is_dir() or is_image(path):
        yield path
        return
    without_folder = [source for source in sources if source is not Source.FOLDER]
    try:
        inputs = _file(path, without_folder)
    except (*UNPACKING_ERRORS, UnreadableSource) as error:
        quarantine(Quarantined(str(path), f"cannot be read: {one_line(error)}"))
        return
    if not inputs:
        yield path
    yield from inputs

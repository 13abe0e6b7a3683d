"""Write the demo archive: one folder a study, each with its images, a manifest and a `hooke.toml`.

The same bytes come out each time, and a file that already holds them is not touched: indexing the archive again
finds nothing changed.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import tifffile
from PIL import Image

from hooke.errors import BadInput
from indexer.demo.model import TERM_COLUMNS, DemoStudy, Field, Pixels
from indexer.demo.real import real_studies
from indexer.demo.simulated import example_field, simulated_studies

IMAGING_METHODS = Path(__file__).with_name("imaging_methods.obo")
"""Ids, names and is_a edges of common imaging methods of FBbi (CC BY 4.0), which no package ships."""

TAXA = Path(__file__).with_name("taxa.obo")
"""Ids, names and is_a edges of the species here, from the NCBI taxonomy (public domain).

cellxgene-ontology-guide has animals alone, no fungi and no bacteria, and its 844 MB take minutes to load.
"""

ONTOLOGIES = (str(TAXA), "cellxgene:UBERON", "cellxgene:CL", str(IMAGING_METHODS))

_ARCHIVE = "Hooke demo"
_COLUMNS = ("path", "title", "dataset", *(name for term in TERM_COLUMNS for name in (term, f"{term}_id")))


@dataclass(frozen=True, slots=True)
class DemoArchive:
    """Where the archive lies. paths: for `hooke index`; ontologies: for `hooke ontologies add`.

    example: a simulated fluorescence field to search with, which is not among the archive's images.
    """

    paths: tuple[Path, ...]
    ontologies: tuple[str, ...]
    example: Path


def write_demo_archive(folder: Path) -> DemoArchive:
    """Write about 300 images with their metadata below a folder; the same bytes each time.

    Raises BadInput where the folder cannot be written, or scikit-image is not installed.
    """
    try:
        paths = tuple(_write_study(study, folder) for study in (*real_studies(), *simulated_studies()))
        example = _write_field(example_field(), folder / "example")
    except OSError as exc:
        raise BadInput(f"cannot write the demo archive to {folder}: {exc.strerror or exc}") from exc
    return DemoArchive(paths, ONTOLOGIES, example)


def _write_study(study: DemoStudy, folder: Path) -> Path:
    root = folder / study.id
    rows = []
    for field in study.fields:
        _write_field(field, root)
        rows.append({"path": field.path, **field.row})
    _write(root / "manifest.csv", _manifest(rows))
    _write(root / "hooke.toml", _settings(study))
    return root


def _manifest(rows: Sequence[dict[str, str]]) -> bytes:
    columns = dict.fromkeys((*_COLUMNS, *(name for row in rows for name in row)))
    used = [name for name in columns if any(row.get(name) for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, used, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _settings(study: DemoStudy) -> bytes:
    facts = {"id": study.id, "title": study.title, "description": study.description, "archive": _ARCHIVE, **study.facts}
    # JSON's strings and numbers are TOML's too
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items())
    return ("[study]\n" + "\n".join(lines) + "\n").encode()


def _write_field(field: Field, root: Path) -> Path:
    path = root / field.path
    content = _png(field.pixels) if path.suffix == ".png" else _ome_tiff(field)
    _write(path, content)
    return path


def _png(pixels: Pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


def _ome_tiff(field: Field) -> bytes:
    """OME-TIFF of channels; its UUID is made from the path, for a random one would change the bytes each time."""
    content = io.BytesIO()
    size = field.row["pixel_size_um"]
    metadata = {
        "axes": "CYX",
        "UUID": str(uuid5(NAMESPACE_URL, field.path)),
        "Creator": "Hooke demo archive",
        "Channel": {"Name": field.row["channels"].split("; ")},
        "PhysicalSizeX": float(size),
        "PhysicalSizeY": float(size),
    }
    tifffile.imwrite(content, field.pixels, ome=True, photometric="minisblack", compression="zlib", metadata=metadata)
    return content.getvalue()


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

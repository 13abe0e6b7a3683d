"""Small OME-Zarrs of every kind, made by the zarr library."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr

Array = npt.NDArray[np.generic]


def write_image(
    folder: Path,
    levels: Sequence[Array],
    axes: str,
    *,
    version: str = "0.4",
    scales: Sequence[Sequence[float]] | None = None,
    unit: str = "micrometer",
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    channels: Sequence[Mapping[str, object]] = (),
) -> Path:
    """An image of these levels; scales are by the levels' lengths where they are not given."""
    zarr_format = 3 if version == "0.5" else 2
    if scales is None:
        scales = [[a / b for a, b in zip(levels[0].shape, each.shape, strict=True)] for each in levels]
    named = [{"name": axis, **({"type": "space", "unit": unit} if axis in "xyz" else {})} for axis in axes]
    datasets = [
        {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}
        for number, scale in enumerate(scales)
    ]
    attributes: dict[str, object] = {"multiscales": [{"axes": named, "datasets": datasets, "version": version}]}
    if channels:
        attributes["omero"] = {"channels": list(channels)}
    write_group(folder, attributes, version=version)
    for number, pixels in enumerate(levels):
        array = zarr.create_array(
            folder / str(number),
            shape=pixels.shape,
            dtype=pixels.dtype,
            chunks=tuple(chunks or pixels.shape),
            shards=tuple(shards) if shards else None,
            zarr_format=3 if zarr_format == 3 else 2,
            chunk_key_encoding={"name": "default" if zarr_format == 3 else "v2", "separator": "/"},
        )
        array[...] = pixels
    return folder


def write_group(folder: Path, attributes: Mapping[str, object], *, version: str = "0.4") -> Path:
    """A Zarr group with OME attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        node = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": version, **attributes}}}
        (folder / "zarr.json").write_text(json.dumps(node))
    else:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps(attributes))
    return folder


def write_plate(folder: Path, fields: Mapping[str, Sequence[Array]], axes: str, *, version: str = "0.4") -> Path:
    """A plate of fields by their paths (`A/1/0`)."""
    wells = sorted({path.rpartition("/")[0] for path in fields})
    rows, columns = sorted({well.split("/")[0] for well in wells}), sorted({well.split("/")[1] for well in wells})
    described = [
        {"path": well, "rowIndex": rows.index(well.split("/")[0]), "columnIndex": columns.index(well.split("/")[1])}
        for well in wells
    ]
    names = {"rows": [{"name": row} for row in rows], "columns": [{"name": column} for column in columns]}
    write_group(folder, {"plate": {"name": "P1", **names, "wells": described, "version": version}}, version=version)
    for well in wells:
        images = [{"path": path.rpartition("/")[2]} for path in fields if path.startswith(f"{well}/")]
        write_group(folder / well, {"well": {"images": images, "version": version}}, version=version)
    for path, levels in fields.items():
        write_image(folder / path, levels, axes, version=version)
    return folder


def zipped(folder: Path, changed: Mapping[str, bytes] | None = None, *, top: str = "") -> bytes:
    """A folder as a zip, with other content of some files; top: a folder that all is in."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                archive.writestr(top + name, (changed or {}).get(name) or path.read_bytes())
    return buffer.getvalue()

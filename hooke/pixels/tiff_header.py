"""What the headers of a TIFF say of its series: their axes, and ImageJ's pixel sizes. OME-XML is the indexer's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from tifffile import TiffFile

from hooke.pixels.decoding import decoder_errors
from hooke.pixels.tiff import check_chain, check_said

_AXES = "XYZCT"
# units of OME's schema, and of ImageJ
UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0}
UM |= {"\\u00B5m": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4, "inch": 25_400.0}


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What is known of a series without its pixels: its format, and by axis (x, y, z, c, t) lengths and pixel sizes."""

    format: str
    lengths: Mapping[str, int]
    pixel_size_um: Mapping[str, float]


def read_tiff_headers(file: BinaryIO) -> tuple[TiffHeader, ...]:
    """The headers of a TIFF's series. Raises UnreadableImage when damaged."""
    with decoder_errors("TIFF"):
        check_chain(file)
        with TiffFile(file, _multifile=False) as tif:
            check_said(tif)
            return tuple(_headers(tif))


def _headers(tif: TiffFile) -> Iterator[TiffHeader]:
    for series in tif.series:
        lengths = {name.lower(): n for name, n in zip(series.axes, series.shape, strict=True) if name in _AXES}
        if series.kind == "ome":
            yield TiffHeader("OME-TIFF", lengths, {})
        elif tif.is_imagej:
            yield TiffHeader("ImageJ TIFF", lengths, _imagej_sizes(tif))
        else:
            yield TiffHeader("TIFF", lengths, {})


def _imagej_sizes(tif: TiffFile) -> dict[str, float]:
    """ImageJ writes pixels a unit into the resolution tags, and the unit and the distance of planes into its text."""
    written = tif.imagej_metadata or {}
    unit = UM.get(str(written.get("unit") or "pixel"), 0)
    tags = tif.pages.first.tags
    resolutions = {"x": tags.valueof("XResolution", (0, 1)), "y": tags.valueof("YResolution", (0, 1))}
    sizes = {axis: unit * below / above for axis, (above, below) in resolutions.items() if above and below}
    depth = unit * _number(str(written.get("spacing", "")))
    return {axis: size for axis, size in (*sizes.items(), ("z", depth)) if size > 0}


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,18})?([eE][+-]?\d{1,2})?", text) else 0.0

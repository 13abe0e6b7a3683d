"""What the headers of a TIFF say: the axes, channels and pixel sizes of its series, by OME-XML, ImageJ or itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import BinaryIO

from tifffile import TiffFile

from hooke.pixels.decoding import decoder_errors
from hooke.pixels.tiff import check_chain, check_said

_AXES = "XYZCT"
# units of OME's schema, and of ImageJ; OME's default is the micrometre
_UM = {"": 1.0, "m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0}
_UM |= {"\\u00B5m": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4, "inch": 25_400.0}
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>(.*?)(?=<(?:\w+:)?Pixels\b|\Z)", flags=re.DOTALL)
_CHANNEL = re.compile(r"<(?:\w+:)?Channel\b([^>]*)>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What is known of a series without its pixels: its format, and by axis (x, y, z, c, t) lengths and pixel sizes."""

    format: str
    lengths: Mapping[str, int]
    channels: tuple[str, ...]
    pixel_size_um: Mapping[str, float]


def read_tiff_headers(file: BinaryIO) -> tuple[TiffHeader, ...]:
    """The headers of a TIFF's series. Raises UnreadableImage when damaged."""
    with decoder_errors("TIFF"):
        check_chain(file)
        with TiffFile(file, _multifile=False) as tif:
            check_said(tif)
            return tuple(_headers(tif))


def _headers(tif: TiffFile) -> Iterator[TiffHeader]:
    described = list(_PIXELS.finditer(tif.ome_metadata or ""))
    for number, series in enumerate(tif.series):
        lengths = {name.lower(): n for name, n in zip(series.axes, series.shape, strict=True) if name in _AXES}
        if number < len(described):
            attributes, inside = described[number].groups()
            names = (_attributes(channel[1]).get("Name", "") for channel in _CHANNEL.finditer(inside))
            yield TiffHeader("OME-TIFF", lengths, tuple(names), _ome_sizes(_attributes(attributes)))
        elif tif.is_imagej:
            yield TiffHeader("ImageJ TIFF", lengths, (), _imagej_sizes(tif))
        else:
            yield TiffHeader("TIFF", lengths, (), {})


def _attributes(text: str) -> dict[str, str]:
    return {name: unescape(double or single) for name, double, single in _ATTRIBUTE.findall(text)}


def _ome_sizes(pixels: Mapping[str, str]) -> dict[str, float]:
    found = {axis: pixels.get(f"PhysicalSize{axis.upper()}", "") for axis in "xyz"}
    units = {axis: _UM.get(pixels.get(f"PhysicalSize{axis.upper()}Unit", ""), 0) for axis in "xyz"}
    return {axis: size for axis, text in found.items() if (size := _number(text) * units[axis]) > 0}


def _imagej_sizes(tif: TiffFile) -> dict[str, float]:
    """ImageJ writes pixels a unit into the resolution tags, and the unit and the distance of planes into its text."""
    written = tif.imagej_metadata or {}
    unit = _UM.get(str(written.get("unit") or "pixel"), 0)
    tags = tif.pages.first.tags
    resolutions = {"x": tags.valueof("XResolution", (0, 1)), "y": tags.valueof("YResolution", (0, 1))}
    sizes = {axis: unit * below / above for axis, (above, below) in resolutions.items() if above and below}
    depth = unit * _number(str(written.get("spacing", "")))
    return {axis: size for axis, size in (*sizes.items(), ("z", depth)) if size > 0}


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,18})?([eE][+-]?\d{1,2})?", text) else 0.0

"""How large the pixels of a TIFF are, as OME-XML or ImageJ says: other TIFFs give the resolution of a printer."""

import re
from collections.abc import Iterator
from html import unescape

from tifffile import TiffFile

# units of OME's schema, and of ImageJ
UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0}
UM |= {"\\u00B5m": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4, "inch": 25_400.0}
OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_PHYSICAL = re.compile(r"""\bPhysicalSize([XYZ](?:Unit)?)\s*=\s*["']([^"']*)["']""")
_NUMBER = re.compile(r"\+?(?:\d{1,12}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?")


def pixel_sizes_um(tif: TiffFile, series: int = 0) -> dict[str, float]:
    """The size of a series' pixels in µm by axis (x, y, z); of those axes for which it is known."""
    if tif.is_imagej:
        return dict(_imagej_sizes(tif))
    described = OME_PIXELS.findall(tif.ome_metadata or "")
    # which series is which image of the XML is known only where there are as many of both
    return dict(_ome_sizes(described[series])) if len(described) == len(tif.series) else {}


def _ome_sizes(attributes: str) -> Iterator[tuple[str, float]]:
    # some writers have the µ as `&#181;`
    said = {name: unescape(text).strip() for name, text in _PHYSICAL.findall(attributes)}
    for axis in "XYZ":
        size = _number(said.get(axis, "")) * UM.get(said.get(f"{axis}Unit", "µm").replace("\u03bc", "µ"), 0)
        if size > 0:
            yield axis.lower(), size


def _imagej_sizes(tif: TiffFile) -> Iterator[tuple[str, float]]:
    """ImageJ writes pixels a unit into the resolution tags, and the unit and the distance of planes into its text."""
    written = tif.imagej_metadata or {}
    unit = UM.get(str(written.get("unit") or "pixel"), 0)
    tags = tif.pages.first.tags
    for axis, name in (("x", "XResolution"), ("y", "YResolution")):
        match tags.valueof(name):
            case (int(above), int(below)) if unit and above > 0 and below > 0:
                yield axis, unit * below / above
    if (depth := unit * _number(str(written.get("spacing", "")))) > 0:
        yield "z", depth


def _number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else 0.0

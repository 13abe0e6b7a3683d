"""What the headers of a TIFF say of its series: their axes, and ImageJ's pixel sizes. OME-XML is the indexer's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from tifffile import TiffFile

from hooke.pixels.decoding import decoder_errors
from hooke.pixels.tiff import check_chain, check_said
from hooke.pixels.tiff_scale import pixel_sizes_um

_AXES = "XYZCT"


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
            yield TiffHeader("ImageJ TIFF", lengths, pixel_sizes_um(tif))
        else:
            yield TiffHeader("TIFF", lengths, {})

"""TIFF, OME-TIFF and ImageJ TIFF: which planes of an n-dimensional image are looked at.

The first series counts. Of time and any further axis the first position is taken, a stack (z, or an unnamed axis of
more than four) is projected to its maximum, channels stay apart. Nothing outside the file is opened.
"""

from dataclasses import dataclass
from io import BytesIO
from math import prod
from struct import calcsize, iter_unpack, unpack_from

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from hooke.embed.base import Raster
from hooke.errors import UnreadableImage
from hooke.pixels.decoding import Array, decoder_errors, inverted, narrow, over_white
from hooke.pixels.flat import read_flat
from hooke.pixels.limits import Limits

# Their samples are no intensities: pillow turns them into colours.
_PICTURES = (PHOTOMETRIC.PALETTE, PHOTOMETRIC.SEPARATED, PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_UNNAMED = "QI"
_MOST_UNNAMED_CHANNELS = 4
_TYPE_BYTES = dict(zip((*range(1, 14), 16, 17, 18), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8), strict=True))
# TIFF 6.0, tag 274: (swap x and y, then flip y, then flip x) for each orientation.
_ORIENTATIONS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, slots=True)
class _Axis:
    role: str  # one of y, x, samples, channels, stack, first
    length: int


def read_tiff(content: bytes, limits: Limits) -> Raster:
    """The raster of a TIFF of any flavour. Raises TooLarge from its header, UnreadableImage when damaged."""
    with decoder_errors("TIFF"):
        _check_chain(content)
        return _read(content, limits)


def _read(content: bytes, limits: Limits) -> Raster:
    with TiffFile(BytesIO(content), _multifile=False) as tif:
        if not tif.series:
            raise UnreadableImage("the TIFF holds no image")
        series = tif.series[0]
        page = series.keyframe
        if page.photometric in _PICTURES:
            return read_flat(content, limits)
        axes = _axes(series)
        wanted = _wanted_pages(series, axes)
        _check(axes, limits, pages=wanted)
        _check_complete(series, wanted, content)
        planes = series.asarray(maxworkers=1) if wanted is None else tif.asarray(key=wanted, series=0, maxworkers=1)
        return _raster(_plane(planes, axes, first_taken=wanted is not None), page)


def _check_chain(content: bytes) -> None:
    """Refuse a file that ends before its last directory or tag: tifffile reads what is left, as if it were all.

    TIFF 6.0 section 2, and BigTIFF with wider counts and offsets: a directory is a count, entries of tag, type, count
    and value (or where it is), and the offset of the next directory.
    """
    order = "<" if content[:2] == b"II" else ">"
    big = content[2 if order == "<" else 3] == 43
    start, count, entry, link = (8, "Q", "HHQQ", "Q") if big else (4, "H", "HHII", "I")
    seen: set[int] = set()
    (offset,) = unpack_from(order + link, content, start)
    while offset and offset not in seen:
        seen.add(offset)
        _require(content, offset + calcsize(order + count))
        (entries,) = unpack_from(order + count, content, offset)
        first = offset + calcsize(order + count)
        last = first + entries * calcsize(order + entry)
        _require(content, last + calcsize(order + link))
        for _, kind, values, where in iter_unpack(order + entry, content[first:last]):
            size = values * _TYPE_BYTES.get(kind, 0)
            if size > calcsize(order + link):
                _require(content, where + size)
        (offset,) = unpack_from(order + link, content, last)


def _require(content: bytes, end: int) -> None:
    if end > len(content):
        raise UnreadableImage(f"the TIFF is cut short: it has {len(content)} bytes and refers to byte {end}")


def _axes(series: TiffPageSeries) -> tuple[_Axis, ...]:
    pairs = zip(series.axes, series.shape, strict=True)
    return tuple(_Axis(_role(name, length), length) for name, length in pairs)


def _role(name: str, length: int) -> str:
    if name in _UNNAMED:
        return "channels" if length <= _MOST_UNNAMED_CHANNELS else "stack"
    return {"Y": "y", "X": "x", "S": "samples", "C": "channels", "Z": "stack"}.get(name, "first")


def _length(axes: tuple[_Axis, ...], role: str) -> int:
    return prod(axis.length for axis in axes if axis.role == role)


def _check(axes: tuple[_Axis, ...], limits: Limits, *, pages: list[int] | None) -> None:
    planes = _length(axes, "stack") * (_length(axes, "first") if pages is None else 1)
    channels = _length(axes, "channels") * _length(axes, "samples")
    limits.check_shape(_length(axes, "x"), _length(axes, "y"), channels=channels, planes=planes)


def _wanted_pages(series: TiffPageSeries, axes: tuple[_Axis, ...]) -> list[int] | None:
    """The pages at the first time point, or None where the series is not one page a plane: then it is read whole."""
    before = [axis for axis in axes if axis.role in ("channels", "stack", "first")]
    if not any(axis.role == "first" for axis in before) or len(series.pages) != prod(axis.length for axis in before):
        return None
    numbers = np.arange(len(series.pages)).reshape([axis.length for axis in before])
    index = tuple(slice(0, 1) if axis.role == "first" else slice(None) for axis in before)
    return [int(number) for number in numbers[index].ravel()]


def _check_complete(series: TiffPageSeries, wanted: list[int] | None, content: bytes) -> None:
    """Refuse a file that ends before its pixels do: tifffile fills what is missing with zeros."""
    end = series.dataoffset + series.nbytes if series.dataoffset is not None else 0
    for number in range(len(series.pages)) if wanted is None else wanted:
        page = series.pages[number]
        if page is None:
            raise UnreadableImage("the TIFF keeps planes in other files; join them into one")
        spans = zip(page.dataoffsets, page.databytecounts, strict=False)
        end = max(end, max((start + count for start, count in spans), default=0))
    _require(content, end)


def _plane(planes: Array, axes: tuple[_Axis, ...], *, first_taken: bool) -> Array:
    """Pixels of shape (samples or channels, height, width); samples of a colour picture come first."""
    kept = [_Axis(axis.role, 1) if first_taken and axis.role == "first" else axis for axis in axes]
    pixels = planes.reshape([axis.length for axis in kept])
    for position in reversed(range(len(kept))):
        if kept[position].role == "first":
            pixels = np.moveaxis(pixels, position, 0)[0]
        elif kept[position].role == "stack":
            pixels = np.asarray(np.maximum.reduce(pixels, axis=position))
    roles = [axis.role for axis in kept if axis.role not in ("first", "stack")]
    order = [number for role in ("channels", "samples", "y", "x") for number, r in enumerate(roles) if r == role]
    pixels = pixels.transpose(order)
    return pixels.reshape(-1, *pixels.shape[-2:])


def _raster(planes: Array, page: TiffPage) -> Raster:
    pixels = narrow(_upright(planes, page))
    if page.photometric == PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
        pixels = inverted(pixels)
    if page.photometric not in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) or page.samplesperpixel not in (3, 4):
        return Raster(pixels, rgb=False)
    if len(pixels) == 4 and page.extrasamples and page.extrasamples[0] in _ALPHA and pixels.dtype.kind == "u":
        pixels = over_white(pixels[:3], pixels[3])
    if len(pixels) in (3, 4):
        return Raster(np.ascontiguousarray(pixels[:3]), rgb=True)
    return Raster(pixels, rgb=False)


def _upright(planes: Array, page: TiffPage) -> Array:
    orientation = page.tags.valueof(274, 1)
    if orientation not in _ORIENTATIONS:
        return planes
    swap, flip_y, flip_x = _ORIENTATIONS[orientation]
    turned = planes.swapaxes(-1, -2) if swap else planes
    return turned[..., :: -1 if flip_y else 1, :: -1 if flip_x else 1]

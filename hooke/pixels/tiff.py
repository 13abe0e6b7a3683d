"""TIFF, OME-TIFF and ImageJ TIFF: of one series, the coarsest level that suffices, and of it the planes looked at.

Axes are taken by name; an unnamed one is channels up to four, else a stack. Of axes that are neither depth, channel
nor time (tiles, angles, phases) the first position counts. Nothing outside the file is opened, and of the file only
the pages of those planes are read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from struct import calcsize, iter_unpack, unpack
from typing import BinaryIO

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffFrame, TiffPage, TiffPageSeries

from hooke.embed.base import INPUT_SIDE, Raster
from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.decoding import Array, decoder_errors, inverted, narrow, over_white
from hooke.pixels.flat import read_flat
from hooke.pixels.limits import Limits
from hooke.pixels.parts import Level, Parts, Size, cropped, with_own_parts, with_parts
from hooke.pixels.planes import coarsest_that_suffices, depths_of, frames_of, project
from hooke.pixels.tiff_scale import OME_PIXELS, pixel_sizes_um
from hooke.views import Box

# Their samples are no intensities: pillow turns them into colours.
_PICTURES = (PHOTOMETRIC.PALETTE, PHOTOMETRIC.SEPARATED, PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_UNNAMED = "QI"
_MOST_UNNAMED_CHANNELS = 4
_MOST_TAG_BYTES = 2**28
_MOST_PLANES = 2**20
_SIZE = re.compile(r"""\bSize([A-Z])\s*=\s*["']\s*(\d+)""")
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
    role: str  # one of y, x, samples, channels, stack, time, first
    length: int


def read_tiff(
    file: BinaryIO, limits: Limits, short_side: int = INPUT_SIDE, series: int = 0, *, parts: Parts = 0
) -> Raster:
    """The raster of a series of a TIFF, and its parts.

    Raises TooLarge from its header, UnreadableImage when damaged.
    """
    with decoder_errors("TIFF"):
        check_chain(file)
        with TiffFile(file, _multifile=False) as tif:
            check_said(tif)
            chosen = _chosen(tif, series)
            if chosen.keyframe.photometric in _PICTURES:
                picture = read_flat(_whole(file, limits), limits, _number_of(chosen.keyframe))
                return with_own_parts(picture, short_side, parts)
            raster = _read(_level(chosen, short_side), file, limits)
            if not parts:
                return raster
            again = partial(_finer, chosen, file, limits)
            pixel_um = {} if isinstance(parts, Box) else pixel_sizes_um(tif, series)
            return with_parts(raster, _size(chosen), short_side, parts, again, pixel_um)


def _chosen(tif: TiffFile, series: int) -> TiffPageSeries:
    if not tif.series:
        raise UnreadableImage("the TIFF holds no image")
    if series >= len(tif.series):
        raise UnreadableImage(f"the TIFF has {len(tif.series)} series, none of number {series}")
    _check_run(tif)
    return tif.series[series]


def _number_of(page: TiffPage) -> int:
    """The place of a page in the file's chain: pillow knows no series."""
    number, *below = page.treeindex
    if below:
        raise UnreadableImage("a picture in a SubIFD with a palette, or in CMYK or Lab, is not read; save it as RGB")
    return number


def check_said(tif: TiffFile) -> None:
    """Refuse an OME-XML of more planes than any image has: tifffile makes room for each of them."""
    for sizes in OME_PIXELS.findall(tif.ome_metadata or ""):
        planes = prod(int(length) for axis, length in _SIZE.findall(sizes) if axis in "ZCT")
        if planes > _MOST_PLANES:
            raise TooLarge(f"the OME-XML says {planes} planes, the limit is {_MOST_PLANES}")


def _check_run(tif: TiffFile) -> None:
    """Refuse a run of planes behind one page that was cut: tifffile then takes the first plane for all."""
    said = (tif.imagej_metadata or {}).get("images")
    page = tif.pages.first
    if not isinstance(said, int) or len(tif.pages) > 1 or said <= tif.series[0].size // max(1, page.size):
        return
    # ImageJ's number of images may be left over from another file, which has no more than its one plane
    behind = tif.filehandle.size - page.dataoffsets[0] - page.nbytes
    if behind >= page.nbytes:
        raise UnreadableImage(f"the TIFF is cut short: it has {1 + behind // page.nbytes} of its {said} planes")


def _level(series: TiffPageSeries, short_side: int) -> TiffPageSeries:
    sides = [min(level.shape[level.axes.index(axis)] for axis in "YX") for level in series.levels]
    finest_first = sorted(range(len(sides)), key=lambda position: -sides[position])
    place = coarsest_that_suffices([sides[position] for position in finest_first], short_side)[0]
    return series.levels[finest_first[place]]


def _finer(series: TiffPageSeries, file: BinaryIO, limits: Limits, short_side: int) -> Level:
    chosen = _level(series, short_side)

    def read(box: Box) -> Array:
        pages = _Pages(chosen, file, None if _orientation(chosen.keyframe) in _ORIENTATIONS else box)
        _check(pages, limits)
        pixels = _raster(_plane(pages, pages.frames()[0]), chosen.keyframe).pixels
        return pixels if pages.box else cropped(pixels, box)

    return Level(_size(chosen), read)


def _size(series: TiffPageSeries) -> Size:
    """Width and height, upright."""
    width, height = (series.shape[series.axes.index(axis)] for axis in "XY")
    turned = _ORIENTATIONS.get(_orientation(series.keyframe), (False,))[0]
    return (height, width) if turned else (width, height)


def _read(series: TiffPageSeries, file: BinaryIO, limits: Limits) -> Raster:
    pages = _Pages(series, file)
    _check(pages, limits)
    first, *others = (_raster(_plane(pages, frame), series.keyframe) for frame in pages.frames())
    return Raster(first.pixels, first.rgb, tuple(other.pixels for other in others))


class _Pages:
    """A series as pages: its axes, those that number the pages before those within one; read whole, or in a box."""

    def __init__(self, series: TiffPageSeries, file: BinaryIO, box: Box | None = None) -> None:
        self.box = box
        axes = [_Axis(_role(name, n), n) for name, n in zip(series.axes, series.shape, strict=True)]
        within = series.keyframe.ndim
        if tuple(series.shape[-within:]) != tuple(series.keyframe.shape):
            raise UnreadableImage(f"pages of shape {series.keyframe.shape} in a series of shape {series.shape}")
        self.between, self.within = axes[:-within], axes[-within:]
        if series.keyframe.dtype is None:
            raise UnreadableImage("the TIFF does not say what type its pixels are of")
        self._dtype = series.keyframe.dtype
        self._series = series
        self._file = file
        self._count = prod(axis.length for axis in self.between)

    def length(self, role: str) -> int:
        """The product of the lengths of the axes of a role."""
        return prod(axis.length for axis in (*self.between, *self.within) if axis.role == role)

    def frames(self) -> tuple[int, ...]:
        """The frames looked at; those within a page are not told apart."""
        return frames_of(prod(axis.length for axis in self.between if axis.role == "time"))

    def depths(self) -> tuple[int, ...]:
        """The planes looked at of the stack that the pages are."""
        return depths_of(prod(axis.length for axis in self.between if axis.role == "stack"))

    def numbers(self, frame: int, channel: int) -> list[int]:
        """The pages of a frame and channel, by depth."""
        axes = self.between
        order = [place for role in ("time", "channels", "stack", "first") for place in _places(axes, role)]
        numbers = np.arange(self._count).reshape([axis.length for axis in axes]).transpose(order)
        lengths = [prod(axes[place].length for place in _places(axes, role)) for role in ("time", "channels", "stack")]
        return [int(number) for number in numbers.reshape(*lengths, -1)[frame, channel, list(self.depths()), 0]]

    def spans(self) -> list[tuple[int, int]]:
        """Where the bytes lie, and how many, of the pages looked at."""
        channels = range(prod(axis.length for axis in self.between if axis.role == "channels"))
        wanted = [n for frame, c in product(self.frames(), channels) for n in self.numbers(frame, c)]
        if self._is_one_run():
            return [(self._offset(number), self._page_bytes()) for number in wanted]
        return [
            span for n in wanted for span in zip(self._page(n).dataoffsets, self._page(n).databytecounts, strict=False)
        ]

    def tile_pixels(self) -> int:
        """The pixels of a tile, which may be larger than the image; 0 of an image in strips, which are not."""
        page = self._series.keyframe
        return page.tilewidth * page.tilelength * page.tiledepth if page.is_tiled else 0

    def file_size(self) -> int:
        """Bytes of the file."""
        return self._file.seek(0, 2)

    def read(self, number: int) -> Array:
        """The pixels of a page as (channels, depth, samples, height, width)."""
        if self.box is None:
            return _arranged(self._pixels(number), self.within)
        if self._is_one_run() or not self._series.keyframe.is_tiled:
            return cropped(_arranged(self._pixels(number), self.within), self.box)
        return _arranged(self._tiles(number, self.box), self.within)

    def _tiles(self, number: int, box: Box) -> Array:
        """The pixels of a page in a box; only the page's tiles that it touches are read."""
        import zarr  # takes as long to import as most files to read

        within = {"y": slice(box.y, box.bottom), "x": slice(box.x, box.right)}
        page = zarr.open_array(self._page(number).aszarr(maxworkers=1, read_only=True), mode="r")
        return np.asarray(page[tuple(within.get(axis.role, slice(None)) for axis in self.within)])

    def _pixels(self, number: int) -> Array:
        if not self._is_one_run():
            return np.asarray(self._page(number).asarray(maxworkers=1))
        self._file.seek(self._offset(number))
        dtype = self._dtype.newbyteorder(self._series.keyframe.parent.byteorder)
        return np.frombuffer(self._file.read(self._page_bytes()), dtype).reshape(self._series.keyframe.shape)

    def _is_one_run(self) -> bool:
        """Whether the planes lie one after another behind a single page, as ImageJ writes more than 4 GB."""
        if len(self._series.pages) >= self._count:
            return False
        if self._series.dataoffset is None:
            raise UnreadableImage(f"the TIFF has {len(self._series.pages)} of its {self._count} pages")
        return True

    def _page(self, number: int) -> TiffPage | TiffFrame:
        page = self._series.pages[number]
        if page is None:
            raise UnreadableImage("the TIFF keeps planes in other files; join them into one")
        return page

    def _offset(self, number: int) -> int:
        return int(self._series.dataoffset or 0) + number * self._page_bytes()

    def _page_bytes(self) -> int:
        return prod(self._series.keyframe.shape) * self._dtype.itemsize


def _plane(pages: _Pages, frame: int) -> Array:
    """The pixels of a frame: (samples or channels, height, width)."""
    colour = pages.length("samples") > 1
    planes = []
    for channel in range(prod(axis.length for axis in pages.between if axis.role == "channels")):
        # (channels within a page, depth, samples, height, width)
        stack = np.concatenate([pages.read(number) for number in pages.numbers(frame, channel)], axis=1)
        planes += [project(each, colour=colour) for each in stack]
    return np.concatenate(planes)


def _arranged(pixels: Array, axes: Sequence[_Axis]) -> Array:
    """A page's pixels as (channels, depth, samples, height, width); of times and other axes the first position."""
    roles = ("time", "first", "channels", "stack", "samples", "y", "x")
    ordered = pixels.transpose([place for role in roles for place in _places(axes, role)])
    lengths = [prod(pixels.shape[place] for place in _places(axes, role)) for role in roles]
    return np.asarray(ordered.reshape(lengths)[0, 0])


def _places(axes: Sequence[_Axis], role: str) -> list[int]:
    return [place for place, axis in enumerate(axes) if axis.role == role]


def check_chain(file: BinaryIO) -> None:
    """Refuse a file that ends before its last directory or tag: tifffile reads what is left, as if it were all.

    TIFF 6.0 section 2, and BigTIFF with wider counts and offsets: a directory is a count, entries of tag, type, count
    and value (or where it is), and the offset of the next directory.
    """
    size = file.seek(0, 2)
    start = _bytes_at(file, 0, 4)
    order = "<" if start[:2] == b"II" else ">"
    big = start[2 if order == "<" else 3] == 43
    place, count, entry, link = (8, "Q", "HHQQ", "Q") if big else (4, "H", "HHII", "I")
    seen: set[int] = set()
    read = 0
    (offset,) = unpack(order + link, _bytes_at(file, place, calcsize(order + link)))
    while offset and offset not in seen:
        seen.add(offset)
        (entries,) = unpack(order + count, _bytes_at(file, offset, calcsize(order + count)))
        first = offset + calcsize(order + count)
        length = entries * calcsize(order + entry)
        _require(size, first + length)
        read += length
        if read > size:
            raise UnreadableImage("the TIFF's directories overlap, as no writer leaves them")
        directory = _bytes_at(file, first, length + calcsize(order + link))
        for _, kind, values, where in iter_unpack(order + entry, directory[:length]):
            extent = values * _TYPE_BYTES.get(kind, 0)
            if extent > _MOST_TAG_BYTES:
                raise TooLarge(f"a tag of the TIFF has {extent} bytes, the limit is {_MOST_TAG_BYTES}")
            if extent > calcsize(order + link):
                _require(size, where + extent)
        (offset,) = unpack(order + link, directory[length:])
    # tifffile takes the place where it is given a file for its start
    file.seek(0)


def _bytes_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    content = file.read(length)
    if len(content) < length:
        _require(offset + len(content), offset + length)
    return content


def _whole(file: BinaryIO, limits: Limits) -> bytes:
    limits.check_size(file.seek(0, 2))
    file.seek(0)
    return file.read()


def _require(size: int, end: int) -> None:
    if end > size:
        raise UnreadableImage(f"the TIFF is cut short: it has {size} bytes and refers to byte {end}")


def _role(name: str, length: int) -> str:
    if name in _UNNAMED:
        return "channels" if length <= _MOST_UNNAMED_CHANNELS else "stack"
    return {"Y": "y", "X": "x", "S": "samples", "C": "channels", "Z": "stack", "T": "time"}.get(name, "first")


def _check(pages: _Pages, limits: Limits) -> None:
    """Refuse what costs too much, and a file that ends before its pixels do: tifffile fills in zeros."""
    depth = len(pages.depths()) * prod(axis.length for axis in pages.within if axis.role in ("stack", "time", "first"))
    channels = pages.length("channels") * pages.length("samples")
    width, height = pages.length("x"), pages.length("y")
    box = pages.box or Box(0, 0, width, height)
    limits.check_shape(box.width, box.height, channels=channels, planes=depth * len(pages.frames()))
    if pages.tile_pixels() > limits.pixels:
        raise TooLarge(f"tiles of {pages.tile_pixels()} pixels, the limit is {limits.pixels}; write smaller ones")
    spans = pages.spans()
    _require(pages.file_size(), max((start + count for start, count in spans), default=0))
    # of a box, as if every page were packed alike all over
    total = sum(count for _, count in spans) * box.width * box.height // (width * height)
    if total > limits.bytes:
        raise TooLarge(f"the planes looked at take {total} bytes, the limit is {limits.bytes}; write smaller levels")


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


def _orientation(page: TiffPage) -> int:
    return page.tags.valueof(274, 1) or 1


def _upright(planes: Array, page: TiffPage) -> Array:
    orientation = _orientation(page)
    if orientation not in _ORIENTATIONS:
        return planes
    swap, flip_y, flip_x = _ORIENTATIONS[orientation]
    turned = planes.swapaxes(-1, -2) if swap else planes
    return turned[..., :: -1 if flip_y else 1, :: -1 if flip_x else 1]

"""Parts of an image that are looked at by themselves: its tiles, or a region that is asked for; for every format alike.

Tiles cover the image. Where its pixels have a size, they are squares of a fixed number of µm, so that the model sees
what it shows at one of a few scales: the finest of which no more than four cover the short side, and none is enlarged.
Elsewhere they are rectangles side by side: the short side cut into one to four, by how often the model's input fits,
the long side in like pieces. Those that vary most are kept, as seen at the level of the whole: where there
is nothing, nothing varies, on a dark background and on a bright one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from types import MappingProxyType

import numpy as np

from hooke.embed.base import Raster, Tile
from hooke.embed.preprocess import stretch
from hooke.errors import BadInput
from hooke.pixels.decoding import Array
from hooke.views import Box

TILES_A_SIDE = 4
SCALES_UM = (0.1, 0.25, 0.5, 1.0, 4.0)
"""The µm that a pixel of the model's input may show of a tile."""
MOST_TILES = 16
_LEAST_SHARE = 0.1
"""Of the variance of the tile that varies most: below it a tile is background."""

Parts = int | Box
"""What is looked at beside the whole: at most so many tiles, or this region."""
Size = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of an image: its size; `read` gives the pixels (channels, height, width) of a box of it."""

    size: Size
    read: Callable[[Box], Array]


def with_parts(
    raster: Raster,
    size: Size,
    short_side: int,
    parts: Parts,
    level: Callable[[int], Level],
    pixel_um: Mapping[str, float] = MappingProxyType({}),
) -> Raster:
    """The raster of a whole image with its parts as tiles.

    size: of the finest level. short_side: of the model's input. level: the one to read where the short side of the
    whole image is to have so many pixels. pixel_um: the size of a pixel by axis, where it is known. Raises BadInput for
    a region outside the image.
    """
    if isinstance(parts, Box):
        boxes: tuple[Box, ...] = (inside(parts, size),)
        wanted = ceil(short_side * min(size) / min(parts.width, parts.height))
    else:
        boxes = chosen_tiles(raster, grid(size, short_side, pixel_um), size, parts)
        wanted = TILES_A_SIDE * short_side
    if boxes == (Box(0, 0, *size),):
        return replace(raster, tiles=(Tile(boxes[0], raster.pixels),))
    height, width = raster.pixels.shape[1:]
    suffices = min(width, height) >= min(wanted, *size)
    chosen = _level_of(raster) if suffices else level(wanted)
    return replace(raster, tiles=_read(boxes, size, chosen))


def with_own_parts(raster: Raster, short_side: int, parts: Parts) -> Raster:
    """The raster of an image that has one level, and its parts."""
    itself = _level_of(raster)
    return with_parts(raster, itself.size, short_side, parts, lambda _: itself) if parts else raster


def _level_of(raster: Raster) -> Level:
    """The level that a raster is: nothing is left to read."""
    _, height, width = raster.pixels.shape
    return Level((width, height), lambda box: cropped(raster.pixels, box))


def cropped(pixels: Array, box: Box) -> Array:
    """The part of planes (…, height, width) in a box."""
    return pixels[..., box.y : box.bottom, box.x : box.right]


def grid(size: Size, short_side: int, pixel_um: Mapping[str, float] = MappingProxyType({})) -> list[Box]:
    """The tiles that an image is cut into, row by row.

    >>> len(grid((1000, 2000), 224)), grid((600, 300), 224), len(grid((300, 300), 224))
    (32, [Box(x=0, y=0, width=300, height=300), Box(x=300, y=0, width=300, height=300)], 1)
    >>> [box.x for box in grid((600, 448), 224, {"x": 0.25, "y": 0.25})]  # 56 µm each
    [0, 188, 376, 0, 188, 376]
    """
    if known := _side_of_scale(size, short_side, pixel_um):
        columns, rows = (
            np.linspace(0, length - known, ceil(length / known)).round().astype(int).tolist() for length in size
        )
        return [Box(x, y, known, known) for y in rows for x in columns]
    count = min(TILES_A_SIDE, max(1, round(min(size) / short_side)))
    side = max(min(size) / count, short_side)
    columns, rows = (
        np.linspace(0, length, max(1, round(length / side)) + 1).round().astype(int).tolist() for length in size
    )
    return [Box(x, y, right - x, bottom - y) for y, bottom in pairwise(rows) for x, right in pairwise(columns)]


def _side_of_scale(size: Size, short_side: int, pixel_um: Mapping[str, float]) -> int | None:
    """The side of a tile of a fixed scale; None where the size of a pixel is not known or no scale fits the image."""
    if not {"x", "y"} <= set(pixel_um):
        return None
    pixel = (pixel_um["x"] * pixel_um["y"]) ** 0.5
    least = max(short_side, ceil(min(size) / TILES_A_SIDE))
    sides = (short_side * scale / pixel for scale in SCALES_UM if pixel > 0)
    # rounded only if it is a length at all: a file may say that a pixel has 1e-300 µm
    return next((round(side) for side in sides if side <= min(size) and round(side) >= least), None)


def chosen_tiles(raster: Raster, boxes: Sequence[Box], size: Size, most: int) -> tuple[Box, ...]:
    """Those of an image's tiles that show most, in reading order; at least one."""
    if len(boxes) == 1:
        return tuple(boxes)
    planes = stretch(raster.pixels, together=raster.rgb)
    shown = (planes.shape[2], planes.shape[1])
    variances = [float(cropped(planes, scaled(box, size, shown)).var(axis=(1, 2)).mean()) for box in boxes]
    ranked = sorted(range(len(boxes)), key=lambda number: (-variances[number], number))
    least = _LEAST_SHARE * variances[ranked[0]]
    kept = [number for number in ranked[:most] if variances[number] > least] or ranked[:1]
    return tuple(boxes[number] for number in sorted(kept))


def scaled(box: Box, size: Size, to: Size) -> Box:
    """The pixels of a level of size `to` that a box of an image of a size is in, one at least.

    >>> scaled(Box(10, 0, 21, 40), (100, 100), (50, 25))
    Box(x=5, y=0, width=11, height=10)
    """
    x, right = _stretch(box.x, box.right, size[0], to[0])
    y, bottom = _stretch(box.y, box.bottom, size[1], to[1])
    return Box(x, y, right - x, bottom - y)


def _stretch(begin: int, end: int, length: int, to: int) -> tuple[int, int]:
    first = min(begin * to // length, to - 1)
    return first, max(first + 1, min(to, -(-end * to // length)))


def _read(boxes: Sequence[Box], size: Size, level: Level) -> tuple[Tile, ...]:
    """The tiles, of one piece of a level that holds them all: neighbours share chunks."""
    places = [scaled(box, size, level.size) for box in boxes]
    x, y = min(place.x for place in places), min(place.y for place in places)
    right, bottom = max(place.right for place in places), max(place.bottom for place in places)
    pixels = level.read(Box(x, y, right - x, bottom - y))
    return tuple(
        Tile(box, cropped(pixels, replace(place, x=place.x - x, y=place.y - y)))
        for box, place in zip(boxes, places, strict=True)
    )


def inside(region: Box, size: Size) -> Box:
    """The region. Raises BadInput where it is not inside an image of that size."""
    if min(region.x, region.y) < 0 or min(region.width, region.height) < 1:
        raise BadInput(f"a region is x,y,width,height from 0,0 and of 1 pixel at least, not {_shown(region)}")
    if region.right > size[0] or region.bottom > size[1]:
        raise BadInput(f"the region {_shown(region)} is not inside the image of {size[0]} x {size[1]} pixels")
    return region


def _shown(box: Box) -> str:
    return f"{box.x},{box.y},{box.width},{box.height}"

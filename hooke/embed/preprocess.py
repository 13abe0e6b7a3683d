"""From a raster to the squares a model sees. Every choice here is part of the space's recipe.

Measured on 1,415 labelled images (benchmarks/quality.py); the sources of the defaults are those of DESIGN §5.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hooke.embed.base import Raster
from hooke.errors import UnreadableImage

PERCENTILES = (0.1, 99.9)
COMPOSITE = -1
"""In place of a channel's number: all channels in one picture, which shows how bright they are beside each other."""
_SAMPLE = 2**20
_ROWS = 256
_COLOURS = 3
Planes = npt.NDArray[np.float32]
_Ends = tuple[np.floating, np.floating]

PREPROCESSING: Mapping[str, object] = MappingProxyType(
    {
        "version": 5,
        "level": "the coarsest whose short side is no shorter than the input",
        "time": "first, middle and last frame; mean of unit vectors",
        "depth": "up to 64 planes, evenly spaced: maximum on a dark background, sharpest plane on a bright one",
        "percentiles": list(PERCENTILES),
        "percentile_sample": _SAMPLE,
        "intensity": "colour stretched with one pair of percentiles for all three; every other channel with its own",
        "channels": "one forward each, replicated to three; mean of unit vectors; constant channels left out",
        "composite": "two or three channels as red, green, blue with one pair of percentiles; weighs as all of them",
        "channel rows": "of each channel that is not constant, of colour as one; mean of unit vectors over time",
        "tiles": "rectangles that cover the image: its short side by the input, 1 to 4, the long one in like pieces",
        "tiles of pixels of known size": "squares that show 0.1, 0.25, 0.5, 1 or 4 µm a pixel of the input: the finest "
        "of which at most 4 cover the short side, none of fewer pixels than the input",
        "tile choice": "those that vary most at the level of the whole, over a tenth of the most, in reading order",
        "tile level": "the coarsest whose short side is no shorter than four inputs; the first frame looked at",
        "tile intensity": "percentiles of the whole image; of the channels not constant in it, and their composite",
        "padding": "to a square, centred, with the median of the border",
    }
)


def stretch(pixels: npt.NDArray[np.generic], *, together: bool = False) -> Planes:
    """Each channel clipped to its percentiles 0.1 and 99.9 and scaled to 0-1; a constant one becomes zeros.

    pixels: (channels, height, width). together: one pair of percentiles for all, so that colours keep their hue.
    Values that are not finite count as 0. Percentiles of more than 2**20 pixels are those of evenly spaced ones.
    """
    stretched: Planes = np.empty(pixels.shape, np.float32)
    for channels in _groups(len(pixels), together):
        stretched[channels] = _scaled(pixels[channels], _ends([pixels[channels]]))
    return stretched


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that a model sees: of a channel (of colour: 0) or all (COMPOSITE), of the whole raster or a tile.

    pixels: float32 (3, height, width), 0-1, not to write to.
    """

    channel: int
    tile: int | None
    pixels: Planes


def pictures(raster: Raster) -> Iterator[Picture]:
    """The pictures whose unit vectors are averaged to rows, one at a time: those of the whole, then those of its tiles.

    For each frame one of a colour picture, else one a channel that is not constant; one of zeros when all are.
    For each tile one of a colour picture, else one a channel that is not constant in the whole raster.
    Where two or three channels are not constant, for each frame and tile a composite of them, too.
    Raises UnreadableImage for a raster without pixels.
    """
    if raster.pixels.ndim != 3 or raster.pixels.size == 0:
        raise UnreadableImage(f"a raster of shape {raster.pixels.shape} has no pixels to embed")
    frames = (raster.pixels, *raster.others)
    groups = _groups(len(raster.pixels), raster.rgb)
    ends = [_ends([frame[channels] for frame in frames]) for channels in groups]
    varied = [channel for channel, pair in enumerate(ends) if pair is not None] or [0]
    has_composite = len(varied) > 1 and len(ends) <= _COLOURS
    common = _ends(frames) if has_composite else None
    shown = False
    for frame, (channel, pair) in product(frames, enumerate(ends)):
        picture = _scaled(frame[groups[channel]], pair)
        if raster.rgb or picture.any():
            shown = True
            yield _picture(channel, None, picture)
    if not shown:
        yield _picture(0, None, np.zeros_like(raster.pixels[:1], np.float32))
    for frame in frames if has_composite else ():
        yield _composite(None, frame, common)
    for number, tile in enumerate(raster.tiles):
        for channel in varied:
            yield _picture(channel, number, _scaled(tile.pixels[groups[channel]], ends[channel]))
        if has_composite:
            yield _composite(number, tile.pixels, common)


def square_rows(picture: Planes) -> Iterator[Planes]:
    """A picture (3, height, width) centred on a square, each channel padded with the median of its border.

    The square comes in blocks of rows: that of a long strip is far larger than the strip.
    """
    _, height, width = picture.shape
    side = max(height, width)
    border = _border_median(picture)[:, None, None]
    top, left = (side - height) // 2, (side - width) // 2
    for start in range(0, side, _ROWS):
        rows = min(_ROWS, side - start)
        block = np.empty((len(picture), rows, side), dtype=np.float32)
        block[:] = border
        first, last = max(start, top), min(start + rows, top + height)
        if first < last:
            block[:, first - start : last - start, left : left + width] = picture[:, first - top : last - top]
        yield block


def _picture(channel: int, tile: int | None, planes: Planes) -> Picture:
    return Picture(channel, tile, np.broadcast_to(planes, (3, *planes.shape[1:])))


def _composite(tile: int | None, pixels: npt.NDArray[np.generic], ends: _Ends | None) -> Picture:
    """Two or three channels as red, green and blue, scaled alike."""
    planes = np.zeros((_COLOURS, *pixels.shape[1:]), np.float32)
    planes[: len(pixels)] = _scaled(pixels, ends)
    return Picture(COMPOSITE, tile, planes)


def _groups(channels: int, together: bool) -> list[slice]:
    """The channels that share a pair of percentiles."""
    return [slice(None)] if together else [slice(each, each + 1) for each in range(channels)]


def _ends(frames: Sequence[npt.NDArray[np.generic]]) -> _Ends | None:
    """What becomes 0 and what becomes 1 of channels in all their frames; None where they are constant."""
    # side by side, as the even spacing counts them
    values = (frames[0] if len(frames) == 1 else np.concatenate(frames, axis=-1)).ravel()
    low, high = np.percentile(_finite(values[:: max(1, values.size // _SAMPLE)]), PERCENTILES)
    if high <= low:
        whole = _finite(values)
        low, high = whole.min(), whole.max()
    return None if high <= low else (low, high)


def _scaled(pixels: npt.NDArray[np.generic], ends: _Ends | None) -> Planes:
    if ends is None:
        return np.zeros(pixels.shape, np.float32)
    low, high = ends
    values = _finite(pixels)
    values -= np.float32(low)
    values /= np.float32(high - low)
    return np.clip(values, 0, 1, out=values)


def _finite(pixels: npt.NDArray[np.generic]) -> Planes:
    """A copy as float32, 0 where it is not finite."""
    values: Planes = pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        values[~np.isfinite(values)] = 0
    return values


def _border_median(picture: Planes) -> npt.NDArray[np.float32]:
    edges = (picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1])
    border: npt.NDArray[np.float32] = np.median(np.concatenate(edges, axis=1), axis=1).astype(np.float32)
    return border

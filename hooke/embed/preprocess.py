"""From a raster to the squares a model sees. Every choice here is part of the space's recipe.

Measured on 1,415 labelled images (benchmarks/quality.py); the sources of the defaults are those of DESIGN §5.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hooke.embed.base import Raster
from hooke.errors import UnreadableImage

PERCENTILES = (0.1, 99.9)
_SAMPLE = 2**20
Planes = npt.NDArray[np.float32]

PREPROCESSING: Mapping[str, object] = MappingProxyType(
    {
        "version": 2,
        "level": "the coarsest whose short side is no shorter than the input",
        "time": "first, middle and last frame; mean of unit vectors",
        "depth": "up to 64 planes, evenly spaced: maximum on a dark background, sharpest plane on a bright one",
        "percentiles": list(PERCENTILES),
        "percentile_sample": _SAMPLE,
        "intensity": "colour stretched with one pair of percentiles for all three; every other channel with its own",
        "channels": "one forward each, replicated to three; mean of unit vectors; constant channels left out",
        "padding": "to a square, centred, with the median of the border",
    }
)


def stretch(pixels: npt.NDArray[np.generic], *, together: bool = False) -> Planes:
    """Each channel clipped to its percentiles 0.1 and 99.9 and scaled to 0-1; a constant one becomes zeros.

    pixels: (channels, height, width). together: one pair of percentiles for all, so that colours keep their hue.
    Values that are not finite count as 0. Percentiles of more than 2**20 pixels are those of evenly spaced ones.
    """
    values: Planes = pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        values[~np.isfinite(values)] = 0
    if together:
        return _stretch_one(values)
    channels: Planes = np.stack([_stretch_one(channel) for channel in values])
    return channels


def views(raster: Raster) -> Planes:
    """The pictures whose unit vectors are averaged: float32 (views, 3, height, width), 0-1.

    For each frame one of a colour picture, else one a channel that is not constant; one of zeros when all are.
    Raises UnreadableImage for a raster without pixels.
    """
    if raster.pixels.ndim != 3 or raster.pixels.size == 0:
        raise UnreadableImage(f"a raster of shape {raster.pixels.shape} has no pixels to embed")
    # side by side, so that a channel has one pair of percentiles for all frames
    frames = (raster.pixels, *raster.others)
    channels = stretch(np.concatenate(frames, axis=2), together=raster.rgb)
    split = np.split(channels, len(frames), axis=2)
    if raster.rgb:
        return np.stack(split)
    planes = np.concatenate(split)
    filled = planes[planes.any(axis=(1, 2))]
    shown = filled if len(filled) else planes[:1]
    return np.repeat(shown[:, None], 3, axis=1)


def pad_to_square(picture: Planes) -> Planes:
    """A picture (3, height, width) centred on a square, each channel padded with the median of its border."""
    _, height, width = picture.shape
    side = max(height, width)
    if height == width:
        return picture
    square = np.empty((len(picture), side, side), dtype=np.float32)
    square[:] = _border_median(picture)[:, None, None]
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = picture
    return square


def _stretch_one(values: Planes) -> Planes:
    sample = values.ravel()[:: max(1, values.size // _SAMPLE)]
    low, high = np.percentile(sample, PERCENTILES)
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return np.zeros_like(values)
    scaled: Planes = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return scaled


def _border_median(picture: Planes) -> npt.NDArray[np.float32]:
    edges = (picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1])
    border: npt.NDArray[np.float32] = np.median(np.concatenate(edges, axis=1), axis=1).astype(np.float32)
    return border

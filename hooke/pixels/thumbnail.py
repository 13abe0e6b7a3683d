"""Small pictures of rasters, for people."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from hooke.embed.base import Raster
from hooke.embed.preprocess import stretch

_QUALITY = 85


def thumbnail(raster: Raster, size: int = 256) -> bytes:
    """A JPEG of at most `size` x `size` pixels.

    Colour pictures of 8 bits keep their colours; else each channel is stretched between percentiles, one shown grey,
    two green and magenta, three red, green and blue, more as their mean.
    """
    image = Image.fromarray(_shown(raster))
    image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _shown(raster: Raster) -> npt.NDArray[np.uint8]:
    """Grey (height, width) or colour (height, width, 3)."""
    if raster.rgb and raster.pixels.dtype == np.uint8:
        return np.ascontiguousarray(np.moveaxis(raster.pixels, 0, -1), dtype=np.uint8)
    channels = stretch(raster.pixels, together=raster.rgb)
    if len(channels) == 2:
        channels = channels[[1, 0, 1]]
    if len(channels) == 3:
        return _bytes(np.moveaxis(channels, 0, -1))
    return _bytes(channels.mean(axis=0))


def _bytes(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(np.rint(shares * 255), dtype=np.uint8)

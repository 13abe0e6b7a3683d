"""PNG and JPEG, and the TIFFs that are pictures (palette, CMYK, Lab), through pillow."""

from io import BytesIO
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from hooke.embed.base import Raster
from hooke.pixels.decoding import Array, decoder_errors, narrow, over_white
from hooke.pixels.limits import Limits

# Limits.check_shape is the guard here, with the caller's own limit: pillow's fixed one would warn or raise before it.
Image.MAX_IMAGE_PIXELS = None

_PNG_COLOUR_TYPES_ABOVE_GREY = (2, 4, 6)


def read_flat(content: bytes, limits: Limits, page: int = 0) -> Raster:
    """The raster of a PNG, a JPEG or a page of a picture TIFF, upright as its EXIF orientation says."""
    with decoder_errors("image"):
        image = Image.open(BytesIO(content), formats=("PNG", "JPEG", "TIFF"))
        if page:
            image.seek(page)
        limits.check_shape(image.width, image.height, channels=len(image.getbands()))
        if _is_deep_colour_png(content):
            return _channels_last(narrow(np.asarray(imagecodecs.png_decode(content))))
        image.load()
        return _from_pillow(ImageOps.exif_transpose(image))


def read_flat_header(file: BinaryIO) -> tuple[str, int, int]:
    """The format, width and height of a PNG or JPEG. Raises UnreadableImage when damaged."""
    with decoder_errors("image"), Image.open(file, formats=("PNG", "JPEG")) as image:
        return str(image.format), image.width, image.height


def _is_deep_colour_png(content: bytes) -> bool:
    """Whether pillow would cut a PNG to 8 bits: it keeps 16 only for grey (PNG spec 11.2.1: depth, colour type)."""
    return content[:4] == b"\x89PNG" and content[24] == 16 and content[25] in _PNG_COLOUR_TYPES_ABOVE_GREY


def _from_pillow(image: Image.Image) -> Raster:
    if image.mode.startswith("I") or image.mode == "F":
        return Raster(narrow(np.asarray(image)[None]), rgb=False)
    return _channels_last(np.asarray(image.convert(_plain_mode(image))))


def _plain_mode(image: Image.Image) -> str:
    """The pillow mode of 8 bits a band that keeps all an image shows."""
    if image.mode in ("1", "L"):
        return "L"
    if image.mode in ("LA", "La"):
        return "LA"
    return "RGBA" if image.has_transparency_data else "RGB"


def _channels_last(pixels: Array) -> Raster:
    """A raster from grey (height, width) or (height, width, 1 to 4 bands), the last of 2 or 4 being alpha."""
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    if len(planes) in (2, 4):
        planes = over_white(planes[:-1], planes[-1])
    return Raster(np.ascontiguousarray(planes), rgb=len(planes) == 3)

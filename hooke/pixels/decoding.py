"""What both decoders share: their errors made Hooke's, their types narrowed, and alpha taken away."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from hooke.errors import TooLarge, UnreadableImage

Array = npt.NDArray[np.generic]

# A damaged file can make a decoder fail anywhere; these are what pillow, tifffile, zarr and zipfile were seen to raise.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into UnreadableImage, and running out of memory into TooLarge."""
    try:
        yield
    except MemoryError as exc:
        raise TooLarge(f"the {kind} needs more memory to decode than allowed; send a smaller one") from exc
    except _DECODER_ERRORS as exc:
        # Pillow names the object it read from, which tells a person nothing
        reason = re.sub(r" ?<[^>]* object at 0x[0-9a-f]+>", "", " ".join(str(exc).split()))[:120] or type(exc).__name__
        raise UnreadableImage(f"the {kind} is damaged or of an unsupported kind: {reason}") from exc


def narrow(pixels: Array) -> Array:
    """The same values as uint8, uint16 or float32 in native byte order.

    Booleans become 0 and 255; signed, 32-bit and wider types become float32.
    """
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    if pixels.dtype.kind in "iuf":
        return np.ascontiguousarray(pixels, dtype=np.float32)
    raise UnreadableImage(f"pixels of type {pixels.dtype} are no intensities; save the image as integers or floats")


def inverted(pixels: Array) -> Array:
    """Unsigned intensities from a file where zero is white."""
    return (largest(pixels) - pixels.astype(np.int32)).astype(pixels.dtype)


def largest(pixels: Array) -> int:
    """The largest value that uint8 or uint16 pixels can have."""
    return 0xFF if pixels.dtype.itemsize == 1 else 0xFFFF


def over_white(pixels: Array, alpha: Array) -> Array:
    """Colour or grey (channels, height, width) seen through alpha (height, width) on a white page.

    White is the background of brightfield pictures and of figures; what lies under full transparency is undefined.
    """
    top = largest(alpha)
    if (alpha == top).all():
        return pixels
    weight = alpha.astype(np.float32) / top
    blended = pixels.astype(np.float32) * weight + top * (1 - weight)
    return np.rint(blended).astype(pixels.dtype)

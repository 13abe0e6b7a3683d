"""One image file, or its bytes, to a raster; the format is told by content, never by name."""

from dataclasses import dataclass
from pathlib import Path

from hooke.embed.base import Raster
from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.flat import read_flat
from hooke.pixels.limits import Limits
from hooke.pixels.tiff import read_tiff

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FLAT = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What metadata can say of a raster; `dtype` is `uint8`, `uint16` or `float32`."""

    width: int
    height: int
    channels: int
    dtype: str


def image_facts(raster: Raster) -> ImageFacts:
    """Size, channels and type of a raster."""
    channels, height, width = raster.pixels.shape
    return ImageFacts(width=width, height=height, channels=channels, dtype=raster.pixels.dtype.name)


def read_raster(path: Path, limits: Limits) -> Raster:
    """The raster of an image file. Raises TooLarge or UnreadableImage, naming the file."""
    try:
        limits.check_size(path.stat().st_size)
        return read_raster_bytes(path.read_bytes(), limits)
    except OSError as exc:
        raise UnreadableImage(f"{path}: cannot be read ({exc.strerror})") from exc
    except (TooLarge, UnreadableImage) as exc:
        raise type(exc)(f"{path}: {exc}") from exc


def read_raster_bytes(content: bytes, limits: Limits) -> Raster:
    """The raster of an image file's content: PNG, JPEG, or TIFF in any flavour.

    Raises TooLarge before decoding when its header exceeds `limits`; UnreadableImage when damaged or none of these.
    """
    limits.check_size(len(content))
    if content.startswith(_TIFF):
        return read_tiff(content, limits)
    if content.startswith(_FLAT):
        return read_flat(content, limits)
    raise UnreadableImage("the file is not a PNG, JPEG or TIFF image; convert it to one of these")

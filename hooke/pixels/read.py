"""One image to a raster, wherever it lies; the format is told by content, never by name.

An image is named by a path: of a file, with `#2` for the third series of an OME-TIFF; of an OME-Zarr image's folder,
on its own or on a plate (`plate.zarr/A/1/0`); of a zip of an OME-Zarr, with the image's path behind it
(`plate.zarr.zip/A/1/0`); or by an address that fsspec opens (`s3://bucket/plate.zarr/A/1/0`), which is only read.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hooke.embed.base import INPUT_SIDE, Raster
from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.files import Files, FolderFiles, RemoteFiles, ZipFiles, open_plain
from hooke.pixels.flat import read_flat
from hooke.pixels.limits import Limits
from hooke.pixels.ome_zarr import images_in, read_zarr
from hooke.pixels.parts import Parts, with_own_parts
from hooke.pixels.tiff import read_tiff

# how a file of each kind begins
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FLAT = (b"\x89PNG", b"\xff\xd8\xff")
ZIP = b"PK\x03\x04"
_SERIES = re.compile(r"(.+)#(\d{1,9})")
_LOCAL = "file://"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://.+")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What metadata can say of a raster; `dtype` is `uint8`, `uint16` or `float32`."""

    width: int
    height: int
    channels: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where an image is: a file or a folder, the path of a group in a zip, the number of a series."""

    path: Path
    group: str = ""
    series: int = 0


def image_facts(raster: Raster) -> ImageFacts:
    """Size, channels and type of a raster."""
    channels, height, width = raster.pixels.shape
    return ImageFacts(width=width, height=height, channels=channels, dtype=raster.pixels.dtype.name)


def is_address(path: str) -> bool:
    """Whether a path is one for fsspec."""
    return _ADDRESS.fullmatch(path) is not None


def locate(path: Path) -> Location | None:
    """Where the image of a path is; None where there is nothing. Links are followed, as for any file."""
    # os.path: pathlib raises for a name that is too long
    if os.path.exists(path):
        return Location(path)
    series = _SERIES.fullmatch(str(path))
    if series and os.path.isfile(series[1]):
        return Location(Path(series[1]), series=int(series[2]))
    archive = next((parent for parent in path.parents if os.path.isfile(parent)), None)
    return Location(archive, group=path.relative_to(archive).as_posix()) if archive else None


def read_raster(path: str | Path, limits: Limits, short_side: int = INPUT_SIDE, *, parts: Parts = 0) -> Raster:
    """The raster of an image. Raises TooLarge or UnreadableImage, naming the image; BadInput for a region outside.

    short_side: of an image with several resolutions, the coarsest is read whose short side has so many pixels. parts:
    the most tiles that come with it, or the region that does.
    """
    with _naming(path):
        if isinstance(path, str) and is_address(path) and not path.startswith(_LOCAL):
            return _read_remote(path, limits, short_side, parts)
        found = locate(_plain(path))
        if found is None:
            raise UnreadableImage("there is no such file")
        if found.path.is_dir():
            return read_zarr(FolderFiles(found.path), "", limits, short_side, parts=parts)
        with open_plain(found.path) as file:
            start = file.read(4)
            if found.series and not start.startswith(TIFF):
                raise UnreadableImage("only a TIFF has series; name the file alone")
            if start == ZIP:
                return read_zarr(ZipFiles(found.path), found.group, limits, short_side, parts=parts)
            return _read_file(file, limits, short_side, found.series, parts=parts)


def read_changed(
    path: str | Path, limits: Limits, known: int | None, short_side: int = INPUT_SIDE, *, parts: Parts = 0
) -> tuple[int, Raster] | None:
    """The digest and the raster of an image; None where the digest is the known one.

    The digest is that of the content of a PNG or JPEG, which need not be decoded to know it, and of the pixels looked
    at of an image that is read in part.
    """
    content = _flat_content(path, limits)
    digest = None if content is None else _digest(content)
    if digest is not None and digest == known:
        return None
    if content is not None:
        with _naming(path):
            raster = _read_file(BytesIO(content), limits, short_side, parts=parts)
    else:
        raster = read_raster(path, limits, short_side, parts=parts)
    if digest is None:
        frames = (raster.pixels, *raster.others, *(tile.pixels for tile in raster.tiles))
        boxes = [repr(tile.box).encode() for tile in raster.tiles]
        digest = _digest(*(part for frame in frames for part in _described(frame, raster.rgb)), *boxes)
    return None if digest == known else (digest, raster)


def read_raster_bytes(content: bytes, limits: Limits, short_side: int = INPUT_SIDE, *, parts: Parts = 0) -> Raster:
    """The raster of an image file's content: PNG, JPEG, TIFF in any flavour, or a zip of one OME-Zarr image.

    Raises TooLarge before decoding when its header exceeds `limits`; UnreadableImage when damaged or none of these.
    """
    limits.check_size(len(content))
    if content.startswith(ZIP):
        files = ZipFiles(content)
        return read_zarr(files, _only_image(files), limits, short_side, parts=parts)
    return _read_file(BytesIO(content), limits, short_side, parts=parts)


def _read_file(file: BinaryIO, limits: Limits, short_side: int, series: int = 0, *, parts: Parts) -> Raster:
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    if start.startswith(TIFF):
        return read_tiff(file, limits, short_side, series, parts=parts)
    limits.check_size(size)
    if start.startswith(FLAT):
        return with_own_parts(read_flat(file.read(), limits), short_side, parts)
    raise UnreadableImage(
        "the file is not a PNG, JPEG or TIFF image, nor a zip of an OME-Zarr; convert it to one of these"
    )


def _read_remote(url: str, limits: Limits, short_side: int, parts: Parts) -> Raster:
    files = RemoteFiles(url)
    if files.is_folder():
        return read_zarr(files, "", limits, short_side, parts=parts)
    with files.open() as file:
        if file.read(4) == ZIP:
            file.seek(0)
            return read_raster_bytes(file.read(limits.bytes + 1), limits, short_side, parts=parts)
        return _read_file(file, limits, short_side, parts=parts)


def _plain(path: str | Path) -> Path:
    return Path(str(path).removeprefix(_LOCAL))


def _only_image(files: Files) -> str:
    found = images_in(files)
    if len(found) > 1:
        raise UnreadableImage(f"the OME-Zarr holds {len(found)} images; send one, for instance {found[0].path}")
    return found[0].path


def _flat_content(path: str | Path, limits: Limits) -> bytes | None:
    """The content of a local PNG or JPEG; None for any other image."""
    with _naming(path):
        plain = _plain(path)
        if not os.path.isfile(plain):
            return None
        with plain.open("rb") as file:
            if not file.read(4).startswith(FLAT):
                return None
            limits.check_size(file.seek(0, 2))
            file.seek(0)
            return file.read()


def _described(frame: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", rgb: bool) -> tuple[bytes, bytes]:
    return repr((frame.shape, frame.dtype.str, rgb)).encode(), np.ascontiguousarray(frame).tobytes()


def _digest(*parts: bytes) -> int:
    digest = sha256()
    for part in parts:
        digest.update(part)
    return int.from_bytes(digest.digest()[:8], "big")


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise UnreadableImage(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    except (TooLarge, UnreadableImage) as exc:
        raise type(exc)(f"{path}: {exc}") from exc

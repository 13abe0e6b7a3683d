"""What lies at a path: its images, one by one, and what their headers say."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.files import Files, FolderFiles, ZipFiles, open_plain
from hooke.pixels.flat import read_flat_header
from hooke.pixels.ome_zarr import MARKS, Place, ZarrHeader, images_in, read_zarr_header
from hooke.pixels.read import FLAT, TIFF, ZIP, Location, locate
from hooke.pixels.tiff_header import TiffHeader, read_tiff_headers

_ALONE = Place("")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """One image at a path, before a pixel is read.

    suffix: what the image's own path has behind the path asked for, `/A/1/0` or `#2`. lengths: in pixels, by axis (x,
    y, z, c, t). channels, and pixel_size_um by axis: where they are known; an OME-TIFF's are left to who reads its
    OME-XML. place: where it is on a plate.
    """

    suffix: str = ""
    format: str = ""
    lengths: Mapping[str, int] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    pixel_size_um: Mapping[str, float] = field(default_factory=dict)
    place: Place = _ALONE
    labels: tuple[str, ...] = ()


def images_at(path: Path) -> tuple[ImageHeader, ...]:
    """The images at a path; none where it names a series that its file does not have.

    One whose header cannot be read is listed without what it says: reading it tells why.
    """
    found = locate(path)
    with suppress(OSError, TooLarge, UnreadableImage):
        if found is not None:
            return tuple(_headers(found))
    return (ImageHeader(),)


def zarr_documents(folder: Path) -> Iterator[Path]:
    """Where the metadata of a Zarr's groups is, whatever its version: its own, its wells' and its images'."""
    groups = [""]
    with suppress(OSError, TooLarge, UnreadableImage):
        for place in images_in(FolderFiles(folder)):
            groups += place.path.rpartition("/")[0], place.path
    for group in dict.fromkeys(groups):
        yield from (folder / group / mark for mark in MARKS)


def _headers(found: Location) -> Iterator[ImageHeader]:
    if found.path.is_dir():
        yield from _zarr_headers(FolderFiles(found.path), found.group)
        return
    with open_plain(found.path) as file:
        start = file.read(4)
        if found.series and not start.startswith(TIFF):
            return  # only a TIFF has series
        if start == ZIP:
            yield from _zarr_headers(ZipFiles(found.path), found.group)
        elif start.startswith(TIFF):
            yield from _tiff_headers(read_tiff_headers(file), found.series)
        elif start.startswith(FLAT):
            kind, width, height = read_flat_header(file)
            yield ImageHeader(format=kind, lengths={"x": width, "y": height})
        else:
            yield ImageHeader()


def _tiff_headers(headers: Sequence[TiffHeader], series: int) -> Iterator[ImageHeader]:
    for number, header in enumerate(headers):
        # the further series of a plain TIFF are its thumbnails, labels and masks
        if number == series or (series == 0 and header.format == "OME-TIFF"):
            suffix = "" if number == series else f"#{number}"
            yield ImageHeader(suffix, header.format, header.lengths, pixel_size_um=header.pixel_size_um)


def _zarr_headers(files: Files, group: str) -> Iterator[ImageHeader]:
    for place in (Place(group),) if group else images_in(files):
        suffix = f"/{place.path}" if place.path and not group else ""
        try:
            header = read_zarr_header(files, place.path)
        except (TooLarge, UnreadableImage):
            yield ImageHeader(suffix, place=place)
        else:
            yield _zarr_header(suffix, place, header)


def _zarr_header(suffix: str, place: Place, header: ZarrHeader) -> ImageHeader:
    image = header.image
    return ImageHeader(suffix, "OME-Zarr", header.lengths, image.channels, image.pixel_sizes_um, place, header.labels)

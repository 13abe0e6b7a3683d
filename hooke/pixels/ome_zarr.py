"""OME-Zarr 0.1 to 0.5 through the zarr library: the images in it, and the planes of one that are looked at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, product
from math import ceil, prod

import numpy as np
import numpy.typing as npt

from hooke.embed.base import INPUT_SIDE, Raster
from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import ngff
from hooke.pixels.arrays import ArrayHeader, read_header
from hooke.pixels.decoding import Array, decoder_errors, narrow
from hooke.pixels.files import CountedFiles, Files, read_json
from hooke.pixels.limits import Limits
from hooke.pixels.parts import Level, Parts, with_parts
from hooke.pixels.planes import coarsest_that_suffices, depths_of, frames_of, project
from hooke.views import Box

MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""The files that make a folder a Zarr."""
_MOST_CHUNKS = 2**16
_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Place:
    """One image of an OME-Zarr: the path of its group, empty for the root, and its place on a plate, if it has one."""

    path: str
    plate: str = ""
    row: str = ""
    column: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class ZarrHeader:
    """What an image's metadata says: its lengths by axis at the finest level, and the labels beside it."""

    image: ngff.Multiscale
    lengths: Mapping[str, int]
    labels: tuple[str, ...]


def images_in(files: Files) -> tuple[Place, ...]:
    """The images in an OME-Zarr, in its order: itself, a plate's fields, or a collection's series; never labels.

    Raises UnreadableImage where there are none.
    """
    with decoder_errors("OME-Zarr"):
        attributes = _attributes(files, "")
        found = tuple(_images_below(files, attributes))
        if not found:
            raise UnreadableImage("the Zarr holds no OME image: neither multiscales nor a plate")
        return found


def read_zarr_header(files: Files, path: str) -> ZarrHeader:
    """The header of the image at a path. Raises UnreadableImage for what is none."""
    with decoder_errors("OME-Zarr"):
        image = _image(files, path)
        finest = read_header(files, _join(path, image.levels[0].path))
        listed = _attributes(files, _join(path, _LABELS)).get("labels")
        labels = tuple(str(name) for name in listed) if isinstance(listed, list) else ()
        return ZarrHeader(image, dict(zip(image.axes, _lengths(image, finest), strict=True)), labels)


def read_zarr(files: Files, path: str, limits: Limits, short_side: int = INPUT_SIDE, *, parts: Parts = 0) -> Raster:
    """The raster of the image at a path, from its coarsest level whose short side suffices, and its parts.

    A missing chunk has the array's fill value, as Zarr says; an image that has none of its chunks is refused.
    Raises TooLarge from its metadata, UnreadableImage when damaged.
    """
    counted = CountedFiles(files, limits.bytes)
    with decoder_errors("OME-Zarr"):
        image = _image(counted, path)
        level, header = _level(counted, path, image, short_side)
        whole = _whole(image, header)
        _check(image, header, limits, whole)
        planes = _planes(counted, _join(path, level.path), image.axes, header, whole)
        raster = _raster(planes, image)
        if not parts:
            return raster
        finest = _whole(image, read_header(counted, _join(path, image.levels[0].path)))
        # what is read once more, of a finer level, may be as much again
        again = partial(_finer, CountedFiles(files, limits.bytes), path, image, limits)
        return with_parts(raster, (finest.width, finest.height), short_side, parts, again, image.pixel_sizes_um)


def _finer(files: Files, path: str, image: ngff.Multiscale, limits: Limits, short_side: int) -> Level:
    level, header = _level(files, path, image, short_side)
    whole = _whole(image, header)

    def read(box: Box) -> Array:
        _check(image, header, limits, box)
        frames = _planes(files, _join(path, level.path), image.axes, header, box, every_frame=False)
        return narrow(frames[0])

    return Level((whole.width, whole.height), read)


def _whole(image: ngff.Multiscale, header: ArrayHeader) -> Box:
    lengths = dict(zip(image.axes, _lengths(image, header), strict=True))
    return Box(0, 0, lengths["x"], lengths["y"])


def _planes(
    files: Files, path: str, axes: tuple[str, ...], header: ArrayHeader, box: Box, *, every_frame: bool = True
) -> list[Array]:
    """The planes looked at, in a box: an array (channels, height, width) for each frame, or for the first only."""
    # zarr takes as long to import as a plate to list
    from hooke.pixels.chunks import read_blocks

    lengths, chunks = dict(zip(axes, header.shape, strict=True)), dict(zip(axes, header.chunk, strict=True))
    frames, channels, depths = (
        frames_of(lengths.get("t", 1))[: None if every_frame else 1],
        range(lengths.get("c", 1)),
        depths_of(lengths.get("z", 1)),
    )
    groups = list(product(_together(sorted(frames), chunks.get("t", 1)), _together(channels, chunks.get("c", 1))))
    wanted = [_selection(axes, {"t": some, "c": others, "z": depths}, box) for some, others in groups]
    planes: dict[tuple[int, int], Array] = {}
    for (some_frames, some_channels), block in zip(groups, read_blocks(files, path, header, wanted), strict=True):
        stacks = _ordered(block, axes)
        for (t, frame), (c, channel) in product(enumerate(some_frames), enumerate(some_channels)):
            planes[frame, channel] = project(stacks[t, c], colour=False)
    return [np.stack([planes[frame, channel] for channel in channels]) for frame in frames]


def _raster(frames: list[Array], image: ngff.Multiscale) -> Raster:
    first, *others = (narrow(frame) for frame in frames)
    return Raster(first, rgb=image.is_colour and first.dtype == np.uint8, others=tuple(others))


def _image(files: Files, path: str) -> ngff.Multiscale:
    attributes = _attributes(files, path)
    image = ngff.multiscale(attributes)
    if image is None:
        kind = "labels" if "image-label" in attributes else "a plate" if "plate" in attributes else "no OME image"
        raise UnreadableImage(f"the Zarr at {path or '/'} is {kind}; name an image in it")
    return image


def _level(files: Files, path: str, image: ngff.Multiscale, short_side: int) -> tuple[ngff.Level, ArrayHeader]:
    """The level to read. Its transformations say which; its shape has the last word, as they are often left at 1."""
    finest = read_header(files, _join(path, image.levels[0].path))
    y, x = image.axes.index("y"), image.axes.index("x")
    lengths = _lengths(image, finest)
    scales = [(level.scale[y], level.scale[x]) for level in image.levels]
    sides = [min(lengths[y] * scales[0][0] / dy, lengths[x] * scales[0][1] / dx) for dy, dx in scales]
    # a level is rounded to whole pixels
    for position in coarsest_that_suffices([ceil(side - 1e-6) for side in sides], short_side):
        if position == 0:
            break
        header = read_header(files, _join(path, image.levels[position].path))
        shape = _lengths(image, header)
        if min(shape[y], shape[x]) >= short_side:
            return image.levels[position], header
    return image.levels[0], finest


def _lengths(image: ngff.Multiscale, header: ArrayHeader) -> tuple[int, ...]:
    if len(header.shape) != len(image.axes):
        raise UnreadableImage(f"an array of {len(header.shape)} dimensions for the axes {', '.join(image.axes)}")
    return header.shape


def _check(image: ngff.Multiscale, header: ArrayHeader, limits: Limits, box: Box) -> None:
    """Refuse a box that costs too much to read, before a chunk is read."""
    lengths = dict(zip(image.axes, _lengths(image, header), strict=True))
    if min(lengths.values(), default=0) < 1:
        raise UnreadableImage(f"the image has no pixels ({lengths})")
    taken = {"x": box.width, "y": box.height}
    taken |= {"t": len(frames_of(lengths.get("t", 1))), "z": len(depths_of(lengths.get("z", 1)))}
    channels = lengths.get("c", 1)
    limits.check_shape(box.width, box.height, channels=channels, planes=taken["t"] * taken["z"])
    if header.chunk_bytes > limits.bytes:
        raise TooLarge(
            f"chunks of {header.chunk} pixels have {header.chunk_bytes} bytes, the limit is {limits.bytes}; "
            "write smaller ones"
        )
    chunk = dict(zip(image.axes, header.chunk, strict=True))
    count = prod(ceil(taken[axis] / chunk[axis]) for axis in ("y", "x")) * channels * taken["t"] * taken["z"]
    if count > _MOST_CHUNKS:
        raise TooLarge(f"a plane in {count} chunks, the limit is {_MOST_CHUNKS}; write larger ones")


def _together(positions: "range | list[int]", chunk: int) -> list[list[int]]:
    """Positions along an axis in groups that share chunks, so that each chunk is read once."""
    return [list(group) for _, group in groupby(positions, key=lambda position: position // chunk)]


def _selection(
    axes: tuple[str, ...], wanted: Mapping[str, Sequence[int]], box: Box
) -> tuple[slice | npt.NDArray[np.int64], ...]:
    within = {"y": slice(box.y, box.bottom), "x": slice(box.x, box.right)}
    return tuple(within[axis] if axis in within else np.array(wanted.get(axis, (0,)), np.int64) for axis in axes)


def _ordered(pixels: Array, axes: tuple[str, ...]) -> Array:
    """Pixels as (t, c, z, y, x), whatever axes they came in; other axes have one position and are dropped."""
    kept = [axis for axis in axes if axis in "tczyx"]
    pixels = pixels.reshape([length for axis, length in zip(axes, pixels.shape, strict=True) if axis in kept])
    pixels = pixels.transpose([kept.index(axis) for axis in "tczyx" if axis in kept])
    return np.expand_dims(pixels, tuple(position for position, axis in enumerate("tcz") if axis not in kept))


def _images_below(files: Files, attributes: ngff.Attributes) -> Iterator[Place]:
    plate = ngff.plate(attributes)
    if plate is not None:
        for well in plate.wells:
            for field in _fields(files, well.path):
                yield Place(_join(well.path, field), plate.name, well.row, well.column, field)
        return
    if ngff.multiscale(attributes) is not None:
        yield Place("")
        return
    series = ngff.series(attributes)
    if series is not None:
        named = series or ngff.series(_attributes(files, "OME")) or _groups(files, "")
        yield from (Place(path) for path in named if path != "OME")


def _fields(files: Files, well: str) -> tuple[str, ...]:
    """The fields of a well, or, where it names none, the images in its folder: some writers leave its metadata out.

    A well that cannot be read is one field, that reading it may tell why.
    """
    try:
        with decoder_errors("well"):
            named = ngff.well_images(_attributes(files, well))
            found = _groups(files, well) if not named else ()
            return named or tuple(name for name in found if ngff.multiscale(_attributes(files, _join(well, name))))
    except (TooLarge, UnreadableImage):
        return ("",)


def _groups(files: Files, path: str) -> tuple[str, ...]:
    names = [name for name in files.children(path) if not name.startswith(".") and name not in MARKS]
    return tuple(sorted(names, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name)))


def _attributes(files: Files, path: str) -> ngff.Attributes:
    """The OME attributes of a group; none where there is no group."""
    node = read_json(files, _join(path, "zarr.json"))
    found = node.get("attributes") if isinstance(node, Mapping) else read_json(files, _join(path, ".zattrs"))
    return ngff.ome(found) if isinstance(found, Mapping) else {}


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path and name else path or name

"""OME-NGFF metadata, 0.1 to 0.5, narrowed to what Hooke uses: axes, levels, channels, wells and series.

Attributes are those of a Zarr group: in 0.5 they are under `ome`. Real files bend the specification (a dataset's path
that is a number, a well without metadata), so that only what is needed is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from hooke.errors import UnreadableImage

_AXES_BEFORE_0_3 = ("t", "c", "z", "y", "x")
_COLOURS = ("FF0000", "00FF00", "0000FF")
# the space units that 0.4 lists, those that microscopes use
_UM = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25_400.0,
}
_SPELLINGS = {"um": "micrometer", "µm": "micrometer", "μm": "micrometer", "micron": "micrometer", "nm": "nanometer"}
_SPELLINGS |= {"mm": "millimeter", "m": "meter"}
Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution: the path of its array, and the size of its pixels along each axis, in the axes' units."""

    path: str
    scale: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Multiscale:
    """An image at several resolutions, the finest first. `units` are of the axes; `colours` of the channels."""

    version: str
    axes: tuple[str, ...]
    units: tuple[str, ...]
    levels: tuple[Level, ...]
    channels: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()

    @property
    def is_colour(self) -> bool:
        """Whether its channels are the red, green and blue of a picture, as converters write them."""
        return self.colours == _COLOURS

    @property
    def pixel_sizes_um(self) -> dict[str, float]:
        """The size of a pixel of the finest level in µm by axis (x, y, z); of those axes for which it is said."""
        units = [_UM.get(_SPELLINGS.get(unit, unit), 0) for unit in (each.strip().lower() for each in self.units)]
        sizes = zip(self.axes, self.levels[0].scale, units, strict=True)
        return {axis: scale * unit for axis, scale, unit in sizes if axis in ("x", "y", "z") and scale * unit > 0}


@dataclass(frozen=True, slots=True)
class Well:
    """A well of a plate: the path of its group, and the names of its row and column."""

    path: str
    row: str
    column: str


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate: its name, empty where it has none, and its wells in the file's order."""

    name: str
    wells: tuple[Well, ...]


def ome(attributes: Attributes) -> Attributes:
    """The OME part of a group's attributes."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def multiscale(attributes: Attributes) -> Multiscale | None:
    """The first multiscale image of a group; None for a group that is no image.

    Raises UnreadableImage where it has no levels, or not one scale an axis.
    """
    described = _records(attributes.get("multiscales"))
    if not described or "image-label" in attributes:
        return None
    first = described[0]
    axes = _records(first.get("axes"), name="name") or [{"name": name} for name in _AXES_BEFORE_0_3]
    names = tuple(str(axis.get("name", "")).lower() for axis in axes)
    if not {"y", "x"} <= set(names) or len(set(names)) < len(names):
        raise UnreadableImage(f"axes {', '.join(names)!r}: one must be y and one x, and none is there twice")
    overall = _scale(first, len(names))
    levels = [
        Level(_path(dataset), tuple(own * all_ for own, all_ in zip(_scale(dataset, len(names)), overall, strict=True)))
        for dataset in _records(first.get("datasets"))
    ]
    if not levels:
        raise UnreadableImage("the OME-Zarr names no resolution levels")
    y, x = names.index("y"), names.index("x")
    levels.sort(key=lambda level: level.scale[y] * level.scale[x])
    omero = attributes.get("omero")
    channels = _records(omero.get("channels")) if isinstance(omero, Mapping) else []
    return Multiscale(
        str(attributes.get("version") or first.get("version") or ""),
        names,
        # without a scale a unit says nothing of a pixel
        tuple(str(axis.get("unit", "")) if _is_scaled(first) else "" for axis in axes),
        tuple(levels),
        tuple(str(channel.get("label", "")) for channel in channels),
        tuple(str(channel.get("color", "")).upper() for channel in channels),
    )


def plate(attributes: Attributes) -> Plate | None:
    """The plate that a group is; None for a group that is none. A well whose path is unusable is left out."""
    described = attributes.get("plate")
    if not isinstance(described, Mapping):
        return None
    rows, columns = (_records(described.get(key), name="name") for key in ("rows", "columns"))
    wells = []
    for each in _records(described.get("wells")):
        path = str(each.get("path", "")).strip("/")
        parts = path.split("/")
        if len(parts) == 2:
            row = _named(rows, each.get("rowIndex")) or parts[0]
            column = _named(columns, each.get("columnIndex")) or parts[1]
            wells.append(Well(path, row, column))
    return Plate(str(described.get("name", "")), tuple(wells))


def well_images(attributes: Attributes) -> tuple[str, ...]:
    """The paths of a well's fields, relative to the well; none where it does not say."""
    described = attributes.get("well")
    images = _records(described.get("images")) if isinstance(described, Mapping) else []
    return tuple(path for image in images if (path := _path(image)))


def series(attributes: Attributes) -> tuple[str, ...] | None:
    """The paths of a collection's images, `()` where it has some but names none; None for no collection."""
    if attributes.get("bioformats2raw.layout") is None and "series" not in attributes:
        return None
    listed = attributes.get("series")
    return tuple(str(each) for each in listed) if isinstance(listed, list) else ()


def _scale(record: Attributes, axes: int) -> tuple[float, ...]:
    """The product of the scales that are written in place; those in arrays of their own are left out."""
    total = [1.0] * axes
    for transformation in _records(record.get("coordinateTransformations")):
        if transformation.get("type") != "scale" or not isinstance(values := transformation.get("scale"), list):
            continue
        if len(values) != axes or not all(_is_size(value) for value in values):
            raise UnreadableImage(f"a scale of {str(values)[:60]} for {axes} axes; write one positive number an axis")
        total = [before * float(value) for before, value in zip(total, values, strict=True)]
    return tuple(total)


def _is_scaled(multiscale: Attributes) -> bool:
    """Whether the image, or a level of it, has a scale."""
    records = (multiscale, *_records(multiscale.get("datasets")))
    found = [each for record in records for each in _records(record.get("coordinateTransformations"))]
    return any(each.get("type") == "scale" and isinstance(each.get("scale"), list) for each in found)


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0


def _path(record: Attributes) -> str:
    return str(record.get("path", "")).strip("/")


def _records(value: object, name: str = "") -> list[Attributes]:
    """The objects in a list; a text in it is one of its name, as axes were in 0.3."""
    if not isinstance(value, list):
        return []
    named = [{name: each} if name and isinstance(each, str) else each for each in value]
    return [each for each in named if isinstance(each, Mapping)]


def _named(names: Sequence[Attributes], position: object) -> str:
    if not isinstance(position, int) or not 0 <= position < len(names):
        return ""
    return str(names[position].get("name", ""))

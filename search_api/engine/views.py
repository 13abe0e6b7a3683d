"""Which views of the examples are searched with, and which views of a hit they are most like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hooke.embed.base import Raster, Rows, Views
from hooke.errors import BadInput, TooLarge, UnreadableImage
from hooke.model import Level, Record
from hooke.request import ViewOptions
from hooke.results import Place, QueryReport, ViewPair
from hooke.store.base import MetadataReader
from hooke.text import MAX_DIGITS, whole_number
from hooke.vectors.base import Vectors
from hooke.views import Box, Kind
from search_api.engine.similarity import Visuals

NO_TILES = (
    "this index has no tiles: index into a new directory with `hooke index --tiles 8`, or compare whole images "
    "(leave views out)"
)


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples in one snapshot, and which of their views are asked for.

    rasters: of uploads, with the parts that `Engine.parts` asks for.
    """

    reader: MetadataReader
    visuals: Visuals
    options: ViewOptions
    rasters: tuple[Raster, ...]
    records: tuple[Record, ...]

    @cached_property
    def kind(self) -> Kind:
        """What of the indexed images is compared. Raises BadInput for tiles where there are none."""
        tiles = self.visuals.tiles(self.reader.snapshot)
        if self.options.kind is Kind.TILE and not tiles:
            raise BadInput(NO_TILES)
        if self.options.kind is not None:
            return self.options.kind
        if self.options.channel:
            return Kind.CHANNEL
        return Kind.TILE if self.options.region and tiles else Kind.WHOLE

    def rows(self) -> list[Vectors]:
        """The rows to search with, by example. Raises BadInput for a channel, a region or pixels that are not there."""
        if self.options.region and len(self.rasters) + len(self.records) != 1:
            raise BadInput("region: it is of one example; give one image file or one id")
        return [rows.vectors for _, rows in self._asked]

    def unlike(self, records: Sequence[Record]) -> list[Vectors]:
        """The rows not to be like, by example, of the kind that is searched."""
        return [self._of_channel(record.id, self._stored(record, self.kind), record).vectors for record in records]

    def noticed(self, report: QueryReport) -> QueryReport:
        """The report, which then says what was searched with in place of what was asked for."""
        notice = self._region_of[1] if self._region_of else None
        return replace(report, notices=(*report.notices, notice)) if notice else report

    def pairs(self, ordinal: int) -> tuple[ViewPair, ...]:
        """For each kind that tells more than the whole: the example's and the image's views that are most alike."""
        found = ((kind, examples, self._rows_of(ordinal, kind)) for kind, examples in self._explaining.items())
        return tuple(_most_alike(kind, examples, rows) for kind, examples, rows in found if len(rows.vectors))

    @cached_property
    def _asked(self) -> list[tuple[str, Rows]]:
        """The rows of each example that are searched with, by its name."""
        if self.options.region:
            return [(self._names[0], self._region_rows())]
        return self._rows_of_kind(self.kind)

    @cached_property
    def _explaining(self) -> Mapping[Kind, list[tuple[str, Rows]]]:
        if self.options.region or self.options.channel:
            return {self.kind: self._asked}
        tiled = [Kind.TILE] if self.visuals.tiles(self.reader.snapshot) else []
        return {kind: self._rows_of_kind(kind) for kind in (Kind.CHANNEL, *tiled)}

    def _rows_of_kind(self, kind: Kind) -> list[tuple[str, Rows]]:
        uploads = [views[kind] for views in self._embedded]
        stored = [self._stored(record, kind) for record in self.records]
        records = (*(None for _ in uploads), *self.records)
        return [
            (name, self._of_channel(name, rows, record))
            for name, rows, record in zip(self._names, [*uploads, *stored], records, strict=True)
        ]

    @cached_property
    def _names(self) -> list[str]:
        return [f"upload {number}" for number in range(1, len(self.rasters) + 1)] + [each.id for each in self.records]

    @cached_property
    def _embedded(self) -> list[Views]:
        return self.visuals.embed(self.rasters, self.reader.snapshot) if self.rasters else []

    def _region_rows(self) -> Rows:
        if self.rasters:
            return self._embedded[0][Kind.TILE]
        assert self._region_of is not None
        return self._region_of[0]

    @cached_property
    def _region_of(self) -> tuple[Rows, str | None] | None:
        """The rows of a region of an indexed image, and what stands in for it where its pixels are not at hand."""
        if self.options.region is None or not self.records:
            return None
        record = self.records[0]
        try:
            return self._read_region(record, self.options.region), None
        except (UnreadableImage, TooLarge) as exc:
            if not self.visuals.tiles(self.reader.snapshot):
                raise BadInput(
                    f"region of {record.id!r}: its pixels cannot be read ({exc}), and this index has no tiles: "
                    "send the image as a file"
                ) from exc
        stored = self._stored(record, Kind.TILE)
        number = nearest_tile(stored, _inside(self.options.region, record, stored))
        said = ",".join(map(str, stored.places[number]))
        notice = f"the pixels of {record.id!r} are not at hand: its tile {said} stands for the region"
        return Rows(stored.vectors[[number]], stored.places[[number]]), notice

    def _read_region(self, record: Record, region: Box) -> Rows:
        from hooke.pixels import Limits, is_address, read_raster

        path = record.pixels.path if record.pixels else ""
        # a server opens no address; what is not there can be in the index all the same
        if not path or (is_address(path) and not path.startswith("file://")):
            raise UnreadableImage(f"{path or 'no file'}: it is not on this machine")
        side = self.visuals.input_side(self.reader.snapshot)
        raster = read_raster(path, Limits(), side, parts=region)
        (views,) = self.visuals.embed((raster,), self.reader.snapshot)
        return views[Kind.TILE]

    def _of_channel(self, name: str, rows: Rows, record: Record | None) -> Rows:
        """Of an image's channel rows that of the channel asked for; all rows where none is."""
        if not self.options.channel:
            return rows
        number = channel_number(self.options.channel, name, record)
        here = rows.places[:, 0] == number
        if not here.any():
            there = ", ".join(map(str, rows.places[:, 0]))
            raise BadInput(f"channel {self.options.channel}: {name!r} has the channels {there} with anything to see")
        return Rows(rows.vectors[here], rows.places[here])

    def _stored(self, record: Record, kind: Kind) -> Rows:
        rows = self._rows_of(record.ordinal, kind)
        if not len(rows.vectors):
            raise BadInput(f"image {record.id!r} has no vector: its pixels are not in this index")
        return rows

    def _rows_of(self, ordinal: int, kind: Kind) -> Rows:
        vectors = self.visuals.vectors(self.reader.snapshot, kind)
        return Rows(vectors.vectors_of(ordinal), vectors.places_of(ordinal))


def see(
    reader: MetadataReader, visuals: Visuals, options: ViewOptions, rasters: tuple[Raster, ...], images: Sequence[str]
) -> Examples:
    """The examples of a request. Raises UnknownRecord; BadInput where there are none."""
    if not rasters and not images:
        raise BadInput("similarity needs an example: an image file, or the id of an indexed image")
    return Examples(reader, visuals, options, rasters, tuple(reader.get(Level.IMAGE, image) for image in images))


def channel_number(asked: str, image: str, record: Record | None) -> int:
    """The number of a channel, given by number or by its name in an image's record."""
    number = whole_number(asked)
    if number is not None:
        return number
    if asked.isdecimal():
        raise BadInput(f"channel: its number has at most {MAX_DIGITS} digits, the first is 0; not {asked!r}")
    if record is None:
        raise BadInput(f"channel {asked!r}: the channels of a file are told by number, the first is 0")
    names = [value.text for value in record.values if value.field == "channels"]
    count = _size(record, "c")
    # of channels of one name the record keeps one, of channels without a name none: a place is then no number
    if names and len(names) != count:
        known = f"names {len(names)} of its {count} channels" if count else "does not say how many channels it has"
        raise BadInput(f"channel {asked!r}: the record of {image!r} {known}; give its number, the first is 0")
    places = [number for number, name in enumerate(names) if name.casefold() == asked.casefold()]
    if len(places) != 1:
        known = f"has the channels {', '.join(names)}" if names else "does not name its channels"
        raise BadInput(f"channel {asked!r}: {image!r} {known}; give its number, the first is 0")
    return places[0]


def _size(record: Record, axis: str) -> int | None:
    """The length of an axis by an image's record, or None where it does not say one."""
    said = {value.text for value in record.values if value.field == f"size_{axis}"}
    return whole_number(said.pop()) if len(said) == 1 else None


def _inside(region: Box, record: Record, tiles: Rows) -> Box:
    """The region. Raises BadInput where it is outside an image of which only the record and the tiles are at hand."""
    from hooke.pixels.parts import inside

    # a record's size is that of the file as it lies; tiles are upright, as the region is
    reach = (tiles.places[:, :2] + tiles.places[:, 2:]).max(axis=0)
    return inside(region, (max(_size(record, "x") or 0, int(reach[0])), max(_size(record, "y") or 0, int(reach[1]))))


def nearest_tile(rows: Rows, region: Box) -> int:
    """The number of the tile that shares most with a region, or whose middle is nearest to its middle."""

    def distance(number: int) -> tuple[int, int]:
        tile = Box(*map(int, rows.places[number]))
        across, down = tile.x + tile.right - region.x - region.right, tile.y + tile.bottom - region.y - region.bottom
        return -tile.overlap(region), across**2 + down**2

    return min(range(len(rows.places)), key=distance)


def _most_alike(kind: Kind, examples: Sequence[tuple[str, Rows]], rows: Rows) -> ViewPair:
    return max(_pairs(kind, examples, rows), key=lambda pair: pair.similarity)


def _pairs(kind: Kind, examples: Sequence[tuple[str, Rows]], rows: Rows) -> Iterator[ViewPair]:
    """The best pair of each example with an image, the first of equals."""
    for name, mine in examples:
        alike = mine.vectors.astype(np.float64) @ rows.vectors.astype(np.float64).T
        row, column = np.unravel_index(int(alike.argmax()), alike.shape)
        places = _place(mine.places[row]), _place(rows.places[column])
        yield ViewPair(kind, min(1.0, float(alike[row, column])), name, *places)


def _place(numbers: "np.ndarray[tuple[int, ...], np.dtype[np.uint32]]") -> Place:
    match [int(number) for number in numbers]:
        case [channel]:
            return Place(channel=channel)
        case [x, y, width, height]:
            return Place(box=Box(x, y, width, height))
        case _:
            return Place()

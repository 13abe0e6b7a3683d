"""One segment as a search sees it: which image each row belongs to, and the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.vectors.base import Digests, Ordinals, Places, Vectors
from hooke.vectors.codes import Codes
from hooke.vectors.planner import Positions, Scores

_ROWS_READ_AHEAD = 64  # about what a system reads of a file around what is asked for, often 128 kB


@dataclass(frozen=True)
class Columns:
    """Which image each of a segment's rows belongs to, sorted by ordinal: ordinals and digests (rows,).

    places: where in its image each row is (rows, kind.place_width).
    """

    ordinals: Ordinals
    digests: npt.NDArray[np.uint64]
    places: Places

    @cached_property
    def starts(self) -> Positions:
        """The first row of each image, and one past the last row."""
        first = np.flatnonzero(np.diff(self.ordinals.astype(np.int64), prepend=-1))
        return np.append(first, len(self.ordinals))

    @cached_property
    def images(self) -> Ordinals:
        """The ordinal of each image."""
        return self.ordinals[self.starts[:-1]]

    @cached_property
    def bitmap(self) -> BitMap:
        """The images as a set."""
        return BitMap(self.images)

    @property
    def is_single(self) -> bool:
        """Whether every image has one row."""
        return len(self.images) == len(self.ordinals)

    def rows_at(self, ordinal: int) -> slice | None:
        """The rows of an image by its ordinal; None where it has none here."""
        begin, end = np.searchsorted(self.ordinals, [ordinal, ordinal + 1])
        return slice(int(begin), int(end)) if end > begin else None

    def positions(self, wanted: BitMap) -> Positions:
        """Where images that the segment has stand in `images`."""
        ordinals = np.frombuffer(wanted.to_array(), dtype=np.uint32)
        if len(ordinals) == len(self.images):
            return np.arange(len(ordinals))
        if int(self.images[-1]) - int(self.images[0]) + 1 == len(self.images):
            return ordinals.astype(np.int64) - int(self.images[0])
        return np.searchsorted(self.images, ordinals)

    def rows_of(self, images: Positions) -> tuple[Positions, Positions]:
        """The rows of images by position, one image after another, and where each image's begin among them."""
        if self.is_single:
            return images, np.arange(len(images))
        counts = self.starts[images + 1] - self.starts[images]
        begins = np.cumsum(counts) - counts
        return np.repeat(self.starts[images] - begins, counts) + np.arange(counts.sum()), begins

    def images_at(self, rows: Positions) -> Positions:
        """The position of the image of each row."""
        return rows if self.is_single else np.searchsorted(self.starts, rows, side="right") - 1

    def row_count(self, images: Positions | None) -> int:
        """How many rows images have by position (None: all)."""
        if images is None:
            return len(self.ordinals)
        return len(images) if self.is_single else int((self.starts[images + 1] - self.starts[images]).sum())


@dataclass(frozen=True)
class Segment(Columns):
    """One segment's arrays, memory-mapped: rows (rows, dim) beside what each belongs to; how to get their codes.

    scattered: the rows mapped once more, for reading a few of many; None where that is not worth a map.
    """

    rows: Vectors
    make_codes: Callable[[], Codes] | None = None
    scattered: Vectors | None = None

    def rows_for(self, count: int) -> Vectors:
        """The rows, as they are best mapped for reading so many of them here and there."""
        few = self.scattered is not None and count * _ROWS_READ_AHEAD < len(self.rows)
        return self.scattered if few and self.scattered is not None else self.rows


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of a segment's images, positions [first, last), and those wanted of them (None: all)."""

    segment: Segment
    first: int
    last: int
    images: Positions | None

    @property
    def rows(self) -> slice:
        """The stretch's rows."""
        return slice(int(self.segment.starts[self.first]), int(self.segment.starts[self.last]))

    def wants(self, images: Positions) -> npt.NDArray[np.bool_]:
        """Which of the images of the stretch are wanted."""
        if self.images is None:
            return np.ones(len(images), dtype=bool)
        places = np.minimum(np.searchsorted(self.images, images), len(self.images) - 1)
        wanted: npt.NDArray[np.bool_] = self.images[places] == images
        return wanted

    def image_scores(self, scores: Scores) -> Scores:
        """The best score of each wanted image, of the scores of all rows of the stretch."""
        begin = self.rows.start
        if self.images is None:
            begins = self.segment.starts[self.first : self.last] - begin
        else:
            rows, begins = self.segment.rows_of(self.images)
            scores = scores[rows - begin]
        return scores if self.segment.is_single else np.maximum.reduceat(scores, begins)

    def image(self, numbers: Positions) -> Positions:
        """Positions in the segment of wanted images, by their number among them."""
        return numbers + self.first if self.images is None else self.images[numbers]

    def cut(self, edges: Sequence[int]) -> "list[Shard]":
        """The shards between edges, which are positions in the segment, the first and the last included."""
        pieces = pairwise(edges)
        if self.images is None:
            return [Shard(self.segment, begin, end, None) for begin, end in pieces]
        places = np.searchsorted(self.images, edges)
        return [
            Shard(self.segment, begin, end, self.images[places[number] : places[number + 1]])
            for number, (begin, end) in enumerate(pieces)
            if places[number] < places[number + 1]
        ]


def whole_shard(segment: Segment) -> Shard:
    """All of a segment."""
    return Shard(segment, 0, len(segment.images), None)


def shard_of(segment: Segment, images: Positions) -> Shard:
    """The stretch from the first to the last of some images, which are not none."""
    first, last = int(images[0]), int(images[-1]) + 1
    return Shard(segment, first, last, None if last - first == len(images) else images)


def live_images(segments: Sequence[Columns]) -> tuple[BitMap, ...]:
    """The images of each segment, oldest first, that no later segment replaces."""
    live: list[BitMap] = []
    later = BitMap()
    for segment in reversed(segments):
        live.append(segment.bitmap - later)
        later |= segment.bitmap
    return tuple(reversed(live))


def joined(parts: Sequence[tuple[Vectors, Ordinals]]) -> tuple[Vectors, Ordinals]:
    """Rows of several segments, each with its image, as one by ordinal."""
    rows, ordinals = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(ordinals, kind="stable")
    return rows[order], ordinals[order]


def latest_digests(segments: Sequence[Columns]) -> Digests:
    """The digest of every image by ordinal, as the last of the segments that has it says."""
    newest_first = [segment for segment in reversed(segments) if len(segment.images)]
    if not newest_first:
        return Digests(np.empty(0, np.uint32), np.empty(0, np.uint64))
    # of equal values `unique` keeps the first
    ordinals, places = np.unique(np.concatenate([each.images for each in newest_first]), return_index=True)
    return Digests(ordinals, np.concatenate([each.digests[each.starts[:-1]] for each in newest_first])[places])

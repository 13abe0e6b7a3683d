"""Many small segments made one, without the rows of images that are replaced or gone."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.vectors.base import Block, of_kind
from hooke.vectors.columns import Segment, live_images
from hooke.vectors.planner import Positions
from hooke.vectors.segments import SegmentStore
from hooke.views import Kind

SMALL_ROWS = 262_144
"""A segment of fewer rows is merged with others; a search of a thousand small ones takes twice that of a few."""
DEAD_SHARE = 0.2
"""A segment is written anew when more of its rows than this are of no use."""
_CHUNK_IMAGES = 8_192


Choose = Callable[[Sequence[Segment], Sequence[BitMap]], list[bool]]
"""Which segments to merge, of which images are of use."""


@dataclass(frozen=True, slots=True)
class _Images:
    """Images in the order of their ordinals: the number of the segment that each is in, and its position there."""

    segments: npt.NDArray[np.int64]
    positions: Positions


FEW = 8
"""Small segments of a kind that `tidy` leaves alone."""


def tidy(store: SegmentStore, names: Sequence[str], keep: BitMap) -> tuple[str, ...]:
    """As `compact`, of what repays itself soon: a row is merged into a segment at least twice as large each time.

    Segments that trained lists name are left alone: merged, they would be searched exactly again.
    """
    return compact(store, names, keep, _due, store.trained_segments())


def compact(
    store: SegmentStore,
    names: Sequence[str],
    keep: BitMap,
    choose: Choose | None = None,
    fixed: Container[str] = (),
) -> tuple[str, ...]:
    """Names of segments, oldest first, with the same rows of the images to keep; the same names if that gains nothing.

    Segments of one kind are merged with each other; the kinds follow one another. fixed: those that stay as they are.
    What is merged is read whole and checked first. Raises CorruptIndex, NoSpace. The former segments stay where they
    are: whoever has them open goes on reading them.
    """
    choose = choose or _worth_merging
    compacted = [name for kind in Kind for name in _compact_kind(store, of_kind(names, kind), keep, choose, fixed)]
    return tuple(names) if set(compacted) == set(names) else tuple(compacted)


def _compact_kind(
    store: SegmentStore, names: Sequence[str], keep: BitMap, choose: Choose, fixed: Container[str]
) -> tuple[str, ...]:
    segments = store.open(names)
    useful = [live & keep for live in live_images(segments)]
    free = [name not in fixed for name in names]
    due = iter(choose(list(compress(segments, free)), list(compress(useful, free))))
    merged = [is_free and next(due) for is_free in free]
    if not any(merged):
        return tuple(names)
    store.verify(list(compress(names, merged)))
    images = _in_order(
        [wanted if chosen else BitMap() for wanted, chosen in zip(useful, merged, strict=True)], segments
    )
    rest = tuple(name for name, chosen in zip(names, merged, strict=True) if not chosen)
    # last: an image that a remaining segment holds too was replaced by one of those merged
    return (
        (*rest, store.append_sorted(_blocks(images, segments), Kind(names[0].partition("-")[0])))
        if len(images.positions)
        else rest
    )


def _dead(segments: Sequence[Segment], useful: Sequence[BitMap]) -> list[float]:
    """The share of each segment's rows that are of no use."""
    return [
        1 - each.row_count(each.positions(live)) / len(each.rows) for each, live in zip(segments, useful, strict=True)
    ]


def _due(segments: Sequence[Segment], useful: Sequence[BitMap]) -> list[bool]:
    """Of more than a few small segments the smallest, the last of them no larger than the others together; and large
    ones of which much is of no use.
    """
    rows = [len(each.rows) for each in segments]
    small = sorted((number for number, count in enumerate(rows) if count < SMALL_ROWS), key=rows.__getitem__)
    merged: list[int] = []
    for count in range(FEW + 1, len(small) + 1):
        if rows[small[count - 1]] <= sum(rows[number] for number in small[: count - 1]):
            merged = small[:count]
    dead = _dead(segments, useful)
    return [
        number in merged or (count >= SMALL_ROWS and dead[number] > DEAD_SHARE) for number, count in enumerate(rows)
    ]


def _worth_merging(segments: Sequence[Segment], useful: Sequence[BitMap]) -> list[bool]:
    dead = _dead(segments, useful)
    chosen = [len(each.rows) < SMALL_ROWS or share > DEAD_SHARE for each, share in zip(segments, dead, strict=True)]
    gains = sum(chosen) > 1 or any(compress(dead, chosen))
    return chosen if gains else [False] * len(chosen)


def _in_order(useful: Sequence[BitMap], segments: Sequence[Segment]) -> _Images:
    numbers = np.repeat(np.arange(len(useful)), [len(each) for each in useful])
    ordinals = np.concatenate([np.frombuffer(each.to_array(), dtype=np.uint32) for each in useful])
    positions = [segment.positions(wanted) for segment, wanted in zip(segments, useful, strict=True)]
    order = np.argsort(ordinals)
    return _Images(numbers[order], np.concatenate(positions)[order])


def _blocks(images: _Images, segments: Sequence[Segment]) -> Iterator[Block]:
    for start in range(0, len(images.positions), _CHUNK_IMAGES):
        chunk = slice(start, start + _CHUNK_IMAGES)
        yield _block(_Images(images.segments[chunk], images.positions[chunk]), segments)


def _block(images: _Images, segments: Sequence[Segment]) -> Block:
    """The images' rows, copied from their segments: an image's rows stay together and in order."""
    here = np.unique(images.segments)
    counts = np.empty(len(images.positions), dtype=np.int64)
    for number in here:
        its = images.segments == number
        starts = segments[number].starts
        counts[its] = starts[images.positions[its] + 1] - starts[images.positions[its]]
    begins = np.cumsum(counts) - counts
    total = int(counts.sum())
    places = np.empty((total, segments[0].places.shape[1]), dtype=np.uint32)
    block = Block(
        np.empty((total, segments[0].rows.shape[1]), dtype=np.float32),
        np.empty(total, dtype=np.uint32),
        np.empty(total, dtype=np.uint64),
        places=places,
    )
    for number in here:
        its = images.segments == number
        rows, row_begins = segments[number].rows_of(images.positions[its])
        to = np.repeat(begins[its] - row_begins, counts[its]) + np.arange(len(rows))
        block.vectors[to] = segments[number].rows[rows]
        block.ordinals[to] = segments[number].ordinals[rows]
        block.digests[to] = segments[number].digests[rows]
        places[to] = segments[number].places[rows]
    return block

"""The vectors of one snapshot over its segments: which rows are live, and the search over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.errors import BadInput, ZeroVector
from hooke.vectors import planner
from hooke.vectors.base import Block, Neighbour, Neighbours, Ordinals, Vectors
from hooke.vectors.planner import Positions, Scores, Similarities


@dataclass(frozen=True)
class Columns:
    """Which image each of a segment's rows belongs to, sorted by ordinal: ordinals and digests (rows,)."""

    ordinals: Ordinals
    digests: npt.NDArray[np.uint64]

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
        if len(self.images) == len(self.ordinals):
            return images, np.arange(len(images))
        counts = self.starts[images + 1] - self.starts[images]
        begins = np.cumsum(counts) - counts
        return np.repeat(self.starts[images] - begins, counts) + np.arange(counts.sum()), begins


@dataclass(frozen=True)
class Segment(Columns):
    """One segment's arrays, memory-mapped: rows (rows, dim) beside what each belongs to."""

    rows: Vectors


@dataclass(frozen=True, slots=True)
class _Scored:
    """Candidate images of one segment with their float32 scores."""

    segment: Segment
    images: Positions
    scores: Scores
    method: str


class SegmentReader:
    """A VectorReader over segments, oldest first. What it derives from them is computed at the first search."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = tuple(segments)

    @property
    def dim(self) -> int:
        """Length of a row; 0 when there is none."""
        return int(self._segments[0].rows.shape[1]) if self._segments else 0

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        return BitMap.union(BitMap(), *self._live)

    def digests(self) -> dict[int, int]:
        """The content digest of every image that has a vector, by ordinal."""
        return latest_digests(self._segments)

    def vectors_of(self, ordinal: int) -> Vectors:
        """The rows of one image, a copy; shape (0, dim) when it has none."""
        for segment in reversed(self._segments):
            begin, end = np.searchsorted(segment.ordinals, [ordinal, ordinal + 1])
            if end > begin:
                return np.array(segment.rows[begin:end])
        return np.empty((0, self.dim), dtype=np.float32)

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None) -> Neighbours:
        """The k images nearest to any of the query rows, among the allowed ones (None: all).

        method: `scan` when any segment was read whole, else `gather`.
        """
        queries = checked_queries(queries, k, self.dim)
        scored = [
            _score(segment, live if allowed is None else live & allowed, queries)
            for segment, live in zip(self._segments, self._live, strict=True)
        ]
        candidates = sum(len(part.images) for part in scored)
        ordinals, similarities = self._rescored(scored, queries, k)
        order = np.lexsort((ordinals, -similarities))[:k]
        hits = tuple(
            Neighbour(int(ordinals[position]), float(np.clip(similarities[position], -1, 1))) for position in order
        )
        method = planner.SCAN if any(part.method == planner.SCAN for part in scored) else planner.GATHER
        return Neighbours(hits, exact=True, method=method, candidates=candidates)

    @cached_property
    def _live(self) -> tuple[BitMap, ...]:
        """The images of each segment that no later segment replaces."""
        return live_images(self._segments)

    def _rescored(self, scored: Sequence[_Scored], queries: Vectors, k: int) -> tuple[Ordinals, Similarities]:
        """Ordinals and float64 similarities of all images that may be among the k nearest."""
        ordinals, similarities = [np.empty(0, dtype=np.uint32)], [np.empty(0)]
        scores = np.concatenate([part.scores for part in scored]) if scored else np.empty(0, dtype=np.float32)
        chosen = planner.finalists(scores, k, self.dim)
        begin = 0
        for part in scored:
            end = begin + len(part.scores)
            images = part.images[chosen[(chosen >= begin) & (chosen < end)] - begin]
            begin = end
            if len(images):
                rows, begins = part.segment.rows_of(images)
                ordinals.append(part.segment.images[images])
                similarities.append(np.maximum.reduceat(planner.rescore(part.segment.rows, queries, rows), begins))
        return np.concatenate(ordinals), np.concatenate(similarities)


def live_images(segments: Sequence[Columns]) -> tuple[BitMap, ...]:
    """The images of each segment, oldest first, that no later segment replaces."""
    live: list[BitMap] = []
    later = BitMap()
    for segment in reversed(segments):
        live.append(segment.bitmap - later)
        later |= segment.bitmap
    return tuple(reversed(live))


def latest_digests(segments: Sequence[Columns]) -> dict[int, int]:
    """The digest of every image by ordinal, as the last of the segments that has it says."""
    found: dict[int, int] = {}
    for segment in segments:
        digests = segment.digests[segment.starts[:-1]]
        found.update(zip(segment.images.tolist(), digests.tolist(), strict=True))
    return found


def checked_queries(queries: Vectors, k: int, dim: int) -> Vectors:
    """Query rows that can be compared with an index's, in one piece; dim: 0 for an empty index.

    Raises BadInput for k < 1 or rows of another length, ZeroVector for a row of zero length.
    """
    if k < 1:
        raise BadInput(f"k is {k}; ask for at least one image")
    if queries.ndim != 2 or len(queries) == 0:
        raise BadInput(f"queries of shape {queries.shape}; give one row or more")
    if dim and queries.shape[1] != dim:
        raise BadInput(f"query rows have {queries.shape[1]} values, the index {dim}; embed with its model")
    check_rows(queries)
    return np.ascontiguousarray(queries, dtype=np.float32)


def check_block(block: Block) -> None:
    """Raise ZeroVector or BadInput unless every row can be stored: of its type, with an ordinal and a digest."""
    count = len(block.ordinals)
    if block.vectors.ndim != 2 or block.vectors.shape[1] == 0:
        raise BadInput(f"vectors of shape {block.vectors.shape}; rows of at least one value are needed")
    if count == 0 or len(block.vectors) != count or len(block.digests) != count:
        raise BadInput(
            f"{len(block.vectors)} vectors, {count} ordinals, {len(block.digests)} digests; give as many of each"
        )
    types = [array.dtype.name for array in (block.vectors, block.ordinals, block.digests)]
    if types != ["float32", "uint32", "uint64"]:
        raise BadInput(f"vectors, ordinals and digests are {', '.join(types)}; float32, uint32, uint64 are needed")
    check_rows(block.vectors)


def sorted_block(block: Block) -> Block:
    """The block by ordinal, an image's rows in the order given: a search then needs no look-up table."""
    order = np.argsort(block.ordinals, kind="stable")
    return Block(block.vectors[order], block.ordinals[order], block.digests[order])


def check_rows(rows: Vectors) -> None:
    """Raise ZeroVector or BadInput, naming the first row, unless all rows are finite and of unit length."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise ZeroVector(f"row {zero[0]} is all zeros: it has no direction to compare")
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= planner.UNIT_TOLERANCE))
    if len(wrong):
        raise BadInput(f"row {wrong[0]} has length {lengths[wrong[0]]:.4g}; scale rows to unit length")


def _score(segment: Segment, wanted: BitMap, queries: Vectors) -> _Scored:
    """The float32 scores of a segment's wanted images, by the faster kernel."""
    if not wanted:
        return _Scored(segment, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), planner.GATHER)
    images = segment.positions(wanted)
    rows, begins = segment.rows_of(images)
    method = planner.choose(len(rows), len(segment.ordinals))
    if method == planner.GATHER:
        scores = planner.gather(segment.rows, queries, rows)
    else:
        every = planner.scan(segment.rows, queries)
        scores = every if len(rows) == len(every) else every[rows]
    if len(begins) < len(rows):
        scores = np.maximum.reduceat(scores, begins)
    return _Scored(segment, images, scores, method)

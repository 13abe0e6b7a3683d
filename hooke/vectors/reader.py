"""The vectors of one snapshot over its segments: which rows are live, and the search over them."""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from pyroaring import BitMap

from hooke.errors import BadInput, ZeroVector
from hooke.vectors import planner
from hooke.vectors.approximate import Approximate, joined_answers
from hooke.vectors.base import Block, Digests, Neighbours, Ordinals, Places, Vectors
from hooke.vectors.columns import Segment, joined, latest_digests, live_images, shard_of, whole_shard
from hooke.vectors.planner import Positions, Rates
from hooke.vectors.prepare import Preparation
from hooke.vectors.search import Part, Task, answer, depth_for
from hooke.vectors.together import answer_together
from hooke.vectors.trained import Lists
from hooke.vectors.workers import Batcher, Workers, usable_threads
from hooke.views import Kind

logger = logging.getLogger(__name__)

_LONG_S = 5e-4
_MOST_TOGETHER = 32


class SegmentReader:
    """A VectorReader over segments of one kind, oldest first. What it derives is computed at the first search.

    lists: None for one that answers exactly always.
    """

    def __init__(self, segments: Sequence[Segment], threads: int | None = None, lists: Lists | None = None) -> None:
        self._segments = tuple(segments)
        self._lists = lists
        self._opening = threading.Lock()
        self._trained: tuple[object, tuple[Approximate, list[int]] | None] | None = None
        self._workers = Workers(threads or usable_threads())
        self._preparation = Preparation(self._segments, self.dim)
        self._batcher = Batcher(self._together, _MOST_TOGETHER)

    @property
    def dim(self) -> int:
        """Length of a row; 0 when there is none."""
        return int(self._segments[0].rows.shape[1]) if self._segments else 0

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        return BitMap.union(BitMap(), *self._live)

    def digests(self) -> Digests:
        """The content digest of every image that has a vector, by ordinal."""
        return latest_digests(self._segments)

    def vectors_of(self, ordinal: int) -> Vectors:
        """The rows of one image, a copy; shape (0, dim) when it has none."""
        for segment, rows in self._stored(ordinal):
            return np.array(segment.rows_for(rows.stop - rows.start)[rows])
        return np.empty((0, self.dim), dtype=np.float32)

    def places_of(self, ordinal: int) -> Places:
        """Where in the image each of its rows is."""
        for segment, rows in self._stored(ordinal):
            return np.array(segment.places[rows])
        return np.empty((0, 0), dtype=np.uint32)

    def matrix(self, images: BitMap) -> tuple[Vectors, Ordinals]:
        """All rows of those of some images that have any, a copy, by ordinal; and the image of each row."""
        found = [(np.empty((0, self.dim), dtype=np.float32), np.empty(0, dtype=np.uint32))]
        for segment, live in zip(self._segments, self._live, strict=True):
            if here := live & images:
                rows, _ = segment.rows_of(segment.positions(here))
                found.append((segment.rows_for(len(rows))[rows], segment.ordinals[rows]))
        return joined(found)

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None, exact: bool = False) -> Neighbours:
        """The k images nearest to any of the query rows, among the allowed ones (None: all).

        Searches that take long are answered one after another by all threads, those that came meanwhile together.
        """
        queries = checked_queries(queries, k, self.dim)
        if self._lists is not None and not exact and self._must_read(allowed) > self._lists.most_bytes:
            found = self._by_lists(self._lists, queries, k, allowed)
            if found is not None:
                return found
        return self._exactly(queries, k, allowed, range(len(self._segments)))

    def _exactly(self, queries: Vectors, k: int, allowed: BitMap | None, segments: Sequence[int]) -> Neighbours:
        """The same of some of the segments, by their numbers."""
        task = self._task(queries, k, allowed, segments)
        if task.seconds > _LONG_S:
            self._preparation.start()
            return self._batcher.submit(task)
        return answer(task, self._workers)

    def prepare(self) -> Rates:
        """Measure the machine and make the segments' codes now; searches begin that in the background."""
        self._preparation.wait()
        return self._preparation.rates

    def _stored(self, ordinal: int) -> Iterator[tuple[Segment, slice]]:
        """Where an image's rows are; the latest first."""
        for segment in reversed(self._segments):
            if rows := segment.rows_at(ordinal):
                yield segment, rows

    def _must_read(self, allowed: BitMap | None) -> float:
        """The bytes of what an exact search reads at least: of each segment codes of all rows, or the wanted rows."""
        rows = 0.0
        for segment, live in zip(self._segments, self._live, strict=True):
            wanted = len(live) if allowed is None else live.intersection_cardinality(allowed)
            every = len(segment.rows)
            rows += min(every, segment.rows.itemsize * every * wanted / max(1, len(segment.images)))
        return rows * self.dim

    def _by_lists(self, lists: Lists, queries: Vectors, k: int, allowed: BitMap | None) -> Neighbours | None:
        """The nearest of what was trained, by its lists, and of newer segments, exactly."""
        newest = self._newest(lists)
        if newest is None:
            return None
        approximate, others = newest
        found = approximate.search(queries, k, allowed)
        return found and joined_answers(found, self._exactly(queries, k, allowed, others), k)

    def _newest(self, lists: Lists) -> tuple[Approximate, list[int]] | None:
        """What `_opened` gives for the lists that are there now."""
        with self._opening:
            version = lists.version()
            if self._trained is None or self._trained[0] != version:
                self._trained = version, self._opened(lists)
            return self._trained[1]

    def _opened(self, lists: Lists) -> tuple[Approximate, list[int]] | None:
        """What was trained, and the numbers of the segments that were not; None where no segment was."""
        trained = lists.read()
        if trained is None:
            return None
        numbers = {name: number for number, name in enumerate(lists.names)}
        known = [numbers.get(name) for name, _ in trained.segments]
        if all(number is None for number in known):
            logger.warning("the trained lists are of segments that are gone: searching exactly; run `hooke train`")
            return None
        segments = [None if number is None else self._segments[number] for number in known]
        live = [BitMap() if number is None else self._live[number] for number in known]
        others = [number for number in range(len(self._segments)) if number not in known]
        return Approximate(trained, segments, live, self._workers), others

    def _task(self, queries: Vectors, k: int, allowed: BitMap | None, segments: Sequence[int]) -> Task:
        parts, candidates = [], 0
        for number in segments:
            segment, live = self._segments[number], self._live[number]
            wanted = live if allowed is None else live & allowed
            if wanted:
                images = None if len(wanted) == len(segment.images) else segment.positions(wanted)
                parts.append(self._part(number, images, k))
                candidates += len(wanted)
        return Task(queries, k, tuple(parts), candidates)

    def _part(self, number: int, images: Positions | None, k: int) -> Part:
        segment, codes = self._segments[number], self._preparation.codes(number)
        # a study's images follow each other: what a filter keeps is often a stretch, which is read in one go
        shard = whole_shard(segment) if images is None else shard_of(segment, images)
        rows, every = segment.row_count(images), shard.rows.stop - shard.rows.start
        coded = codes is not None and depth_for(k, every) * 4 < every
        plan = planner.choose(self._preparation.rates, rows, every, coded=coded)
        if plan.method == planner.SCAN and shard.images is None and rows < len(segment.rows):
            plan = replace(plan, method=planner.GATHER)  # no row is read that is not wanted
        return Part(shard, plan, codes)

    def _together(self, tasks: Sequence[Task]) -> list[Neighbours]:
        return answer_together(tasks, self._preparation.product_rates, self._workers)

    @cached_property
    def _live(self) -> tuple[BitMap, ...]:
        """The images of each segment that no later segment replaces."""
        return live_images(self._segments)


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
    if block.kind is not Kind.WHOLE or block.places is not None:
        check_places(block)
    types = [array.dtype.name for array in (block.vectors, block.ordinals, block.digests)]
    if types != ["float32", "uint32", "uint64"]:
        raise BadInput(f"vectors, ordinals and digests are {', '.join(types)}; float32, uint32, uint64 are needed")
    check_rows(block.vectors)


def check_places(block: Block) -> None:
    """Raise BadInput unless every row has a place such as its kind needs."""
    expected = (len(block.ordinals), block.kind.place_width)
    if block.places is None or block.places.shape != expected or block.places.dtype != np.uint32:
        found = "none" if block.places is None else f"{block.places.dtype.name} {block.places.shape}"
        raise BadInput(f"places of {block.kind} rows are uint32 {expected}, not {found}")


def sorted_block(block: Block) -> Block:
    """The block by ordinal, an image's rows in the order given: a search then needs no look-up table."""
    order = np.argsort(block.ordinals, kind="stable")
    places = None if block.places is None else block.places[order]
    return Block(block.vectors[order], block.ordinals[order], block.digests[order], block.kind, places)


def check_rows(rows: Vectors) -> None:
    """Raise ZeroVector or BadInput, naming the first row, unless all rows are finite and of unit length."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise ZeroVector(f"row {zero[0]} is all zeros: it has no direction to compare")
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= planner.UNIT_TOLERANCE))
    if len(wrong):
        raise BadInput(f"row {wrong[0]} has length {lengths[wrong[0]]:.4g}; scale rows to unit length")

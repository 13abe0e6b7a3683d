"""Searches that arrive together: one pass over a segment's byte codes for all of them, where that pays."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hooke.vectors import kernels, planner
from hooke.vectors.base import Neighbours
from hooke.vectors.codes import WholeQuery
from hooke.vectors.columns import Shard
from hooke.vectors.planner import CODES, SCAN, Positions, ProductRates
from hooke.vectors.search import Found, Part, Task, answer, best_scores, depth_for, finish, passes
from hooke.vectors.workers import Workers

_MOST_K = 100  # for more, a search by itself is as quick: most of it is to choose and to rescore
_GROUP = 32
_SPARE = 4  # times what a pass by itself keeps, before a search is given up for a pass over rows
_NOT_WANTED = np.iinfo(np.int32).min

Numbered = tuple[int, Found]
"""A task by its number, and what was found for it."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One query row in a product: of which task, what that wants of the segment."""

    number: int
    part: Part
    query: WholeQuery
    k: int


def answer_together(tasks: Sequence[Task], rates: Callable[[], ProductRates], workers: Workers) -> list[Neighbours]:
    """The answers to several tasks, which share a pass over a segment where that pays. rates: asked if they may."""
    if len(tasks) == 1:
        return [answer(tasks[0], workers)]
    return workers.apart(partial(_answer_together, tasks, rates, workers))


def _answer_together(tasks: Sequence[Task], rates: Callable[[], ProductRates], workers: Workers) -> list[Neighbours]:
    shared = _shared(tasks, rates)
    found: list[list[Found]] = [[] for _ in tasks]
    for some in workers.run([*_products(shared, workers.threads), *_others(tasks, set(shared), workers.threads)]):
        for number, each in some:
            found[number].append(each)
    # not on threads: it is many small steps, which would wait for one another
    return [finish(task, parts, workers) for task, parts in zip(tasks, found, strict=True)]


def _shared(tasks: Sequence[Task], rates: Callable[[], ProductRates]) -> dict[int, list[_Column]]:
    """The query rows of one product each, by the identity of the segment."""
    parts: dict[int, list[tuple[int, Part]]] = {}
    for number, task in enumerate(tasks):
        for part in task.parts:
            if _may_share(part, task.k):
                parts.setdefault(id(part.shard.segment), []).append((number, part))
    return {key: _columns(tasks, some) for key, some in parts.items() if _pays(tasks, some, rates)}


def _may_share(part: Part, k: int) -> bool:
    return part.codes is not None and part.plan.method in (SCAN, CODES) and k <= _MOST_K


def _pays(tasks: Sequence[Task], parts: Sequence[tuple[int, Part]], rates: Callable[[], ProductRates]) -> bool:
    if len(parts) == 1:
        return False
    queries = [len(tasks[number].queries) for number, _ in parts]
    alone_s = sum(part.plan.seconds * count for (_, part), count in zip(parts, queries, strict=True))
    return planner.pays_together(rates(), len(parts[0][1].shard.segment.rows), sum(queries), alone_s)


def _columns(tasks: Sequence[Task], parts: Sequence[tuple[int, Part]]) -> list[_Column]:
    return [
        _Column(number, part, part.codes.whole(query), tasks[number].k)
        for number, part in parts
        if part.codes is not None
        for query in tasks[number].queries
    ]


def _products(shared: dict[int, list[_Column]], threads: int) -> "Iterator[Callable[[], list[Numbered]]]":
    """The passes that are shared, cut so that all threads have something to do."""
    for columns in shared.values():
        images = len(columns[0].part.shard.segment.images)
        edges = np.linspace(0, images, threads + 1).astype(int).tolist()
        for first, last in pairwise(edges):
            yield partial(_product, columns, first, last)


def _others(tasks: Sequence[Task], shared: set[int], threads: int) -> "Iterator[Callable[[], list[Numbered]]]":
    """The passes of each task by itself."""
    for number, task in enumerate(tasks):
        parts = tuple(
            part for part in task.parts if id(part.shard.segment) not in shared or not _may_share(part, task.k)
        )
        for each in passes(replace(task, parts=parts), 1 if len(tasks) >= threads else threads):
            yield partial(_numbered, number, each)


def _numbered(number: int, function: Callable[[], Found]) -> list[Numbered]:
    return [(number, function())]


def _product(columns: Sequence[_Column], first: int, last: int) -> list[Numbered]:
    """What a stretch of the segment's images has for each task; a task's query rows one after another."""
    part = columns[0].part
    segment, codes = part.shard.segment, part.codes
    assert codes is not None  # as `_may_share` asks
    queries = np.array([column.query.numbers for column in columns], dtype=np.int8)
    finalists = _Finalists(columns, int(segment.starts[last] - segment.starts[first]))
    for begin, end, products in kernels.product(codes.values, queries, segment.starts, first, last):
        if not segment.is_single:
            starts = segment.starts[begin:end] - segment.starts[begin]
            products = np.maximum.reduceat(products, starts, axis=0)
        for number, column in enumerate(columns):
            if not _wants_all(column.part.shard, begin, end):
                products[_not_wanted(column.part.shard, begin, end), number] = _NOT_WANTED
        finalists.add(begin, products)
    return list(_by_task(columns, finalists, first, last))


def _by_task(columns: Sequence[_Column], finalists: "_Finalists", first: int, last: int) -> Iterator[Numbered]:
    finalists.prune()
    at = 0
    while at < len(columns):
        column = columns[at]
        mine = [number for number in range(at, len(columns)) if columns[number].number == column.number]
        at += len(mine)
        begin, end = max(first, column.part.shard.first), min(last, column.part.shard.last)
        for shard in column.part.shard.cut([begin, end]) if begin < end else ():
            here = replace(column.part, shard=shard, plan=replace(column.part.plan, method=CODES))
            yield column.number, finalists.found(here, mine)


def _wants_all(shard: Shard, begin: int, end: int) -> bool:
    return shard.images is None and shard.first <= begin and end <= shard.last


def _not_wanted(shard: Shard, begin: int, end: int) -> npt.NDArray[np.bool_]:
    """Which images of a stretch a search does not want."""
    others = np.ones(end - begin, dtype=bool)
    if shard.images is None:
        others[max(0, shard.first - begin) : max(0, shard.last - begin)] = False
    else:
        low, high = np.searchsorted(shard.images, [begin, end])
        others[shard.images[low:high] - begin] = False
    return others


def _margin(query: WholeQuery) -> int:
    """How far below another a product may be for its row to be no less similar; far beyond any product at most."""
    return int(min(2.0**40, 2 * query.error / query.step)) + 1


class _Finalists:
    """What may be among the k nearest of each query row, of products that come block by block.

    The k-th best product so far, less what both that and another may be off, is a cut that only rises.
    """

    def __init__(self, columns: Sequence[_Column], rows: int) -> None:
        self._queries = [column.query for column in columns]
        self._margins = np.array([_margin(each) for each in self._queries], dtype=np.int64)
        self._ks = np.array([column.k for column in columns])
        self._most = np.array([_SPARE * depth_for(column.k, rows) for column in columns])
        self._best = np.full((len(columns), int(self._ks.max())), _NOT_WANTED, dtype=np.int32)
        self._given_up = np.zeros(len(columns), dtype=bool)
        nothing = np.empty(0, dtype=np.int64)
        self._found: tuple[Positions, Positions, Positions] = (nothing, nothing, nothing)  # column, image, product

    def add(self, first: int, products: kernels.Products) -> None:
        """The products (images, columns) of a stretch that begins with an image by position."""
        # k groups have a best of at least the k-th best of the groups' bests: a lower bound in one quick pass
        groups = kernels.group_bests(products, _GROUP)
        best = np.sort(np.concatenate([self._best, groups.T], axis=1), axis=1)
        self._best = best[:, best.shape[1] - self._best.shape[1] :]
        cuts = self._cuts()
        group, column = np.nonzero(groups >= cuts)
        images = group[:, np.newaxis] * _GROUP + np.arange(_GROUP)
        near = products[np.minimum(images, len(products) - 1), column[:, np.newaxis]]
        at, which = np.nonzero((near >= cuts[column, np.newaxis]) & (images < len(products)))
        columns, positions, kept = self._found
        self._found = (
            np.concatenate([columns, column[at]]),
            np.concatenate([positions, images[at, which] + first]),
            np.concatenate([kept, near[at, which]]),
        )
        if len(self._found[0]) > 2 * self._most.sum():
            self.prune()

    def found(self, part: Part, columns: Sequence[int]) -> Found:
        """What a task of these columns is left with."""
        error = max(self._queries[number].error for number in columns)
        if self._given_up[columns].any():
            return Found(part, np.empty(0, np.int64), np.empty(0), error, limit=np.inf)
        places = [self._found[0] == number for number in columns]
        images = np.concatenate([self._found[1][here] for here in places])
        scores = [
            self._queries[number].similarities(self._found[2][here])
            for number, here in zip(columns, places, strict=True)
        ]
        return Found(part, *best_scores(images, np.concatenate(scores)), error)

    def _cuts(self) -> kernels.Products:
        """The least product that may be among the k nearest, by column."""
        kth = self._best[np.arange(len(self._ks)), self._best.shape[1] - self._ks]
        cuts = np.maximum(kth - self._margins, _NOT_WANTED + 1)
        return np.where(self._given_up, np.iinfo(np.int32).max, cuts).astype(np.int32)

    def prune(self) -> None:
        """Drop what is below the cut by now, and the searches that have more than too much above."""
        column, images, products = self._found
        kept = products >= self._cuts()[column]
        self._given_up |= np.bincount(column[kept], minlength=len(self._ks)) > self._most
        kept &= ~self._given_up[column]
        self._found = column[kept], images[kept], products[kept]

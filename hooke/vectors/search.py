"""Exact search: first passes over shards of segments, the finalists rescored in float64, and a proof.

A first pass finds images with scores that are within its error of the truth, and leaves out only such as score no more
than its limit. The k-th best rescored similarity then proves the answer where every limit plus error is below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hooke.vectors import kernels, planner
from hooke.vectors.base import Neighbour, Neighbours, Ordinals, Vectors
from hooke.vectors.codes import Codes
from hooke.vectors.columns import Shard
from hooke.vectors.planner import CODES, GATHER, SCAN, TAKE, Plan, Positions, Scores, Similarities
from hooke.vectors.workers import Workers

_LEAST_DEPTH, _DEPTH_A_HIT, _ROWS_A_DEPTH = 256, 8, 2_000
_WORTH_A_THREAD_S = 1e-3  # to hand a piece to another thread, and to wait for it, takes a third of that


@dataclass(frozen=True, slots=True)
class Part:
    """What a task wants of one segment, and how it is to be scored."""

    shard: Shard
    plan: Plan
    codes: Codes | None


@dataclass(frozen=True, slots=True)
class Task:
    """A search, planned. parts: of the segments that have any image it wants."""

    queries: Vectors
    k: int
    parts: tuple[Part, ...]
    candidates: int

    @property
    def seconds(self) -> float:
        """What one thread should need."""
        return sum(part.plan.seconds for part in self.parts) * len(self.queries)


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """Images of a shard, by position in its segment; their scores, off by `error` at most; what was left out.

    limit: no image left out has a score above it; -inf: none can be among the k.
    """

    part: Part
    images: Positions
    scores: Similarities
    error: float
    limit: float = -np.inf


def depth_for(k: int, rows: int) -> int:
    """How many of so many rows a pass over codes keeps: enough to prove k images, by experience."""
    # by the rows too: a cluster of a million has more within the codes' error of the k-th best
    return _LEAST_DEPTH + _DEPTH_A_HIT * k + rows // _ROWS_A_DEPTH


def answer(task: Task, workers: Workers) -> Neighbours:
    """One task's answer."""
    return finish(task, workers.run(passes(task, workers.threads)), workers)


def passes(task: Task, threads: int) -> "list[partial[Found]]":
    """The first passes of a task, cut so that its threads have something to do."""
    pieces = min(threads, 1 + int(task.seconds / _WORTH_A_THREAD_S))
    return [
        partial(_first_pass, piece, task.queries, task.k)
        for part in task.parts
        for piece in _cut(part, pieces if len(task.parts) < 4 * threads else 1)
    ]


def _cut(part: Part, pieces: int) -> list[Part]:
    shard = part.shard
    if pieces == 1:
        return [part]
    if part.plan.method in (GATHER, TAKE) and shard.images is not None:
        images = np.array_split(shard.images, pieces)
        return [replace(part, shard=replace(shard, images=some)) for some in images if len(some)]
    edges = np.linspace(shard.first, shard.last, pieces + 1).astype(int).tolist()
    return [replace(part, shard=piece) for piece in shard.cut(edges)]


def _first_pass(part: Part, queries: Vectors, k: int) -> Found:
    if part.plan.method in (CODES, TAKE) and part.codes is not None:
        return _by_codes(part, part.codes, queries, depth_for(k, part.shard.rows.stop - part.shard.rows.start))
    shard, segment = part.shard, part.shard.segment
    if part.plan.method == GATHER and shard.images is not None:
        rows, begins = segment.rows_of(shard.images)
        scores = kernels.gather(segment.rows_for(len(rows)), queries, rows)
        return _kept(part, scores if segment.is_single else np.maximum.reduceat(scores, begins), k)
    return _kept(part, shard.image_scores(kernels.scan(segment.rows[shard.rows], queries)), k)


def _kept(part: Part, scores: Scores, k: int) -> Found:
    """What may be among the k nearest, of the float32 scores of all of a part's images."""
    error = planner.error_bound(part.shard.segment.rows.shape[1])
    numbers = planner.finalists(scores, k, error)
    return Found(part, part.shard.image(numbers), scores[numbers].astype(np.float64), error)


def _by_codes(part: Part, codes: Codes, queries: Vectors, depth: int) -> Found:
    shard, rows, deep = part.shard, part.shard.rows, depth
    among: slice | Positions = rows
    if shard.images is not None:
        if part.plan.method == TAKE:
            among, _ = shard.segment.rows_of(shard.images)
        else:  # what is not wanted is seen too, and passed over
            deep = 1 + depth * (rows.stop - rows.start) // shard.segment.row_count(shard.images)
    passes = [codes.nearest(query, deep, among) for query in queries]
    positions = shard.segment.images_at(np.concatenate([found for found, _, _ in passes]))
    images, scores = best_scores(positions, np.concatenate([estimates for _, estimates, _ in passes]))
    limit = max(float(estimates[-1]) if len(estimates) == deep else -np.inf for _, estimates, _ in passes)
    kept = shard.wants(images)
    return Found(part, images[kept], scores[kept], max(error for _, _, error in passes), limit)


def best_scores(images: Positions, scores: Similarities) -> tuple[Positions, Similarities]:
    """Each of the images once, ascending, with its best score."""
    once, inverse = np.unique(images, return_inverse=True)
    best = np.full(len(once), -np.inf)
    np.maximum.at(best, inverse, scores)
    return once, best


def finish(task: Task, found: list[Found], workers: Workers) -> Neighbours:
    """The answer, from first passes; those that do not prove it are repeated by rows."""
    ordinals, similarities, order = _ranked(found, task)
    kth = similarities[order[-1]] if len(order) == task.k else -np.inf
    unproved = [each for each in found if each.limit > -np.inf and each.limit + each.error >= kth]
    if unproved:
        found = [each for each in found if each not in unproved]
        pieces = [piece for each in unproved for piece in _cut(_by_rows(each.part), workers.threads)]
        found += workers.run([partial(_first_pass, piece, task.queries, task.k) for piece in pieces])
        ordinals, similarities, order = _ranked(found, task)
    hits = tuple(Neighbour(int(ordinals[at]), min(1.0, max(-1.0, float(similarities[at])))) for at in order)
    methods = {each.part.plan.method for each in found}
    method = SCAN if SCAN in methods else CODES if methods & {CODES, TAKE} else GATHER
    return Neighbours(hits, exact=True, method=method, candidates=task.candidates)


def _by_rows(part: Part) -> Part:
    """The same part by rows, for where codes cannot tell enough of them apart: rows prove what they leave out."""
    method = SCAN if part.shard.images is None else GATHER
    return replace(part, plan=replace(part.plan, method=method))


def _ranked(found: Sequence[Found], task: Task) -> tuple[Ordinals, Similarities, Positions]:
    """What may be among the k nearest, and the order of the k nearest of that."""
    ordinals, similarities = _rescored(found, task)
    return ordinals, similarities, np.lexsort((ordinals, -similarities))[: task.k]


def _rescored(found: Sequence[Found], task: Task) -> tuple[Ordinals, Similarities]:
    """Ordinals and float64 similarities of all found that may be among the k nearest."""
    ordinals, similarities = [np.empty(0, dtype=np.uint32)], [np.empty(0)]
    lowest = np.concatenate([np.empty(0), *(each.scores - each.error for each in found)])
    floor = np.partition(lowest, len(lowest) - task.k)[len(lowest) - task.k] if len(lowest) > task.k else -np.inf
    for each in found:
        images = each.images[each.scores + each.error >= floor]
        if len(images):
            segment = each.part.shard.segment
            rows, begins = segment.rows_of(images)
            ordinals.append(segment.images[images])
            rescored = planner.rescore(segment.rows_for(len(rows)), task.queries, rows)
            similarities.append(np.maximum.reduceat(rescored, begins))
    return np.concatenate(ordinals), np.concatenate(similarities)

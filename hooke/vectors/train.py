"""Training what `hooke.vectors.approximate` searches, offline: centres, lists, and what held-out rows tell of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import faiss
import numpy as np
from pyroaring import BitMap

from hooke.vectors import kernels
from hooke.vectors.approximate import Approximate, Odds, Trained
from hooke.vectors.base import Vectors
from hooke.vectors.columns import Segment
from hooke.vectors.inverted import Inverted, sort_rows
from hooke.vectors.planner import Positions
from hooke.vectors.workers import Workers, usable_threads

Progress = Callable[[str, int, int], None]

_SEED = 1665
_ITERATIONS = 10
_SAMPLE_A_LIST = 64
_HELD_OUT = 200
"""Rows that no centre is trained with: half of them teach the odds, half of them test what is said."""
_DEEP = 8_192
"""Of the held-out rows so many nearest are found: what is deeper is tested by nothing, and searched exactly."""
MEASURED_K = (10, 100, 1_000)
_RANKS = (10, 30, 100, 300, 1_000, 3_000)  # and the deepest
SHARES = (1.0, 0.3, 0.1, 0.03)
_AWAY = 0.01  # a filter without so many of the nearest, such as the images of the query's own study
_HIDDEN = 0.01  # of the hits codes may hide
_KNOWN = 1_000
_GAPS = 64
_FEWEST_ROWS = 1_000  # of a gap: a share of fewer says nothing
_BLOCK_ROWS = 32_768


@dataclass(frozen=True, slots=True)
class HeldOutTest:
    """What searches with held-out rows found: of filters that keep a share of the rows, or, `away`, not the nearest.

    stated, measured: mean recall. answered: the share of the searches that could be answered so; the others are exact.
    """

    filter: str
    k: int
    stated: float
    measured: float
    answered: float


@dataclass(frozen=True, eq=False, slots=True)
class _HeldOut:
    """Rows of the index by number, and the nearest of all rows to each, itself left out, nearest first."""

    numbers: Positions
    rows: Vectors
    nearest: Positions
    similarities: Vectors

    def part(self, some: slice) -> "_HeldOut":
        return _HeldOut(self.numbers[some], self.rows[some], self.nearest[some], self.similarities[some])


def train(
    names: Sequence[str], segments: Sequence[Segment], live: Sequence[BitMap], progress: Progress
) -> tuple[Trained, tuple[HeldOutTest, ...]]:
    """Lists of all rows of some segments, of which there are some thousands; what tests with held-out rows found."""
    total = sum(len(each.rows) for each in segments)
    lists = int(total**0.5)
    generator = np.random.default_rng(_SEED)
    some = generator.choice(total, min(total, _HELD_OUT + _SAMPLE_A_LIST * lists), replace=False)
    held, sample = np.sort(some[:_HELD_OUT]), np.sort(some[_HELD_OUT:])
    centres = _centres(_taken(segments, sample), lists, progress)
    inverted = sort_rows(centres, partial(_blocks, segments), total, lambda done: progress("sorting rows", done, total))
    order = generator.permutation(len(held))
    held_out = _held_out(segments, held[order], total, progress)
    taught, tested = held_out.part(slice(0, len(held) // 2)), held_out.part(slice(len(held) // 2, None))
    sizes = tuple((name, len(each.rows)) for name, each in zip(names, segments, strict=True))
    workers = Workers(usable_threads())
    made = Trained(inverted, _odds(inverted, taught), _veil(inverted, taught, workers), 0.0, sizes)
    tests = tuple(_tests(made, segments, live, tested, workers, progress))
    doubt = max([0.0, *(each.stated - each.measured for each in tests if each.answered)])
    return replace(made, doubt=doubt), tests


def _blocks(segments: Sequence[Segment]) -> Iterator[Vectors]:
    for segment in segments:
        for start in range(0, len(segment.rows), _BLOCK_ROWS):
            yield np.ascontiguousarray(segment.rows[start : start + _BLOCK_ROWS])


def _taken(segments: Sequence[Segment], numbers: Positions) -> Vectors:
    begins = np.append(0, np.cumsum([len(each.rows) for each in segments]))
    edges = np.searchsorted(numbers, begins)
    parts = [segment.rows[numbers[edges[at] : edges[at + 1]] - begins[at]] for at, segment in enumerate(segments)]
    return np.concatenate(parts)


def _centres(sample: Vectors, lists: int, progress: Progress) -> Vectors:
    faiss.omp_set_num_threads(usable_threads())
    centres: Vectors | None = None
    for done in range(_ITERATIONS):
        progress("finding centres", done, _ITERATIONS)
        # an iteration a call: what stops it (Ctrl-C), and what watches it, waits for no more
        means = faiss.Kmeans(
            sample.shape[1],
            lists,
            niter=1,
            seed=_SEED,
            max_points_per_centroid=2 * _SAMPLE_A_LIST,
            min_points_per_centroid=1,
        )
        means.train(sample, init_centroids=centres)
        centres = means.centroids
    assert centres is not None
    return centres


def _held_out(segments: Sequence[Segment], numbers: Positions, total: int, progress: Progress) -> _HeldOut:
    order = np.argsort(numbers)
    rows = np.empty((len(numbers), segments[0].rows.shape[1]), np.float32)
    rows[order] = _taken(segments, numbers[order])
    deep = min(_DEEP, total - 1)
    best = np.full((len(numbers), deep), -1, np.int64)
    similarities = np.full((len(numbers), deep), -2, np.float32)
    begin = 0
    for block in _blocks(segments):
        progress("searching exactly for held-out rows", begin, total)
        products = rows @ block.T
        inside = (numbers >= begin) & (numbers < begin + len(block))
        products[np.flatnonzero(inside), numbers[inside] - begin] = -2  # itself
        for at, scores in enumerate(products):
            better = np.flatnonzero(scores > similarities[at, -1])
            joined = np.append(similarities[at], scores[better])
            kept = np.argsort(-joined, kind="stable")[:deep]
            similarities[at], best[at] = joined[kept], np.append(best[at], better + begin)[kept]
        begin += len(block)
    return _HeldOut(numbers, rows, best, similarities)


def _odds(inverted: Inverted, held_out: _HeldOut) -> Odds:
    """What share of a list's rows is among so many nearest of a query, by how far the last of these is above it."""
    deepest = held_out.nearest.shape[1]
    ranks = np.array([*(rank for rank in _RANKS if rank < deepest), deepest])
    gaps, hits = [], []
    for query, nearest, similarities in zip(held_out.rows, held_out.nearest, held_out.similarities, strict=True):
        likeness = kernels.scan(inverted.centres, query[np.newaxis])
        gaps.append([(similarities[rank - 1] - likeness) / np.maximum(inverted.spreads, 1e-9) for rank in ranks])
        lists = inverted.lists[nearest]
        hits.append([np.bincount(lists[:rank], minlength=len(likeness)) for rank in ranks])
    gap, hit = np.array(gaps), np.array(hits)
    edges = np.unique(np.quantile(np.repeat(gap.ravel(), hit.ravel()), np.linspace(0, 1, _GAPS)))
    sizes, shares = np.tile(inverted.sizes, len(gap)), np.empty((len(ranks), len(edges) + 1))
    for at in range(len(ranks)):
        places = np.searchsorted(edges, gap[:, at].ravel())
        rows, reaching = (np.bincount(places, each, len(edges) + 1) for each in (sizes, hit[:, at].ravel()))
        # a nearer list has no smaller a share: what few rows say otherwise is chance
        shares[at] = np.maximum.accumulate(((reaching + 0.5) / (rows + _FEWEST_ROWS))[::-1])[::-1]
    return Odds(edges, ranks, shares)


def _veil(inverted: Inverted, held_out: _HeldOut, workers: Workers) -> float:
    """By how much the codes of near rows, but for a hundredth, make them seem less alike than they are."""
    lacking = []
    for query, nearest, similarities in zip(held_out.rows, held_out.nearest, held_out.similarities, strict=True):
        lists = np.unique(inverted.lists[nearest[:_KNOWN]])
        found, estimates = inverted.nearest(query, int(inverted.sizes[lists].sum()), lists, None, workers)
        order = np.argsort(found)
        at = order[np.searchsorted(found[order], nearest[:_KNOWN])]
        lacking.append(similarities[:_KNOWN] - estimates[at])
    return max(0.0, float(np.quantile(np.concatenate(lacking), 1 - _HIDDEN)))


def _tests(
    trained: Trained,
    segments: Sequence[Segment],
    live: Sequence[BitMap],
    held_out: _HeldOut,
    workers: Workers,
    progress: Progress,
) -> Iterator[HeldOutTest]:
    searched = Approximate(trained, segments, live, workers)
    every = BitMap.union(BitMap(), *live)
    ordinals = np.frombuffer(every.to_array(), dtype=np.uint32)
    chance = np.random.default_rng(_SEED + 1).random(len(ordinals))
    kept = {f"{share:.0%}": BitMap(ordinals[chance < share]) for share in SHARES}
    nearest = [
        list(dict.fromkeys(each for each in searched.ordinals(rows).tolist() if each >= 0)) for rows in held_out.nearest
    ]
    own = searched.ordinals(held_out.numbers)
    away = int(_AWAY * len(every))
    cells = [(name, k) for name in (*kept, "away") for k in MEASURED_K]
    for done, (name, k) in enumerate(cells):
        progress("testing with held-out rows", done, len(cells))
        stated, measured = [], []
        asked = 0
        for query, itself, ranked in zip(held_out.rows, own.tolist(), nearest, strict=True):
            allowed = every - BitMap(ranked[:away]) if name == "away" else kept[name]
            allowed = allowed - BitMap([max(0, itself)])
            right = list(islice((each for each in ranked if each in allowed), k))
            if itself < 0 or len(right) < k:
                continue
            asked += 1
            found = searched.search(query[np.newaxis], k, allowed)
            if found is not None and found.recall is not None:
                stated.append(found.recall)
                measured.append(len({hit.ordinal for hit in found.hits}.intersection(right)) / k)
        if asked:
            yield HeldOutTest(name, k, _mean(stated), _mean(measured), len(stated) / asked)


def _mean(recalls: Sequence[float]) -> float:
    return sum(recalls) / len(recalls) if recalls else 0.0

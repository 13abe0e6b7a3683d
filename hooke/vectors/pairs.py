"""Every image with every other: products of blocks of rows, so that memory is bounded however many images there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hooke.errors import CorruptIndex
from hooke.vectors.base import Ordinals, VectorReader, Vectors
from hooke.vectors.planner import Positions, Scores, Similarities, error_bound

BLOCK_ROWS = 2_048
"""Of a product: its scores are 16 MB, and what is found among them at most ten times that."""
PARTNERS_KEPT = 20
"""The partners of an image that are named; all are counted."""
_RESCORED_AT_ONCE = 512
_SPARE = 4
"""More of a block are rescored than are wanted: the error of a float32 product may put a few in the wrong order."""

Progress = Callable[[int, int], None]
"""Told how many products are done, and of how many."""
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images by their positions, `first` below `second`, with their float64 dot products."""

    first: Positions
    second: Positions
    similarities: Similarities


@dataclass(frozen=True, slots=True)
class Links:
    """What joins images: the number of each image's group (images,), its number of partners, and named pairs."""

    groups: Labels
    partners: Labels
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class _Block:
    """Some of the images: the position of the first, and their rows."""

    start: int
    rows: Vectors

    @property
    def places(self) -> slice:
        return slice(self.start, self.start + len(self.rows))


def rows_of(vectors: VectorReader, images: Ordinals) -> Vectors:
    """The row of each of some images, which all have one. Raises CorruptIndex where one has none or several."""
    rows, ordinals = vectors.matrix(BitMap(images))
    if not np.array_equal(ordinals, images):
        raise CorruptIndex(f"{len(images)} images have {len(ordinals)} rows, not one each; index anew")
    return rows


def linked(
    vectors: VectorReader,
    images: Ordinals,
    threshold: float,
    *,
    digests: npt.NDArray[np.uint64],
    owners: npt.NDArray[np.uint32] | None = None,
    progress: Progress | None = None,
) -> Links:
    """The groups that all pairs of images make whose similarity is at least the threshold, or whose digests are equal.

    images: by ordinal. owners: where given, two images of one owner make no pair. Exact: what the error of a float32
    product leaves in doubt is decided by the float64 dot product.
    """
    count = len(images)
    groups, partners, named = np.arange(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    found: list[Pairs] = []
    for left, right, scores in _products(vectors, images, progress):
        error = error_bound(left.rows.shape[1])
        same = digests[left.places, np.newaxis] == digests[right.places]
        near = same | (scores >= threshold - error)
        if owners is not None:
            near &= owners[left.places, np.newaxis] != owners[right.places]
        first, second = np.nonzero(np.triu(near, 1) if left.start == right.start else near)
        doubtful = np.flatnonzero((scores[first, second] < threshold + error) & ~same[first, second])
        below = _rescored(left.rows, right.rows, first[doubtful], second[doubtful]) < threshold
        first, second = np.delete(first, doubtful[below]), np.delete(second, doubtful[below])
        if not len(first):
            continue
        kept = _first_partners(first, PARTNERS_KEPT - named[left.places])
        similarities = _rescored(left.rows, right.rows, first[kept], second[kept])
        named[left.places] += np.bincount(first[kept], minlength=len(left.rows))
        found.append(Pairs(first[kept] + left.start, second[kept] + right.start, similarities))
        first, second = first + left.start, second + right.start
        partners += np.bincount(first, minlength=count) + np.bincount(second, minlength=count)
        groups = _joined(groups, first, second)
    return Links(groups, partners, _concatenated(found))


def neighbour_similarities(
    vectors: VectorReader, images: Ordinals, k: int, *, progress: Progress | None = None
) -> Similarities:
    """How similar each image is to its k-th nearest of the others, k being below their number: float64 (images,).

    Images with the same rows get the same number, of at most 1: it is the float64 dot product, whatever the blocks.
    """
    best = np.full((len(images), k), -np.inf)
    for left, right, scores in _products(vectors, images, progress):
        if left.start == right.start:
            np.fill_diagonal(scores, -np.inf)
        best[left.places] = _nearest(best[left.places], left.rows, right.rows, scores)
        if left.start != right.start:
            best[right.places] = _nearest(best[right.places], right.rows, left.rows, scores.T)
    least: Similarities = best.min(axis=1).clip(-1, 1)
    return least


def best_match_means(queries: Vectors, rows: Vectors, starts: Positions) -> Similarities:
    """The symmetric mean of best matches (Chamfer) of one set of rows with each of several.

    starts: where each set begins in `rows`. The mean over a set of each row's best match in the other set, and the mean
    of that in both directions.
    """
    scores = queries @ rows.T
    there = np.maximum.reduceat(scores, starts, axis=1).mean(axis=0, dtype=np.float64)
    sizes = np.diff(starts, append=len(rows))
    back = np.add.reduceat(scores.max(axis=0).astype(np.float64), starts) / sizes
    means: Similarities = (there + back) / 2
    return means


def _products(
    vectors: VectorReader, images: Ordinals, progress: Progress | None
) -> Iterator[tuple[_Block, _Block, Scores]]:
    """The float32 dot products of all blocks of images with themselves and with all later ones."""
    starts = range(0, len(images), BLOCK_ROWS)
    total, done = len(starts) * (len(starts) + 1) // 2, 0
    for number, start in enumerate(starts):
        left = _Block(start, rows_of(vectors, images[start : start + BLOCK_ROWS]))
        for other in starts[number:]:
            # read again rather than kept: all rows together may not fit into memory
            again = other != start
            right = _Block(other, rows_of(vectors, images[other : other + BLOCK_ROWS])) if again else left
            yield left, right, left.rows @ right.rows.T
            done += 1
            if progress:
                progress(done, total)


def _nearest(best: Similarities, left: Vectors, right: Vectors, scores: Scores) -> Similarities:
    """The largest float64 dot products of each row, as many as `best` has: of those and of what scores enough here."""
    k = best.shape[1]
    count = min(k + _SPARE, scores.shape[1])
    second = np.argpartition(scores, scores.shape[1] - count, axis=1)[:, -count:]
    near = np.take_along_axis(scores, second, axis=1)
    enough = ~np.isneginf(near) & (near >= best.min(axis=1, keepdims=True) - error_bound(left.shape[1]))
    exact = np.full(near.shape, -np.inf)
    exact[enough] = _rescored(left, right, np.nonzero(enough)[0], second[enough])
    return np.partition(np.concatenate([best, exact], axis=1), count, axis=1)[:, count:]


def _rescored(left: Vectors, right: Vectors, first: Positions, second: Positions) -> Similarities:
    """The float64 dot product of each pair; summed in an order that depends on nothing but the two rows."""
    parts = [np.empty(0)]
    for start in range(0, len(first), _RESCORED_AT_ONCE):
        some = slice(start, start + _RESCORED_AT_ONCE)
        parts.append((left[first[some]].astype(np.float64) * right[second[some]]).sum(axis=1))
    return np.concatenate(parts)


def _first_partners(first: Positions, room: Labels) -> Positions:
    """Which pairs, sorted by their first image, are among so many of each image."""
    begins = np.searchsorted(first, first)
    return np.flatnonzero(np.arange(len(first)) - begins < room[first])


def _joined(groups: Labels, first: Positions, second: Positions) -> Labels:
    """The groups after these pairs are joined too."""
    edges = sparse.coo_array((np.ones(len(first), np.int8), (groups[first], groups[second])), shape=(len(groups),) * 2)
    _, labels = connected_components(edges, directed=False)
    merged: Labels = labels[groups].astype(np.int64)
    return merged


def _concatenated(found: list[Pairs]) -> Pairs:
    nothing = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    every = [nothing, *found]
    return Pairs(
        np.concatenate([each.first for each in every]),
        np.concatenate([each.second for each in every]),
        np.concatenate([each.similarities for each in every]),
    )

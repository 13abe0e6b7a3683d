"""Measures of a ranking by looks, as pure functions: average precision, bootstrap, and a choice made elsewhere.

A query is each image in turn, against all others. Values are one for each query until they are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NEAREST = 10
_SAMPLES = 2000
_SEED = 6
Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Quality:
    """Of each query: whether the nearest is of its class, and its average precision; with their means."""

    hits: npt.NDArray[np.bool_]
    averages: Values

    @property
    def nearest(self) -> float:
        """1-NN accuracy."""
        return float(self.hits.mean())

    @property
    def precision(self) -> float:
        """mAP@10."""
        return float(self.averages.mean())


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of paired differences with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> str:
        """`+` or `-` where the interval leaves out 0, else `=`."""
        return "+" if self.low > 0 else "-" if self.high < 0 else "="


@dataclass(frozen=True, slots=True)
class Nested:
    """The variant chosen for each collection on all others, and the values it has there."""

    chosen: dict[str, str]
    values: Values


def leave_one_out(vectors: Matrix, classes: Codes, groups: Codes | None = None) -> Quality:
    """1-NN accuracy and mAP@10 of every image against all others, by cosine of unit rows; ties by position.

    groups: images of the query's own group (0: none) are left out too.
    """
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    if groups is not None:
        similarity[(groups[:, None] == groups[None, :]) & (groups > 0)[:, None]] = -np.inf
    same = (classes[:, None] == classes[None, :]) & np.isfinite(similarity)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
    relevant = np.take_along_axis(same, order, axis=1)
    return Quality(hits=relevant[:, 0], averages=average_precision(relevant, same.sum(axis=1)))


def average_precision(relevant: npt.NDArray[np.bool_], possible: Codes) -> Values:
    """Average precision of each row of a ranking cut off at its width, normalised by what was possible there."""
    depth = relevant.shape[1]
    precision = relevant.cumsum(axis=1) / np.arange(1, depth + 1)
    return np.asarray((precision * relevant).sum(axis=1) / np.clip(possible, 1, depth), dtype=np.float64)


def by_collection(values: npt.NDArray[np.generic], collections: Sequence[str]) -> dict[str, float]:
    """The mean of each collection, in order of their names."""
    return {name: float(values[members].mean()) for name, members in _members(collections).items()}


def compare(ours: Values, theirs: Values, collections: Sequence[str]) -> dict[str, Difference]:
    """Paired differences of each collection and, under the empty name, overall.

    Overall, queries are drawn again within their collection: which collections there are is not chance.
    """
    rng = np.random.default_rng(_SEED)
    difference = ours - theirs
    members = list(_members(collections).items())
    drawn = [_resampled_means(rng, difference[rows]) for _, rows in members]
    sizes = np.array([rows.sum() for _, rows in members])
    whole = sizes @ np.array(drawn) / sizes.sum()
    found = {name: _interval(difference[rows], means) for (name, rows), means in zip(members, drawn, strict=True)}
    return {**found, "": _interval(difference, whole)}


def choose_elsewhere(variants: Mapping[str, Values], collections: Sequence[str]) -> Nested:
    """For each collection the variant that is best on all others, and what that one scores on it.

    So no score is of data that took part in the choice. Of equals the first is chosen.
    """
    chosen, values = {}, np.empty(len(collections))
    for name, rows in _members(collections).items():
        best = max(variants, key=lambda variant: float(variants[variant][~rows].mean()))
        chosen[name] = best
        values[rows] = variants[best][rows]
    return Nested(chosen, values)


def _members(collections: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    names = np.array(collections)
    return {str(name): names == name for name in np.unique(names)}


def _resampled_means(rng: np.random.Generator, values: Values) -> Values:
    means: Values = values[rng.integers(0, len(values), (_SAMPLES, len(values)))].mean(axis=1)
    return means


def _interval(values: Values, means: Values) -> Difference:
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(float(values.mean()), float(low), float(high))

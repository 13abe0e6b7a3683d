"""How the nearest images are found exactly: a cheap pass with an error bound, a proven cut, a float64 rescore.

A float32 dot product in any order of summation, with or without fused multiply-add, is off by at most
gamma_d |x| |q| with gamma_d = d u / (1 - d u) and u = 2**-24 (Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., eq. 3.5). An image whose float32 score is more than twice that below the k-th best can therefore not be among
the k; every other one is rescored in float64, in one order, so that kernel, batch and threads leave no trace.
A pass over byte codes has its own, wider bound (`hooke.vectors.codes`), and proves its cut after the rescore.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors

GATHER = "gather"
SCAN = "scan"
CODES = "codes"
TAKE = "take"
LISTS = "lists"
UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a stored or a query row may be; the bound allows for it."""

_RESCORE_ROWS = 4096
_CODES_S = 2e-4  # what a pass over codes takes beside its rows: to turn the query into whole numbers, to sort
_CLEARLY = 0.7  # what a product leaves to do for each query is no part of its rates
_GROUP = 32
Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Similarities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds that each kernel takes for a row and a query on one thread of this machine.

    scan: a float32 row after another; gather: anywhere. codes: a row's byte codes one after another; take: anywhere.
    They choose among ways to the same answer.
    """

    gather: float
    scan: float
    codes: float
    take: float


@dataclass(frozen=True, slots=True)
class ProductRates:
    """Seconds of a thread in a product of codes with several queries: for a row, and for each query with a row."""

    row: float
    query: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to score so many of a segment's rows, and the seconds that one thread should need."""

    method: str
    seconds: float


def choose(rates: Rates, wanted: int, rows: int, *, coded: bool) -> Plan:
    """The fastest way to score `wanted` of a segment's rows for one query row."""
    plans = [Plan(SCAN, rows * rates.scan)]
    if wanted < rows:
        plans.append(Plan(GATHER, wanted * rates.gather))
    if coded:
        plans += [Plan(CODES, _CODES_S + rows * rates.codes), Plan(TAKE, _CODES_S + wanted * rates.take)]
    return min(plans, key=lambda plan: plan.seconds)


def pays_together(rates: ProductRates, rows: int, queries: int, alone_s: float) -> bool:
    """Whether one product of all query rows with a segment's codes beats answering one after another."""
    return queries > 1 and rows * (rates.row + queries * rates.query) < _CLEARLY * alone_s


def finalists(scores: Scores, k: int, bound: float) -> Positions:
    """Positions of all that may be among the k best, given that each score is within the bound of the truth."""
    if len(scores) <= k:
        return np.arange(len(scores))
    candidates = np.arange(len(scores))
    if len(scores) > k * _GROUP * 4:
        # k groups have a score at least the k-th best of the groups' best: a lower bound in one quick pass
        whole = len(scores) // _GROUP * _GROUP
        floor = _kth(scores[:whole].reshape(-1, _GROUP).max(axis=1), k)
        candidates = np.flatnonzero(scores >= _below(floor, bound))
        scores = scores[candidates]
    return candidates[scores >= _below(_kth(scores, k), bound)]


def _kth(scores: Scores, k: int) -> float:
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _below(score: float, bound: float) -> np.float32:
    """What a score has to be for the truth to reach a score's truth, rounded downwards."""
    lowest: np.float32 = np.nextafter(np.float32(score - 2 * bound), np.float32(-np.inf))
    return lowest


def error_bound(dim: int) -> float:
    """The most a float32 dot product of two rows of about unit length can be off."""
    unit_roundoff = 2.0**-24
    gamma = dim * unit_roundoff / (1 - dim * unit_roundoff)
    return gamma * (1 + UNIT_TOLERANCE) ** 2


def rescore(matrix: Vectors, queries: Vectors, rows: Positions) -> Similarities:
    """Each named row's largest float64 dot product with a query; a row's value depends on nothing but row and query."""
    wide = queries.astype(np.float64)
    parts = [_rescore_some(matrix[chunk].astype(np.float64), wide) for chunk in _chunks(rows)]
    return np.concatenate(parts) if parts else np.empty(0)


def _rescore_some(rows: Similarities, queries: Similarities) -> Similarities:
    # Not `rows @ queries.T`: BLAS sums in an order that depends on the shapes. Products of float32 are exact here.
    products = [(rows * query).sum(axis=1) for query in queries]
    best: Similarities = np.max(products, axis=0)
    return best


def _chunks(rows: Positions) -> Iterator[Positions]:
    for start in range(0, len(rows), _RESCORE_ROWS):
        yield rows[start : start + _RESCORE_ROWS]

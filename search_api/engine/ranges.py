"""Numbers of a field as ranges: each number where they are few, else some ten ranges of one round width."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hooke.store.base import ValueSet
from hooke.text import number

FEW = 20
"""Numbers that are each listed by themselves."""
_WANTED = 10
_YEAR, _MONTH = 10_000, 100
_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}")

Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float]
"""From, and up to but not including; twice the same number: that number."""


@dataclass(frozen=True)
class Numbers:
    """Every number in a field's sets, and the set it is in; dates: all of them are, as YYYYMMDD."""

    numbers: Floats
    sets: npt.NDArray[np.int64]
    dates: bool

    def among(self, present: npt.NDArray[np.bool_]) -> tuple[list[Bounds], sparse.csr_array]:
        """The ranges over the sets that occur, and (sets, ranges): 1 where a set has a number in a range."""
        here = present[self.sets]
        numbers, sets = self.numbers[here], self.sets[here]
        distinct = np.unique(numbers)
        bounds = divide(distinct, dates=self.dates)
        columns = np.searchsorted([low for low, _ in bounds], numbers, side="right") - 1
        reach = sparse.csr_array((np.ones(len(sets), np.int64), (sets, columns)), shape=(len(present), len(bounds)))
        reach.data[:] = 1  # two numbers of a set in one range count once
        return bounds, reach


def find_numbers(sets: Sequence[ValueSet]) -> Numbers:
    """The numbers among the values of sets."""
    texts = [(text, index) for index, held in enumerate(sets) for text in held.values]
    found = [(value, index, text) for text, index in texts if (value := number(text)) is not None]
    dates = all(_DATE.match(text) for _, _, text in found)
    return Numbers(np.array([n for n, _, _ in found], np.float64), np.array([i for _, i, _ in found], np.int64), dates)


def divide(distinct: Floats, *, dates: bool = False) -> list[Bounds]:
    """Ranges that hold some ascending numbers, each in one of them."""
    if len(distinct) <= FEW:
        return [(n, n) for n in distinct.tolist()]
    low, high = float(distinct[0]), float(distinct[-1])
    edges = _edges(low, high, _width(low, high, whole=bool(np.all(distinct == np.floor(distinct))), dates=dates))
    if _hold(edges, low, high):
        return list(pairwise(edges))
    # numbers too large, or too near each other, for a round width: as many in each range, the last by itself
    starts = distinct[: -1 : math.ceil(len(distinct) / _WANTED)].tolist()
    return [*pairwise([*starts, high]), (high, high)]


def _width(low: float, high: float, *, whole: bool, dates: bool) -> float:
    years = high // _YEAR - low // _YEAR
    if dates and years:
        return _YEAR * max(1.0, _rounded(years / _WANTED))
    if dates and high // _MONTH != low // _MONTH:
        return float(_MONTH)
    width = _rounded(high / _WANTED - low / _WANTED)
    return max(1.0, width) if whole else width


def _rounded(width: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if width <= 0:
        return 0.0
    power = math.floor(math.log10(width))
    return next(found for step in (1, 2, 5, 10, 20) if (found := float(f"{step}e{power}")) >= width)


def _edges(low: float, high: float, width: float) -> list[float]:
    if width == 0:
        return []
    # 12 digits: a multiple of 0.1 is written as such
    return [float(f"{step * width:.12g}") for step in range(math.floor(low / width), math.floor(high / width) + 2)]


def _hold(edges: Sequence[float], low: float, high: float) -> bool:
    rising = all(start < end for start, end in pairwise(edges))
    return bool(edges) and rising and -math.inf < edges[0] <= low and high < edges[-1] < math.inf

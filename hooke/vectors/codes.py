"""A segment's rows in one byte a value, with a bound on what that loses: a quick first pass that proves its cut.

A row x is stored as whole numbers c in [-128, 127], so that x is middle + scale * c up to a rest whose length the
segment's `error` bounds. A query q is turned into whole numbers t in [-127, 127], q * scale = step * t + rest. Then

    q x = q middle + step * (t c)  within  |q| error + |rest| reach,    reach: the longest c

by Cauchy and Schwarz; t c is a dot product of whole numbers, exact where float32 counts them all (dim <= 1,024), and
within Higham's bound beyond. The codes are a cache: made by us from the rows, checked before use, rebuilt at will.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors
from hooke.vectors.checked import FAULTS, About, read_arrays, write_arrays
from hooke.vectors.kernels import CodeRows, nearest_codes
from hooke.vectors.planner import Positions, Similarities, error_bound

FORMAT = 2
_CHUNK_ROWS = 2048
_SLACK = 1e-9  # float64 roundings of numbers below 2, a thousand of them


@dataclass(frozen=True, slots=True)
class WholeQuery:
    """A query row in whole numbers (dim,) from -127 to 127: its similarity to a row is base + step * (numbers c).

    error: how far off that is at most.
    """

    numbers: Similarities
    base: float
    step: float
    error: float

    def similarities(self, products: npt.NDArray[np.generic]) -> Similarities:
        """What dot products with codes say of the rows' similarities."""
        return self.base + self.step * products.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Codes:
    """A segment's rows as bytes: `values` (rows, dim), each plus 128; `middle` and `scale` (dim,)."""

    values: CodeRows
    middle: Similarities
    scale: Similarities
    error: float
    reach: float

    def whole(self, query: Vectors) -> WholeQuery:
        """A query row in whole numbers."""
        wide = query.astype(np.float64)
        weights = wide * self.scale
        step = float(np.abs(weights).max()) / 127 or 1.0
        numbers = np.rint(weights / step)
        rest = float(np.linalg.norm(weights - step * numbers))
        counted = error_bound(len(query)) * step * float(np.linalg.norm(numbers)) * self.reach
        error = float(np.linalg.norm(wide)) * self.error + rest * self.reach + counted + _SLACK
        return WholeQuery(numbers, float(wide @ self.middle), step, error)

    def nearest(self, query: Vectors, depth: int, rows: slice | Positions) -> tuple[Positions, Similarities, float]:
        """The `depth` best of the rows by estimate, best first; the estimates; how far off they are at most."""
        whole = self.whole(query)
        numbers = whole.numbers.astype(np.float32)
        if isinstance(rows, slice):
            found, products = nearest_codes(self.values[rows], numbers, depth)
            found = found + rows.start
        else:
            found, products = nearest_codes(self.values, numbers, depth, rows)
        return found, whole.similarities(products), whole.error


def encode(rows: Vectors) -> Codes:
    """The codes of rows, with bounds computed in float64."""
    lowest, highest = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    middle, scale = (lowest + highest) / 2, (highest - lowest) / 255
    steps = np.where(scale > 0, scale, 1.0)
    values = np.empty(rows.shape, dtype=np.uint8)
    errors, reaches = [0.0], [0.0]
    for start in range(0, len(rows), _CHUNK_ROWS):
        wide = rows[start : start + _CHUNK_ROWS].astype(np.float64) - middle
        whole = np.clip(np.rint(wide / steps), -128, 127)
        values[start : start + _CHUNK_ROWS] = whole + 128
        wide -= whole * scale
        errors.append(float(np.einsum("ij,ij->i", wide, wide).max()))
        reaches.append(float(np.einsum("ij,ij->i", whole, whole).max()))
    return Codes(values, middle, scale, max(errors) ** 0.5 + _SLACK, max(reaches) ** 0.5 * (1 + _SLACK))


def cached_codes(path: Path, rows: Vectors, source: str) -> Codes:
    """The codes of rows, from their file where it holds, else made and written. source: the checksum of the rows."""
    codes = _read(path, rows.shape, source)
    if codes is not None:
        return codes
    made = encode(rows)
    with suppress(OSError):  # a cache: where it cannot be written, memory holds it
        _write(path, made, source)
        return _read(path, rows.shape, source) or made
    return made


def _write(path: Path, codes: Codes, source: str) -> None:
    about = {**_expected(codes.values.shape, source), "error": codes.error.hex(), "reach": codes.reach.hex()}
    write_arrays(path, about, (codes.middle, codes.scale, codes.values))


def _read(path: Path, shape: tuple[int, ...], source: str) -> Codes | None:
    """None for a file that is not there, is damaged, or is of other rows."""
    try:
        body, (middle, scale, values) = read_arrays(path, _expected(shape, source))
        error, reach = float.fromhex(body["error"]), float.fromhex(body["reach"])
        return Codes(values, middle, scale, error, reach)  # type: ignore[arg-type]  # as written
    except FAULTS:
        return None


def _expected(shape: tuple[int, ...], source: str) -> About:
    return {"format": FORMAT, "source": source, "shape": list(shape)}

"""How the nearest images are found exactly: a float32 pass over the candidates, a proven cut, a float64 rescore.

A float32 dot product in any order of summation, with or without fused multiply-add, is off by at most
gamma_d |x| |q| with gamma_d = d u / (1 - d u) and u = 2**-24 (Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., eq. 3.5). An image whose float32 score is more than twice that below the k-th best can therefore not be among
the k; every other one is rescored in float64, in one order, so that kernel, batch and threads leave no trace.
Owner of FAISS.
"""

from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors

GATHER = "gather"
SCAN = "scan"
UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a stored or a query row may be; the bound allows for it."""

_GATHER_BELOW = 0.5  # of the rows; measured by benchmarks/vectors.py: a gathered row costs about twice a scanned one
_RESCORE_ROWS = 4096
Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Similarities = npt.NDArray[np.float64]


def choose(candidates: int, rows: int) -> str:
    """The faster kernel for scoring so many of a segment's rows."""
    return GATHER if candidates < _GATHER_BELOW * rows else SCAN


def gather(matrix: Vectors, queries: Vectors, rows: Positions) -> Scores:
    """Each named row's largest float32 dot product with a query, touching no other row."""
    # FAISS starts a thread team even for one query (20 instead of 10 ms); the setting is per calling thread.
    faiss.omp_set_num_threads(1)
    rows = np.ascontiguousarray(rows)
    products = np.empty(len(rows), dtype=np.float32)
    best = np.full(len(rows), -np.inf, dtype=np.float32)
    for query in queries:
        faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]  # faiss's stub leaves its kernels out
            faiss.swig_ptr(products),
            faiss.swig_ptr(np.ascontiguousarray(query)),
            faiss.swig_ptr(matrix),
            faiss.swig_ptr(rows),
            matrix.shape[1],
            1,
            len(rows),
        )
        np.maximum(best, products, out=best)
    return best


def scan(matrix: Vectors, queries: Vectors) -> Scores:
    """Every row's largest float32 dot product with a query."""
    best: Scores = matrix @ queries[0]
    for query in queries[1:]:
        np.maximum(best, matrix @ query, out=best)
    return best


def finalists(scores: Scores, k: int, dim: int) -> Positions:
    """Positions of all that may be among the k best, given that each score is within the float32 bound of the truth."""
    if len(scores) <= k:
        return np.arange(len(scores))
    kth = float(np.partition(scores, len(scores) - k)[len(scores) - k])
    return np.flatnonzero(scores >= np.nextafter(np.float32(kth - 2 * error_bound(dim)), np.float32(-np.inf)))


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

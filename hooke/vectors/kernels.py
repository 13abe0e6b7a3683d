"""The loops over rows, each on the thread that calls it. Owner of FAISS."""

from collections.abc import Callable, Iterator

import faiss
import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors
from hooke.vectors.planner import Positions, Scores

CodeRows = npt.NDArray[np.uint8]
_TAKEN_ROWS = 2048  # their codes stay in the cache
_BLOCK_ROWS = 32_768  # of a product: its scores for 32 queries, 4 MB, stay in the cache


def gather(matrix: Vectors, queries: Vectors, rows: Positions) -> Scores:
    """Each named row's largest float32 dot product with a query, touching no other row."""
    rows = np.ascontiguousarray(rows)
    return _largest(
        queries,
        len(rows),
        lambda products, query: faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]  # faiss's stub leaves its kernels out
            products, query, faiss.swig_ptr(matrix), faiss.swig_ptr(rows), matrix.shape[1], 1, len(rows)
        ),
    )


def scan(matrix: Vectors, queries: Vectors) -> Scores:
    """Every row's largest float32 dot product with a query."""
    return _largest(
        queries,
        len(matrix),
        lambda products, query: faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]  # as above
            products, query, faiss.swig_ptr(matrix), matrix.shape[1], len(matrix)
        ),
    )


def product(matrix: Vectors, queries: Vectors, begins: Positions) -> Iterator[tuple[int, int, Vectors]]:
    """Every row's float32 dot product with every query, block by block: first image, last image, (queries, rows).

    begins: the first row of each image and one past the last row; a block holds whole images.
    """
    first = 0
    while first < len(begins) - 1:
        last = int(np.searchsorted(begins, begins[first] + _BLOCK_ROWS, side="right")) - 1
        last = max(last, first + 1)
        yield first, last, queries @ matrix[begins[first] : begins[last]].T
        first = last


def nearest_codes(codes: CodeRows, query: Vectors, depth: int) -> tuple[Positions, Scores]:
    """The `depth` rows of the largest dot product with a query of whole numbers in [-127, 127], best first.

    codes: (rows, dim), each value plus 128. Fewer come back only when there are fewer.
    """
    scores = np.full(depth, -np.inf, dtype=np.float32)
    labels = np.full(depth, -1, dtype=np.int64)
    # FAISS has this kernel in a quantiser's scanner alone; over raw memory it needs no index and no file of FAISS's
    quantiser = faiss.ScalarQuantizer(codes.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed)
    scanner = quantiser.select_InvertedListScanner(  # type: ignore[attr-defined]  # as above
        faiss.METRIC_INNER_PRODUCT, None, True, None, False
    )
    scanner.set_query(faiss.swig_ptr(query))
    scanner.set_list(0, 0.0)
    pointers = (faiss.swig_ptr(codes), None, faiss.swig_ptr(scores), faiss.swig_ptr(labels))
    scanner.scan_codes(len(codes), *pointers, depth)
    return _best(labels[labels >= 0], scores[labels >= 0], depth)


def nearest_taken(codes: CodeRows, rows: Positions, query: Vectors, depth: int) -> tuple[Positions, Scores]:
    """The same of the named rows only."""
    # A selector costs more: it is asked row by row, and its branch is guessed wrong.
    some = np.empty((min(_TAKEN_ROWS, len(rows)), codes.shape[1]), dtype=np.uint8)
    labels, scores = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for start in range(0, len(rows), _TAKEN_ROWS):
        here = rows[start : start + _TAKEN_ROWS]
        found, products = nearest_codes(np.take(codes, here, axis=0, out=some[: len(here)], mode="clip"), query, depth)
        labels.append(here[found])
        scores.append(products)
    return _best(np.concatenate(labels), np.concatenate(scores), depth)


def _best(labels: Positions, scores: Scores, depth: int) -> tuple[Positions, Scores]:
    order = np.lexsort((labels, -scores))[:depth]
    return labels[order], scores[order]


def _largest(queries: Vectors, rows: int, multiply: Callable[[object, object], None]) -> Scores:
    # FAISS starts a thread team even for one query (20 instead of 10 ms); the setting is per calling thread.
    faiss.omp_set_num_threads(1)
    best = np.empty(rows, dtype=np.float32)
    multiply(faiss.swig_ptr(best), faiss.swig_ptr(np.ascontiguousarray(queries[0])))
    products = np.empty_like(best) if len(queries) > 1 else best
    for query in queries[1:]:
        multiply(faiss.swig_ptr(products), faiss.swig_ptr(np.ascontiguousarray(query)))
        np.maximum(best, products, out=best)
    return best

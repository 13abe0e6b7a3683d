"""The loops over rows, each on the thread that calls it. Owner of FAISS, and of the one product that torch makes."""

from collections.abc import Callable, Iterable, Iterator

import faiss
import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Vectors
from hooke.vectors.planner import Positions, Scores

CodeRows = npt.NDArray[np.uint8]
Products = npt.NDArray[np.int32]
_TAKEN_ROWS = 2048  # their codes stay in the cache
_QUERY_BITS = (
    8  # RaBitQ's of the query: of 4, one in 200 of the ten nearest is missed more; of 0, it takes 100 times as long
)
_TRIED_ROWS = 2_048
_BLOCK_ROWS = 8_192  # of a product: its codes, 3 MB, and its scores for 32 queries, 1 MB, stay in the cache


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


def product(
    codes: CodeRows, queries: npt.NDArray[np.int8], begins: Positions, first: int, last: int
) -> Iterator[tuple[int, int, Products]]:
    """Dot products of codes and queries of whole numbers, block by block: first image, last, (rows, queries) int32.

    codes: (rows, dim), each value plus 128. begins: the first row of each image and one past the last row; those of
    images [first, last) are read, a block holds whole images, and its products are overwritten by the next one's.
    Exact for any dim below 100,000 where `has_exact_product`. Raises ImportError, OSError, AttributeError or
    RuntimeError where torch cannot do it.
    """
    import torch  # seconds, which only searches that arrive together have to wait for

    # The callers are the threads. As the embedding wants it (hooke.embed.timm), and as it is for the whole process.
    torch.set_num_threads(1)
    turned = torch.from_numpy(np.ascontiguousarray(queries.T))
    signed, products = np.empty((0, codes.shape[1]), np.uint8), torch.empty(0)
    while first < last:
        end = min(last, max(first + 1, int(np.searchsorted(begins, begins[first] + _BLOCK_ROWS, side="right")) - 1))
        some = codes[begins[first] : begins[end]]
        if len(some) > len(signed):
            signed = np.empty(some.shape, np.uint8)
            products = torch.empty((len(some), len(queries)), dtype=torch.int32)
        # with its highest bit turned, a value plus 128 is the value as int8
        np.bitwise_xor(some, 128, out=signed[: len(some)])
        here = products[: len(some)]
        torch._int_mm(torch.from_numpy(signed[: len(some)].view(np.int8)), turned, out=here)
        yield first, end, here.numpy()
        first = end


def has_exact_product(dim: int, queries: int) -> bool:
    """Whether torch multiplies whole numbers exactly on this processor. Raises as `product`.

    Without instructions for it (VNNI), oneDNN adds pairs of products in 16 bits that do not hold them:
    https://uxlfoundation.github.io/oneDNN/dev_guide_int8_computations.html
    """
    codes = np.full((_TRIED_ROWS, dim), 255, np.uint8)
    codes[1::2] = 0
    numbers = np.full((queries, dim), 127, np.int8)
    numbers[1::2] = -127
    expected = (codes - 128.0) @ numbers.T  # float64, which holds them all
    blocks = product(codes, numbers, np.arange(len(codes) + 1), 0, len(codes))
    return all(np.array_equal(found, expected[first:last]) for first, last, found in blocks)


def group_bests(products: Products, size: int) -> Products:
    """The best of each `size` products (rows, columns) after one another; the last group may be smaller."""
    import torch  # as above; NumPy takes ten times as long for it, and lets no other thread run meanwhile

    whole = len(products) // size
    bests = torch.from_numpy(products[: whole * size]).view(whole, size, products.shape[1]).amax(1).numpy()
    rest = products[whole * size :]
    return np.concatenate([bests, rest.max(axis=0, keepdims=True)]) if len(rest) else bests


def nearest_codes(
    codes: CodeRows, query: Vectors, depth: int, rows: Positions | None = None
) -> tuple[Positions, Scores]:
    """The `depth` rows of the largest dot product with a query of whole numbers in [-127, 127], best first.

    codes: (rows, dim), each value plus 128. rows: those to look at, None for all. Fewer come back only when there are
    fewer.
    """
    scores = np.full(depth, -np.inf, dtype=np.float32)
    labels = np.full(depth, -1, dtype=np.int64)
    heap = (faiss.swig_ptr(scores), faiss.swig_ptr(labels), depth)
    # FAISS has this kernel in a quantiser's scanner alone; over raw memory it needs no index and no file of FAISS's
    quantiser = faiss.ScalarQuantizer(codes.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed)
    scanner = quantiser.select_InvertedListScanner(  # type: ignore[attr-defined]  # faiss's stub leaves its kernels out
        faiss.METRIC_INNER_PRODUCT, None, True, None, False
    )
    scanner.set_query(faiss.swig_ptr(query))
    if rows is None:
        scanner.set_list(0, 0.0)
        scanner.scan_codes(len(codes), faiss.swig_ptr(codes), None, *heap)
        return _best(labels, scores)
    # Copied, to be read in one go: a selector is asked row by row and its branch guessed wrong, at twice the cost.
    some = np.empty((min(_TAKEN_ROWS, len(rows)), codes.shape[1]), dtype=np.uint8)
    for start in range(0, len(rows), _TAKEN_ROWS):
        here = rows[start : start + _TAKEN_ROWS]
        np.take(codes, here, axis=0, out=some[: len(here)], mode="clip")
        scanner.set_list(start, 0.0)
        scanner.scan_codes(len(here), faiss.swig_ptr(some), None, *heap)
    found, scores = _best(labels, scores)
    return rows[(found >> 32) + (found & 0xFFFFFFFF)], scores


class RaBitQ:
    """Codes of one bit a value, of what parts rows from their centres. FAISS is given raw memory; it has no lists.

    Safe to search with from several threads.
    """

    def __init__(self, centres: Vectors) -> None:
        self._centres = faiss.IndexFlatL2(centres.shape[1])
        self._centres.add(np.ascontiguousarray(centres))
        self._index = faiss.IndexIVFRaBitQ(self._centres, centres.shape[1], len(centres), faiss.METRIC_L2)
        self._index.is_trained = True

    @property
    def code_bytes(self) -> int:
        """The bytes of a row's code."""
        return int(self._index.code_size)

    def assign(self, rows: Vectors) -> tuple[npt.NDArray[np.int64], Scores]:
        """The nearest centre of each row, and the squared distance."""
        distances, numbers = self._centres.search(rows, 1)
        return numbers[:, 0], distances[:, 0]

    def encode(self, rows: Vectors, lists: npt.NDArray[np.int32]) -> CodeRows:
        """The codes of rows of these centres: (rows, code_bytes)."""
        codes = np.empty((len(rows), self.code_bytes), dtype=np.uint8)
        numbers = lists.astype(np.int64)
        self._index.encode_vectors(len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(numbers), faiss.swig_ptr(codes))
        return codes

    def nearest(
        self,
        query: Vectors,
        depth: int,
        codes: CodeRows,
        numbers: Positions,
        ranges: Iterable[tuple[int, slice]],
        wanted: npt.NDArray[np.uint8] | None,
    ) -> tuple[Positions, Scores]:
        """The numbers of the `depth` rows nearest by estimated squared distance, and that, in no order.

        ranges: the centres, and where in `codes` and `numbers` their rows are. wanted: a bit a number; None: all.
        """
        distances = np.full(depth, np.inf, dtype=np.float32)
        labels = np.full(depth, -1, dtype=np.int64)
        heap = (faiss.swig_ptr(distances), faiss.swig_ptr(labels), depth)
        asked = faiss.IVFRaBitQSearchParameters()
        asked.qb = _QUERY_BITS
        # named, as the scanner holds but a pointer to it
        selector = None if wanted is None else faiss.IDSelectorBitmap(len(wanted), faiss.swig_ptr(wanted))
        scanner = self._index.get_InvertedListScanner(False, selector, asked)
        query = np.ascontiguousarray(query)
        scanner.set_query(faiss.swig_ptr(query))
        for centre, here in ranges:
            scanner.set_list(centre, 0.0)
            some = (faiss.swig_ptr(codes[here]), faiss.swig_ptr(numbers[here]))
            scanner.scan_codes(here.stop - here.start, *some, *heap)
        found = labels >= 0
        return labels[found], distances[found]


def _best(labels: Positions, scores: Scores) -> tuple[Positions, Scores]:
    """What a heap holds, best first. FAISS labels a row by its list, shifted by 32 bits, and its place there."""
    order = np.lexsort((labels, -scores))
    order = order[labels[order] >= 0]
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

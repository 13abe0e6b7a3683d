"""How fast this machine runs each kernel: measured once a process, on memory of its own."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from hooke.vectors import kernels
from hooke.vectors.planner import ProductRates, Rates

logger = logging.getLogger(__name__)

_BLOCKS = 8
_BLOCK_BYTES = 6 * 2**20  # together more than most caches hold, alone done before another program gets its turn
_QUERIES = 32


def typical_rates(dim: int) -> Rates:
    """What to expect before anything is measured: two cores of 2025 at 384 values a row."""
    return Rates(*(seconds * dim / 384 for seconds in (1.2e-7, 6e-8, 1.2e-8, 8e-8)))


@cache
def measured_rates(dim: int) -> Rates:
    """The rates of rows of this length. Another load on the machine changes them, and with them no answer."""
    rows, blocks = _memory(dim)
    matrix, codes = blocks.reshape(-1, dim), _as_codes(blocks)
    every = codes.reshape(-1, dim)
    whole = np.rint(127 * matrix[0])
    order = np.random.default_rng(1).permutation(len(matrix)).reshape(_BLOCKS, -1)[:, : rows // 2]
    return Rates(
        gather=_seconds(lambda block: kernels.gather(matrix, matrix[:1], order[block])) / order.shape[1],
        scan=_seconds(lambda block: kernels.scan(blocks[block], matrix[:1])) / rows,
        codes=_seconds(lambda block: kernels.nearest_codes(codes[block], whole, 64)) / codes.shape[1],
        take=_seconds(lambda block: kernels.nearest_codes(every, whole, 64, order[block])) / order.shape[1],
    )


@cache
def measured_product_rates(dim: int) -> ProductRates:
    """The rates of a product of codes; without end where torch cannot make it, or not exactly."""
    codes = _as_codes(_memory(dim)[1])
    rows = codes.shape[1]
    begins = np.arange(rows + 1)
    queries = codes.view(np.int8)[0, :_QUERIES]

    def seconds(count: int) -> float:
        return _seconds(lambda block: deque(kernels.product(codes[block], queries[:count], begins, 0, rows), 0))

    try:
        if not all(kernels.has_exact_product(dim, count) for count in (1, 2, _QUERIES)):
            logger.info("searches that arrive together are answered one by one: this processor has no exact product")
            return ProductRates(math.inf, math.inf)
        one, many = seconds(1), seconds(_QUERIES)
    except (ImportError, OSError, AttributeError, RuntimeError):
        logger.info("searches that arrive together are answered one by one", exc_info=True)
        return ProductRates(math.inf, math.inf)
    each = max(0.0, many - one) / (_QUERIES - 1)
    return ProductRates(row=max(0.0, one - each) / rows, query=each / rows)


def _memory(dim: int) -> tuple[int, npt.NDArray[np.float32]]:
    """How many rows a block has, and the blocks: (blocks, rows, dim)."""
    rows = max(_BLOCK_BYTES // (4 * dim), 64)
    return rows, np.random.default_rng(0).random((_BLOCKS, rows, dim), dtype=np.float32)


def _as_codes(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return blocks.view(np.uint8).reshape(_BLOCKS, -1, blocks.shape[2])


def _seconds(action: Callable[[int], object]) -> float:
    """The least time of the processor for a block: what interrupts it is no part of its cost."""
    times = []
    for block in range(_BLOCKS):
        start = time.thread_time()
        action(block)
        times.append(time.thread_time() - start)
    return min(times)

"""How fast this machine runs each kernel: measured once a process, on memory of its own."""

import time
from collections.abc import Callable
from functools import cache

import numpy as np

from hooke.vectors import kernels
from hooke.vectors.planner import Rates

_BLOCKS = 8
_BLOCK_BYTES = 6 * 2**20  # together more than most caches hold, alone done before another program gets its turn
_QUERIES = 32


def typical_rates(dim: int) -> Rates:
    """What to expect before anything is measured: two cores of 2025 at 384 values a row."""
    return Rates(*(seconds * dim / 384 for seconds in (1.2e-7, 6e-8, 1.2e-8, 8e-8, 6e-9)))


@cache
def measured_rates(dim: int) -> Rates:
    """The rates of rows of this length. Another load on the machine changes them, and with them no answer."""
    rows = max(_BLOCK_BYTES // (4 * dim), 64)
    blocks = np.random.default_rng(0).random((_BLOCKS, rows, dim), dtype=np.float32)
    matrix, codes = blocks.reshape(-1, dim), blocks.view(np.uint8).reshape(_BLOCKS, -1, dim)
    queries, begins = matrix[:_QUERIES].copy(), np.arange(rows + 1)
    every = codes.reshape(-1, dim)
    whole = np.rint(127 * queries[0])
    order = np.random.default_rng(1).permutation(len(matrix)).reshape(_BLOCKS, -1)[:, : rows // 2]
    return Rates(
        gather=_seconds(lambda block: kernels.gather(matrix, queries[:1], order[block])) / order.shape[1],
        scan=_seconds(lambda block: kernels.scan(blocks[block], queries[:1])) / rows,
        codes=_seconds(lambda block: kernels.nearest_codes(codes[block], whole, 64)) / codes.shape[1],
        take=_seconds(lambda block: kernels.nearest_codes(every, whole, 64, order[block])) / order.shape[1],
        product=_seconds(lambda block: list(kernels.product(blocks[block], queries, begins))) / rows / _QUERIES,
    )


def _seconds(action: Callable[[int], object]) -> float:
    """The least time of the processor for a block: what interrupts it is no part of its cost."""
    times = []
    for block in range(_BLOCKS):
        start = time.thread_time()
        action(block)
        times.append(time.thread_time() - start)
    return min(times)

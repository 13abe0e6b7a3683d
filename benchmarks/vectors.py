"""How fast exact search is, as ratios to FAISS's flat index in the same run.

`python -m benchmarks.vectors [--rows 100000] [--dim 384]` builds one segment of random unit rows, and times one query
(k = 10) against `faiss.IndexFlatIP.search` over the same rows, first unfiltered, then with random filters of 50, 10, 1
and 0.1 % against the unfiltered search. Every answer is checked against a float64 ranking.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from pyroaring import BitMap

from hooke.vectors.base import Block, VectorReader, Vectors
from hooke.vectors.segments import SegmentStore

_K = 10
_REPEATS = 31


def median_ms(action: Callable[[], object]) -> float:
    """The median time of an action in milliseconds, after one unmeasured run."""
    action()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def unit_rows(count: int, dim: int) -> Vectors:
    rows = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def check(reader: VectorReader, rows: Vectors, query: Vectors, allowed: BitMap | None) -> None:
    """Stop the benchmark when an answer is not the float64 ranking."""
    exact = np.concatenate([(part.astype(np.float64) * query[0]).sum(axis=1) for part in np.array_split(rows, 50)])
    if allowed is not None:
        mask = np.zeros(len(rows), dtype=bool)
        mask[np.frombuffer(allowed.to_array(), dtype=np.uint32)] = True
        exact[~mask] = -np.inf
    expected = np.lexsort((np.arange(len(rows)), -exact))[:_K].tolist()
    found = [hit.ordinal for hit in reader.search(query, _K, allowed=allowed).hits]
    if found != expected:
        raise SystemExit(f"wrong answer: {found} instead of {expected}")


def unfiltered(reader: VectorReader, rows: Vectors, query: Vectors) -> float:
    """Milliseconds of one unfiltered search, printed as a ratio to FAISS with its default and with one thread."""
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    threads = faiss.omp_get_max_threads()
    ours = median_ms(lambda: reader.search(query, _K))
    for count in sorted({threads, 1}, reverse=True):
        faiss.omp_set_num_threads(count)
        theirs = median_ms(lambda: flat.search(query, _K))
        print(f"IndexFlatIP, {count} threads: {theirs:8.2f} ms   ours {ours:8.2f} ms   {theirs / ours:6.2f} x faster")
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    arguments = parser.parse_args()
    rows = unit_rows(arguments.rows, arguments.dim)
    query = unit_rows(arguments.rows + 1, arguments.dim)[-1:]
    numbers = np.arange(len(rows), dtype=np.uint32)
    with tempfile.TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder), "0" * 64)
        name = store.append(Block(rows, numbers, numbers.astype(np.uint64)))
        print(f"{arguments.rows} rows x {arguments.dim}; opening {median_ms(lambda: store.read([name])):.2f} ms")
        reader = store.read([name])
        check(reader, rows, query, None)
        whole = unfiltered(reader, rows, query)
        for share in (0.5, 0.1, 0.01, 0.001):
            chosen = np.random.default_rng(1).choice(numbers, int(share * len(rows)), replace=False)
            allowed = BitMap(chosen)
            check(reader, rows, query, allowed)
            method = reader.search(query, _K, allowed=allowed).method
            taken = median_ms(partial(reader.search, query, _K, allowed=allowed))
            print(f"filter {share:7.1%} {method:7} {taken:8.2f} ms   {taken / whole:6.3f} of unfiltered")


if __name__ == "__main__":
    main()

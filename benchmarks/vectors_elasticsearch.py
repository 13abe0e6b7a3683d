"""How much of the exact answer Elasticsearch's kNN finds, and how long it takes, at every selectivity.

`python -m benchmarks.vectors_elasticsearch [--url http://localhost:9200/hooke-benchmark] [--rows 100000] [--dim 384]
[--spread 0.7]` writes clustered unit rows to one index a method, and asks for the 10 nearest images under random
filters of 100 to 0.01 %. recall: the share of what FAISS finds by scoring every allowed row. Times are medians of whole
searches; FAISS searches with an `IDSelectorBatch`, one thread, and SegmentStore is Hooke's own exact search in files.
Answers that are said to be exact have to be SegmentStore's, to the last bit. The indices are removed in the end.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import faiss
import numpy as np
from pyroaring import BitMap

from hooke.settings import read_settings
from hooke.store.elasticsearch.cluster import connect
from hooke.store.location import Location, read_location
from hooke.vectors.base import Block, VectorReader, Vectors
from hooke.vectors.elasticsearch import ElasticsearchVectors, Method
from hooke.vectors.elasticsearch.layout import index_name
from hooke.vectors.segments import SegmentStore

_K = 10
_QUERIES = 50
_SHARES = (1.0, 0.1, 0.01, 0.001, 0.0001)
_CLUSTERS_OF = 200


@dataclass(frozen=True, slots=True)
class Collection:
    """Rows, and queries that are new members of the rows' clusters."""

    rows: Vectors
    queries: Vectors

    @property
    def block(self) -> Block:
        """All rows, one an image."""
        numbers = np.arange(len(self.rows), dtype=np.uint32)
        return Block(self.rows, numbers, numbers.astype(np.uint64))


def clustered(rows: int, dim: int, spread: float) -> Collection:
    """Rows about centres; spread: how far, in the centres' own standard deviations."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((max(1, rows // _CLUSTERS_OF), dim), dtype=np.float32)
    made = centres[generator.integers(0, len(centres), rows + _QUERIES)]
    made += np.float32(spread) * generator.standard_normal(made.shape, dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return Collection(made[:rows], made[rows:])


def timed_ms(search: Callable[[Vectors], list[int]], queries: Vectors) -> tuple[list[list[int]], float]:
    """The answers to all queries, and the median milliseconds of one."""
    search(queries[:1])
    answers, times = [], []
    for query in queries:
        start = time.perf_counter()
        answers.append(search(query[np.newaxis]))
        times.append(time.perf_counter() - start)
    return answers, statistics.median(times) * 1000


def recall(answers: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> float:
    """The share of the true neighbours that were found."""
    found = sum(len(set(answer) & set(true)) for answer, true in zip(answers, truth, strict=True))
    return found / sum(map(len, truth))


def faiss_search(flat: faiss.IndexFlatIP, allowed: BitMap | None) -> Callable[[Vectors], list[int]]:
    chosen = None if allowed is None else np.frombuffer(allowed.to_array(), dtype=np.uint32).astype(np.int64)
    # faiss's stub leaves the keyword arguments of its wrappers out
    parameters = None if chosen is None else faiss.SearchParameters(sel=faiss.IDSelectorBatch(chosen))  # type: ignore[call-arg]

    def search(query: Vectors) -> list[int]:
        found = flat.search(query, _K, params=parameters)[1][0]
        return [int(ordinal) for ordinal in found if ordinal >= 0]

    return search


def reader_search(reader: VectorReader, allowed: BitMap | None) -> Callable[[Vectors], list[int]]:
    return lambda query: [hit.ordinal for hit in reader.search(query, _K, allowed=allowed).hits]


def filters(rows: int) -> dict[float, BitMap | None]:
    """A random set of images for each selectivity."""
    generator = np.random.default_rng(1)
    numbers = np.arange(rows, dtype=np.uint32)
    return {
        share: None if share == 1 else BitMap(generator.choice(numbers, max(1, round(share * rows)), replace=False))
        for share in _SHARES
    }


def compare(reader: VectorReader, reference: VectorReader, made: Collection, name: str) -> None:
    """Print a method's recall and time at each selectivity. Stops the benchmark where an exact answer is wrong."""
    flat = faiss.IndexFlatIP(made.rows.shape[1])
    flat.add(made.rows)
    faiss.omp_set_num_threads(1)
    for share, allowed in filters(len(made.rows)).items():
        truth, faiss_ms = timed_ms(faiss_search(flat, allowed), made.queries)
        answers, taken = timed_ms(reader_search(reader, allowed), made.queries)
        exact = sum(reader.search(query[np.newaxis], _K, allowed=allowed).exact for query in made.queries[:5]) == 5
        if exact and any(
            reader.search(query[np.newaxis], _K, allowed=allowed).hits
            != reference.search(query[np.newaxis], _K, allowed=allowed).hits
            for query in made.queries
        ):
            raise SystemExit(f"{name}, {share:.2%}: an answer that is said to be exact is not SegmentStore's")
        print(
            f"{name:12} {share:8.2%}  recall@{_K} {recall(answers, truth):6.3f}  {'exact' if exact else 'approx':6}"
            f" {taken:8.2f} ms   FAISS {faiss_ms:7.2f} ms",
            flush=True,
        )


def measure(location: Location, method: Method, made: Collection, reference: VectorReader) -> None:
    """Write an index of one method, measure it, and remove it."""
    settings = read_settings().cluster
    store = ElasticsearchVectors(location, settings, "0" * 64, method=method)
    client = connect(location, settings)
    index = index_name(location, "0" * 64)
    try:
        start = time.perf_counter()
        name = store.append(made.block)
        size = client.indices.stats(index=index)["_all"]["primaries"]["store"]["size_in_bytes"]
        print(f"{method:12} written in {time.perf_counter() - start:.0f} s, {size / 2**20:.0f} MiB", flush=True)
        compare(store.read([name]), reference, made, method)
    finally:
        client.options(ignore_status=404).indices.delete(index=index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:9200/hooke-benchmark")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--spread", type=float, default=0.7, help="of a cluster; 3 leaves hardly any clusters")
    parser.add_argument("--methods", nargs="+", choices=get_args(Method), default=get_args(Method))
    arguments = parser.parse_args()
    made = clustered(arguments.rows, arguments.dim, arguments.spread)
    print(f"{arguments.rows} rows x {arguments.dim}, {_QUERIES} queries, the {_K} nearest")
    with tempfile.TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder), "0" * 64)
        reference = store.read([store.append(made.block)])
        compare(reference, reference, made, "SegmentStore")
        for method in arguments.methods:
            measure(read_location(arguments.url), method, made, reference)


if __name__ == "__main__":
    main()

"""How fast exact search is, as ratios in one run: the table of docs/vectors.md.

`python -m benchmarks.vectors [--rows 100000] [--dim 384] [--data clustered|random] [--clock wall|cpu]` builds an
index of unit rows and prints each ratio with its target. What is compared is timed in turns, so that another load on
the machine weighs on both; every answer is checked against a float64 ranking.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.vectors import planner, prepare
from hooke.vectors.base import Block, Neighbours, Vectors
from hooke.vectors.columns import live_images
from hooke.vectors.reader import SegmentReader
from hooke.vectors.segments import SegmentStore
from hooke.vectors.train import train
from hooke.vectors.workers import usable_threads
from hooke.views import Kind

_K = 10
_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001, 0.00001)
_QUERIES = 64


@dataclass(slots=True)
class Results:
    """What was measured, printed as it comes."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, what: str, value: float, target: str, *, reached: bool | None) -> None:
        """Print a value, and keep it."""
        mark = {True: "reached", False: "MISSED", None: "-"}[reached]
        print(f"{name:4} {what:66} {value:9.3f}  target {target:18} {mark}", flush=True)
        self.rows.append({"id": name, "what": what, "value": value, "target": target, "reached": reached})


@dataclass(frozen=True, slots=True)
class Collection:
    """Rows, queries near some of them, and an open index of them."""

    rows: Vectors
    queries: Vectors
    store: SegmentStore
    segments: tuple[str, ...]
    reader: SegmentReader
    flat: faiss.IndexFlatIP

    def query(self, number: int) -> Vectors:
        """One of the queries, again and again; shape (1, dim)."""
        begin = number % len(self.queries)
        return self.queries[begin : begin + 1]

    def flat_search(self, queries: Vectors, threads: int) -> None:
        """The same by FAISS."""
        faiss.omp_set_num_threads(threads)
        self.flat.search(queries, _K)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def in_turns(*actions: Callable[[int], object], repeats: int = 31) -> list[float]:
    """The median milliseconds of each action, one after the other again and again; they get the number of the turn."""
    times: list[list[float]] = [[] for _ in actions]
    for turn in range(-1, repeats):
        for taken, action in zip(times, actions, strict=True):
            start = clock()
            action(turn)
            taken.append(clock() - start)
    return [statistics.median(taken[1:]) * 1000 for taken in times]


def unit(rows: Vectors) -> Vectors:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def make_rows(kind: str, count: int, dim: int) -> Vectors:
    """random: isotropic. clustered: around as many centres as the root of their count, and around one common mean."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((count, dim), dtype=np.float32)
    if kind == "clustered":
        spread = np.float32(dim**-0.5)
        centres = unit(generator.standard_normal((int(count**0.5), dim), dtype=np.float32))
        common = unit(generator.standard_normal((1, dim), dtype=np.float32))
        rows *= spread * np.float32(0.7)
        for start in range(0, count, 65_536):
            here = rows[start : start + 65_536]
            here += centres[generator.integers(0, len(centres), len(here))] + common
    return unit(rows)


def unit_rows(count: int, dim: int) -> Vectors:
    """Isotropic random rows."""
    return make_rows("random", count, dim)


def truth(collection: Collection, query: Vectors) -> Vectors:
    """The float64 similarity of every row."""
    wide = query[0].astype(np.float64)
    parts = np.array_split(collection.rows, max(1, len(collection.rows) // 8192))
    return np.concatenate([(part.astype(np.float64) * wide).sum(axis=1) for part in parts])


# --- unfiltered ------------------------------------------------------------------------------------------------------


def read_rate(collection: Collection) -> Callable[[int], object]:
    """Sums all rows as whole numbers on all threads: as fast as memory is read here."""
    threads = usable_threads()
    words = collection.rows.reshape(-1).view(np.uint64)
    pool = ThreadPoolExecutor(threads)
    return lambda _: list(pool.map(np.sum, np.array_split(words, threads)))


@contextmanager
def uncoded(collection: Collection) -> Iterator[SegmentReader]:
    """The index without byte codes: what a search is until they are made."""
    before, prepare.CODED_FROM_ROWS = prepare.CODED_FROM_ROWS, 2**62
    try:
        yield collection.store.read(collection.segments)
    finally:
        prepare.CODED_FROM_ROWS = before


def unfiltered(collection: Collection, results: Results) -> float:
    """B1, B2, B8. Returns the milliseconds of a search."""
    threads = usable_threads()
    with uncoded(collection) as plain:
        read, scan, ours, default, one = in_turns(
            read_rate(collection),
            lambda turn: plain.search(collection.query(turn), _K),
            lambda turn: collection.reader.search(collection.query(turn), _K),
            lambda turn: collection.flat_search(collection.query(turn), threads),
            lambda turn: collection.flat_search(collection.query(turn), 1),
        )
    print(
        f"     read all rows {read:.2f} ms, float32 scan {scan:.2f} ms, served {ours:.2f} ms, "
        f"IndexFlatIP default {default:.2f} ms, one thread {one:.2f} ms"
    )
    results.add("B1", "rows read by a float32 scan / read rate", read / scan, ">= 0.85", reached=read / scan >= 0.85)
    results.add("B1", "rows answered for by the served search / read rate", read / ours, "-", reached=None)
    results.add("B2", "IndexFlatIP default / ours, one query", default / ours, ">= 1.7", reached=default / ours >= 1.7)
    results.add("B2", "IndexFlatIP on one thread / ours, one query", one / ours, "-", reached=None)
    results.add("B8", "float32 scan / byte codes and rescore", scan / ours, ">= 1.7", reached=scan / ours >= 1.7)
    return ours


def together(collection: Collection, results: Results, alone_ms: float) -> None:
    """B3: 32 callers at once, against one call of FAISS with 32 queries."""
    queries = np.ascontiguousarray(collection.queries[:32])
    waits: list[float] = []

    def ours(_: int) -> None:
        ready = threading.Barrier(len(queries))

        def ask(query: Vectors) -> None:
            ready.wait()
            start = time.perf_counter()
            collection.reader.search(query[np.newaxis], _K)
            waits.append((time.perf_counter() - start) * 1000)

        list(pool.map(ask, queries))

    # as in a server, whose threads live on
    with ThreadPoolExecutor(len(queries)) as pool:
        ours_ms, theirs = in_turns(ours, lambda _: collection.flat_search(queries, usable_threads()), repeats=15)
    print(
        f"     32 at once {ours_ms:.1f} ms ({statistics.median(waits):.1f} ms for half of them), FAISS {theirs:.1f} ms"
    )
    results.add("B3", "IndexFlatIP / ours, 32 queries at once", theirs / ours_ms, ">= 4", reached=theirs / ours_ms >= 4)
    spent = ours_ms / 32 / alone_ms
    results.add("B3", "time a query of 32 / time of a query alone", spent, "<= 1", reached=spent <= 1)


# --- filtered --------------------------------------------------------------------------------------------------------


def filters(collection: Collection, share: float) -> dict[str, BitMap]:
    """Filters that keep a share: at random, the nearest or the farthest to query 0, a stretch such as a study."""
    count = len(collection.rows)
    size = max(1, round(share * count))
    ranked = np.argsort(-truth(collection, collection.query(0)), kind="stable").astype(np.uint32)
    chosen = np.random.default_rng(1).choice(count, size, replace=False).astype(np.uint32)
    begin = (count - size) // 2
    return {
        "random": BitMap(chosen),
        "nearest": BitMap(ranked[:size]),
        "farthest": BitMap(ranked[count - size :]),
        "stretch": BitMap(range(begin, begin + size)),
    }


def filtered(collection: Collection, results: Results) -> None:
    """B4: one query under filters, against the same query unfiltered, measured in turns."""
    query = collection.query(0)
    for share in _SHARES:
        if share * len(collection.rows) < 1:
            continue
        for name, allowed in filters(collection, share).items():
            method = collection.reader.search(query, _K, allowed=allowed).method
            whole, taken = in_turns(
                lambda _: collection.reader.search(query, _K),
                lambda _, allowed=allowed: collection.reader.search(query, _K, allowed=allowed),  # type: ignore[misc]  # bound now
            )
            most = 1.5 * share * whole + 0.3
            what = f"{name} filter of {share:.3%}, by {method}: ms (unfiltered {whole:.2f})"
            results.add("B4", what, taken, f"<= {most:.2f} ms", reached=taken <= most)


def recall(collection: Collection, results: Results, count: int) -> None:
    """B5 and B6: the served answers and those of a naive post-filter, against float64 brute force."""
    generator = np.random.default_rng(3)
    rows = collection.rows
    noise = generator.standard_normal((count, rows.shape[1]), dtype=np.float32) * np.float32(0.02)
    queries = unit(rows[generator.integers(0, len(rows), count)] + noise)
    right = asked = 0
    short = dict.fromkeys((10, 100), 0)
    for number, (query, scores) in enumerate(zip(queries, exact_scores(rows, queries), strict=True)):
        share = (1.0, *_SHARES)[number % (1 + len(_SHARES))]
        among = np.sort(generator.choice(len(rows), max(_K, round(share * len(rows))), replace=False))
        allowed = None if share == 1 else BitMap(among.astype(np.uint32))
        near = among[np.argpartition(-scores[among], _K - 1)[:_K]]
        near = among[scores[among] >= scores[near].min()]
        expected = near[np.lexsort((near, -scores[near]))[:_K]].tolist()
        found = collection.reader.search(query[np.newaxis], _K, allowed=allowed)
        right += found.exact and [hit.ordinal for hit in found.hits] == expected
        if allowed is not None and share <= 0.01:
            asked += 1
            best = np.argpartition(-scores, _K * 100)[: _K * 100]
            best = best[np.argsort(-scores[best])].astype(np.uint32)
            for factor in short:
                short[factor] += len(BitMap(best[: _K * factor]) & allowed) < _K
    results.add("B5", f"share of {count} answers equal to float64 ranking", right / count, "1", reached=right == count)
    for factor, number in short.items():
        what = f"short lists of a post-filter of {factor} k, filters <= 1 %"
        results.add("B6", what, number / asked, "-", reached=None)
    results.add("B6", "answers of ours that lack or miss a hit", 1 - right / count, "0", reached=right == count)


def exact_scores(rows: Vectors, queries: Vectors) -> Iterator[npt.NDArray[np.float64]]:
    """The float64 similarities of every row to each query, some queries at a time."""
    together = max(1, 2**23 // len(rows))
    for start in range(0, len(queries), together):
        some = queries[start : start + together].astype(np.float64)
        parts = [some @ rows[at : at + 8192].astype(np.float64).T for at in range(0, len(rows), 8192)]
        yield from np.concatenate(parts, axis=1)


def certified(collection: Collection, results: Results) -> None:
    """B8: how often the pass over codes proves its answer."""
    methods = [collection.reader.search(collection.query(number), _K).method for number in range(_QUERIES)]
    share = methods.count(planner.CODES) / _QUERIES
    results.add("B8", "answers that the pass over codes proves", share, "1", reached=share == 1)


def approximate(collection: Collection, results: Results) -> None:
    """B7: what an inverted file would gain, one thread, at the recall that would make it worth its doubt."""
    lists = max(16, int(4 * len(collection.rows) ** 0.5) // 4)
    ivf: Any = faiss.index_factory(collection.rows.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    faiss.omp_set_num_threads(usable_threads())
    ivf.train(collection.rows[: 40 * lists])
    ivf.add(collection.rows)
    faiss.omp_set_num_threads(1)
    _, expected = collection.flat.search(collection.queries, _K)
    for probes in (4, 16, 64, lists // 4, lists // 2):
        ivf.nprobe = probes
        _, found = ivf.search(collection.queries, _K)
        share = np.mean([len(set(a) & set(b)) / _K for a, b in zip(expected.tolist(), found.tolist(), strict=True)])
        if share >= 0.99:
            break
    exact, ours = in_turns(
        lambda turn: ivf.search(collection.query(turn), _K),
        lambda turn: collection.reader.search(collection.query(turn), _K),
    )
    what = f"ours / IVF{lists} nprobe {probes} on one thread, recall {share:.3f}"
    results.add("B7", what, ours / exact, ">= 5: IVF pays", reached=None)


def by_lists(collection: Collection, results: Results, folder: Path) -> None:
    """B7 and B15 as served above a budget: what lists gain, at the recall that they state and have."""
    store = SegmentStore(folder, "0" * 64, most_bytes=0)
    opened = store.open(collection.segments)
    start = time.process_time()
    trained, _ = train(collection.segments, opened, live_images(opened), lambda *_: None)
    size = store.save_trained(trained, Kind.WHOLE)
    print(f"     trained in {time.process_time() - start:.0f} s of processor time")
    reader = store.read(collection.segments)
    for share in (1.0, 0.5, 0.1):
        chance = np.random.default_rng(6).random(len(collection.rows))
        allowed = BitMap(np.flatnonzero(chance < share).astype(np.uint32))
        asked = [collection.query(number) for number in range(_QUERIES)]
        near = [reader.search(query, _K, allowed=allowed) for query in asked]
        right = [reader.search(query, _K, allowed=allowed, exact=True) for query in asked]
        pairs = [(found, exact) for found, exact in zip(near, right, strict=True) if found.recall is not None]
        if not pairs:
            results.add("B7", f"{share:.0%} of rows: answered by lists", 0.0, "-", reached=None)
            continue
        stated = statistics.mean(found.recall or 0.0 for found, _ in pairs)
        measured = statistics.mean(len({*_ordinals(found)} & {*_ordinals(exact)}) / _K for found, exact in pairs)
        exactly, ours = in_turns(
            lambda turn, allowed=allowed: collection.reader.search(collection.query(turn), _K, allowed=allowed),  # type: ignore[misc]  # bound now
            lambda turn, allowed=allowed: reader.search(collection.query(turn), _K, allowed=allowed),  # type: ignore[misc]  # as above
        )
        what = f"{share:.0%} of rows, {len(pairs)} of {_QUERIES} by lists ({ours:.2f} ms): exact / served"
        results.add("B7", what, exactly / ours, ">= 5", reached=exactly / ours >= 5)
        results.add("B5", f"recall measured, {stated:.3f} stated", measured, ">= .95", reached=measured >= 0.95)
    most = collection.rows.shape[1] // 8 + 32
    each = size / len(collection.rows)
    results.add("B15", "bytes a vector of the lists", each, f"<= {most}", reached=each <= most)


def _ordinals(found: Neighbours) -> list[int]:
    return [hit.ordinal for hit in found.hits]


# --- beside the search ------------------------------------------------------------------------------------------------


def facets(collection: Collection, results: Results) -> None:
    """B14: counts of a facet of 500 values over a similar set, by one code an image, as the SQLite store counts."""
    generator = np.random.default_rng(2)
    values = generator.integers(0, 500, len(collection.rows), dtype=np.int32)
    for size in (200, 10_000):
        similar = BitMap(generator.choice(len(values), size, replace=False).astype(np.uint32))

        def count(_: int, similar: BitMap = similar) -> object:
            return np.bincount(values[np.frombuffer(similar.to_array(), dtype=np.uint32)], minlength=500)

        (taken,) = in_turns(count)
        results.add("B14", f"counts of 500 values over {size} hits: ms", taken, "<= 1 ms", reached=taken <= 1)


def sizes(collection: Collection, results: Results, folder: Path) -> None:
    """B15: bytes a vector on disk; what is resident is in `benchmarks.vectors_memory`."""
    count, dim = collection.rows.shape
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "approximate"]
    disk = sum(path.stat().st_size for path in files) / count
    most = 4 * dim + dim + 16
    results.add("B15", "bytes a vector on disk: rows, codes, ids", disk, f"<= {most}", reached=disk <= most)
    results.add("B15", "of them read by an unfiltered search: codes", float(dim), f"<= {dim}", reached=True)


def opening(collection: Collection, results: Results) -> None:
    """B16: from nothing to the first answer, of one segment and of as many as a run makes."""
    few = BitMap(range(0, len(collection.rows), max(1, len(collection.rows) // 100)))

    def first_answer(_: int) -> None:
        collection.store.read(collection.segments).search(collection.query(0), _K, allowed=few)

    opened, answered = in_turns(lambda _: collection.store.read(collection.segments), first_answer)
    results.add("B16", "opening: ms", opened, "O(#segments)", reached=opened < 5 * len(collection.segments))
    results.add("B16", "opening and a first filtered answer: ms", answered, "no full read", reached=None)


def segmented(collection: Collection, results: Results, folder: Path) -> None:
    """What many small segments cost, and what compaction gives back."""
    from hooke.vectors.compact import compact

    store = SegmentStore(folder / "many", "1" * 64)
    step = 4096
    numbers = np.arange(len(collection.rows), dtype=np.uint32)
    names = [
        store.append(
            Block(collection.rows[a : a + step], numbers[a : a + step], numbers[a : a + step].astype(np.uint64))
        )
        for a in range(0, len(numbers), step)
    ]
    many = store.read(names)
    start = time.perf_counter()
    merged = compact(store, names, BitMap(numbers))
    seconds = time.perf_counter() - start
    one = store.read(merged)
    one.prepare()
    before, after, opened = in_turns(
        lambda turn: many.search(collection.query(turn), _K),
        lambda turn: one.search(collection.query(turn), _K),
        lambda _: store.read(names),
    )
    results.add("B16", f"opening {len(names)} segments: ms", opened, "O(#segments)", reached=opened < 5 * len(names))
    results.add("-", f"a search of {len(names)} segments / of them compacted", before / after, "-", reached=None)
    results.add("-", f"compaction: rows a second in {seconds:.1f} s", len(numbers) / seconds, "-", reached=None)


def measure(rows: Vectors, queries: Vectors, folder: Path, results: Results, chosen: Sequence[str]) -> None:
    store = SegmentStore(folder / "vectors", "0" * 64)
    numbers = np.arange(len(rows), dtype=np.uint32)
    segments = (store.append(Block(rows, numbers, numbers.astype(np.uint64))),)
    reader = store.read(segments)
    start = time.perf_counter()
    rates = reader.prepare()
    print(f"     codes made in {time.perf_counter() - start:.2f} s; {rates}")
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    collection = Collection(rows, queries, store, segments, reader, flat)
    alone_ms = unfiltered(collection, results)
    steps: dict[str, Callable[[], None]] = {
        "B3": partial(together, collection, results, alone_ms),
        "B4": partial(filtered, collection, results),
        "B5": partial(recall, collection, results, 1050 if len(rows) <= 200_000 else 210),
        "B7": partial(approximate, collection, results),
        "lists": partial(by_lists, collection, results, folder / "vectors"),
        "B8": partial(certified, collection, results),
        "B14": partial(facets, collection, results),
        "B15": partial(sizes, collection, results, folder / "vectors"),
        "B16": partial(opening, collection, results),
        "segments": partial(segmented, collection, results, folder),
    }
    for name, step in steps.items():
        if not chosen or name in chosen:
            step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--data", choices=("clustered", "random"), default="clustered")
    parser.add_argument("--only", nargs="*", default=[], help="B3, B4, B5, B7, B8, B14, B15, B16, lists, segments")
    parser.add_argument("--json", type=Path, help="write all numbers, and what they were measured on, to a file")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: of all threads; steady on a busy machine")
    arguments = parser.parse_args()
    global clock
    clock = CLOCKS[arguments.clock]
    made = make_rows(arguments.data, arguments.rows + _QUERIES, arguments.dim)
    results = Results()
    size, load = f"{arguments.rows:,} {arguments.data} rows x {arguments.dim}", os.getloadavg()[0]
    print(f"{size}; {arguments.clock} time; load {load:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure(made[: arguments.rows], made[arguments.rows :].copy(), Path(folder), results, arguments.only)
    print(f"load at the end {os.getloadavg()[0]:.1f}")
    if arguments.json:
        made_on = {"cpu": platform.processor(), "threads": usable_threads(), "numpy": np.__version__}
        body = {**vars(arguments), "json": None, **made_on, "faiss": faiss.__version__, "results": results.rows}
        arguments.json.write_text(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()

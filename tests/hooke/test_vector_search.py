"""Ways to an answer that differ in speed alone: by rows, by codes, on threads, together; and what they may not do."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyroaring import BitMap

from hooke.vectors import kernels, planner, prepare, rates, reader
from hooke.vectors.base import Block, Neighbours, Vectors
from hooke.vectors.codes import cached_codes, encode
from hooke.vectors.planner import ProductRates, Rates
from hooke.vectors.reader import SegmentReader
from hooke.vectors.search import Task
from hooke.vectors.segments import SegmentStore
from hooke.vectors.workers import Batcher, Workers
from tests.contract.vector_store import block, brute_force, found, random_rows, unit

SPACE = "a" * 64
DIM = 32
CHEAP, DEAR = 1e-9, 1.0
EVERY_WAY = {
    planner.GATHER: Rates(gather=CHEAP, scan=DEAR, codes=DEAR, take=DEAR),
    planner.SCAN: Rates(gather=DEAR, scan=CHEAP, codes=DEAR, take=DEAR),
    planner.CODES: Rates(gather=DEAR, scan=DEAR, codes=CHEAP, take=DEAR),
    planner.TAKE: Rates(gather=DEAR, scan=DEAR, codes=DEAR, take=CHEAP),
    "product": Rates(gather=DEAR, scan=DEAR, codes=1e-3, take=DEAR),
}


def clustered(count: int, seed: int = 0) -> Vectors:
    generator = np.random.default_rng(seed)
    centres = random_rows(20, dim=DIM, seed=seed + 1)
    return unit(centres[generator.integers(0, 20, count)] + 0.1 * generator.standard_normal((count, DIM)))


def twins(count: int) -> Vectors:
    """Each row a hundred times: nothing but the ordinal tells them apart."""
    return np.repeat(random_rows(count // 100, dim=DIM), 100, axis=0)


def alike(count: int) -> Vectors:
    """Rows that float32 cannot tell apart."""
    generator = np.random.default_rng(4)
    return unit(random_rows(1, dim=DIM) + generator.standard_normal((count, DIM)) * 3e-5)


COLLECTIONS = {"random": random_rows(4000, dim=DIM), "clustered": clustered(4000), "twins": twins(4000)}
COLLECTIONS["alike"] = alike(4000)


def open_reader(folder: Path, blocks: Sequence[Block], rates: Rates, threads: int = 2) -> SegmentReader:
    """A reader that has all codes, and these rates; all its searches count as long ones."""
    store = SegmentStore(folder, SPACE)
    opened = SegmentReader(store.open([store.append(each) for each in blocks]), threads)
    opened.prepare()
    opened._preparation.rates = rates
    cheap = rates is EVERY_WAY["product"] and kernels.has_exact_product(DIM, 32)
    product = ProductRates(1e-12, 1e-12) if cheap else ProductRates(math.inf, math.inf)
    opened._preparation.product_rates = lambda: product  # type: ignore[method-assign]  # what a machine measures
    return opened


@pytest.fixture(autouse=True)
def _all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CODED_FROM_ROWS", 1)
    monkeypatch.setattr(reader, "_LONG_S", 0.0)


def filters(rows: Vectors, query: Vectors) -> dict[str, BitMap | None]:
    """Of all selectivities; random, the nearest, the farthest, a stretch."""
    count = len(rows)
    ranked = np.argsort(-(rows @ query[0]), kind="stable").astype(np.uint32)
    chosen = np.random.default_rng(5).permutation(count).astype(np.uint32)
    made: dict[str, BitMap | None] = {"none": None, "one": BitMap([17]), "nothing": BitMap([count + 1])}
    for share in (0.005, 0.1, 0.5, 0.95):
        size = int(share * count)
        made |= {f"random {share}": BitMap(chosen[:size]), f"nearest {share}": BitMap(ranked[:size])}
        made |= {f"farthest {share}": BitMap(ranked[-size:]), f"stretch {share}": BitMap(range(5, 5 + size))}
    return made


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_every_way_gives_the_float64_ranking_under_every_filter(tmp_path: Path, kind: str) -> None:
    rows = COLLECTIONS[kind]
    # three segments; the last replaces images of the first; images of one, two and three rows
    blocks = [
        block(rows[:2000], range(2000)),
        block(rows[2000:3800], np.repeat(np.arange(2000, 2600), 3)),
        block(rows[3800:], np.repeat(np.arange(950, 1050), 2)),
    ]
    query = rows[1234:1235]
    readers = {way: open_reader(tmp_path / way, blocks, rates) for way, rates in EVERY_WAY.items()}
    for name, allowed in filters(rows[:2600], query).items():
        expected = brute_force(blocks, query, 10, allowed)
        for way, opened in readers.items():
            answer = opened.search(query, 10, allowed=allowed)
            assert answer.exact
            assert found(answer) == [ordinal for ordinal, _ in expected], (way, name)
            assert [hit.similarity for hit in answer.hits] == [min(1.0, score) for _, score in expected], (way, name)


@pytest.mark.parametrize("way", [planner.GATHER, planner.SCAN, planner.CODES, planner.TAKE])
def test_the_cheapest_way_is_taken_and_named(tmp_path: Path, way: str) -> None:
    opened = open_reader(tmp_path, [block(clustered(4000), range(4000))], EVERY_WAY[way])
    answer = opened.search(clustered(1), 2, allowed=BitMap(range(3990)) - BitMap([7]))
    assert answer.method == {planner.TAKE: planner.CODES}.get(way, way)


def test_what_codes_cannot_prove_is_answered_by_rows(tmp_path: Path) -> None:
    rows = alike(4000)
    opened = open_reader(tmp_path, [block(rows, range(4000))], EVERY_WAY[planner.CODES])
    assert opened.search(rows[:1], 10).method == planner.SCAN


@pytest.mark.parametrize("way", EVERY_WAY)
def test_threads_and_company_leave_no_trace(tmp_path: Path, way: str) -> None:
    rows = np.concatenate([clustered(3000), twins(1000)])
    blocks = [block(rows, range(4000))]
    one, two = (open_reader(tmp_path / str(n), blocks, EVERY_WAY[way], threads=n) for n in (1, 2))
    allowed = [None, BitMap(range(0, 4000, 3)), BitMap(range(100))]

    def ask(opened: SegmentReader, number: int) -> list[tuple[int, float]]:
        queries = rows[number : number + 1 + number % 3]
        hits = opened.search(queries, 5 + number % 7, allowed=allowed[number % 3]).hits
        return [(hit.ordinal, hit.similarity) for hit in hits]

    alone = [ask(one, number) for number in range(36)]
    assert [ask(two, number) for number in range(36)] == alone
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(lambda number: ask(two, number), range(36))) == alone


@pytest.mark.parametrize(("threads", "block_rows"), [(1, 700), (3, 700), (2, 20)])
@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_shared_product_gives_the_float64_ranking_under_every_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, threads: int, block_rows: int
) -> None:
    monkeypatch.setattr(kernels, "_BLOCK_ROWS", block_rows)
    rows = COLLECTIONS[kind]
    blocks = [
        block(rows[:2000], range(2000)),
        block(rows[2000:3800], np.repeat(np.arange(2000, 2600), 3)),
        block(rows[3800:], np.repeat(np.arange(950, 1050), 2)),
    ]
    opened = open_reader(tmp_path, blocks, EVERY_WAY["product"], threads=threads)
    passed, product = [], kernels.product

    def seen(codes: kernels.CodeRows, *rest: Any) -> Iterator[tuple[int, int, kernels.Products]]:
        passed.append(id(codes))
        return product(codes, *rest)

    monkeypatch.setattr(kernels, "product", seen)
    allowed = list(filters(rows[:2600], rows[1234:1235]).values())
    asked = [
        (rows[(1234 + 97 * number) % 3997 :][: 1 + number % 3], (1, 10, 100)[number % 3], some)
        for number, some in enumerate(allowed * 2)
    ]
    tasks = [opened._task(queries, k, some, range(3)) for queries, k, some in asked]
    for (queries, k, some), answer in zip(asked, opened._together(tasks), strict=True):
        expected = brute_force(blocks, queries, k, some)
        assert answer.exact
        assert found(answer) == [ordinal for ordinal, _ in expected]
        assert [hit.similarity for hit in answer.hits] == [min(1.0, score) for _, score in expected]
    assert len(set(passed)) == (3 if kernels.has_exact_product(DIM, 32) else 0)  # of every segment


_PRODUCT = """
import numpy as np
from hooke.vectors import kernels

def same(rows, dim, queries, seed):
    generator = np.random.default_rng(seed)
    codes = generator.choice(np.array([0, 255, *generator.integers(0, 256, 3)], np.uint8), (rows, dim))
    codes.setflags(write=False)
    numbers = generator.choice(np.array([-127, 127, *generator.integers(-127, 128, 3)], np.int8), (queries, dim))
    blocks = [each.copy() for _, _, each in kernels.product(codes, numbers, np.arange(rows + 1), 0, rows)]
    return np.array_equal(np.concatenate(blocks), (codes - 128.0) @ numbers.T)

for rows, dim, queries in ((1, 1, 1), (1, 3, 2), (20_000, 384, 31), (9_000, 17, 1), (3, 3000, 2), (500, 1840, 32)):
    exact = all(kernels.has_exact_product(dim, count) for count in (1, 2, 32))
    assert not exact or all(same(rows, dim, queries, seed) for seed in range(3)), (rows, dim, queries)
"""


# a processor without VNNI, as oneDNN takes it: there int8 products saturate, and no search may use them
@pytest.mark.parametrize("processor", ["DEFAULT", "AVX512_CORE", "AVX2", "SSE41"])
def test_a_product_of_codes_is_that_of_whole_numbers_or_is_not_used(processor: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PRODUCT], env={**os.environ, "ONEDNN_MAX_CPU_ISA": processor}, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr.decode()


def test_where_the_product_is_not_exact_searches_are_answered_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "has_exact_product", lambda *_: False)
    assert rates.measured_product_rates.__wrapped__(24) == ProductRates(math.inf, math.inf)


def test_a_column_that_hardly_varies_is_answered_with_company(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = np.zeros((4000, DIM), np.float32)
    rows[:, 0] = 1
    rows[:, 1] = generator.standard_normal(4000) * 1e-20
    opened = open_reader(tmp_path, [block(rows, range(4000))], EVERY_WAY["product"])
    (first, _) = opened._together([opened._task(rows[n : n + 1], 3, None, [0]) for n in (5, 6)])
    assert found(first) == [ordinal for ordinal, _ in brute_force([block(rows, range(4000))], rows[5:6], 3, None)]


def test_where_torch_has_no_product_searches_are_answered_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch._int_mm")
    rates_ = rates.measured_product_rates.__wrapped__(24)
    assert not planner.pays_together(rates_, 1000, 32, alone_s=1e9)


def test_queries_that_wait_for_one_another_share_a_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_reader(tmp_path, [block(clustered(4000), range(4000))], EVERY_WAY["product"])
    sizes = []

    def counted(tasks: Sequence[Task]) -> list[Neighbours]:
        sizes.append(len(tasks))
        return opened._together(tasks)

    monkeypatch.setattr(opened._batcher, "_answer", counted)
    with opened._batcher._turn, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(opened.search, clustered(8)[number : number + 1], 3) for number in range(8)]
        while len(opened._batcher._waiting) < 8:
            threading.Event().wait(0.001)
        opened._batcher._turn.release()
        for each in asked:
            each.result()
        opened._batcher._turn.acquire()
    assert sizes == [8]


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 40).flatmap(
        lambda n: arrays(np.float32, (n, 8), elements=st.floats(-1, 1, width=32, allow_subnormal=False))
    ),
    query=arrays(np.float32, (8,), elements=st.floats(-1, 1, width=32, allow_subnormal=False)),
)
def test_codes_are_off_by_no_more_than_they_say(rows: Vectors, query: Vectors) -> None:
    found_, estimates, error = encode(rows).nearest(query, len(rows), slice(0, len(rows)))
    truth = rows.astype(np.float64) @ query.astype(np.float64)
    assert sorted(found_.tolist()) == list(range(len(rows)))
    assert np.abs(estimates - truth[found_]).max() <= error


def test_codes_of_named_rows_are_those_of_all_rows() -> None:
    rows = clustered(5000)
    codes, query = encode(rows), clustered(1, seed=9)[0]
    every, estimates, _ = codes.nearest(query, 5000, slice(0, 5000))
    some, others, _ = codes.nearest(query, 20, np.arange(1, 5000, 2))
    odd = every % 2 == 1
    np.testing.assert_array_equal(others, estimates[odd][:20])
    assert set(some) <= set(every[odd][:25])


# --- the cache of codes ----------------------------------------------------------------------------------------------


def test_codes_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    rows = clustered(300)
    made, again = (cached_codes(tmp_path / "cache" / "s.sq8", rows, "sum") for _ in range(2))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["s.sq8"]
    np.testing.assert_array_equal(made.values, again.values)
    assert (made.error, made.reach) == (again.error, again.reach)
    np.testing.assert_array_equal(made.scale, again.scale)


@pytest.mark.parametrize("damage", ["cut", "flip header", "flip codes", "grow", "empty", "other rows"])
def test_a_cache_that_does_not_hold_is_made_anew(tmp_path: Path, damage: str) -> None:
    path, rows = tmp_path / "cache" / "s.sq8", clustered(300)
    expected = cached_codes(path, rows, "other" if damage == "other rows" else "sum").values.copy()
    content = bytearray(path.read_bytes())
    if damage.startswith("flip"):
        content[20 if "header" in damage else -7] ^= 1
    damaged: dict[str, bytes] = {"cut": bytes(content[:-1]), "grow": bytes(content) + b"\0", "empty": b""}
    path.write_bytes(damaged.get(damage, bytes(content)))

    np.testing.assert_array_equal(cached_codes(path, rows, "sum").values, expected)
    np.testing.assert_array_equal(cached_codes(path, rows, "sum").values, expected)


def test_where_no_cache_can_be_written_codes_are_held_in_memory(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    assert cached_codes(tmp_path / "cache" / "s.sq8", clustered(300), "sum").values.shape == (300, DIM)


def test_the_codes_of_a_segment_go_with_it(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, SPACE)
    names = [store.append(block(clustered(300), range(300))) for _ in range(2)]
    store.read(names).prepare()
    assert {path.stem for path in (tmp_path / "cache").iterdir()} == set(names)
    store.discard_except(names[:1])
    assert {path.stem for path in (tmp_path / "cache").iterdir()} == {names[0]}


# --- company ---------------------------------------------------------------------------------------------------------


def test_one_task_that_fails_leaves_the_others_their_answers() -> None:
    started, go = threading.Event(), threading.Event()

    def answer(tasks: Sequence[int]) -> list[int]:
        if tasks[0] == 0:
            started.set()
            go.wait()
        if 13 in tasks:
            raise ValueError("thirteen")
        return [task * 2 for task in tasks]

    batcher = Batcher(answer, most=32)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.submit, 0)
        started.wait()
        rest = [pool.submit(batcher.submit, number) for number in (11, 12, 13, 14)]
        while len(batcher._waiting) < 4:
            threading.Event().wait(0.001)
        go.set()
        assert first.result() == 0
        assert [each.result() for each in rest if each is not rest[2]] == [22, 24, 28]
        with pytest.raises(ValueError, match="thirteen"):
            rest[2].result()


def test_whoever_is_interrupted_leaves_the_others_to_the_next() -> None:
    started, go = threading.Event(), threading.Event()
    interrupted: list[int] = []

    def answer(tasks: Sequence[int]) -> list[int]:
        if tasks[0] == 0:
            started.set()
            go.wait()
        if not interrupted and len(tasks) > 1:
            interrupted.extend(tasks)
            raise KeyboardInterrupt
        return [task * 2 for task in tasks]

    batcher = Batcher(answer, most=32)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.submit, 0)
        started.wait()
        rest = [pool.submit(batcher.submit, number) for number in (1, 2, 3)]
        while len(batcher._waiting) < 3:
            threading.Event().wait(0.001)
        go.set()
        assert first.result() == 0
        failures = [each.exception() for each in rest]
    assert sum(isinstance(each, KeyboardInterrupt) for each in failures) == 1
    assert [each.result() for each, failed in zip(rest, failures, strict=True) if failed is None] == [
        number * 2 for number, failed in zip((1, 2, 3), failures, strict=True) if failed is None
    ]


def test_workers_answer_in_order_and_pass_on_what_fails() -> None:
    def fail() -> int:
        raise ValueError("one of them")

    for threads in (1, 2, 5):
        assert Workers(threads).run([lambda n=n: n * n for n in range(7)]) == [n * n for n in range(7)]  # type: ignore[misc]  # bound now
        with pytest.raises(ValueError, match="one of them"):
            Workers(threads).run([fail, lambda: 1, lambda: 2])
    assert Workers(2).run([]) == []

"""Work in threads, in order and bounded; and what a run remembers."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import pytest

from hooke.vectors.base import Block
from hooke.vectors.segments import SegmentStore
from hooke.views import Kind
from indexer.ledger import Ledger, PackedImages
from indexer.overlap import overlapped

PER_IMAGE_BYTES = 60


def test_results_come_in_order_and_at_most_so_many_are_under_way() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for number, result in enumerate(overlapped(lambda item: item * item, items(), threads=3, ahead=4)):
        assert result == number * number
        assert len(taken) <= number + 1 + 4
    assert len(taken) == 50


def test_items_are_worked_on_at_the_same_time() -> None:
    together = Barrier(2, timeout=20)
    assert len(list(overlapped(lambda _: together.wait(), range(4), threads=2, ahead=1))) == 4


def test_an_error_comes_in_its_items_turn_and_what_has_not_begun_is_dropped() -> None:
    begun: list[int] = []
    free = Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            free.wait(20)
        if item == 1:
            raise ValueError("the second")
        return item

    results = overlapped(work, range(100), threads=2, ahead=9)
    assert next(results) == 0
    threading.Timer(0.05, free.set).start()
    with pytest.raises(ValueError, match="the second"):
        next(results)
    assert len(begun) < 12


def unit_rows(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.eye(number, dtype=np.float32)


def block(ordinals: list[int], digests: list[int], first_row: int) -> Block:
    rows = unit_rows(20)[first_row : first_row + len(ordinals)]
    return Block(rows, np.array(ordinals, np.uint32), np.array(digests, np.uint64))


def test_rows_are_found_by_content_before_and_during_a_run(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, "f" * 64)
    before = [store.append(block([1, 2], [11, 2**64 - 1], 0)), store.append(block([2, 5], [22, 55], 2))]
    ledger = Ledger(store, before, [Kind.WHOLE])
    assert dict(ledger.known) == {1: 11, 2: 22, 5: 55}
    assert ledger.views_with(2**64 - 1) is None, "image 2 has other content now"
    # in this run image 1 gets other content
    ledger.add([store.append(block([1], [111], 4))], np.array([111], np.uint64), np.array([1], np.uint32))
    for digest, row in ((11, 0), (22, 2), (55, 3), (111, 4)):
        views = ledger.views_with(digest)
        assert views is not None
        np.testing.assert_array_equal(views[Kind.WHOLE].vectors, unit_rows(20)[[row]])
    assert ledger.views_with(12) is None


def test_an_empty_index_has_no_rows(tmp_path: Path) -> None:
    assert Ledger(SegmentStore(tmp_path, "f" * 64), [], [Kind.WHOLE]).views_with(1) is None


def test_a_run_remembers_few_bytes_of_an_image(tmp_path: Path) -> None:
    store, number = SegmentStore(tmp_path, "f" * 64), 100_000
    ordinals = np.arange(number, dtype=np.uint32)
    digests = np.random.default_rng(0).integers(0, 2**63, number).astype(np.uint64)
    rows = np.broadcast_to(np.float32(1), (number, 1))
    segment = store.append(Block(rows, ordinals, digests))
    paths = (
        (n, f"/data/archive/plates/BR0011{n // 3456:04}/r{n % 16:02}c{n % 24:02}f{n % 9:02}.tiff") for n in ordinals
    )
    tracemalloc.start()
    try:
        images = PackedImages((int(n), path) for n, path in paths)
        ledger = Ledger(store, [segment], [Kind.WHOLE])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(images) == len(ledger.known) == number
    assert sum(1 for _ in images) == number
    assert next(iter(images)) == (0, "/data/archive/plates/BR00110000/r00c00f00.tiff")
    assert held < number * PER_IMAGE_BYTES

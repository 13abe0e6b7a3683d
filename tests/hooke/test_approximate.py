"""Approximate search: what it says of itself holds, and where it cannot answer well it does not."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyroaring import BitMap

from hooke.vectors import checked
from hooke.vectors import train as training
from hooke.vectors.approximate import Approximate, Odds
from hooke.vectors.base import Vectors
from hooke.vectors.columns import live_images
from hooke.vectors.compact import FEW, tidy
from hooke.vectors.reader import SegmentReader
from hooke.vectors.segments import SegmentStore
from hooke.vectors.train import HeldOutTest, train
from hooke.vectors.trained import read_trained
from hooke.vectors.workers import Workers
from hooke.views import Kind
from tests.contract.vector_store import block, brute_force, found, placed, unit

SPACE = "a" * 64
DIM, ROWS = 48, 20_000
SILENT = lambda what, done, of: None  # noqa: E731


def looks(count: int, seed: int) -> Vectors:
    """Rows like those of images: some traits behind them, in groups that run into each other."""
    world, generator = np.random.default_rng(0), np.random.default_rng(seed)
    groups, mixing = 2 * world.standard_normal((40, 8)), world.standard_normal((8, DIM))
    traits = generator.standard_normal((count, 8)) + groups[generator.integers(0, 40, count)]
    return unit(np.tanh(traits @ mixing / 4) + 0.05 * generator.standard_normal((count, DIM)))


LOOKS = looks(ROWS, seed=1)
ASKED = looks(60, seed=2)


class Trained:
    """A store whose every search is above its budget, with lists of one large and one smaller segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SegmentStore(folder, SPACE, most_bytes=0)
        self.blocks = [block(LOOKS[:16_000], range(16_000)), block(LOOKS[16_000:], range(16_000, ROWS))]
        self.names = [self.store.append(each) for each in self.blocks]
        self.tests: tuple[HeldOutTest, ...] = ()
        self.train()
        self.file = self.store.trained_file(Kind.WHOLE)

    def train(self) -> None:
        opened = self.store.open(self.names)
        lists, self.tests = train(self.names, opened, live_images(opened), SILENT)
        self.store.save_trained(lists, Kind.WHOLE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_DEEP", 4096)
        return Trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def opened(trained: Trained) -> SegmentReader:
    return trained.store.read(trained.names)


@pytest.fixture
def kept(trained: Trained) -> Iterator[Trained]:
    """The same, put back after a test that changes its file."""
    content = trained.file.read_bytes()
    yield trained
    trained.file.write_bytes(content)


def filters(query: Vectors) -> dict[str, BitMap | None]:
    """Of many selectivities; at random, a stretch such as a study, and without the nearest, such as the own study."""
    ranked = np.argsort(-(LOOKS @ query), kind="stable").astype(np.uint32)
    chance = np.random.default_rng(7).random(ROWS)
    made: dict[str, BitMap | None] = {f"{share:.0%}": BitMap(np.flatnonzero(chance < share)) for share in (0.5, 0.1)}
    made |= {f"all but the nearest {away}": BitMap(range(ROWS)) - BitMap(ranked[:away]) for away in (1, 200, 2000)}
    return made | {"none": None, "stretch": BitMap(range(9_000, 18_000))}


def shared(answer: list[int], right: list[tuple[int, float]]) -> float:
    return len({*answer} & {ordinal for ordinal, _ in right}) / len(right)


def test_answers_have_as_much_of_the_truth_as_they_say(trained: Trained, opened: SegmentReader) -> None:
    stated: dict[str, list[float]] = {}
    measured: dict[str, list[float]] = {}
    scores = LOOKS.astype(np.float64) @ ASKED.T.astype(np.float64)
    for number in range(len(ASKED)):
        for name, allowed in filters(ASKED[number]).items():
            answer = opened.search(ASKED[number : number + 1], 10, allowed=allowed)
            among = np.arange(ROWS) if allowed is None else np.array(allowed)
            right = among[np.argsort(-scores[among, number], kind="stable")[:10]].tolist()
            assert answer.candidates == len(among)
            assert len(answer.hits) == 10
            assert {*found(answer)} <= {*among.tolist()}
            assert answer.exact == (answer.recall is None) == (answer.method != "lists")
            if answer.recall is None:
                assert found(answer) == right
                continue
            stated.setdefault(name, []).append(answer.recall)
            measured.setdefault(name, []).append(len({*found(answer)} & {*right}) / 10)
            similarities = [hit.similarity for hit in answer.hits]
            assert similarities == pytest.approx([scores[hit.ordinal, number] for hit in answer.hits], abs=1e-12)
    assert {"none", "50%", "all but the nearest 1"} <= stated.keys(), "these filters are easy"
    assert len(stated["none"]) > 50
    for name in stated:
        assert np.mean(stated[name]) >= 0.95 - 0.01, name
        assert np.mean(measured[name]) >= np.mean(stated[name]) - 0.02, name


def test_what_tests_measured_is_what_is_stated(trained: Trained) -> None:
    answered = {(each.filter, each.k): each for each in trained.tests if each.answered > 0.5}
    assert {("100%", 10), ("100%", 100), ("30%", 10)} <= answered.keys()
    for each in answered.values():
        assert each.measured >= 0.94, each


def test_whoever_asks_gets_the_exact_answer(trained: Trained, opened: SegmentReader) -> None:
    for number, allowed in enumerate([None, BitMap(range(0, ROWS, 3)), BitMap([5, 6])]):
        query = ASKED[number : number + 2]
        answer = opened.search(query, 12, allowed=allowed, exact=True)
        expected = brute_force(trained.blocks, query, 12, allowed)
        assert (answer.exact, answer.recall) == (True, None)
        assert found(answer) == [ordinal for ordinal, _ in expected]


@pytest.mark.parametrize("k", [1001, ROWS])
def test_more_hits_than_were_measured_are_searched_exactly(opened: SegmentReader, k: int) -> None:
    answer = opened.search(ASKED[:1], k)
    assert (answer.exact, len(answer.hits)) == (True, k)


def test_a_filter_of_few_images_is_answered_exactly_within_the_budget(trained: Trained) -> None:
    within = SegmentStore(trained.folder, SPACE, most_bytes=4 * DIM * 1_000).read(trained.names)
    assert not within.search(ASKED[:1], 5).exact
    answer = within.search(ASKED[:1], 5, allowed=BitMap(range(0, ROWS, 30)))
    assert (answer.exact, answer.candidates) == (True, 667)
    unlimited = SegmentStore(trained.folder, SPACE).read(trained.names)
    assert unlimited.search(ASKED[:1], 5).exact


def test_as_many_come_as_are_allowed(opened: SegmentReader) -> None:
    for allowed in (BitMap(), BitMap([7]), BitMap(range(40))):
        answer = opened.search(ASKED[:1], 10, allowed=allowed)
        assert (answer.exact, len(answer.hits)) == (True, min(10, len(allowed)))


def test_what_is_newer_than_the_lists_is_found_and_what_it_replaces_is_not(trained: Trained) -> None:
    query = ASKED[:1]
    before = trained.store.read(trained.names).search(query, 10)
    gone, moved = before.hits[0].ordinal, before.hits[1].ordinal
    newer = block(np.concatenate([query, -query, query]), [ROWS + 5, gone, moved])
    reader = trained.store.read([*trained.names, trained.store.append(newer)])
    answer = reader.search(query, 10, allowed=BitMap(range(ROWS + 10)) - BitMap([before.hits[2].ordinal]))

    assert not answer.exact
    assert answer.candidates == ROWS
    assert found(answer)[:2] == [moved, ROWS + 5]
    assert gone not in found(answer)
    assert before.hits[2].ordinal not in found(answer)
    expected = brute_force([*trained.blocks, newer], query, 12, None)
    right = [each for each in expected if each[0] != before.hits[2].ordinal][:10]
    assert shared(found(answer), right) >= 0.8


def test_rows_of_a_trained_segment_that_was_merged_away_are_searched_exactly(trained: Trained) -> None:
    reader = trained.store.read([trained.names[0], trained.store.append(trained.blocks[1])])
    answer = reader.search(LOOKS[17_000:17_001], 10)
    assert not answer.exact
    assert found(answer)[0] == 17_000
    assert answer.candidates == ROWS
    assert shared(found(answer), brute_force(trained.blocks, LOOKS[17_000:17_001], 10, None)) >= 0.8


@pytest.mark.parametrize("damage", ["flip", "flip header", "cut", "grow", "empty", "gone", "other space"])
def test_lists_that_do_not_hold_are_not_used_and_the_log_says_so(
    kept: Trained, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(kept.file.read_bytes())
    content[30 if damage == "flip header" else len(content) // 2] ^= 1
    other: dict[str, bytes] = {"cut": bytes(content[:-1]), "grow": bytes(content) + b"\0", "empty": b""}
    if damage == "gone":
        kept.file.unlink()
    elif damage == "other space":
        lists = kept.file.read_bytes().replace(b"a" * 64, b"b" * 64, 1)
        kept.file.write_bytes(lists)
    else:
        kept.file.write_bytes(other.get(damage, bytes(content)))
    with caplog.at_level(logging.WARNING):
        answer = kept.store.read(kept.names).search(ASKED[:1], 10)
    assert answer.exact
    assert found(answer) == [ordinal for ordinal, _ in brute_force(kept.blocks, ASKED[:1], 10, None)]
    assert len([each for each in caplog.records if "searching exactly" in each.message]) == 1


def test_lists_of_segments_that_are_all_gone_are_not_used(trained: Trained, caplog: pytest.LogCaptureFixture) -> None:
    names = [trained.store.append(each) for each in trained.blocks]
    assert trained.store.read(names).search(ASKED[:1], 10).exact
    assert "hooke train" in caplog.text


def test_open_readers_follow_the_lists_that_are_there(kept: Trained) -> None:
    reader, content = kept.store.read(kept.names), kept.file.read_bytes()
    first = reader.search(ASKED[:1], 10)
    for there, exact in ((content[:-1], True), (content, False)):
        kept.file.with_name("new").write_bytes(there)
        kept.file.with_name("new").replace(kept.file)
        assert reader.search(ASKED[:1], 10).exact == exact
    assert reader.search(ASKED[:1], 10) == first
    kept.file.unlink()
    assert reader.search(ASKED[:1], 10).exact
    assert not list(kept.file.parent.iterdir())


def test_lists_that_are_replaced_while_they_are_read_are_read_as_they_were(
    kept: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, other = kept.file.read_bytes(), kept.file.with_name("other")
    mapped = checked._mapped

    def replaced(*arguments: Any) -> Iterator[checked.Array]:
        other.write_bytes(content[:-8] + bytes(8))
        other.replace(kept.file)
        return mapped(*arguments)

    monkeypatch.setattr(checked, "_mapped", replaced)
    lists = read_trained(kept.file, SPACE)
    assert lists is not None
    assert lists.inverted.codes.tobytes() == content[-lists.inverted.codes.nbytes :]


def test_what_killed_trainings_left_goes_with_the_next(kept: Trained) -> None:
    lists = read_trained(kept.file, SPACE)
    assert lists is not None
    old, new = (kept.file.with_name(f"tmp-{name}") for name in ("old", "new"))
    for each in (old, new):
        each.write_bytes(b"unfinished")
    os.utime(old, (0, 0))
    kept.store.save_trained(lists, Kind.WHOLE)
    assert (old.exists(), new.exists()) == (False, True)
    new.unlink()


def test_the_merge_after_a_run_leaves_trained_segments(trained: Trained) -> None:
    query = ASKED[:1]
    small = [trained.store.append(block(looks(1, 50 + number), [number])) for number in range(FEW + 2)]
    left = tidy(trained.store, [*trained.names, *small], BitMap(range(ROWS)))
    assert left[:2] == tuple(trained.names)
    assert len(left) == 3, "what is newer is merged"
    answer, former = (trained.store.read(names).search(query, 10) for names in (left, [*trained.names, *small]))
    assert (answer.exact, answer.hits) == (False, former.hits)


def test_threads_and_company_leave_no_trace(trained: Trained, opened: SegmentReader) -> None:
    one = SegmentReader(trained.store.open(trained.names), threads=1, lists=opened._lists)
    alone = [one.search(ASKED[number : number + 2], 10) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: opened.search(ASKED[number : number + 2], 10), range(24))) == alone


def test_images_of_several_rows_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_DEEP", 2048)
    store = SegmentStore(tmp_path, SPACE, most_bytes=0)
    tiles = placed(LOOKS[:8_000], np.repeat(np.arange(2_000), 4), Kind.TILE, np.zeros((8_000, 4)))
    names = [store.append(tiles)]
    lists, _ = train(names, store.open(names), live_images(store.open(names)), SILENT)
    store.save_trained(replace(lists, doubt=0.0), Kind.TILE)
    reader = store.read(names, Kind.TILE)
    shares = []
    for number in range(20):
        answer = reader.search(ASKED[number : number + 1], 10)
        assert len({*found(answer)}) == 10
        if not answer.exact:
            shares.append(shared(found(answer), brute_force([tiles], ASKED[number : number + 1], 10, None)))
    assert len(shares) > 10
    assert np.mean(shares) > 0.95


def test_images_of_many_rows_alike_are_answered_by_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest rows are of few images: as many rows as hits do not say how near the last hit is."""
    monkeypatch.setattr(training, "_DEEP", 2048)
    noise = np.random.default_rng(3).standard_normal((16_000, DIM)) / DIM**0.5
    rows = unit(np.repeat(LOOKS[:2_000], 8, axis=0) + 0.1 * noise)
    store = SegmentStore(tmp_path, SPACE, most_bytes=0)
    tiles = placed(rows, np.repeat(np.arange(2_000), 8), Kind.TILE, np.zeros((16_000, 4)))
    names = [store.append(tiles)]
    lists, _ = train(names, store.open(names), live_images(store.open(names)), SILENT)
    store.save_trained(lists, Kind.TILE)
    reader = store.read(names, Kind.TILE)
    answers = [reader.search(query[np.newaxis], 10) for query in ASKED[:20]]
    right = [brute_force([tiles], query[np.newaxis], 10, None) for query in ASKED[:20]]
    shares = [shared(found(answer), best) for answer, best in zip(answers, right, strict=True) if not answer.exact]
    assert len(shares) > 10
    assert np.mean(shares) > 0.93


def test_what_is_deeper_than_held_out_rows_tested_is_searched_exactly(trained: Trained) -> None:
    lists = read_trained(trained.file, SPACE)
    assert lists is not None
    shallow = replace(lists, odds=Odds(lists.odds.gaps, lists.odds.ranks[:3], lists.odds.shares[:3]))
    assert shallow.odds.ranks.tolist() == [10, 30, 100]
    segments = trained.store.open(trained.names)
    tenth = BitMap(range(0, ROWS, 10))
    answered = {}
    for name, each in (("deep", lists), ("shallow", shallow)):
        searched = Approximate(each, segments, live_images(segments), Workers(2))
        answered[name] = [sum(bool(searched.search(q[None], 40, some)) for q in ASKED[:10]) for some in (None, tenth)]
    assert answered["deep"][1] > 5, "the filter alone is no reason"
    assert answered["shallow"][0] > 5
    assert answered["shallow"][1] == 0


def test_rows_without_any_order_are_searched_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of isotropic rows no list is nearer than another: nothing but all of them gives the nearest."""
    monkeypatch.setattr(training, "_DEEP", 2048)
    rows = unit(np.random.default_rng(3).standard_normal((3_000, DIM)))
    store = SegmentStore(tmp_path, SPACE, most_bytes=0)
    names = [store.append(block(rows, range(3_000)))]
    lists, _ = train(names, store.open(names), live_images(store.open(names)), SILENT)
    store.save_trained(lists, Kind.WHOLE)
    assert all(store.read(names).search(row[np.newaxis], 10).exact for row in rows[:10])

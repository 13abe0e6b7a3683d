"""All pairs of images: against brute force in float64, across blocks, at the threshold itself, in blocks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hooke.errors import CorruptIndex
from hooke.vectors import pairs
from hooke.vectors.base import VectorReader, Vectors
from hooke.vectors.pairs import PARTNERS_KEPT, best_match_means, linked, neighbour_similarities
from hooke.vectors.segments import SegmentStore
from tests.contract.vector_store import block, random_rows, unit


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few dozen images are several blocks, the last of them not whole."""
    monkeypatch.setattr(pairs, "BLOCK_ROWS", 7)


def reader_of(folder: Path, rows: Vectors, ordinals: Sequence[int] | None = None) -> VectorReader:
    store = SegmentStore(folder / "vectors", "a" * 64)
    return store.read([store.append(block(rows, range(len(rows)) if ordinals is None else ordinals))])


def numbered(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.arange(count, dtype=np.uint32)


def distinct(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.arange(count, dtype=np.uint64)


def near(count: int, spread: float, seed: int = 0) -> Vectors:
    """Directions so close to one another that their similarities lie around a threshold near 1."""
    generator = np.random.default_rng(seed)
    return unit(random_rows(1, dim=32) + generator.standard_normal((count, 32)) * spread)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 40),
    spread=st.sampled_from([0.003, 0.02, 0.05]),
    threshold=st.sampled_from([0.5, 0.95, 0.98, 0.999, 1.0]),
    studies=st.integers(1, 4),
    apart=st.booleans(),
    contents=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_pairs_and_groups_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    spread: float,
    threshold: float,
    studies: int,
    apart: bool,
    contents: int,
    seed: int,
) -> None:
    rows, generator = near(count, spread, seed), np.random.default_rng(seed)
    owners = generator.integers(0, studies, count).astype(np.uint32)
    digests = generator.integers(0, contents, count).astype(np.uint64)
    reader = reader_of(tmp_path_factory.mktemp("pairs"), rows)
    found = linked(reader, numbered(count), threshold, digests=digests, owners=owners if apart else None)

    wide = rows.astype(np.float64)
    similarity = np.array([[(one * other).sum() for other in wide] for one in wide])
    wanted = np.triu((similarity >= threshold) | (digests[:, None] == digests), 1)
    if apart:
        wanted &= owners[:, None] != owners
    first, second = np.nonzero(wanted)
    assert found.partners.tolist() == (wanted.sum(axis=0) + wanted.sum(axis=1)).tolist()
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    expected = connected_components(edges, directed=False)[1].astype(np.int64)
    assert partition(found.groups) == partition(expected)
    kept = {(int(a), int(b)) for a, b in zip(found.pairs.first, found.pairs.second, strict=True)}
    ranks = wanted.cumsum(axis=1)
    assert kept == {(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True) if ranks[a, b] <= 20}
    assert found.pairs.similarities.tolist() == similarity[found.pairs.first, found.pairs.second].tolist()


def partition(labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def test_what_float32_cannot_tell_from_the_threshold_is_decided_in_float64(tmp_path: Path) -> None:
    rows = near(30, 1e-4)
    wide = rows.astype(np.float64)
    exact = np.array([[(one * other).sum() for other in wide] for one in wide])
    threshold = float(np.median(exact[np.triu_indices(30, 1)]))
    found = linked(reader_of(tmp_path, rows), numbered(30), threshold, digests=distinct(30))
    assert found.partners.sum() == 2 * (np.triu(exact, 1) >= threshold).sum()


def test_images_of_some_ordinals_are_compared_and_no_others(tmp_path: Path) -> None:
    rows = np.repeat(random_rows(2), 10, axis=0)
    reader = reader_of(tmp_path, rows, range(0, 200, 10))
    images = np.array([0, 20, 100, 190], dtype=np.uint32)
    found = linked(reader, images, 0.99, digests=distinct(4))
    assert partition(found.groups) == {frozenset({0, 1}), frozenset({2, 3})}
    assert [found.pairs.first.tolist(), found.pairs.second.tolist()] == [[0, 2], [1, 3]]


def test_many_equal_images_are_all_counted_and_few_pairs_are_named(tmp_path: Path) -> None:
    count = 60
    reader = reader_of(tmp_path, np.repeat(random_rows(1), count, axis=0))
    found = linked(reader, numbered(count), 0.98, digests=distinct(count))
    assert found.partners.tolist() == [count - 1] * count
    assert len(found.pairs.first) <= count * PARTNERS_KEPT < count * (count - 1) // 2
    assert len(set(found.groups.tolist())) == 1


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    linked(
        reader_of(tmp_path, random_rows(20)),
        numbered(20),
        0.98,
        digests=distinct(20),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(1, 7)]


def test_nothing_is_no_pairs(tmp_path: Path) -> None:
    found = linked(reader_of(tmp_path, random_rows(3)), numbered(0), 0.98, digests=distinct(0))
    assert (len(found.groups), len(found.pairs.first)) == (0, 0)


@pytest.mark.parametrize("ordinals", [[0, 0, 1], [0, 2, 3]])
def test_images_without_exactly_one_row_are_refused(tmp_path: Path, ordinals: list[int]) -> None:
    with pytest.raises(CorruptIndex, match="not one each"):
        linked(reader_of(tmp_path, random_rows(3), ordinals), numbered(2), 0.98, digests=distinct(2))


@pytest.mark.parametrize("count", [2, 7, 8, 30])
@pytest.mark.parametrize("k", [1, 5])
def test_neighbour_similarities_are_those_of_brute_force(tmp_path: Path, count: int, k: int) -> None:
    k = min(k, count - 1)
    rows = near(count, 0.1)
    found = neighbour_similarities(reader_of(tmp_path, rows), numbered(count), k)
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    np.fill_diagonal(exact, -np.inf)
    np.testing.assert_allclose(found, np.sort(exact, axis=1)[:, -k], atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_same_rows_have_the_same_neighbour_similarities_of_at_most_1(tmp_path: Path, k: int) -> None:
    rows = unit(random_rows(30, dim=1280))
    rows[[7, 20, 29]] = rows[3]
    rows[21] = rows[4]
    found = neighbour_similarities(reader_of(tmp_path, rows), numbered(len(rows)), k)
    wide = rows.astype(np.float64)
    exact = np.array([[(one * other).sum() for other in wide] for one in wide])
    np.fill_diagonal(exact, -np.inf)
    assert found.tolist() == np.clip(np.sort(exact, axis=1)[:, -k], -1, 1).tolist()
    assert len({float(found[row]) for row in (3, 7, 20, 29)}) == len({float(found[row]) for row in (4, 21)}) == 1


def test_best_match_means_are_those_of_brute_force() -> None:
    queries, others = near(9, 0.1), [near(size, 0.1, seed=size) for size in (1, 4, 6)]
    found = best_match_means(queries, np.concatenate(others), np.array([0, 1, 5]))
    for mean, rows in zip(found, others, strict=True):
        scores = queries.astype(np.float64) @ rows.astype(np.float64).T
        assert mean == pytest.approx((scores.max(axis=1).mean() + scores.max(axis=0).mean()) / 2, abs=1e-6)


def test_a_set_of_images_is_wholly_like_itself() -> None:
    rows = random_rows(12)
    assert best_match_means(rows, rows, np.array([0])).tolist() == pytest.approx([1.0], abs=1e-6)


def test_rows_are_read_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of(tmp_path, random_rows(40))
    asked: list[int] = []
    read = reader.matrix

    def counted(images: BitMap) -> object:
        asked.append(len(images))
        return read(images)

    monkeypatch.setattr(reader, "matrix", counted)
    linked(reader, numbered(40), 0.98, digests=distinct(40))
    assert max(asked) == 7

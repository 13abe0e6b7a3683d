"""The null model: chances beyond the sample, and pairs of images that have several rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from hooke.vectors.base import Vectors
from search_api.engine.nullmodel import FEWEST_FOR_TAIL, FEWEST_PAIRS, RATE, NullModel, _alike, fit, meaningful

DIM = 8


def unit(generator: np.random.Generator, count: int) -> Vectors:
    rows = generator.normal(size=(count, DIM))
    scaled: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def sampled(count: int) -> NullModel:
    generator = np.random.default_rng(2)
    found = fit((unit(generator, count) * unit(generator, count)).sum(axis=1).astype(np.float64))
    assert found is not None
    return found


@pytest.mark.parametrize("chance", [1e-1, 1e-3, 1e-4, 1e-5, 1e-6])
def test_chances_smaller_than_one_in_the_sample_are_told_apart(chance: float) -> None:
    """Random directions: half of one plus the cosine has a Beta distribution."""
    similarity = float(1 - 2 * beta.ppf(chance, (DIM - 1) / 2, (DIM - 1) / 2))
    assert chance / 3 < sampled(100_000).chance(similarity) < chance * 3


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_what_is_more_alike_is_never_more_likely(similarities: list[float]) -> None:
    for null in (sampled(2 * FEWEST_FOR_TAIL), sampled(FEWEST_PAIRS)):
        chances = [null.chance(each) for each in sorted(similarities)]
        assert chances == sorted(chances, reverse=True)
        assert all(0 < each <= 1 for each in chances)


def test_a_sample_of_equal_images_has_no_tail_and_one_too_small_no_model() -> None:
    same = fit(np.ones(FEWEST_FOR_TAIL))
    assert same is not None
    assert (same.power, same.chance(1.0), same.chance(0.5)) == (0.0, 1.0, 1.0)
    assert fit(np.zeros(FEWEST_PAIRS - 1)) is None
    assert not sampled(FEWEST_PAIRS).judges
    assert sampled(FEWEST_FOR_TAIL).judges


def test_images_are_as_alike_as_their_most_alike_rows() -> None:
    generator = np.random.default_rng(3)
    rows = [unit(generator, int(generator.integers(1, 5))) for _ in range(150)]
    found = _alike(rows)
    assert found.shape == (150, 150)
    for one, other in generator.integers(0, 150, (200, 2)):
        assert found[one, other] == pytest.approx(float((rows[one] @ rows[other].T).max()), abs=1e-6)


def test_in_searches_for_nothing_hardly_anything_is_meaningful() -> None:
    """By the rule's own promise in a share of RATE, where `expected` below 1 alone would be in two of three."""
    null, generator = sampled(100_000), np.random.default_rng(4)
    candidates = unit(generator, 1_000).astype(np.float64)
    called, below_one = 0, 0
    for query in unit(generator, 400).astype(np.float64):
        expected = [len(candidates) * null.chance(each) for each in np.sort(candidates @ query)[::-1][:100]]
        called += meaningful(expected) > 0
        below_one += expected[0] < 1
    assert called <= 2 * RATE * 400
    assert below_one > 0.4 * 400

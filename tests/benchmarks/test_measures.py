"""Measures of a ranking, on cases worked out by hand."""

import numpy as np
import pytest

from benchmarks.measures import average_precision, by_collection, choose_elsewhere, compare, leave_one_out


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def codes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("relevant", "possible", "expected"),
    [
        ([1, 1, 1], 3, 1.0),
        ([0, 0, 0], 3, 0.0),
        ([1, 0, 1], 2, (1 + 2 / 3) / 2),
        ([0, 1, 0], 9, (1 / 2) / 3),  # three places: no more than three could be found
        ([0, 0, 0], 0, 0.0),  # the only one of its class
    ],
)
def test_average_precision_is_normalised_by_what_was_possible(
    relevant: list[int], possible: int, expected: float
) -> None:
    found = average_precision(np.array([relevant], dtype=bool), codes(possible))
    assert found.tolist() == [pytest.approx(expected)]


def test_a_query_never_finds_itself_and_ranks_by_cosine() -> None:
    # from 0°: 10° (other class), then 30° (own class); from 30°: 10°, then 0°; the class of 10° has one image
    quality = leave_one_out(on_circle(0, 10, 30), codes(1, 2, 1))
    assert quality.hits.tolist() == [False, False, False]
    assert quality.averages.tolist() == [pytest.approx(0.5), 0.0, pytest.approx(0.5)]
    assert quality.nearest == 0
    assert quality.precision == pytest.approx(1 / 3)


def test_images_of_the_query_s_group_are_left_out_but_not_those_without_a_group() -> None:
    vectors, classes = on_circle(0, 1, 20, 21), codes(1, 1, 1, 2)
    assert leave_one_out(vectors, classes).hits.tolist() == [True, True, False, False]
    grouped = leave_one_out(vectors, classes, codes(5, 5, 0, 0))
    # 0° and 1° are of one group: the first finds 20°, the second too; 20° and 21° have none and find each other
    assert grouped.hits.tolist() == [True, True, False, False]
    apart = leave_one_out(vectors, codes(1, 1, 2, 2), codes(5, 5, 0, 0))
    assert apart.hits.tolist() == [False, False, True, True]
    assert apart.averages.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_means_of_collections_are_in_order_of_their_names() -> None:
    assert by_collection(np.array([1.0, 0.0, 0.5]), ["b", "a", "b"]) == {"a": 0.0, "b": 0.75}
    assert list(by_collection(np.array([1.0, 0.0]), ["b", "a"])) == ["a", "b"]


def test_bootstrap_is_paired_and_says_what_is_significant() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(60)
    collections = ["same"] * 20 + ["better"] * 20 + ["worse"] * 20
    # far smaller than the spread between queries: only pairs show it
    shift = np.concatenate([rng.normal(0, 0.02, 20), np.full(20, 0.01), np.full(20, -0.01)])
    found = compare(hard + shift, hard, collections)
    assert {name: each.sign for name, each in found.items()} == {"same": "=", "better": "+", "worse": "-", "": "="}
    assert found["better"].mean == pytest.approx(0.01)
    assert found[""].low < found[""].mean < found[""].high


def test_bootstrap_is_the_same_each_time_and_its_width_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(0, 1, 400)
    first, second = (compare(values, np.zeros(400), ["one"] * 400) for _ in range(2))
    assert first == second
    assert first["one"].high - first["one"].low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_a_variant_is_scored_only_where_it_was_not_chosen() -> None:
    collections = ["a", "a", "b", "b", "c", "c"]
    variants = {
        "lucky on a": np.array([1.0, 1.0, 0.2, 0.2, 0.2, 0.2]),
        "good on b and c": np.array([0.1, 0.1, 0.6, 0.6, 0.6, 0.6]),
    }
    nested = choose_elsewhere(variants, collections)
    # a's best variant is not known from b and c
    assert nested.chosen == {"a": "good on b and c", "b": "lucky on a", "c": "lucky on a"}
    assert nested.values.tolist() == [0.1, 0.1, 0.2, 0.2, 0.2, 0.2]

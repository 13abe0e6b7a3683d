import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooke.store.base import ValueSet
from search_api.engine.ranges import FEW, divide, find_numbers

finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(10**6), 10**6).map(float)
near = st.integers(0, 60).map(lambda step: 1e15 + step)
tiny = st.integers(0, 60).map(lambda step: step * 5e-324)


def ascending(*numbers: float) -> npt.NDArray[np.float64]:
    return np.unique(np.array(numbers, np.float64))


@example([*map(float, range(15)), 0.5, 0.25, 0.125, 0.0625, 0.03125, -1.6e308])
@given(st.lists(finite, min_size=1, max_size=60) | st.lists(whole | near | tiny, min_size=1, max_size=60))
def test_every_number_is_in_one_range(numbers: list[float]) -> None:
    bounds = divide(ascending(*numbers))
    for number in numbers:
        assert sum(low <= number < high or low == number == high for low, high in bounds) == 1
    assert all(np.isfinite(bounds).ravel())
    assert len(bounds) <= max(FEW, 13)


def test_ranges_have_one_round_width() -> None:
    assert divide(ascending(*np.linspace(0, 1, 50).tolist()))[:4] == [(0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4)]
    assert {high - low for low, high in divide(ascending(*range(-3, 2048, 7)))} == {500.0}
    assert {high - low for low, high in divide(ascending(*range(22)))} == {5.0}


def test_dates_are_divided_at_years_or_months() -> None:
    years = ascending(*(float(f"{year}{month:02}15") for year in (2019, 2020, 2021) for month in range(1, 13)))
    assert divide(years, dates=True) == [(y * 10_000.0, y * 10_000.0 + 10_000) for y in (2019, 2020, 2021)]
    months = ascending(*(20200000.0 + month * 100 + day for month in (1, 2, 3) for day in range(1, 29)))
    assert divide(months, dates=True) == [(20200000.0 + m * 100, 20200000.0 + m * 100 + 100) for m in (1, 2, 3)]


@pytest.mark.parametrize(("texts", "dates"), [(("2020-01-01", "2021-05-30T10:00"), True), (("2020-01-01", "3"), False)])
def test_dates_are_told_from_numbers(texts: tuple[str, ...], dates: bool) -> None:
    numbers = find_numbers([ValueSet(frozenset(), frozenset({*texts, "Not Applicable"}))])
    assert (len(numbers.numbers), numbers.dates) == (2, dates)


def test_a_set_with_two_numbers_in_a_range_counts_once() -> None:
    sets = [ValueSet(frozenset(), frozenset(map(str, range(start, start + 2)))) for start in range(0, 60, 2)]
    bounds, reach = find_numbers(sets).among(np.ones(len(sets), bool))
    counts: npt.NDArray[np.int64] = reach.T @ np.ones(len(sets), np.int64)
    assert list(counts) == [(high - low) / 2 for low, high in bounds]

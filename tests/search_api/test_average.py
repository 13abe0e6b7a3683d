"""Where the mean of several examples lies."""

import numpy as np
import pytest

from hooke.errors import BadInput
from search_api.engine.similarity import towards

ACROSS, UP, DEEP = np.eye(3, dtype=np.float32)[:, np.newaxis]


def test_an_example_counts_once_however_many_rows_it_has() -> None:
    five_channels = np.repeat(UP, 5, axis=0)
    assert towards([ACROSS, five_channels]) == pytest.approx(towards([ACROSS, UP]))
    assert towards([DEEP], [ACROSS, five_channels]) == pytest.approx(towards([DEEP], [ACROSS, UP]))


def test_rows_that_differ_weaken_no_example() -> None:
    assert towards([np.concatenate([ACROSS, UP]), DEEP]) == pytest.approx(np.array([[0.5, 0.5, np.sqrt(0.5)]]))


def test_examples_that_cancel_each_other_out_are_refused() -> None:
    with pytest.raises(BadInput, match="cancel each other out"):
        towards([ACROSS, -ACROSS])

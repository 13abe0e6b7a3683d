"""The tones of pictures joined with what a model says of them."""

import numpy as np
import pytest
import torch

from hooke.embed.base import Raster
from hooke.embed.fingerprint import check_golden, golden_rasters, golden_vector
from hooke.embed.timm import DEFAULT_MODEL, TimmEmbedder, load_embedder
from hooke.embed.tones import BINS, WEIGHT, tones
from hooke.errors import UnknownModel
from hooke.views import Kind

TONES = 3 * BINS


@pytest.fixture(scope="module")
def fast() -> TimmEmbedder:
    return load_embedder("fast", threads=2)


@pytest.fixture(scope="module")
def alone() -> TimmEmbedder:
    return load_embedder(DEFAULT_MODEL, threads=2)


def cell(dye: float, gain: float = 1.0) -> Raster:
    """A bright field, and a disc with that much dye, in a camera of that gain."""
    y, x = np.mgrid[:40, :40]
    disc = (x - 20) ** 2 + (y - 20) ** 2 < 100
    channels = np.stack([1000 + 20 * (x % 5), 40 + 400 * dye * disc + x % 3])
    return Raster((channels * gain).astype(np.uint16), rgb=False)


def test_tones_are_a_tenth_of_the_cosine_and_the_rest_is_the_model_s(fast: TimmEmbedder, alone: TimmEmbedder) -> None:
    rasters = golden_rasters()
    rows, model = fast.embed(rasters), alone.embed(rasters)
    assert rows.shape == (len(rasters), model.shape[1] + TONES)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    # of one picture: a channel, and colour
    for number in (0, 3):
        row = rows[number]
        assert np.linalg.norm(row[-TONES:]) ** 2 == pytest.approx(WEIGHT, abs=1e-5)
        np.testing.assert_allclose(row[:-TONES] / (1 - WEIGHT) ** 0.5, model[number], atol=1e-5)


def test_tones_are_another_space_of_the_same_weights(fast: TimmEmbedder, alone: TimmEmbedder) -> None:
    assert fast.space.fingerprint != alone.space.fingerprint
    differing = {key for key, value in fast.space.recipe.items() if alone.space.recipe[key] != value}
    assert differing == {"model", "pooling", "dim"}


def test_rows_are_the_same_again_alone_and_in_batches(fast: TimmEmbedder) -> None:
    rasters = golden_rasters()
    rows = fast.embed(rasters)
    np.testing.assert_array_equal(np.concatenate([fast.embed([raster]) for raster in rasters]), rows)
    check_golden(fast, golden_vector(load_embedder("fast", threads=1)))
    across = TimmEmbedder(fast._model, fast.space.model, threads=2, batch=3)
    np.testing.assert_allclose(across.embed(rasters), rows, atol=1e-5)


def test_channels_have_tones_too(fast: TimmEmbedder) -> None:
    (views,) = fast.embed_views([cell(1)])
    assert views[Kind.CHANNEL].vectors.shape == (2, fast.space.dim)
    assert (np.abs(views[Kind.CHANNEL].vectors[:, -TONES:]).sum(axis=1) > 0).all()


def test_the_amount_of_a_dye_beside_another_channel_counts_and_exposure_does_not(fast: TimmEmbedder) -> None:
    rows = fast.embed([cell(1), cell(2), cell(1, gain=10)])[:, -TONES:]
    once, twice, exposed = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert once @ twice < 0.99
    assert once @ exposed > 0.9999


def test_a_tone_between_two_counts_for_both_and_all_weigh_the_same() -> None:
    between, dark = torch.full((1, 3, 4, 4), 0.5 / (BINS - 1)), torch.zeros((1, 3, 4, 4))
    rows = tones(torch.cat([between, dark]), BINS).reshape(2, 3, BINS)
    np.testing.assert_allclose(rows[0, :, :2], np.full((3, 2), 6**-0.5), rtol=1e-5)
    assert rows[0, :, 2:].abs().sum() == 0
    np.testing.assert_allclose((rows[0] * rows[1]).sum(), 0.5**0.5, rtol=1e-5)


def test_parts_in_another_order_are_no_model() -> None:
    with pytest.raises(UnknownModel, match="did you mean"):
        load_embedder(f"{DEFAULT_MODEL}+tones+stages")

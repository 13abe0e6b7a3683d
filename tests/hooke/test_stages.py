"""A model's stages joined with its own output."""

import numpy as np
import pytest
import torch

from hooke.embed.base import Raster
from hooke.embed.stages import cubic_mean
from hooke.embed.timm import DEFAULT_MODEL, TimmEmbedder, load_embedder

WIDTHS = (16, 24, 40, 112, 320, 1280)


@pytest.fixture(scope="module")
def stages() -> TimmEmbedder:
    return load_embedder(f"{DEFAULT_MODEL}+stages", threads=1)


@pytest.fixture(scope="module")
def own() -> TimmEmbedder:
    return load_embedder(DEFAULT_MODEL, threads=1)


@pytest.fixture(scope="module")
def raster() -> Raster:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 50, 40)).astype(np.uint8)
    return Raster(pixels=pixels, rgb=True)


def test_each_stage_weighs_the_same_and_the_last_part_is_the_model_s_own(
    stages: TimmEmbedder, own: TimmEmbedder, raster: Raster
) -> None:
    row = stages.embed([raster])[0]
    assert row.shape == (sum(WIDTHS),)
    parts = np.split(row, np.cumsum(WIDTHS)[:-1])
    np.testing.assert_allclose([np.linalg.norm(part) for part in parts], [6**-0.5] * 6, rtol=1e-5)
    np.testing.assert_allclose(parts[-1] * 6**0.5, own.embed([raster])[0], atol=1e-5)


def test_stages_are_another_space_of_the_same_weights(stages: TimmEmbedder, own: TimmEmbedder) -> None:
    assert stages.space.model == f"{DEFAULT_MODEL}+stages"
    assert stages.space.dim == sum(WIDTHS)
    assert stages.space.fingerprint != own.space.fingerprint
    differing = {key for key, value in stages.space.recipe.items() if own.space.recipe[key] != value}
    assert differing == {"model", "pooling", "dim"}


def test_cubic_mean_lies_between_mean_and_maximum_and_ignores_what_is_negative() -> None:
    maps = torch.tensor([[[[0.0, 2.0], [0.0, 0.0]], [[-5.0, 2.0], [0.0, 0.0]]]])
    expected = 2 / 4 ** (1 / 3)
    assert cubic_mean(maps).tolist() == [[pytest.approx(expected, rel=1e-4)] * 2]

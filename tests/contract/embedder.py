"""The suite every Embedder passes: inherit `EmbedderContract` and give an `embedder` fixture."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from hooke.embed.base import Embedder, Raster, Tile
from hooke.embed.fingerprint import golden_rasters
from hooke.errors import UnreadableImage
from hooke.views import Box, Kind

# Kernels for other batch sizes may add in another order; a cosine does not see a difference this small.
SAME = 1e-5


def noise(channels: int, dtype: str, *, rgb: bool = False, seed: int = 0, height: int = 48, width: int = 64) -> Raster:
    """A raster of random blocks."""
    coarse = np.random.default_rng(seed).integers(0, 250, (channels, height // 8, width // 8))
    return Raster(coarse.repeat(8, axis=1).repeat(8, axis=2).astype(dtype), rgb=rgb)


RASTERS = (
    noise(1, "uint8"),
    noise(3, "uint8", rgb=True, seed=1),
    noise(2, "uint16", seed=2),
    noise(4, "float32", seed=3, height=80),
    noise(3, "uint16", rgb=True, seed=4),
    *golden_rasters(),
)


class EmbedderContract:
    """What the docstrings of `hooke.embed.base` promise."""

    def test_rows_are_unit_float32_one_a_raster(self, embedder: Embedder) -> None:
        rows = embedder.embed(RASTERS)
        assert rows.dtype == np.float32
        assert rows.shape == (len(RASTERS), embedder.space.dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)

    def test_no_rasters_give_no_rows(self, embedder: Embedder) -> None:
        rows = embedder.embed([])
        assert rows.shape == (0, embedder.space.dim)
        assert rows.dtype == np.float32

    def test_the_same_rasters_give_the_same_rows(self, embedder: Embedder) -> None:
        np.testing.assert_array_equal(embedder.embed(RASTERS), embedder.embed(RASTERS))

    def test_a_row_does_not_depend_on_the_batch(self, embedder: Embedder) -> None:
        together = embedder.embed([*RASTERS, *reversed(RASTERS)])
        alone = np.concatenate([embedder.embed([raster]) for raster in RASTERS])
        np.testing.assert_allclose(together[: len(RASTERS)], alone, atol=SAME)
        np.testing.assert_allclose(together[len(RASTERS) :][::-1], alone, atol=SAME)

    def test_other_pixels_give_other_rows(self, embedder: Embedder) -> None:
        rows = embedder.embed(RASTERS)
        similarity = rows @ rows.T - 2 * np.eye(len(rows))
        assert similarity.max() < 0.999

    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 300), (5, 3, 2), (3, 2000, 3)])
    def test_any_size_and_a_constant_raster_have_a_row(self, embedder: Embedder, shape: tuple[int, int, int]) -> None:
        for rgb in (False, shape[0] == 3):
            row = embedder.embed([Raster(np.full(shape, 7, dtype=np.uint16), rgb=rgb)])
            assert np.isfinite(row).all()
            assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)

    def test_the_whole_is_the_mean_of_the_channels(self, embedder: Embedder) -> None:
        four, colour = noise(4, "uint16"), noise(3, "uint8", rgb=True)
        views, coloured = embedder.embed_views([four, colour])
        np.testing.assert_array_equal(views[Kind.WHOLE].vectors, embedder.embed([four]))
        assert views[Kind.WHOLE].places.shape == (1, 0)
        assert views[Kind.CHANNEL].places.tolist() == [[0], [1], [2], [3]]
        mean = views[Kind.CHANNEL].vectors.mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(views[Kind.WHOLE].vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
        np.testing.assert_array_equal(coloured[Kind.CHANNEL].vectors, embedder.embed([colour]))
        assert coloured[Kind.CHANNEL].places.tolist() == [[0]]
        assert Kind.TILE not in views

    def test_a_channel_has_the_row_that_it_has_alone(self, embedder: Embedder) -> None:
        raster = noise(2, "uint16", seed=5)
        (views,) = embedder.embed_views([raster])
        alone = embedder.embed([Raster(raster.pixels[[number]], rgb=False) for number in (0, 1)])
        np.testing.assert_allclose(views[Kind.CHANNEL].vectors, alone, atol=SAME)

    def test_constant_channels_have_no_row_but_where_all_are(self, embedder: Embedder) -> None:
        some, none = np.zeros((2, 3, 16, 16), np.uint8)
        some[1] = noise(1, "uint8", height=16, width=16).pixels[0]
        found = embedder.embed_views([Raster(some, rgb=False), Raster(none, rgb=False)])
        assert [views[Kind.CHANNEL].places.tolist() for views in found] == [[[1]], [[0]]]

    def test_tiles_have_rows_and_change_no_others(self, embedder: Embedder) -> None:
        raster = noise(2, "uint16", height=64)
        tiles = tuple(Tile(Box(x, 0, 32, 64), raster.pixels[:, :, x : x + 32]) for x in (0, 32))
        without, tiled = embedder.embed_views([raster, replace(raster, tiles=tiles)])
        for kind in (Kind.WHOLE, Kind.CHANNEL):
            np.testing.assert_array_equal(tiled[kind].vectors, without[kind].vectors)
        assert tiled[Kind.TILE].places.tolist() == [[0, 0, 32, 64], [32, 0, 32, 64]]
        np.testing.assert_allclose(np.linalg.norm(tiled[Kind.TILE].vectors, axis=1), 1, atol=1e-5)
        assert float(tiled[Kind.TILE].vectors[0] @ tiled[Kind.TILE].vectors[1]) < 0.999

    def test_an_image_that_is_its_one_tile_has_one_row_for_both(self, embedder: Embedder) -> None:
        raster = noise(2, "uint8")
        (views,) = embedder.embed_views([replace(raster, tiles=(Tile(Box(0, 0, 64, 48), raster.pixels.copy()),))])
        np.testing.assert_array_equal(views[Kind.TILE].vectors, views[Kind.WHOLE].vectors)

    def test_values_that_are_no_numbers_do_not_spread(self, embedder: Embedder) -> None:
        pixels = noise(1, "float32").pixels.copy()
        pixels[0, 0, :3] = (np.nan, np.inf, -np.inf)
        assert np.isfinite(embedder.embed([Raster(pixels, rgb=False)])).all()

    @pytest.mark.parametrize("shape", [(0, 4, 4), (1, 0, 4), (4, 4)])
    def test_a_raster_without_pixels_is_refused(self, embedder: Embedder, shape: tuple[int, ...]) -> None:
        with pytest.raises(UnreadableImage):
            embedder.embed([Raster(np.empty(shape, dtype=np.uint8), rgb=False)])

    def test_the_pixels_are_left_as_they_were(self, embedder: Embedder) -> None:
        raster = noise(2, "float32")
        before = raster.pixels.copy()
        embedder.embed([raster])
        np.testing.assert_array_equal(raster.pixels, before)

    def test_the_fingerprint_is_the_digest_of_the_recipe(self, embedder: Embedder) -> None:
        canonical = json.dumps(dict(embedder.space.recipe), sort_keys=True, separators=(",", ":"))
        assert embedder.space.fingerprint == hashlib.sha256(canonical.encode()).hexdigest()

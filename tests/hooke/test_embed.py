"""Preprocessing, weights files, and the identity of a space."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from hooke.embed.base import Raster, Tile
from hooke.embed.fingerprint import check_golden, differences, fingerprint, golden_vector, load_space, save_space
from hooke.embed.preprocess import COMPOSITE, pictures, square_rows, stretch
from hooke.embed.presets import PRESETS, Preset, network_name, preset_of
from hooke.embed.timm import DEFAULT_MODEL, TimmEmbedder, load_embedder, memory_errors, resized
from hooke.errors import BadInput, CorruptIndex, SpaceMismatch, UnknownModel
from hooke.views import Box, Kind
from tests.contract.embedder import noise

SMALL = "test_efficientnet"
REPOSITORY = Path(__file__).parents[2]


def peak(work: Callable[[], object]) -> int:
    """The most bytes of arrays that were held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def embedder() -> TimmEmbedder:
    return load_embedder(DEFAULT_MODEL, threads=2)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file as timm writes one, classifier included."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(timm.create_model(SMALL, pretrained=False).state_dict(), path)
    return path


class TestPreprocess:
    def test_a_stretch_is_the_same_for_any_gain_and_offset(self) -> None:
        pixels = noise(2, "uint16").pixels.astype(np.uint16)
        gains = np.array([3, 100], dtype=np.uint16)[:, None, None]
        np.testing.assert_allclose(stretch(pixels), stretch(pixels * gains + np.uint16(500)), atol=1e-5)

    def test_a_hot_pixel_does_not_darken_the_rest(self) -> None:
        pixels = np.tile(np.arange(100, dtype=np.uint16), (1, 100, 1))
        hot = pixels.copy()
        hot[0, 0, 0] = 65535
        assert np.abs(stretch(hot) - stretch(pixels))[0, 1:].max() < 0.02

    def test_a_constant_channel_becomes_zeros(self) -> None:
        assert not stretch(np.full((1, 4, 4), 1000, dtype=np.uint16)).any()

    def test_few_bright_pixels_beyond_the_percentiles_are_kept(self) -> None:
        pixels = np.zeros((1, 100, 100), dtype=np.uint16)
        pixels[0, 5, 5] = 9
        assert stretch(pixels)[0, 5, 5] == 1

    def test_colours_keep_their_hue(self) -> None:
        pixels = np.stack([noise(1, "uint8").pixels[0] // scale for scale in (1, 2, 4)])
        red, green, blue = next(pictures(Raster(pixels, rgb=True))).pixels.mean(axis=(1, 2))
        assert red > 1.8 * green > 3 * blue

    def test_constant_channels_are_left_out(self) -> None:
        pixels = noise(3, "uint16").pixels.copy()
        pixels[1] = 5
        found = list(pictures(Raster(pixels, rgb=False)))
        assert [(each.channel, each.pixels.shape) for each in found] == [
            (channel, (3, 48, 64)) for channel in (0, 2, COMPOSITE)
        ]

    def test_two_or_three_channels_are_seen_beside_each_other_too(self) -> None:
        pixels = np.zeros((2, 8, 8), np.uint16)
        pixels[0, :4], pixels[1, 4:] = 1000, 100
        *_, composite = pictures(Raster(pixels, rgb=False))
        assert composite.channel == COMPOSITE
        assert composite.pixels.max(axis=(1, 2)).tolist() == pytest.approx([1, 0.1, 0])
        assert {each.channel for each in pictures(noise(4, "uint16"))} == {0, 1, 2, 3}
        assert {each.channel for each in pictures(noise(1, "uint16"))} == {0}
        only_one_varies = Raster(np.stack([pixels[0], np.full((8, 8), 7, np.uint16)]), rgb=False)
        assert [each.channel for each in pictures(only_one_varies)] == [0]

    def test_every_frame_has_its_views_and_all_share_a_channels_percentiles(self) -> None:
        dim, bright = np.zeros((2, 2, 8, 8), np.uint16)
        dim[:, :4], bright[:, :4] = 100, 200
        found = pictures(Raster(dim, rgb=False, others=(bright, dim)))
        assert [float(each.pixels.max()) for each in found] == [0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 0.5, 1.0, 0.5]
        colour = np.full((3, 8, 8), [[[10]], [[100]], [[200]]], np.uint8)
        assert [each.pixels.shape for each in pictures(Raster(colour, rgb=True, others=(colour, colour)))] == [
            (3, 8, 8)
        ] * 3

    def test_a_dark_tile_stays_dark(self) -> None:
        pixels = np.zeros((2, 8, 16), np.uint16)
        pixels[:, :, 8:] = 1000
        pixels[1] = 7
        tiles = (Tile(Box(0, 0, 8, 8), pixels[:, :, :8] + np.uint16(100)), Tile(Box(8, 0, 8, 8), pixels[:, :, 8:]))
        found = [each for each in pictures(Raster(pixels, rgb=False, tiles=tiles)) if each.tile is not None]
        # the second channel is constant in the whole image
        assert [(each.tile, each.channel) for each in found] == [(0, 0), (1, 0)]
        assert [round(float(each.pixels.mean()), 3) for each in found] == [0.1, 1.0]

    def test_padding_centres_on_the_median_of_the_border(self) -> None:
        picture = np.full((3, 2, 4), 0.25, dtype=np.float32)
        picture[:, 1, 2] = 1
        (square,) = square_rows(picture)
        assert square.shape == (3, 4, 4)
        np.testing.assert_array_equal(square[:, 1:3], picture)
        assert (square[:, [0, 3]] == 0.25).all()

    @pytest.mark.parametrize("shape", [(3, 300, 700), (3, 700, 299)])
    def test_the_rows_of_a_square_are_those_of_one_padded_as_a_whole(self, shape: tuple[int, ...]) -> None:
        picture = np.full(shape, 0.25, dtype=np.float32)
        picture[:, 1:-1, 1:-1] = np.random.default_rng(0).random((3, shape[1] - 2, shape[2] - 2))
        missing = [(700 - length) // 2 for length in shape[1:]]
        around = [(0, 0), *((before, 700 - length - before) for before, length in zip(missing, shape[1:], strict=True))]
        expected = np.pad(picture, around, constant_values=0.25)
        np.testing.assert_array_equal(np.concatenate(list(square_rows(picture)), axis=1), expected)

    def test_the_views_of_many_channels_take_the_memory_of_one(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 200, (8, 1000, 1000), dtype=np.uint8)
        assert peak(lambda: [each.pixels.shape for each in pictures(Raster(pixels, rgb=False))]) < 16 * 10**6


class TestVectors:
    def test_how_bright_channels_are_beside_each_other_shows_in_the_whole_and_not_in_a_channel(
        self, embedder: TimmEmbedder
    ) -> None:
        dim, bright = np.random.default_rng(0).integers(0, 10_000, (2, 48, 64), np.uint16)
        rasters = [Raster(np.stack([dim, other]), rgb=False) for other in (bright, bright * 4)]
        one, other = embedder.embed_views(rasters)
        np.testing.assert_allclose(one[Kind.CHANNEL].vectors, other[Kind.CHANNEL].vectors, atol=1e-5)
        assert float(one[Kind.WHOLE].vectors[0] @ other[Kind.WHOLE].vectors[0]) < 0.999

    @pytest.mark.parametrize("shape", [(1, 3, 6000), (1, 6000, 3), (3, 300, 500)])
    def test_resizing_by_rows_gives_the_bits_of_resizing_a_square(
        self, embedder: TimmEmbedder, shape: tuple[int, ...]
    ) -> None:
        raster = Raster(np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8), rgb=shape[0] == 3)
        picture = next(pictures(raster)).pixels
        square = torch.from_numpy(np.concatenate(list(square_rows(picture)), axis=1))[None]
        whole = interpolate(square, (224, 224), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        np.testing.assert_array_equal(resized(picture, 224), whole)

    def test_a_long_strip_takes_no_memory_for_a_square_of_its_side(self, embedder: TimmEmbedder) -> None:
        strip = Raster(np.random.default_rng(0).integers(0, 200, (1, 4, 6000), dtype=np.uint8), rgb=False)
        assert peak(lambda: embedder.embed([strip])) < 64 * 10**6

    def test_gain_and_offset_of_a_channel_do_not_change_the_row(self, embedder: TimmEmbedder) -> None:
        raster = noise(2, "uint16")
        brighter = Raster(raster.pixels.astype(np.uint16) * np.uint16(50) + np.uint16(300), rgb=False)
        first, second = embedder.embed([raster, brighter])
        assert float(first @ second) == pytest.approx(1, abs=1e-4)

    def test_the_order_of_channels_does_not_change_the_row(self, embedder: TimmEmbedder) -> None:
        raster = noise(4, "uint16")
        first, second = embedder.embed([raster, Raster(raster.pixels[::-1], rgb=False)])
        assert float(first @ second) == pytest.approx(1, abs=1e-5)

    def test_threads_do_not_change_the_row(self, embedder: TimmEmbedder) -> None:
        rasters = [noise(channels, "uint8", seed=channels) for channels in (1, 2, 3, 4)]
        alone = load_embedder(DEFAULT_MODEL, threads=1)
        np.testing.assert_array_equal(alone.embed(rasters), embedder.embed(rasters))


class TestWeights:
    def test_the_default_has_1280_values_and_knows_its_choices(self, embedder: TimmEmbedder) -> None:
        assert embedder.space.dim == 1280
        assert embedder.space.recipe["input_size"] == 224
        assert embedder.space.recipe["mean"] == embedder.space.recipe["std"] == [0.5, 0.5, 0.5]

    def test_safetensors_and_pth_of_the_same_tensors_are_one_space(self, small_weights: Path, tmp_path: Path) -> None:
        safe = tmp_path / "small.safetensors"
        save_file(torch.load(small_weights, weights_only=True), safe)
        nested = tmp_path / "nested.pth"
        torch.save({"state_dict": torch.load(small_weights, weights_only=True), "epoch": 3}, nested)
        spaces = {load_embedder(SMALL, path).space.fingerprint for path in (small_weights, safe, nested)}
        assert len(spaces) == 1

    def test_other_weights_are_another_space(self, small_weights: Path, tmp_path: Path) -> None:
        state = torch.load(small_weights, weights_only=True)
        state["conv_stem.weight"] = state["conv_stem.weight"] * 1.001
        torch.save(state, tmp_path / "other.pth")
        assert load_embedder(SMALL, tmp_path / "other.pth").space != load_embedder(SMALL, small_weights).space

    def test_a_name_timm_lacks_is_refused_with_near_ones(self) -> None:
        with pytest.raises(UnknownModel, match=r"did you mean .*resnet50"):
            load_embedder("resnet_50")
        with pytest.raises(UnknownModel, match="did you mean balanced"):
            load_embedder("balnced")

    def test_weights_that_do_not_fit_are_refused(self, small_weights: Path, tmp_path: Path) -> None:
        with pytest.raises(UnknownModel, match=r"lacks|shapes"):
            load_embedder("resnet10t", small_weights)
        state = torch.load(small_weights, weights_only=True)
        del state["conv_stem.weight"]
        torch.save(state, tmp_path / "less.pth")
        with pytest.raises(UnknownModel, match=r"lacks 1 tensors of test_efficientnet, such as conv_stem\.weight"):
            load_embedder(SMALL, tmp_path / "less.pth")

    @pytest.mark.parametrize("name", ["bad.pth", "bad.safetensors"])
    def test_a_file_that_holds_no_tensors_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(UnknownModel, match=name):
            load_embedder(SMALL, tmp_path / name)
        with pytest.raises(UnknownModel, match="gone"):
            load_embedder(SMALL, tmp_path / f"gone-{name}")

    def test_a_pickle_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        trap = tmp_path / "trap.pth"
        torch.save({"weight": Path("an object that is no tensor")}, trap)
        with pytest.raises(UnknownModel, match="tensors only"):
            load_embedder(SMALL, trap)

    def test_a_preset_is_the_model_that_it_names(self, embedder: TimmEmbedder) -> None:
        fast = preset_of("fast")
        assert fast is not None
        assert load_embedder("fast", threads=1).space == load_embedder(fast.model, threads=1).space

    def test_a_name_timm_lacks_is_told_the_presets(self) -> None:
        with pytest.raises(UnknownModel, match="fast, balanced, best"):
            load_embedder("slow")

    def test_weights_of_another_size_of_input_are_resampled_for_a_preset(self, tmp_path: Path) -> None:
        best = preset_of("best")
        assert best is not None
        at_518 = timm.create_model(best.model, pretrained=False)
        save_file(at_518.state_dict(), tmp_path / "dino.safetensors")
        space = load_embedder("best", tmp_path / "dino.safetensors", threads=1).space
        assert (space.model, space.dim, space.input_side) == (best.model, best.dim, 224)
        assert space.recipe["architecture"] == {"num_classes": 0, "img_size": 224}

    @pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
    def test_what_the_table_says_of_a_preset_is_what_timm_says(self, preset: Preset) -> None:
        plain = network_name(preset.model)
        config = timm.get_pretrained_cfg(plain)
        assert config is not None
        assert preset.licence.lower() == config.license
        if preset.model == plain:
            with torch.device("meta"):
                model = timm.create_model(plain, pretrained=False, num_classes=0, **preset.arguments)
            assert model.num_features == preset.dim
        else:
            assert load_embedder(preset.name, threads=1).space.dim == preset.dim
        row = f"| `{preset.name}` | `{preset.model}` | {preset.licence} | {preset.megabytes} MB | {preset.dim} |"
        assert row in (REPOSITORY / "docs" / "embedding.md").read_text()


class TestDevice:
    def test_batches_across_rasters_give_the_rows_of_each_alone(self, embedder: TimmEmbedder) -> None:
        tile = noise(2, "uint16", seed=9)
        tiled = Raster(tile.pixels, tile.rgb, tiles=(Tile(Box(0, 0, 8, 8), tile.pixels[:, :8, :8]),))
        itself = Raster(tile.pixels, tile.rgb, tiles=(Tile(Box(0, 0, 64, 48), tile.pixels),))
        rasters = [noise(3, "uint8", rgb=True), tiled, itself, noise(4, "uint8", seed=3)]
        across = TimmEmbedder(embedder._model, DEFAULT_MODEL, threads=2, batch=3)
        assert across.space == embedder.space
        for together, alone in zip(across.embed_views(rasters), embedder.embed_views(rasters), strict=True):
            assert together.keys() == alone.keys()
            for kind in alone:
                np.testing.assert_allclose(together[kind].vectors, alone[kind].vectors, atol=1e-5)
                np.testing.assert_array_equal(together[kind].places, alone[kind].places)

    @pytest.mark.gpu
    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without(self, embedder: TimmEmbedder) -> None:
        with pytest.raises(BadInput, match="HOOKE_DEVICE"):
            load_embedder(DEFAULT_MODEL, device="cuda")
        assert load_embedder(DEFAULT_MODEL, threads=1, device="auto").space == embedder.space

    def test_want_of_memory_is_pythons_error_and_no_other_is(self) -> None:
        with pytest.raises(MemoryError, match="allocate"), memory_errors():
            torch.empty(2**55, dtype=torch.uint8)
        with pytest.raises(RuntimeError, match="shape"), memory_errors():
            torch.zeros(2).reshape(3)

    def test_a_device_that_is_none_is_refused(self) -> None:
        with pytest.raises(BadInput, match="auto, cpu, cuda"):
            load_embedder(DEFAULT_MODEL, device="tpu")

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    def test_half_precision_on_a_gpu_holds_the_golden_rows_of_a_cpu(self, embedder: TimmEmbedder) -> None:
        on_gpu = load_embedder(DEFAULT_MODEL, device="cuda")
        assert on_gpu.space == embedder.space
        check_golden(on_gpu, golden_vector(embedder))


class TestFingerprint:
    def test_every_choice_counts(self, embedder: TimmEmbedder) -> None:
        recipe = dict(embedder.space.recipe)
        changed = [fingerprint({**recipe, key: "another"}) for key in recipe]
        assert len({embedder.space.fingerprint, *changed}) == len(recipe) + 1

    def test_a_space_is_saved_and_loaded(self, embedder: TimmEmbedder, tmp_path: Path) -> None:
        path = tmp_path / "spaces" / "space.json"
        golden = golden_vector(embedder)
        save_space(embedder.space, golden, path)
        space, loaded = load_space(path)
        assert space == embedder.space
        np.testing.assert_array_equal(loaded, golden)
        assert [entry.name for entry in path.parent.iterdir()] == ["space.json"]

    def test_a_damaged_space_is_named(self, embedder: TimmEmbedder, tmp_path: Path) -> None:
        path = tmp_path / "space.json"
        save_space(embedder.space, golden_vector(embedder), path)
        whole = path.read_text()
        for damaged in (whole[:-20], whole.replace("bicubic", "nearest"), "{}", "[]"):
            path.write_text(damaged)
            with pytest.raises(CorruptIndex, match=r"space\.json"):
                load_space(path)
        with pytest.raises(CorruptIndex, match="gone"):
            load_space(tmp_path / "gone.json")

    def test_golden_rows_hold_here_and_altered_ones_do_not(self, embedder: TimmEmbedder) -> None:
        golden = golden_vector(embedder)
        check_golden(embedder, golden)
        with pytest.raises(SpaceMismatch, match="cosine"):
            check_golden(embedder, np.roll(golden, 1, axis=1))
        with pytest.raises(SpaceMismatch, match="shape"):
            check_golden(embedder, golden[:, :10])
        with pytest.raises(SpaceMismatch):
            check_golden(embedder, golden * np.float32("nan"))


def test_the_most_tiles_are_in_the_fingerprint_and_named_where_spaces_differ(small_weights: Path) -> None:
    plain, tiled = (load_embedder(SMALL, small_weights, threads=1, tiles=tiles).space for tiles in (0, 4))
    assert plain.fingerprint != tiled.fingerprint
    assert (plain.tiles, plain.kinds) == (0, (Kind.WHOLE, Kind.CHANNEL))
    assert (tiled.tiles, tiled.kinds) == (4, (Kind.WHOLE, Kind.CHANNEL, Kind.TILE))
    assert differences(plain, tiled) == "tiles: 0, here 4"

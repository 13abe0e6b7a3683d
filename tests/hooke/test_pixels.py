"""Pixels come back as they were written, whatever the format; what cannot be read is refused in one line."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hooke.embed.base import Raster
from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import Limits, image_facts, read_raster, read_raster_bytes, thumbnail

Array = npt.NDArray[np.generic]
LIMITS = Limits()
RANDOM = np.random.default_rng(0)
GREY8 = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
GREY16 = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
RGB8 = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGB16 = RANDOM.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
# few are bright, as in fluorescence: such a stack becomes its maximum
STACK = (RANDOM.random((2, 6, 3, 5, 7)) ** 3 * 65535).astype(np.uint16)


def pillow_bytes(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def tiff_bytes(pixels: Array, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, pixels, **options)  # type: ignore[arg-type]  # options differ by test
    return buffer.getvalue()


def deep_png(pixels: Array) -> bytes:
    return bytes(imagecodecs.png_encode(pixels))


def read(content: bytes) -> Raster:
    return read_raster_bytes(content, LIMITS)


def check(raster: Raster, expected: Array, *, rgb: bool = False) -> None:
    assert raster.rgb is rgb
    assert raster.pixels.dtype == expected.dtype
    np.testing.assert_array_equal(raster.pixels, expected)


def channels_first(pixels: Array) -> Array:
    return np.moveaxis(pixels, -1, 0)


class TestPng:
    def test_grey_of_8_and_16_bits(self) -> None:
        check(read(pillow_bytes(Image.fromarray(GREY8))), GREY8[None])
        check(read(pillow_bytes(Image.fromarray(GREY16))), GREY16[None])

    def test_colour_of_8_and_16_bits(self) -> None:
        check(read(pillow_bytes(Image.fromarray(RGB8))), channels_first(RGB8), rgb=True)
        check(read(deep_png(RGB16)), channels_first(RGB16), rgb=True)

    def test_bits_become_black_and_white(self) -> None:
        check(read(pillow_bytes(Image.fromarray(GREY8 > 128))), ((GREY8 > 128) * np.uint8(255))[None])

    def test_a_palette_becomes_its_colours(self) -> None:
        image = Image.fromarray(GREY8 % 4).convert("P")
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
        palette = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]], dtype=np.uint8)
        raster = read(pillow_bytes(image))
        assert raster.rgb
        assert {tuple(pixel) for pixel in raster.pixels.reshape(3, -1).T.tolist()} <= {
            tuple(c) for c in palette.tolist()
        }

    def test_opaque_alpha_is_dropped_and_full_transparency_is_white(self) -> None:
        alpha = np.full((5, 7, 1), 255, dtype=np.uint8)
        check(read(pillow_bytes(Image.fromarray(np.dstack([RGB8, alpha])))), channels_first(RGB8), rgb=True)
        clear = read(pillow_bytes(Image.fromarray(np.dstack([RGB8, alpha * 0]))))
        check(clear, np.full((3, 5, 7), 255, dtype=np.uint8), rgb=True)

    def test_grey_with_alpha_stays_grey(self) -> None:
        image = Image.fromarray(GREY8)
        image.putalpha(255)
        check(read(pillow_bytes(image)), GREY8[None])

    def test_16_bit_colour_with_alpha(self) -> None:
        opaque = np.dstack([RGB16, np.full((5, 7), 65535, dtype=np.uint16)])
        check(read(deep_png(opaque)), channels_first(RGB16), rgb=True)


class TestJpeg:
    def test_colour_and_grey(self) -> None:
        smooth = np.full((8, 8, 3), (200, 100, 50), dtype=np.uint8)
        raster = read(pillow_bytes(Image.fromarray(smooth), "JPEG", quality=100))
        assert raster.rgb
        assert np.abs(raster.pixels.astype(int) - channels_first(smooth)).max() <= 3
        assert read(pillow_bytes(Image.fromarray(GREY8), "JPEG")).pixels.shape == (1, 5, 7)

    def test_cmyk_becomes_colour(self) -> None:
        raster = read(pillow_bytes(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG"))
        assert raster.rgb
        assert raster.pixels[0].min() > 200 > 60 > raster.pixels[1:].max()

    def test_exif_orientation_turns_the_picture_upright(self) -> None:
        exif = Image.Exif()
        exif[274] = 6
        raster = read(pillow_bytes(Image.fromarray(GREY8), "JPEG", exif=exif))
        assert raster.pixels.shape == (1, 7, 5)


class TestTiff:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_kept_types_in_either_byte_order(self, dtype: str, order: str) -> None:
        check(read(tiff_bytes(GREY8.astype(dtype), byteorder=order)), GREY8.astype(dtype)[None])

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_big_tiff(self, order: str) -> None:
        check(read(tiff_bytes(STACK[0, 0], bigtiff=True, byteorder=order, photometric="minisblack")), STACK[0, 0])

    @pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float16", "float64"])
    def test_other_types_become_float32(self, dtype: str) -> None:
        values = (GREY8 // 2).astype(dtype)
        check(read(tiff_bytes(values)), values.astype(np.float32)[None])

    def test_colour_planar_or_interleaved_compressed_or_not(self) -> None:
        for options in ({}, {"compression": "zlib"}, {"compression": "lzw"}, {"tile": (16, 16)}):
            check(read(tiff_bytes(RGB8, photometric="rgb", **options)), channels_first(RGB8), rgb=True)
        planar = np.ascontiguousarray(channels_first(RGB8))
        check(read(tiff_bytes(planar, photometric="rgb", planarconfig="separate")), planar, rgb=True)

    def test_colour_with_alpha_lies_on_white(self) -> None:
        pixels = np.dstack([RGB8, np.where(GREY8 > 128, 255, 0).astype(np.uint8)])
        raster = read(tiff_bytes(pixels, photometric="rgb", extrasamples=["unassalpha"]))
        expected = np.where(GREY8 > 128, channels_first(RGB8), 255).astype(np.uint8)
        check(raster, expected, rgb=True)

    @pytest.mark.parametrize("ome", [True, False])
    def test_channels_of_ome_and_imagej_stay_apart(self, ome: bool) -> None:
        kind = {"ome": True} if ome else {"imagej": True}
        pixels = STACK[0, 0]
        check(read(tiff_bytes(pixels, metadata={"axes": "CYX"}, **kind)), pixels)

    def test_channels_last(self) -> None:
        pixels = np.ascontiguousarray(np.moveaxis(STACK[0, 0], 0, -1))
        content = tiff_bytes(pixels, photometric="minisblack", planarconfig="contig", metadata={"axes": "YXC"})
        check(read(content), STACK[0, 0])

    @pytest.mark.parametrize("kind", [{"ome": True}, {"imagej": True}, {"ome": True, "compression": "zlib"}])
    def test_each_time_has_the_projection_of_its_stack(self, kind: dict[str, object]) -> None:
        raster = read(tiff_bytes(STACK, metadata={"axes": "TZCYX"}, **kind))
        check(raster, STACK[0].max(axis=0))
        np.testing.assert_array_equal(raster.others, STACK[1:].max(axis=1))

    def test_time_within_other_axes(self) -> None:
        stack = np.ascontiguousarray(STACK.transpose(1, 0, 2, 3, 4))
        check(read(tiff_bytes(stack, ome=True, metadata={"axes": "ZTCYX"})), STACK[0].max(axis=0))

    def test_an_unnamed_long_axis_is_a_stack_and_a_short_one_channels(self) -> None:
        check(read(tiff_bytes(STACK[0, :, 0], photometric="minisblack")), STACK[0, :, 0].max(axis=0)[None])
        check(read(tiff_bytes(STACK[0, 0], photometric="minisblack")), STACK[0, 0])

    def test_white_is_zero_is_inverted(self) -> None:
        check(read(tiff_bytes(GREY8, photometric="miniswhite")), 255 - GREY8[None])

    def test_orientation_is_undone(self) -> None:
        content = tiff_bytes(GREY8, extratags=[(274, 3, 1, 3, True)])
        check(read(content), GREY8[None, ::-1, ::-1])

    def test_pictures_with_a_palette_become_colours(self) -> None:
        raster = read(pillow_bytes(Image.fromarray(RGB8).quantize(8), "TIFF"))
        assert raster.rgb
        assert raster.pixels.shape == (3, 5, 7)

    def test_a_time_series_is_bounded_by_what_is_decoded(self) -> None:
        content = tiff_bytes(np.repeat(STACK, 4, axis=0), ome=True, metadata={"axes": "TZCYX"})
        pixels = 5 * 7 * 6 * 3
        read_raster_bytes(content, Limits(pixels=pixels))
        with pytest.raises(TooLarge, match="7 x 5 x 18 planes"):
            read_raster_bytes(content, Limits(pixels=pixels - 1))

    def test_no_other_file_is_opened(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "secret.tif", GREY16)
        description = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYCZT" Type="uint16" SizeX="7" SizeY="5" SizeC="1" SizeZ="1" SizeT="1"><TiffData IFD="0">'
            f'<UUID FileName="{tmp_path / "secret.tif"}">urn:uuid:0</UUID></TiffData></Pixels></Image></OME>'
        )
        content = tiff_bytes(np.zeros_like(GREY16), description=description, metadata=None)
        check(read(content), np.zeros_like(GREY16)[None])


class TestLimits:
    BOMB = pillow_bytes(Image.new("1", (20000, 20000)))

    @pytest.mark.parametrize("content", [BOMB, tiff_bytes(np.zeros((4000, 4000), np.uint8), compression="zlib")])
    def test_pixels_are_counted_before_decoding(self, content: bytes) -> None:
        with pytest.raises(TooLarge, match="pixels, the limit is 1000000"):
            read_raster_bytes(content, Limits(pixels=10**6))

    def test_a_strip_whose_square_is_too_large_is_refused(self) -> None:
        strip = pillow_bytes(Image.new("1", (2001, 9)))
        read_raster_bytes(strip, Limits(pixels=2001**2 // 4 + 1))
        with pytest.raises(TooLarge, match="2001 x 9 pixels, the limit is a side of 2000"):
            read_raster_bytes(strip, Limits(pixels=10**6))

    def test_a_bomb_is_refused_at_once(self) -> None:
        # 2**31 pixels of header without the data: decoding could not even allocate them.
        header = bytearray(self.BOMB)
        header[16:24] = (2**16).to_bytes(4, "big") + (2**15).to_bytes(4, "big")
        with pytest.raises((TooLarge, UnreadableImage)):
            read(bytes(header))

    def test_bytes_and_channels_are_limited(self) -> None:
        content = tiff_bytes(STACK[0, :, 0], ome=True, metadata={"axes": "CYX"})
        with pytest.raises(TooLarge, match="6 channels, the limit is 5"):
            read_raster_bytes(content, Limits(channels=5))
        with pytest.raises(TooLarge, match=f"{len(content)} bytes"):
            read_raster_bytes(content, Limits(bytes=len(content) - 1))


SAMPLES = {
    "png": pillow_bytes(Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8))),
    "deep png": deep_png(RANDOM.integers(0, 65536, (64, 64, 3), dtype=np.uint16)),
    "jpeg": pillow_bytes(Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG"),
    "tiff": tiff_bytes(RANDOM.integers(0, 65536, (64, 64), dtype=np.uint16)),
    "zlib tiff": tiff_bytes(RANDOM.integers(0, 65536, (2, 64, 64), dtype=np.uint16), compression="zlib"),
    "jpeg tiff": tiff_bytes(RANDOM.integers(0, 256, (64, 64), dtype=np.uint8), compression="jpeg", tile=(16, 16)),
    "imagej": tiff_bytes(STACK, imagej=True, metadata={"axes": "TZCYX"}),
    "ome": tiff_bytes(STACK, ome=True, metadata={"axes": "TZCYX"}),
}


class TestDamage:
    @pytest.mark.parametrize("content", SAMPLES.values(), ids=SAMPLES.keys())
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
    def test_a_cut_file_is_refused(self, content: bytes, share: float) -> None:
        with pytest.raises(UnreadableImage) as caught:
            read(content[: int(len(content) * share)])
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "content", [b"", b"not an image", b"GIF89a", b"II*\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
    )
    def test_what_is_no_image_is_refused(self, content: bytes) -> None:
        with pytest.raises(UnreadableImage):
            read(content)

    @settings(max_examples=150, deadline=None)
    @given(
        content=st.sampled_from(sorted(SAMPLES.values())),
        edits=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6),
    )
    def test_altered_bytes_give_a_raster_or_a_named_error(self, content: bytes, edits: list[tuple[int, int]]) -> None:
        altered = bytearray(content)
        for position, value in edits:
            altered[position % len(altered)] = value
        with suppress(TooLarge, UnreadableImage):
            facts = image_facts(read_raster_bytes(bytes(altered), Limits(pixels=10**6)))
            assert facts.width * facts.height <= 10**6


class TestFiles:
    def test_the_format_is_told_by_content(self, tmp_path: Path) -> None:
        path = tmp_path / "really-a-tiff.jpg"
        path.write_bytes(tiff_bytes(GREY16))
        check(read_raster(path, LIMITS), GREY16[None])

    def test_an_error_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.png"
        path.write_bytes(b"nothing")
        with pytest.raises(UnreadableImage, match=r"broken\.png: the file is not a PNG"):
            read_raster(path, LIMITS)
        with pytest.raises(UnreadableImage, match=r"gone\.png: there is no such file"):
            read_raster(tmp_path / "gone.png", LIMITS)
        path.write_bytes(SAMPLES["png"])
        with pytest.raises(TooLarge, match=r"broken\.png"):
            read_raster(path, Limits(bytes=10))


class TestThumbnail:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_any_raster_has_one_within_the_size(self, channels: int, dtype: str) -> None:
        pixels = RANDOM.integers(0, 200, (channels, 300, 600)).astype(dtype)
        image = Image.open(BytesIO(thumbnail(Raster(pixels, rgb=False), size=100)))
        assert image.size == (100, 50)

    def test_dim_channels_are_made_visible(self) -> None:
        pixels = np.linspace(1000, 1100, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
        image = np.asarray(Image.open(BytesIO(thumbnail(Raster(pixels, rgb=False)))))
        assert image.min() < 20
        assert image.max() > 235

    def test_colours_of_a_picture_are_kept(self) -> None:
        pixels = np.empty((3, 16, 16), dtype=np.uint8)
        pixels[:] = np.array([180, 90, 140])[:, None, None]
        image = np.asarray(Image.open(BytesIO(thumbnail(Raster(pixels, rgb=True))))).astype(int)
        assert np.abs(image - [180, 90, 140]).max() <= 4


def test_facts_are_those_of_the_pixels() -> None:
    facts = image_facts(Raster(STACK[0, 0], rgb=False))
    assert (facts.width, facts.height, facts.channels, facts.dtype) == (7, 5, 3, "uint16")


def test_the_reason_names_no_object_of_the_decoder() -> None:
    with pytest.raises(UnreadableImage) as refused:
        read_raster_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30), Limits())
    assert "object at" not in str(refused.value)

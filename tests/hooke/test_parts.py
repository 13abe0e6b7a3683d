"""Tiles and regions: where they are cut, from which level they are read, and how little else is."""

import struct
from dataclasses import astuple
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from hooke.embed.base import Raster
from hooke.errors import BadInput
from hooke.pixels import Limits, UploadReader, read_changed, read_raster, read_raster_bytes
from hooke.pixels.parts import SCALES_UM, TILES_A_SIDE, chosen_tiles, grid, scaled
from hooke.pixels.tiff import read_tiff
from hooke.pixels.tiff_scale import pixel_sizes_um
from hooke.views import Box
from tests.hooke.test_tiff_levels import CountedBytes, dark, write_pyramid
from tests.hooke.zarrs import write_image

LIMITS = Limits()
SIDE = 32


def spots(width: int, height: int, *places: tuple[int, int], background: int = 10) -> Raster:
    """One channel, flat but for textured squares of 20 pixels."""
    pixels = np.full((1, height, width), background, np.uint8)
    for x, y in places:
        pixels[0, y : y + 20 : 2, x : x + 20] = 200
    return Raster(pixels, rgb=False)


@pytest.mark.parametrize("size", [(900, 900), (1000, 2003), (5000, 301), (240, 300), (7, 4000)])
def test_tiles_cover_the_image_side_by_side(size: tuple[int, int]) -> None:
    covered = np.zeros(size[::-1], np.uint8)
    for box in grid(size, 224):
        covered[box.y : box.bottom, box.x : box.right] += 1
    assert (covered == 1).all()


@given(
    size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    pixel=st.floats(0, 1e300, exclude_min=True) | st.sampled_from([0.1, 0.25, 0.325, 0.65, 1.0]),
)
@example((1002, 1002), 0.224)  # four and a bit
@example((897, 897), 0.25)
def test_tiles_of_pixels_of_known_size_show_one_of_few_scales(size: tuple[int, int], pixel: float) -> None:
    boxes = grid(size, 224, {"x": pixel, "y": pixel, "z": 2.0})
    assert (min(box.x for box in boxes), min(box.y for box in boxes)) == (0, 0)
    assert (max(box.right for box in boxes), max(box.bottom for box in boxes)) == size
    if boxes != grid(size, 224):
        (side,) = {length for box in boxes for length in (box.width, box.height)}
        assert 224 <= side <= min(size) <= TILES_A_SIDE * side
        assert any(side == round(224 * scale / pixel) for scale in SCALES_UM)
        for begins in ({box.x for box in boxes}, {box.y for box in boxes}):
            assert all(later - earlier <= side for earlier, later in pairwise(sorted(begins)))


def test_one_specimen_is_cut_alike_at_two_magnifications(tmp_path: Path) -> None:
    fine = np.random.default_rng(0).integers(0, 255, (256, 320), np.uint8)
    coarse = fine.reshape(128, 2, 160, 2).mean(axis=(1, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "40x.ome.tif", fine, metadata={"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1})
    # ImageJ's pixels a micron
    tifffile.imwrite(tmp_path / "20x.tif", coarse, imagej=True, resolution=(5.0, 5.0), metadata={"unit": "um"})
    write_image(tmp_path / "20x.zarr", [coarse], "yx", scales=[(0.2, 0.2)])
    boxes = {
        name: [tile.box for tile in read_raster(tmp_path / name, LIMITS, SIDE, parts=16).tiles]
        for name in ("40x.ome.tif", "20x.tif", "20x.zarr")
    }
    # 256 pixels of 0.1 µm: 80 of them are 32 of 0.25 µm, and 40 of 0.2 µm
    assert {(box.width, box.height) for box in boxes["40x.ome.tif"]} == {(80, 80)}
    assert {(box.width, box.height) for box in boxes["20x.tif"]} == {(40, 40)}
    assert boxes["20x.zarr"] == boxes["20x.tif"]
    places = [np.array([astuple(box) for box in boxes[name]]) for name in ("20x.tif", "40x.ome.tif")]
    assert np.abs(2 * places[0] - places[1]).max() <= 1


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1"', True),
        ('PhysicalSizeY=".1" PhysicalSizeYUnit="&#181;m" PhysicalSizeX="100" PhysicalSizeXUnit="nm"', True),
        ('PhysicalSizeX="0.1"', False),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeYUnit="reference frame"', False),
        ('PhysicalSizeX="-0.1" PhysicalSizeY="nan"', False),
        # an attribute without an end, and much after it
        (f'PhysicalSizeX="{" " * 200_000}', False),
    ],
)
def test_ome_xml_says_how_large_pixels_are(tmp_path: Path, said: str, known: bool) -> None:
    xml = f'<OME><Image ID="Image:0"><Pixels SizeX="256" SizeY="256" SizeZ="1" SizeC="1" SizeT="1" Type="uint8" {said}'
    xml += ' DimensionOrder="XYCZT"><TiffData/></Pixels></Image></OME>'
    tifffile.imwrite(tmp_path / "x.ome.tif", np.zeros((256, 256), np.uint8), description=xml, metadata=None)
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as tif:
        sizes = pixel_sizes_um(tif)
    assert ({"x", "y"} <= set(sizes)) == known
    assert all(size == pytest.approx(0.1) for size in sizes.values())
    assert read_raster(tmp_path / "x.ome.tif", LIMITS, SIDE, parts=4).tiles


@pytest.mark.parametrize(("kind", "count"), [(3, 1), (11, 1), (2, 4), (1, 3), (4, 1), (5, 0)])
def test_an_odd_resolution_of_imagej_is_no_size(tmp_path: Path, kind: int, count: int) -> None:
    file = tmp_path / "i.tif"
    tifffile.imwrite(file, np.zeros((256, 256), np.uint8), imagej=True, resolution=(5, 5), metadata={"unit": "um"})
    content = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as tif:
        assert set(pixel_sizes_um(tif)) == {"x", "y"}
        place, order = tif.pages.first.tags["XResolution"].offset, tif.byteorder
    content[place + 2 : place + 8] = struct.pack(f"{order}HI", kind, count)
    file.write_bytes(content)
    with tifffile.TiffFile(file) as tif:
        assert set(pixel_sizes_um(tif)) == {"y"}
    assert read_raster(file, LIMITS, SIDE, parts=4).tiles


def test_the_tiles_that_show_something_are_kept_in_reading_order() -> None:
    raster = spots(128, 128, (100, 100), (70, 6))
    assert chosen_tiles(raster, grid((128, 128), SIDE), (128, 128), 16) == (Box(64, 0, 32, 32), Box(96, 96, 32, 32))
    # as seen at a coarser level, in pixels of the finest
    assert chosen_tiles(raster, grid((1280, 1280), SIDE), (1280, 1280), 16) == (
        Box(640, 0, 320, 320),
        Box(960, 960, 320, 320),
    )


def test_a_bright_background_is_background_too() -> None:
    assert chosen_tiles(spots(128, 128, (6, 70), background=255), grid((128, 128), SIDE), (128, 128), 16) == (
        Box(0, 64, 32, 32),
    )


def test_no_more_tiles_are_kept_than_asked_for_and_of_equals_the_first() -> None:
    raster = spots(128, 128, (6, 6), (38, 6), (70, 6), (102, 6))
    assert chosen_tiles(raster, grid((128, 128), SIDE), (128, 128), 2) == (Box(0, 0, 32, 32), Box(32, 0, 32, 32))


def test_an_image_of_one_colour_has_one_tile() -> None:
    assert chosen_tiles(spots(128, 128), grid((128, 128), SIDE), (128, 128), 16) == (Box(0, 0, 32, 32),)


def test_an_image_too_small_for_tiles_is_its_own(tmp_path: Path) -> None:
    Image.fromarray(spots(40, 44, (3, 3)).pixels[0]).save(tmp_path / "small.png")
    raster = read_raster(tmp_path / "small.png", LIMITS, SIDE, parts=8)
    assert [tile.box for tile in raster.tiles] == [Box(0, 0, 40, 44)]
    np.testing.assert_array_equal(raster.tiles[0].pixels, raster.pixels)


def test_tiles_come_from_a_level_with_four_inputs_on_the_short_side(tmp_path: Path) -> None:
    levels = write_pyramid(tmp_path / "p.ome.tif", dark(2, 256, 300), tile=(64, 64), compression="zlib")
    raster = read_raster(tmp_path / "p.ome.tif", LIMITS, SIDE, parts=3)
    np.testing.assert_array_equal(raster.pixels, levels[2])
    assert len(raster.tiles) == 3
    for tile in raster.tiles:
        box = scaled(tile.box, (300, 256), (150, 128))
        np.testing.assert_array_equal(tile.pixels, levels[1][:, box.y : box.bottom, box.x : box.right])


@pytest.mark.parametrize(
    ("region", "level"), [(Box(9, 21, 40, 33), 0), (Box(8, 20, 80, 66), 1), (Box(0, 0, 300, 256), 2)]
)
def test_a_region_comes_from_the_coarsest_level_that_shows_enough_of_it(
    tmp_path: Path, region: Box, level: int
) -> None:
    levels = write_pyramid(tmp_path / "p.ome.tif", dark(2, 256, 300), tile=(64, 64), compression="zlib")
    write_image(tmp_path / "p.zarr", levels, "cyx", chunks=(1, 64, 64))
    for path in ("p.ome.tif", "p.zarr"):
        (tile,) = read_raster(tmp_path / path, LIMITS, SIDE, parts=region).tiles
        factor = 2**level
        expected = levels[level][:, region.y // factor : -(-region.bottom // factor)]
        expected = expected[:, :, region.x // factor : -(-region.right // factor)]
        assert tile.box == region
        np.testing.assert_array_equal(tile.pixels, expected, err_msg=path)


def test_only_the_tiles_of_a_tiff_that_a_region_touches_are_read() -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, (2, 1024, 1024)).astype(np.uint16)
    file = CountedBytes()
    with tifffile.TiffWriter(file, ome=True) as tif:
        tif.write(pixels, subifds=1, metadata={"axes": "CYX"}, tile=(64, 64))
        tif.write(pixels[:, ::8, ::8], subfiletype=1, metadata=None, tile=(64, 64))
    file.total = 0
    read_tiff(file, LIMITS, SIDE)
    whole, file.total = file.total, 0
    (tile,) = read_tiff(file, LIMITS, SIDE, parts=Box(100, 100, 64, 64)).tiles
    np.testing.assert_array_equal(tile.pixels, pixels[:, 100:164, 100:164])
    # four tiles a channel, and the directories once more
    assert file.total - whole < 2 * 4 * 64 * 64 * 2 + 0.1 * whole


def test_a_region_is_of_the_picture_upright(tmp_path: Path) -> None:
    pixels = dark(60, 100)
    for orientation, upright in ((1, pixels), (6, np.rot90(pixels, -1)), (3, pixels[::-1, ::-1])):
        tifffile.imwrite(tmp_path / "o.tif", pixels, tile=(16, 16), extratags=[(274, "H", 1, orientation, True)])
        (tile,) = read_raster(tmp_path / "o.tif", LIMITS, 8, parts=Box(10, 20, 30, 12)).tiles
        np.testing.assert_array_equal(tile.pixels[0], upright[20:32, 10:40])


def test_of_times_the_first_looked_at_and_of_depths_a_projection_is_in_a_region(tmp_path: Path) -> None:
    pixels = dark(3, 1, 4, 64, 64)
    write_image(tmp_path / "p.zarr", [pixels], "tczyx")
    tifffile.imwrite(tmp_path / "p.ome.tif", pixels, metadata={"axes": "TCZYX"}, tile=(16, 16))
    for path in ("p.zarr", "p.ome.tif"):
        (tile,) = read_raster(tmp_path / path, LIMITS, 16, parts=Box(5, 6, 16, 20)).tiles
        np.testing.assert_array_equal(tile.pixels, pixels[1, :, :, 6:26, 5:21].max(axis=1), err_msg=path)


@pytest.mark.parametrize("region", [Box(0, 0, 0, 5), Box(90, 0, 20, 5), Box(0, 50, 5, 11)])
def test_a_region_outside_the_image_is_refused(tmp_path: Path, region: Box) -> None:
    tifffile.imwrite(tmp_path / "p.tif", dark(60, 100))
    with pytest.raises(BadInput, match="region"):
        read_raster(tmp_path / "p.tif", LIMITS, SIDE, parts=region)


@pytest.mark.parametrize("parts", [5, Box(10, 20, 60, 44)])
def test_an_upload_has_the_parts_that_the_file_has(tmp_path: Path, parts: int | Box) -> None:
    write_pyramid(tmp_path / "p.ome.tif", dark(2, 256, 300), tile=(64, 64))
    here = read_raster(tmp_path / "p.ome.tif", LIMITS, SIDE, parts=parts)
    reader = UploadReader(workers=1)
    try:
        content = (tmp_path / "p.ome.tif").read_bytes()
        sent = reader.read(content, LIMITS, seconds=60, memory_bytes=2**30, short_side=SIDE, parts=parts)
        with pytest.raises(BadInput, match="not inside the image of 300 x 256"):
            reader.read(content, LIMITS, seconds=60, memory_bytes=2**30, parts=Box(0, 0, 301, 1))
    finally:
        reader.close()
    assert [tile.box for tile in sent.tiles] == [tile.box for tile in here.tiles]
    for mine, theirs in zip(here.tiles, sent.tiles, strict=True):
        np.testing.assert_array_equal(mine.pixels, theirs.pixels)


def test_a_change_that_only_a_tile_shows_is_a_change(tmp_path: Path) -> None:
    pixels = np.repeat(np.repeat(dark(1, 64, 64), 4, axis=1), 4, axis=2)
    write_pyramid(tmp_path / "p.ome.tif", pixels, tile=(64, 64))
    finer = pixels.copy()
    finer[0, 1::4, 1::4] = 0
    write_pyramid(tmp_path / "q.ome.tif", finer, tile=(64, 64))
    same = [read_changed(tmp_path / name, LIMITS, None, SIDE) for name in ("p.ome.tif", "q.ome.tif")]
    told = [read_changed(tmp_path / name, LIMITS, None, SIDE * 2, parts=4) for name in ("p.ome.tif", "q.ome.tif")]
    assert len({found[0] for found in same if found}) == 1
    assert len({found[0] for found in told if found}) == 2


def test_a_picture_in_memory_has_tiles_of_its_own_level() -> None:
    buffer = BytesIO()
    Image.fromarray(np.moveaxis(np.repeat(spots(128, 128, (6, 6)).pixels, 3, axis=0), 0, -1)).save(buffer, "PNG")
    raster = read_raster_bytes(buffer.getvalue(), LIMITS, SIDE, parts=4)
    (tile,) = raster.tiles
    assert raster.rgb
    np.testing.assert_array_equal(tile.pixels, raster.pixels[:, :32, :32])

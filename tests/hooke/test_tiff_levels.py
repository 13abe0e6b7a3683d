"""TIFF pyramids, series and stacks on disk: the level, the planes and the bytes that are read."""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import Limits, images_at, read_raster
from hooke.pixels.tiff import read_tiff

LIMITS = Limits()
RANDOM = np.random.default_rng(7)
Array = npt.NDArray[np.generic]


def dark(*shape: int) -> Array:
    return np.asarray((RANDOM.random(shape) ** 3 * 65535).astype(np.uint16))


class CountedBytes(BytesIO):
    """A file that counts what is read of it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.total += len(found)
        return found

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]  # any writable buffer
        count = super().readinto(buffer)
        self.total += count
        return count


def write_pyramid(path: Path, pixels: Array, axes: str = "CYX", **options: object) -> list[Array]:
    """An OME-TIFF with two half and quarter levels in SubIFDs."""
    levels = [pixels[..., :: 2**n, :: 2**n] for n in range(3)]
    with tifffile.TiffWriter(path, ome=True) as tif:
        metadata = {"axes": axes, "PhysicalSizeX": 650.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.65}
        metadata["Channel"] = {"Name": [f"dye {n}" for n in range(pixels.shape[axes.index("C")])]}
        tif.write(levels[0], subifds=2, metadata=metadata, **options)  # type: ignore[arg-type]  # options differ by test
        for level in levels[1:]:
            tif.write(level, subfiletype=1, metadata=None, **options)  # type: ignore[arg-type]  # as above
    return levels


@pytest.mark.parametrize(("short_side", "level"), [(64, 2), (65, 1), (128, 1), (129, 0), (999, 0)])
def test_the_coarsest_level_that_suffices_is_read(tmp_path: Path, short_side: int, level: int) -> None:
    levels = write_pyramid(tmp_path / "p.ome.tif", dark(2, 256, 300), tile=(64, 64), compression="zlib")
    raster = read_raster(tmp_path / "p.ome.tif", LIMITS, short_side)
    np.testing.assert_array_equal(raster.pixels, levels[level])


@pytest.mark.parametrize("kind", [{"ome": True}, {"imagej": True}, {"ome": True, "compression": "zlib"}])
def test_only_the_pages_of_the_planes_are_read(kind: dict[str, object]) -> None:
    pixels = dark(21, 2, 2, 128, 128)
    file = CountedBytes()
    tifffile.imwrite(file, pixels, metadata={"axes": "TZCYX"}, **kind)  # type: ignore[arg-type]  # options differ
    size = len(file.getvalue())
    file.total = 0
    raster = read_tiff(file, LIMITS)
    expected = pixels[[10, 0, 20]].max(axis=1)
    np.testing.assert_array_equal([raster.pixels, *raster.others], expected)
    # 84 directories of 200 bytes, 12 planes of 32 KiB
    assert file.total <= 1.1 * 3 / 21 * size


def test_of_a_pyramid_only_the_level_is_read(tmp_path: Path) -> None:
    levels = write_pyramid(tmp_path / "p.ome.tif", dark(2, 1024, 1024), tile=(256, 256))
    file = CountedBytes((tmp_path / "p.ome.tif").read_bytes())
    np.testing.assert_array_equal(read_tiff(file, LIMITS, 224).pixels, levels[2])
    assert file.total <= 1.1 * levels[2].nbytes


def test_a_stack_behind_one_page_is_read_by_its_planes(tmp_path: Path) -> None:
    # ImageJ writes more than 4 GB so: one directory, all planes behind each other
    pixels = dark(9, 64, 64)
    description = "ImageJ=1.11a\nimages=9\nframes=9\n"
    tifffile.imwrite(tmp_path / "one.tif", pixels[0], description=description, metadata=None, byteorder=">")
    with (tmp_path / "one.tif").open("ab") as file:
        file.write(pixels[1:].astype(">u2").tobytes())
    with tifffile.TiffFile(tmp_path / "one.tif") as tif:
        if tif.series[0].shape != pixels.shape:
            pytest.fail("tifffile does not take it for one run")
    raster = read_raster(tmp_path / "one.tif", LIMITS)
    np.testing.assert_array_equal([raster.pixels[0], *(o[0] for o in raster.others)], pixels[[4, 0, 8]])
    content = (tmp_path / "one.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[:-100])
    with pytest.raises(UnreadableImage, match="8 of its 9 planes"):
        read_raster(tmp_path / "cut.tif", LIMITS)


def test_the_series_of_an_ome_tiff_are_images_named_by_their_number(tmp_path: Path) -> None:
    first, second = dark(2, 40, 60), dark(1, 30, 20)
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as tif:
        tif.write(first, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "a < b"]}})
        tif.write(second, metadata={"axes": "CYX"})
    found = images_at(tmp_path / "s.ome.tif")
    assert [header.suffix for header in found] == ["", "#1"]
    np.testing.assert_array_equal(read_raster(tmp_path / "s.ome.tif#1", LIMITS).pixels, second)
    assert [header.suffix for header in images_at(tmp_path / "s.ome.tif#1")] == [""]
    assert images_at(tmp_path / "s.ome.tif#2") == ()
    with pytest.raises(UnreadableImage, match="has 2 series, none of number 2"):
        read_raster(tmp_path / "s.ome.tif#2", LIMITS)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableImage, match="only a TIFF has series"):
        read_raster(tmp_path / "x.png#2", LIMITS)


def test_a_file_whose_name_ends_as_a_series_does_is_that_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", dark(8, 8))
    tifffile.imwrite(tmp_path / "a.tif#1", dark(9, 9))
    assert read_raster(tmp_path / "a.tif#1", LIMITS).pixels.shape == (1, 9, 9)


def test_sizes_are_in_the_header(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "p.ome.tif", dark(2, 256, 300))
    (header,) = images_at(tmp_path / "p.ome.tif")
    assert (header.format, dict(header.lengths)) == ("OME-TIFF", {"c": 2, "y": 256, "x": 300})


def test_imagej_writes_pixels_a_unit(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "j.tif",
        dark(3, 20, 30),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    (header,) = images_at(tmp_path / "j.tif")
    assert header.format == "ImageJ TIFF"
    assert dict(header.pixel_size_um) == {"x": pytest.approx(0.25), "y": pytest.approx(0.5), "z": pytest.approx(2)}


def test_limits_are_of_what_is_read(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "p.ome.tif", dark(2, 1024, 1024), tile=(256, 256))
    small = Limits(bytes=2**18, pixels=2**16)
    assert read_raster(tmp_path / "p.ome.tif", small, 224).pixels.shape == (2, 256, 256)
    with pytest.raises(TooLarge, match="512 x 512 pixels"):
        read_raster(tmp_path / "p.ome.tif", small, 300)
    with pytest.raises(TooLarge, match="the planes looked at take 262144 bytes"):
        read_raster(tmp_path / "p.ome.tif", Limits(bytes=2**18 - 1), 224)


def test_more_planes_than_any_image_has_are_refused_at_once(tmp_path: Path) -> None:
    description = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint16" SizeX="7" SizeY="5" SizeC="1" SizeZ="1" SizeT="2000000000"><TiffData/>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "t.ome.tif", np.zeros((5, 7), np.uint16), description=description, metadata=None)
    with pytest.raises(TooLarge, match="says 2000000000 planes"):
        read_raster(tmp_path / "t.ome.tif", LIMITS)
    assert [header.format for header in images_at(tmp_path / "t.ome.tif")] == [""]


def test_many_channels_of_many_pixels_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    bomb = np.zeros((8, 1000, 1000), np.uint8)
    tifffile.imwrite(tmp_path / "b.ome.tif", bomb, ome=True, metadata={"axes": "CYX"}, compression="zlib")
    with pytest.raises(TooLarge, match="8 channels of 1000 x 1000 pixels"):
        read_raster(tmp_path / "b.ome.tif", Limits(pixels=10**6))


def test_a_long_stack_is_thinned_evenly(tmp_path: Path) -> None:
    pixels = dark(200, 16, 16)
    tifffile.imwrite(tmp_path / "z.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    expected = pixels[np.linspace(0, 199, 64).round().astype(int)].max(axis=0)
    np.testing.assert_array_equal(read_raster(tmp_path / "z.tif", LIMITS).pixels[0], expected)


def test_a_tile_far_larger_than_its_image_is_refused(tmp_path: Path) -> None:
    pixels = dark(16, 16)
    tifffile.imwrite(tmp_path / "t.tif", pixels, tile=(1024, 1024), compression="zlib")
    np.testing.assert_array_equal(read_raster(tmp_path / "t.tif", Limits(pixels=2**20)).pixels[0], pixels)
    with pytest.raises(TooLarge, match="tiles of 1048576 pixels, the limit is 1048575"):
        read_raster(tmp_path / "t.tif", Limits(pixels=2**20 - 1))


def test_a_picture_with_a_palette_is_that_of_its_series(tmp_path: Path) -> None:
    colours = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    with tifffile.TiffWriter(tmp_path / "p.tif") as tif:
        tif.write(np.full((40, 50), 10, np.uint8))
        tif.write(np.full((60, 70), 200, np.uint8), photometric="palette", colormap=colours)
    raster = read_raster(tmp_path / "p.tif#1", LIMITS)
    np.testing.assert_array_equal(raster.pixels, np.full((3, 60, 70), 200))


def test_directories_that_overlap_are_refused_at_once(tmp_path: Path) -> None:
    # each lies in the one before it, but for six bytes
    tags = 2 + 65535 * 12
    content = bytearray(8 + tags + 6 * 1000 + 16)
    content[:8] = b"II*\0" + (8).to_bytes(4, "little")
    for start in range(8, 8 + 6 * 1000, 6):
        content[start : start + 2] = b"\xff\xff"
        content[start + tags : start + tags + 4] = (start + 6).to_bytes(4, "little")
    (tmp_path / "d.tif").write_bytes(content)
    with pytest.raises(UnreadableImage, match="directories overlap"):
        read_raster(tmp_path / "d.tif", LIMITS)

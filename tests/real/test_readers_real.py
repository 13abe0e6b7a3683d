"""The shared OME-Zarrs and files of other formats: what their metadata says, and the planes that are read."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from hooke.pixels import ImageHeader, Limits, images_at, read_raster
from hooke.pixels.files import CountedFiles, FolderFiles
from hooke.pixels.ome_zarr import read_zarr
from indexer.sources import Input, Source, read_images

LIMITS = Limits()


@pytest.fixture(scope="module")
def zarrs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked OME-Zarrs."""
    folder = tmp_path_factory.mktemp("zarrs")
    for packed in sorted((shared_data / "images" / "ome-zarr").glob("*.tar.gz")):
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
    return folder


# name: images, lengths, channels, pixel size in um, labels
GOLDEN: Mapping[str, tuple[list[str], Mapping[str, int], tuple[str, ...], float, tuple[str, ...]]] = {
    "tubhiswt4D_sub.zarr": ([""], {"t": 3, "c": 1, "z": 2, "y": 512, "x": 512}, ("channel_0",), 1.0, ("embryo",)),
    "tubhiswt4D_sub_v05.ome.zarr": ([""], {"t": 3, "c": 1, "z": 2, "y": 512, "x": 512}, ("channel_0",), 1.0, ()),
    "cardiomyocyte_B03_mip_v05.ome.zarr": (
        [""],
        {"c": 3, "z": 1, "y": 1080, "x": 1280},
        ("DAPI", "nanog", "Lamin B1"),
        0.65,
        (),
    ),
    "plate_ones_mip.zarr": (
        ["/B/03/0"],
        {"c": 2, "z": 1, "y": 1080, "x": 1280},
        ("some-label-1", "some-label-2"),
        0.1625,
        ("organoids",),
    ),
    "nf1_plate_v04.ome.zarr": (
        ["/B/7/0", "/D/6/0", "/D/7/0", "/F/7/0", "/H/12/0"],
        {"c": 3, "y": 452, "x": 612},
        ("DAPI", "GFP", "RFP"),
        0.62,
        (),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_headers_say_what_the_metadata_says(zarrs: Path, name: str) -> None:
    suffixes, lengths, channels, pixel_size, labels = GOLDEN[name]
    found = images_at(zarrs / name)
    assert [header.suffix for header in found] == suffixes
    for header in found:
        assert (dict(header.lengths), header.channels, header.labels) == (lengths, channels, labels)
        assert header.pixel_size_um["x"] == header.pixel_size_um["y"] == pytest.approx(pixel_size)
        assert _as_written(zarrs / name, header) == (channels, list(lengths))


def _as_written(folder: Path, header: ImageHeader) -> tuple[tuple[str, ...], list[str]]:
    """Channels and axes by the JSON alone."""
    group = Path(f"{folder}{header.suffix}")
    if (group / "zarr.json").exists():
        ome = json.loads((group / "zarr.json").read_text())["attributes"]["ome"]
    else:
        ome = json.loads((group / ".zattrs").read_text())
    labels = tuple(channel["label"] for channel in ome["omero"]["channels"])
    return labels, [axis["name"] for axis in ome["multiscales"][0]["axes"]]


@pytest.mark.parametrize(
    ("name", "level", "shape"),
    [
        ("tubhiswt4D_sub.zarr", "1", (1, 256, 256)),
        ("tubhiswt4D_sub_v05.ome.zarr", "1", (1, 256, 256)),
        ("cardiomyocyte_B03_mip_v05.ome.zarr", "2", (3, 270, 320)),
        ("plate_ones_mip.zarr/B/03/0", "2", (2, 270, 320)),
        ("nf1_plate_v04.ome.zarr/H/12/0", "1", (3, 226, 306)),
    ],
)
def test_the_planes_are_those_of_the_smallest_level_that_suffices_and_little_else_is_read(
    zarrs: Path, name: str, level: str, shape: tuple[int, ...]
) -> None:
    files = CountedFiles(FolderFiles(zarrs / name), 2**30)
    raster = read_zarr(files, "", LIMITS)
    assert raster.pixels.shape == shape
    stored = np.asarray(zarr.open_array(zarrs / name / level, mode="r"))
    times = stored if stored.ndim == 5 else stored[None]
    frames = [times[frame].max(axis=1) if times.ndim == 5 else times[frame] for frame in range(len(times))]
    order = [1, 0, 2] if len(frames) == 3 else [0]
    np.testing.assert_array_equal([raster.pixels, *raster.others], [frames[frame] for frame in order])
    chunks = {key for key in files.keys if key.split("/")[0] == level and key.rpartition("/")[2].isdigit()}
    wanted = sum((zarrs / name / key).stat().st_size for key in chunks)
    allowed = wanted * 1.1 if wanted > 100_000 else wanted + 10_000  # beside a small image the metadata weighs
    assert files.bytes_read <= allowed


def test_both_versions_of_an_image_have_the_same_pixels(zarrs: Path) -> None:
    old, new = (read_raster(zarrs / f"tubhiswt4D_sub{name}.zarr", LIMITS) for name in ("", "_v05.ome"))
    np.testing.assert_array_equal([old.pixels, *old.others], [new.pixels, *new.others])


def test_a_folder_of_zarrs_is_listed_image_by_image(zarrs: Path) -> None:
    quarantined: list[object] = []
    images = list(read_images(Input(Source.FOLDER, zarrs), quarantined.append))
    assert not quarantined
    assert len(images) == 9
    (well,) = [image for image in images if image.id.endswith("nf1_plate_v04.ome.zarr/H/12/0")]
    said = {value.field: value.text for value in well.values}
    assert said["format"] == "OME-Zarr"
    assert (said["size_x"], said["size_y"], said["physical_size_x_um"]) == ("612", "452", "0.62")
    assert (said["well"], said["well_row"], said["well_column"], said["well_field"]) == ("H12", "H", "12", "0")
    assert [value.text for value in well.values if value.field == "channels"] == ["DAPI", "GFP", "RFP"]


@pytest.mark.parametrize(
    ("name", "kind", "lengths"),
    [
        ("img2d.tif", "TIFF", {"y": 512, "x": 512}),
        ("cell.png", "PNG", {"y": 660, "x": 550}),
        ("histo.jpg", "JPEG", {"y": 300, "x": 500}),
    ],
)
def test_the_headers_of_other_formats(shared_data: Path, name: str, kind: str, lengths: Mapping[str, int]) -> None:
    (header,) = images_at(shared_data / "images" / "formats" / name)
    assert (header.format, {axis: header.lengths[axis] for axis in lengths}) == (kind, lengths)


def test_a_stack_is_projected_as_its_background_asks(shared_data: Path) -> None:
    path = shared_data / "images" / "formats" / "img3d.tif"
    np.testing.assert_array_equal(read_raster(path, LIMITS).pixels[0], tifffile.imread(path).max(axis=0))

"""OME-Zarr of every kind: which images, which level, which planes and which bytes; and what is refused, and why."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it has no types
import numcodecs  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pytest
import zarr
from zarr.abc.codec import Codec
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    ShardingCodecIndexLocation,
    ZstdCodec,
)

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import Limits, images_at, read_changed, read_raster, read_raster_bytes
from hooke.pixels.arrays import ArrayHeader, check_index
from hooke.pixels.files import CountedFiles, FolderFiles
from hooke.pixels.ome_zarr import read_zarr
from tests.hooke.zarrs import Array, write_group, write_image, write_plate, zipped

RANDOM = np.random.default_rng(6)
LIMITS = Limits()


def dark(*shape: int) -> Array:
    """Pixels of which few are bright, as in fluorescence."""
    return np.asarray((RANDOM.random(shape) ** 3 * 65535).astype(np.uint16))


PLANE = dark(2, 40, 60)


def pyramid(pixels: Array, levels: int = 3) -> list[Array]:
    return [pixels[..., :: 2**n, :: 2**n] for n in range(levels)]


def packed(folder: Path, codec: numcodecs.abc.Codec, chunk: bytes) -> Path:
    """An image of the plane's shape whose one chunk is as given."""
    write_image(folder, [PLANE], "cyx")
    _array(compressor=codec.get_config())(folder)
    (folder / "0" / "0" / "0" / "0").write_bytes(chunk)
    return folder


def refusal(folder: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises((UnreadableImage, TooLarge)) as caught:
        read_raster(folder, limits)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}: ")


class TestPlanes:
    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    @pytest.mark.parametrize("axes", ["tczyx", "czyx", "zcyx", "yxc", "cyx", "xyc", "zyx", "yx", "cytx"])
    def test_axes_are_taken_by_name(self, tmp_path: Path, axes: str, version: str) -> None:
        lengths = {"t": 1, "c": 2, "z": 3, "y": 20, "x": 30}
        whole = dark(*(lengths[axis] for axis in "tczyx"))
        taken = whole[tuple(slice(None) if axis in axes else slice(0, 1) for axis in "tczyx")]
        kept = [axis for axis in "tczyx" if axis in axes]
        stored = taken.reshape([lengths[axis] for axis in kept]).transpose([kept.index(axis) for axis in axes])
        write_image(tmp_path / "i.zarr", [stored], axes, version=version)
        np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr", LIMITS).pixels, taken[0].max(axis=1))

    @pytest.mark.parametrize(("short_side", "level"), [(5, 2), (10, 2), (11, 1), (20, 1), (21, 0), (224, 0)])
    def test_the_coarsest_level_that_suffices_is_read(self, tmp_path: Path, short_side: int, level: int) -> None:
        levels = pyramid(PLANE)
        write_image(tmp_path / "i.zarr", levels, "cyx")
        np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr", LIMITS, short_side).pixels, levels[level])

    def test_a_level_is_chosen_by_its_scale_whatever_its_place_in_the_list(self, tmp_path: Path) -> None:
        levels = pyramid(PLANE)
        scales = [[1, 2.0**n, 2.0**n] for n in (2, 0, 1)]
        write_image(tmp_path / "i.zarr", [levels[2], levels[0], levels[1]], "cyx", scales=scales)
        np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr", LIMITS, 20).pixels, levels[1])

    def test_scales_that_were_all_left_at_one_do_not_make_a_level_too_coarse(self, tmp_path: Path) -> None:
        levels = pyramid(PLANE)
        write_image(tmp_path / "i.zarr", levels, "cyx", scales=[[1, 1, 1]] * 3)
        np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr", LIMITS, 20).pixels, levels[1])

    def test_the_first_middle_and_last_time_are_read(self, tmp_path: Path) -> None:
        frames = dark(7, 2, 20, 30)
        write_image(tmp_path / "i.zarr", [frames], "tcyx", chunks=(2, 1, 20, 30))
        raster = read_raster(tmp_path / "i.zarr", LIMITS)
        np.testing.assert_array_equal([raster.pixels, *raster.others], frames[[3, 0, 6]])

    def test_a_bright_stack_becomes_its_sharpest_plane(self, tmp_path: Path) -> None:
        blurred, sharp = np.full((20, 30), 200, np.uint8), np.full((20, 30), 200, np.uint8)
        sharp[::3] = 100
        write_image(tmp_path / "i.zarr", [np.stack([blurred, sharp, blurred])], "zyx")
        np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr", LIMITS).pixels[0], sharp)

    def test_channels_named_as_red_green_and_blue_are_a_colour_picture_in_8_bits_only(self, tmp_path: Path) -> None:
        channels = [{"label": name, "color": name} for name in ("FF0000", "00ff00", "0000FF")]
        pixels = RANDOM.integers(0, 256, (3, 20, 30), dtype=np.uint8)
        write_image(tmp_path / "8.zarr", [pixels], "cyx", channels=channels)
        write_image(tmp_path / "16.zarr", [pixels.astype(np.uint16)], "cyx", channels=channels)
        write_image(tmp_path / "plain.zarr", [pixels], "cyx")
        assert [read_raster(tmp_path / f"{n}.zarr", LIMITS).rgb for n in ("8", "16", "plain")] == [True, False, False]

    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", ">u2", "uint32", "float16", "float64", ">f4"])
    def test_every_type_of_pixel_is_read(self, tmp_path: Path, dtype: str) -> None:
        pixels = RANDOM.integers(0, 2, (20, 30)).astype(dtype)
        write_image(tmp_path / "i.zarr", [pixels], "yx")
        found = read_raster(tmp_path / "i.zarr", LIMITS).pixels
        assert found.dtype in (np.uint8, np.uint16, np.float32)
        np.testing.assert_array_equal(found[0] > 0, pixels > 0)


class TestBytes:
    """Bytes read are at most 1.1 times those of the files, or parts of shards, that hold the planes looked at."""

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    @pytest.mark.parametrize("chunks", [(1, 1, 1, 256, 256), (1, 1, 1, 128, 256), (2, 1, 1, 256, 256)])
    def test_only_the_chunks_of_the_planes_are_read(
        self, tmp_path: Path, chunks: tuple[int, ...], version: str
    ) -> None:
        levels = pyramid(dark(7, 2, 2, 512, 512), 2)
        folder = write_image(tmp_path / "i.zarr", levels, "tczyx", version=version, chunks=chunks)
        files = CountedFiles(FolderFiles(folder), 2**30)
        read_zarr(files, "", LIMITS, 224)
        names = [key for key in files.keys if not key.endswith((".json", ".zarray", ".zattrs", ".zgroup"))]
        assert {name.split("/")[0] for name in names} == {"1"}
        assert len(names) == len(set(names))
        frames = {name.removeprefix("1/c/").removeprefix("1/").split("/")[0] for name in names}
        assert frames == {str(frame // chunks[0]) for frame in (0, 3, 6)}
        wanted = sum((folder / name).stat().st_size for name in names)
        assert wanted <= files.bytes_read <= 1.1 * wanted

    def test_of_a_shard_only_the_chunks_of_the_planes_are_read(self, tmp_path: Path) -> None:
        pixels = dark(7, 1, 1, 256, 256)
        folder = write_image(
            tmp_path / "i.zarr",
            [pixels],
            "tczyx",
            version="0.5",
            chunks=(1, 1, 1, 128, 128),
            shards=(7, 1, 1, 256, 256),
        )
        files = CountedFiles(FolderFiles(folder), 2**30)
        raster = read_zarr(files, "", LIMITS)
        np.testing.assert_array_equal([raster.pixels[0], *(o[0] for o in raster.others)], pixels[[3, 0, 6], 0, 0])
        assert files.bytes_read <= 1.1 * 3 / 7 * (folder / "0" / "c" / "0" / "0" / "0" / "0" / "0").stat().st_size

    def test_an_image_whose_planes_take_too_many_bytes_is_refused(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", [dark(2, 256, 256)], "cyx", chunks=(1, 128, 128))
        assert "takes over 100000 bytes" in refusal(folder, Limits(bytes=100_000))


class TestPlaces:
    def test_a_zip_is_read_as_its_folder_is(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", pyramid(PLANE), "cyx", version="0.5")
        expected = read_raster(folder, LIMITS, 20).pixels
        for top in ("", "i.zarr/"):
            (tmp_path / "i.zarr.zip").write_bytes(zipped(folder, top=top))
            np.testing.assert_array_equal(read_raster(tmp_path / "i.zarr.zip", LIMITS, 20).pixels, expected)
            np.testing.assert_array_equal(read_raster_bytes(zipped(folder, top=top), LIMITS, 20).pixels, expected)

    def test_a_field_of_a_plate_is_named_by_its_path_in_a_folder_and_in_a_zip(self, tmp_path: Path) -> None:
        plate = write_plate(tmp_path / "p.zarr", {"A/1/0": [PLANE], "B/2/1": [PLANE + 1]}, "cyx")
        (tmp_path / "p.zarr.zip").write_bytes(zipped(plate))
        for name in ("p.zarr", "p.zarr.zip"):
            np.testing.assert_array_equal(read_raster(tmp_path / name / "B/2/1", LIMITS).pixels, PLANE + 1)
        with pytest.raises(UnreadableImage, match=r"holds 2 images; send one, for instance A/1/0"):
            read_raster_bytes(zipped(plate), LIMITS)
        assert "is a plate" in refusal(plate)

    @pytest.mark.parametrize("top", ["memory://hooke-tests/i.zarr", "file://{}/i.zarr"])
    def test_addresses_are_read_by_fsspec(self, tmp_path: Path, top: str) -> None:
        folder = write_image(tmp_path / "i.zarr", pyramid(PLANE), "cyx")
        memory = fsspec.filesystem("memory")
        for path in folder.rglob("*"):
            if path.is_file():
                memory.pipe_file(f"/hooke-tests/i.zarr/{path.relative_to(folder).as_posix()}", path.read_bytes())
        memory.pipe_file("/hooke-tests/i.zarr.zip", zipped(folder))
        address = top.format(tmp_path)
        np.testing.assert_array_equal(read_raster(address, LIMITS, 20).pixels, pyramid(PLANE)[1])
        if top.startswith("memory"):
            np.testing.assert_array_equal(read_raster(f"{address}.zip", LIMITS, 20).pixels, pyramid(PLANE)[1])

    @pytest.mark.parametrize("address", ["memory://nowhere/i.zarr", "nothing://x/i.zarr", "zip://a::memory://b"])
    def test_an_address_that_cannot_be_read_is_refused(self, address: str) -> None:
        with pytest.raises(UnreadableImage, match=address):
            read_raster(address, LIMITS)

    def test_the_same_pixels_have_the_same_digest_wherever_they_lie(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx")
        write_image(tmp_path / "chunked.zarr", [PLANE], "cyx", version="0.5", chunks=(1, 20, 20))
        changed = read_changed(folder, LIMITS, None)
        assert changed is not None
        assert read_changed(str(tmp_path / "chunked.zarr"), LIMITS, changed[0]) is None
        write_image(tmp_path / "other.zarr", [PLANE + 1], "cyx")
        assert read_changed(tmp_path / "other.zarr", LIMITS, changed[0]) is not None


class TestHeaders:
    def test_a_plate_is_its_fields_with_row_column_sizes_and_channels(self, tmp_path: Path) -> None:
        plate = write_plate(tmp_path / "p.zarr", {"A/1/0": [PLANE], "A/1/1": [PLANE], "C/12/0": [PLANE]}, "cyx")
        found = images_at(plate)
        assert [header.suffix for header in found] == ["/A/1/0", "/A/1/1", "/C/12/0"]
        assert [(h.place.row, h.place.column, h.place.field) for h in found][2] == ("C", "12", "0")
        assert (found[0].format, dict(found[0].lengths)) == ("OME-Zarr", {"c": 2, "y": 40, "x": 60})

    def test_a_well_without_metadata_has_the_images_in_its_folder(self, tmp_path: Path) -> None:
        plate = write_plate(tmp_path / "p.zarr", {f"A/1/{n}": [PLANE] for n in (0, 2, 10)}, "cyx")
        (plate / "A" / "1" / ".zattrs").unlink()
        assert [header.suffix for header in images_at(plate)] == ["/A/1/0", "/A/1/2", "/A/1/10"]

    @pytest.mark.parametrize("content", ["{", "[" * 200_000])
    def test_a_damaged_well_hides_no_other(self, tmp_path: Path, content: str) -> None:
        plate = write_plate(tmp_path / "p.zarr", {f"A/{n}/0": [PLANE] for n in (1, 2, 3)}, "cyx")
        (plate / "A" / "2" / ".zattrs").write_text(content)
        assert [header.suffix for header in images_at(plate)] == ["/A/1/0", "/A/2", "/A/3/0"]

    def test_labels_are_noticed_and_are_no_images(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx")
        write_group(folder / "labels", {"labels": ["nuclei"]})
        write_image(folder / "labels" / "nuclei", [PLANE], "cyx")
        attributes = json.loads((folder / "labels" / "nuclei" / ".zattrs").read_text())
        (folder / "labels" / "nuclei" / ".zattrs").write_text(json.dumps({**attributes, "image-label": {}}))
        assert [(header.suffix, header.labels) for header in images_at(folder)] == [("", ("nuclei",))]
        assert "is labels" in refusal(folder / "labels" / "nuclei")

    def test_a_collection_is_its_series(self, tmp_path: Path) -> None:
        folder = write_group(tmp_path / "c.zarr", {"bioformats2raw.layout": 3})
        for number in (0, 1):
            write_image(folder / str(number), [PLANE], "cyx")
        write_group(folder / "OME", {"series": ["1", "0"]})
        assert [header.suffix for header in images_at(folder)] == ["/1", "/0"]
        (folder / "OME" / ".zattrs").unlink()
        assert [header.suffix for header in images_at(folder)] == ["/0", "/1"]

    @pytest.mark.parametrize(("unit", "expected"), [("micrometer", 0.5), ("nanometer", 5e-4), ("mm", 500), ("", None)])
    def test_pixel_sizes_are_micrometres(self, tmp_path: Path, unit: str, expected: float | None) -> None:
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx", scales=[[1, 0.25, 0.5]], unit=unit)
        (header,) = images_at(folder)
        assert header.pixel_size_um.get("x") == (None if expected is None else pytest.approx(expected))

    def test_a_unit_without_a_scale_says_nothing_of_a_pixel(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx")
        _break(lambda said: said["multiscales"][0]["datasets"][0].pop("coordinateTransformations"), ".zattrs")(folder)  # type: ignore[index]  # JSON
        (header,) = images_at(folder)
        assert header.pixel_size_um == {}

    def test_what_cannot_be_read_is_listed_as_one_image(self, tmp_path: Path) -> None:
        (tmp_path / "i.zarr").mkdir()
        (tmp_path / "i.zarr" / ".zattrs").write_text("{")
        assert [header.format for header in images_at(tmp_path / "i.zarr")] == [""]


def _break(change: Callable[[dict[str, object]], object], name: str) -> Callable[[Path], None]:
    """Change a JSON document of an image."""

    def breaking(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return breaking


def _array(**changes: object) -> Callable[[Path], None]:
    return _break(lambda content: content.update(changes), "0/.zarray")


def _image(key: str, value: object) -> Callable[[Path], None]:
    return _break(lambda content: content["multiscales"][0].update({key: value}), ".zattrs")  # type: ignore[index]  # JSON


def _link(folder: Path, target: str) -> None:
    chunk = folder / "0" / "0" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to(target)


def _pipe(folder: Path) -> None:
    (folder / "0" / "0" / "0" / "0").unlink()
    os.mkfifo(folder / "0" / "0" / "0" / "0")


def _no_chunks(folder: Path) -> None:
    for chunk in (folder / "0").glob("*/*/*"):
        chunk.unlink()


def _dataset(path: object) -> Callable[[Path], None]:
    return _image("datasets", [{"path": path}])


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (_dataset("../other.zarr/0"), "leads out of the image"),
            (_dataset("/0/../../other.zarr/0"), "leads out of the image"),
            (_dataset("..\\other.zarr\\0"), "leads out of the image"),
            (lambda folder: _link(folder, "../../../../secret"), "a link that leads out of the image"),
            (lambda folder: _link(folder, "0"), "a link that leads"),
            (_pipe, "is no plain file"),
            (_no_chunks, "none of the chunks"),
            (_array(filters=[{"id": "pickle"}]), "packed by 'pickle and zstd' are not read"),
            (_array(compressor={"id": "jpeg2k"}), "packed by 'jpeg2k' are not read"),
            (_array(dtype="|O"), "no intensities"),
            (_array(dtype="<U9"), "no intensities"),
            (_array(dtype="<c8"), "no intensities"),
            (_array(dtype=[["a", "<u2"]]), "no intensities"),
            (_array(shape=[200, 40, 60], chunks=[1, 40, 60]), "200 channels, the limit is 32"),
            (_array(shape=[1, 40_000, 40_000], chunks=[1, 1024, 1024]), "40000 x 40000 pixels, the limit"),
            (_array(shape=[2, 2**40, 60]), "pixels, the limit"),
            (_array(shape=[2, 16_000, 16_000], chunks=[1, 1, 1]), "in 512000000 chunks"),
            (_array(chunks=[1, 2**20, 2**20]), "chunks of (1, 1048576, 1048576) pixels"),
            (_array(chunks=[1, 8192, 16385]), "have 268451840 bytes, the limit is 268435456"),
            (_array(shape=[2, 0, 60]), "no pixels"),
            (_array(chunks=[0, 0, 0]), "in chunks of (0, 0, 0)"),
            (_array(shape=[40, 60]), "an array of"),
            (_array(shape="many"), "no usable shape"),
            (_array(chunks=[1, 3, 60]), "unpacks to more than the 360 bytes"),
            (_array(chunks=[2, 64, 64]), "damaged"),
            (_image("axes", [{"name": "c"}, {"name": "y"}, {"name": "y"}]), "one must be y and one x"),
            (_image("datasets", []), "no resolution levels"),
            (_image("datasets", [{"path": "9"}]), "there is no Zarr array at '9'"),
            (_image("coordinateTransformations", [{"type": "scale", "scale": [1, 0, 1]}]), "one positive number"),
            (lambda folder: (folder / ".zattrs").write_text("[" * 100_000), "damaged"),
            (lambda folder: (folder / "0" / ".zarray").write_bytes(b"\xff\xfe\0"), "damaged"),
            (lambda folder: (folder / "0" / ".zarray").unlink(), "there is no Zarr array"),
            (lambda folder: (folder / ".zattrs").unlink(), "no OME image"),
        ],
    )
    def test_a_damaged_or_hostile_image_is_refused_with_the_reason(
        self, tmp_path: Path, damage: Callable[[Path], object], reason: str
    ) -> None:
        write_image(tmp_path / "other.zarr", [PLANE], "cyx")
        (tmp_path / "secret").write_bytes(PLANE.tobytes())
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx")
        damage(folder)
        assert reason in refusal(folder)

    @pytest.mark.parametrize(("version", "shards"), [("0.4", None), ("0.5", None), ("0.5", (2, 40, 60))])
    def test_a_chunk_that_bursts_is_refused_before_it_is_unpacked(
        self, tmp_path: Path, version: str, shards: tuple[int, ...] | None
    ) -> None:
        bomb = np.ones((2, 2000, 2000), np.uint16)
        big = write_image(
            tmp_path / "big.zarr",
            [bomb],
            "cyx",
            version=version,
            chunks=(1, 2000, 2000),
            shards=(2, 2000, 2000) if shards else None,
        )
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx", version=version, chunks=(1, 40, 60), shards=shards)
        name = "0/c/0/0/0" if version == "0.5" else "0/0/0/0"
        (folder / name).write_bytes((big / name).read_bytes())
        assert "unpacks to more than the 4800 bytes" in refusal(folder)

    def test_a_missing_chunk_has_the_fill_value(self, tmp_path: Path) -> None:
        folder = write_image(tmp_path / "i.zarr", [PLANE], "cyx", chunks=(1, 40, 60))
        (folder / "0" / "1" / "0" / "0").unlink()
        raster = read_raster(folder, LIMITS)
        np.testing.assert_array_equal(raster.pixels, np.stack([PLANE[0], np.zeros_like(PLANE[0])]))

    def test_a_cut_zip_is_refused(self, tmp_path: Path) -> None:
        content = zipped(write_image(tmp_path / "i.zarr", [PLANE], "cyx"))
        for share in (0.01, 0.5, 0.99):
            with pytest.raises(UnreadableImage, match="zip"):
                read_raster_bytes(content[: int(len(content) * share)], LIMITS)

    @pytest.mark.parametrize("codec", [numcodecs.GZip(), numcodecs.Zlib(), numcodecs.BZ2(), numcodecs.LZMA()])
    def test_a_cut_chunk_is_refused_whatever_packed_it(self, tmp_path: Path, codec: numcodecs.abc.Codec) -> None:
        folder = packed(tmp_path / "i.zarr", codec, codec.encode(PLANE))
        np.testing.assert_array_equal(read_raster(folder, LIMITS).pixels, PLANE)
        chunk = folder / "0" / "0" / "0" / "0"
        chunk.write_bytes(chunk.read_bytes()[:-30])
        assert "damaged" in refusal(folder)

    @pytest.mark.parametrize("codec", [numcodecs.GZip(), numcodecs.Zlib(), numcodecs.BZ2(), numcodecs.LZMA()])
    def test_a_chunk_in_several_parts_is_refused(self, tmp_path: Path, codec: numcodecs.abc.Codec) -> None:
        parts = codec.encode(PLANE) + codec.encode(bytes(10**6)) * 5
        assert "bytes behind its end" in refusal(packed(tmp_path / "i.zarr", codec, parts))

    @pytest.mark.parametrize("inner", [ZstdCodec(), GzipCodec(), BloscCodec()])
    @pytest.mark.parametrize("location", list(ShardingCodecIndexLocation))
    @pytest.mark.parametrize("index_codecs", [[BytesCodec()], [BytesCodec(), Crc32cCodec()]])
    @pytest.mark.parametrize("chunk", [(5, 40, 60), (1, 20, 30)])
    def test_a_shard_is_read_wherever_its_index_is(
        self,
        tmp_path: Path,
        inner: Codec,
        location: ShardingCodecIndexLocation,
        index_codecs: list[Codec],
        chunk: tuple[int, ...],
    ) -> None:
        pixels = dark(5, 40, 60)
        folder = write_image(tmp_path / "i.zarr", [pixels], "tyx", version="0.5")
        codec = ShardingCodec(
            chunk_shape=chunk, codecs=[BytesCodec(), inner], index_codecs=index_codecs, index_location=location
        )
        array = zarr.create(
            store=folder / "0", shape=pixels.shape, chunks=pixels.shape, dtype="u2", codecs=[codec], overwrite=True
        )
        array[...] = pixels
        raster = read_raster(folder, LIMITS)
        np.testing.assert_array_equal([raster.pixels[0], *(o[0] for o in raster.others)], pixels[[2, 0, 4]])

    def test_a_chunk_that_lies_in_the_index_of_its_shard_is_refused(self) -> None:
        header = ArrayHeader(3, (2,), (2,), (1,), 2, ("zstd",), index_checksum=4, index_at_start=True)
        check_index(np.array([36, 9, 2**64 - 1, 2**64 - 1], "<u8").tobytes() + bytes(4), header)
        with pytest.raises(UnreadableImage, match="a chunk lies in its index"):
            check_index(np.array([35, 9, 36, 9], "<u8").tobytes() + bytes(4), header)

    @pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_damaged_member_of_a_zip_is_refused_whatever_packed_it(self, tmp_path: Path, packing: int) -> None:
        path = tmp_path / "i.zip"
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr(".zattrs", json.dumps({"multiscales": [{"datasets": [{"path": "0"}] * 9}]}))
        content = bytearray(path.read_bytes())
        start = content.find(b".zattrs") + 7
        content[start : start + 40] = bytes(byte ^ 0x5A for byte in content[start : start + 40])
        path.write_bytes(content)
        assert "damaged" in refusal(path)
        assert [header.format for header in images_at(path)] == [""]

    @pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("size", [1, 30])
    def test_pixels_that_say_nothing_are_read(self, tmp_path: Path, value: float, size: int) -> None:
        folder = write_image(tmp_path / "i.zarr", [np.full((3, size, size), value, np.float32)], "zyx")
        # zarr writes no chunk that has the fill value alone
        if value == 0:
            assert "none of the chunks" in refusal(folder)
        else:
            assert read_raster(folder, LIMITS).pixels.shape == (1, size, size)

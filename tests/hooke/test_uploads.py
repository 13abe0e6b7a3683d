"""Uploads are decoded as files are, in a process that can be killed."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import Limits, UploadReader, read_raster_bytes, read_upload
from tests.hooke.test_ome_zarr import dark
from tests.hooke.test_pixels import SAMPLES, pillow_bytes, tiff_bytes
from tests.hooke.zarrs import write_image, zipped

LIMITS = Limits()
ENOUGH = 2**30
SLOW = tiff_bytes(np.zeros((4000, 4000), dtype=np.uint8), compression="zlib", tile=(16, 16))


@pytest.fixture(scope="module")
def reader() -> Iterator[UploadReader]:
    uploads = UploadReader(workers=2)
    yield uploads
    uploads.close()


def read(reader: UploadReader, content: bytes, *, seconds: float = 20, memory_bytes: int = ENOUGH) -> str:
    """What reading came to, in a word: the shape, or the error."""
    try:
        return str(reader.read(content, LIMITS, seconds=seconds, memory_bytes=memory_bytes).pixels.shape)
    except (TooLarge, UnreadableImage) as error:
        return type(error).__name__


@pytest.mark.parametrize("content", SAMPLES.values(), ids=SAMPLES.keys())
def test_an_upload_is_read_as_a_file_is(reader: UploadReader, content: bytes) -> None:
    raster = reader.read(content, LIMITS, seconds=20, memory_bytes=ENOUGH)
    expected = read_raster_bytes(content, LIMITS)
    assert (raster.rgb, raster.pixels.dtype) == (expected.rgb, expected.pixels.dtype)
    np.testing.assert_array_equal(raster.pixels, expected.pixels)


def test_a_zipped_zarr_is_read_as_its_folder_is_with_all_its_frames(reader: UploadReader, tmp_path: Path) -> None:
    pixels = dark(3, 2, 80, 100)
    folder = write_image(tmp_path / "i.zarr", [pixels, pixels[..., ::2, ::2]], "tcyx")
    raster = reader.read(zipped(folder), LIMITS, seconds=20, memory_bytes=ENOUGH, short_side=40)
    np.testing.assert_array_equal([raster.pixels, *raster.others], pixels[[1, 0, 2], :, ::2, ::2])


def test_limits_and_damage_are_named(reader: UploadReader) -> None:
    with pytest.raises(UnreadableImage, match="not a PNG"):
        reader.read(b"nothing", LIMITS, seconds=20, memory_bytes=ENOUGH)
    with pytest.raises(TooLarge, match="pixels, the limit is 9"):
        reader.read(SAMPLES["png"], Limits(pixels=9), seconds=20, memory_bytes=ENOUGH)
    with pytest.raises(TooLarge, match="bytes, the limit is 9"):
        reader.read(SAMPLES["png"], Limits(bytes=9), seconds=20, memory_bytes=ENOUGH)


def test_a_slow_upload_is_stopped_and_the_next_one_read(reader: UploadReader) -> None:
    started = time.monotonic()
    with pytest.raises(TooLarge, match=r"over 0\.1 s"):
        reader.read(SLOW, LIMITS, seconds=0.1, memory_bytes=ENOUGH)
    assert time.monotonic() - started < 15
    assert read(reader, SAMPLES["png"]) == "(3, 64, 64)"


def test_an_upload_that_needs_too_much_memory_is_refused(reader: UploadReader) -> None:
    hungry = tiff_bytes(np.zeros((12000, 12000), dtype=np.uint8), compression="zlib", rowsperstrip=500)
    with pytest.raises(TooLarge, match="memory"):
        reader.read(hungry, LIMITS, seconds=20, memory_bytes=2**26)
    assert read(reader, SAMPLES["png"], memory_bytes=2**26) == "(3, 64, 64)"


def test_an_answer_that_is_refused_is_not_taken_for_the_next(reader: UploadReader) -> None:
    # one band in the file, three when the palette is looked up
    palette = pillow_bytes(Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).convert("P"))
    for _ in range(2):
        with pytest.raises(TooLarge, match="3 channels, the limit is 2"):
            reader.read(palette, Limits(channels=2), seconds=20, memory_bytes=ENOUGH)
    assert [read(reader, SAMPLES["tiff"]) for _ in range(3)] == ["(1, 64, 64)"] * 3


def test_several_threads_may_upload_at_once(reader: UploadReader) -> None:
    contents = [b"nothing", *SAMPLES.values()] * 4
    expected = [read(reader, content) for content in contents]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda content: read(reader, content), contents)) == expected


def test_a_warm_process_costs_little(reader: UploadReader) -> None:
    times = []
    for _ in range(15):
        started = time.perf_counter()
        read(reader, SAMPLES["tiff"])
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.1


def test_the_shared_reader_reads() -> None:
    assert read_upload(SAMPLES["jpeg"], LIMITS, seconds=20, memory_bytes=ENOUGH).pixels.shape == (3, 64, 64)

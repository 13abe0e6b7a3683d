"""Uploads are decoded as files are, in a process that can be killed."""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels import (
    FileReader,
    Limits,
    UploadReader,
    read_changed,
    read_raster_bytes,
    read_upload,
    thumbnail,
    worker,
)
from hooke.settings import ReadingSettings
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


@pytest.fixture(scope="module")
def files() -> Iterator[FileReader]:
    found = FileReader(workers=1)
    yield found
    found.close()


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


def test_a_process_that_is_late_ends_without_its_parent() -> None:
    limits, seconds = asdict(LIMITS), 0.1 - worker._GRACE_SECONDS
    request = {"size": len(SLOW), "limits": limits, "memory_bytes": ENOUGH, "seconds": seconds, "short_side": 1}
    command = [sys.executable, "-m", "hooke.pixels.worker"]
    content = json.dumps({**request, "parts": 0}).encode() + b"\n" + SLOW
    assert subprocess.run(command, input=content, capture_output=True, check=False).returncode == -signal.SIGALRM


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


@pytest.mark.parametrize("parts", [0, 4])
def test_a_process_reads_files_as_this_one_does(files: FileReader, tmp_path: Path, parts: int) -> None:
    pixels = dark(3, 2, 80, 100)
    write_image(tmp_path / "i.zarr", [pixels, pixels[..., ::2, ::2]], "tcyx")
    for name, content in SAMPLES.items():
        (tmp_path / name).write_bytes(content)
    for path in tmp_path.iterdir():
        found = files.read_changed(str(path), LIMITS, None, 20, parts=parts)
        expected = read_changed(path, LIMITS, None, 20, parts=parts)
        assert found is not None
        assert expected is not None
        digest, raster = expected
        assert (found.digest, found.thumbnail) == (digest, thumbnail(raster))
        assert (found.raster.rgb, len(found.raster.others)) == (raster.rgb, len(raster.others))
        np.testing.assert_array_equal(found.raster.pixels, raster.pixels)
        assert [tile.box for tile in found.raster.tiles] == [tile.box for tile in raster.tiles]
        assert files.read_changed(str(path), LIMITS, digest, 20, parts=parts) is None


def test_small_images_need_one_process_and_large_ones_more(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(SAMPLES["png"])
    (tmp_path / "large.tif").write_bytes(SLOW)
    reader = FileReader(workers=2)

    def started_for(name: str, times: int) -> int:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: reader.read_changed(str(tmp_path / name), LIMITS, None), range(times)))
        return sum(worker._process is not None for worker in reader._pool._workers)

    assert started_for("small.png", 1) == 1
    assert started_for("large.tif", 4) == 2
    reader.close()


def test_a_path_is_taken_from_where_the_program_is(
    files: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "i.png").write_bytes(SAMPLES["png"])
    monkeypatch.chdir(tmp_path)
    assert files.read_changed("i.png", LIMITS, None) is not None


def test_a_file_that_needs_too_much_memory_or_time_is_refused(files: FileReader, tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    path.write_bytes(SLOW)
    with pytest.raises(TooLarge, match="memory"):
        files.read_changed(str(path), LIMITS, None, settings=ReadingSettings(memory_bytes=2**23))
    with pytest.raises(TooLarge, match=r"over 0\.1 s to read.*HOOKE_IMAGE_SECONDS"):
        files.read_changed(str(path), LIMITS, None, settings=ReadingSettings(seconds=0.1))

"""Damaged files of every format: a raster or a named error, within limits, and never anything else."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import numpy as np
import pytest

from hooke.pixels import UploadReader
from tests.hooke.fuzzing import fuzz, mutated, mutated_zarr
from tests.hooke.test_pixels import SAMPLES
from tests.hooke.test_tiff_levels import write_pyramid
from tests.hooke.zarrs import write_image, zipped

TIMES = 500
"""Where the real files are, they are damaged 2,000 times more: tests/real/test_damaged_real.py."""


@pytest.fixture(scope="module")
def reader() -> Iterator[UploadReader]:
    uploads = UploadReader(workers=1)
    yield uploads
    uploads.close()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Random], bytes]]:
    root = tmp_path_factory.mktemp("damaged")
    pixels = (np.random.default_rng(0).random((3, 1, 4, 64, 64)) ** 3 * 65535).astype(np.uint16)
    levels = [pixels, pixels[..., ::2, ::2]]
    old = write_image(root / "old", levels, "tczyx", chunks=(1, 1, 1, 64, 64))
    new = write_image(root / "new", levels, "tczyx", version="0.5", chunks=(1, 1, 1, 32, 32))
    sharded = write_image(
        root / "sharded", levels[:1], "tczyx", version="0.5", chunks=(1, 1, 1, 32, 32), shards=(1, 1, 2, 64, 64)
    )
    write_pyramid(root / "pyramid.ome.tif", pixels[0].transpose(1, 0, 2, 3)[:, 0], tile=(16, 16), compression="zlib")
    pyramid = (root / "pyramid.ome.tif").read_bytes()
    flat = {
        name: partial(mutated, content) for name, content in {**SAMPLES, "zip": zipped(old), "pyramid": pyramid}.items()
    }
    return {**flat, **{folder.name: partial(mutated_zarr, folder) for folder in (old, new, sharded)}}


def test_damaged_files_are_read_or_refused(kinds: dict[str, Callable[[Random], bytes]], reader: UploadReader) -> None:
    ends = fuzz(kinds, reader, TIMES)
    # were all of them read, or none, the damage would be of the wrong kind
    assert ends["read"] > TIMES // 20
    assert ends["UnreadableImage"] > TIMES // 4

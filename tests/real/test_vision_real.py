"""The vision half on real images: every file is read, and near images are of the same kind."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measures import leave_one_out
from benchmarks.quality import embed_files, read_labelled
from hooke.embed.timm import DEFAULT_MODEL, load_embedder
from hooke.errors import HookeError
from hooke.pixels import Limits, UploadReader, image_facts, read_raster, thumbnail
from hooke.settings import read_settings
from hooke.vectors.base import Block
from hooke.vectors.segments import SegmentStore

IMAGES = read_settings().shared_data / "images"
LIMITS = Limits()

pytestmark = pytest.mark.skipif(not IMAGES.is_dir(), reason="no shared data: set HOOKE_SHARED_DATA")


@pytest.fixture(scope="module")
def uploads() -> Iterator[UploadReader]:
    reader = UploadReader(workers=1)
    yield reader
    reader.close()


def manifest() -> list[dict[str, str]]:
    with (IMAGES / "labelled" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_labelled_image_is_read_with_its_stated_size_and_depth() -> None:
    failures: Counter[str] = Counter()
    for row in manifest():
        try:
            facts = image_facts(read_raster(IMAGES / "labelled" / row["path"], LIMITS))
        except HookeError as error:
            failures[str(error)] += 1
            continue
        stated = (int(row["width"]), int(row["height"]), f"uint{row['bit_depth']}")
        if (facts.width, facts.height, facts.dtype) != stated:
            failures[f"{row['path']}: {facts} instead of {stated}"] += 1
    assert not failures


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "rgb"),
    [
        ("cell.png", (1, 660, 550), "uint8", False),
        ("histo.jpg", (3, 300, 500), "uint8", True),
        ("ihc.png", (3, 512, 512), "uint8", True),
        ("img2d.tif", (1, 512, 512), "uint16", False),
        ("img3d.tif", (1, 61, 57), "uint16", False),
        ("microaneurysms.png", (1, 102, 102), "uint8", False),
    ],
)
def test_formats_are_read_alike_as_files_and_as_uploads(
    uploads: UploadReader, name: str, shape: tuple[int, ...], dtype: str, rgb: bool
) -> None:
    raster = read_raster(IMAGES / "formats" / name, LIMITS)
    assert (raster.pixels.shape, raster.pixels.dtype.name, raster.rgb) == (shape, dtype, rgb)

    content = (IMAGES / "formats" / name).read_bytes()
    uploaded = uploads.read(content, LIMITS, seconds=20, memory_bytes=2**30)
    np.testing.assert_array_equal(uploaded.pixels, raster.pixels)
    assert thumbnail(raster).startswith(b"\xff\xd8\xff")


@pytest.mark.slow
def test_near_images_are_of_the_same_kind(tmp_path: Path) -> None:
    """The issue's floors, over all 59 classes; and the store ranks as the matrix of all cosines does."""
    labelled = read_labelled(IMAGES / "labelled")
    vectors = embed_files(load_embedder(DEFAULT_MODEL, threads=2), labelled.paths)
    quality = leave_one_out(vectors, labelled.classes)
    assert quality.nearest >= 0.774
    assert quality.precision >= 0.571

    store = SegmentStore(tmp_path, "0" * 64)
    numbers = np.arange(len(vectors), dtype=np.uint32)
    reader = store.read([store.append(Block(vectors, numbers, numbers.astype(np.uint64)))])
    everything = np.arange(len(vectors))
    for query in range(0, len(vectors), 101):
        exact = (vectors.astype(np.float64) * vectors[query].astype(np.float64)).sum(axis=1)
        expected = np.lexsort((everything, -exact))[:20]
        hits = reader.search(vectors[query : query + 1], 20).hits
        assert [hit.ordinal for hit in hits] == expected.tolist()

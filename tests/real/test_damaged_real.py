"""Real files of every format, damaged 2,000 times: a raster or a named error, within limits, and nothing else."""

import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from hooke.pixels import UploadReader, images_at
from indexer.report import peak_memory_bytes
from indexer.sources.ome_xml import ome_images
from tests.hooke.fuzzing import fuzz, mutated, mutated_zarr

TIMES = 2_000


@pytest.fixture(scope="module")
def reader() -> Iterator[UploadReader]:
    uploads = UploadReader(workers=1)
    yield uploads
    uploads.close()


@pytest.fixture(scope="module")
def kinds(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Random], bytes]]:
    """Small files: PNG, JPEG, TIFF and its stacks, multi-channel OME-TIFF, and a field of each OME-Zarr."""
    images, root = shared_data / "images", tmp_path_factory.mktemp("zarrs")
    for packed in sorted((images / "ome-zarr").glob("*.tar.gz")):
        with tarfile.open(packed) as archive:
            archive.extractall(root, filter="data")
    files = [images / "formats" / name for name in ("microaneurysms.png", "histo.jpg", "mask3d.tif", "img3d.tif")]
    files += [_smallest(folder) for folder in sorted((images / "labelled").iterdir()) if folder.is_dir()]
    zarrs = [root / "plate_ones_mip.zarr" / "B" / "03" / "0", root / "nf1_plate_v04.ome.zarr" / "D" / "6" / "0"]
    zarrs += [root / "tubhiswt4D_sub_v05.ome.zarr"]
    flat = {str(path): partial(mutated, path.read_bytes()) for path in files}
    return {**flat, **{str(folder): partial(mutated_zarr, folder) for folder in zarrs}}


def _smallest(folder: Path) -> Path:
    return min((path for path in folder.rglob("*.*") if path.is_file()), key=lambda path: path.stat().st_size)


def test_damaged_real_files_are_read_or_refused(
    kinds: dict[str, Callable[[Random], bytes]], reader: UploadReader
) -> None:
    ends = fuzz(kinds, reader, TIMES)
    assert sum(ends.values()) == TIMES
    assert ends["read"] > TIMES // 20
    assert ends["UnreadableImage"] > TIMES // 4


def test_the_headers_of_damaged_real_files_are_read_or_left_out(
    kinds: dict[str, Callable[[Random], bytes]], tmp_path: Path
) -> None:
    """What the indexer reads in its own process: no damage may raise, or make it take what no header needs."""
    before, reported = peak_memory_bytes(), list[str]()
    for number in range(TIMES):
        name = sorted(kinds)[number % len(kinds)]
        # an OME-Zarr comes as a zip
        file = tmp_path / f"damaged{Path(name).suffix if Path(name).is_file() else '.zip'}"
        file.write_bytes(kinds[name](Random(number)))
        assert isinstance(images_at(file), tuple)
        assert isinstance(ome_images(file, reported.append), tuple)
    assert not [reason for reason in reported if "\n" in reason]
    assert peak_memory_bytes() - before < 2**28

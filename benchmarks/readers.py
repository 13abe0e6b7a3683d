"""What reading an image costs: the bytes read, as a ratio of those that hold the planes looked at, and the time.

`python -m benchmarks.readers` unpacks the shared OME-Zarrs, writes a TIFF pyramid and a time series, and reads each as
indexing does. The planes' bytes are those of the chunk files, or pages, that hold them.
"""

import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile

from hooke.embed.base import Raster
from hooke.pixels import Limits
from hooke.pixels.files import CountedFiles, FolderFiles
from hooke.pixels.ome_zarr import images_in, read_zarr
from hooke.pixels.tiff import read_tiff
from hooke.settings import read_settings

_TIMES = 5
_LIMITS = Limits()


class CountedBytes(BytesIO):
    """A file that counts what is read of it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and count."""
        found = super().read(size)
        self.total += len(found)
        return found

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]  # any writable buffer
        """Read into a buffer, and count."""
        count = super().readinto(buffer)
        self.total += count
        return count


def zarr_lines(folder: Path) -> Iterator[str]:
    """A line for each image of the OME-Zarrs in a folder."""
    for root in sorted(folder.glob("*.zarr")):
        for place in images_in(FolderFiles(root)):
            group = root / place.path
            files = CountedFiles(FolderFiles(group), _LIMITS.bytes)
            read_zarr(files, "", _LIMITS)
            planes = sum((group / key).stat().st_size for key in set(files.keys) if key[-1].isdigit())
            yield _line(f"{root.name}/{place.path}", files.bytes_read, planes, _of(group))


def _of(group: Path) -> Callable[[], Raster]:
    return lambda: read_zarr(FolderFiles(group), "", _LIMITS)


def tiff_lines() -> Iterator[str]:
    """A line for a pyramid of three levels and one for a series of 21 times."""
    pixels = (np.random.default_rng(0).random((3, 2048, 2048)) ** 3 * 65535).astype(np.uint16)
    levels = [pixels[:, :: 2**n, :: 2**n] for n in range(4)]
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, ome=True) as tif:
        tif.write(levels[0], subifds=3, tile=(256, 256), metadata={"axes": "CYX"})
        for level in levels[1:]:
            tif.write(level, subfiletype=1, tile=(256, 256), metadata=None)
    yield _tiff_line("OME-TIFF, 4 levels of 3 x 2048 x 2048", buffer.getvalue(), levels[-1].nbytes)
    series, buffer = pixels[0, :512, :512], BytesIO()
    tifffile.imwrite(buffer, np.repeat(series[None], 21, axis=0), imagej=True, metadata={"axes": "TYX"})
    yield _tiff_line("ImageJ, 21 times of 512 x 512", buffer.getvalue(), 3 * series.nbytes)


def _tiff_line(name: str, content: bytes, planes: int) -> str:
    file = CountedBytes(content)
    read_tiff(file, _LIMITS)
    return _line(name, file.total, planes, lambda: read_tiff(BytesIO(content), _LIMITS))


def _line(name: str, read: int, planes: int, reading: Callable[[], Raster]) -> str:
    seconds = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        reading()
        seconds.append(time.perf_counter() - start)
    return f"{name:<45} {read:>9,} bytes read, {read / planes:5.3f} x the planes, {min(seconds) * 1e3:6.1f} ms"


def main() -> None:
    """Print a line for each image."""
    with tempfile.TemporaryDirectory() as folder:
        for packed in sorted((read_settings().shared_data / "images" / "ome-zarr").glob("*.tar.gz")):
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")
        for line in (*zarr_lines(Path(folder)), *tiff_lines()):
            print(line)


if __name__ == "__main__":
    main()

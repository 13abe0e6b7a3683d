"""What a run costs beside its model: images a second of the whole pipeline over those of the bare model, and more.

`python -m benchmarks.embedding` prints, each from one run on this machine:
- overlap: index runs over local OME-Zarrs (decode, project, normalise, resize, thumbnail, forward, write, commit)
  against `model(x)` over as many pictures, in as many threads and the same batches, before and after; the median of
  several; with random weights, which cost what others do. Both by the clock and by processor time, that of the
  processes that read included, but for their start: on a busy machine only the second says much.
- presets: processor time of a forward pass of each over that of `fast`.
- memory: what a run remembers of images that it need not read.
- kills: runs killed at random, and whether the index becomes that of an undisturbed run.
`python -m benchmarks.embedding overlap kills` prints those alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image as Picture
from safetensors.torch import save_file

from hooke.embed.preprocess import pictures
from hooke.embed.presets import PRESETS, network_name
from hooke.index import IndexDirectory
from hooke.model import Image, Pixels, Study
from hooke.pixels import Limits, read_raster, shared_file_reader
from hooke.store.sqlite import SqliteStore
from hooke.vectors.workers import usable_threads
from indexer.embedding import MORE_LOADERS, Asked, EmbeddingRun, Model, Threads
from indexer.pipeline import IndexJob, run
from indexer.report import peak_memory_bytes, silent
from tests.hooke.zarrs import write_image
from tests.indexer.archives import held

ROUNDS = 3
IMAGES = 128  # the first read and the last write overlap with nothing: in a run of few they weigh more
CHANNELS = 2
MODELS = (("vit_small_patch16_224", 0.9), ("tf_efficientnet_lite0", 0.75))
RECORDS = 200_000
KILLS = 20
BATCH = 2


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor, this process's and its children's."""
    wall, cpu, before = time.perf_counter(), time.process_time(), children_seconds()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu + children_seconds() - before


def children_seconds() -> float:
    """Processor time of the children that live, as Linux tells it (proc(5): utime and stime, in ticks)."""
    listed = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    stats = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for each in listed for child in each]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def write_archive(folder: Path, seed: int) -> None:
    """OME-Zarrs of two 16-bit channels, 1,024 x 1,024, in three levels of chunks of 256 x 256."""
    random = np.random.default_rng(seed)
    for number in range(IMAGES):
        shapes = random.random((CHANNELS, 64, 64)).repeat(16, axis=1).repeat(16, axis=2) ** 3
        pixels = (shapes * 40_000 + random.integers(0, 2_000, (CHANNELS, 1024, 1024))).astype(np.uint16)
        levels = [pixels[:, :: 2**n, :: 2**n] for n in range(3)]
        write_image(folder / f"field{number:03}.zarr", levels, "cyx", chunks=(1, 256, 256))


def bare(model: torch.nn.Module, pictures: int, threads: int) -> None:
    """The model alone over so many pictures."""
    batch = torch.rand(BATCH, 3, 224, 224)

    @torch.inference_mode()
    def forward(_: int) -> None:
        model(batch)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(forward, range(pictures // BATCH)))


def overlap(folder: Path) -> Iterator[str]:
    archives, threads = [folder / f"archive{number}" for number in range(ROUNDS)], usable_threads()
    for number, archive in enumerate(archives):
        write_archive(archive, number)
    first = read_raster(next(archives[0].iterdir()), Limits())
    seen = IMAGES * len(list(pictures(first)))
    for name, target in MODELS:
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False, num_classes=0).eval()
        weights = folder / f"{name}.safetensors"
        save_file(network.state_dict(), weights)
        torch.set_num_threads(1)
        bare(network, 20, threads)
        found = []
        for archive in archives:
            index = IndexDirectory(folder / f"{name}-{archive.name}")
            before = timed(lambda model=network: bare(model, seen, threads))  # type: ignore[misc]
            whole = pipeline_seconds(archive, index, Model(name, weights))
            after = timed(lambda model=network: bare(model, seen, threads))  # type: ignore[misc]
            found.append(((before[0] + after[0]) / 2 / whole[0], (before[1] + after[1]) / 2 / whole[1]))
        clock, processor = (statistics.median(ratios) for ratios in zip(*found, strict=True))
        yield (
            f"{name}: images/s over the bare model's: {processor:.2f} of processor time, {clock:.2f} by the clock "
            f"(target {target}); processor time of each run: {', '.join(f'{ratio:.2f}' for _, ratio in found)}"
        )


def pipeline_seconds(archive: Path, index: IndexDirectory, model: Model) -> tuple[float, float]:
    """As `timed`, of an embedding run."""
    run(IndexJob((archive,), index.root))
    with closing(SqliteStore(index.metadata)) as store, store.write() as writer:
        embedding = EmbeddingRun(index, store, model, print, silent)
        embedding.load()
        warm_up(next(archive.iterdir()))
        return timed(lambda: embedding.run(writer))


def warm_up(image: Path) -> None:
    """Start a process that reads, and have it load its libraries."""
    shared_file_reader(usable_threads() + MORE_LOADERS).read_changed(str(image), Limits(), None)


def presets(_: Path) -> Iterator[str]:
    torch.set_num_threads(1)
    first = 0.0
    for preset in PRESETS:
        plain = network_name(preset.model)
        network = timm.create_model(plain, pretrained=False, num_classes=0, **preset.arguments).eval()
        bare(network, 4, 1)
        seconds = min(timed(lambda model=network: bare(model, 8, 1))[1] for _ in range(5)) / 8  # type: ignore[misc]
        first = first or seconds
        parameters = sum(each.numel() for each in network.parameters()) / 1e6
        cost = f"{seconds * 1e3:.0f} ms of processor time a picture, {seconds / first:.1f} x"
        yield f"{preset.name}: {cost}; {parameters:.1f} M parameters"


class Unread(Threads):
    """Threads that find every image as it was."""

    def _load(self, reader: object, asked: Asked) -> None:
        return None


def memory(folder: Path) -> Iterator[str]:
    index = IndexDirectory(folder)
    folder.mkdir(exist_ok=True)
    with closing(SqliteStore(index.metadata)) as store, store.write() as writer:
        writer.put_studies([Study("s", "s")])
        paths = (
            f"/data/archive/plates/BR0011{n // 3456:04}/r{n % 16:02}c{n % 24:02}f{n:07}.tiff" for n in range(RECORDS)
        )
        writer.put_images(Image(f"s/{path[1:]}", "s", path, pixels=Pixels(path)) for path in paths)
        with store.read() as reader:
            writer.commit(reader.snapshot.manifest)
        work = EmbeddingRun(index, store, Model("fast"), print, silent, hands=Unread)
        work.load()
        before = peak_memory_bytes()
        tracemalloc.start()
        work.run(writer)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        with store.read() as reader:
            tracemalloc.start()
            listed = list(reader.images_with_pixels())
            former, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    mine, theirs = (size / 1e6 / (RECORDS / 1e5) for size in (most, former))
    yield (
        f"{len(listed):,} images: at most {mine:.1f} MB per 100,000 in a run, where a list of their paths takes "
        f"{theirs:.1f}; the process grew by {(peak_memory_bytes() - before) / 1e6:.0f} MB"
    )


def kills(folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    images, killed, calm, count = folder / "images", folder / "killed", folder / "calm", 360
    segment, batch = 16, 4
    images.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
        Picture.fromarray(pixels).save(images / f"field{number:03}.png")
    command = [
        sys.executable,
        "-m",
        "tests.indexer.killed",
        *map(str, (images, killed, calm, KILLS, 1, segment, batch)),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    lost = [int(embedded) - int(kept) for embedded, kept in (line.split() for line in lines)]
    embedded = [int(line.split()[0]) for line in lines]
    yield (
        f"{KILLS} kills: {'the same' if held(killed) == held(calm) else 'ANOTHER'} index as undisturbed; "
        f"{sum(done > 0 for done in embedded[:-1])} fell into the embedding; {sum(embedded)} images were embedded, "
        f"{count} had to be: in vain {sum(lost) / KILLS:.1f} a kill, {max(lost)} at most "
        f"(segments of {segment}, batches of {batch})"
    )


def main() -> None:
    parts = {"overlap": overlap, "presets": presets, "memory": memory, "kills": kills}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            for line in parts[name](Path(folder)):
                print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    main()

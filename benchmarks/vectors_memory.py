"""What searches cost and keep in memory where memory does not hold what they read.

`python -m benchmarks.vectors_memory make DIR [--rows 1000000]` writes clustered unit rows, their byte codes and trained
lists; `python -m benchmarks.vectors_memory ask DIR [--exact]` opens them and asks for the 10 nearest of held-out rows,
under whatever limit the shell has, such as that of a memory cgroup:

    mkdir /sys/fs/cgroup/memory/small; echo 320M > /sys/fs/cgroup/memory/small/memory.limit_in_bytes
    sh -c 'echo $$ > /sys/fs/cgroup/memory/small/cgroup.procs; exec python -m benchmarks.vectors_memory ask DIR'

It prints for each filter how the searches were answered, their times, and the bytes read from the disk for one; in the
end what is resident.
"""

import argparse
import re
import statistics
import time
from collections import Counter
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from benchmarks.vectors import make_rows
from hooke.vectors.base import Block
from hooke.vectors.columns import live_images
from hooke.vectors.segments import SegmentStore
from hooke.vectors.train import train
from hooke.views import Kind

_K = 10
_DIM = 384
_QUERIES = 100
_SHARES = (1.0, 0.5, 0.1, 0.01)
_BLOCK_ROWS = 250_000
_FINGERPRINT = "0" * 64


def make(folder: Path, rows: int) -> None:
    """Write the index and the held-out rows."""
    every = make_rows("clustered", rows + _QUERIES * len(_SHARES), _DIM)
    store = SegmentStore(folder / "vectors", _FINGERPRINT, most_bytes=0)
    names = []
    for start in range(0, rows, _BLOCK_ROWS):
        numbers = np.arange(start, min(rows, start + _BLOCK_ROWS), dtype=np.uint32)
        names.append(store.append(Block(every[numbers], numbers, numbers.astype(np.uint64))))
    np.save(folder / "queries.npy", every[rows:])
    (folder / "segments").write_text("\n".join(names))
    store.read(names).prepare()
    opened = store.open(names)
    trained, _ = train(names, opened, live_images(opened), lambda *_: None)
    store.save_trained(trained, Kind.WHOLE)


def ask(folder: Path, count: int, *, exact: bool) -> None:
    """Search, and print what that took."""
    names = (folder / "segments").read_text().split()
    queries = np.load(folder / "queries.npy")
    reader = SegmentStore(folder / "vectors", _FINGERPRINT, most_bytes=0).read(names)
    if exact:
        reader.prepare()
    images = len(reader.ordinals())
    for number, share in enumerate(_SHARES):
        allowed = BitMap(np.flatnonzero(np.random.default_rng(6).random(images) < share).astype(np.uint32))
        times, methods = [], Counter[str]()
        before = _read_bytes()
        # others for each filter: what one has read is in memory for the next
        for query in queries[number * _QUERIES :][:count]:
            start = time.perf_counter()
            found = reader.search(query[np.newaxis], _K, allowed=allowed, exact=exact)
            times.append((time.perf_counter() - start) * 1000)
            methods[found.method] += 1
        read = (_read_bytes() - before) / len(times) / 1e6
        how = ", ".join(f"{times_} by {method}" for method, times_ in methods.most_common())
        print(
            f"{share:5.0%}: {how}; p50 {statistics.median(times):.1f} ms, slowest {max(times):.0f}; {read:.2f} MB read"
        )
    print("resident:", ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in _resident(folder).items()))


def _read_bytes() -> int:
    return int(re.findall(r"read_bytes: (\d+)", Path("/proc/self/io").read_text())[0])


def _resident(folder: Path) -> dict[str, int]:
    """Resident bytes: of this process's own memory, and of the kinds of files of the index that it maps."""
    sizes = Counter[str]()
    name = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            file = Path(line.split(maxsplit=5)[5]) if len(line.split(maxsplit=5)) > 5 else Path()
            name = file.suffix or file.name if folder.resolve() in file.parents else "all else"
        elif line.startswith("Rss:"):
            sizes[name] += int(line.split()[1]) * 1024
    return dict(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "ask"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=_QUERIES)
    parser.add_argument("--exact", action="store_true", help="ask for the proved answer")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.step == "make":
        make(arguments.folder, arguments.rows)
    else:
        ask(arguments.folder, arguments.queries, exact=arguments.exact)


if __name__ == "__main__":
    main()

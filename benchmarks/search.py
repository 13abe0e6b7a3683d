"""The metadata half on everything the archives published: indexing it, opening it, and faceted queries.

`python -m benchmarks.search` indexes all crates, studies and tables with eight ontologies in one command, in a process
of its own, then opens the index and asks. `python -m benchmarks.search INDEX` asks an index that is there.
The ratios are measured over allowed: below 1 is good.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hooke.model import Level
from hooke.request import Filter, SearchRequest
from hooke.settings import read_settings
from search_api.engine import EmbedderChoice, Engine

ONTOLOGIES = (
    "fbbi.obo.gz",
    "ncbitaxon-taxslim.obo.gz",
    "cmpo.obo.gz",
    "cl-basic.obo.gz",
    "czi-json/UBERON-ontology-v2026-04-01.json.zst",
    "pato.obo.gz",
    "go-2013.obo.gz",
    "czi-json/EFO-ontology-v3.90.0.json.zst",
)
FACETS = ("organism", "imaging_method", "cell_line", "phenotype", "anatomy", "archive", "licence", "year", "dataset")
TEXTS = (
    *("", "Mammalia", "Fungi", "light microscopy", "electron microscopy", "fluorescence microscopy", "HeLa"),
    *("mouse brain", "mitosis", "nucleus DAPI", "zebrafish embryo", "siRNA", "p53", "cell cycle arrest"),
    *("high content screen", '"RNA interference"', "mito*", "yeast NOT pombe", "Drosophila OR Caenorhabditis"),
    *("organism:10090", "FBbi:00000246", "year:[2015 TO 2019]", "actin cytoskeleton", "plant root"),
)
FILTERS = ((), (Filter("organism", ("Mammalia",)),), (Filter("imaging_method", ("fluorescence microscopy",)),))


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and what is allowed of it."""

    name: str
    value: float
    allowed: float
    unit: str

    def __str__(self) -> str:
        ratio = self.value / self.allowed
        return f"{self.name:44} {self.value:9.2f} {self.unit:3} of {self.allowed:7.0f} {self.unit:3} {ratio:6.2f}"


def command(directory: Path, data: Path) -> list[str]:
    """The one command that indexes everything."""
    words = [sys.executable, "-m", "hooke", "index", "--index", str(directory), "--no-embed", "--json"]
    words += [str(data / "metadata" / name) for name in ("gide", "idr")]
    return [*words, *(word for name in ONTOLOGIES for word in ("--ontology", str(data / "ontologies" / name)))]


def measure_indexing(directory: Path, data: Path) -> list[Measured]:
    started = time.perf_counter()
    done = subprocess.run(command(directory, data), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, report = time.perf_counter() - started, json.loads(done.stdout)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 2**20
    print(
        f"{report['studies']} studies, {report['images']} images, {report['mentions']} mentions, {size:.0f} MB on disk"
    )
    return [
        Measured("index everything", seconds, 120, "s"),
        Measured("  peak memory", report["peak_memory_bytes"] / 1e6, 2000, "MB"),
    ]


def measure_opening(directory: Path) -> Measured:
    """Open and answer the first query, five times in one process: nothing is kept between engines."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        with closing(Engine(directory, EmbedderChoice())) as engine:
            engine.search(SearchRequest(Level.IMAGE, "fluorescence microscopy", facets=FACETS[:2]))
        seconds.append(time.perf_counter() - started)
    print(f"open and first query: first {seconds[0]:.3f} s, then " + ", ".join(f"{s:.3f}" for s in seconds[1:]))
    return Measured("open an index and answer the first query", statistics.median(seconds), 1, "s")


def measure_queries(directory: Path, level: Level) -> list[Measured]:
    """Every text with every filter, each asked once with two facets, after one round that warms up."""
    requests = [
        SearchRequest(level, text, chosen, facets=(FACETS[n % len(FACETS)], FACETS[(n + 1) % len(FACETS)]))
        for n, text in enumerate(TEXTS)
        for chosen in FILTERS
    ]
    with closing(Engine(directory, EmbedderChoice())) as engine:
        first = [_milliseconds(engine, request) for request in requests]
        again = sorted(_milliseconds(engine, request) for request in requests)
    print(
        f"{level}: {len(requests)} queries, when first asked p50 {statistics.median(first):.1f} ms, "
        f"p95 {_p95(first):.1f} ms"
    )
    return [
        Measured(f"faceted query, {level} level, p50", statistics.median(again), 50, "ms"),
        Measured(f"faceted query, {level} level, p50, first time", statistics.median(first), 50, "ms"),
        Measured(f"faceted query, {level} level, p95", _p95(again), 50, "ms"),
    ]


def _milliseconds(engine: Engine, request: SearchRequest) -> float:
    started = time.perf_counter()
    engine.search(request)
    return 1e3 * (time.perf_counter() - started)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def main() -> None:
    data = read_settings().shared_data.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        directory = given or Path(scratch) / "index"
        figures = [] if given else measure_indexing(directory, data)
        figures.append(measure_opening(directory))
        for level in Level:
            figures += measure_queries(directory, level)
    print(f"{'':44} {'measured':>13}    {'allowed':>7}      ratio")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()

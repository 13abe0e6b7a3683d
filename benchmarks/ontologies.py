"""Seconds to load each ontology of the shared data, to compile a snapshot, and to open and ask it.

Run: python -m benchmarks.ontologies
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hooke.settings import read_settings
from ontologies.catalogue import Catalogue
from ontologies.load import load
from ontologies.snapshot import add_ontologies


def main() -> None:
    folder = read_settings().shared_data / "ontologies"
    files = sorted([*folder.rglob("*.gz"), *folder.rglob("*.zst")])
    if not files:
        sys.exit(f"no ontologies under {folder}; set HOOKE_SHARED_DATA")
    for file in files:
        started = time.perf_counter()
        ontology = load(file)
        seconds = time.perf_counter() - started
        print(f"{seconds:6.2f} s  {len(ontology.terms):7} terms {len(ontology.edges):7} edges  {file.name}")
    with tempfile.TemporaryDirectory() as root:
        _measure_snapshot(files, Path(root))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f} MB  peak memory")


def _measure_snapshot(files: list[Path], root: Path) -> None:
    started = time.perf_counter()
    version = add_ontologies(files, root)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{time.perf_counter() - started:6.2f} s  load and compile all into one snapshot of {size / 2**20:.0f} MB")
    print(f"{1e3 * _median(lambda: Catalogue.open(root, version).close()):6.2f} ms open it")
    catalogue = Catalogue.open(root, version)
    started = time.perf_counter()
    mammals = catalogue.descendants("NCBITaxon:40674")
    print(f"{1e3 * (time.perf_counter() - started):6.2f} ms descendants of Mammalia, {len(mammals)}")
    print(f"{1e6 * _median(lambda: catalogue.find('brain')):6.1f} us find a phrase that names a term")
    print(f"{1e6 * _median(lambda: catalogue.find('images of the')):6.1f} us find a phrase that names none")
    print(f"{1e6 * _median(lambda: catalogue.resolve('fbbi:246')):6.1f} us resolve an id")
    catalogue.suggest("warm up")
    print(f"{1e3 * _median(lambda: catalogue.suggest('flourescence microscopy'), 5):6.1f} ms suggest a spelling")


def _median(call: Callable[[], object], times: int = 101) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[times // 2]


if __name__ == "__main__":
    main()

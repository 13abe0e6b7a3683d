"""Seconds to load each ontology of the shared data, to compile a snapshot, and to open and ask it.

Run: python -m benchmarks.ontologies
With --ncbitaxon [TERMS] instead: a synthetic file of the whole NCBI taxonomy's shape, compiled, opened and asked, each
part in a process of its own, whose peak memory is told.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.taxonomy import write_taxonomy
from hooke.settings import read_settings
from indexer.report import peak_memory_bytes
from ontologies.catalogue import Catalogue
from ontologies.load import load
from ontologies.snapshot import add_ontologies, latest_version

_TAXA = 2_500_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ncbitaxon", metavar="TERMS", type=int, nargs="?", const=_TAXA)
    terms = parser.parse_args().ncbitaxon
    if terms:
        _measure_taxonomy(terms)
    else:
        _measure_shared()


def _measure_shared() -> None:
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
    _print_peak("load and compile all")


def _measure_taxonomy(terms: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder) / "ncbitaxon.obo", Path(folder) / "ontologies"
        write_taxonomy(file, terms)
        print(f"{file.stat().st_size / 1e6:6.0f} MB  {terms:,} terms as OBO")
        for part in (_compile, _ask, _suggest, _name_all):
            # spawned: a forked process begins with the memory of this one
            process = multiprocessing.get_context("spawn").Process(target=part, args=(file, root, terms))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{part.__name__} failed")


def _compile(file: Path, root: Path, _: int) -> None:
    started = time.perf_counter()

    def progress(what: str, *_: int) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  until {Path(what).name}")

    add_ontologies([file], root, progress=progress)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{time.perf_counter() - started:6.1f} s  into a snapshot of {size / 1e6:.0f} MB")
    _print_peak("compile")


def _ask(_: Path, root: Path, terms: int) -> None:
    version = latest_version(root)
    seconds = _median(lambda: Catalogue.open(root, version).close())
    catalogue = Catalogue.open(root, version)
    print(f"{1e3 * seconds:6.2f} ms open it")
    _print_peak("that")
    label = catalogue.label(f"NCBITaxon:{terms // 2}")
    ids = (f"taxon:{number}" for number in range(2, terms, terms // 500))
    print(f"{1e6 * _median(lambda: catalogue.find(label)):6.1f} us find a name")
    print(f"{1e6 * _median(lambda: catalogue.resolve(next(ids))):6.1f} us resolve an id, another each time")
    print(f"{1e6 * _median(lambda: catalogue.ancestors(next(ids))):6.1f} us ancestors of a term, another each time")
    some = frozenset(f"NCBITaxon:{number}" for number in range(2, terms, terms // 2_000))
    catalogue.descendants_among("NCBITaxon:2", some)
    started = time.perf_counter()
    below = catalogue.descendants_among("NCBITaxon:1", some)
    print(f"{_milliseconds(started)} which of {len(some):,} terms are below the root, {len(below):,}")
    _print_peak("all this")


def _suggest(_: Path, root: Path, terms: int) -> None:
    catalogue = Catalogue.open(root, latest_version(root))
    for number in (2, terms // 3, terms // 2, terms - 1):
        label = catalogue.label(f"NCBITaxon:{number}")
        text, turned = f"{label[:4]}{label[5]}{label[4]}{label[6:]}", " ".join(reversed(label.split()))
        started = time.perf_counter()
        found = catalogue.suggest(text)
        print(f"{_milliseconds(started)} {text!r} may be {', '.join(match.label for match in found)}")
        started = time.perf_counter()
        found = catalogue.resembling(turned, prefixes=("NCBITaxon",))
        print(f"{_milliseconds(started)} {turned!r} resembles {', '.join(match.label for match in found)}")
    _print_peak("suggesting, mapped files among it")


def _name_all(_: Path, root: Path, terms: int) -> None:
    catalogue = Catalogue.open(root, latest_version(root))
    started = time.perf_counter()
    named = len(catalogue.descendants("NCBITaxon:1"))
    print(f"{time.perf_counter() - started:6.1f} s  name all {named:,} descendants of the root")
    _print_peak("that")


def _milliseconds(started: float) -> str:
    return f"{1e3 * (time.perf_counter() - started):6.1f} ms"


def _print_peak(what: str) -> None:
    print(f"{peak_memory_bytes() / 1e6:6.0f} MB  peak memory of {what}")


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

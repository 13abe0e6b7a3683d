"""The metadata half at a million images: faceted queries, words, suggestions, tree levels, opening, indexing, size.

`python -m benchmarks.metadata --index FOLDER [--images 1000000]` indexes everything the archives published, repeats its
rows with other terms until there are so many images, indexes those through the annotator, and asks both indexes. They
are kept in FOLDER and used again, with how long they took, unless their layout is another than this Hooke's.
Every query is asked once, after the columns it counts were read: none is answered from memory.
The ratios are measured over allowed: below 1 is good. They are for two cores that do nothing else; the load is shown.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from math import nan
from pathlib import Path
from typing import TypeVar, cast

from benchmarks.search import Measured, command
from hooke.collector import without_collector
from hooke.errors import CorruptIndex
from hooke.fields import ONTOLOGY_FIELDS
from hooke.index import existing_index, new_or_existing_index
from hooke.model import Dataset, Image, Level, Manifest, Study, Value
from hooke.request import CompletionRequest, FacetRequest, Filter, SearchRequest
from hooke.settings import DEFAULT_CLUSTER, read_settings
from hooke.store.choose import open_store
from indexer.annotate import Annotator
from indexer.merge import as_submitted
from indexer.pipeline import COMMIT_IMAGES
from indexer.report import peak_memory_bytes
from ontologies.catalogue import Catalogue
from search_api.engine import EmbedderChoice, Engine

T = TypeVar("T")
Waited = tuple[float, float]
"""Milliseconds by the clock, and of processor time, of all threads."""
ONTOLOGY_FACETS = ("organism", "imaging_method", "cell_line", "phenotype", "anatomy")
FACETS = (*ONTOLOGY_FACETS, "archive", "licence", "year", "dataset", "channels")
KEEP = (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0)
"""Shares of the images that filters keep."""
FILTERS_OF_A_SHARE = 12
WORDS = ("cell", "image", "screen", "microscopy", "protein", "human", "data", "phenotype", "gene", "the")
TYPED = (
    "mou",
    "homo s",
    "fluor",
    "light sh",
    "hela",
    "mitot",
    "nucl",
    "brai",
    "actin",
    "wild",
    "dapi",
    "sirna",
    "s-bi",
)
OPENING = ("cold open", "  first page", "  first ten facets")
_SWAPPED = 0.5
"""The share of a copied study's terms that are others than in the original."""


def real_index(folder: Path) -> Path:
    """The index of everything the archives published, made when it is not there."""
    if not usable(folder / "real"):
        shutil.rmtree(folder / "real", ignore_errors=True)
        building = folder / "real-building"
        shutil.rmtree(building, ignore_errors=True)
        subprocess.run(command(building, read_settings().shared_data.resolve()), stdout=subprocess.DEVNULL, check=True)
        building.rename(folder / "real")
    return folder / "real"


def usable(directory: Path) -> bool:
    """Whether there is an index that this Hooke reads."""
    if not directory.is_dir():
        return False
    try:
        open_store(existing_index(directory), DEFAULT_CLUSTER).close()
    except CorruptIndex as exc:
        print(f"made again: {exc}")
        return False
    return True


class Rows:
    """The studies and images of an index as they were submitted, each distinct value one object."""

    def __init__(self, directory: Path) -> None:
        self._values: dict[Value, Value] = {}
        self._uses: Counter[int] = Counter()
        with closing(open_store(existing_index(directory), DEFAULT_CLUSTER)) as store, store.read() as reader:
            held = [stored.record for level in Level for stored in reader.stored(level)]
        studies = [as_submitted(record) for record in held if isinstance(record, Study)]
        self.studies = {study.id: self._lean(study) for study in studies}
        self.images: defaultdict[str, list[Image]] = defaultdict(list)
        for image in held:
            if isinstance(image, Image):
                values = tuple(map(self._one, image.values))
                self._uses.update(map(id, values))
                self.images[image.study_id].append(replace(image, values=values, pixels=None))
        self._terms: defaultdict[str, list[Value]] = defaultdict(list)
        for value in self._values.values():
            self._terms[value.field].append(value)

    def _one(self, value: Value) -> Value:
        submitted = replace(value, mentions=())
        return self._values.setdefault(submitted, submitted)

    def _lean(self, study: Study) -> Study:
        datasets = tuple(Dataset(d.name, tuple(map(self._one, d.values))) for d in study.datasets)
        return replace(study, values=tuple(map(self._one, study.values)), datasets=datasets)

    def repeated(self, count: int) -> Iterator[tuple[Study, Iterator[Image]]]:
        """Studies with their images until there are so many: the real ones, then copies with other terms.

        The same ones at every call; images are made as they are read.
        """
        left = count
        for copy in range(sys.maxsize):
            for study_id, images in self.images.items():
                yield self._copied(self.studies[study_id], images[:left], copy)
                left -= len(images)
                if left <= 0:
                    return

    def _copied(self, study: Study, images: Sequence[Image], copy: int) -> tuple[Study, Iterator[Image]]:
        if copy == 0:
            return study, iter(images)
        chance, known = random.Random(f"{study.id} {copy}"), dict[int, Value]()

        def other(value: Value) -> Value:
            if id(value) not in known:
                known[id(value)] = self._varied(value, copy, chance)
            return known[id(value)]

        name = f"{study.id}-{copy}"
        datasets = tuple(Dataset(d.name, tuple(map(other, d.values))) for d in study.datasets)
        twin = Study(name, study.title, tuple(map(other, study.values)), datasets, study.origins)
        return twin, (
            Image(name + i.id.removeprefix(study.id), name, i.title, i.dataset, tuple(map(other, i.values)))
            for i in images
        )

    def _varied(self, value: Value, copy: int, chance: random.Random) -> Value:
        if value.field in ONTOLOGY_FIELDS:
            return chance.choice(self._terms[value.field]) if chance.random() < _SWAPPED else value
        # a file's name, a well's barcode: in a real row of its own it would be another
        return replace(value, text=f"{value.text} {copy}") if self._uses[id(value)] == 1 else value


class Making:
    """Passes rows on, and adds up the seconds that it takes to make them, which are not indexing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, rows: Iterable[T]) -> Iterator[T]:
        """The rows, as they are."""
        iterator, end = iter(rows), object()
        while True:
            started = time.perf_counter()
            row = next(iterator, end)
            self.seconds += time.perf_counter() - started
            if row is end:
                return
            yield cast(T, row)


def index_rows(source: Path, directory: Path, count: int) -> None:
    """Index so many repeated images as the pipeline does, from values as submitted; print what that took."""
    rows = Rows(source)
    shutil.rmtree(directory, ignore_errors=True)
    index = new_or_existing_index(directory)
    shutil.copytree(existing_index(source).ontologies, index.ontologies)
    with closing(open_store(existing_index(source), DEFAULT_CLUSTER)) as store, store.read() as reader:
        version = reader.snapshot.manifest.ontologies
    before, making = peak_memory_bytes(), Making()
    started, worked = time.perf_counter(), time.process_time()
    with closing(Catalogue.open(index.ontologies, version)) as catalogue, without_collector():
        annotator = Annotator(catalogue)
        with closing(open_store(index, DEFAULT_CLUSTER)) as store, store.write() as writer:
            pending = 0
            writer.put_studies([annotator.study(study) for study, _ in making(rows.repeated(count))])
            for study, images in making(rows.repeated(count)):
                waiting = map(annotator.image, making(images))
                while batch := list(islice(waiting, COMMIT_IMAGES - pending)):
                    writer.put_images(batch, part=study.id)
                    pending += len(batch)
                    if pending >= COMMIT_IMAGES:
                        writer.commit(Manifest(version))
                        pending = 0
            writer.commit(Manifest(version))
    figures = {
        "seconds": time.perf_counter() - started - making.seconds,
        "worked": time.process_time() - worked - making.seconds,
        "making": making.seconds,
        "load": os.getloadavg()[0],
        "before": before,
        "peak": peak_memory_bytes(),
    }
    (directory / "indexed.json").write_text(json.dumps(figures), encoding="utf-8")


def indexing(source: Path, directory: Path, count: int) -> Iterator[Measured]:
    """In a process of its own, so that its memory is its own; kept, and not done again."""
    if not ((directory / "indexed.json").is_file() and usable(directory)):
        program = [sys.executable, "-m", "benchmarks.metadata", "--only-index", str(source), str(directory), str(count)]
        subprocess.run(program, check=True)
    figures = json.loads((directory / "indexed.json").read_text(encoding="utf-8"))
    print(
        f"{count:,} images were indexed in {figures['seconds']:,.0f} s under a load of {figures.get('load', nan):.1f}, "
        f"{figures['worked']:,.0f} s of processor time; {figures['before'] / 1e6:,.0f} MB of memory are the rows; "
        f"making these took {figures.get('making', nan):,.0f} s, not counted"
    )
    for name, seconds in (("", figures["seconds"]), (" of work", figures["worked"])):
        yield Measured(f"indexing 1,000 images{name} ({count / seconds:,.0f}/s)", 1000 * seconds / count, 0.25, "s")
    yield Measured("  peak memory with the repeated rows", figures["peak"] / 1e6, 8000, "MB")


def opening(directory: Path) -> Iterator[Measured]:
    """A new process: open, the first query, the first with its ten facets, and what memory that took."""
    program = [sys.executable, "-m", "benchmarks.metadata", "--only-open", str(directory)]
    printed = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    *times, peak = json.loads(printed)
    for name, (waited, worked), allowed in zip(OPENING, times, (500, 1000, 5000), strict=True):
        yield Measured(name, waited, allowed, "ms")
        yield Measured(f"{name}, of work", worked, allowed, "ms")
    yield Measured("  peak memory of that process", peak, 2000, "MB")


def open_cold(directory: Path) -> None:
    started, worked = time.perf_counter(), time.process_time()
    with closing(Engine(directory, EmbedderChoice())) as engine:
        engine.warm_up()
        opened = 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - worked)
        asked = [SearchRequest(Level.IMAGE, "mouse", facets=facets) for facets in ((), FACETS)]
        print(json.dumps([opened, *milliseconds(engine.search, asked), peak_memory_bytes() / 1e6]))


def filters_by_share(engine: Engine, total: int) -> dict[float, list[Filter]]:
    """For each share, choices in a field that keep about so many images: values alone, and what is left without one."""
    counted = engine.search(SearchRequest(Level.IMAGE, facets=(*FACETS, "study_type", "sample_type"))).facets
    kept = [
        (abs(count) / total, Filter(field, (value.id,), negate=negate))
        for field, values in counted.items()
        for value in values
        for count, negate in ((value.count, False), (total - value.count, True))
    ]
    return {
        share: [choice for _, choice in sorted(kept, key=lambda found: abs(found[0] / share - 1))[:FILTERS_OF_A_SHARE]]
        for share in KEEP
    }


def faceted(engine: Engine, total: int) -> Iterator[Measured]:
    """Ten facets with closure counts and the first page, for filters of every share."""
    everything: list[Waited] = []
    for share, filters in filters_by_share(engine, total).items():
        asked = [SearchRequest(Level.IMAGE, filters=(f,), facets=FACETS, facet_limit=100) for f in filters]
        times = list(milliseconds(engine.search, asked))
        everything += times
        print(f"  a filter that keeps about {share:6.1%}: p50 {middle(times):6.1f} ms, of work {work(times):6.1f} ms")
    yield from figures_of("ten facets and a page", everything, 40, 120)


def words(engine: Engine) -> Iterator[Measured]:
    """Common words, ranked, each asked once."""
    yield from figures_of(
        "a common word ranked",
        list(milliseconds(engine.search, [SearchRequest(Level.IMAGE, w) for w in WORDS])),
        60,
        60,
    )


def levels(engine: Engine) -> Iterator[Measured]:
    """The top of each ontology facet and the children of its first values, with and without studies."""
    for studies, allowed in ((False, 40), (True, 200)):
        search = SearchRequest(Level.IMAGE, "microscopy", facet_limit=100, count_studies=studies)
        asked = [FacetRequest(field, "", search) for field in ONTOLOGY_FACETS]
        asked += [FacetRequest(r.name, node.id, search) for r in asked for node in engine.facet(r).values[:4]]
        times = list(milliseconds(engine.facet, asked))
        yield from figures_of(f"a tree level{', with studies' * studies}", times, allowed, 2 * allowed)


def typing(engine: Engine) -> Iterator[Measured]:
    """Beginnings of words, each once, after the first keystroke."""
    started = time.process_time()
    engine.complete(CompletionRequest("m", Level.IMAGE))
    print(f"  suggestions are made once in {time.process_time() - started:.1f} s of work")
    times = list(milliseconds(engine.complete, [CompletionRequest(text, Level.IMAGE) for text in TYPED]))
    yield from figures_of("autocomplete", times, 10, 20)


def figures_of(name: str, times: Sequence[Waited], p50: float, p95: float) -> Iterator[Measured]:
    """As waited, and the work alone, which others on the machine stretch less."""
    slow = sorted(times)[min(len(times) - 1, int(0.95 * len(times)))][0]
    yield Measured(f"{name}, p50", middle(times), p50, "ms")
    yield Measured(f"{name}, p50 of work", work(times), p50, "ms")
    yield Measured(f"{name}, p95", slow, p95, "ms")
    yield Measured(f"{name}, p95 of work", sorted(w for _, w in times)[int(0.95 * (len(times) - 1))], p95, "ms")


def middle(times: Sequence[Waited]) -> float:
    return statistics.median(waited for waited, _ in times)


def work(times: Sequence[Waited]) -> float:
    return statistics.median(worked for _, worked in times)


def milliseconds(ask: Callable[[T], object], requests: Iterable[T]) -> Iterator[Waited]:
    for request in requests:
        started, worked = time.perf_counter(), time.process_time()
        ask(request)
        yield 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="where the indexes are kept")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--only-index", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only-open", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_index:
        source, directory, count = arguments.only_index
        index_rows(Path(source), Path(directory), int(count))
    elif arguments.only_open:
        open_cold(arguments.only_open)
    elif arguments.index:
        arguments.index.mkdir(parents=True, exist_ok=True)
        measure(arguments.index, arguments.images)
    else:
        parser.error("--index is needed")


def measure(folder: Path, count: int) -> None:
    source, directory = real_index(folder), folder / f"images-{count}"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    figures = list(indexing(source, directory, count))
    for name, index in (("the real index", source), (f"{count:,} images", directory)):
        print(f"{name}:")
        told = list(asking(index))
        print("\n".join(map(str, told)))
    figures.append(Measured("peak memory of the asking process", peak_memory_bytes() / 1e6, 4000, "MB"))
    print(f"load {os.getloadavg()[0]:.1f} after")
    print("\n".join(map(str, figures)))


def asking(directory: Path) -> Iterator[Measured]:
    """The size of an index, and every question."""
    yield from opening(directory)
    with closing(Engine(directory, EmbedderChoice())) as engine:
        engine.search(SearchRequest(Level.IMAGE, "nothingatall", facets=FACETS))
        studies, images = (engine.search(SearchRequest(level, limit=1)).total for level in Level)
        size = (directory / "metadata.sqlite").stat().st_size
        yield Measured(f"bytes a record, of {studies + images:,}", size / (studies + images), 1024, "B")
        yield from faceted(engine, images)
        yield from words(engine)
        yield from levels(engine)
        yield from typing(engine)


if __name__ == "__main__":
    main()

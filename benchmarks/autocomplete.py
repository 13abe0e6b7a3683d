"""Autocomplete on everything the archives published: how long a keystroke waits, and what the structure takes.

`python -m benchmarks.autocomplete` indexes all crates, studies and tables as `benchmarks.search` does, then types 200
names of terms, studies and values letter by letter. `python -m benchmarks.autocomplete INDEX` asks an index that is
there.
The ratios are measured over allowed: below 1 is good.
"""

import gc
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.search import Measured, command
from hooke.index import existing_index
from hooke.model import Level
from hooke.request import CompletionRequest
from hooke.settings import DEFAULT_CLUSTER, read_settings
from hooke.store.choose import open_store
from indexer.report import peak_memory_bytes
from ontologies.catalogue import Catalogue
from search_api.engine import EmbedderChoice, Engine
from search_api.engine.autocomplete import Suggestions, make_suggestions

NAMES = 200
_SHORTEST = 3


def measure_structure(directory: Path, level: Level) -> tuple[Suggestions, list[Measured]]:
    """Made once as the first keystroke makes it, and again with every allocation traced."""
    index = existing_index(directory)
    with closing(open_store(index, DEFAULT_CLUSTER)) as store, store.read() as reader:
        catalogue = Catalogue.open(index.ontologies, reader.snapshot.manifest.ontologies)
        started, worked, grown = time.perf_counter(), time.process_time(), peak_memory_bytes()
        made = make_suggestions(level, None, reader, catalogue)
        seconds, worked, grown = (
            time.perf_counter() - started,
            time.process_time() - worked,
            peak_memory_bytes() - grown,
        )
        gc.collect()
        tracemalloc.start()
        traced = make_suggestions(level, None, reader, catalogue)
        gc.collect()
        size, peak = (amount / 1e6 for amount in tracemalloc.get_traced_memory())
        tracemalloc.stop()
        catalogue.close()
    print(f"{level}: {len(made):,} suggestions by {len(traced.names):,} names, made in {worked:.1f} s of one core")
    print(f"  the process grew by {grown / 1e6:.0f} MB with the store's columns; {peak:.0f} MB while it is made again")
    return made, [
        Measured(f"make suggestions, {level} level", seconds, 10, "s"),
        Measured(f"  memory, {level} level", size, 100, "MB"),
    ]


def measure_typing(directory: Path, level: Level, names: Sequence[str]) -> list[Measured]:
    """Every prefix of every name, from the third letter on, once each."""
    with closing(Engine(directory, EmbedderChoice())) as engine:
        engine.complete(CompletionRequest("warm", level))
        waits = sorted(_milliseconds(engine, name[:end], level) for name in names for end in _ends(name))
        single = sorted(_milliseconds(engine, letter, level) for letter in "abcdefghijklmnopqrstuvwxyz0123456789")
    print(
        f"{level}: {len(waits):,} prefixes of {len(names)} names, e.g. {', '.join(names[:4])}; "
        f"slowest {waits[-1]:.1f} ms"
    )
    return [
        Measured(f"a keystroke, {level} level, p50", statistics.median(waits), 10, "ms"),
        Measured(f"a keystroke, {level} level, p95", waits[int(0.95 * len(waits))], 10, "ms"),
        Measured(f"a single letter, {level} level, p50", statistics.median(single), 10, "ms"),
    ]


def _ends(name: str) -> range:
    return range(min(_SHORTEST, len(name)), min(len(name), 60) + 1)


def _milliseconds(engine: Engine, text: str, level: Level) -> float:
    started = time.perf_counter()
    engine.complete(CompletionRequest(text, level))
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    data = read_settings().shared_data.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "index"
        if len(sys.argv) == 1:
            subprocess.run(command(directory, data), stdout=subprocess.DEVNULL, check=True)
        figures = []
        for level in Level:
            suggestions, of_structure = measure_structure(directory, level)
            chosen = random.Random(1).sample(suggestions.names, NAMES)
            figures += [*of_structure, *measure_typing(directory, level, chosen)]
    print(f"{'':44} {'measured':>13}    {'allowed':>7}      ratio")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()

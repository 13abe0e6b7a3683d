"""The one big index: everything the archives published, built once a session by the one command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

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


@dataclass(frozen=True)
class BuiltIndex:
    """An index directory and the report of the run that made it."""

    directory: Path
    report: dict[str, object]


@pytest.fixture(scope="session")
def everything_indexed(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> BuiltIndex:
    """All crates, studies and tables with eight ontologies, in a process whose peak memory is its own."""
    directory = tmp_path_factory.mktemp("real") / "index"
    command = [sys.executable, "-m", "hooke", "index", "--index", str(directory), "--no-embed", "--json"]
    command += [str(shared_data / "metadata" / name) for name in ("gide", "idr")]
    for name in ONTOLOGIES:
        command += ["--ontology", str(shared_data / "ontologies" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return BuiltIndex(directory, json.loads(done.stdout))


@pytest.fixture(scope="session")
def engine(everything_indexed: BuiltIndex) -> Iterator[Engine]:
    with closing(Engine(everything_indexed.directory, EmbedderChoice())) as engine:
        yield engine

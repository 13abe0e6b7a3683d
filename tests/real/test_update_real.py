"""Real releases of the anatomy and cell ontologies, years apart: after an update the index is the one built anew."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from hooke.index import IndexDirectory
from hooke.model import Level, Unresolved
from hooke.request import SearchRequest
from hooke.settings import read_settings
from hooke.store.sqlite import SqliteStore
from indexer.update import update_ontologies
from search_api.engine import EmbedderChoice, Engine
from tests.indexer.archives import held, index_all

DATA = read_settings().shared_data
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")

KEPT = ("fbbi.obo.gz",)
FORMER = ("uberon-oba-import.obo.gz", "cl-basic.obo.gz")
RELEASES = ("czi-json/UBERON-ontology-v2026-04-01.json.zst", "czi-json/CL-ontology-v2026-03-26.json.zst")
QUERIES = ("brain", "anatomy:UBERON:0000955", "epithelium", "light-sheet", "cell_type:neuron")


def files(*names: str) -> list[str]:
    return [str(DATA / "ontologies" / name) for name in names]


def inputs() -> list[Path]:
    """IDR's study files with its small tables, and BioStudies."""
    tables = (DATA / "metadata" / "idr" / "annotations").iterdir()
    small = [table for table in sorted(tables) if table.stat().st_size < 8_000]
    return [*(DATA / "metadata" / name for name in ("biostudies", "idr/idr-study-files.tar.gz")), *small]


def answers(index: Path) -> list[object]:
    facets = ("anatomy", "cell_type")
    with closing(Engine(index, EmbedderChoice())) as engine:
        found = [engine.search(SearchRequest(level, q, facets=facets, limit=100)) for q in QUERIES for level in Level]
    return [(result.total, result.facets, result.query, result.hits) for result in found]


def worklists(index: Path) -> dict[str, Mapping[Unresolved, int]]:
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        return {part: entries for part, entries in reader.worklists() if entries}


def test_real_releases_update_an_index_to_the_one_built_anew(tmp_path: Path) -> None:
    updated, anew = tmp_path / "updated", tmp_path / "anew"
    index_all(updated, *inputs(), ontologies=files(*KEPT, *FORMER))
    former = held(updated)
    report = update_ontologies(files(*RELEASES), updated)
    index_all(anew, *inputs(), ontologies=files(*KEPT, *RELEASES))
    after = held(updated)
    assert after == held(anew)
    assert worklists(updated) == worklists(anew)
    assert answers(updated) == answers(anew)
    again = index_all(updated, *inputs())
    assert held(updated) == after
    assert again.unchanged > len(inputs())

    rewritten = {image for image, values in after.images.items() if values != former.images[image]}
    assert report.terms > 10_000
    assert 0 < report.regrounded < report.values
    assert 0 < report.studies < len(after.studies)
    assert 0 < report.images <= len(rewritten) < len(after.images)

"""A newer release of an ontology: the index after `ontologies update` is the index built anew with the release."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hooke.cli import app
from hooke.errors import BadInput, BadOntology
from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.request import SearchRequest
from hooke.results import SearchResult
from hooke.store.sqlite import SqliteStore
from indexer.decisions import accept
from indexer.update import Update, update_ontologies
from search_api.engine import EmbedderChoice, Engine
from tests.indexer.archives import METHODS, TAXA, held, index_all, write_crate
from tests.waiting_index import MOUSE, WELLS, filled, table, unresolved, write_wells

REPOSITORY = Path(__file__).parents[2]
MOUSE_FRAME = "[Term]\nid: NCBITaxon:10090\nname: Mus musculus\nis_a: NCBITaxon:40674\n"
HUMAN_FRAME = '[Term]\nid: NCBITaxon:9606\nname: Homo sapiens\nsynonym: "human" EXACT []\nis_a: NCBITaxon:40674\n'
TWINS = """
[Term]
id: NCBITaxon:1
name: Monoceros albus
synonym: "unicorn" EXACT []

[Term]
id: NCBITaxon:2
name: Monoceros niger
synonym: "unicorn" EXACT []
"""
QUERIES = ("", "mice", "Mammalia", "rodents", "human", "unicorn", "Mus musculus", "organism:10090", "Mus", "Monoceros")


@dataclass(frozen=True)
class Release:
    """What a release changes of the taxonomy before it, and how many studies and images it thereby rewrites."""

    changed: tuple[tuple[str, str], ...]
    terms: int
    studies: int = 0
    images: int = 0
    former: str = TAXA

    @property
    def text(self) -> str:
        text = self.former
        for before, after in self.changed:
            assert before in text
            text = text.replace(before, after)
        return text


def instead(frame: str, *others: str) -> tuple[tuple[str, str], ...]:
    return ((frame, "\n".join(others)),)


RELEASES = {
    "a new synonym resolves a value": Release(
        ((MOUSE_FRAME, MOUSE_FRAME + 'synonym: "mutant of Mus musculus" EXACT []\n'),), terms=1, images=2
    ),
    "a label is renamed": Release(
        (("name: Mus musculus", 'name: Mus domesticus\nsynonym: "Mus musculus" EXACT []'),), 1, studies=1, images=2
    ),
    "a term is obsolete and replaced": Release(
        instead(
            MOUSE_FRAME,
            MOUSE_FRAME.replace("is_a: NCBITaxon:40674\n", "is_obsolete: true\nreplaced_by: NCBITaxon:10092\n"),
            MOUSE_FRAME.replace("10090", "10092"),
        ),
        terms=2,
        studies=1,
        images=2,
    ),
    "a term is obsolete and not replaced": Release(
        (("name: Mus musculus\nis_a: NCBITaxon:40674", "name: Mus musculus\nis_obsolete: true"),), 1, 0, 2
    ),
    "a term is merged into another": Release(
        instead(MOUSE_FRAME, MOUSE_FRAME.replace("10090", "10092") + "alt_id: NCBITaxon:10090\n"),
        2,
        studies=1,
        images=2,
    ),
    "an edge is moved": Release(
        instead(
            MOUSE_FRAME,
            MOUSE_FRAME.replace("40674", "9989"),
            '[Term]\nid: NCBITaxon:9989\nname: Rodentia\nsynonym: "rodents" EXACT []\nis_a: NCBITaxon:40674\n',
        ),
        terms=2,
    ),
    "a name is taken away and a value is unresolved": Release(
        (("name: Homo sapiens", "name: Homo"), ('synonym: "human" EXACT []\n', "")), terms=1, studies=1, images=1
    ),
    "a term is gone": Release(instead(HUMAN_FRAME), terms=1, studies=1, images=1),
    "an ambiguous name becomes unique": Release(
        (('name: Monoceros niger\nsynonym: "unicorn" EXACT []', "name: Monoceros niger"),),
        terms=1,
        images=1,
        former=TAXA + TWINS,
    ),
    "a unique name becomes ambiguous": Release(
        (("name: Monoceros niger", 'name: Monoceros niger\nsynonym: "unicorn" EXACT []'),),
        terms=1,
        images=1,
        former=TAXA + TWINS.replace('niger\nsynonym: "unicorn" EXACT []', "niger"),
    ),
    "an unknown id becomes known": Release(
        instead(MOUSE_FRAME, MOUSE_FRAME, "[Term]\nid: NCBITaxon:424242\nname: Monoceros\n"), terms=1, images=1
    ),
}


def test_an_input_that_lost_a_row_does_not_keep_an_index_from_newer_releases(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    (folder / "manifest.csv").write_text("path,organism\nmissing.png,Mus musculus\nlost.png,\n/outside.png,human\n")
    index = tmp_path / "index"
    release = write_release(tmp_path / "former", TAXA)
    index_all(index, folder, ontologies=[str(release)])
    newer = write_release(tmp_path / "newer", TAXA.replace("name: Mus musculus", "name: Mus domesticus"))
    assert update_ontologies([str(newer)], index).terms == 1


def write_release(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "taxa.obo"
    path.write_text(text, encoding="utf-8")
    return path


def sources(root: Path) -> Path:
    """The archive of the wells and of a study on mice, once for a root."""
    if not (root / "archive").exists():
        write_wells(root / "archive" / "idr", WELLS)
        write_crate(root / "archive" / "crate", "S-BIAD7", "Livers of mice", taxon="10090")
    return root / "archive"


def build(root: Path, name: str, taxa: str) -> Path:
    """An index with this release of the taxonomy."""
    methods = root / "methods.obo"
    methods.write_text(METHODS, encoding="utf-8")
    release = write_release(root / name / "release", taxa)
    index_all(root / name / "index", sources(root), ontologies=(str(release), str(methods)))
    return root / name / "index"


def update(root: Path, index: Path, taxa: str) -> Update:
    return update_ontologies([str(write_release(root / "newer", taxa))], index)


def answers(index: Path) -> list[SearchResult]:
    """Hits with their reasons, facets with their counts, and how each query was understood."""
    facets = ("organism", "imaging_method")
    with closing(Engine(index, EmbedderChoice())) as engine:
        found = [
            engine.search(SearchRequest(level, text, facets=facets, limit=1000)) for text in QUERIES for level in Level
        ]
    return [replace(result, snapshot=0) for result in found]


def worklists(index: Path) -> dict[str, object]:
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        return {part: entries for part, entries in reader.worklists() if entries}


def assert_same(updated: Path, anew: Path) -> None:
    assert held(updated) == held(anew)
    assert worklists(updated) == worklists(anew)
    assert answers(updated) == answers(anew)


@pytest.mark.parametrize("name", RELEASES)
def test_an_updated_index_is_the_index_built_anew(tmp_path: Path, name: str) -> None:
    release = RELEASES[name]
    index = build(tmp_path, "updated", release.former)
    report = update(tmp_path, index, release.text)
    assert (report.terms, report.studies, report.images) == (release.terms, release.studies, release.images)
    assert_same(index, build(tmp_path, "anew", release.text))
    assert index_all(index, sources(tmp_path)).unchanged == 3, "the next run has something left to do"


def test_one_release_after_another_is_the_last_one(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA + TWINS)
    for release in RELEASES.values():
        update(tmp_path, index, release.text)
    assert_same(index, build(tmp_path, "anew", release.text))


def test_records_are_grounded_without_their_sources_and_each_distinct_value_once(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    shutil.rmtree(sources(tmp_path))
    release = RELEASES["a label is renamed"]
    report = update(tmp_path, index, release.text)
    assert report.releases == ("ncbitaxon",)
    # six texts or ids of organisms in the wells beside those that the studies have too, and two methods
    assert (report.values, report.regrounded) == (len({*WELLS, ("Homo sapiens", "9606")}) + 2, 2)
    assert (report.heirs, report.quarantined) == (0, ())
    assert report.unresolved == len(unresolved(index))


def test_images_inherit_anew_from_a_study_that_is_rewritten(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    methods = write_release(tmp_path / "newer", METHODS.replace("name: confocal microscopy", "name: CLSM"))
    report = update_ontologies([str(methods)], index)
    assert (report.studies, report.images, report.heirs) == (2, 0, len(WELLS))
    with closing(Engine(index, EmbedderChoice())) as engine:
        assert engine.search(SearchRequest(Level.IMAGE, "imaging_method:CLSM")).total == len(WELLS)


def test_decisions_of_curators_hold(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    decided = tmp_path / "decided.csv"
    decided.write_text(
        filled(table(index), {"Mus muscullus": MOUSE, "mutant of Mus musculus": "none"}), encoding="utf-8", newline=""
    )
    accept(decided, index)
    release = RELEASES["a new synonym resolves a value"].text
    update(tmp_path, index, release)
    anew = tmp_path / "anew" / "index"
    anew.mkdir(parents=True)
    shutil.copy(IndexDirectory(index).decisions, IndexDirectory(anew).decisions)
    assert_same(index, build(tmp_path, "anew", release))
    assert not {"Mus muscullus", "mutant of Mus musculus"} & unresolved(index).keys()
    assert index_all(index, sources(tmp_path)).unchanged == 3


def test_the_same_release_again_changes_nothing(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    release = RELEASES["a label is renamed"].text
    update(tmp_path, index, release)
    before = held(index)
    again = update(tmp_path, index, release)
    assert (again.releases, again.terms, again.studies, again.images) == ((), 0, 0, 0)
    assert held(index) == before


def test_a_release_of_another_name_replaces_the_ontology_with_its_prefix(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    text = RELEASES["a name is taken away and a value is unresolved"].text
    slim = text.replace("ontology: ncbitaxon", "ontology: ncbitaxon/subsets/taxslim")
    update(tmp_path, index, slim)
    with closing(Engine(index, EmbedderChoice())) as engine:
        assert [each.name for each in engine.info().ontologies] == ["ncbitaxon/taxslim", "fbbi"]
    assert_same(index, build(tmp_path, "anew", slim))


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        (TAXA.replace("ncbitaxon", "other").replace("NCBITaxon", "XX"), BadInput, "other .XX.*ncbitaxon, fbbi.*add"),
        ("[Term", BadOntology, "taxa.obo"),
    ],
)
def test_what_is_no_release_of_an_ontology_leaves_the_index_as_it_was(
    tmp_path: Path, text: str, error: type[Exception], reason: str
) -> None:
    index = build(tmp_path, "updated", TAXA)
    before = held(index), answers(index)
    with pytest.raises(error, match=reason):
        update(tmp_path, index, text)
    assert (held(index), answers(index)) == before


def test_a_killed_update_is_ended_by_the_same_command(tmp_path: Path) -> None:
    index = build(tmp_path, "updated", TAXA)
    before = held(index)
    release = RELEASES["a term is merged into another"].text
    command = ["ontologies", "update", str(write_release(tmp_path / "newer", release)), "--index", str(index), "--json"]
    driver = [sys.executable, "-m", "tests.indexer.interrupted", "studies put", "1", str(int(signal.SIGKILL)), *command]
    killed = subprocess.run(driver, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert held(index) == before

    ended = json.loads(CliRunner().invoke(app, command).stdout)
    assert (ended["studies"], ended["images"], ended["terms"]) == (1, 2, 2)
    assert_same(index, build(tmp_path, "anew", release))

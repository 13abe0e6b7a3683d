"""`hooke index` into a real cluster: what it reports, and what an ontology's new release writes."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from hooke.model import Level
from hooke.request import SearchRequest, read_conditions
from hooke.store.location import Location
from indexer.pipeline import IndexJob, run
from indexer.report import Report
from indexer.update import update_ontologies
from search_api.engine import EmbedderChoice, Engine
from tests.elasticsearch_index import emptied
from tests.indexer.archives import METHODS, TAXA
from tests.store.opening import writes

IMAGES = 30
UNGROUNDED = "laboratory mouse"


@dataclass(frozen=True)
class Archive:
    """A folder of images without pixels, two ontologies, and the index of both."""

    folder: Path
    location: Location

    @property
    def directory(self) -> Path:
        return self.folder / "index"

    def index(self, *ontologies: str) -> Report:
        """Index with these releases, given as text."""
        files = [self.folder / f"release-{number}.obo" for number, _ in enumerate(ontologies)]
        for file, text in zip(files, ontologies, strict=True):
            file.write_text(text, encoding="utf-8")
        job = IndexJob((self.folder / "images",), self.directory, None, tuple(map(str, files)), None, self.location)
        return run(job)

    def write(self, *, header: str = "path,organism,plate", last: str = "") -> None:
        names = ["Homo sapiens", "Mus musculus", UNGROUNDED]
        rows = [f"{number:02}.png,{names[min(number, 2)]},{number}" for number in range(IMAGES - 1)]
        rows.append(last or f"{IMAGES - 1:02}.png,Homo sapiens,{IMAGES - 1}")
        folder = self.folder / "images"
        folder.mkdir(exist_ok=True)
        (folder / "manifest.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")

    def total(self, organism: str) -> int:
        with closing(Engine(self.directory, EmbedderChoice())) as engine:
            return engine.search(SearchRequest(Level.IMAGE, "", *read_conditions([f"organism={organism}"], []))).total

    def writes(self) -> int:
        return writes(self.location.nodes[0], self.location.prefix)


@pytest.fixture
def archive(elasticsearch_url: str, tmp_path: Path) -> Iterator[Archive]:
    location = Location((elasticsearch_url,), f"indexed-{uuid4().hex[:12]}")
    archive = Archive(tmp_path, location)
    archive.write()
    with emptied(location):
        yield archive


def test_a_record_that_the_cluster_refuses_is_quarantined_and_mended_by_the_next_run(archive: Archive) -> None:
    odd = "c" * 40_000  # the name of a column is a term of the index, and terms end at 32,766 bytes
    archive.write(header=f"path,organism,plate,{odd}", last=f"{IMAGES - 1:02}.png,Homo sapiens,1,here")
    report = archive.index(TAXA, METHODS)
    assert (report.studies, report.images) == (1, IMAGES - 1)
    (refused,) = [told for told in report.quarantined if "32766" in told.reason]
    assert refused.path.endswith(f"{IMAGES - 1:02}.png")
    archive.write()
    mended = archive.index()
    assert mended.images == IMAGES
    assert not [told for told in mended.quarantined if "32766" in told.reason]


def test_a_release_that_changes_no_record_writes_none_and_its_hierarchy_counts_at_once(archive: Archive) -> None:
    archive.index(TAXA, METHODS)
    assert archive.total("Mammalia") == 3
    former = archive.writes()
    beasts = "\n[Term]\nid: NCBITaxon:33208\nname: Metazoa\n"
    released = TAXA.replace("name: Mammalia", "name: Mammalia\nis_a: NCBITaxon:33208") + beasts
    report = archive.index(released, METHODS)
    assert report.unchanged == 0, "the archive was not read again: the test shows nothing"
    assert archive.writes() == former
    assert archive.total("Metazoa") == 3


def test_a_release_writes_the_records_that_it_grounds_anew_and_no_other(archive: Archive) -> None:
    archive.index(TAXA, METHODS)
    former, found = archive.writes(), archive.total("Mus musculus")
    released = TAXA.replace("name: Mus musculus", f'name: Mus musculus\nsynonym: "{UNGROUNDED}" EXACT []')
    archive.index(released, METHODS)
    anew = IMAGES - 3
    assert archive.total("Mus musculus") == found + anew
    # each, and their study, has a new version and the one before it has died; the study has a set that is new, and
    # the images have the one that other mice had before, which is given again
    assert archive.writes() - former == 2 * (anew + 1) + 2


def test_an_update_writes_what_it_grounds_anew_and_leaves_the_next_run_nothing_to_write(archive: Archive) -> None:
    archive.index(TAXA, METHODS)
    former, found = archive.writes(), archive.total("Mus musculus")
    released = TAXA.replace("name: Mus musculus", f'name: Mus musculus\nsynonym: "{UNGROUNDED}" EXACT []')
    (archive.folder / "release-0.obo").write_text(released, encoding="utf-8")
    report = update_ontologies([str(archive.folder / "release-0.obo")], archive.directory)
    anew = IMAGES - 3
    assert (report.studies, report.images, report.quarantined) == (1, anew, ())
    assert archive.total("Mus musculus") == found + anew
    written = archive.writes()
    assert written - former == 2 * (anew + 1) + 2
    archive.index(released, METHODS)
    assert archive.writes() == written, "the sources give other records than the update did"

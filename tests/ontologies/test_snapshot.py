import json
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

import ontologies.snapshot as snapshot_module
from hooke.errors import BadInput, BadOntology, CorruptIndex, NoSpace
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies, latest_version
from tests.ontologies.samples import obo, write_file


def _names(root: Path, version: str) -> list[str]:
    return [info.name for info in Catalogue.open(root, version).ontologies()]


def test_sources_of_the_snapshot_before_are_kept_without_their_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = write_file(tmp_path, "uberon.obo")
    add_ontologies([first], root)
    first.unlink()
    version = add_ontologies([write_file(tmp_path, "taxa.obo")], root)
    assert _names(root, version) == ["uberon", "ncbitaxon"]
    assert Catalogue.open(root, version).label("UBERON:0000955") == "brain"


def test_adding_the_same_again_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    path = write_file(tmp_path, "uberon.obo")
    version = add_ontologies([path], root)
    before = sorted(p.name for p in root.iterdir())
    assert add_ontologies([path], root) == version == latest_version(root)
    assert sorted(p.name for p in root.iterdir()) == before


def test_a_source_of_the_same_name_replaces_the_older(tmp_path: Path) -> None:
    root = tmp_path / "root"
    old = add_ontologies([obo(tmp_path, "[Term]\nid: X:1\nname: old\n")], root)
    new = add_ontologies([obo(tmp_path, "[Term]\nid: X:2\nname: new\n")], root)
    catalogue = Catalogue.open(root, new)
    assert (catalogue.resolve("X:1"), catalogue.label("X:2")) == (None, "new")
    assert Catalogue.open(root, old).label("X:1") == "old"


def test_a_failed_add_leaves_the_old_snapshot_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "root"
    version = add_ontologies([write_file(tmp_path, "uberon.obo")], root)
    bad = tmp_path / "bad.obo"
    bad.write_text("nothing")
    with pytest.raises(BadOntology):
        add_ontologies([write_file(tmp_path, "taxa.obo"), bad], root)
    assert latest_version(root) == version
    assert sorted(path.name for path in root.iterdir()) == sorted([version, "CURRENT"])


def test_a_full_disk_leaves_the_old_snapshot_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    version = add_ontologies([write_file(tmp_path, "uberon.obo")], root)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_module, "_sync", full)
    with pytest.raises(NoSpace, match="no space left"):
        add_ontologies([write_file(tmp_path, "taxa.obo")], root)
    assert (latest_version(root), _names(root, version)) == (version, ["uberon"])


def test_a_root_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("")
    with pytest.raises(BadInput, match="cannot write ontologies"):
        add_ontologies([write_file(tmp_path, "uberon.obo")], root)


def test_progress_names_each_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, "uberon.obo")
    seen: list[tuple[str, int, int]] = []
    add_ontologies([path], tmp_path / "root", progress=lambda *report: seen.append(report))
    assert seen == [(str(path), 0, 1), ("compiling", 1, 1)]


def test_to_open_a_snapshot_takes_no_memory_for_its_terms(tmp_path: Path) -> None:
    def traced(terms: int) -> int:
        frames = "".join(f"[Term]\nid: X:{n}\nname: term {n}\nis_a: X:{n // 2}\n" for n in range(1, terms + 1))
        root = tmp_path / str(terms)
        version = add_ontologies([obo(tmp_path, frames)], root)
        tracemalloc.start()
        with closing(Catalogue.open(root, version)) as catalogue:
            assert catalogue.ontologies()[0].terms == terms
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    traced(10)  # what is imported at the first opening is no snapshot's
    assert traced(3_000) < traced(20) + 10_000 < 3_000 * 20


def test_nothing_was_added_is_no_version(tmp_path: Path) -> None:
    assert latest_version(tmp_path) == ""
    assert Catalogue.open(tmp_path, "").find("brain") == ()


def test_a_version_that_is_gone_is_a_corrupt_index(tmp_path: Path) -> None:
    with pytest.raises(CorruptIndex, match="no ontology snapshot 'feed'"):
        Catalogue.open(tmp_path, "feed")


@pytest.mark.parametrize("file", ["terms.sqlite", "parent_targets.npy", "ids.npy"])
def test_a_damaged_file_is_a_corrupt_index(tmp_path: Path, file: str) -> None:
    root = tmp_path / "root"
    version = add_ontologies([write_file(tmp_path, "uberon.obo")], root)
    (root / version / file).write_bytes(b"damaged" * 100)
    with pytest.raises(CorruptIndex):
        Catalogue.open(root, version)


def test_a_snapshot_of_an_earlier_layout_answers(tmp_path: Path) -> None:
    root = tmp_path / "root"
    version = add_ontologies([write_file(tmp_path, "uberon.obo")], root)
    for array in (root / version).glob("spelt_*.npy"):
        array.unlink()
    with closing(sqlite3.connect(root / version / "terms.sqlite")) as database:
        database.execute("DROP TABLE spelt")
        (fields,) = database.execute("SELECT fields FROM terms WHERE id = 'UBERON:0000955'").fetchone()
        database.execute("UPDATE terms SET fields = ? WHERE fields = ?", (json.dumps(json.loads(fields)[:5]), fields))
        database.commit()
    with closing(Catalogue.open(root, version)) as catalogue:
        assert [match.term for match in catalogue.suggest("brian")] == ["UBERON:0000955"]
        assert (catalogue.term("UBERON:0000955").label, catalogue.term("UBERON:0000955").xrefs) == ("brain", ())

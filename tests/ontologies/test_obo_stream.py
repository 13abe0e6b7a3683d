"""A large OBO file is read frame by frame: with the same result as pronto's, and with the same refusals."""

import gzip
from pathlib import Path

import pytest

import ontologies.load as load_module
from hooke.errors import BadOntology, NoSpace
from ontologies.catalogue import Catalogue
from ontologies.load import load
from ontologies.model import Term
from ontologies.obo_stream import stream_obo
from ontologies.snapshot import add_ontologies
from ontologies.source import open_source
from ontologies.stored import Stored, Storing, open_stored
from tests.ontologies.samples import obo, write_file

HARD = """[Term]
id: X:1
name: a name\\: with escapes
def: "It \\"is\\" so." [PMID:1]
synonym: "typed" EXACT OMO:0003012 [X:7 "seven"]
synonym: "typed" EXACT []
synonym: "no scope\\nof two lines" RELATED []
xref: FMA:1 "one"
xref: FMA:1
subset: later
is_a: UBERON:0001062 {source="x"} ! undefined
relationship: X:77 X:2 {cardinality="1"} ! part of, under an id of its own
relationship: X:77 X:2
[Term]
id: http://purl.obolibrary.org/obo/X_2
alt_id: X_3
is_obsolete: true
replaced_by: X:1
consider: X_9
[Typedef]
id: X:77
name: in
xref: BFO:0000050
is_a: X:78
[Typedef]
id: X:78
"""


def streamed(path: Path) -> Stored:
    return stream_obo(open_source(path), path.with_suffix(".zst"))


@pytest.mark.parametrize("name", ["uberon.obo", "taxa.obo", "efo.obo", "hard.obo"])
def test_a_streamed_file_holds_what_a_loaded_one_does(tmp_path: Path, name: str) -> None:
    path = obo(tmp_path, HARD, name) if name == "hard.obo" else write_file(tmp_path, name)
    loaded, stored = load(path), streamed(path)
    assert {term.id: term for term in stored.terms()} == {term.id: term for term in loaded.terms}
    assert len(loaded.terms) == stored.info.terms
    assert sorted(stored.edges()) == list(loaded.edges)
    assert len(loaded.edges) == stored.info.edges
    assert (stored.info.name, stored.info.version, stored.info.prefix, stored.digest) == (
        (loaded.name, loaded.version, loaded.prefix, loaded.digest)
    )
    assert open_stored(stored.path) == stored


def test_parents_of_other_ontologies_are_named(tmp_path: Path) -> None:
    (warning,) = streamed(obo(tmp_path, HARD)).info.warnings
    assert (warning.name, warning.count, warning.example) == ("UndefinedParents", 1, "UBERON:0001062")


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ("[Term]\nid: X:1\nis_obsolete: perhaps\n", "line 6: does not parse"),
        ("date: tomorrow\n[Term]\nid: X:1\n", "line 4: does not parse"),
        ("[Term]\nid: X:1\n[Term]\nid: X:1\n", "X:1 stands in two frames"),
    ],
)
def test_what_cannot_be_streamed_is_refused_in_one_line(tmp_path: Path, frames: str, reason: str) -> None:
    with pytest.raises(BadOntology, match=f"x.obo.*{reason}") as refused:
        streamed(obo(tmp_path, frames))
    assert "\n" not in str(refused.value)


def test_a_file_cut_short_in_its_middle_is_refused(tmp_path: Path) -> None:
    path = obo(tmp_path, "".join(f"[Term]\nid: X:{n}\nname: {hash(str(n))}\n" for n in range(5_000)))
    whole = gzip.compress(path.read_bytes())
    path.write_bytes(whole)
    assert streamed(path).info.terms == 5_000
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadOntology, match=r"x\.obo: the compressed data is damaged or truncated"):
        streamed(path)


def test_a_disk_that_is_full_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_storing: Storing, _term: Term) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Storing, "term", full)
    monkeypatch.setattr(load_module, "_STREAMED", 20)
    with pytest.raises(NoSpace):
        add_ontologies([obo(tmp_path, HARD)], tmp_path / "root")


def test_a_large_file_is_streamed_into_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = obo(tmp_path, "[Term]\nid: X:1\nname: one\n[Term]\nid: X:1\nname: twice\n")
    add_ontologies([path], tmp_path / "small")
    monkeypatch.setattr(load_module, "_STREAMED", 20)
    with pytest.raises(BadOntology, match="two frames"):
        add_ontologies([path], tmp_path / "large")


def test_a_snapshot_of_a_streamed_file_answers_as_one_of_a_loaded_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path, "uberon.obo")
    loaded = Catalogue.open(tmp_path / "a", add_ontologies([path], tmp_path / "a"))
    monkeypatch.setattr(load_module, "_STREAMED", 20)
    large = Catalogue.open(tmp_path / "b", add_ontologies([path], tmp_path / "b"))
    for term in load(path).terms:
        assert large.term(term.id) == loaded.term(term.id) == term
        assert large.ancestors(term.id, ("develops_from",)) == loaded.ancestors(term.id, ("develops_from",))
        assert large.descendants(term.id) == loaded.descendants(term.id)

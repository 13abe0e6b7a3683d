"""Decisions of curators: from the worklist into a table, from the table into the index, and back out again."""

import csv
import io
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.curation import (
    ANY_IDS,
    Decision,
    Decisions,
    read_decisions,
    read_rows,
    worklist_table,
    write_decisions,
)
from hooke.errors import BadInput, UnknownIndex
from hooke.index import IndexDirectory
from hooke.model import Dataset, Image, Method, Study, Value
from hooke.results import Candidate, CurationEntry
from hooke.store.sqlite import SqliteStore
from indexer.annotate import Annotator
from indexer.decisions import accept
from ontologies.catalogue import Catalogue
from tests.indexer.archives import index_all, write_crate
from tests.waiting_index import (
    HUMAN,
    MAMMALS,
    MOUSE,
    ODD,
    WELLS,
    again,
    build,
    conflicts,
    filled,
    table,
    unresolved,
    well,
    wells,
    write_wells,
)

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return build(tmp_path)


def decide(index: Path, decisions: dict[str, str]) -> None:
    """What a curator does: print the table, fill it in, give it back."""
    file = index.parent / "table.csv"
    file.write_text(filled(table(index), decisions), encoding="utf-8", newline="")
    accept(file, index)


def kept(index: Path) -> Path:
    return IndexDirectory(index).decisions


# --- what waits ------------------------------------------------------------------------------------------------------


def test_a_value_whose_text_and_ids_disagree_waits_with_the_term_of_its_text_first(catalogue: Catalogue) -> None:
    annotator = Annotator(catalogue)
    value = Value("organism", "Mus musculus", ("9606",))
    annotator.image(Image("s/1", "s", "1", values=(value, value)))
    annotator.study(Study("s", "s", (value,), (Dataset("A", (value,)),)))
    ((entry, records),) = annotator.take_unresolved().items()
    assert (entry.reason, entry.candidates, records) == ("id_label_conflict", (MOUSE, HUMAN), 2)
    assert (entry.field, entry.text, entry.ids) == ("organism", "Mus musculus", ("9606",))


def test_a_conflict_is_listed_and_is_not_counted_as_unresolved(index: Path) -> None:
    report = index_all(index, index.parent / "archive")
    assert report.unresolved == len(unresolved(index)) == 4
    assert set(conflicts(index)) == {"Mus musculus"}
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        assert len(reader.unresolved()) == 5


def test_terms_whose_names_share_words_are_for_a_person_to_choose_from(catalogue: Catalogue) -> None:
    text = "microscopy, confocal (Zeiss)"
    assert catalogue.suggest(text, prefixes=("FBbi",)) == ()
    (found,) = catalogue.resembling(text, prefixes=("FBbi",))
    assert (found.term, found.method) == ("FBbi:00000251", Method.FUZZY)
    assert 0.3 < found.score < 0.5
    assert catalogue.resembling(text, prefixes=("NCBITaxon",)) == ()


# --- the table -------------------------------------------------------------------------------------------------------


def entry(text: str, ids: tuple[str, ...] = ()) -> CurationEntry:
    return CurationEntry("organism", text, ids, 1, "no_term", (Candidate("A:1", "=label", 0.5),), "A:1")


@given(text=st.one_of(st.text(), st.text("=+-@'\"\t\r\n,; ab＝"), st.text("=+-@'\"").map(lambda text: text + "1")))
def test_any_text_comes_back_from_the_table_as_it_was_and_none_runs(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    printed = worklist_table([entry(text, (text,))])
    (row,) = csv.DictReader(io.StringIO(printed, newline=""))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_text(printed, encoding="utf-8", newline="")
    (read,) = read_rows(file)
    assert (read.text, read.ids) == (text, text)


def test_the_table_has_three_candidates_and_a_column_for_decisions() -> None:
    (row,) = csv.DictReader(io.StringIO(worklist_table([entry("yeti", ("X:1", "X:2"))]), newline=""))
    assert list(row) == [
        *("field", "text", "ids", "records", "reason"),
        *("candidate_1", "label_1", "candidate_2", "label_2", "candidate_3", "label_3", "decision"),
    ]
    assert (row["ids"], row["candidate_1"], row["label_1"], row["candidate_2"]) == ("X:1; X:2", "A:1", "'=label", "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_table_is_read_as_any_spreadsheet_saves_it(index: Path, delimiter: str, mark: str, line_break: str) -> None:
    saved = filled(table(index), {"'" + ODD: MOUSE}, delimiter)
    saved = saved.replace("\r\n", "\n").replace("\n", line_break)
    file = index / "table.csv"
    file.write_text(mark + saved, encoding="utf-8", newline="")
    assert accept(file, index).decisions == 1
    again(index)
    assert ODD not in unresolved(index)
    assert 9 in wells(index, MOUSE)


# --- from the table into the index -----------------------------------------------------------------------------------


def test_a_decision_is_found_changed_and_taken_back_by_the_next_runs(index: Path) -> None:
    assert wells(index, f"organism:{MOUSE}") == {1, 2}
    decide(index, {"Mus muscullus": "NCBITaxon_10090"})
    assert wells(index, f"organism:{MOUSE}") == {1, 2}, "what is indexed changes with the next run only"
    assert unresolved(index)["Mus muscullus"].decision == MOUSE
    assert again(index) == 0
    assert wells(index, f"organism:{MOUSE}") == {1, 2, 3, 4, 5}
    assert wells(index, "Mammalia") >= {3, 4, 5}
    assert "Mus muscullus" not in unresolved(index)
    assert again(index) == 2, "nothing is done twice"

    file = index / "table.csv"
    file.write_text("field,text,ids,decision\norganism,Mus muscullus,,9606\n")
    assert accept(file, index).changed == 1
    again(index)
    assert wells(index, f"organism:{MOUSE}") == {1, 2}
    assert wells(index, f"organism:{HUMAN}") >= {3, 4, 5}

    kept(index).write_text("".join(kept(index).read_text().splitlines(keepends=True)[:1]))
    assert again(index) == 0
    assert not {3, 4, 5} & wells(index, f"organism:{HUMAN}")
    assert "Mus muscullus" in unresolved(index)


def test_a_decided_mention_says_so_and_keeps_the_submitted_id(index: Path) -> None:
    decide(index, {"Mus musculus": MOUSE})
    again(index)
    (mention,) = [each for each in well(index, 1).mentions if each["field"] == "organism"]
    assert mention == {
        "field": "organism",
        "text": "Mus musculus",
        "term": MOUSE,
        "label": "Mus musculus",
        "method": "id",
        "score": 1.0,
        "given_id": "NCBITaxon:9606",
        "note": "curated",
        "source": None,
        "start": None,
    }
    assert conflicts(index) == {}
    assert not {1, 2} & wells(index, f"organism:{HUMAN}")


def test_a_term_that_prose_was_found_to_name_is_rejected_and_taken_back(index: Path) -> None:
    study = index.parent / "archive" / "idr0001-study.txt"
    study.write_text(
        study.read_text().replace("Nuclei of many cells", "Confocal microscopy").replace("confocal", "some")
    )
    study.write_text("\n".join(line for line in study.read_text().splitlines() if "Imaging Method" not in line))
    again(index)
    assert len(wells(index, "imaging_method:FBbi:00000251")) == len(WELLS)
    file = index.parent / "rejected.csv"
    file.write_text("field,text,ids,decision\nimaging_method,confocal microscopy,text,none\n")
    assert accept(file, index).kept == 1
    again(index)
    assert wells(index, "imaging_method:FBbi:00000251") == set()
    kept(index).unlink()
    again(index)
    assert len(wells(index, "imaging_method:FBbi:00000251")) == len(WELLS)


def test_several_terms_and_none_are_decisions(index: Path) -> None:
    decide(
        index, {"unicorn": "None", "Mus muscullus": "ncbitaxon:10090 ; http://purl.obolibrary.org/obo/NCBITaxon_9606"}
    )
    again(index)
    assert {3, 4, 5} <= wells(index, f"organism:{MOUSE}") & wells(index, f"organism:{HUMAN}")
    assert not {"unicorn", "Mus muscullus"} & set(unresolved(index))
    assert [each for each in well(index, 8).mentions if each["field"] == "organism"] == []


def test_a_decision_on_any_ids_holds_for_what_waits_where_none_on_just_these_does(catalogue: Catalogue) -> None:
    both = Decisions(
        [Decision("organism", "x", ANY_IDS, (MOUSE,)), Decision("organism", "x", "NCBITaxon:9606", (MAMMALS,))]
    )
    values = tuple(Value("organism", "x", ids) for ids in ((), ("NCBITaxon:700001",), ("NCBITaxon:9606",)))
    image = Annotator(catalogue, both).image(Image("s/1", "s", "1", values=values))
    assert [mention.term for value in image.values for mention in value.mentions] == [MOUSE, MOUSE, MAMMALS]


def test_a_decision_on_any_ids_leaves_good_ids_alone(catalogue: Catalogue) -> None:
    dragged = Decisions([Decision("organism", "Mus musculus", ANY_IDS, (MAMMALS,))])
    values = tuple(Value("organism", "Mus musculus", ids) for ids in ((MOUSE,), (HUMAN,)))
    image = Annotator(catalogue, dragged).image(Image("s/1", "s", "1", values=values))
    assert [mention.term for value in image.values for mention in value.mentions] == [MOUSE, MAMMALS]


def test_a_decision_for_a_term_that_is_gone_decides_nothing(catalogue: Catalogue) -> None:
    annotator = Annotator(catalogue, Decisions([Decision("organism", "yeti", "", (MOUSE, "NCBITaxon:1"))]))
    annotator.image(Image("s/1", "s", "1", values=(Value("organism", "yeti"),)))
    assert [entry.text for entry in annotator.take_unresolved()] == ["yeti"]


def test_a_dragged_cell_is_one_decision(tmp_path: Path) -> None:
    index = build(tmp_path, [("unicorn", f"NCBITaxon:{number}") for number in range(700_000, 700_030)])
    assert unresolved(index)["unicorn"].ids == (ANY_IDS,)
    decide(index, {"unicorn": MOUSE})
    again(index)
    assert len(wells(index, f"organism:{MOUSE}")) == 30
    assert unresolved(index) == {}


def test_what_another_source_said_is_decided_anew_too(tmp_path: Path) -> None:
    """A stored study is more than what one of its sources says: its old mentions must not stay beside the new."""
    index = build(tmp_path, [("unicorn", "")])
    study = tmp_path / "archive" / "idr0001-study.txt"
    study.write_text(study.read_text().replace("Homo sapiens", "Yeti").replace("9606", ""))
    again(index)
    index_all(index, write_crate(tmp_path / "crate", "idr0001", "The same", taxon="10090").parent)
    decide(index, {"Yeti": HUMAN})
    index_all(index, tmp_path / "crate")
    assert yetis(index) == [[HUMAN]]
    kept(index).write_text(kept(index).read_text().replace(HUMAN, MAMMALS))
    again(index)
    assert yetis(index) == [[MAMMALS]]
    kept(index).write_text(kept(index).read_text().replace(MAMMALS, "none"))
    index_all(index, tmp_path / "crate")
    assert yetis(index) == [[]]


def yetis(index: Path) -> list[list[str]]:
    with closing(SqliteStore(IndexDirectory(index).metadata)) as store, store.read() as reader:
        (found,) = reader.studies(["idr0001"])
    return [[mention.term for mention in value.mentions] for value in found.values if value.text == "Yeti"]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_decisions_are_kept_in_order_readable_and_with_labels(index: Path) -> None:
    decide(index, {"unicorn": "none", "Mus muscullus": f"{MOUSE};{HUMAN}"})
    first = kept(index).read_bytes()
    assert first.decode().splitlines() == [
        '"field","text","ids","decision","labels"',
        f'"organism","Mus muscullus","","{MOUSE}; {HUMAN}","Mus musculus; Homo sapiens"',
        '"organism","unicorn","NCBITaxon:424242","none",""',
    ]
    accept(kept(index), index)
    assert kept(index).read_bytes() == first


def test_a_newer_decision_replaces_the_older_on_the_same_value_only(index: Path) -> None:
    decide(index, {"unicorn": "none", "Mus muscullus": HUMAN})
    file = index / "table.csv"
    file.write_text(filled(table(index), {"Mus muscullus": MOUSE}), newline="")
    done = accept(file, index)
    assert (done.decisions, done.changed, done.kept) == (2, 1, 2)
    assert [decision.terms for decision in read_decisions(kept(index))] == [(MOUSE,), ()]


def test_the_digest_follows_what_is_decided_and_not_how_it_is_written(tmp_path: Path) -> None:
    one, other = Decision("organism", "a", "", (MOUSE,)), Decision("organism", "b", "", ())
    assert Decisions().digest == ""
    assert Decisions([one, other]).digest == Decisions([other, one]).digest
    assert len({Decisions(each).digest for each in ([one], [other], [one, other], [])}) == 4
    write_decisions(tmp_path / "d.csv", Decisions([other, one]), str.upper)
    assert read_decisions(tmp_path / "d.csv").digest == Decisions([one, other]).digest


_KILLED = """
import os, signal, sys
from pathlib import Path
from hooke.curation import Decision, Decisions, write_decisions

def decisions(term):
    return Decisions(Decision("organism", f"text {n}", "", (term,)) for n in range(100))

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

path, point = Path(sys.argv[1]), sys.argv[2]
write_decisions(path, decisions("OLD:1"), str)
label = lambda term: killed() if point == "writing" else term
os.fsync = killed if point == "written" else os.fsync
write_decisions(path, decisions("NEW:1"), label)
killed()
"""


@pytest.mark.parametrize(("point", "term"), [("writing", "OLD:1"), ("written", "OLD:1"), ("done", "NEW:1")])
def test_a_killed_writer_leaves_the_old_decisions_or_the_new(tmp_path: Path, point: str, term: str) -> None:
    path = tmp_path / "decisions.csv"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), point], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [decision.terms for decision in read_decisions(path)] == [(term,)] * 100
    write_decisions(path, Decisions(), str)
    assert len(read_decisions(path)) == 0


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("organism,unicorn,NCBITaxon:424242,UBERON:00009555", r"line 2: no term 'UBERON:00009555'"),
        ("organism,unicorn,NCBITaxon:424242,NCBITaxon:96066", r"did you mean NCBITaxon:9606 \(Homo sapiens\)\?"),
        ("organism,unicorn,NCBITaxon:424242,Homo sapien", r"did you mean NCBITaxon:9606 \(Homo sapiens\)\?"),
        ("organism,unicorn,NCBITaxon:424242,none; 9606", r"line 2: no term 'none'"),
        ("organism,unicorn,NCBITaxon:424242, ; ", "line 2 decides"),
        ("organism,unicorn,,9606", "line 2: no organism 'unicorn' with ids '' waits"),
        ("organsm,unicorn,NCBITaxon:424242,9606", "line 2: no organsm 'unicorn'"),
        ("organism,griffin,,9606", "did the spreadsheet change a cell"),
        ('organism,"two\nlines",,\norganism,griffin,,9606', "line 4: "),
        ("organism,Mus muscullus,,9606\norganism,Mus muscullus,,10090", "line 3 decides otherwise than line 2"),
        ("organism,Mus muscullus,,X:1\norganism,unicorn,,9606", "line 2: .*; as wrong are 1 more, in line 3"),
        ("organism,Mus muscullus,,9606\norganism,unicorn,NCBITaxon:424242,X:1", "line 3: .*no decision was kept"),
        ("organism,Mus, muscullus,,9606", "line 2 has more cells than the header"),
        ('organism,"Mus" muscullus,,9606', "line 2 is not CSV"),
        (
            "organism,unicorn,NCBITaxon:424242,FBbi_00000251",
            r"line 2: FBbi:00000251 \(confocal microscopy\) is no term for organism, which is of NCBITaxon; no",
        ),
        ("organism,mouse,text,9606", "line 2: words of prose .* can only be rejected: .* decide 'none'"),
        ("description,mouse,text,none", "line 2: prose names no terms of 'description', only of organism, "),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_nothing_is_kept(index: Path, content: str, message: str) -> None:
    file = index / "table.csv"
    file.write_text("field,text,ids,decision\n" + content, encoding="utf-8")
    with pytest.raises(BadInput, match=message) as error:
        accept(file, index)
    assert "table.csv" in str(error.value)
    assert "\n" not in str(error.value)
    assert not kept(index).exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no columns"),
        (b"field,text,ids\norganism,unicorn,\n", "no columns field, text, ids, decision"),
        (b"\x89PNG\r\n\x1a\n\x00", "not UTF-8"),
        ("field,text,ids,decision\norganism,M\xfcller,,9606\n".encode("cp1252"), "save it from the spreadsheet as"),
    ],
)
def test_what_is_no_table_of_decisions_is_refused(index: Path, content: bytes, message: str) -> None:
    file = index / "table.csv"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        accept(file, index)


def test_a_term_of_another_ontology_is_taken_where_the_row_offers_it(tmp_path: Path) -> None:
    """The submitter gave it: that the id is right and the text is not is for a curator to say."""
    index = build(tmp_path, [("Mus musculus", "FBbi:00000251")])
    decide(index, {"Mus musculus": "FBbi:00000251"})
    again(index)
    assert wells(index, "organism:FBbi:00000251") == {1}
    assert accept(kept(index), index).changed == 0, "and so is what was kept"


def test_an_obsolete_term_is_refused_with_what_stands_for_it(tmp_path: Path) -> None:
    index = build(tmp_path)
    extra = tmp_path / "extra.obo"
    extra.write_text(
        "format-version: 1.2\nontology: old\n\n[Term]\nid: OLD:1\nname: obsolete murine\nis_obsolete: true\n"
        f"consider: {MOUSE}\n\n[Term]\nid: OLD:2\nname: obsolete mouse\nis_obsolete: true\nreplaced_by: {MOUSE}\n"
    )
    index_all(index, tmp_path / "archive", ontologies=[str(extra)])
    with pytest.raises(BadInput, match=rf"OLD:1 \(obsolete murine\) is obsolete; did you mean {MOUSE} \(Mus"):
        decide(index, {"unicorn": "OLD:1"})
    decide(index, {"unicorn": "OLD:2"})
    assert [decision.terms for decision in read_decisions(kept(index))] == [(MOUSE,)]


def test_a_table_without_decisions_changes_nothing(index: Path) -> None:
    decide(index, {})
    assert again(index) == 2


def test_decisions_that_were_broken_by_hand_stop_the_run_before_it_starts(index: Path) -> None:
    kept(index).write_text("field;text\n")
    with pytest.raises(BadInput, match=r"decisions\.csv has no columns"):
        again(index)


def test_decisions_need_an_index(tmp_path: Path) -> None:
    with pytest.raises(UnknownIndex, match="hooke index"):
        accept(write_wells(tmp_path, WELLS) / "idr0001-study.txt", tmp_path / "none")

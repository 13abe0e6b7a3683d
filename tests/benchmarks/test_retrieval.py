"""What is counted in `benchmarks.retrieval`, and what its rules make of a record, against what a hand counts."""

from math import log2
from pathlib import Path

import pytest

from benchmarks.relevance import ABOUT, PART, Corpus, grade, read_needs
from benchmarks.retrieval import SYSTEMS, Answer, Score, means, score
from hooke.errors import BadInput
from hooke.model import Level, Study, Value

FLIES = """
[fields]
name = ["sample"]
head = ["keywords"]
body = ["description"]

[concept.flies]
words = "flies"
ids = ["NCBITaxon:7227"]
means = "The specimen is a fly."
values.organism = ["drosophila.*"]
titled = ["fl(y|ies)"]
unless = ["flies away"]
read.S-9 = 0

[concept.SEM]
words = "electron microscopy"
ids = ["FBbi:00000256"]
means = "Electron micrographs."
says = ["SEM", "electron micro\\\\w+"]
within = "flies"

[[need]]
kind = "two at once"
concepts = ["flies", "SEM"]
"""


@pytest.fixture
def needs_file(tmp_path: Path) -> Path:
    path = tmp_path / "needs.toml"
    path.write_text(FLIES)
    return path


def graded(needs_file: Path, concept: str, title: str, *values: tuple[str, str]) -> int:
    needs = read_needs(needs_file)
    study = Study("S-1", title, tuple(Value(field, text) for field, text in values))
    return grade(study, needs.concepts[concept], needs.fields)


def test_precision_recall_and_ndcg_are_those_of_a_hand_computed_example() -> None:
    judged = {"a": 2, "b": 1, "c": 2, "missed": 1}
    answer = Answer(("b", "wrong", "a"), frozenset({"a", "b", "c", "wrong", "wrong too"}))
    found, ideal = 1 + 0 + 3 / log2(4), 3 + 3 / log2(3) + 1 / log2(4) + 1 / log2(5)
    assert score(answer, judged) == Score(3 / 5, 3 / 4, found / ideal)


def test_ndcg_reads_twenty_hits_and_no_more() -> None:
    late = Answer((*(f"wrong {n}" for n in range(20)), "a"), frozenset({"a"}))
    assert score(late, {"a": 2}).ndcg == 0
    assert score(Answer(tuple(map(str, range(20))), frozenset()), {str(n): 1 for n in range(500)}).ndcg == 1


def test_an_empty_answer_has_no_precision_and_is_left_out_of_its_mean() -> None:
    empty = score(Answer((), frozenset()), {"a": 2})
    assert empty == Score(None, 0, 0)
    assert means([empty, Score(0.5, 1, 1)]) == Score(0.5, 0.5, 0.5)


def test_a_study_of_one_organism_is_about_it_and_one_of_two_has_it_in_part(needs_file: Path) -> None:
    fly, man = ("organism", "Drosophila melanogaster"), ("organism", "Homo sapiens")
    assert graded(needs_file, "flies", "Wings", fly) == ABOUT
    assert graded(needs_file, "flies", "Wings", fly, man) == PART
    assert graded(needs_file, "flies", "Wings", man) == 0


def test_keywords_name_the_organism_only_of_studies_that_do_not(needs_file: Path) -> None:
    assert graded(needs_file, "flies", "Wings", ("keywords", "Flies")) == ABOUT
    assert graded(needs_file, "flies", "Wings", ("keywords", "Flies"), ("organism", "Homo sapiens")) == 0
    assert graded(needs_file, "flies", "Flies", ("organism", "Homo sapiens")) == ABOUT


def test_what_only_sounds_like_it_is_blanked_out(needs_file: Path) -> None:
    assert graded(needs_file, "flies", "A dye that flies away") == 0


def test_prose_grades_one_and_a_pattern_in_capitals_minds_them(needs_file: Path) -> None:
    assert graded(needs_file, "SEM", "Wings", ("description", "seen by Electron Microscopy")) == PART
    assert graded(needs_file, "SEM", "SEM of wings") == ABOUT
    assert graded(needs_file, "SEM", "sem of wings") == 0


def test_a_need_takes_the_lowest_grade_within_its_other_concept_and_what_was_read_wins(needs_file: Path) -> None:
    fly = Value("organism", "Drosophila melanogaster")
    prose = Value("description", "electron micrographs")
    studies = {
        "S-1": Study("S-1", "Wings", (fly, prose)),
        "S-2": Study("S-2", "Electron microscopy of stones"),
        "S-9": Study("S-9", "Electron microscopy of flies", (fly,)),
    }
    needs = read_needs(needs_file)
    assert Corpus(needs, (), studies).judge(needs.needs[0]) == {"S-1": PART}


def test_an_unknown_concept_is_named(needs_file: Path) -> None:
    needs_file.write_text(FLIES + '\n[[need]]\nkind = "method"\nconcepts = ["confocl"]\n')
    with pytest.raises(BadInput, match="no concept confocl"):
        read_needs(needs_file)


def test_there_are_forty_needs_each_asked_of_every_system_in_its_own_way() -> None:
    needs = read_needs()
    assert len(needs.needs) == 40
    assert len({(need.text, need.level) for need in needs.needs}) == 40
    for need in needs.needs:
        requests = {name: system(need) for name, system in SYSTEMS.items()}
        assert len({(request.text, request.expand) for request in requests.values()}) == 4
        assert {request.level for request in requests.values()} == {need.level}
    assert {need.level for need in needs.needs} == {Level.STUDY, Level.IMAGE}
    assert {concept.name for need in needs.needs for concept in need.concepts} | {
        concept.within for concept in needs.concepts.values() if concept.within
    } == needs.concepts.keys()
    assert all(concept.means and concept.ids and concept.words for concept in needs.concepts.values())

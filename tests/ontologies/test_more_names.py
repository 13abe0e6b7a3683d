"""Hooke's own names: few, each of a term, with its source, and found beside the ontology's own."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from hooke.model import Method
from ontologies.model import Scope
from ontologies.more_names import OURS, more_names, names_of
from ontologies.names import normal, spellings
from tests.ontologies.samples import catalogue_of

METHODS = """format-version: 1.2
ontology: fbbi

[Term]
id: FBbi:00000256
name: electron microscopy

[Term]
id: FBbi:00000369
name: SPIM

[Term]
id: FBbi:00000371
name: OCT
synonym: "optical coherence tomography" EXACT []

[Term]
id: FBbi:00000364
name: obsolete light-sheet illumination
is_obsolete: true
"""


def test_every_name_has_a_term_a_scope_and_a_source() -> None:
    with files("ontologies").joinpath("more_names.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert 0 < len(rows) < 100
    for row in rows:
        assert Scope(row["scope"]) is not Scope.LABEL, row
        assert row["source"].strip(), row
        found = {each.term for each in more_names(row["name"], normal(row["name"]))}
        assert row["term"] in found, row
        assert row["name"] in {each.name for each in names_of(row["term"])}, row


def test_a_name_is_found_where_its_term_is_loaded_and_in_use(tmp_path: Path) -> None:
    (tmp_path / "fbbi.obo").write_text(METHODS)
    catalogue = catalogue_of(tmp_path, tmp_path / "fbbi.obo")
    (match,) = catalogue.find("Light-sheet microscopy")
    assert (match.term, match.method, match.score, match.scope, match.ontology) == (
        "FBbi:00000369",
        Method.EXACT_SYNONYM,
        0.88,
        Scope.EXACT,
        OURS,
    )
    assert [m.term for m in catalogue.find("EM")] == ["FBbi:00000256"]
    assert catalogue.find("em") == ()
    assert catalogue.find("yeast") == ()
    assert catalogue.find("light sheet", ("UBERON",)) == ()


def test_a_name_that_the_ontology_has_stays_its_own(tmp_path: Path) -> None:
    (tmp_path / "fbbi.obo").write_text(METHODS)
    (match,) = catalogue_of(tmp_path, tmp_path / "fbbi.obo").find("optical coherence tomography")
    assert (match.ontology, match.score) == ("fbbi", 0.9)


@pytest.mark.parametrize(
    "words",
    [
        ("tumor", "tumour", "tumors", "tumours"),
        ("fiber", "fibre", "fibers", "fibres"),
        ("esophagus", "oesophagus"),
        ("hematoxylin", "haematoxylin"),
        ("leukemia", "leukaemia"),
        ("labeled", "labelled"),
        ("localization", "localisation"),
        ("analyze", "analyse"),
        ("nucleus", "nuclei"),
        ("mouse", "mice"),
        ("larva", "larvae"),
        ("fly", "flies"),
        ("rat", "rats"),
    ],
)
def test_each_spelling_of_a_word_leads_to_all(words: tuple[str, ...]) -> None:
    for word in words:
        assert set(words) <= spellings(word), word


@pytest.mark.parametrize("word", ["p53", "hela", "virus", "analysis", "2", "ab", "gas"])
def test_a_word_is_a_spelling_of_itself(word: str) -> None:
    assert word in spellings(word)
    assert all(normal(each) == normal(word) for each in spellings(word))

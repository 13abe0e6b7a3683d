"""What words mean over everything the archives published, with the ontologies as they are released."""

import csv
from importlib.resources import files
from itertools import pairwise

import pytest

from hooke.model import Level
from hooke.request import SearchRequest, read_sort
from hooke.text import number
from ontologies.ids import key
from search_api.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def found(engine: Engine, text: str) -> set[str]:
    return {hit.id for hit in engine.search(SearchRequest(text=text, limit=10_000)).hits}


@pytest.mark.parametrize(
    ("label", "others", "least"),
    [
        ("esophagus", ("oesophagus", "Oesophagus", "gullet"), 3),
        ("hematoxylin", ("haematoxylin", "Haematoxylin"), 20),
        ("tumor", ("tumour", "tumours", "tumors"), 100),
        ("Homo sapiens", ("human", "humans", "H. sapiens"), 500),
        ("Schizosaccharomyces pombe", ("fission yeast", "S. pombe"), 9),
        ("Escherichia coli", ("E. coli",), 20),
        ("Danio rerio", ("zebrafish", "D. rerio"), 20),
        ("neuron", ("neurons",), 80),
        ("HeLa", ("HeLa cells", "HeLa cell line"), 100),
        ("SPIM", ("LSFM", "light sheet fluorescence microscopy"), 50),
        ("light sheet", ("light-sheet", "lightsheet", "light sheet microscopy"), 50),
        ("atomic force microscopy", ("AFM",), 4),
        ("evanescent wave microscopy", ("TIRF", "TIRFM", "TIRF microscopy"), 25),
    ],
)
def test_another_name_or_spelling_finds_the_same_studies(
    engine: Engine, label: str, others: tuple[str, ...], least: int
) -> None:
    expected = found(engine, label)
    assert len(expected) >= least
    for other in others:
        assert found(engine, other) == expected, other


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("light sheet", {"FBbi:00000369", "FBbi:00000364"}),
        ("HeLa cells", {"EFO:0001185"}),
        ("fission yeast", {"NCBITaxon:4896"}),
        ("E. coli", {"NCBITaxon:562"}),
        ("H&E", {"FBbi:00000041", "FBbi:00000037"}),
        ("DIC", {"FBbi:00000245"}),
        ("EM", {"FBbi:00000256"}),
        ("SIM", {"FBbi:00000332"}),
        ("PALM", {"FBbi:00000335"}),
        ("light sheet microscopy of zebrafish", {"FBbi:00000369", "FBbi:00000364", "NCBITaxon:7955"}),
    ],
)
def test_the_longest_run_of_words_names_a_term(engine: Engine, text: str, terms: set[str]) -> None:
    assert {term.id for term in engine.search(SearchRequest(text=text)).query.terms} == terms


def test_every_name_of_hookes_own_is_of_a_term_and_finds_it(engine: Engine) -> None:
    with files("ontologies").joinpath("more_names.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len({(row["name"], row["term"]) for row in rows}) == len(rows)
    for row in rows:
        if row["term"].startswith(("EFO:", "CVCL:")):
            continue  # none of this index's ontologies
        detail = engine.term(row["term"])
        assert key(str(detail["id"])) == key(row["term"]), row
        assert row["source"], row
        terms = engine.search(SearchRequest(text=row["name"], limit=1)).query.terms
        assert row["term"] in {term.id for term in terms if term.named_by == "hooke"}, row


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("sort", ["date", "-date"])
def test_records_come_by_their_dates(engine: Engine, level: Level, sort: str) -> None:
    page = engine.search(SearchRequest(level, "microscopy", sort=read_sort(sort), limit=300))
    rest = engine.search(SearchRequest(level, "microscopy", sort=read_sort(sort), limit=300, cursor=page.cursor))
    dates = []
    for hit in (*page.hits, *rest.hits)[::10]:
        texts = [str(v["text"]) for v in engine.detail(level, hit.id).values if v["field"] == "release_date"]
        dates.append(min(n for n in map(number, texts) if n is not None))
    assert all(a <= b if sort == "date" else a >= b for a, b in pairwise(dates))
    assert len({hit.id for hit in (*page.hits, *rest.hits)}) == 600

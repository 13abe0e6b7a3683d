"""What the words of a query come to mean: other names, other spellings, misspellings, words with an open end."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from string import ascii_lowercase

import pytest
from rapidfuzz.distance import OSA

from hooke.errors import BadQuery
from hooke.model import Level
from hooke.request import SearchRequest, read_conditions
from hooke.text import tokens
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine
from tests.search_api.conftest import Search

ONTOLOGY = """format-version: 1.2
ontology: {name}

"""
TERMS = {
    "ncbitaxon": """[Term]
id: NCBITaxon:562
name: Escherichia coli

[Term]
id: NCBITaxon:4896
name: Schizosaccharomyces pombe
synonym: "fission yeast" EXACT []

[Term]
id: NCBITaxon:4710
name: Arecaceae
synonym: "palm" EXACT []
""",
    "fbbi": """[Term]
id: FBbi:00000246
name: fluorescence microscopy

[Term]
id: FBbi:00000256
name: electron microscopy

[Term]
id: FBbi:00000257
name: scanning electron microscopy (SEM)
is_a: FBbi:00000256

[Term]
id: FBbi:00000335
name: PALM (photoactivation localization microscopy)

[Term]
id: FBbi:00000369
name: SPIM
is_a: FBbi:00000246

[Term]
id: FBbi:00000037
name: eosin

[Term]
id: FBbi:00000041
name: hematoxylin
""",
    "uberon": """[Term]
id: UBERON:0001043
name: esophagus
synonym: "oesophagus" EXACT []
synonym: "gullet" EXACT []
""",
    "efo": """[Term]
id: EFO:0000322
name: cell line

[Term]
id: EFO:0001185
name: HeLa
is_a: EFO:0000322
""",
    "po": """[Term]
id: PO:0009025
name: vascular leaf

[Term]
id: PO:0020038
name: petiole
relationship: part_of PO:0009025

[Typedef]
id: part_of
name: part of
""",
}
ROWS = (
    "path\tstudy\ttitle\torganism\timaging_method\tcell_line\tanatomy\tphenotype\tnotes",
    "1.png\ta\tone\tE. coli\tSPIM\t\t\t\t",
    "2.png\ta\ttwo\tfission yeast\tlight-sheet microscopy\t\t\t\t",
    "3.png\ta\tthree\t\t\tHeLa\t\t\tstained with H & E",
    "4.png\ta\tfour\t\t\t\t\t\tHeLa cells and an H bridge, E. coli too",
    "5.png\ta\tfive\t\tSEM\t\tgullet\t\tsections of two tumours",
    "6.png\ta\tsix\t\t\t\t\tpetiole\tthe tumor was removed from the esophagus",
    "7.png\ta\tseven\t\tPALM\t\t\t\ta palm of oesophagus; haematoxylin",
    "9.png\ta\tnine\t\t\t\t\t\t" + " ".join(f"qq{one}{two}" for one in ascii_lowercase for two in ascii_lowercase),
    "8.png\ta\teight\t\t\t\t\t\tEscherichia coli with hematoxylin, flourescence and fluorescence",
)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Nine images that say the same in different words."""
    root = tmp_path_factory.mktemp("named")
    (root / "pictures").mkdir()
    (root / "pictures" / "manifest.tsv").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    files = [root / f"{name}.obo" for name in TERMS]
    for file in files:
        file.write_text(ONTOLOGY.format(name=file.stem) + TERMS[file.stem], encoding="utf-8")
    run(IndexJob((root / "pictures",), root / "index", None, tuple(map(str, files))))
    with closing(Engine(root / "index", EmbedderChoice())) as engine:
        yield engine


def found(engine: Engine, text: str, *filters: str) -> str:
    chosen, _ = read_conditions(filters, ())
    return "".join(sorted(Path(hit.id).stem for hit in engine.search(SearchRequest(Level.IMAGE, text, chosen)).hits))


@pytest.mark.parametrize(
    ("texts", "images"),
    [
        (("esophagus", "oesophagus", "gullet", "Oesophagus", "UBERON:0001043 OR esophagus OR oesophagus"), "567"),
        (("tumour", "tumor", "tumours", "TUMORS"), "56"),
        (("hematoxylin", "haematoxylin", "Haematoxylin"), "78"),
        (("E. coli", "Escherichia coli", "e coli"), "148"),
        (("fission yeast", "S. pombe", "Schizosaccharomyces pombe"), "2"),
        (("HeLa", "HeLa cells", "HeLa cell line", "hela cell"), "34"),
        (("SPIM", "light sheet", "light-sheet", "lightsheet", "light sheet fluorescence microscopy", "LSFM"), "12"),
        (("electron microscopy", "EM"), "5"),
        (("scanning electron microscopy", "SEM", "SEM imaging"), "5"),
    ],
)
def test_another_name_or_spelling_finds_the_same(named: Engine, texts: tuple[str, ...], images: str) -> None:
    assert {text: found(named, text) for text in texts} == dict.fromkeys(texts, images)


def test_letters_stand_next_to_each_other(named: Engine) -> None:
    assert "3" in found(named, "H&E")
    assert "4" not in found(named, "H&E")
    assert found(named, "the H of E") == ""


def test_capitals_tell_a_method_from_a_plant(named: Engine) -> None:
    def terms(text: str) -> set[str]:
        return {term.id for term in named.search(SearchRequest(Level.IMAGE, text)).query.terms}

    assert terms("PALM") == {"FBbi:00000335"}
    assert terms("palm") == {"FBbi:00000335", "NCBITaxon:4710"}
    assert terms("EM") == {"FBbi:00000256"}
    assert terms("em") == set()


def test_a_name_of_hookes_own_is_said_to_be(named: Engine) -> None:
    report = named.search(SearchRequest(Level.IMAGE, "lightsheet")).query
    assert [(t.id, t.name, t.scope, t.named_by, t.ontology) for t in report.terms] == [
        ("FBbi:00000369", "lightsheet", "EXACT", "hooke", "fbbi")
    ]
    report = named.search(SearchRequest(Level.IMAGE, "gullet")).query
    assert [(t.name, t.scope, t.named_by) for t in report.terms] == [("gullet", "EXACT", "uberon")]


def test_other_names_and_spellings_are_off_without_expansion(named: Engine) -> None:
    def hits(text: str) -> int:
        return named.search(SearchRequest(Level.IMAGE, text, expand=())).total

    assert (hits("tumour"), hits("tumours"), hits("esophagus"), hits("lightsheet")) == (0, 1, 1, 0)


def test_a_not_excludes_other_names_too(named: Engine) -> None:
    assert found(named, "NOT oesophagus") == "123489"


def test_a_phrase_is_literal(named: Engine) -> None:
    assert found(named, '"tumour"') == ""
    assert found(named, '"tumours"') == "5"
    assert found(named, '"lightsheet"') == ""


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("phenotype:petiole", ()),
        ("phenotype:(vascular leaves)", ()),
        ("", ("phenotype=petiole",)),
        ("", ("phenotype=vascular leaf",)),
    ],
)
def test_a_field_is_searched_by_the_names_of_terms_that_its_records_have(
    named: Engine, text: str, filters: tuple[str, ...]
) -> None:
    """Grounding puts a plant's organ under phenotype, whose own ontologies do not have it."""
    assert found(named, text, *filters) == "6"
    assert found(named, "phenotype:esophagus") == ""


def test_a_reason_by_another_name_tells_it(named: Engine) -> None:
    hits = {Path(hit.id).stem: hit for hit in named.search(SearchRequest(Level.IMAGE, "esophagus")).hits}
    (reason,) = hits["7"].why
    assert (reason.kind, reason.words, reason.name, reason.scope) == ("text", ("oesophagus",), "", "")
    hits = {Path(hit.id).stem: hit for hit in named.search(SearchRequest(Level.IMAGE, "gullet")).hits}
    (reason,) = hits["6"].why
    assert (reason.kind, reason.words, reason.name, reason.scope) == ("text", ("esophagus",), "esophagus", "LABEL")


@pytest.mark.parametrize("text", ["flourescence~", "mos~", "brian~2", "musculus~1", "trp5~", "notes:lihgt~", "zzzzzz~"])
def test_a_fuzzy_word_stands_for_the_indexed_words_so_near(engine: Engine, search: Search, text: str) -> None:
    field, _, word = text.rpartition(":")
    word, _, given = word.partition("~")
    edits = int(given or (1 if len(word) < 6 else 2))
    everything = engine.search(SearchRequest(Level.IMAGE, limit=1_000)).hits
    held = {
        hit.id: {
            token
            for value in engine.detail(Level.IMAGE, hit.id).values
            if field in ("", value["field"])
            for token in tokens(str(value["text"]))
        }
        for hit in everything
    }
    near = {
        token for token in set().union(*held.values()) if token[0] == word[0] and OSA.distance(token, word) <= edits
    }
    answer = search(text)
    assert {hit.id for hit in answer.hits} == {key for key, words in held.items() if words & near}
    ((shown, words),) = [(expansion.text, expansion.words) for expansion in answer.query.expansions]
    assert (shown, set(words)) == (f"{word}~{edits}", near)


def test_a_fuzzy_word_has_at_most_400_words(named: Engine) -> None:
    assert found(named, "qqaa~1") == "9"
    with pytest.raises(BadQuery, match="more than 400") as refused:
        found(named, "qqaa~2")
    assert refused.value.status == 400


def test_did_you_mean_is_never_applied(search: Search) -> None:
    answer = search("flourescence")
    assert (answer.total, answer.query.understood) == (0, "flourescence")
    assert answer.query.suggestions


def test_the_answer_says_how_a_query_was_read(search: Search) -> None:
    assert search("mouse  OR brain (heart OR -cell)").query.understood == "mouse OR brain AND (heart OR NOT cell)"
    assert search("p53 +/-").query.understood == "p53"
    assert search("").query.understood == "*"

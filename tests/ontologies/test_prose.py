"""What free text names, and what only looks like a name; small ontologies written for the purpose."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ontologies.catalogue import Catalogue
from ontologies.prose import Tagger
from tests.ontologies.samples import catalogue_of, obo

TERMS: dict[str, tuple[str, ...]] = {
    "ncbitaxon.obo": (
        "NCBITaxon:9606|Homo sapiens|human",
        "NCBITaxon:10090|Mus musculus|house mouse;mouse",
        "NCBITaxon:9986|Oryctolagus cuniculus|rabbit",
        "NCBITaxon:50557|Insecta|",
        "NCBITaxon:7215|Drosophila||NCBITaxon:50557",
        "NCBITaxon:7227|Drosophila melanogaster||NCBITaxon:7215",
        "NCBITaxon:562|Escherichia coli|E. coli",
        "NCBITaxon:4932|Saccharomyces cerevisiae|",
        "NCBITaxon:6754|Cancer|",
        "NCBITaxon:9685|Felis catus|cat",
        "NCBITaxon:species|species|",
    ),
    "cl.obo": (
        "CL:0000540|neuron|nerve cell",
        "CL:0000084|T cell|T-cell;T lymphocyte",
        "CL:0000057|fibroblast|",
        "CL:0002609|brain fibroblast|",
        "CL:0000000|cell|",
    ),
    "uberon.obo": (
        "UBERON:0000955|brain|",
        "UBERON:0002107|liver|",
        "UBERON:0002113|kidney|",
        "UBERON:0001016|nervous system|",
        "UBERON:0022364|occipital fusiform gyrus|OF",
        "UBERON:0000033|head|",
    ),
    "fbbt.obo": ("FBbt:00001778|wing disc|", "FBbt:00005106|nerve net|"),
    "go.obo": (
        "GO:0005575|cellular_component|",
        "GO:0008150|biological_process|",
        "GO:0003674|molecular_function|",
        "GO:0005783|endoplasmic reticulum|ER|GO:0005575",
        "GO:0005634|nucleus|cell nucleus|GO:0005575",
        "GO:0005694|chromosome||GO:0005575",
        "GO:0003779|actin binding||GO:0003674",
        "GO:0015629|actin||GO:0005575",
        "GO:0009566|fertilization||GO:0008150",
        "GO:0006914|autophagy||GO:0008150",
    ),
    "doid.obo": (
        "DOID:162|cancer|",
        "DOID:1612|breast cancer|breast tumour",
        "DOID:9169|Wiskott-Aldrich syndrome|WAS",
        "DOID:3070|glioma|",
    ),
    "fbbi.obo": (
        "FBbi:00000222|imaging method|",
        "FBbi:00000241|microscopy||FBbi:00000222",
        "FBbi:00000251|confocal microscopy||FBbi:00000241",
        "FBbi:00000256|electron microscopy||FBbi:00000241",
        "FBbi:00000257|scanning electron microscopy (SEM)||FBbi:00000256",
        "FBbi:00000369|SPIM||FBbi:00000241",
        "FBbi:00000059|Nile red|",
    ),
    "efo.obo": (
        "EFO:0001639|cancer cell line|",
        "EFO:0001185|HeLa||EFO:0001639",
        "EFO:0002869|U2OS|U-2 OS|EFO:0001639",
        "EFO:0022746|MDCK||EFO:0001639",
    ),
    "cvcl.obo": ("CVCL:S361|C|", "CVCL:1675|SAS|", "CVCL:0062|MDA-MB-231|", "CVCL:B777|YAP|"),
    "pato.obo": ("PATO:0001236|wild type|",),
}


def frame(line: str) -> str:
    term, name, synonyms, *parents = line.split("|")
    lines = [f"[Term]\nid: {term}\nname: {name}"]
    lines += [f'synonym: "{synonym}" EXACT []' for synonym in synonyms.split(";") if synonym]
    lines += [f"is_a: {parent}" for parent in parents]
    return "\n".join(lines) + "\n\n"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tagger]:
    folder: Path = tmp_path_factory.mktemp("prose")
    files = [obo(folder, "".join(map(frame, terms)), name) for name, terms in TERMS.items()]
    with closing(catalogue_of(folder, *files)) as catalogue:
        yield Tagger(catalogue)


def found(tagger: Tagger, text: str) -> list[tuple[str, str]]:
    """The words that were tagged, and their terms."""
    return [(text[tag.start : tag.end], tag.term) for tag in tagger.tag(text)]


def test_a_tag_says_field_term_score_and_characters(tagger: Tagger) -> None:
    text = "Größe im *brain* gemessen"
    (tag,) = tagger.tag(text)
    assert (tag.field, tag.term, tag.label) == ("anatomy", "UBERON:0000955", "brain")
    assert (tag.start, tag.end) == (text.index("brain"), text.index("brain") + 5)
    assert 0 < tag.score < 0.95


def test_offsets_count_characters_also_where_accents_are_apart(tagger: Tagger) -> None:
    text = "Mu\u0308ller cells in \U0001f9e0 brain"
    assert found(tagger, text) == [("brain", "UBERON:0000955")]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Breast cancer cells", [("Breast cancer", "DOID:1612")]),
        ("breast tumor", [("breast tumor", "DOID:1612")]),
        ("actin binding in brain", [("brain", "UBERON:0000955")]),
        ("T cell", [("T cell", "CL:0000084")]),
        ("T-cells and neurons", [("T-cells", "CL:0000084"), ("neurons", "CL:0000540")]),
        ("a cell T of type T", []),
        ("brainstorming, rebrain", []),
        ("nerve; cell", []),
        ("the cell nucleus", [("cell nucleus", "GO:0005634")]),
    ],
)
def test_the_longest_name_on_word_boundaries_counts(tagger: Tagger, text: str, terms: list[tuple[str, str]]) -> None:
    assert found(tagger, text) == terms


def test_the_name_of_a_line_is_longer_than_the_organ_in_it(tagger: Tagger) -> None:
    for text in ("Madin-Darby canine kidney", "Madin Darby Canine Kidney Cells"):
        assert found(tagger, text) == [(text, "EFO:0022746")]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("U-2 OS brain fibroblasts", []),
        ("HeLa S-3 brain fibroblasts", []),
        ("HeLa brain fibroblasts", []),
        ("HeLa fibroblasts", ["fibroblasts"]),
        ("HeLa, brain fibroblasts", ["brain fibroblasts"]),
        ("HeLa with brain fibroblasts", ["brain fibroblasts"]),
        ("brain fibroblasts", ["brain fibroblasts"]),
    ],
)
def test_an_organ_s_cells_behind_a_line_only_say_what_the_line_is(tagger: Tagger, text: str, cells: list[str]) -> None:
    tags = tagger.tag(text)
    assert [text[tag.start : tag.end] for tag in tags if tag.field == "cell_type"] == cells
    assert [tag.field for tag in tags if tag.field != "cell_type"] == ["cell_line"] * text.startswith(("U", "H"))


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("D. melanogaster", "NCBITaxon:7227"),
        ("D.melanogaster", "NCBITaxon:7227"),
        ("S. cerevisiae", "NCBITaxon:4932"),
        ("E. coli", "NCBITaxon:562"),
        ("budding yeast", "NCBITaxon:4932"),
        ("mice", "NCBITaxon:10090"),
        ("electron micrographs", "FBbi:00000256"),
        ("confocal microscope", "FBbi:00000251"),
        ("confocal images", "FBbi:00000251"),
        ("light-sheet imaging", "FBbi:00000369"),
        ("SEM", "FBbi:00000257"),
        ("U-2 OS", "EFO:0002869"),
        ("U_2 OS", "EFO:0002869"),
        ("HELA", "EFO:0001185"),
    ],
)
def test_other_spellings_find_the_term(tagger: Tagger, text: str, term: str) -> None:
    assert [tag.term for tag in tagger.tag(f"We saw {text} there")] == [term]


def test_an_abbreviation_stands_for_what_the_text_explains(tagger: Tagger) -> None:
    text = "The endoplasmic reticulum (ER) moves; ER exit."
    assert found(tagger, text) == [
        ("endoplasmic reticulum", "GO:0005783"),
        ("ER", "GO:0005783"),
        ("ER", "GO:0005783"),
    ]
    assert found(tagger, "ER exit") == []
    assert found(tagger, "estrogen receptors (ER) of breast cancer: ER") == [("breast cancer", "DOID:1612")]


@pytest.mark.parametrize(
    "text",
    [
        "no glioma",
        "no visible glioma was seen",
        "without any glioma",
        "absence of neurons",
        "lack of autophagy",
        "non-neuron",
        "glioma-free",
        "neuron-like",
        "wild type control",
        "neither glioma",
    ],
)
def test_what_is_denied_is_not_named(tagger: Tagger, text: str) -> None:
    assert found(tagger, text) == []


def test_a_denial_reaches_no_further_than_its_clause(tagger: Tagger) -> None:
    assert found(tagger, "No drug. The brain") == [("brain", "UBERON:0000955")]
    assert found(tagger, "not only glioma") == [("glioma", "DOID:3070")]


@pytest.mark.parametrize(
    "text",
    [
        "it WAS there, it was",
        "the CAT gene and cat. no. 5",
        "OF course of it",
        "species of the order",
        "the head of department",
        "imaged at 37 °C. C cells",
        "YAP and SAS",
        "anti-mouse secondary",
        "rabbit anti-GFP",
        "mouse monoclonal IgG",
        "rabbit polyclonal antibody",
        "fibroblast growth factor",
        "actin-binding",
        "recombinant human",
        "human annotators",
        "Brain Research Institute",
        "two days post fertilization",
        "0.5 ± SEM",
        "Nile red",
        "https://brain.org/liver and brain.tif",
    ],
)
def test_traps(tagger: Tagger, text: str) -> None:
    assert found(tagger, text) == []


def test_one_character_that_is_two_words_stops_nothing(tagger: Tagger) -> None:
    text = "Mu\u0308ller's neuron at \u00bd strength"
    assert [text[tag.start : tag.end] for tag in tagger.tag(text)] == ["neuron"]


def test_addresses_and_file_names_name_nothing(tagger: Tagger) -> None:
    assert not tagger.tag("see https://example.org/brain, brain@example.org or data/brain.tif")


def test_a_name_that_two_kingdoms_share_is_not_believed(tmp_path: Path) -> None:
    frames = ("NCBITaxon:7625|Echinops <placentals>|Echinops", "NCBITaxon:9606|Homo sapiens|human")
    with closing(catalogue_of(tmp_path, obo(tmp_path, "".join(map(frame, frames))))) as catalogue:
        assert not Tagger(catalogue).tag("Flower heads of Echinops.")


def test_the_crab_is_not_the_disease(tagger: Tagger) -> None:
    assert found(tagger, "Cancer and cancers") == [("Cancer", "DOID:162"), ("cancers", "DOID:162")]


def test_a_line_that_only_cellosaurus_has_needs_cells_beside_it(tagger: Tagger) -> None:
    assert found(tagger, "SAS cells, MDA-MB-231") == [("SAS", "CVCL:1675"), ("MDA-MB-231", "CVCL:0062")]


def test_flies_speak_only_where_there_are_flies(tagger: Tagger) -> None:
    assert found(tagger, "the wing disc") == []
    assert found(tagger, "the wing disc of Drosophila")[0] == ("wing disc", "FBbt:00001778")
    assert [tag.term for tag in tagger.tag("the wing disc", frozenset({"NCBITaxon:7227"}))] == ["FBbt:00001778"]


def test_without_ontologies_nothing_is_named() -> None:
    assert Tagger(Catalogue("", None)).tag("human brain in E. coli (EC) U-2 OS") == ()


@pytest.mark.parametrize(
    ("name", "terms", "read"),
    [
        ("kidney", ("UBERON:0002113",), True),
        ("Kidneys", ("UBERON:0002113",), True),
        ("kidney", ("UBERON:0000955",), False),
        ("elongated", ("PATO:0001154",), False),
        ("Cells", ("CL:0000000",), False),
        ("screen", (), False),
    ],
)
def test_a_name_is_read_where_a_text_of_it_names_the_term(
    tagger: Tagger, name: str, terms: tuple[str, ...], read: bool
) -> None:
    assert tagger.reads(name, terms) == read

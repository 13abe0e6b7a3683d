"""Reading query text: what is an operator, a field, an id, a word, and where reading stops."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.errors import BadQuery
from hooke.query import And, Everything, Fuzzy, Node, Not, Or, Phrase, Prefix, Range, TermRef, Text
from hooke.query_print import print_query
from hooke.query_text import Vocabulary, read_query
from hooke.text import tokens

FIELDS = ("organism", "year", "title")
VOCABULARY = Vocabulary(
    lambda name: name.casefold() if name.casefold() in FIELDS else None,
    lambda text: text.casefold().startswith(("fbbi:", "fbbi_")) and text[5:].isdigit(),
)

_MARKS = ("AND", "OR", "NOT", "TO", "<=", "||", "&&", *'()"[]{}:*?~^+-!/\\<>  \n')
_WORDS = ("organism", "year", "p53", "light", "microscopy", "FBbi:1", "2020")
SYNTAX = st.lists(st.sampled_from((*_MARKS, *_WORDS)), max_size=12).map("".join)


def read(text: str) -> Node:
    return read_query(text, VOCABULARY, strict=True).node


def refusal(text: str) -> BadQuery | None:
    try:
        read(text)
    except BadQuery as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", Everything()),
        ("*", Everything()),
        ("light microscopy", Text(("light", "microscopy"))),
        ("light AND microscopy", And((Text(("light",)), Text(("microscopy",))))),
        (
            "electron microscopy OR light-sheet",
            Or((Text(("electron", "microscopy")), Text(("light-sheet",)))),
        ),
        ("a OR b AND c", Or((Text(("a",)), And((Text(("b",)), Text(("c",))))))),
        ("(a OR b) c", And((Or((Text(("a",)), Text(("b",)))), Text(("c",))))),
        ("mouse NOT brain", And((Text(("mouse",)), Text(("brain",), None, True)))),
        ("-brain", Text(("brain",), None, True)),
        ("NOT (a OR b)", Not(Or((Text(("a",)), Text(("b",)))))),
        ('"Light Microscopy"', Phrase(("light", "microscopy"))),
        ("mito*", Prefix("mito")),
        ("Mito*", Prefix("mito")),
        ("organism:mouse", Text(("mouse",), "organism")),
        ("organism:(mouse OR rat)", Or((Text(("mouse",), "organism"), Text(("rat",), "organism")))),
        ('organism:"mus musculus"', Phrase(("mus", "musculus"), "organism")),
        ("organism:mus*", Prefix("mus", "organism")),
        ("year:[2019 TO 2021]", Range("year", 2019.0, 2021.0)),
        ("year:{2019 TO 2021]", Range("year", 2019.0, 2021.0, include_low=False)),
        ("year:[2019 TO *]", Range("year", 2019.0, None)),
        ("year:[-24.5 TO -3]", Range("year", -24.5, -3.0)),
        ("year:{-24.5 TO *]", Range("year", -24.5, None, include_low=False)),
        ("year:[2019-05-30 TO 2021]", Range("year", 20190530.0, 2021.0)),
        ("year:>=2019", Range("year", low=2019.0)),
        ("year:<2019", Range("year", high=2019.0, include_high=False)),
        ("FBbi:246", TermRef("FBbi:246")),
        ("http://purl.obolibrary.org/obo/FBbi_246", TermRef("FBbi:246")),
        ("title:FBbi:246", TermRef("FBbi:246", "title")),
        ("10:30", Text(("10", "30"))),
        ("nucleus: DAPI", Text(("nucleus", "DAPI"))),
        ("at 10:30 today", Text(("at", "10", "30", "today"))),
        ("Mous~", Fuzzy("mous", 1)),
        ("flourescence~", Fuzzy("flourescence", 2)),
        ("flourescence~1", Fuzzy("flourescence", 1)),
        ("title:(müs~2 OR rat)", Or((Fuzzy("mus", 2, "title"), Text(("rat",), "title")))),
        ("two mous~ here", And((Text(("two",)), Fuzzy("mous", 1), Text(("here",))))),
        (r"mito\*", Text(("mito*",))),
        (r"H\&E a\ b", Text(("H&E", "a b"))),
        ("a OR !", Text(("a",))),
        ("!!", Everything()),
    ],
)
def test_text_is_read_as(text: str, node: Node) -> None:
    assert read(text) == node


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("p53 +/-", 5),
        ("p53 AND", 7),
        ("(p53", 4),
        ("p53)", 3),
        ('"open', 0),
        ("http://purl.obolibrary.org/obo/FBbi_246 AND +/-", 45),
        ("[1 TO 2]", 0),
        ("organism:[a TO b]", 10),
    ],
)
def test_strict_reading_names_the_position(text: str, position: int) -> None:
    with pytest.raises(BadQuery, match=f"position {position}:") as refused:
        read(text)
    assert refused.value.position == position


@pytest.mark.parametrize("text", ["p53 +/-", '"p53', "(p53", "p53 AND", "p53)", "[p53", "p53 [1 TO"])
def test_unparsed_text_is_its_words_with_a_notice(text: str) -> None:
    reading = read_query(text, VOCABULARY)
    assert isinstance(reading.node, Text)
    assert reading.node.words[0] == "p53"
    assert len(reading.notices) == 1
    assert "searched as plain words" in reading.notices[0]


@pytest.mark.parametrize("text", ["mouse^2", "mouse~3", "mouse~0.5", "mouse~0", "light-sheet~"])
def test_a_mark_that_is_not_supported_is_ignored_with_a_notice(text: str) -> None:
    reading = read_query(text, VOCABULARY)
    assert reading.node == Text((re.split("[~^]", text)[0],))
    assert "not supported" in reading.notices[0]
    with pytest.raises(BadQuery, match="not supported"):
        read(text)


def test_how_near_words_of_a_phrase_are_is_ignored_with_a_notice() -> None:
    reading = read_query('"mouse brain"~3', VOCABULARY)
    assert reading.node == Phrase(("mouse", "brain"))
    assert "not supported" in reading.notices[0]


@pytest.mark.parametrize("text", ["p53~1.2.3", "p53^.", "p53~..", '"p53"~9.9.9'])
def test_a_mark_with_a_number_that_is_none_is_searched_as_words(text: str) -> None:
    reading = read_query(text, VOCABULARY)
    assert isinstance(reading.node, Text)
    assert "number that is none" in reading.notices[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(" * 60 + "p53" + ")" * 60, "inside each other"),
        ("NOT " * 600 + "p53", "500 words"),
        (" OR ".join(f"w{n}" for n in range(600)), "500 words"),
        (" OR ".join(f"w{n}" for n in range(10_000)), "20,000 characters"),
        ("p" * 30_000, "20,000 characters"),
        ("mouse *ouse", "begin with"),
        ("title:?ouse", "begin with"),
        ("/(a+)+$/", "regular expressions"),
        ("mouse AND /[a-z]{1,99999}/", "regular expressions"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_what_nobody_types_is_refused_before_it_is_read(text: str, reason: str, strict: bool) -> None:
    with pytest.raises(BadQuery, match=reason) as caught:
        read_query(text, VOCABULARY, strict=strict)
    assert caught.value.position is not None


@pytest.mark.parametrize(
    "text", ["*", '"what is *this"', "H&E?", "and/or", "/data/images", "mito*", "(" * 40 + "p53" + ")" * 40]
)
def test_what_people_paste_is_not_refused(text: str) -> None:
    read_query(text, VOCABULARY)


@given(st.text() | SYNTAX)
def test_strict_reading_raises_nothing_but_bad_query(text: str) -> None:
    refused = refusal(text)
    if refused is not None:
        assert refused.position is not None
        assert 0 <= refused.position <= len(text)
        assert "\n" not in str(refused)


@given(st.text() | SYNTAX)
def test_lenient_reading_raises_only_for_open_starts_and_patterns(text: str) -> None:
    with contextlib.suppress(BadQuery):
        reading = read_query(text, VOCABULARY)
        assert all("\n" not in notice for notice in reading.notices)
        return
    assert re.search(r"[*?]\w|/", text)


@pytest.mark.parametrize("text", ["HeLa - GFP", "HeLa + GFP", "- HeLa GFP", "HeLa GFP -"])
def test_a_dash_by_itself_is_punctuation(text: str) -> None:
    assert read(text) == Text(("HeLa", "GFP"))


@pytest.mark.parametrize("text", ["rodents, light-sheet", "rodents light-sheet;", "rodents,; light-sheet,"])
def test_a_mark_between_words_is_no_part_of_a_word(text: str) -> None:
    assert read(text) == Text(("rodents", "light-sheet"))
    assert read("1,2-dichloroethane") == Text(("1,2-dichloroethane",))
    assert read("FBbi:00000246, year:[2019 TO 2021]; mito*,") == read("FBbi:00000246 year:[2019 TO 2021] mito*")


plain_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(
    lambda word: (
        bool(tokens(word)) and not re.search(r"[\n\ud800-\udfff]|[,;](\s|$)", word) and not VOCABULARY.is_id(word)
    )
)
token_texts = st.sampled_from(["mouse", "p53", "2", "müs"]).map(lambda text: tokens(text)[0]) | st.text(
    "abü3", min_size=1, max_size=4
).map(lambda text: tokens(text)[0])
maybe_field = st.none() | st.sampled_from(FIELDS)
bounds = st.none() | st.floats(-1e20, 1e20) | st.integers(-5, 20301231).map(float)
texts = st.builds(Text, st.lists(plain_words, min_size=1, max_size=3).map(tuple), maybe_field, st.booleans())
atoms: st.SearchStrategy[Node] = st.one_of(
    st.just(Everything()),
    texts,
    st.builds(Phrase, st.lists(token_texts, min_size=1, max_size=3).map(tuple), maybe_field),
    st.builds(Prefix, token_texts, maybe_field),
    st.builds(Fuzzy, token_texts, st.sampled_from([1, 2]), maybe_field),
    st.builds(TermRef, st.sampled_from(["FBbi:246", "fbbi:1"]), maybe_field),
    st.builds(Range, st.sampled_from(FIELDS), bounds, bounds, st.booleans(), st.booleans()),
)


trees: st.SearchStrategy[Node] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)


@given(trees)
def test_a_printed_tree_reads_as_that_tree(node: Node) -> None:
    assert read(print_query(node)) == node


@given(st.text() | SYNTAX)
def test_whatever_is_read_prints_as_text_that_reads_the_same(text: str) -> None:
    try:
        node = read_query(text, VOCABULARY).node
    except BadQuery:
        return
    printed = print_query(node)
    assert read(printed) == node
    assert print_query(read(printed)) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("  mouse   brain ", "mouse brain"),
        ("a OR b AND c", "a OR b AND c"),
        ("(a OR b) c", "(a OR b) AND c"),
        ("mouse NOT brain heart", "mouse AND NOT brain heart"),
        ("NOT (light microscopy)", "NOT (light microscopy)"),
        ("year:>=2019", "year:[2019 TO *]"),
        ("organism:(mus AND musculus)", "organism:mus AND organism:musculus"),
        ("light-sheet 10:30", "light-sheet 10 30"),
        ("http://purl.obolibrary.org/obo/FBbi_246", "FBbi:246"),
        ("p53 +/-", "p53"),
    ],
)
def test_a_query_is_printed_as(text: str, printed: str) -> None:
    assert print_query(read_query(text, VOCABULARY).node) == printed

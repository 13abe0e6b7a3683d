"""Reading query text: what is an operator, a field, an id, a word, and where reading stops."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.errors import BadQuery
from hooke.query import And, Everything, Node, Not, Or, Phrase, Prefix, Range, TermRef, Text
from hooke.query_text import Vocabulary, read_query

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


def test_a_mark_that_is_not_supported_is_ignored_with_a_notice() -> None:
    reading = read_query("mouse~2", VOCABULARY)
    assert reading.node == Text(("mouse",))
    assert "not supported" in reading.notices[0]
    with pytest.raises(BadQuery, match="not supported"):
        read("mouse~2")


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

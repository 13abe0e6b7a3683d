"""The analyser: what counts as the same word, the same value, and a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.text import MAX_TOKEN, fold, number, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Light-sheet", ("light", "sheet")),
        ("Müller MÜLLER Mu\u0308ller", ("muller", "muller", "muller")),
        ("Straße ﬁne ℌ", ("strasse", "fine", "h")),
        ("H2O_2 p53+/-", ("h2o", "2", "p53")),
        ("细胞 клетка", ("细胞", "клетка")),
        ("", ()),
        ("_-+ \n", ()),
    ],
)
def test_a_text_has_these_words(text: str, words: tuple[str, ...]) -> None:
    assert tokens(text) == words


@given(st.text())
def test_words_are_their_own_words(text: str) -> None:
    words = tokens(text)
    assert tokens(" ".join(words)) == words


@given(st.text())
def test_case_does_not_change_ascii_words(text: str) -> None:
    plain = text.encode("ascii", "ignore").decode()
    assert tokens(plain.upper()) == tokens(plain.lower())


@given(st.integers(MAX_TOKEN + 1, 5000))
def test_a_long_word_is_cut_and_stays_itself(length: int) -> None:
    (cut,) = tokens("a" * length)
    assert len(cut) <= MAX_TOKEN
    assert tokens("a" * length) != tokens("a" * (length + 1))


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("text", ["", "1,5", "1 2", "inf", "nan", "1e999", "0x10", "2021-13", "12px", "--1"])
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [(" 17 ", 17.0), ("-.5", -0.5), ("2021-05-30t10:00:00z", 20210530.0), ("\u00b2", 2.0)]
)
def test_what_is_a_number(text: str, value: float) -> None:
    assert number(text) == value

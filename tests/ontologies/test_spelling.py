"""Names like a text are found among the pairs of letters that they share, as comparing all of them would find them."""

import random

import pytest
from rapidfuzz import process

from ontologies.lookup import MISSPELT, SAME_WORDS
from ontologies.spelling import build_spellings

WORDS = ("fluorescence", "microscopy", "mus", "musculus", "Größe", "cell", "of", "the", "brain", "α", "HeLa", "spinal")
NAMES = tuple(sorted({" ".join(random.Random(n).choices(WORDS, k=n % 4 + 1)).casefold() for n in range(400)}))
SPELLINGS = build_spellings([(name, prefix) for name in NAMES for prefix in ("A", "B", "A")])


def misspelt(name: str, dice: random.Random) -> str:
    """A name with a letter in six left out, changed, doubled, or changed round with the next."""
    letters = list(name)
    for _ in range(1 + len(letters) // 7):
        at = dice.randrange(len(letters))
        letters[at : at + 2] = dice.choice(
            (
                letters[at + 1 : at + 2],
                ["x", *letters[at + 1 : at + 2]],
                [letters[at], *letters[at : at + 2]],
                letters[at : at + 2][::-1],
            )
        )
        if not letters:
            return name
    return "".join(letters)


@pytest.mark.parametrize("seed", range(60))
def test_a_misspelt_name_is_found_as_comparing_all_names_finds_it(seed: int) -> None:
    dice = random.Random(seed)
    text = misspelt(dice.choice(NAMES), dice)
    compared = process.extract(text, NAMES, scorer=MISSPELT.scorer, score_cutoff=MISSPELT.cutoff, limit=None)
    assert dict(SPELLINGS.like(text, MISSPELT, None, 1_000)) == {name: score for name, score, _ in compared}


def test_words_in_another_order_are_found() -> None:
    found = SPELLINGS.like("microscopy fluorescence brain", SAME_WORDS, {"B"}, 3)
    assert set(found[0][0].split()) == {"microscopy", "fluorescence", "brain"}


def test_names_of_other_prefixes_are_not_compared() -> None:
    assert SPELLINGS.like("fluorescence", MISSPELT, {"C"}, 3) == []
    assert SPELLINGS.like("", MISSPELT, None, 3) == []
    assert build_spellings([]).like("brain", MISSPELT, None, 3) == []

"""The one analyser: every store indexes, and every query is read as, the tokens made here."""

import re
import unicodedata
from hashlib import blake2b

_WORD = re.compile(r"[^\W_]+")
MAX_TOKEN = 200

MAX_DIGITS = 9


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text in order: case folded, accents removed, split at everything but letters and digits.

    A word of more than 200 characters keeps its first 180 and a digest, so that it fits any keyword field.

    >>> tokens("Light-sheet imaging of *Müller* cells, S-BIAD12")
    ('light', 'sheet', 'imaging', 'of', 'muller', 'cells', 's', 'biad12')
    """
    plain = _plain(text)
    words = _WORD.findall(plain)
    if len(plain) > MAX_TOKEN:
        words = [word if len(word) <= MAX_TOKEN else _shorten(word) for word in words]
    return tuple(words)


def located(text: str) -> tuple[tuple[str, int, int], ...]:
    r"""The words of a text as `tokens` makes them, none shortened, each with where it starts and ends in the text.

    >>> located("*Mu\u0308ller* li")
    (('muller', 1, 8), ('li', 10, 12))
    """
    folded = [_plain(character) for character in text]
    places = [place for place, characters in enumerate(folded) for _ in characters]
    ends = [*places, len(text)]
    return tuple(
        # an accent that was folded away ends with its word; one character may hold two words: ½ is 1 and 2
        (found.group(), places[found.start()], max(ends[found.end()], places[found.end() - 1] + 1))
        for found in _WORD.finditer("".join(folded))
    )


def fold(text: str) -> str:
    r"""The form in which two values are the same value: compatible characters, case and spacing do not count.

    >>> fold("  CC BY\t4.0 ")
    'cc by 4.0'
    """
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def number(text: str) -> float | None:
    """The number a value stands for, or None; an ISO date is the number YYYYMMDD, so that dates compare.

    >>> number("17"), number("1e-3"), number("2021-05-30"), number("Not Applicable"), number("nan")
    (17.0, 0.001, 20210530.0, None, None)

    Values that fold alike are one number, whichever of them was seen first: `²` is 2.
    """
    stripped = fold(text).upper().strip()
    if stripped[:1].isalpha():
        return None
    date = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})(?:T.*)?", stripped)
    if date:
        return float("".join(date.groups()))
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", stripped):
        return None
    value = float(stripped)
    return value if value not in (float("inf"), float("-inf")) else None


def whole_number(text: str) -> int | None:
    """The number that at most MAX_DIGITS ASCII digits stand for, or None.

    >>> whole_number("512"), whole_number("٣"), whole_number("9" * 5000)
    (512, None, None)

    Without a limit a number of 5,000 digits is an error of Python's.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    # casefold again: NFKD can bring capitals back (ℌ -> H)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _shorten(word: str) -> str:
    return word[:180] + blake2b(word.encode(), digest_size=10).hexdigest()

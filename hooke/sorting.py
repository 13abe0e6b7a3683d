"""What records are sorted by beside relevance: one text for a record and an order, the same in every store.

    date    `release_date`, else the start of `year`; the earliest where there are several
    title   its words, without case, accents and punctuation; numbers in them by their size: A2 before A10
    size    of a study `size_bytes`, the largest; of an image its pixels: size_x · size_y · size_z · size_c · size_t

Records without the value are last in either direction; ties go by ordinal.
"""

import re
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hooke.model import Level
from hooke.query import SortKey
from hooke.text import number, tokens

_RELEASED, _YEAR, _BYTES = "release_date", "year", "size_bytes"
_AXES = ("size_x", "size_y", "size_z", "size_c", "size_t")
_LONGEST_TITLE = 200
_DIGITS = re.compile(r"[0-9]+")
_SPARE_DIGITS = 20

Floats = npt.NDArray[np.float64]


def sort_fields(key: SortKey, level: Level) -> tuple[str, ...]:
    """The fields whose numbers make a record's place in an order; none for the title."""
    match key:
        case SortKey.DATE:
            return _RELEASED, _YEAR
        case SortKey.SIZE:
            return (_BYTES,) if level is Level.STUDY else _AXES
    return ()


def field_number(field: str, texts: Iterable[str]) -> float:
    """The number that a record's values in a field come to; NaN for none."""
    # fold, since stores keep one spelling of values that differ in case: 2020-05-30t00 is that date too
    found = [n for n in (number(text) for text in texts) if n is not None]
    if not found:
        return float("nan")
    if field == _YEAR:
        return min(found) * 10_000
    return min(found) if field == _RELEASED else max(found)


def combined(key: SortKey, level: Level, numbers: Sequence[Floats]) -> Floats:
    """The number that records are sorted by, from those of `sort_fields` in their order; NaN for none."""
    if key is SortKey.DATE:
        released, year = numbers
        return np.where(np.isnan(released), year, released)
    if level is Level.STUDY:
        return numbers[0]
    x, y, *others = numbers
    return np.asarray(np.multiply.reduce([x, y, *(np.where(np.isnan(axis), 1.0, axis) for axis in others)]))


def sort_keys(level: Level, title: str, values: Mapping[str, Collection[str]]) -> dict[str, str]:
    """One record's texts by order, each of which sorts as the record does; an order in which it has none is left out.

    values: the texts of the record's fields, those of `sort_fields` at least.
    """
    keys = {str(SortKey.TITLE): title_key(title)}
    for key in (SortKey.DATE, SortKey.SIZE):
        fields = sort_fields(key, level)
        if any(field in values for field in fields):
            numbers = tuple(field_number(field, values.get(field, ())) for field in fields)
            keys[str(key)] = _number_text(key, level, numbers)
    return {key: text for key, text in keys.items() if text}


@lru_cache(maxsize=1 << 14)
def _number_text(key: SortKey, level: Level, numbers: tuple[float, ...]) -> str:
    found = float(combined(key, level, [np.array(n) for n in numbers]))
    return "" if np.isnan(found) else number_key(found)


def title_key(title: str) -> str:
    """A title as it is sorted; "" for one without words.

    >>> sorted(["Well A10", "(well) a2", "Über", "Umbra"], key=title_key)
    ['Über', 'Umbra', '(well) a2', 'Well A10']
    """
    words = " ".join(tokens(title[: 4 * _LONGEST_TITLE]))
    return _DIGITS.sub(lambda found: found[0].lstrip("0").zfill(_SPARE_DIGITS), words)[:_LONGEST_TITLE]


def number_key(value: float) -> str:
    """A number as text that sorts as numbers do (IEEE 754: the bits of a double, the sign turned over).

    >>> sorted([2.5, -1.0, 0.0, 17.0, -20.0], key=number_key)
    [-20.0, -1.0, 0.0, 2.5, 17.0]
    """
    bits = int.from_bytes(struct.pack(">d", value + 0.0), "big")
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"

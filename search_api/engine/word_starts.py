"""Names by the words in them: every place where a word begins, sorted by what is written from there on."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
_END = b"\n"
_SPACE = b" "


@dataclass(frozen=True, slots=True)
class Found:
    """The names that have the words: those that are just these words, and all, by rank and each perhaps twice.

    A rank below the number of names is that of a name that begins with the words; else subtract that number.
    """

    exact: Ints
    all: Ints


class WordStarts:
    """A suffix array that begins only at words: two bisections find every name with a word that starts so.

    names: words parted by single spaces, the best name first. first_only: names that are found by their start alone.
    """

    def __init__(self, names: Sequence[str], first_only: npt.NDArray[np.bool_]) -> None:
        self._text = b"".join(name.encode() + _END for name in names)
        letters = np.frombuffer(self._text, np.uint8)
        before = np.concatenate([np.frombuffer(_END, np.uint8), letters])[: len(letters)]
        is_first = before == ord(_END)
        owners = np.cumsum(is_first) - 1
        starts = np.flatnonzero(is_first | ((before == ord(_SPACE)) & ~first_only[owners]))
        ranks = np.where(is_first[starts], owners[starts], owners[starts] + len(names))
        rests = [self._rest(start) for start in starts.tolist()]
        order = np.array(sorted(range(len(rests)), key=rests.__getitem__), np.int64)
        self._starts: Ints = starts[order].astype(np.int32)
        self._ranks: Ints = ranks[order].astype(np.int32)
        self._names = len(names)

    def find(self, words: str, *, unfinished: bool) -> Found:
        """The names with a word from which on these words are written; unfinished: the last may go on."""
        typed = words.encode()
        exact = self._slice(typed + _END, typed + _END)
        # the end of a name and the space after a word sort right after each other, before any letter
        found = self._slice(typed, typed) if unfinished else self._slice(typed + _END, typed + _SPACE)
        return Found(exact[exact < self._names], found)

    def _slice(self, low: bytes, high: bytes) -> Ints:
        def key(start: int) -> bytes:
            return self._text[start : start + len(low)]

        first = bisect_left(self._starts, low, key=key)
        return self._ranks[first : bisect_right(self._starts, high, lo=first, key=key)]

    def _rest(self, start: int) -> bytes:
        return self._text[start : self._text.index(_END, start) + 1]

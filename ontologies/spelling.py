"""Names like a text, among millions: by the pairs of letters that they share, then by a scorer.

A name's pairs are 256 bits, mapped from a file: to count those it shares with a text takes ten nanoseconds, to compare
the two a hundred, and to keep all names as Python's strings gigabytes. Names lie in the order of prefix and length.
"""

import math
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process

from ontologies.graph import mapped

_CHUNK = 1 << 16
_BITS = 256

Scorer = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What counts as like: a scorer, its cutoff, and the bounds that follow from it.

    shortest: a name's length over the text's, at least; the text's over the name's, too. pairs: how many of a text's
    distinct pairs names must have, given how many these are, the text's length and the names' lengths.
    """

    scorer: Scorer
    cutoff: float
    shortest: float
    pairs: Callable[[int, int, NDArray[np.int32]], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Spellings:
    """The folded names of a snapshot's terms in use.

    text: uint8, all of them one after another. starts: int64 (n + 1). lengths: characters, int32 (n). pairs: uint64
    (n, 4). groups: the rows of each prefix, by length.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    pairs: NDArray[np.uint64]
    groups: Mapping[str, tuple[int, int]]

    def like(
        self, folded: str, likeness: Likeness, prefixes: Collection[str] | None, limit: int
    ) -> list[tuple[str, float]]:
        """The names most like a folded text, best first, with their scores."""
        groups = [rows for prefix, rows in self.groups.items() if prefixes is None or prefix in prefixes]
        names = [name for rows in groups for name in self._candidates(folded, likeness, *rows)]
        found = process.extract(folded, names, scorer=likeness.scorer, score_cutoff=likeness.cutoff, limit=None)
        return list(dict.fromkeys((name, score) for name, score, _ in found))[:limit]

    def _candidates(self, folded: str, likeness: Likeness, start: int, end: int) -> Iterator[str]:
        length = len(folded)
        window = (math.ceil(likeness.shortest * length), math.floor(length / likeness.shortest) + 1)
        first, last = start + np.searchsorted(self.lengths[start:end], window)
        asked = _pairs_of(np.frombuffer(folded.encode(), dtype=np.uint8), np.zeros(1, dtype=np.int64), 1)[0]
        pairs = int(np.bitwise_count(asked).sum())
        text = self.text.data
        for low in range(int(first), int(last), _CHUNK):
            rows = slice(low, min(low + _CHUNK, int(last)))
            words = np.bitwise_count(self.pairs[rows] & asked)
            shared = words[:, 0] + words[:, 1] + words[:, 2] + words[:, 3]  # sum(axis=1) takes ten times as long
            near = shared >= likeness.pairs(pairs, length, self.lengths[rows])
            for row in (np.flatnonzero(near) + low).tolist():
                yield str(text[self.starts[row] : self.starts[row + 1]], "utf-8")


def build_spellings(names: Iterable[tuple[str, str]]) -> Spellings:
    """Names with their prefixes, those of one name one after another."""
    text, starts, lengths, groups = bytearray(), array("q", [0]), array("i"), array("i")
    numbers: dict[str, int] = {}
    last, seen = "", set[int]()
    for name, prefix in names:
        seen = seen if name == last else set()
        last, group = name, numbers.setdefault(prefix, len(numbers))
        if group not in seen:
            seen.add(group)
            text += name.encode()
            starts.append(len(text))
            lengths.append(len(name))
            groups.append(group)
    return _ordered(np.frombuffer(text, np.uint8), np.array(starts), np.array(lengths), np.array(groups), numbers)


def save_spellings(spellings: Spellings, folder: Path) -> None:
    """Write the arrays to a folder."""
    for name in _ARRAYS:
        np.save(folder / f"spelt_{name}.npy", getattr(spellings, name))


def open_spellings(folder: Path, groups: Mapping[str, tuple[int, int]]) -> Spellings:
    """Map the arrays of a folder into memory."""
    text, starts, lengths, pairs = (mapped(folder / f"spelt_{name}.npy") for name in _ARRAYS)
    return Spellings(text, starts, lengths, pairs, groups)


_ARRAYS = ("text", "starts", "lengths", "pairs")


def _ordered(
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    groups: NDArray[np.int32],
    numbers: Mapping[str, int],
) -> Spellings:
    order = np.lexsort((lengths, groups))
    sizes = np.diff(starts)[order]
    new_starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes, dtype=np.int64)])
    new_text = np.empty_like(text)
    pairs = np.zeros((len(order), _BITS // 64), dtype=np.uint64)
    for low in range(0, len(order), _CHUNK):
        rows = slice(low, min(low + _CHUNK, len(order)))
        begins, ends = new_starts[rows], new_starts[rows.stop]
        old = np.repeat(starts[:-1][order[rows]] - begins, sizes[rows]) + np.arange(begins[0], ends)
        new_text[begins[0] : ends] = text[old]
        pairs[rows] = _pairs_of(new_text[begins[0] : ends], begins - begins[0], len(begins))
    edges = np.searchsorted(groups[order], np.arange(len(numbers) + 1))
    named = {prefix: (int(edges[number]), int(edges[number + 1])) for prefix, number in numbers.items()}
    return Spellings(new_text, new_starts, lengths[order].astype(np.int32), pairs, named)


def _pairs_of(text: NDArray[np.uint8], starts: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
    """The pairs of neighbouring bytes of each name, as bits: uint64 (count, 4)."""
    bits = np.zeros((count, _BITS), dtype=np.bool_)
    if len(text) > 1:
        rows = np.repeat(np.arange(count), np.diff(np.append(starts, len(text))))
        within = rows[:-1] == rows[1:]
        mixed = text[:-1].astype(np.uint16) * 37 + text[1:].astype(np.uint16) * 11
        bits[rows[:-1][within], mixed[within] % _BITS] = True
    return np.packbits(bits, axis=1).view(np.uint64)

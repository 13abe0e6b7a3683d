"""Two rankings made one: ranks of text and of look, and looks re-ranked by what images are annotated with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RRF_CONSTANT = 60
"""Cormack, Clarke & Büttcher 2009: 'k = 60 was fixed during a pilot investigation'."""


@dataclass(frozen=True, slots=True)
class Fused:
    """An image with a part of its score from each ranking; the score is their sum."""

    ordinal: int
    text: float
    look: float

    @property
    def score(self) -> float:
        """What it is ranked by."""
        return self.text + self.look


def fuse(text: Sequence[int], look: Sequence[int]) -> list[Fused]:
    """Reciprocal rank fusion of two rankings of ordinals, best first, ties by ordinal.

    >>> [each.ordinal for each in fuse([1, 2], [2, 3])]
    [2, 1, 3]
    """
    parts = [{o: 1 / (RRF_CONSTANT + rank) for rank, o in enumerate(ranking, start=1)} for ranking in (text, look)]
    return _ranked(*parts)


def weigh(text: Mapping[int, float], look: Mapping[int, float], weight: float) -> list[Fused]:
    """A convex sum of calibrated scores, best first, ties by ordinal; `weight` is the share of the look.

    text: scores of any scale, of which each counts as its share of the best; look: in [0, 1].

    >>> [(each.ordinal, each.score) for each in weigh({1: 8.0, 2: 4.0}, {1: 0.5, 3: 1.0}, 0.5)]
    [(1, 0.75), (3, 0.5), (2, 0.25)]
    """
    best = max(text.values(), default=0.0) or 1.0
    shares = {ordinal: (1 - weight) * score / best for ordinal, score in text.items()}
    return _ranked(shares, {ordinal: weight * share for ordinal, share in look.items()})


def _ranked(text: Mapping[int, float], look: Mapping[int, float]) -> list[Fused]:
    every = [Fused(o, text.get(o, 0.0), look.get(o, 0.0)) for o in {**text, **look}]
    return sorted(every, key=lambda each: (-each.score, each.ordinal))


@dataclass(frozen=True, slots=True)
class Reranked:
    """A look-alike: how alike its annotations are, and the score that orders it, both in [0, 1]."""

    semantic: float
    score: float


def rerank(look: Mapping[int, float], semantic: Mapping[int, float], weight: float) -> dict[int, Reranked]:
    """Ordinals by a convex sum of two scores, best first, ties in the order of `look`; `weight` is for the second.

    >>> rerank({1: 1.0, 2: 0.8}, {1: 0.0, 2: 0.5}, 0.5)
    {2: Reranked(semantic=0.5, score=0.65), 1: Reranked(semantic=0.0, score=0.5)}
    """
    found = {o: Reranked(semantic[o], (1 - weight) * look[o] + weight * semantic[o]) for o in look}
    return dict(sorted(found.items(), key=lambda item: -item[1].score))

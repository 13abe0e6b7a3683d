"""Search where exact codes do not fit in memory: some lists of rows are read, and what that should miss is said.

A hit is missed where its list is not read, or where its code hides it among too many others. How often a row reaches a
similarity was counted with held-out rows, by how far that is above the similarity of the centre of its list, in
spreads of the list (`Odds`). With the similarity of the k-th best so far this gives, under any filter, how many hits
each unread list should have; lists are read until few enough are left. By how much this was too hopeful on other
held-out rows is the `doubt`, which is taken off the stated recall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pyroaring import BitMap

from hooke.vectors import kernels, planner
from hooke.vectors.base import Neighbour, Neighbours, Ordinals, Vectors
from hooke.vectors.columns import Segment
from hooke.vectors.inverted import Inverted, Wanted
from hooke.vectors.planner import LISTS, Positions, Similarities
from hooke.vectors.workers import Workers

TARGET = 0.95
"""The recall that a search reads lists for."""
MOST_HITS = 1_000
"""For more, nothing is known of its recall."""
_FIRST_ROWS_A_HIT = 8
_KEPT, _KEPT_A_HIT = 1_000, 32  # rows by code
_MOST_READ = 0.25  # of the rows: to read more takes as long as byte codes do, which prove their answer


@dataclass(frozen=True)
class Odds:
    """The share of a list's rows that reach a similarity, by its gap to that of the list's centre in spreads.

    shares: (ranks, gaps + 1), at [r, i] where the gap is between gaps[i - 1] and gaps[i], of a similarity that so many
    rows of all reach as ranks[r] says.
    """

    gaps: Similarities
    ranks: Positions
    shares: Similarities

    def reaching(self, gaps: Similarities, sizes: Positions) -> Similarities:
        """The shares at these gaps of lists of so many rows: those of the first rank that is not exceeded with them."""
        places = np.searchsorted(self.gaps, gaps)
        for rank, shares in zip(self.ranks.tolist(), self.shares, strict=True):
            reaching: Similarities = shares[places]
            if float(reaching @ sizes) <= rank:
                break
        return reaching

    def is_beyond(self, gaps: Similarities, sizes: Positions) -> bool:
        """Whether more rows should reach a similarity than the last rank has, so that no held-out row tested it."""
        reaching = self.shares[-1][np.searchsorted(self.gaps, gaps)]
        return float(reaching @ sizes) > int(self.ranks[-1])


@dataclass(frozen=True)
class Trained:
    """Lists of the rows of some segments, and what held-out rows told of them.

    segments: the names, and their numbers of rows, which are numbered through. veil: by how much codes make near rows
    seem less alike. doubt: by how much the stated recall was too high, which is taken off.
    """

    inverted: Inverted
    odds: Odds
    veil: float
    doubt: float
    segments: tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Chosen:
    """What a filter wants: a bit a row, None for all; how many rows of each list; how many images."""

    bits: Wanted | None
    counts: Positions
    images: int


class Approximate:
    """Trained rows in their segments. segments: as `trained.segments` has them, None for one that is gone; live: the
    images of each that no later segment replaces.
    """

    def __init__(
        self, trained: Trained, segments: Sequence[Segment | None], live: Sequence[BitMap], workers: Workers
    ) -> None:
        self._trained = trained
        self._segments = tuple(segments)
        self._live = tuple(live)
        self._workers = workers
        self._begins = np.append(0, np.cumsum([rows for _, rows in trained.segments]))
        there = [segment for segment in segments if segment is not None]
        rows, images = (sum(map(len, each)) for each in ([s.ordinals for s in there], [s.images for s in there]))
        self._rows_an_image = -(-rows // max(1, images))

    def search(self, queries: Vectors, k: int, allowed: BitMap | None) -> Neighbours | None:
        """The k nearest of the trained images; None where too much would have to be read, or nothing can be said."""
        spared = (1 - TARGET - self._trained.doubt) * k
        chosen = self._choose(allowed)
        if k > MOST_HITS or spared <= 0 or chosen.images < k:
            return None
        probes = [_Probe(self._trained, query, chosen, _KEPT + _KEPT_A_HIT * k) for query in queries]
        for probe in probes:
            probe.read(probe.first(k * self._rows_an_image), self._workers)
        reached = self._kth(queries, [self._few(probe.rows, 2 * k) for probe in probes], k)
        more = [probe.hopeful(reached, spared / len(probes)) for probe in probes]
        if any(probe.would_read(lists) > _MOST_READ for probe, lists in zip(probes, more, strict=True)):
            return None
        for probe, lists in zip(probes, more, strict=True):
            probe.read(lists, self._workers)
        reached = self._kth(queries, [self._few(probe.rows, 2 * k) for probe in probes], k)
        if any(probe.hides(reached) or probe.is_untested(reached) for probe in probes):
            return None
        ordinals, similarities = self._scored(queries, [probe.near(reached) for probe in probes])
        best = np.lexsort((ordinals, -similarities))[:k]
        if len(best) < k:
            return None
        missed = sum(float(probe.expected(similarities[best[-1]]).sum()) for probe in probes)
        recall = 1 - missed / k - self._trained.doubt
        hits = tuple(Neighbour(int(ordinals[at]), min(1.0, max(-1.0, float(similarities[at])))) for at in best)
        return Neighbours(hits, exact=False, method=LISTS, candidates=chosen.images, recall=max(0.0, recall))

    def ordinals(self, rows: Positions) -> Positions:
        """The images of rows by number; -1 for those that are replaced."""
        found = np.full(len(rows), -1, dtype=np.int64)
        for number, (segment, live) in enumerate(zip(self._segments, self._live, strict=True)):
            its = (rows >= self._begins[number]) & (rows < self._begins[number + 1])
            if segment is not None and its.any():
                here = segment.ordinals[rows[its] - self._begins[number]]
                known = np.frombuffer((live & BitMap(here)).to_array(), dtype=np.uint32)
                found[its] = np.where(np.isin(here, known), here, -1)
        return found

    def _few(self, rows: Positions, images: int) -> Positions:
        """Of some rows the first of each image, of so many images."""
        if all(segment is None or segment.is_single for segment in self._segments):
            return rows[:images]
        first = np.sort(np.unique(self.ordinals(rows), return_index=True)[1])
        return rows[first[:images]]

    def _kth(self, queries: Vectors, rows: Sequence[Positions], k: int) -> float:
        """The similarity of the k-th nearest of the images of some rows, which the k-th nearest of all reaches."""
        _, similarities = self._scored(queries, rows)
        return float(np.partition(similarities, len(similarities) - k)[-k]) if len(similarities) >= k else -1.0

    def _scored(self, queries: Vectors, rows: Sequence[Positions]) -> tuple[Ordinals, Similarities]:
        """The images of some rows, and their similarities by definition."""
        every = np.unique(np.concatenate(rows))
        ordinals, similarities = [np.empty(0, np.uint32)], [np.empty(0)]
        edges = np.searchsorted(every, self._begins)
        for number, segment in enumerate(self._segments):
            here = every[edges[number] : edges[number + 1]] - self._begins[number]
            if segment is not None and len(here):
                images = np.unique(segment.images_at(here))
                its, begins = segment.rows_of(images)
                ordinals.append(segment.images[images])
                rescored = planner.rescore(segment.rows_for(len(its)), queries, its)
                similarities.append(np.maximum.reduceat(rescored, begins))
        return np.concatenate(ordinals), np.concatenate(similarities)

    def _choose(self, allowed: BitMap | None) -> _Chosen:
        wanted = self._live if allowed is None else tuple(live & allowed for live in self._live)
        images = sum(map(len, wanted))
        unwanted = [
            BitMap() if segment is None else segment.bitmap - each
            for segment, each in zip(self._segments, wanted, strict=True)
        ]
        inverted = self._trained.inverted
        if not any(unwanted) and None not in self._segments:
            return _Chosen(None, inverted.sizes, images)
        # of wanted and unwanted rows, those that are fewer are looked up
        inside = images < sum(map(len, unwanted)) or None in self._segments
        rows = self._rows(wanted if inside else unwanted)
        bits = np.full(len(inverted.rows), not inside)
        bits[rows] = inside
        counts = np.bincount(inverted.lists[rows], minlength=len(inverted.sizes))
        return _Chosen(np.packbits(bits, bitorder="little"), counts if inside else inverted.sizes - counts, images)

    def _rows(self, images: Sequence[BitMap]) -> Positions:
        """The rows of images of each segment, by number."""
        rows = [np.empty(0, np.int64)]
        for segment, begin, some in zip(self._segments, self._begins[:-1], images, strict=True):
            if segment is not None and some:
                rows.append(segment.rows_of(segment.positions(some))[0] + begin)
        return np.concatenate(rows)


def joined_answers(lists: Neighbours, others: Neighbours, k: int) -> Neighbours:
    """An answer by lists, and an exact one of images that the lists do not have, as one."""
    hits = sorted((*lists.hits, *others.hits), key=lambda hit: (-hit.similarity, hit.ordinal))
    return replace(lists, hits=tuple(hits[:k]), candidates=lists.candidates + others.candidates)


class _Probe:
    """What was read for one query row: the best rows by code, best first."""

    def __init__(self, trained: Trained, query: Vectors, chosen: _Chosen, depth: int) -> None:
        self._odds, self._inverted, self._veil = trained.odds, trained.inverted, trained.veil
        self._query, self._chosen, self._depth = query, chosen, depth
        self._likeness = kernels.scan(trained.inverted.centres, query[np.newaxis]).astype(np.float64)
        self._unread = chosen.counts.copy()
        self.rows: Positions = np.empty(0, np.int64)
        self._estimates: Similarities = np.empty(0)

    def first(self, k: int) -> Positions:
        """The nearest lists, enough to have some rows for each hit."""
        order = np.argsort(-self._likeness, kind="stable")
        order = order[self._unread[order] > 0]
        enough = np.searchsorted(np.cumsum(self._unread[order]), _FIRST_ROWS_A_HIT * k)
        return order[: int(enough) + 1]

    def expected(self, similarity: float) -> Similarities:
        """How many rows of each unread list should reach a similarity."""
        return self._unread * self._odds.reaching(self._gaps(similarity), self._inverted.sizes)

    def is_untested(self, similarity: float) -> bool:
        """Whether a similarity is deeper than held-out rows were tested."""
        return self._odds.is_beyond(self._gaps(similarity), self._inverted.sizes)

    def _gaps(self, similarity: float) -> Similarities:
        gaps: Similarities = (similarity - self._likeness) / np.maximum(self._inverted.spreads, 1e-9)
        return gaps

    def hopeful(self, similarity: float, spared: float) -> Positions:
        """The unread lists but those that together should have no more than `spared` rows that reach a similarity."""
        expected = self.expected(similarity)
        order = np.argsort(expected, kind="stable")
        order = order[np.searchsorted(np.cumsum(expected[order]), spared, side="right") :]
        return order[expected[order] > 0]

    def would_read(self, lists: Positions) -> float:
        """The share of all rows that will have been read with these lists."""
        read = self._inverted.sizes[(self._unread == 0) & (self._chosen.counts > 0)].sum()
        return float((read + self._inverted.sizes[lists].sum()) / len(self._inverted.rows))

    def hides(self, similarity: float) -> bool:
        """Whether rows that may reach a similarity are not among those kept."""
        return len(self.rows) == self._depth and float(self._estimates[-1]) >= similarity - self._veil

    def near(self, similarity: float) -> Positions:
        """The rows that may reach a similarity."""
        return self.rows[self._estimates >= similarity - self._veil]

    def read(self, lists: Positions, workers: Workers) -> None:
        """Read some lists, and keep the best of all that were read."""
        rows, estimates = self._inverted.nearest(self._query, self._depth, lists, self._chosen.bits, workers)
        self._unread[lists] = 0
        rows, estimates = np.append(self.rows, rows), np.append(self._estimates, estimates)
        best = np.lexsort((rows, -estimates))[: self._depth]
        self.rows, self._estimates = rows[best], estimates[best]

"""The typed graph of terms as memory-mapped arrays, walked level by level.

Terms are numbers 0 … n-1 here. Parents and children are kept in compressed sparse rows: the neighbours of term t
are targets[starts[t] : starts[t + 1]], each with the code of its relation.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooke.errors import CorruptIndex
from hooke.model import IS_A, PART_OF
from ontologies.model import MERGED

Ints = NDArray[np.int64]
FIRST_RELATIONS = (MERGED, IS_A, PART_OF)
"""The relations with fixed codes 0, 1, 2."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Compressed sparse rows: starts int64 (n + 1), targets int32, relations int16."""

    starts: NDArray[np.int64]
    targets: NDArray[np.int32]
    relations: NDArray[np.int16]

    def of(self, term: int) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """The neighbours of one term, and the relation to each."""
        row = slice(self.starts[term], self.starts[term + 1])
        return self.targets[row], self.relations[row]

    def neighbours(self, terms: Ints, walked: NDArray[np.bool_]) -> Ints:
        """The neighbours of several terms over the walked relations; may repeat."""
        starts = self.starts[terms]
        counts = self.starts[terms + 1] - starts
        ends = np.cumsum(counts)
        places = np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
        reached: Ints = self.targets[places[walked[self.relations[places]]]].astype(np.int64)
        return reached


@dataclass(frozen=True, slots=True)
class Graph:
    """The parents and children of every term, and the names of relations by code."""

    parents: Rows
    children: Rows
    relations: tuple[str, ...]
    _unmarked: list[NDArray[np.bool_]] = field(default_factory=list, repr=False, compare=False)
    """Flags of all terms, down, for one walk each; threads take and give back whole ones."""

    def closure(self, term: int, relations: frozenset[str], *, rows: Rows) -> Ints:
        """The term and everything that rows of the relations lead to, in rising order; cycles are no trouble."""
        walked = self.walked(relations)
        # kept between calls: to clear a flag for each of millions of terms takes longer than most closures
        seen = self._unmarked.pop() if self._unmarked else np.zeros(len(rows.starts) - 1, dtype=np.bool_)
        frontier = np.array([term], dtype=np.int64)
        levels = [frontier]
        seen[term] = True
        while len(frontier):
            reached = rows.neighbours(frontier, walked)
            frontier = np.unique(reached[~seen[reached]])
            seen[frontier] = True
            levels.append(frontier)
        found: Ints = np.sort(np.concatenate(levels))
        seen[found] = False
        self._unmarked.append(seen)
        return found

    def adjacent(self, term: int, relations: frozenset[str], *, rows: Rows) -> list[int]:
        """The direct neighbours over the relations, each once."""
        targets, codes = rows.of(term)
        return [int(target) for target in np.unique(targets[self.walked(relations)[codes]])]

    def path(self, term: int, ancestor: int, relations: frozenset[str]) -> list[tuple[int, str | None]]:
        """The shortest way up, each step with the relation that led to it; empty when there is none."""
        walked = self.walked(relations)
        came: dict[int, tuple[int, str] | None] = {term: None}
        queue = deque([term])
        while queue and ancestor not in came:
            here = queue.popleft()
            targets, codes = self.parents.of(here)
            for target, code in zip(targets.tolist(), codes.tolist(), strict=True):
                if walked[code] and target not in came:
                    came[target] = (here, self.relations[code])
                    queue.append(target)
        return _trace(came, ancestor) if ancestor in came else []

    def walked(self, relations: frozenset[str]) -> NDArray[np.bool_]:
        """Which relation codes count: an edge of unknown relation counts for any, and for none when none is asked."""
        wanted = relations | {MERGED} if relations else relations
        return np.array([name in wanted for name in self.relations], dtype=np.bool_)

    def has_merged(self, term: int) -> bool:
        """Whether an edge at this term does not say what relation it is."""
        return any(bool((rows.of(term)[1] == 0).any()) for rows in (self.parents, self.children))


def build(count: int, edges: Ints, relations: Iterable[str]) -> Graph:
    """A graph from rows of (term, relation code, parent); int64 (m, 3), repeats allowed."""
    names = tuple(relations)
    unique = np.unique(edges.reshape(-1, 3), axis=0)
    typed = _without_typed_twins(unique, count)
    return Graph(_rows(count, typed[:, (0, 2, 1)]), _rows(count, typed[:, (2, 0, 1)]), names)


def save(graph: Graph, folder: Path) -> None:
    """Write the arrays to a folder, one .npy each."""
    for side, rows in (("parent", graph.parents), ("child", graph.children)):
        np.save(folder / f"{side}_starts.npy", rows.starts)
        np.save(folder / f"{side}_targets.npy", rows.targets)
        np.save(folder / f"{side}_relations.npy", rows.relations)


def open_graph(folder: Path, relations: Iterable[str]) -> Graph:
    """Map the arrays of a folder into memory."""
    parents, children = (
        Rows(*(mapped(folder / f"{side}_{part}.npy") for part in ("starts", "targets", "relations")))
        for side in ("parent", "child")
    )
    return Graph(parents, children, tuple(relations))


# The dtype is known to the caller, who wrote it.
def mapped(path: Path) -> NDArray:  # type: ignore[type-arg]
    """One array, mapped; raises CorruptIndex for a file that is none."""
    try:
        # An array without elements cannot be mapped.
        empty = path.stat().st_size <= 128
        array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as exc:
        raise CorruptIndex(f"{path}: the array cannot be read ({exc}); add the ontologies again") from exc
    # A plain view: indexing a memmap object costs three times as much.
    return np.asarray(array)


def _rows(count: int, edges: Ints) -> Rows:
    ordered = edges[np.lexsort((edges[:, 2], edges[:, 1], edges[:, 0]))]
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(ordered[:, 0], minlength=count), out=starts[1:])
    return Rows(starts, ordered[:, 1].astype(np.int32), ordered[:, 2].astype(np.int16))


def _without_typed_twins(edges: Ints, count: int) -> Ints:
    """Drop an edge of unknown relation where another source says that it is is_a or part_of."""
    pair = edges[:, 0] * count + edges[:, 2]
    known = np.isin(edges[:, 1], (1, 2))
    kept: Ints = edges[(edges[:, 1] != 0) | ~np.isin(pair, pair[known])]
    return kept


def _trace(came: dict[int, tuple[int, str] | None], ancestor: int) -> list[tuple[int, str | None]]:
    steps: list[tuple[int, str | None]] = []
    here = ancestor
    while (before := came[here]) is not None:
        steps.append((here, before[1]))
        here = before[0]
    return [(here, None), *reversed(steps)]

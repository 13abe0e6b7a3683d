"""Look-alikes of one example in one snapshot: those a request wants, and what their likeness is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyroaring import BitMap

from hooke.errors import BadInput
from hooke.model import Record
from hooke.query import Node
from hooke.request import MAX_SIMILAR_SET, LookOptions
from hooke.store.base import MetadataReader
from hooke.vectors.base import Neighbour, Neighbours, Vectors
from search_api.engine.filtered import Pool, Ranking, nearest
from search_api.engine.grouping import nearest_of_each_study
from search_api.engine.nullmodel import NullModel, meaningful

_FIRST_ASKED, _WIDER = 256, 8


def refuse_percentiles(options: LookOptions) -> None:
    """Raise BadInput for what needs a percentile, of a difference of similarities."""
    for name, unset in (("min_percentile", None), ("semantic", 0), ("weight", None)):
        if getattr(options, name) != unset:
            raise BadInput(
                f"{name}: it needs percentiles, and examples=best with negative ones ranks by a difference of "
                "similarities, which has none: leave it out, or give examples=average"
            )


@dataclass(frozen=True, eq=False, slots=True)
class Worth:
    """What a similarity says among so many candidates; None where the index is too small to tell."""

    null: NullModel | None
    comparisons: int

    def percentile(self, similarity: float) -> float | None:
        """The share of random pairs that are less alike."""
        return self.null.percentile(similarity) if self.null else None

    def expected(self, similarity: float) -> float | None:
        """How many candidates would be so alike by chance."""
        return self.null.chance(similarity) * self.comparisons if self.null else None

    def meaningful(self, hits: Sequence[Neighbour]) -> int | None:
        """How many of the nearest hits are more alike than chance explains."""
        if self.null is None or not self.null.judges:
            return None
        return meaningful([self.null.chance(hit.similarity) * self.comparisons for hit in hits])


@dataclass(frozen=True, eq=False, slots=True)
class SimilarSet:
    """Images that are alike; exact: they are what ranking every image would give."""

    images: BitMap
    exact: bool


@dataclass(frozen=True, eq=False)
class Looking:
    """An example's rows, where to look, and what never to find.

    examples: those of them that are of the index. targets: how many there are to be nearest to, each a chance more to
    be alike by chance. exact: to search exactly, whatever it takes.
    """

    reader: MetadataReader
    vectors: Ranking
    queries: Vectors
    targets: int
    examples: tuple[Record, ...]
    excluded: BitMap
    null: NullModel | None
    exact: bool = False

    def find(self, where: Node, k: int, options: LookOptions) -> Neighbours:
        """The k images, or best images of studies, that are wanted."""
        ways = nearest_of_each_study if options.by_study else nearest
        found = ways(self._pool(where, self.exact), self.queries, k)
        return replace(found, hits=tuple(self._alike_enough(found, options)))

    def similar_set(self, where: Node, options: LookOptions) -> SimilarSet:
        """What facets count: the nearest so many images, and those above the percentile; exactly where the store can.

        Raises BadInput where more than MAX_SIMILAR_SET are.
        """
        if options.similar_set is not None:
            found = nearest(self._pool(where, True), self.queries, options.similar_set)
            return SimilarSet(BitMap(hit.ordinal for hit in self._alike_enough(found, options)), found.exact)
        asked = min(_FIRST_ASKED, MAX_SIMILAR_SET + 1)
        while True:
            found = nearest(self._pool(where, True), self.queries, asked)
            alike = self._alike_enough(found, options)
            if len(alike) < asked:
                return SimilarSet(BitMap(hit.ordinal for hit in alike), found.exact)
            if len(alike) > MAX_SIMILAR_SET:
                raise BadInput(
                    f"more than {MAX_SIMILAR_SET:,} images are above the percentile {options.min_percentile}: "
                    "raise min_percentile, add a filter, or give similar_set"
                )
            asked = min(asked * _WIDER, MAX_SIMILAR_SET + 1)

    def similarities(self, images: Sequence[int]) -> Mapping[int, float]:
        """How alike these images are, those with a vector."""
        found = self.vectors.search(self.queries, max(1, len(images)), allowed=BitMap(images), exact=True)
        return {hit.ordinal: hit.similarity for hit in found.hits}

    def worth(self, found: Neighbours) -> Worth:
        """What similarities say among an answer's candidates."""
        return Worth(self.null, found.candidates * self.targets)

    def percentile(self, similarity: float, why: str) -> float:
        """The share of random pairs that are less alike. Raises BadInput, saying for `why`, where nobody can tell."""
        if self.null is None:
            raise BadInput(f"{why}: too few images of different studies are here to say how alike chance makes them")
        return self.null.percentile(similarity)

    def _pool(self, where: Node, exact: bool) -> Pool:
        return Pool(self.reader, self.vectors, where, self.excluded, exact)

    def _alike_enough(self, found: Neighbours, options: LookOptions) -> Sequence[Neighbour]:
        least = options.min_percentile
        if least is None:
            return found.hits
        return [hit for hit in found.hits if self.percentile(hit.similarity, "min_percentile") >= least]

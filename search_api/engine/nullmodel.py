"""What a similarity is worth in an index: how alike two random images of different studies are.

Pairs of a fixed sample give the share of pairs that are less alike, and of the hundredth that is most alike a model of
the tail (Hill 1975; Amsaleg et al. 2015 for distances): near 0 the share of pairs within a distance falls as a power of
it, so that chances below one in the number of pairs can be told apart. docs/similarity.md says how well it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from hooke.model import Level
from hooke.query import Everything
from hooke.store.base import MetadataReader
from hooke.vectors.base import VectorReader, Vectors

Floats = npt.NDArray[np.float64]

SAMPLED_IMAGES = 450
"""About 100,000 pairs, and few enough images to fetch from a cluster one by one."""
FEWEST_PAIRS = 30
"""With fewer, nothing is said."""
FEWEST_FOR_TAIL = 1_000
"""With fewer, nothing is said of what is more alike than all pairs."""
RATE = 0.05
"""The share of chance hits among those that are called meaningful."""
_SEED = 1665  # Micrographia
_TAIL = 0.01
_FEWEST_IN_TAIL = 50
_BLOCK = 64
_SAME = 1e-6  # nearer than this, float32 cosines of two images do not tell them apart


@dataclass(frozen=True, eq=False, slots=True)
class NullModel:
    """Similarities of random pairs, ascending; above `start` their share falls as the distance to this power.

    power: 0 where that is not known.
    """

    pairs: Floats
    start: float
    power: float

    @property
    def judges(self) -> bool:
        """Whether the sample is large enough to call anything meaningful."""
        return len(self.pairs) >= FEWEST_FOR_TAIL

    def chance(self, similarity: float) -> float:
        """The share of random pairs that are at least so alike, never 0 but for the very same."""
        # counting the pair itself keeps an estimate from a sample from being 0 (Phipson & Smyth 2010)
        counted = (1 + self._at_least(similarity)) / (1 + len(self.pairs))
        if similarity <= self.start or self.power == 0:
            return counted
        share = (1 + self._at_least(np.nextafter(self.start, 2))) / (1 + len(self.pairs))
        return float(share * (_distance(similarity) / _distance(self.start)) ** self.power)

    def percentile(self, similarity: float) -> float:
        """The share of random pairs that are less alike, in [0, 1]."""
        return 1 - self.chance(similarity)

    def _at_least(self, similarity: float) -> int:
        return len(self.pairs) - int(np.searchsorted(self.pairs, similarity, side="left"))


def meaningful(expected: Sequence[float]) -> int:
    """How many of the nearest are more alike than chance explains (Benjamini & Hochberg 1995).

    expected: for each, nearest first, how many candidates would be so alike by chance.

    >>> meaningful([0.01, 0.08, 0.4]), meaningful([0.9, 1.2])
    (2, 0)
    """
    return max((rank for rank, number in enumerate(expected, start=1) if number <= RATE * rank), default=0)


def fit(pairs: Floats) -> NullModel | None:
    """The model of a sample; None where it is too small to say anything."""
    if len(pairs) < FEWEST_PAIRS:
        return None
    pairs = np.sort(pairs)
    if len(pairs) < FEWEST_FOR_TAIL:
        return NullModel(pairs, 1.0, 0.0)
    tail = max(_FEWEST_IN_TAIL, int(_TAIL * len(pairs)))
    start = float(pairs[-tail - 1])
    above = pairs[pairs > start]
    logs = np.log(_distance(start) / np.array([_distance(each) for each in above]))
    total = float(logs.sum())
    return NullModel(pairs, start, (len(above) - 1) / total if total > 0 else 0.0)


def _distance(similarity: float) -> float:
    """Half the squared distance of unit vectors; any power of a distance serves as well."""
    return max(_SAME, 1 - similarity)


def sample_pairs(reader: MetadataReader, vectors: VectorReader) -> Floats:
    """The similarities of pairs of different studies among some images: the same for the same snapshot."""
    images = reader.ordinals(Level.IMAGE, Everything()) & vectors.ordinals()
    places = np.random.default_rng(_SEED).choice(len(images), min(SAMPLED_IMAGES, len(images)), replace=False)
    records = reader.records(Level.IMAGE, [images[int(place)] for place in np.sort(places)])
    rows = [vectors.vectors_of(record.ordinal) for record in records]
    studies = np.unique([record.study_id for record in records], return_inverse=True)[1]
    apart = np.triu(studies[:, np.newaxis] != studies, 1)
    alike: Floats = _alike(rows)[apart].astype(np.float64)
    return alike


def _alike(rows: Sequence[Vectors]) -> Vectors:
    """How alike each two images are: as in a search, the largest similarity of any two of their rows."""
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    everything = np.concatenate(rows)
    begins = np.cumsum([0, *(len(each) for each in rows[:-1])])
    blocks = []
    for number in range(0, len(rows), _BLOCK):
        some = rows[number : number + _BLOCK]
        best = np.maximum.reduceat(np.concatenate(some) @ everything.T, begins, axis=1)
        blocks.append(np.maximum.reduceat(best, begins[number : number + _BLOCK] - begins[number]))
    return np.concatenate(blocks)


class NullModels:
    """The models of the newest snapshot that was asked for; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._snapshot: int | None = None
        self._kept: dict[VectorReader, NullModel | None] = {}

    def of(self, reader: MetadataReader, vectors: VectorReader) -> NullModel | None:
        """None where the index has too few images of different studies."""
        with self._lock:
            if self._snapshot != reader.snapshot.id:
                self._snapshot, self._kept = reader.snapshot.id, {}
            if vectors not in self._kept:
                self._kept[vectors] = fit(sample_pairs(reader, vectors))
            return self._kept[vectors]

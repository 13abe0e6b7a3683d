"""What is asked and answered of images of the index among each other: duplicates, outliers, studies that are alike."""

import math
from dataclasses import dataclass
from dataclasses import field as attribute
from enum import StrEnum

from hooke.errors import BadInput
from hooke.model import Level
from hooke.request import MAX_LIMIT, SearchRequest
from hooke.results import QueryReport

NEAR_DUPLICATE = 0.98
"""The similarity from which two images are near-duplicates; `docs/comparisons.md` says what was measured for it."""
MAX_NEIGHBOURS = 100
MAX_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class DuplicatesRequest:
    """Near-duplicates among the images that a search finds; its limit and facets count for nothing.

    across_studies: only images of two studies make a pair.
    """

    search: SearchRequest = attribute(default_factory=lambda: SearchRequest(Level.IMAGE))
    threshold: float = NEAR_DUPLICATE
    across_studies: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise BadInput(f"threshold is a similarity above 0 and at most 1, not {self.threshold:g}")


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """An image that has a near-duplicate."""

    id: str
    study_id: str
    title: str


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two images, by id, and their similarity; identical: their content is."""

    first: str
    second: str
    similarity: float
    identical: bool


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images that pairs join, directly or through others, and their studies.

    pair_count is exact; `pairs` has all of them, most alike first, but of a large group only some. identical: all its
    images have the same content.
    """

    images: tuple[DuplicateImage, ...]
    studies: tuple[str, ...]
    pairs: tuple[DuplicatePair, ...]
    pair_count: int
    identical: bool


@dataclass(frozen=True, slots=True)
class DuplicatesResult:
    """Groups of near-duplicates, those across studies first, then the largest, then the most alike.

    across, within: how many groups have images of several studies, and of one. images: how many are in a group, of the
    `candidates` that were compared, each with every other.
    """

    groups: tuple[DuplicateGroup, ...]
    across: int
    within: int
    images: int
    candidates: int
    threshold: float
    exact: bool
    query: QueryReport
    space: str
    snapshot: int


@dataclass(frozen=True, slots=True)
class OutliersRequest:
    """The images of a study that are least like the rest of it, by their k-th nearest: k is `neighbours`."""

    study_id: str
    limit: int = 10
    neighbours: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise BadInput(f"limit must be from 1 to {MAX_LIMIT}, not {self.limit}")
        if not 1 <= self.neighbours <= MAX_NEIGHBOURS:
            raise BadInput(f"neighbours must be from 1 to {MAX_NEIGHBOURS}, not {self.neighbours}")


@dataclass(frozen=True, slots=True)
class Outlier:
    """An image and how like its study it is.

    similarity: to its k-th nearest image of the study. percentile: how many per cent of the study's images are less
    like it than this one. deviation: how far the similarity is below the study's median, in robust standard deviations
    (1.4826 times the median absolute deviation); None where most of the study's images are equally alike.
    """

    id: str
    study_id: str
    title: str
    similarity: float
    percentile: float
    deviation: float | None


@dataclass(frozen=True, slots=True)
class OutliersResult:
    """The least typical images first. images: how many of the study have a vector and were compared.

    neighbours: the k that was used, fewer than asked for where the study is smaller. median: of all similarities.
    """

    study_id: str
    hits: tuple[Outlier, ...]
    images: int
    neighbours: int
    median: float
    space: str
    snapshot: int


class By(StrEnum):
    """What two studies are alike by."""

    LOOK = "look"
    MEANING = "meaning"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class StudiesRequest:
    """The studies most like one. sample: the most images of a study that are looked at."""

    study_id: str
    by: By = By.BOTH
    limit: int = 10
    sample: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise BadInput(f"limit must be from 1 to {MAX_LIMIT}, not {self.limit}")
        if not 1 <= self.sample <= MAX_SAMPLE:
            raise BadInput(f"sample must be from 1 to {MAX_SAMPLE}, not {self.sample}")


@dataclass(frozen=True, slots=True)
class SharedTerm:
    """A term that both studies are annotated with."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class StudyLikeness:
    """A study and how alike it is.

    look: the symmetric mean of best-match similarities of its images, of which so many were looked at. meaning: the
    semantic similarity of its annotations. Either is None without vectors or annotations, or where it was not asked.
    shared: terms that both have, the most informative first.
    """

    id: str
    title: str
    score: float
    look: float | None
    meaning: float | None
    images: int
    shared: tuple[SharedTerm, ...]


@dataclass(frozen=True, slots=True)
class StudiesResult:
    """The studies most like one, of `compared` in all.

    by: what they were ranked by, which is meaning for a study without vectors. exact: every image of every study was
    looked at; else a sample was.
    """

    study_id: str
    by: str
    hits: tuple[StudyLikeness, ...]
    compared: int
    exact: bool
    notices: tuple[str, ...]
    space: str
    snapshot: int


def read_by(text: str) -> By:
    """What studies are to be alike by, of a parameter."""
    if text not in list(By):
        raise BadInput(f"by is look, meaning or both, not {text!r}")
    return By(text)


def read_threshold(text: str) -> float:
    """The threshold of a parameter."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise BadInput(f"threshold must be a number, not {text!r}")
    return value

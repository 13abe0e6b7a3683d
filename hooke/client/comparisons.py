"""What a notebook gets of images compared with each other: to iterate, or as tables."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from hooke.client.table import table
from hooke.comparisons import (
    DuplicateGroup,
    DuplicatesResult,
    Outlier,
    OutliersResult,
    StudiesResult,
    StudyLikeness,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of near-duplicates; the whole result is in `result`."""

    result: DuplicatesResult

    def __len__(self) -> int:
        return len(self.result.groups)

    def __iter__(self) -> Iterator[DuplicateGroup]:
        return iter(self.result.groups)

    def to_pandas(self) -> "pd.DataFrame":
        """A row an image: the number of its group, and whether that is across studies and of identical images."""
        members = [
            _Member(number, len(group.studies) > 1, group.identical, image.id, image.study_id, image.title)
            for number, group in enumerate(self, start=1)
            for image in group.images
        ]
        return table(members, [each.name for each in fields(_Member)])


@dataclass(frozen=True, slots=True)
class _Member:
    group: int
    across_studies: bool
    identical: bool
    id: str
    study_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Outliers:
    """The images of a study that are least like the rest of it; the whole result is in `result`."""

    result: OutliersResult

    def __len__(self) -> int:
        return len(self.result.hits)

    def __iter__(self) -> Iterator[Outlier]:
        return iter(self.result.hits)

    def to_pandas(self) -> "pd.DataFrame":
        """The images as a table."""
        return table(self, [each.name for each in fields(Outlier)])


@dataclass(frozen=True, slots=True)
class SimilarStudies:
    """The studies most like one; the whole result is in `result`."""

    result: StudiesResult

    def __len__(self) -> int:
        return len(self.result.hits)

    def __iter__(self) -> Iterator[StudyLikeness]:
        return iter(self.result.hits)

    def to_pandas(self) -> "pd.DataFrame":
        """The studies as a table."""
        return table(self, [each.name for each in fields(StudyLikeness)])

"""The contract of a metadata store.

A store knows tokens, values and direct term ids; it knows no ontology. Expansion happens before it is asked (a query
arrives as sets of terms and tokens) and closure counts are made from what it answers (`value_sets`), so that any
relation set works on any backend and a new ontology release rewrites no record.

`docs/adr/0002` shows the Elasticsearch request that each method becomes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.model import Image, Level, Manifest, Record, Snapshot, Study, Unresolved
from hooke.query import Everything, Node, Position, Query

EVERYTHING = Everything()


@dataclass(frozen=True, slots=True)
class Hit:
    """A matching record's ordinal and its score; higher is better."""

    ordinal: int
    score: float


@dataclass(frozen=True, slots=True)
class Page:
    """Hits in the query's order (score down, if it names none; then ordinal up), the exact total, and where to go on.

    after is None at the end.
    """

    hits: tuple[Hit, ...]
    total: int
    after: Position | None


@dataclass(frozen=True, slots=True)
class FieldStats:
    """A field of a level and how many records have a value in it; prose counts every record."""

    name: str
    records: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was put, under its ordinal; without a record it is deleted, and its ordinal waits for its return.

    part: the input an image was last put from.
    """

    id: str
    study_id: str
    ordinal: int
    record: Study | Image | None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that a backend would not take, and its reason. What was there before under its id is still there."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ValueSet:
    """What one group of records has in a field: terms (directly), and values as first spelt, without a term."""

    terms: frozenset[str]
    values: frozenset[str]


class MetadataReader(Protocol):
    """One snapshot of a store, unchanged while it is open; for one thread at a time."""

    @property
    def snapshot(self) -> Snapshot:
        """The state that this reader sees."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether answers travel, so that asking about a few ordinals is cheaper than fetching many."""
        ...

    def check(self) -> None:
        """Ask all of the store now, past whatever is remembered. Raises BackendUnavailable."""
        ...

    def search(self, query: Query) -> Page:
        """The matching records. Raises BadInput for a limit below 1 or a node a store does not answer."""
        ...

    def ordinals(self, level: Level, where: Node) -> BitMap:
        """The ordinals of every matching record: the filter that similarity takes."""
        ...

    def value_sets(self, level: Level, field: str) -> Sequence[ValueSet]:
        """Every set of values that a record of this snapshot can have in a field, in a fixed order."""
        ...

    def count_sets(self, level: Level, fields: Sequence[str], where: Node) -> tuple[npt.NDArray[np.int64], ...]:
        """For each field, how many of the matching records have each set of its `value_sets`: int64, shape (sets,).

        A record without a value counts nowhere, any other in exactly one set: every facet, over any ontology and
        any relations, is a product of these counts.
        """
        ...

    def study_sets(self, field: str, where: Node) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which sets of a field the matching images of each study have: ordinals of studies and, for each, a set.

        Every pair once, in any order. A set is its index in the `value_sets` of images.
        """
        ...

    def labels(self, level: Level, field: str) -> Mapping[str, str]:
        """The label of every term that annotates a record in a field."""
        ...

    def terms_in_use(self, level: Level, field: str | None = None) -> frozenset[str]:
        """The terms that annotate a live or once live record directly."""
        ...

    def tokens(self, level: Level, prefix: str, *, field: str | None = None, limit: int = 401) -> tuple[str, ...]:
        """Tokens of live records with a prefix, sorted; at most `limit`.

        Above a limit of 1,000, tokens that only deleted records had may be among them.
        """
        ...

    def token_counts(self, level: Level, fields: Sequence[str], most: int) -> Mapping[str, int]:
        """About how many tokens each of some fields has: never fewer than there are, if there are at most `most`."""
        ...

    def fields(self, level: Level) -> Mapping[str, FieldStats]:
        """Every field of a level by name."""
        ...

    def count(self, level: Level, where: Node = EVERYTHING) -> int:
        """How many live records match."""
        ...

    def get(self, level: Level, record_id: str) -> Record:
        """One record by id. Raises UnknownRecord."""
        ...

    def records(self, level: Level, ordinals: Sequence[int]) -> tuple[Record, ...]:
        """Live records by ordinal, in the order asked; ordinals that are gone are left out."""
        ...

    def studies(self, ids: Sequence[str]) -> tuple[Study, ...]:
        """The live studies of these ids as they were put; unknown ones are left out."""
        ...

    def images_with_pixels(self) -> Iterator[tuple[int, str]]:
        """Ordinal and path of every live image whose pixels can be read, by ordinal."""
        ...

    def study_ordinals(self, images: BitMap) -> BitMap:
        """The studies that the images belong to."""
        ...

    def image_ordinals(self, studies: BitMap) -> BitMap:
        """The live images of the studies."""
        ...

    def owners(self, images: BitMap) -> npt.NDArray[np.uint32]:
        """The ordinal of the study of each of some live images, by the image's ordinal."""
        ...

    def unresolved(self, limit: int = 100) -> tuple[tuple[Unresolved, int], ...]:
        """The worklist: values that wait for a curator and how many records have them, most frequent first."""
        ...

    def unresolved_count(self) -> int:
        """How many distinct values no term was found for; the worklist has those in conflict with their ids too."""
        ...

    def mention_counts(self) -> Mapping[str, int]:
        """How many of the records' own mentions were made by each method."""
        ...

    def part_digest(self, part: str) -> str | None:
        """The digest under which an input was last indexed whole, or None."""
        ...

    def image_ids(self, part: str) -> frozenset[str]:
        """The live images that were last put from an input."""
        ...

    def size_bytes(self) -> int:
        """Bytes the metadata takes."""
        ...

    def stored(self, level: Level) -> Iterator[Stored]:
        """Every record that ever was, by ordinal: what another store needs to answer the same."""
        ...

    def parts(self) -> Mapping[str, str]:
        """The inputs that were indexed whole, with their digests."""
        ...

    def worklists(self) -> Iterator[tuple[str, Mapping[Unresolved, int]]]:
        """The worklist by input, as `put_unresolved` took it."""
        ...


class MetadataWriter(Protocol):
    """The one writer of a store. Nothing is seen by readers until `commit`; a crash loses only what came after it."""

    def put_studies(self, studies: Iterable[Study]) -> None:
        """Add or replace studies; their images inherit anew. A replaced study keeps its ordinal."""
        ...

    def put_images(self, images: Iterable[Image], *, part: str = "") -> None:
        """Add or replace images; a replaced image keeps its ordinal. Raises UnknownRecord for an unknown study.

        part: the input they come from, so that what is no longer in it can be found (`image_ids`).
        """
        ...

    def delete(self, level: Level, ids: Iterable[str]) -> int:
        """Delete records, a study with its images; ids that do not exist are ignored. Returns how many went."""
        ...

    def put_unresolved(self, part: str, unresolved: Mapping[Unresolved, int]) -> None:
        """Replace the worklist entries of one input."""
        ...

    def mark_part(self, part: str, digest: str) -> None:
        """Remember that an input was indexed whole, in the state the digest names."""
        ...

    def restore(self, level: Level, records: Iterable[Stored]) -> None:
        """Put what another store's `stored` gives, under the ordinals it has there; studies first.

        Raises Conflict where this store holds records already.
        """
        ...

    def refused(self) -> tuple[Refused, ...]:
        """What the backend would not take since this was last asked; whatever was put is settled then."""
        ...

    def commit(self, manifest: Manifest) -> Snapshot:
        """Publish everything put so far as one snapshot; readers opened from now on see it."""
        ...


class MetadataStore(Protocol):
    """Where records are kept and searched."""

    @property
    def location(self) -> str:
        """Where that is, for people; holds no credentials."""
        ...

    def read(self) -> AbstractContextManager[MetadataReader]:
        """Open the newest snapshot. Raises BackendUnavailable."""
        ...

    def write(self) -> AbstractContextManager[MetadataWriter]:
        """Become the one writer. What is not committed when the block ends is gone. Raises IndexLocked."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...

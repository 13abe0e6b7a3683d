"""The contract of a vector store: append-only segments, exact filtered search."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.errors import CorruptIndex
from hooke.views import Kind

Vectors = npt.NDArray[np.float32]
"""float32, shape (rows, dim), each row of unit length."""
Ordinals = npt.NDArray[np.uint32]
Places = npt.NDArray[np.uint32]
"""Where in its image each row is: uint32 (rows, kind.place_width); nothing, a channel's number, or a box's numbers."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one kind to append: `vectors` (rows, dim), the image `ordinals` (rows,) they belong to, and `digests`
    (rows,). places: as `Places` says; None of whole images, which have none.

    Rows of one image stand together. digests: uint64, the first eight bytes of the SHA-256 of the file of a PNG or
    JPEG, and of the pixels looked at of any other image, so that one whose content is unchanged need not be embedded
    again.
    """

    vectors: Vectors
    ordinals: Ordinals
    digests: npt.NDArray[np.uint64]
    kind: Kind = Kind.WHOLE
    places: Places | None = None


@dataclass(frozen=True, eq=False)
class Digests(Mapping[int, int]):
    """Content digests by image: 12 bytes each, where a dict takes some 150. ordinals are sorted, each there once."""

    ordinals: Ordinals
    digests: npt.NDArray[np.uint64]

    def __getitem__(self, ordinal: int) -> int:
        place = int(np.searchsorted(self.ordinals, ordinal))
        if place == len(self.ordinals) or int(self.ordinals[place]) != ordinal:
            raise KeyError(ordinal)
        return int(self.digests[place])

    def __iter__(self) -> Iterator[int]:
        return iter(self.ordinals.tolist())

    def __len__(self) -> int:
        return len(self.ordinals)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An image and its similarity: the largest float64 dot product over its rows, in [-1, 1]."""

    ordinal: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest images, nearest first, ties by ordinal.

    exact: the list is what ranking all allowed rows by float64 dot product would give.
    method: how they were found (`gather`, `scan`, `codes`, `lists`; a cluster's own); among the first three it depends
    on machine and company, the hits do not. candidates: how many images were allowed and have a vector. recall: the
    share of the k nearest that an answer by `lists` is estimated to have; None of others.
    """

    hits: tuple[Neighbour, ...]
    exact: bool
    method: str
    candidates: int
    recall: float | None = None


class VectorReader(Protocol):
    """The rows of one kind in one snapshot; safe to use from several threads.

    A later segment's rows replace an image's rows.
    """

    @property
    def dim(self) -> int:
        """Length of a row; 0 when there is none."""
        ...

    def ordinals(self) -> BitMap:
        """The images that have a vector."""
        ...

    def digests(self) -> Digests:
        """The content digest of every image that has a vector, by ordinal."""
        ...

    def vectors_of(self, ordinal: int) -> Vectors:
        """The rows of one image, a copy; shape (0, dim) when it has none."""
        ...

    def places_of(self, ordinal: int) -> Places:
        """Where in the image each of its rows is."""
        ...

    def matrix(self, images: BitMap) -> tuple[Vectors, Ordinals]:
        """All rows of those of some images that have any, a copy, by ordinal; and the image of each row."""
        ...

    def search(self, queries: Vectors, k: int, *, allowed: BitMap | None = None, exact: bool = False) -> Neighbours:
        """The k images nearest to any of the query rows, among the allowed ones (None: all).

        k counts images. Fewer than k come back only when fewer are allowed. exact: whatever it takes; else a store may
        answer approximately, and says so.
        Raises BadInput for k < 1 or rows of another length, ZeroVector for a query row of zero length.
        """
        ...


class VectorStore(Protocol):
    """Where segments are written. Nothing written is seen until a snapshot names its segment."""

    def append(self, block: Block) -> str:
        """Write one segment, durably, and return its name, which begins with its kind.

        Raises ZeroVector, BadInput, NoSpace.
        """
        ...

    def read(self, segments: Sequence[str], kind: Kind = Kind.WHOLE) -> VectorReader:
        """Open those of the named segments, oldest first, that are of a kind.

        Raises CorruptIndex naming the file that does not hold.
        """
        ...

    def discard_except(self, segments: Sequence[str]) -> None:
        """Remove segments that no snapshot names: what a killed indexer left behind."""
        ...

    def size_bytes(self, segments: Sequence[str]) -> int:
        """Bytes on disk of the named segments."""
        ...


def segment_name(kind: Kind) -> str:
    """A new segment's name."""
    return f"{kind}-{uuid4().hex}"


def of_kind(segments: Sequence[str], kind: Kind) -> list[str]:
    """Those of the segments, in their order, that are of a kind. Raises CorruptIndex for a name that tells none."""
    strange = next((name for name in segments if name.partition("-")[0] not in list(Kind)), None)
    if strange is not None:
        raise CorruptIndex(f"segment {strange!r} is of a format that this version does not read; index anew")
    return [name for name in segments if name.startswith(f"{kind}-")]

"""What a run remembers of images, in few bytes each: what there is to do, and which content has rows already."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from hooke.vectors.base import Digests, Ordinals, VectorReader, Vectors, VectorStore

_BLOCK = 4_096
_OPEN_READERS = 16
_PUBLISHED_BEFORE = 0


class PackedImages:
    """Ordinals and paths, to go through as often as needed; packed, since most of a path is its neighbour's too."""

    def __init__(self, images: Iterable[tuple[int, str]]) -> None:
        blocks = iter(images)
        self._blocks: list[bytes] = []
        self._count = 0
        while block := list(islice(blocks, _BLOCK)):
            self._blocks.append(zlib.compress(json.dumps(block).encode(), 1))
            self._count += len(block)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for block in self._blocks:
            yield from map(tuple, json.loads(zlib.decompress(block)))


class Ledger:
    """By content digest, where the rows of an image with that content are: 13 bytes a content.

    Rows are looked up in the segments that were published when the digest was noted: later ones may give the image
    that had this content another.
    """

    def __init__(self, vectors: VectorStore, segments: Sequence[str]) -> None:
        self._read = lru_cache(_OPEN_READERS)(lambda names: vectors.read(names))
        self._states: list[tuple[str, ...]] = [tuple(segments)]
        self.known: Digests = vectors.read(segments).digests()
        self._digests = np.empty(0, np.uint64)
        self._images = np.empty(0, np.uint32)
        self._state_of = np.empty(0, np.uint32)
        self._note(self.known.digests, self.known.ordinals, _PUBLISHED_BEFORE)

    def add(self, segment: str, digests: npt.NDArray[np.uint64], ordinals: Ordinals) -> None:
        """Note the images of a segment that was published."""
        self._states.append((segment,))
        self._note(digests, ordinals, len(self._states) - 1)

    def rows_with(self, digest: int) -> Vectors | None:
        """The rows of an image with this content; None where none has it."""
        place = int(np.searchsorted(self._digests, np.uint64(digest)))
        if place == len(self._digests) or int(self._digests[place]) != digest:
            return None
        reader: VectorReader = self._read(self._states[int(self._state_of[place])])
        return reader.vectors_of(int(self._images[place]))

    def _note(self, digests: npt.NDArray[np.uint64], images: Ordinals, state: int) -> None:
        digests, first = np.unique(digests, return_index=True)
        places = np.searchsorted(self._digests, digests)
        self._digests = np.insert(self._digests, places, digests)
        self._images = np.insert(self._images, places, images[first])
        self._state_of = np.insert(self._state_of, places, state)

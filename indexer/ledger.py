"""What a run remembers of images, in few bytes each: what there is to do, and which content has rows already."""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from hooke.embed.base import Rows, Views
from hooke.vectors.base import Digests, Ordinals, VectorReader, VectorStore
from hooke.views import Kind

_BLOCK = 4_096
_OPEN_READERS = 48
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
    """By content digest, where the rows of an image with that content are: 16 bytes a content.

    Rows are looked up in the segments that were published when the digest was noted: later ones may give the image
    that had this content another.
    """

    def __init__(self, vectors: VectorStore, segments: Sequence[str], kinds: Sequence[Kind]) -> None:
        self._kinds = tuple(kinds)
        self._read: Callable[[tuple[str, ...], Kind], VectorReader] = lru_cache(_OPEN_READERS)(vectors.read)
        self._states: list[tuple[str, ...]] = [tuple(segments)]
        self.known: Digests = vectors.read(segments).digests()
        self._digests = np.empty(0, np.uint64)
        self._images = np.empty(0, np.uint32)
        self._state_of = np.empty(0, np.uint32)
        self._note(self.known.digests, self.known.ordinals, _PUBLISHED_BEFORE)

    def add(self, segments: Sequence[str], digests: npt.NDArray[np.uint64], ordinals: Ordinals) -> None:
        """Note the images of segments, one of each kind, that were published."""
        self._states.append(tuple(segments))
        self._note(digests, ordinals, len(self._states) - 1)

    def views_with(self, digest: int) -> Views | None:
        """The rows of an image with this content; None where none has it."""
        place = int(np.searchsorted(self._digests, np.uint64(digest)))
        if place == len(self._digests) or int(self._digests[place]) != digest:
            return None
        image, segments = int(self._images[place]), self._states[int(self._state_of[place])]
        readers = {kind: self._read(segments, kind) for kind in self._kinds}
        return {kind: Rows(each.vectors_of(image), each.places_of(image)) for kind, each in readers.items()}

    def _note(self, digests: npt.NDArray[np.uint64], images: Ordinals, state: int) -> None:
        digests, first = np.unique(digests, return_index=True)
        fresh = ~np.isin(digests, self._digests)
        digests, images = digests[fresh], images[first[fresh]]
        places = np.searchsorted(self._digests, digests)
        self._digests = np.insert(self._digests, places, digests)
        self._images = np.insert(self._images, places, images)
        self._state_of = np.insert(self._state_of, places, state)

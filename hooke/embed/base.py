"""The contract of an embedder: pixels in, unit vectors of one named space out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hooke.views import Box, Kind

Vectors = npt.NDArray[np.float32]
INPUT_SIDE = 224
"""The input of most models, in pixels: what is read of an image with several resolutions when no model is known."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image: its pixels (channels, height, width) in the first frame looked at, from a finer level."""

    box: Box
    pixels: npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Raster:
    """The plane of an image that is looked at.

    pixels: shape (channels, height, width); uint8, uint16 or float32, as stored. `rgb` marks the three channels of a
    colour picture: they belong together and are never stretched apart. others: more frames of the same shape, of an
    image that has several times. tiles: parts of it that are looked at by themselves, too.
    """

    pixels: npt.NDArray[np.generic]
    rgb: bool
    others: tuple[npt.NDArray[np.generic], ...] = ()
    tiles: tuple[Tile, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """An image's rows of one kind: unit vectors, float32 (rows, dim), and where in it each is.

    places: uint32 (rows, kind.place_width): nothing, the channel's number, or the box as x, y, width, height.
    """

    vectors: Vectors
    places: npt.NDArray[np.uint32]


Views = Mapping[Kind, Rows]
"""All rows of an image; of tiles only where its raster has some."""


@dataclass(frozen=True, slots=True)
class Space:
    """Model + weights + preprocessing. Vectors of two spaces never meet.

    fingerprint: hex SHA-256 of the canonical JSON of `recipe`, which names every choice that changes a vector.
    """

    fingerprint: str
    model: str
    dim: int
    recipe: Mapping[str, object]

    @property
    def input_side(self) -> int:
        """The side of the model's input, in pixels."""
        side = self.recipe.get("input_size")
        return side if isinstance(side, int) else INPUT_SIDE

    @property
    def tiles(self) -> int:
        """The most tiles of an image; 0 where images have none."""
        most = self.recipe.get("tiles")
        return most if isinstance(most, int) else 0

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of rows that every image has."""
        return (Kind.WHOLE, Kind.CHANNEL, Kind.TILE) if self.tiles else (Kind.WHOLE, Kind.CHANNEL)


class Embedder(Protocol):
    """Turns rasters into vectors of its space; deterministic on one machine."""

    @property
    def space(self) -> Space:
        """The space its vectors live in."""
        ...

    def embed(self, rasters: Sequence[Raster]) -> Vectors:
        """One unit row for each raster, of all of it: float32 (len(rasters), dim); its tiles are not looked at.

        A raster's row does not depend on what else is in the batch. Raises UnreadableImage for a raster without
        pixels.
        """
        ...

    def embed_views(self, rasters: Sequence[Raster]) -> list[Views]:
        """The rows of each raster of every kind, by the same rules; `embed` gives those of kind `whole`."""
        ...

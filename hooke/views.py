"""Views: the rows that one image is embedded as, and where in the image each of them is."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a view shows. Every embedded image has at least one row of each kind that its index has.

    whole: all of it, one row: the mean of the unit rows of its channels. channel: one of its channels, or its colours.
    tile: a part of it, all channels together.
    """

    WHOLE = "whole"
    CHANNEL = "channel"
    TILE = "tile"

    @property
    def place_width(self) -> int:
        """How many numbers say where a row is: none, the channel's number from 0, or a box."""
        return {Kind.WHOLE: 0, Kind.CHANNEL: 1, Kind.TILE: 4}[self]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels of its finest level, from the upper left corner of the picture upright."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.y + self.height

    def overlap(self, other: "Box") -> int:
        """How many pixels it shares with another.

        >>> Box(0, 0, 10, 10).overlap(Box(8, 5, 10, 10)), Box(0, 0, 2, 2).overlap(Box(2, 0, 2, 2))
        (10, 0)
        """
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(0, width) * max(0, height)

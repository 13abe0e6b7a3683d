"""What an image may cost, checked from its header before a pixel is decoded."""

from dataclasses import dataclass
from math import isqrt

from hooke.errors import TooLarge, UnreadableImage


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one image: file size, pixels (width x height x planes to decode) and channels."""

    bytes: int = 256 * 2**20
    pixels: int = 2**28
    channels: int = 32

    def check_size(self, size: int) -> None:
        """Raise TooLarge for a file of more bytes than allowed, UnreadableImage for an empty one."""
        if size > self.bytes:
            raise TooLarge(f"the image has {size} bytes, the limit is {self.bytes}; send a smaller one")
        if size == 0:
            raise UnreadableImage("the image file is empty")

    def check_shape(self, width: int, height: int, *, channels: int, planes: int = 1) -> None:
        """Raise TooLarge for more pixels or channels than allowed, UnreadableImage for none."""
        if min(width, height, channels, planes) < 1:
            raise UnreadableImage(f"the image has no pixels ({width} x {height}, {channels} channels)")
        if channels > self.channels:
            raise TooLarge(f"the image has {channels} channels, the limit is {self.channels}; send fewer")
        if width * height * planes > self.pixels:
            depth = f" x {planes} planes" if planes > 1 else ""
            raise TooLarge(
                f"the image has {width} x {height}{depth} pixels, the limit is {self.pixels}; send a smaller one"
            )
        # models see squares
        if max(width, height) ** 2 > 4 * self.pixels:
            raise TooLarge(
                f"the image has {width} x {height} pixels, the limit is a side of {isqrt(4 * self.pixels)}; cut it"
            )
        # so many fit where each of a colour picture's pixels has four
        if width * height * planes * channels > 4 * self.pixels:
            raise TooLarge(
                f"the image has {channels} channels of {width} x {height} pixels, the limit is {4 * self.pixels} "
                "values; send fewer or smaller ones"
            )

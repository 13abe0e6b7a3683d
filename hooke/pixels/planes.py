"""Which planes of an n-dimensional image are looked at, and how a stack becomes one plane; for every format alike.

The level: the coarsest whose short side is no shorter than the model's input. Time: the first, middle and last frame.
Channels: all. Depth: at most `STACK_PLANES`, evenly spaced, which become one plane a channel, as `project` says.
"""

from collections.abc import Sequence

import numpy as np

from hooke.pixels.decoding import Array

STACK_PLANES = 64
_SAMPLE = 2**16


def frames_of(length: int) -> tuple[int, ...]:
    """The frames looked at: the middle one, then the first and the last.

    >>> frames_of(1), frames_of(2), frames_of(9)
    ((0,), (0, 1), (4, 0, 8))
    """
    return tuple(dict.fromkeys(((length - 1) // 2, 0, length - 1)))


def depths_of(length: int) -> tuple[int, ...]:
    """The planes of a stack that are looked at.

    >>> depths_of(3), len(depths_of(1000)), depths_of(1000)[-1]
    ((0, 1, 2), 64, 999)
    """
    if length <= STACK_PLANES:
        return tuple(range(length))
    return tuple(int(place) for place in np.linspace(0, length - 1, STACK_PLANES).round())


def project(stack: Array, *, colour: bool) -> Array:
    """One plane (…, height, width) of a stack (depth, …, height, width) of one channel or of the samples of a colour.

    On a dark background, as of fluorescence, the maximum: out of focus is dim. On a bright one, as of brightfield and
    electron microscopy, and of colours, the sharpest plane: a maximum would keep what is transparent.
    """
    if len(stack) == 1:
        return np.asarray(stack[0])
    if not colour and _is_dark(stack[len(stack) // 2]):
        return np.asarray(np.maximum.reduce(stack, axis=0))
    return np.asarray(stack[int(np.argmax([_sharpness(plane) for plane in stack]))])


def coarsest_that_suffices(short_sides: Sequence[float], wanted: int) -> list[int]:
    """The positions of levels, given finest first, in the order to try: the coarsest that suffices, then finer ones.

    >>> coarsest_that_suffices([1000, 500, 250, 125], 224), coarsest_that_suffices([100, 50], 224)
    ([2, 1, 0], [0])
    """
    enough = [position for position, side in enumerate(short_sides) if side >= wanted]
    return list(range(max(enough, default=0), -1, -1))


def _is_dark(plane: Array) -> bool:
    """Whether half of a plane lies in the lower half of its range."""
    values = plane.ravel()[:: max(1, plane.size // _SAMPLE)].astype(np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        return True
    low, middle, high = np.percentile(values, (0.1, 50, 99.9))
    return bool(middle <= (low + high) / 2)


def _sharpness(plane: Array) -> float:
    """The variance of the Laplacian, relative to the brightness: a brighter plane is not a sharper one."""
    values = np.nan_to_num(plane.astype(np.float32), posinf=0, neginf=0)
    if min(values.shape[-2:]) < 3:
        return 0.0
    inner = values[..., 1:-1, 1:-1]
    around = values[..., :-2, 1:-1] + values[..., 2:, 1:-1] + values[..., 1:-1, :-2] + values[..., 1:-1, 2:]
    return float(
        (4 * inner - around).var(dtype=np.float64) / max(float(np.abs(values).mean(dtype=np.float64)), 1e-12) ** 2
    )

"""Shapes and optics for simulated fields: planes of light or of density, as a lens and a camera would show them.

Everything is drawn from the random generator that is given, so the same seed draws the same picture.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from indexer.demo.model import Plane

SIDE = 192
"""Pixels along each side of a simulated field."""

Rng = np.random.Generator
Point = tuple[float, float]

_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)


def blank() -> Plane:
    """An empty plane."""
    return np.zeros((SIDE, SIDE))


def blur(plane: Plane, sigma: float) -> Plane:
    """The plane as a lens with a Gaussian point spread of this many pixels shows it."""
    return np.asarray(ndimage.gaussian_filter(plane, sigma), dtype=np.float64)


def texture(rng: Rng, scale: float) -> Plane:
    """Cloudy noise with features of `scale` pixels, mean 0 and standard deviation 1."""
    noise = blur(rng.normal(size=(SIDE, SIDE)), scale)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float64)


def anywhere(rng: Rng, margin: float = 0.0) -> Point:
    """A point of the field, `margin` pixels or more from its edges (beyond them where it is negative)."""
    y, x = rng.uniform(margin, SIDE - margin, size=2)
    return float(y), float(x)


def apart(rng: Rng, count: int, distance: float, margin: float = 0.0) -> list[Point]:
    """Up to `count` points no closer to each other than `distance`."""
    kept = np.empty((count, 2))
    found = 0
    for candidate in rng.uniform(margin, SIDE - margin, size=(count * 12, 2)):
        gaps = kept[:found] - candidate
        if found < count and (np.einsum("ij,ij->i", gaps, gaps) >= distance**2).all():
            kept[found] = candidate
            found += 1
    return [(float(y), float(x)) for y, x in kept[:found]]


def body(
    rng: Rng, centre: Point, radius: float, *, stretch: float = 1.0, roughness: float = 0.0, edge: float = 1.0
) -> Plane:
    """A filled, roughly elliptic body: 1 inside, 0 outside, falling over `edge` pixels.

    stretch: long axis over short axis; roughness: how far its outline wanders, as a part of the radius.
    """
    turn = rng.uniform(0, np.pi)
    place = _near(centre, 2 * radius * np.sqrt(stretch) + 2 * edge)
    dy, dx = _Y[place] - centre[0], _X[place] - centre[1]
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / np.sqrt(stretch)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * np.sqrt(stretch)
    angle = np.arctan2(across, along)
    outline = np.full_like(angle, radius)
    for wave, (size, phase) in enumerate(zip(rng.normal(size=4), rng.uniform(0, 2 * np.pi, size=4), strict=True), 2):
        outline += radius * roughness * size / wave * np.cos(wave * angle + phase)
    plane = blank()
    plane[place] = inside(outline - np.hypot(along, across), edge)
    return plane


def _near(centre: Point, reach: float) -> tuple[slice, slice]:
    """The part of the field within `reach` of a point: a small body costs no more than its own pixels."""
    low = [min(max(int(at - reach), 0), SIDE) for at in centre]
    high = [min(max(int(at + reach) + 2, 0), SIDE) for at in centre]
    return slice(low[0], high[0]), slice(low[1], high[1])


def inside(depth: Plane, edge: float) -> Plane:
    """1 where depth (pixels from the outline, inwards) is positive, 0 elsewhere, smooth over `edge` pixels."""
    return 1 / (1 + np.exp(-np.clip(4 * depth / edge, -50, 50)))


def rod(middle: Point, half: Point, radius: float, *, edge: float = 1.2) -> Plane:
    """A filled rod with round ends, from middle - half to middle + half: 1 inside, 0 outside."""
    place = _near(middle, float(np.hypot(*half)) + radius + 2 * edge)
    dy, dx = _Y[place] - middle[0], _X[place] - middle[1]
    part = np.clip((dy * half[0] + dx * half[1]) / max(half[0] ** 2 + half[1] ** 2, 1e-9), -1, 1)
    plane = blank()
    plane[place] = inside(radius - np.hypot(dy - part * half[0], dx - part * half[1]), edge)
    return plane


def walk(rng: Rng, start: Point, heading: float, *, steps: int, bend: float) -> npt.NDArray[np.float64]:
    """A wandering line of half-pixel steps from a point. Returns (steps, 2) of y, x."""
    headings = heading + np.cumsum(rng.normal(0, bend, size=steps))
    moves = 0.5 * np.stack([np.sin(headings), np.cos(headings)], axis=1)
    return np.asarray(start) + np.cumsum(moves, axis=0)


def lines(paths: Iterable[npt.NDArray[np.float64]], weights: Sequence[float]) -> Plane:
    """Thin lines laid over each other; their light adds up where they cross."""
    plane = blank()
    for path, weight in zip(paths, weights, strict=True):
        cells = np.round(path).astype(int)
        seen = cells[((cells >= 0) & (cells < SIDE)).all(axis=1)]
        np.add.at(plane, (seen[:, 0], seen[:, 1]), weight * 0.5)
    return plane


def partition(points: Sequence[Point]) -> tuple[Plane, Plane]:
    """Each pixel's distance to the border between the two nearest points, in pixels, and its nearest one's number."""
    found = KDTree(np.asarray(points)).query(np.stack([_Y, _X], axis=-1), k=2)
    distances, owners = np.asarray(found[0]), np.asarray(found[1])
    return (distances[..., 1] - distances[..., 0]) / 2, owners[..., 0].astype(np.float64)


def warp(rng: Rng, plane: Plane, *, by: float, scale: float) -> Plane:
    """The plane with each pixel moved by some `by` pixels, neighbours alike over `scale` pixels."""
    shift = [_Y + by * texture(rng, scale), _X + by * texture(rng, scale)]
    return np.asarray(ndimage.map_coordinates(plane, shift, order=1, mode="reflect"), dtype=np.float64)


def camera(rng: Rng, light: Plane, *, photons: float, offset: float = 100.0) -> npt.NDArray[np.uint16]:
    """Light (about 0 to 1) as a 12-bit camera counts it: shot noise, read noise and an offset."""
    counted = rng.poisson(np.clip(light, 0, None) * photons + 4) * (3000 / photons)
    return np.clip(counted + rng.normal(offset, 6, size=light.shape), 0, 4095).astype(np.uint16)


def grey(rng: Rng, light: Plane, *, noise: float) -> npt.NDArray[np.uint8]:
    """Light (0 to 1) as an 8-bit picture, with Gaussian noise of this standard deviation."""
    return np.clip(255 * (light + rng.normal(0, noise, size=light.shape)), 0, 255).astype(np.uint8)


def stained(rng: Rng, haematoxylin: Plane, eosin: Plane) -> npt.NDArray[np.uint8]:
    """The colour picture of a stained section, (height, width, 3), from the density of each stain.

    Stain vectors: Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23 (2001), 291-299.
    """
    density = haematoxylin[..., None] * np.array([0.65, 0.70, 0.29]) + eosin[..., None] * np.array([0.07, 0.99, 0.11])
    light = 0.96 * np.exp(-density) + rng.normal(0, 0.012, size=density.shape)
    return np.asarray(np.clip(255 * light, 0, 255), dtype=np.uint8)

"""Simulated specimens: what each kind of field shows, drawn from a random generator."""

import numpy as np

from indexer.demo.drawing import (
    SIDE,
    Rng,
    anywhere,
    apart,
    blank,
    blur,
    body,
    camera,
    grey,
    inside,
    lines,
    partition,
    rod,
    stained,
    texture,
    walk,
    warp,
)
from indexer.demo.model import Pixels, Plane


def cultured_nuclei(rng: Rng) -> Pixels:
    """Well separated nuclei, as DNA stain shows them in culture; some are in mitosis."""
    light = blank()
    for centre in apart(rng, int(rng.integers(9, 22)), 26, margin=-6):
        mitotic = rng.random() < 0.08
        radius, stretch = (6.0, 2.6) if mitotic else (rng.uniform(9, 13), rng.uniform(1.0, 1.6))
        chromatin = 1 + 0.18 * texture(rng, 1.6)
        light += (
            (1.0 if mitotic else rng.uniform(0.35, 0.75))
            * chromatin
            * body(rng, centre, radius, stretch=stretch, roughness=0.06)
        )
    return camera(rng, blur(light, 1.1) + 0.03, photons=160)


def tissue_nuclei(rng: Rng) -> Pixels:
    """Crowded nuclei of a tissue section, some out of focus."""
    sharp, far = blank(), blank()
    for centre in apart(rng, 120, 12, margin=-8):
        nucleus = rng.uniform(0.4, 1.0) * body(rng, centre, rng.uniform(5, 7.5), stretch=rng.uniform(1, 1.9))
        if rng.random() < 0.6:
            sharp += nucleus
        else:
            far += nucleus
    speckle = 1 + 0.25 * texture(rng, 1.2)
    return camera(rng, 0.7 * blur(sharp * speckle, 0.8) + 0.45 * blur(far, 4.5) + 0.04, photons=70)


def actin_and_nuclei(rng: Rng) -> Pixels:
    """Spread cells: stress fibres in the first channel, nuclei in the second."""
    fibres, nuclei = blank(), blank()
    for centre in apart(rng, int(rng.integers(3, 6)), 60, margin=20):
        cell = body(rng, centre, rng.uniform(38, 52), stretch=rng.uniform(1.2, 2.2), roughness=0.25, edge=3)
        heading = rng.uniform(0, np.pi)
        starts = [(centre[0] + dy, centre[1] + dx) for dy, dx in rng.normal(0, 30, size=(70, 2))]
        paths = [walk(rng, start, heading + rng.normal(0, 0.15), steps=140, bend=0.015) for start in starts]
        drawn = lines(paths, list(rng.uniform(0.4, 1.0, size=len(paths))))
        fibres += cell * (blur(drawn, 0.9) + 0.12) + 0.25 * (cell * (1 - cell) * 4)
        nuclei += rng.uniform(0.5, 0.8) * body(rng, centre, 12, stretch=1.3, roughness=0.05)
    second = camera(rng, blur(nuclei * (1 + 0.15 * texture(rng, 2)), 1.2) + 0.03, photons=140)
    return np.stack([camera(rng, fibres + 0.02, photons=120), second])


def mitochondria(rng: Rng) -> Pixels:
    """Short wavy tubes around dark nuclei."""
    tubes = blank()
    nuclei = blank()
    for centre in apart(rng, int(rng.integers(2, 5)), 75, margin=25):
        nuclei += body(rng, centre, 14, stretch=1.3)
        angles = rng.uniform(0, 2 * np.pi, size=110)
        reach = 14 + rng.gamma(2.0, 10.0, size=110)
        starts = [(centre[0] + r * np.sin(a), centre[1] + r * np.cos(a)) for a, r in zip(angles, reach, strict=True)]
        paths = [
            walk(rng, start, angle + rng.normal(0, 0.7), steps=int(rng.integers(10, 50)), bend=0.18)
            for start, angle in zip(starts, angles, strict=True)
        ]
        tubes += lines(paths, [1.2] * len(paths))
    light = blur(tubes, 1.2) * (1 - 0.9 * np.clip(nuclei, 0, 1)) + 0.1 * blur(tubes, 6)
    return camera(rng, light + 0.02, photons=90)


def neurites(rng: Rng) -> Pixels:
    """Bright cell bodies with long branching processes that carry boutons."""
    paths, weights = [], []
    somas = blank()
    for centre in apart(rng, int(rng.integers(2, 5)), 60, margin=20):
        somas += body(rng, centre, rng.uniform(8, 11), stretch=1.3, roughness=0.15)
        for heading in rng.uniform(0, 2 * np.pi, size=int(rng.integers(4, 7))):
            trunk = walk(rng, centre, heading, steps=260, bend=0.05)
            twig = trunk[int(rng.integers(60, 200))]
            branch = walk(rng, (twig[0], twig[1]), heading + rng.choice([-0.8, 0.8]), steps=180, bend=0.06)
            paths += [trunk, branch]
            weights += [1.2, 0.8]
    drawn = lines(paths, weights)
    boutons = drawn * (rng.random(size=drawn.shape) < 0.05) * 4
    return camera(rng, 0.9 * blur(somas, 1.5) + blur(drawn + boutons, 0.9) + 0.02, photons=110)


def vesicles(rng: Rng) -> Pixels:
    """Small bright spots in faint cells: a receptor in the first channel, endosomes in the second."""
    cells = blank()
    for centre in apart(rng, 5, 55, margin=10):
        cells += body(rng, centre, rng.uniform(30, 42), stretch=1.3, roughness=0.2, edge=4)
    planes = []
    for share in (1.0, 0.6):
        spots = (rng.random(size=cells.shape) < 0.012 * share * np.clip(cells, 0, 1)) * rng.uniform(6, 18)
        planes.append(camera(rng, blur(spots.astype(np.float64), 1.3) + 0.07 * cells + 0.02, photons=90))
    return np.stack(planes)


def budding_yeast_fluorescent(rng: Rng) -> Pixels:
    """Rings of labelled plasma membrane, many with a bud, with dim vacuoles."""
    return camera(rng, blur(_yeast(rng, ring=1.0, filling=0.12), 0.9) + 0.03, photons=110)


def budding_yeast_dic(rng: Rng) -> Pixels:
    """Budding yeast in relief, lit from one side."""
    height = blur(_yeast(rng, ring=0.0, filling=1.0), 1.6) + 0.02 * texture(rng, 3)
    slope = np.gradient(height, axis=0) + np.gradient(height, axis=1)
    return grey(rng, 0.5 + 1.5 * slope, noise=0.015)


def _yeast(rng: Rng, *, ring: float, filling: float) -> Plane:
    light = blank()
    for y, x in apart(rng, int(rng.integers(10, 24)), 28, margin=-4):
        radius, heading = rng.uniform(9, 12.5), rng.uniform(0, 2 * np.pi)
        parts = [((y, x), radius)]
        if rng.random() < 0.5:
            small = rng.uniform(3.5, 7)
            reach = radius + 0.8 * small
            parts.append(((y + reach * np.sin(heading), x + reach * np.cos(heading)), small))
        for centre, size in parts:
            whole = body(rng, centre, size, stretch=1.12)
            light += ring * 4 * whole * (1 - whole) + filling * whole
        light -= 0.7 * filling * body(rng, (y, x), radius * 0.45)
    return light


def fission_yeast(rng: Rng) -> Pixels:
    """Long rods with a bright septum in those that divide: cell wall stain."""
    light = blank()
    for y, x in apart(rng, int(rng.integers(8, 16)), 34, margin=-4):
        half, heading = rng.uniform(12, 24), rng.uniform(0, np.pi)
        dy, dx = half * np.sin(heading), half * np.cos(heading)
        shell = rod((y, x), (dy, dx), 6.5)
        light += 0.35 * 4 * shell * (1 - shell) + 0.12 * shell
        if half > 19:
            light += 0.8 * rod((y, x), (dx / 5, -dy / 5), 1.0, edge=1.0) * shell
    return camera(rng, blur(light, 0.8) + 0.02, photons=120)


def rods_phase(rng: Rng) -> Pixels:
    """Colonies of dark rods with a bright halo."""
    rods = _rods(rng)
    halo = blur(rods, 4.0) - 0.7 * rods
    return grey(rng, 0.5 + 0.35 * halo - 0.4 * blur(rods, 0.8) + 0.008 * texture(rng, 12), noise=0.012)


def rods_fluorescent(rng: Rng) -> Pixels:
    """Colonies of bright rods, each with its own brightness."""
    return camera(rng, 0.7 * blur(_rods(rng) * (0.75 + 0.2 * texture(rng, 9)), 1.0) + 0.03, photons=80)


def _rods(rng: Rng) -> Plane:
    rods = blank()
    for _ in range(int(rng.integers(2, 7))):
        middle, heading = anywhere(rng, 15), rng.uniform(0, np.pi)
        for y, x in rng.normal(middle, 16, size=(int(rng.integers(4, 14)), 2)):
            turn, half = heading + rng.normal(0, 0.5), rng.uniform(4, 10)
            dy, dx = half * np.sin(turn), half * np.cos(turn)
            rods = np.maximum(rods, rod((y, x), (dy, dx), 2.8))
    return rods


def liver_section(rng: Rng) -> Pixels:
    """Plates of polygonal cells with round nuclei, and pale sinusoids between them."""
    points = apart(rng, 70, 20, margin=-15)
    border, _ = partition(points)
    open_space = inside(warp(rng, texture(rng, 9), by=4, scale=12) * 4 - 5.5, 2)
    eosin = (0.42 + 0.06 * texture(rng, 1.5) + 0.16 * np.exp(-border)) * (1 - 0.9 * open_space)
    nuclei = blank()
    for centre in points:
        nuclei += rng.uniform(0.7, 1.1) * body(rng, centre, rng.uniform(4.2, 5.6), roughness=0.03)
    nuclei *= (1 + 0.2 * texture(rng, 1)) * (1 - open_space)
    return stained(rng, blur(nuclei, 0.7) + 0.08, blur(eosin, 0.6))


def colon_section(rng: Rng) -> Pixels:
    """Round glands: a pale lumen, a ring of cells with goblets, nuclei at the outside."""
    eosin, haematoxylin = 0.30 + 0.08 * warp(rng, texture(rng, 3), by=5, scale=8), blank()
    for centre in apart(rng, 7, 62, margin=0):
        radius = rng.uniform(24, 32)
        gland, lumen = body(rng, centre, radius, roughness=0.06), body(rng, centre, radius * 0.3, roughness=0.2)
        eosin = eosin * (1 - gland) + gland * 0.26 * (1 - 0.95 * lumen)
        for angle in np.arange(0, 2 * np.pi, 5.5 / radius):
            reach = radius * rng.uniform(0.82, 0.92)
            place = (centre[0] + reach * np.sin(angle), centre[1] + reach * np.cos(angle))
            haematoxylin += rng.uniform(0.7, 1.1) * body(rng, place, 2.6, stretch=1.4)
            goblet = (centre[0] + 0.6 * radius * np.sin(angle), centre[1] + 0.6 * radius * np.cos(angle))
            eosin *= 1 - 0.5 * (rng.random() < 0.4) * body(rng, goblet, 3.6)
    for place in apart(rng, 60, 8):
        haematoxylin += 0.5 * body(rng, place, 2.2, stretch=2)
    return stained(rng, blur(np.clip(haematoxylin, 0, 1.4), 0.7) + 0.06, blur(eosin, 0.6))


def blood_smear(rng: Rng) -> Pixels:
    """Red cells with pale centres, and now and then a white cell with a lobed nucleus."""
    eosin, haematoxylin = np.full((SIDE, SIDE), 0.03), blank()
    for centre in apart(rng, int(rng.integers(28, 60)), 17, margin=-8):
        radius = rng.uniform(9, 10.5)
        disc = body(rng, centre, radius, roughness=0.03)
        eosin += 0.5 * disc * (1 - 0.6 * body(rng, centre, radius * 0.45, edge=5))
    for centre in apart(rng, int(rng.integers(0, 3)), 60, margin=20):
        cell = body(rng, centre, 15, roughness=0.04)
        eosin = eosin * (1 - cell) + 0.18 * cell
        for dy, dx in rng.normal(0, 4.5, size=(4, 2)):
            haematoxylin = np.maximum(haematoxylin, 1.5 * body(rng, (centre[0] + dy, centre[1] + dx), 4.5))
    return stained(rng, blur(haematoxylin, 0.8), blur(eosin, 0.8))


def neuropil_section(rng: Rng) -> Pixels:
    """Thin section of neuropil: packed profiles with dark membranes, vesicles, and mitochondria with cristae."""
    border, owner = partition(apart(rng, int(rng.integers(26, 60)), 14, margin=-20))
    shades = rng.uniform(0.66, 0.82, size=int(owner.max()) + 1)
    section = shades[owner.astype(int)] - 0.5 * np.exp(-((border / 1.1) ** 2))
    for centre in apart(rng, int(rng.integers(3, 7)), 40):
        whole = body(rng, centre, rng.uniform(9, 14), stretch=rng.uniform(1.2, 2.2), roughness=0.05)
        stripes = 0.5 + 0.5 * np.sin(warp(rng, np.mgrid[0:SIDE, 0:SIDE].sum(axis=0) * 1.1, by=2, scale=6))
        section = section * (1 - whole) + whole * (0.36 + 0.2 * stripes) - 1.2 * whole * (1 - whole)
    for middle in apart(rng, int(rng.integers(2, 5)), 40, margin=15):
        rings = blank()
        for y, x in rng.normal(middle, 8, size=(22, 2)):
            ring = body(rng, (y, x), 2.4)
            rings = np.maximum(rings, ring * (1 - ring))
        section -= 1.3 * rings
    section = warp(rng, section, by=3, scale=10)
    return grey(rng, blur(section, 0.6) + 0.02 * texture(rng, 25), noise=0.055)


def cell_surface(rng: Rng) -> Pixels:
    """Round cells with microvilli on a flat support, bright at their rims."""
    height = 1.5 * texture(rng, 14)
    for centre in apart(rng, int(rng.integers(4, 10)), 40, margin=0):
        radius = rng.uniform(18, 28)
        y, x = np.mgrid[0:SIDE, 0:SIDE]
        dome = np.sqrt(np.clip(radius**2 - (y - centre[0]) ** 2 - (x - centre[1]) ** 2, 0, None))
        height = np.maximum(height, dome + (dome > 0) * 1.1 * texture(rng, 1.3))
    dy, dx = np.gradient(blur(height, 0.7))
    tilt = np.hypot(dy, dx)
    return grey(rng, 0.28 + 0.16 * np.tanh(dx - dy) + 0.38 * np.tanh(tilt / 2.5), noise=0.03)


def embryo(rng: Rng, stretch: float) -> Pixels:
    """Nuclei on the surface of an embryo, with the shadow stripes of a light sheet."""
    outline = body(rng, (SIDE / 2, SIDE / 2), rng.uniform(58, 68), stretch=stretch, roughness=0.03, edge=3)
    light = blank()
    for y, x in apart(rng, 420, 6.5):
        if outline[int(y), int(x)] > 0.4:
            light += rng.uniform(0.4, 1.0) * body(rng, (y, x), rng.uniform(2.2, 3.2))
    stripes = 1 + 0.12 * texture(rng, 2).mean(axis=1, keepdims=True) * 6
    shade = np.linspace(1.1, 0.5, SIDE)[None, :]
    return camera(rng, (0.8 * blur(light, 0.9) + 0.12 * outline) * stripes * shade + 0.02, photons=100)


def fish_embryo(rng: Rng) -> Pixels:
    """A round embryo."""
    return embryo(rng, 1.1)


def fly_embryo(rng: Rng) -> Pixels:
    """A long embryo."""
    return embryo(rng, 2.0)

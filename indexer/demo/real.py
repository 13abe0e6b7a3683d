"""The real part of the demo archive: pictures that scikit-image ships, cut into fields.

What is said of each is what scikit-image's own documentation says of it (`skimage.data`); what it leaves open, such as
the species of the colon, stays empty here.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hooke.errors import BadInput
from hooke.pixels import Limits, read_raster
from indexer.demo.model import (
    BRIGHT_FIELD,
    COLON,
    HUMAN,
    LIGHT,
    RECORDED,
    RETINA,
    UNKNOWN,
    DemoStudy,
    Field,
    Subject,
)

Picture = npt.NDArray[np.uint8]

_LEAST_IN_VIEW = 0.6
"""A field of the retina is kept when this much of it is inside the round view."""


def real_studies() -> Iterator[DemoStudy]:
    """The studies of real pictures. Raises BadInput where scikit-image is not installed."""
    yield _retina()
    yield _microaneurysms()
    yield _colon()
    yield _cell()


def _retina() -> DemoStudy:
    return DemoStudy(
        "demo-retina",
        "Fundus photograph of a normal human left eye",
        "Fields cut from one fundus photograph of a human retina (Häggström 2014).",
        {
            "licence": "CC0-1.0",
            "year": 2014,
            "doi": "10.15347/wjm/2014.008",
            "source": "scikit-image: skimage.data.retina (Wikimedia Commons Fundus_photograph_of_normal_left_eye.jpg)",
        },
        _fields("retina.jpg", "Human retina", 256, Subject(HUMAN, RECORDED, RETINA, technique="fundus photography")),
    )


def _microaneurysms() -> DemoStudy:
    return DemoStudy(
        "demo-microaneurysms",
        "Microaneurysms in a human retina",
        "Detail of a fundus photograph of a retina with lesions, green channel: a crop of image 07_dr of the "
        "High-Resolution Fundus image database (Budai 2013), given as CC0 by its owner, Andreas Maier.",
        {
            "licence": "CC0-1.0",
            "year": 2013,
            "doi": "10.1155/2013/154860",
            "source": "scikit-image: skimage.data.microaneurysms",
        },
        _fields(
            "microaneurysms.png",
            "Retina with microaneurysms",
            102,
            Subject(HUMAN, RECORDED, RETINA, technique="fundus photography", channels="green"),
        ),
    )


def _colon() -> DemoStudy:
    return DemoStudy(
        "demo-ihc-colon",
        "FHL2 in colonic glands by immunohistochemistry",
        "Fields cut from one picture of colonic glands: expression of the protein FHL2 revealed with DAB, "
        "counterstained with hematoxylin. Acquired at the Center for Microscopy And Molecular Imaging (CMMI). Its "
        "species is not given.",
        {
            "licence": "no known copyright restrictions",
            "protein": "FHL2",
            "source": "scikit-image: skimage.data.immunohistochemistry",
        },
        _fields(
            "ihc.png",
            "Colonic glands, FHL2",
            128,
            Subject(UNKNOWN, BRIGHT_FIELD, COLON, technique="immunohistochemistry", stain="DAB; hematoxylin"),
        ),
    )


def _cell() -> DemoStudy:
    return DemoStudy(
        "demo-phase-cell",
        "A cell floating in saline, quantitative phase",
        "Fields cut from one quantitative phase image retrieved from a digital hologram (Müller 2018). Neither the "
        "species nor the kind of cell is given.",
        {
            "licence": "CC0-1.0",
            "year": 2018,
            "doi": "10.1364/OE.26.010729",
            "source": "scikit-image: skimage.data.cell",
        },
        _fields(
            "cell.png",
            "Cell in saline",
            220,
            Subject(UNKNOWN, LIGHT, technique="quantitative phase imaging, digital holography", pixel_size_um="0.107"),
        ),
    )


def _fields(file: str, title: str, side: int, subject: Subject) -> Iterator[Field]:
    picture = _picture(file)
    for top, left, tile in _tiles(picture, side):
        row = subject.cells() | {
            "title": f"{title}, field at {left}, {top}",
            "simulated": "no",
            "cut_from": file,
            "left_px": str(left),
            "top_px": str(top),
        }
        yield Field(f"{Path(file).stem}-{top:04d}-{left:04d}.png", tile, row)


def _tiles(picture: Picture, side: int) -> Iterator[tuple[int, int, Picture]]:
    """Squares that do not overlap, centred in the picture, without those mostly outside a round, black-edged view."""
    height, width = picture.shape[:2]
    for top in range(height % side // 2, height - side + 1, side):
        for left in range(width % side // 2, width - side + 1, side):
            tile = picture[top : top + side, left : left + side]
            lit = tile.reshape(side, side, -1).max(axis=2) > 25
            if lit.mean() >= _LEAST_IN_VIEW:
                yield top, left, tile


def _picture(file: str) -> Picture:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise BadInput("the demo archive needs the package scikit-image; install hooke[demo]")
    raster = read_raster(Path(found.origin).parent / "data" / file, Limits())
    pixels = raster.pixels.astype(np.uint8)
    return pixels.transpose(1, 2, 0) if raster.rgb else pixels[0]

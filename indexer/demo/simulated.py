"""The simulated part of the demo archive; every field, study and title of it says that it is simulated.

The organism and the imaging method of a simulated field are those that it is drawn to resemble.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from indexer.demo import specimens
from indexer.demo.drawing import Rng
from indexer.demo.model import (
    BLOOD,
    BRIGHT_FIELD,
    COLON,
    CONFOCAL,
    CORTEX,
    DIC,
    E_COLI,
    EMBRYO,
    EPITHELIAL,
    ERYTHROCYTE,
    FIBROBLAST,
    FISSION_YEAST,
    FLUORESCENCE,
    FRUIT_FLY,
    HEPATOCYTE,
    HIPPOCAMPAL_NEURON,
    HIPPOCAMPUS,
    HUMAN,
    KIDNEY,
    LIGHT_SHEET,
    LIVER,
    MOUSE,
    NEURON,
    PHASE_CONTRAST,
    RAT,
    SEM,
    SPINNING_DISK,
    TEM,
    TWO_PHOTON,
    UNKNOWN,
    YEAST,
    ZEBRAFISH,
    DemoStudy,
    Field,
    Pixels,
    Subject,
)


@dataclass(frozen=True, slots=True)
class Series:
    """Fields of one kind: how many, how each is drawn, and what it resembles."""

    name: str
    title: str
    count: int
    draw: Callable[[Rng], Pixels]
    subject: Subject
    suffix: str = ".png"


_NUCLEI = Series(
    "nuclei",
    "nuclei of cultured cells",
    24,
    specimens.cultured_nuclei,
    Subject(HUMAN, FLUORESCENCE, UNKNOWN, EPITHELIAL, stain="DAPI", channels="DNA", pixel_size_um="0.65"),
)

_MAMMALIAN_CELLS = (
    _NUCLEI,
    Series(
        "actin",
        "actin stress fibres and nuclei of fibroblasts",
        20,
        specimens.actin_and_nuclei,
        Subject(
            HUMAN,
            CONFOCAL,
            UNKNOWN,
            FIBROBLAST,
            stain="phalloidin; DAPI",
            channels="actin; DNA",
            pixel_size_um="0.32",
        ),
        suffix=".ome.tif",
    ),
    Series(
        "mitochondria",
        "mitochondria of fibroblasts",
        20,
        specimens.mitochondria,
        Subject(MOUSE, SPINNING_DISK, UNKNOWN, FIBROBLAST, channels="mitochondria", pixel_size_um="0.2"),
    ),
    Series(
        "vesicles",
        "receptor and endosomes in epithelial cells",
        12,
        specimens.vesicles,
        Subject(HUMAN, CONFOCAL, UNKNOWN, EPITHELIAL, channels="receptor; endosomes", pixel_size_um="0.2"),
        suffix=".ome.tif",
    ),
)

_MAMMALIAN_TISSUE = (
    Series(
        "kidney",
        "nuclei in a kidney section",
        20,
        specimens.tissue_nuclei,
        Subject(MOUSE, CONFOCAL, KIDNEY, stain="DAPI", channels="DNA", pixel_size_um="0.65"),
    ),
    Series(
        "hippocampus",
        "hippocampal neurons",
        12,
        specimens.neurites,
        Subject(RAT, CONFOCAL, HIPPOCAMPUS, HIPPOCAMPAL_NEURON, channels="GFP", pixel_size_um="0.5"),
    ),
    Series(
        "cortex",
        "neurons of the cerebral cortex",
        12,
        specimens.neurites,
        Subject(MOUSE, TWO_PHOTON, CORTEX, NEURON, channels="GFP", pixel_size_um="0.6"),
    ),
)

_MICROBES = (
    Series(
        "budding-yeast",
        "budding yeast with a labelled plasma membrane",
        18,
        specimens.budding_yeast_fluorescent,
        Subject(YEAST, FLUORESCENCE, channels="plasma membrane", pixel_size_um="0.13"),
    ),
    Series(
        "budding-yeast-dic",
        "budding yeast in relief",
        12,
        specimens.budding_yeast_dic,
        Subject(YEAST, DIC, channels="transmitted light", pixel_size_um="0.13"),
    ),
    Series(
        "fission-yeast",
        "fission yeast, cell wall",
        12,
        specimens.fission_yeast,
        Subject(FISSION_YEAST, SPINNING_DISK, stain="calcofluor", channels="cell wall", pixel_size_um="0.13"),
    ),
    Series(
        "rods-phase",
        "rod-shaped bacteria",
        18,
        specimens.rods_phase,
        Subject(E_COLI, PHASE_CONTRAST, channels="transmitted light", pixel_size_um="0.11"),
    ),
    Series(
        "rods-gfp",
        "rod-shaped bacteria with GFP",
        12,
        specimens.rods_fluorescent,
        Subject(E_COLI, FLUORESCENCE, channels="GFP", pixel_size_um="0.11"),
    ),
)

_SECTIONS = (
    Series(
        "liver",
        "stained liver section",
        14,
        specimens.liver_section,
        Subject(HUMAN, BRIGHT_FIELD, LIVER, HEPATOCYTE, stain="hematoxylin; eosin", pixel_size_um="0.8"),
    ),
    Series(
        "colon",
        "stained colon section",
        10,
        specimens.colon_section,
        Subject(MOUSE, BRIGHT_FIELD, COLON, stain="hematoxylin; eosin", pixel_size_um="0.8"),
    ),
    Series(
        "blood",
        "stained blood smear",
        12,
        specimens.blood_smear,
        Subject(HUMAN, BRIGHT_FIELD, BLOOD, ERYTHROCYTE, stain="Romanowsky", pixel_size_um="0.38"),
    ),
)

_ELECTRONS = (
    Series(
        "neuropil",
        "neuropil of the cerebral cortex in thin section",
        16,
        specimens.neuropil_section,
        Subject(MOUSE, TEM, CORTEX, pixel_size_um="0.008"),
    ),
    Series(
        "surface",
        "surface of epithelial cells",
        8,
        specimens.cell_surface,
        Subject(HUMAN, SEM, UNKNOWN, EPITHELIAL, pixel_size_um="0.1"),
    ),
)

_EMBRYOS = (
    Series(
        "zebrafish",
        "nuclei of a zebrafish embryo",
        10,
        specimens.fish_embryo,
        Subject(ZEBRAFISH, LIGHT_SHEET, EMBRYO, channels="histone", pixel_size_um="3.0"),
    ),
    Series(
        "fly",
        "nuclei of a fruit fly embryo",
        8,
        specimens.fly_embryo,
        Subject(FRUIT_FLY, LIGHT_SHEET, EMBRYO, channels="histone", pixel_size_um="1.5"),
    ),
)


def simulated_studies() -> Iterator[DemoStudy]:
    """The studies of simulated fields."""
    yield _study("demo-simulated-cells", "cultured mammalian cells in fluorescence", _MAMMALIAN_CELLS)
    yield _study("demo-simulated-tissue", "mammalian tissue in fluorescence", _MAMMALIAN_TISSUE)
    yield _study("demo-simulated-microbes", "yeasts and bacteria", _MICROBES)
    yield _study("demo-simulated-sections", "stained sections and smears in bright field", _SECTIONS)
    yield _study("demo-simulated-em", "electron micrographs of cells and neuropil", _ELECTRONS)
    yield _study("demo-simulated-embryos", "embryos in a light sheet", _EMBRYOS)


def example_field() -> Field:
    """A field of nuclei to search with: drawn like those of the archive, and none of them."""
    return _field(_NUCLEI, _NUCLEI.count + 1)


def _study(identifier: str, what: str, series: Sequence[Series]) -> DemoStudy:
    return DemoStudy(
        identifier,
        f"Simulated {what}",
        f"Simulated fields, drawn by a program to resemble {what}: no specimen was imaged. The organism and the "
        "imaging method are those that a field resembles.",
        {"licence": "CC0-1.0", "source": "drawn by Hooke's demo archive"},
        (_field(one, number) for one in series for number in range(1, one.count + 1)),
    )


def _field(series: Series, number: int) -> Field:
    # a seed of its own for each field, so that adding one leaves the others as they were
    rng = np.random.default_rng([crc32(series.name.encode()), number])
    title = f"Simulated {series.title}, field {number}"
    row = {"title": title, "dataset": series.name, "simulated": "yes", **series.subject.cells()}
    return Field(f"{series.name}-{number:02d}{series.suffix}", series.draw(rng), row)

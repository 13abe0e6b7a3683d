"""What the demo archive is made of: studies, and their fields with the row that each gets in a manifest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

TERM_COLUMNS = ("organism", "imaging_method", "anatomy", "cell_type")
"""Columns that have a column of term ids beside them, named `<column>_id`."""


@dataclass(frozen=True, slots=True)
class Named:
    """A term as a manifest gives it: its label and its id; both empty where nobody knows."""

    label: str = ""
    id: str = ""


UNKNOWN = Named()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is in a picture and how it was (or pretends to have been) taken; `channels` as `name; name`."""

    organism: Named
    imaging_method: Named
    anatomy: Named = UNKNOWN
    cell_type: Named = UNKNOWN
    technique: str = ""
    stain: str = ""
    channels: str = ""
    pixel_size_um: str = ""

    def cells(self) -> dict[str, str]:
        """The subject's cells of a manifest row, by column."""
        terms = {
            "organism": self.organism,
            "imaging_method": self.imaging_method,
            "anatomy": self.anatomy,
            "cell_type": self.cell_type,
        }
        row: dict[str, str] = {}
        for column, term in terms.items():
            row |= {column: term.label, f"{column}_id": term.id}
        plain = {"technique": self.technique, "stain": self.stain, "channels": self.channels}
        return row | plain | {"pixel_size_um": self.pixel_size_um}


@dataclass(frozen=True, slots=True)
class Field:
    """One image file: its path in the study's folder, its pixels, and its manifest row.

    pixels: (height, width), (height, width, 3) for a colour picture, or (channels, height, width) for a `.tif`.
    """

    path: str
    pixels: Pixels
    row: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """One folder of the archive. facts: what `hooke.toml` says of the whole study beside id, title, description."""

    id: str
    title: str
    description: str
    facts: Mapping[str, str | int]
    fields: Iterator[Field]


# Ids and labels as the ontologies give them; a test looks each up.
HUMAN = Named("Homo sapiens", "NCBITaxon:9606")
MOUSE = Named("Mus musculus", "NCBITaxon:10090")
RAT = Named("Rattus norvegicus", "NCBITaxon:10116")
ZEBRAFISH = Named("Danio rerio", "NCBITaxon:7955")
FRUIT_FLY = Named("Drosophila melanogaster", "NCBITaxon:7227")
YEAST = Named("Saccharomyces cerevisiae", "NCBITaxon:4932")
FISSION_YEAST = Named("Schizosaccharomyces pombe", "NCBITaxon:4896")
E_COLI = Named("Escherichia coli", "NCBITaxon:562")

RECORDED = Named("recorded image", "FBbi:00000265")
LIGHT = Named("light microscopy", "FBbi:00000345")
BRIGHT_FIELD = Named("bright-field microscopy", "FBbi:00000243")
PHASE_CONTRAST = Named("phase contrast microscopy", "FBbi:00000247")
DIC = Named("differential interference contrast microscopy", "FBbi:00000245")
FLUORESCENCE = Named("fluorescence microscopy", "FBbi:00000246")
CONFOCAL = Named("confocal microscopy", "FBbi:00000251")
SPINNING_DISK = Named("spinning disk confocal microscopy", "FBbi:00000253")
TWO_PHOTON = Named("two-photon laser scanning microscopy", "FBbi:00000254")
LIGHT_SHEET = Named("SPIM", "FBbi:00000369")
TEM = Named("transmission electron microscopy (TEM)", "FBbi:00000258")
SEM = Named("scanning electron microscopy (SEM)", "FBbi:00000257")

RETINA = Named("retina", "UBERON:0000966")
COLON = Named("colon", "UBERON:0001155")
LIVER = Named("liver", "UBERON:0002107")
KIDNEY = Named("kidney", "UBERON:0002113")
CORTEX = Named("cerebral cortex", "UBERON:0000956")
HIPPOCAMPUS = Named("hippocampal formation", "UBERON:0002421")
BLOOD = Named("blood", "UBERON:0000178")
EMBRYO = Named("embryo", "UBERON:0000922")

FIBROBLAST = Named("fibroblast", "CL:0000057")
EPITHELIAL = Named("epithelial cell", "CL:0000066")
NEURON = Named("neuron", "CL:0000540")
HIPPOCAMPAL_NEURON = Named("hippocampal neuron", "CL:0002608")
HEPATOCYTE = Named("hepatocyte", "CL:0000182")
ERYTHROCYTE = Named("erythrocyte", "CL:0000232")

"""OME-XML, of any schema version since 2008: what the header of an OME-TIFF, or its companion, says of its images.

Elements are known by their local names, so that a namespace's date makes no difference.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hooke.errors import UnreadableImage, UnreadableSource
from hooke.fields import field_name
from hooke.pixels.tiff_scale import UM
from indexer.sources.base import UNPACKING_ERRORS, decode, one_line, read_file
from indexer.sources.values import canonical_field, clean, line_of, term_field

OME_XML_SUFFIXES = (".ome.xml", ".companion.ome")

DEPTH = 64
"""Levels of elements; the schema has about ten."""
ELEMENTS = 250_000
"""Elements that are kept; a header of 100,000 planes in files of their own has 200,000."""

# by the thousand, and of no use to search
_PASSED_OVER = frozenset({"Plane", "BinData", "ROI", "XMLAnnotation"})
FBBI_LABELS: Mapping[str, str] = {
    "LaserScanningConfocalMicroscopy": "confocal microscopy",
    "SpinningDiskConfocal": "spinning disk confocal microscopy",
    "SlitScanConfocal": "slit-scan confocal microscopy",
    "MultiPhotonMicroscopy": "multi-photon microscopy",
    "StructuredIllumination": "structured illumination microscopy (SIM)",
    "NearFieldScanningOpticalMicroscopy": "nearfield scanning optical microscopy (ANSOM)",
    "PALM": "PALM (photoactivation localization microscopy)",
    "STORM": "STORM (stochastic optical reconstruction microscopy)",
    "STED": "stimulated emission depletion (STED)",
    "SPIM": "SPIM",
    "BrightField": "bright-field microscopy",
    "Brightfield": "bright-field microscopy",
    "Phase": "phase contrast microscopy",
    "DIC": "differential interference contrast microscopy",
    "Darkfield": "dark-field microscopy",
    "PolarizedLight": "polarization microscopy",
    "Fluorescence": "fluorescence microscopy",
}
"""The schema's words for imaging methods that FBbi has, by FBbi's labels."""
# a name that the writing program made
_NO_NAME = re.compile(r"image[ :_-]?\d*", flags=re.IGNORECASE)

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of a header: its name (empty where a program made it up), its dataset's, and its cells by field.

    files: the names of the files that hold its pixels; none where the header does not say.
    """

    name: str
    dataset: str
    cells: tuple[Cell, ...]
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OmeHeader:
    """The images that a header describes, or the name of the file beside it that does (`companion`)."""

    images: tuple[OmeImage, ...]
    companion: str = ""


def read_header(text: str) -> OmeHeader:
    """What an OME-XML says. Raises UnreadableSource for what is no XML, has a DTD, or is nested too deep."""
    root = _Tree().parse(text)
    if root.tag != "OME":
        raise UnreadableSource(f"the root is {line_of(root.tag)[:80]!r}, not OME")
    # what refers to an element has its ID too
    named = (element for element in root.iter() if not element.tag.endswith(("Ref", "Settings")))
    by_id = {element.attrib["ID"]: element for element in named if "ID" in element.attrib}
    datasets = {
        ref.get("ID", ""): found.get("Name", "") for found in root.findall("Dataset") for ref in found.iter("ImageRef")
    }
    images = tuple(_image(image, datasets, by_id) for image in root.findall("Image"))
    elsewhere = root.find("BinaryOnly")
    companion = "" if elsewhere is None else PurePosixPath(elsewhere.get("MetadataFile", "")).name
    return OmeHeader(images, companion)


def _image(image: Element, datasets: Mapping[str, str], by_id: Mapping[str, Element]) -> OmeImage:
    # before 2012 it was the image that named its dataset
    refs = [by_id[i] for ref in image.findall("DatasetRef") if (i := ref.get("ID", "")) in by_id]
    dataset = datasets.get(image.get("ID", "")) or next((ref.get("Name", "") for ref in refs), "")
    name = line_of(image.get("Name", ""))
    files = frozenset(PurePosixPath(uuid.get("FileName", "")).name for uuid in image.iter("UUID")) - {""}
    cells = tuple(dict.fromkeys((field, text) for field, text in _cells(image, by_id) if field and text))
    return OmeImage("" if _NO_NAME.fullmatch(name) else name, line_of(dataset), cells, files)


def ome_images(path: Path, report: Callable[[str], None]) -> tuple[OmeImage, ...]:
    """The images in an OME-TIFF or OME-XML file; none where it says nothing, or, reported, nothing that can be read.

    A TIFF without a header of its own has that of the companion that it names, or of the `.ome.xml` beside it.
    """
    try:
        if is_ome_xml(path):
            return read_header(decode(read_file(path))).images
        return _tiff_images(path)
    except UnreadableImage:
        return ()  # whoever reads its pixels tells
    except (*UNPACKING_ERRORS, UnreadableSource) as error:
        report(f"its OME-XML is left out: {one_line(error)}")
        return ()


def is_ome_xml(path: Path) -> bool:
    """Whether a file is named as OME-XML, or as the companion of OME-TIFFs."""
    return path.name.lower().endswith(OME_XML_SUFFIXES)


def _tiff_images(path: Path) -> tuple[OmeImage, ...]:
    # the decoders load where there is a TIFF, and not before
    from hooke.pixels import read_ome_xml

    beside = path.with_name(re.sub(r"(\.ome)?\.[^.]+$", "", path.name, flags=re.IGNORECASE) + ".ome.xml")
    text = read_ome_xml(path)
    header = read_header(text) if text else OmeHeader((), beside.name)
    if header.companion and header.companion != path.name:
        found = path.with_name(header.companion)
        header = _companion(found, found.stat().st_mtime_ns) if found.is_file() else header
    files = {name for image in header.images for name in image.files}
    mine = tuple(image for image in header.images if not image.files or path.name in image.files)
    # a file that was renamed still has the images of its header, unless these are of several files
    return mine or (header.images if len(files) == 1 else ())


@lru_cache(maxsize=2)  # the files of one plate name one companion
def _companion(path: Path, _modified: int) -> OmeHeader:
    return read_header(decode(read_file(path)))


class _Tree:
    """A tree of elements by their local names, without those that are passed over."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = self._kept = self._passed_over = 0

    def parse(self, text: str) -> Element:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse_entities
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(text, True)
        except (expat.ExpatError, UnicodeError) as error:
            raise UnreadableSource(f"not XML: {one_line(error)}") from error
        return self._builder.close()

    def _refuse_entities(self, *_: object) -> None:
        raise UnreadableSource("it declares a document type, which OME-XML never needs")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(" ")[2]
        if self._passed_over or (local in _PASSED_OVER and self._depth > 1):
            self._passed_over += 1
            return
        self._kept += 1
        if self._depth > DEPTH or self._kept > ELEMENTS:
            raise UnreadableSource(f"more than {DEPTH} levels or {ELEMENTS:,} elements")
        self._builder.start(local, dict(attributes))

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._passed_over:
            self._passed_over -= 1
        else:
            self._builder.end(name.rpartition(" ")[2])

    def _text(self, text: str) -> None:
        if not self._passed_over:
            self._builder.data(text)


def _cells(image: Element, by_id: Mapping[str, Element]) -> Iterator[Cell]:
    yield "description", _text(image, "Description")
    yield "acquisition_date", _text(image, "AcquisitionDate") or _text(image, "CreationDate")
    pixels = image.find("Pixels")
    if pixels is not None:
        yield from _pixels_cells(pixels)
        for channel in (*pixels.findall("Channel"), *image.findall("LogicalChannel")):
            yield from _channel_cells(channel)
    yield from _instrument_cells(image, by_id)
    refs = [ref.get("ID", "") for ref in image.iter() if ref.tag.endswith("AnnotationRef")]
    for annotation in (by_id[ref] for ref in dict.fromkeys(refs) if ref in by_id):
        yield from _annotation_cells(annotation)


def _pixels_cells(pixels: Element) -> Iterator[Cell]:
    yield "dimension_order", pixels.get("DimensionOrder", "")
    yield "pixel_type", pixels.get("Type", "") or pixels.get("PixelType", "")
    for axis in "XYZCT":
        yield f"size_{axis.lower()}", pixels.get(f"Size{axis}", "")
    for axis in "XYZ":
        metres = _metres(pixels, f"PhysicalSize{axis}", "µm")
        # in µm for people, and in metres as the BioImage Archive has it, so that a range is about both
        yield f"physical_size_{axis.lower()}_um", _scaled(metres, 1e6)
        yield f"voxel_physical_size_{axis.lower()}", _scaled(metres, 1)


def _channel_cells(channel: Element) -> Iterator[Cell]:
    yield "channels", line_of(channel.get("Name", ""))
    yield "fluorophore", line_of(channel.get("Fluor", ""))
    for kind in ("Excitation", "Emission"):
        key = f"{kind}Wavelength" if f"{kind}Wavelength" in channel.attrib else f"{kind[:2]}Wave"
        yield f"{kind.lower()}_wavelength_nm", _scaled(_metres(channel, key, "nm"), 1e9)
    for key in ("AcquisitionMode", "ContrastMethod", "IlluminationType"):
        word = _said(channel, key)
        yield field_name(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key)), word
        yield "imaging_method", FBBI_LABELS.get(word, "")


def _instrument_cells(image: Element, by_id: Mapping[str, Element]) -> Iterator[Cell]:
    for instrument in _referred(image, by_id, "InstrumentRef"):
        for microscope in instrument.findall("Microscope"):
            yield "instrument", _model(microscope)
            yield "microscope_type", _said(microscope, "Type")
    for objective in _referred(image, by_id, "ObjectiveSettings", "ObjectiveRef"):
        yield "objective", _model(objective)
        yield "objective_magnification", objective.get("NominalMagnification", "")
        yield "objective_numerical_aperture", objective.get("LensNA", "")
        yield "objective_immersion", _said(objective, "Immersion")


def _referred(image: Element, by_id: Mapping[str, Element], *tags: str) -> list[Element]:
    refs = [ref.get("ID", "") for tag in tags for ref in image.findall(tag)]
    return [by_id[ref] for ref in refs if ref in by_id]


def _said(element: Element, key: str) -> str:
    word = element.get(key, "")
    return "" if word in ("Other", "Unknown") else word


def _annotation_cells(annotation: Element) -> Iterator[Cell]:
    """Key and value pairs under their keys, a term under the field of its prefix, others under their namespace."""
    namespace = canonical_field(annotation.get("Namespace", "").rstrip("/").rpartition("/")[2])
    for pair in annotation.iter("M"):
        yield canonical_field(pair.get("K", "")), clean(pair.text or "")
    if annotation.tag == "MapAnnotation":
        return
    text = clean(_text(annotation, "Value"))
    if annotation.tag == "TermAnnotation":
        yield term_field(text, "subject"), text
    elif annotation.tag == "TagAnnotation":
        yield "tag", text
    elif annotation.tag != "XMLAnnotation":
        yield namespace or "comment", text


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _model(element: Element) -> str:
    return line_of(f"{element.get('Manufacturer', '')} {element.get('Model', '')}")


def _metres(element: Element, key: str, unit: str) -> float | None:
    """A length in metres; none where it is no length above zero, or in a unit that depends on the image."""
    try:
        length = float(element.get(key, "")) * UM[element.get(f"{key}Unit", unit).replace("\u03bc", "µ")] / 1e6
    except (KeyError, ValueError):
        return None
    return length if 0 < length < 1 else None


def _scaled(metres: float | None, factor: float) -> str:
    return "" if metres is None else f"{metres * factor:.6g}"

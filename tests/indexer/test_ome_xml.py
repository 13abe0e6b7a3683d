"""The headers of OME-TIFFs, and their companions."""

from pathlib import Path

import numpy as np
import pytest
from tifffile import TiffWriter, imwrite

from hooke.pixels import OME_XML_LIMIT
from hooke.pixels.ome import read_ome_xml
from indexer.sources import Input, Source, digest, ome_xml
from tests.indexer.archives import held, index_all, write_ontologies
from tests.indexer.sourcing import read, texts, with_ids

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/{}"
HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Warning: this comment is an OME-XML metadata block, which contains crucial dimensional parameters. -->
<OME xmlns="{schema}" xmlns:SA="{schema}/SA">
  <Dataset ID="Dataset:0" Name="day 1"><ImageRef ID="Image:0"/></Dataset>
  <Instrument ID="Instrument:0">
    <Microscope Manufacturer="Zeiss" Model="LSM 880" Type="Inverted"/>
    <Objective ID="Objective:0" Manufacturer="Zeiss" Model="Plan-Apochromat" NominalMagnification="63.0" LensNA="1.4"
      Immersion="Oil"/>
  </Instrument>
  <Image ID="Image:0" Name="HeLa, mitosis">
    <AcquisitionDate>2019-05-02T10:11:12</AcquisitionDate>
    <Description>Dividing cells é</Description>
    <InstrumentRef ID="Instrument:0"/>
    <ObjectiveSettings ID="Objective:0"/>
    <Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="3" SizeZ="1" SizeC="2" SizeT="1"
      PhysicalSizeX="0.25" PhysicalSizeY="250" PhysicalSizeYUnit="nm" PhysicalSizeZ="1" PhysicalSizeZUnit="pixel">
      <Channel ID="Channel:0:0" Name="DNA" Fluor="DAPI" ExcitationWavelength="405" EmissionWavelength="0.461"
        EmissionWavelengthUnit="µm" AcquisitionMode="LaserScanningConfocalMicroscopy"/>
      <Channel ID="Channel:0:1" Name="actin" Fluor="Alexa 488" ContrastMethod="Fluorescence"
        AcquisitionMode="Other"/>
      <TiffData IFD="0" PlaneCount="2"/>
      <Plane TheZ="0" TheC="0" TheT="0"/>
    </Pixels>
    <SA:AnnotationRef ID="Annotation:0"/><SA:AnnotationRef ID="Annotation:1"/><SA:AnnotationRef ID="Annotation:2"/>
  </Image>
  <SA:StructuredAnnotations>
    <SA:MapAnnotation ID="Annotation:0"><SA:Value>
      <SA:M K="Organism">Homo sapiens</SA:M><SA:M K="Organism ID">NCBITaxon:9606</SA:M>
      <SA:M K="Cell Line">HeLa</SA:M><SA:M K="Gene Symbol">CDK1</SA:M><SA:M K="empty"/>
    </SA:Value></SA:MapAnnotation>
    <SA:TermAnnotation ID="Annotation:1"><SA:Value>GO:0005634</SA:Value></SA:TermAnnotation>
    <SA:LongAnnotation ID="Annotation:2" Namespace="lab.org/Passage"><SA:Value>17</SA:Value></SA:LongAnnotation>
    <SA:TagAnnotation ID="Annotation:3"><SA:Value>not of this image</SA:Value></SA:TagAnnotation>
  </SA:StructuredAnnotations>
</OME>"""


def header(schema: str = "2016-06") -> str:
    return HEADER.format(schema=SCHEMA.format(schema))


def minimal(*images: str, before: str = "") -> str:
    """A header of images by their attributes and content."""
    inner = "".join(f"<Image {image}</Image>" for image in images)
    return f'{before}<OME xmlns="{SCHEMA.format("2016-06")}">{inner}</OME>'


def tiff(path: Path, description: str | None, planes: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    said = None if description is None else description.encode()
    imwrite(path, np.zeros((planes, 3, 4), np.uint8), photometric="minisblack", description=said, metadata=None)
    return path


@pytest.mark.parametrize("schema", ["2008-09", "2013-06", "2015-01", "2016-06"])
def test_the_header_of_an_ome_tiff_says_what_its_image_is(tmp_path: Path, schema: str) -> None:
    tiff(tmp_path / "cells" / "a.ome.tif", header(schema))
    found = read(tmp_path / "cells")
    assert not found.quarantined
    (image,) = found.images
    assert (image.id, image.title, image.dataset) == ("cells/a.ome.tif", "HeLa, mitosis", "day 1")
    assert image.pixels is not None
    assert {field: texts(image.values, field) for field in {value.field for value in image.values}} == {
        "path": ["a.ome.tif"],
        "title": ["HeLa, mitosis"],
        "description": ["Dividing cells é"],
        "acquisition_date": ["2019-05-02T10:11:12"],
        "dimension_order": ["XYZCT"],
        "pixel_type": ["uint8"],
        **{f"size_{axis}": [size] for axis, size in zip("xyzct", "43121", strict=True)},
        "physical_size_x_um": ["0.25"],
        "physical_size_y_um": ["0.25"],
        "voxel_physical_size_x": ["2.5e-07"],
        "voxel_physical_size_y": ["2.5e-07"],
        "channels": ["DNA", "actin"],
        "fluorophore": ["DAPI", "Alexa 488"],
        "excitation_wavelength_nm": ["405"],
        "emission_wavelength_nm": ["461"],
        "acquisition_mode": ["LaserScanningConfocalMicroscopy"],
        "contrast_method": ["Fluorescence"],
        "imaging_method": ["confocal microscopy", "fluorescence microscopy"],
        "instrument": ["Zeiss LSM 880"],
        "microscope_type": ["Inverted"],
        "objective": ["Zeiss Plan-Apochromat"],
        "objective_magnification": ["63.0"],
        "objective_numerical_aperture": ["1.4"],
        "objective_immersion": ["Oil"],
        "organism": ["Homo sapiens"],
        "cell_line": ["HeLa"],
        "gene_symbol": ["CDK1"],
        "gene_ontology": ["GO:0005634"],
        "passage": ["17"],
        "format": ["OME-TIFF"],
    }
    assert with_ids(image.values, "organism") == [("Homo sapiens", ("NCBITaxon:9606",))]
    assert texts(found.studies[0].values, "organism") == ["Homo sapiens"]
    assert [dataset.name for dataset in found.studies[0].datasets] == ["day 1", "(images)"]


def test_an_ome_tiff_given_by_itself_is_the_same_image_as_in_its_folder(tmp_path: Path) -> None:
    path = tiff(tmp_path / "cells" / "a.ome.tif", header())
    alone, folder = read(path), read(tmp_path / "cells")
    assert (alone.studies, alone.images) == (folder.studies, folder.images)


def test_what_the_manifest_says_goes_before_the_header(tmp_path: Path) -> None:
    tiff(tmp_path / "cells" / "a.tif", header())
    (tmp_path / "cells" / "manifest.csv").write_text("path,organism,channels,dataset\na.tif,Mus musculus,,mine\n")
    (image,) = read(tmp_path / "cells").images
    assert with_ids(image.values, "organism") == [("Mus musculus", ())]
    assert (texts(image.values, "channels"), image.dataset) == (["DNA", "actin"], "mine")


def test_a_header_of_the_2008_schema_is_read_by_its_own_names(tmp_path: Path) -> None:
    old = (
        'ID="I" Name="x"><CreationDate>2009-01-02T00:00:00</CreationDate><ObjectiveRef ID="O"/><DatasetRef ID="D"/>'
        '<LogicalChannel Name="GFP" ExWave="488" EmWave="509" Mode="WideField"/><Pixels PixelType="uint16"/>'
    )
    text = minimal(old).replace("</OME>", '<Dataset ID="D" Name="old"/><Objective ID="O" Model="Plan"/></OME>')
    tiff(tmp_path / "a.tif", text)
    (image,) = read(tmp_path / "a.tif").images
    said = {value.field: value.text for value in image.values}
    assert said["acquisition_date"] == "2009-01-02T00:00:00"
    assert (said["channels"], said["excitation_wavelength_nm"], said["emission_wavelength_nm"]) == ("GFP", "488", "509")
    assert (said["pixel_type"], said["objective"], image.dataset) == ("uint16", "Plan", "old")


def test_several_images_in_a_file_are_several_images_and_pixels_are_the_firsts(tmp_path: Path) -> None:
    tiff(tmp_path / "s" / "a.tif", minimal(*(f'ID="Image:{n}" Name="field {n}">' for n in range(3))))
    images = read(tmp_path / "s").images
    assert [(i.id, i.title) for i in images] == [
        ("s/a.tif", "field 0"),
        ("s/a.tif#2", "field 1"),
        ("s/a.tif#3", "field 2"),
    ]
    assert [i.pixels is not None for i in images] == [True, False, False]


def of_files(*files: str) -> str:
    planes = (f'<TiffData><UUID FileName="{name}">urn:uuid:0</UUID></TiffData>' for name in files)
    return minimal(*(f'ID="I{n}" Name="well {n}"><Pixels>{inner}</Pixels>' for n, inner in enumerate(planes)))


def test_of_a_header_about_several_files_each_file_has_its_own_image(tmp_path: Path) -> None:
    for name in "ab":
        tiff(tmp_path / "plate" / f"{name}.ome.tif", of_files("a.ome.tif", "b.ome.tif"))
    assert [(i.id, i.title) for i in read(tmp_path / "plate").images] == [
        ("plate/a.ome.tif", "well 0"),
        ("plate/b.ome.tif", "well 1"),
    ]


def test_of_a_set_of_files_no_image_has_the_channels_and_sizes_of_another(tmp_path: Path) -> None:
    size = 'DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="3" SizeZ="1" SizeC="1" SizeT="1"'
    said = (f'{size} PhysicalSizeX="0.5"><Channel Name="DAPI"/>', f"{size}><Channel/>")
    text = minimal(
        *(
            f'ID="I{n}"><Pixels {inner}<TiffData IFD="0" PlaneCount="1"><UUID FileName="{n}.ome.tif">urn:uuid:{n}'
            "</UUID></TiffData></Pixels>"
            for n, inner in enumerate(said)
        )
    )
    for n in range(2):
        tiff(tmp_path / "set" / f"{n}.ome.tif", text.replace("<OME ", f'<OME UUID="urn:uuid:{n}" '), planes=1)
    fields = [{value.field for value in image.values} for image in read(tmp_path / "set").images]
    assert [{"channels", "physical_size_x_um"} & each for each in fields] == [{"channels", "physical_size_x_um"}, set()]


def test_a_renamed_file_keeps_its_image_and_one_of_several_is_not_guessed(tmp_path: Path) -> None:
    tiff(tmp_path / "one" / "renamed.tif", of_files("a.ome.tif"))
    tiff(tmp_path / "two" / "renamed.tif", of_files("a.ome.tif", "b.ome.tif"))
    assert [i.title for i in read(tmp_path / "one").images] == ["well 0"]
    assert [i.title for i in read(tmp_path / "two").images] == ["renamed.tif"]


def test_a_companion_and_a_file_of_xml_beside_say_it_for_the_tiff(tmp_path: Path) -> None:
    folder = tmp_path / "plate"
    binary_only = f'<OME xmlns="{SCHEMA.format("2016-06")}"><BinaryOnly MetadataFile="p.companion.ome" UUID="u"/></OME>'
    tiff(folder / "a.ome.tif", binary_only)
    tiff(folder / "b.tif", None)
    (folder / "p.companion.ome").write_text(of_files("a.ome.tif", "c.ome.tif"))
    (folder / "b.ome.xml").write_text(minimal('ID="Image:0" Name="beside">'))
    assert [i.title for i in read(folder).images] == ["well 0", "beside"]
    source = Input(Source.FOLDER, folder)
    before = digest(source)
    (folder / "p.companion.ome").write_text(of_files("a.ome.tif"))
    assert digest(source) != before


def test_a_file_of_ome_xml_given_by_itself_is_its_images_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / "raw.ome.xml"
    path.write_text(header())
    found = read(path)
    assert [(i.title, i.pixels) for i in found.images] == [("HeLa, mitosis", None)]
    assert not found.quarantined


def test_a_name_that_the_writing_program_made_up_is_no_title(tmp_path: Path) -> None:
    with TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(
            np.zeros((2, 3, 4), np.uint8),
            photometric="minisblack",
            metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "RFP"]}},
        )
    (image,) = read(tmp_path / "a.ome.tif").images
    assert (image.title, texts(image.values, "channels")) == ("a.ome.tif", ["GFP", "RFP"])


BOMB = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (minimal('ID="Image:0" Name="&b;">', before=BOMB), "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><OME/>', "declares a document type"),
        (minimal('ID="Image:0" Name="cut">')[:-9], "not XML"),
        (minimal('ID="Image:0">' + "<a>" * 100 + "</a>" * 100), "more than 64 levels"),
        (minimal('ID="Image:0">' + "<a/>" * 2000), "or 1,000 elements"),
        (minimal("<OME >")[10:].replace("OME xmlns", "OME xmlns:x", 1) + "<OME >", "not XML"),
        ("<a><OME ></OME></a>", "the root is 'a'"),
        (minimal() + " " * OME_XML_LIMIT, "header of more than 32 MiB"),
    ],
)
def test_a_hostile_or_broken_header_is_told_and_its_image_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setattr(ome_xml, "ELEMENTS", 1000)
    tiff(tmp_path / "cells" / "a.tif", text)
    tiff(tmp_path / "cells" / "b.tif", header())
    found = read(tmp_path / "cells")
    assert [image.title for image in found.images] == ["a.tif", "HeLa, mitosis"]
    assert [(Path(q.path).name, reason in q.reason) for q in found.quarantined] == [("a.tif", True)]


def test_planes_by_the_ten_thousand_are_passed_over(tmp_path: Path) -> None:
    planes = '<Plane TheZ="0" TheC="0" TheT="0"/>' * 50_000
    tiff(tmp_path / "a.tif", minimal(f'ID="Image:0" Name="long movie"><Pixels SizeT="50000">{planes}</Pixels>'))
    (image,) = read(tmp_path / "a.tif").images
    assert (image.title, texts(image.values, "size_t")) == ("long movie", ["50000"])


@pytest.mark.parametrize(
    "data", [b"II*\0", b"II*\0\x08\0\0\0", b"MM\0+" + b"\xff" * 60, b"II*\0\x08\0\0\0\xff\xff" + b"\x0e\x01" * 99]
)
def test_a_damaged_tiff_is_left_to_whoever_reads_its_pixels(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "a.tif").write_bytes(data)
    assert [image.title for image in read(tmp_path / "cells").images] == ["a.tif"]


def test_a_description_that_is_no_ome_xml_is_none(tmp_path: Path) -> None:
    assert read_ome_xml(tiff(tmp_path / "a.tif", "ImageJ=1.53\nimages=2")) == ""


def test_a_search_finds_an_image_by_its_header(tmp_path: Path) -> None:
    tiff(tmp_path / "cells" / "a.ome.tif", header())
    index_all(tmp_path / "index", tmp_path / "cells", ontologies=write_ontologies(tmp_path / "ontologies"))
    values = held(tmp_path / "index").images["cells/a.ome.tif"]
    terms = {mention.term for value in values for mention in value.mentions}
    assert {"NCBITaxon:9606", "FBbi:00000251", "FBbi:00000246"} <= terms

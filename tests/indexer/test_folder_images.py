"""Files with several images in a folder: plates, series and zips, image by image, and their pixels embedded."""

from pathlib import Path

import pytest
import tifffile

from hooke.model import Image, Pixels
from indexer.sources import Input, Source, digest
from tests.hooke.test_ome_zarr import dark
from tests.hooke.zarrs import write_image, write_plate, zipped
from tests.indexer.sourcing import read

PLANE = dark(2, 40, 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "screen"
    write_plate(root / "p.zarr", {"A/1/0": [PLANE], "A/1/1": [PLANE], "B/12/0": [PLANE]}, "cyx")
    return root


def said(image: Image) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in image.values:
        found.setdefault(value.field, []).append(value.text)
    return found


def test_a_plate_is_its_fields_with_their_wells(folder: Path) -> None:
    found = read(folder)
    assert not found.quarantined
    assert [image.id for image in found.images] == [f"screen/p.zarr/{path}" for path in ("A/1/0", "A/1/1", "B/12/0")]
    assert found.images[2].pixels == Pixels(str(folder.resolve() / "p.zarr" / "B" / "12" / "0"))
    fields = said(found.images[2])
    assert {name: fields[name] for name in ("plate", "well", "well_row", "well_column", "well_field")} == {
        "plate": ["P1"],
        "well": ["B12"],
        "well_row": ["B"],
        "well_column": ["12"],
        "well_field": ["0"],
    }
    assert (fields["format"], fields["size_x"], fields["size_c"]) == (["OME-Zarr"], ["60"], ["2"])


def test_a_manifest_names_a_plate_or_one_of_its_fields_and_its_cells_win(folder: Path) -> None:
    rows = ["path,organism,channels", "p.zarr,Homo sapiens,DAPI", "p.zarr/B/12/0,Mus musculus,"]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    found = read(folder)
    assert [image.id.rpartition("screen/")[2] for image in found.images] == [
        "p.zarr/A/1/0",
        "p.zarr/A/1/1",
        "p.zarr/B/12/0",
        "p.zarr/B/12/0#2",
    ]
    assert [said(image)["organism"] for image in found.images] == [["Homo sapiens"]] * 3 + [["Mus musculus"]]
    assert said(found.images[0])["channels"] == ["DAPI"]


def test_a_zip_and_the_series_of_a_file_are_listed(folder: Path) -> None:
    (folder / "q.zarr.zip").write_bytes(zipped(folder / "p.zarr"))
    with tifffile.TiffWriter(folder / "s.ome.tif", ome=True) as tif:
        tif.write(PLANE, metadata={"axes": "CYX"})
        tif.write(PLANE[:1], metadata={"axes": "CYX"})
    titles = [image.title for image in read(folder).images][3:]
    assert titles == ["q.zarr.zip/A/1/0", "q.zarr.zip/A/1/1", "q.zarr.zip/B/12/0", "s.ome.tif", "s.ome.tif#1"]


def test_a_series_named_by_its_number_has_what_the_file_says_of_it(folder: Path) -> None:
    with tifffile.TiffWriter(folder / "s.ome.tif", ome=True) as tif:
        tif.write(PLANE, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
        tif.write(PLANE[:1], metadata={"axes": "CYX", "Channel": {"Name": ["a < b"]}, "PhysicalSizeX": 0.5})
    (folder / "manifest.csv").write_text("path\ns.ome.tif#1\n")
    (image,) = read(folder).images
    assert (image.id, said(image)["channels"]) == ("screen/s.ome.tif#1", ["a < b"])
    assert said(image)["physical_size_x_um"] == ["0.5"]


def test_a_series_that_a_file_does_not_have_is_told_and_kept_without_pixels(folder: Path) -> None:
    tifffile.imwrite(folder / "s.ome.tif", PLANE, metadata={"axes": "CYX"})
    (folder / "q.zarr.zip").write_bytes(zipped(folder / "p.zarr"))
    (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    names = ["s.ome.tif#7", "q.zarr.zip#2", "x.png#2"]
    (folder / "manifest.csv").write_text("\n".join(["path", *names]) + "\n")
    found = read(folder)
    assert [(image.title, image.pixels) for image in found.images] == [(name, None) for name in names]
    assert [line.reason for line in found.quarantined] == [
        f"the file has no such series, indexed without pixels: {name}" for name in names
    ]


def test_a_field_that_is_a_link_out_of_the_folder_is_quarantined(folder: Path) -> None:
    write_image(folder.parent / "secret.zarr", [PLANE], "cyx")
    (folder / "p.zarr" / "A" / "1" / "1").rename(folder.parent / "moved")
    (folder / "p.zarr" / "A" / "1" / "1").symlink_to(folder.parent / "secret.zarr")
    found = read(folder)
    assert [image.title for image in found.images] == ["p.zarr/A/1/0", "p.zarr/B/12/0"]
    (line,) = found.quarantined
    assert line.reason == "the path leads out of the folder: p.zarr/A/1/1"


@pytest.mark.parametrize("name", ["p.zarr", "a/b/c/link.zarr"])
def test_a_series_that_leads_out_of_its_zarr_is_quarantined_and_the_others_are_read(tmp_path: Path, name: str) -> None:
    # through the link `..` leads elsewhere than by name: out of the folder
    root = tmp_path / "root"
    (root / "a" / "b" / "c").mkdir(parents=True)
    write_image(root / "p.zarr" / "0", [PLANE], "cyx")
    (root / "p.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    (root / "p.zarr" / ".zattrs").write_text('{"bioformats2raw.layout": 3, "series": ["../../secret.png", "0"]}')
    (root / "a" / "b" / "c" / "link.zarr").symlink_to("../../../p.zarr")
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "manifest.csv").write_text(f"path\n{name}\n")
    found = read(root)
    assert [image.title for image in found.images] == [f"{name}/0"]
    assert [line.reason for line in found.quarantined] == [f"the path leads out of the folder: {name}/../../secret.png"]


@pytest.mark.parametrize(("path", "taken"), [("memory://x/i.zarr", True), ("file:///etc/passwd", False)])
def test_an_address_is_taken_unless_it_is_of_a_local_file(folder: Path, path: str, taken: bool) -> None:
    (folder / "manifest.csv").write_text(f"path,note\n{path},\np.zarr,\n")
    found = read(folder)
    assert (Pixels(path) in [image.pixels for image in found.images]) is taken
    assert bool(found.quarantined) is not taken


@pytest.mark.parametrize("path", ["s.ome.tif#1", "q.zarr.zip/A/1/0"])
def test_the_digest_of_a_folder_changes_with_the_file_that_a_part_is_named_of(folder: Path, path: str) -> None:
    file = folder / path.partition("#")[0].partition("/")[0]
    file.write_bytes(zipped(folder / "p.zarr"))
    (folder / "manifest.csv").write_text(f"path\n{path}\n")
    source = Input(Source.FOLDER, folder / "manifest.csv")
    before = digest(source)
    file.write_bytes(file.read_bytes() + b"\0")
    assert digest(source) != before


@pytest.mark.parametrize("group", [".", "A/1", "A/1/0"])
def test_the_digest_of_a_folder_changes_with_the_metadata_in_a_zarr(folder: Path, group: str) -> None:
    source = Input(Source.FOLDER, folder)
    before = digest(source)
    attributes = folder / "p.zarr" / group / ".zattrs"
    attributes.write_text(attributes.read_text() + " ")
    assert digest(source) != before

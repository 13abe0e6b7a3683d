"""The headers of real OME-TIFFs, against the manifest that describes the same files; FBbi has the methods we name."""

import csv
from contextlib import closing
from pathlib import Path

import pytest

from indexer.sources.ome_xml import FBBI_LABELS, ome_images
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies


def test_headers_say_the_sizes_and_channels_that_the_manifest_says(shared_data: Path) -> None:
    labelled = shared_data / "images" / "labelled"
    with (labelled / "manifest.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["path"].endswith(".ome.tif")]
    for row in rows:
        (image,) = ome_images(labelled / row["path"], pytest.fail)
        said = dict(image.cells)
        assert (said["size_x"], said["size_y"], said["size_c"]) == (row["width"], row["height"], row["channels"])
        named = [text for field, text in image.cells if field == "channels"]
        assert len(named) == int(row["channels"]), row["path"]
    assert len(rows) > 100


def test_the_methods_of_the_schema_are_terms_of_fbbi(shared_data: Path, tmp_path: Path) -> None:
    version = add_ontologies([str(shared_data / "ontologies" / "fbbi.obo.gz")], tmp_path)
    with closing(Catalogue.open(tmp_path, version)) as catalogue:
        labels = {catalogue.label(match.term) for label in FBBI_LABELS.values() for match in catalogue.find(label)}
    assert labels == set(FBBI_LABELS.values())

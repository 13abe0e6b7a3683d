"""A real manifest as Parquet says what it says as CSV."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.indexer.sourcing import read


def test_the_manifest_of_the_labelled_images_says_the_same_as_parquet(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "images" / "labelled" / "manifest.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    for form in ("csv", "parquet"):
        (tmp_path / form / "labelled").mkdir(parents=True)
    (tmp_path / "csv" / "labelled" / "manifest.csv").write_text(text)
    pq.write_table(
        pa.table({column: [row[column] for row in rows] for column in rows[0]}),
        tmp_path / "parquet" / "labelled" / "manifest.parquet",
        row_group_size=500,
    )
    one, two = (read(tmp_path / form / "labelled") for form in ("csv", "parquet"))
    assert one.studies == two.studies
    assert one.images == two.images
    assert len(one.images) == 1415

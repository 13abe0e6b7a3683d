"""Parquet manifests: the same table as CSV and JSON, with types."""

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hooke.errors import UnreadableSource
from indexer.sources import parquet
from indexer.sources.parquet import read_parquet
from tests.indexer.archives import held, index_all
from tests.indexer.sourcing import Read, read, texts, with_ids

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


def write(folder: Path, columns: dict[str, Any], name: str = "manifest.parquet", **options: Any) -> Path:
    # Any: a column is a list of anything, or an array of pyarrow, which has no types
    folder.mkdir(parents=True, exist_ok=True)
    for image in ("a.png", "b.png"):
        (folder / image).write_bytes(PNG)
    pq.write_table(pa.table(columns), folder / name, **options)
    return folder / name


def read_columns(folder: Path, **columns: Any) -> Read:
    return read(write(folder / "cells", {"path": ["a.png", "b.png"], **columns}).parent)


def test_typed_columns_are_fields_and_lists_are_several_values(tmp_path: Path) -> None:
    found = read_columns(
        tmp_path,
        Organism=[{"label": "Homo sapiens", "id": 9606}, None],
        age=[17, None],
        pixel_size_um=pa.array([0.1, float("nan")], pa.float32()),
        exposure=[2.5e-7, 3.0],
        stains=[["DAPI", "phalloidin"], []],
        is_control=[True, False],
        day=[datetime.date(2020, 1, 2)] * 2,
        taken=[datetime.datetime(2020, 1, 2, 3, 4)] * 2,
        price=[decimal.Decimal("1.50")] * 2,
        more=pa.array([[("Gene Symbol", "CDK1")], []], pa.map_(pa.string(), pa.string())),
        strain=pa.array(["w1118", None]).dictionary_encode(),
        License=["CC BY 4.0", None],
    )
    assert not found.quarantined
    first, second = found.images
    assert {field: texts(first.values, field) for field in {value.field for value in first.values}} == {
        "path": ["a.png"],
        "organism": ["Homo sapiens"],
        "age": ["17"],
        "pixel_size_um": ["0.1"],
        "exposure": ["2.5e-07"],
        "stains": ["DAPI", "phalloidin"],
        "is_control": ["true"],
        "day": ["2020-01-02"],
        "taken": ["2020-01-02T03:04:00"],
        "price": ["1.50"],
        "more_gene_symbol": ["CDK1"],
        "strain": ["w1118"],
        "licence": ["CC-BY-4.0"],
    }
    assert with_ids(first.values, "organism") == [("Homo sapiens", ("NCBITaxon:9606",))]
    assert {value.field for value in second.values} == {"path", "exposure", "is_control", "day", "taken", "price"}


def test_the_same_table_says_the_same_as_json(tmp_path: Path) -> None:
    rows = [{"path": f"{name}.png", "Cell Line": "HeLa; U2OS", "field": 7} for name in "ab"]
    one = read(write(tmp_path / "1" / "cells", {key: [row[key] for row in rows] for key in rows[0]}).parent)
    write(tmp_path / "2" / "cells", {"x": [1]}, "other.parquet")
    (tmp_path / "2" / "cells" / "manifest.json").write_text(json.dumps(rows))
    two = read(tmp_path / "2" / "cells")
    assert one.studies == two.studies
    assert [image.values for image in one.images] == [image.values for image in two.images]


def test_pictures_inside_a_table_are_not_read(tmp_path: Path) -> None:
    image = [{"bytes": b"\x89PNG" * 1000, "path": f"{name}.png"} for name in "ab"]
    path = write(
        tmp_path / "cells", {"image": image, "raw": [b"x"] * 2, "uuid": pa.array([b"0" * 16] * 2, pa.binary(16))}
    )
    assert list(read_parquet(path)) == [{"image": {"path": "a.png"}}, {"image": {"path": "b.png"}}]
    assert [image.title for image in read(path).images] == ["a.png", "b.png"]


def test_a_table_is_read_a_batch_at_a_time_and_in_order(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(5000)]
    path = write(tmp_path, {"path": names, "n": list(range(5000))}, row_group_size=700)
    assert [row["path"] for row in read_parquet(path)] == names
    batches = pq.ParquetFile(path).iter_batches(parquet.BATCH_ROWS)
    assert max(batch.num_rows for batch in batches) <= parquet.BATCH_ROWS


def test_rows_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 1)
    found = read(write(tmp_path / "cells", {"path": ["a.png", "b.png"]}).parent)
    assert not found.images
    assert "more than 1 rows" in found.reasons


@pytest.mark.parametrize("cut", [0, 4, 100, -1, -9, -200])
def test_a_damaged_table_is_told_and_its_folder_is_not_guessed(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "cells", {"path": ["a.png", "b.png"], "organism": ["Homo sapiens"] * 2})
    path.write_bytes(path.read_bytes()[:cut])
    found = read(path.parent)
    assert not found.images
    assert "not a Parquet table that can be read" in found.reasons
    with pytest.raises(UnreadableSource, match="no metadata in"):
        read(path)


def test_damage_anywhere_never_stops_a_run(tmp_path: Path) -> None:
    path = write(tmp_path / "cells", {"path": ["a.png", "b.png"], "organism": ["Homo sapiens"] * 2})
    whole = path.read_bytes()
    for position in range(0, len(whole), 17):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        found = read(path.parent)
        assert len(found.images) <= 2
        assert found.quarantined or found.images


def test_an_index_has_its_rows_and_the_next_run_reads_nothing(tmp_path: Path) -> None:
    write(tmp_path / "cells", {"path": ["a.png", "b.png"], "age": [17, 9]})
    index_all(tmp_path / "index", tmp_path / "cells")
    assert [texts(v, "age") for v in held(tmp_path / "index").images.values()] == [["17"], ["9"]]
    assert index_all(tmp_path / "index", tmp_path / "cells").unchanged == 1

"""The pixel half of a run: what is embedded, what is embedded again, and what is not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import zarr

from hooke.embed.base import Embedder, Raster, Views
from hooke.embed.fingerprint import golden_rasters
from hooke.embed.timm import TimmEmbedder, load_embedder
from hooke.index import IndexDirectory
from hooke.pixels import Limits, read_raster
from indexer import embedding
from indexer.embedding import Model
from tests.hooke.test_ome_zarr import dark
from tests.hooke.zarrs import write_plate
from tests.indexer.archives import MODEL, held, index_all, write_images, write_manifest


def segments(index: Path) -> set[str]:
    return {path.name for path in (index / "vectors").iterdir()}


def test_every_image_gets_the_vector_of_its_pixels_and_a_thumbnail(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 3)
    index_all(tmp_path / "index", images, model=MODEL)
    found = held(tmp_path / "index")
    embedder = load_embedder(MODEL.name, threads=1)
    for n in range(3):
        (row,) = embedder.embed([read_raster(images / f"field{n:03}.png", Limits())])
        image = f"images/field{n:03}.png"
        np.testing.assert_array_equal(np.frombuffer(found.vectors[image], np.float32), row)
        thumbnail = IndexDirectory(tmp_path / "index").thumbnail(found.ordinals[image])
        assert thumbnail.read_bytes().startswith(b"\xff\xd8\xff")


def test_only_an_image_whose_content_changed_is_embedded_again(tmp_path: Path) -> None:
    images, index = write_images(tmp_path / "images", 4), tmp_path / "index"
    index_all(index, images, model=MODEL)
    before, written = held(index), segments(index)
    (images / "field002.png").write_bytes((images / "field000.png").read_bytes())
    (images / "field001.png").touch()
    index_all(index, images, model=MODEL)
    after = held(index)
    assert after.ordinals == before.ordinals
    assert after.vectors["images/field002.png"] == before.vectors["images/field000.png"]
    assert {key for key in before.vectors if before.vectors[key] != after.vectors[key]} == {"images/field002.png"}
    fresh = segments(index) - written
    assert sorted(name.partition("-")[0] for name in fresh) == ["channel", "whole"]
    assert all((index / "vectors" / name / "ordinals.u32").stat().st_size == 4 for name in fresh)


def test_new_metadata_of_an_image_keeps_its_vector(tmp_path: Path) -> None:
    images, index = write_images(tmp_path / "images", 2), tmp_path / "index"
    index_all(index, images, model=MODEL)
    before, written = held(index), segments(index)
    write_manifest(images, ["field000.png", "field001.png"], organism="Mus musculus")
    index_all(index, images, model=MODEL)
    assert held(index).vectors == before.vectors
    assert held(index).images != before.images
    assert segments(index) == written


def test_metadata_alone_first_and_pixels_later_make_the_same_index(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 3)
    index_all(tmp_path / "at once", images, model=MODEL)
    later = tmp_path / "later"
    assert index_all(later, images).embedded == 0
    report = index_all(later, images, model=MODEL)
    assert (report.embedded, report.unchanged) == (3, 1)
    assert held(later) == held(tmp_path / "at once")


def test_segments_hold_no_more_than_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", 4)
    monkeypatch.setattr(embedding, "BATCH", 2)
    index_all(tmp_path / "index", write_images(tmp_path / "images", 9), model=MODEL)
    sizes = sorted(path.stat().st_size // 4 for path in (tmp_path / "index" / "vectors").glob("whole-*/ordinals.u32"))
    assert sizes == [1, 4, 4]
    assert len(held(tmp_path / "index").vectors) == 9


def test_an_index_without_images_needs_no_model(tmp_path: Path) -> None:
    manifest = tmp_path / "images"
    manifest.mkdir()
    write_manifest(manifest, ["gone.png"])
    report = index_all(tmp_path / "index", manifest)
    assert (report.images, report.embedded) == (1, 0)
    assert not (tmp_path / "index" / "spaces").exists()


def test_a_deleted_thumbnail_folder_does_not_stop_a_run(tmp_path: Path) -> None:
    images, index = write_images(tmp_path / "images", 1), tmp_path / "index"
    index_all(index, images, model=Model(MODEL.name))
    write_images(images, 2)
    for path in sorted((index / "thumbnails").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    index_all(index, images, model=MODEL)
    assert len(held(index).vectors) == 2


def test_the_fields_of_a_plate_are_embedded_and_a_damaged_one_is_quarantined(tmp_path: Path) -> None:
    planes = {f"A/1/{n}": [dark(2, 40, 60)] for n in range(3)}
    plate, index = write_plate(tmp_path / "screen" / "p.zarr", planes, "cyx"), tmp_path / "index"
    (plate / "A" / "1" / "1" / "0" / ".zarray").write_text("{")
    report = index_all(index, tmp_path / "screen", model=MODEL)
    found, embedder = held(index), load_embedder(MODEL.name, threads=1)
    assert sorted(found.vectors) == ["screen/p.zarr/A/1/0", "screen/p.zarr/A/1/2"]
    (row,) = embedder.embed([read_raster(plate / "A" / "1" / "2", Limits(), embedder.space.input_side)])
    np.testing.assert_array_equal(np.frombuffer(found.vectors["screen/p.zarr/A/1/2"], np.float32), row)
    thumbnail = IndexDirectory(index).thumbnail(found.ordinals["screen/p.zarr/A/1/2"])
    assert thumbnail.read_bytes().startswith(b"\xff\xd8\xff")
    (line,) = report.quarantined
    assert line.path == str(plate.resolve() / "A" / "1" / "1")
    assert line.reason.startswith("the OME-Zarr is damaged")
    written = segments(index)
    index_all(index, tmp_path / "screen", model=MODEL)
    assert (held(index).vectors, segments(index)) == (found.vectors, written)


def test_a_field_of_a_plate_whose_pixels_changed_is_embedded_again_and_no_other(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    planes = {f"A/1/{n}": [random.integers(0, 900, (2, 40, 60)).astype(np.uint16)] for n in range(3)}
    plate, index = write_plate(tmp_path / "screen" / "p.zarr", planes, "cyx"), tmp_path / "index"
    index_all(index, tmp_path / "screen", model=MODEL)
    before = held(index).vectors
    pixels = planes["A/1/1"][0]
    zarr.open_array(plate / "A" / "1" / "1" / "0")[...] = pixels.T.reshape(pixels.shape)
    index_all(index, tmp_path / "screen", model=MODEL)
    after = held(index).vectors
    assert {image for image in before if after[image] != before[image]} == {"screen/p.zarr/A/1/1"}


def test_the_same_content_under_two_ids_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "SEGMENT_IMAGES", 3)
    monkeypatch.setattr(embedding, "BATCH", 2)
    images, index = write_images(tmp_path / "images", 8), tmp_path / "index"
    twins = {1: 0, 4: 0, 7: 3}  # in the same batch, in a segment that is published, in another batch
    for twin, first in twins.items():
        (images / f"field{twin:03}.png").write_bytes((images / f"field{first:03}.png").read_bytes())
    embedded: list[int] = []
    embed = TimmEmbedder.embed_views

    def counted(self: TimmEmbedder, rasters: Sequence[Raster]) -> list[Views]:
        embedded.append(len(rasters))
        return embed(self, rasters)

    monkeypatch.setattr(TimmEmbedder, "embed_views", counted)
    index_all(index, images, model=MODEL)
    vectors = held(index).vectors
    assert len(vectors) == 8
    assert len(set(vectors.values())) == 5
    for twin, first in twins.items():
        assert vectors[f"images/field{twin:03}.png"] == vectors[f"images/field{first:03}.png"]
    assert sum(embedded) == 5 + len(golden_rasters())

    # later, too: content that the index has is copied from it
    (images / "field005.png").write_bytes((images / "field002.png").read_bytes())
    embedded.clear()
    index_all(index, images, model=MODEL)
    after = held(index).vectors
    assert after == {**vectors, "images/field005.png": vectors["images/field002.png"]}
    assert sum(embedded) == len(golden_rasters()), "held against the golden rows before the work, and no more"


def test_an_image_that_cannot_be_embedded_costs_no_other_of_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_images(tmp_path / "images", 6)
    (images / "field005.png").write_bytes((images / "field003.png").read_bytes())
    bad = read_raster(images / "field003.png", Limits()).pixels
    alone = TimmEmbedder._alone

    def starved(self: TimmEmbedder, raster: Raster) -> Views:
        if raster.pixels.shape == bad.shape and (raster.pixels == bad).all():
            raise MemoryError
        return alone(self, raster)

    monkeypatch.setattr(TimmEmbedder, "_alone", starved)
    report = index_all(tmp_path / "index", images, model=MODEL)
    told = [(Path(line.path).name, "memory" in line.reason) for line in report.quarantined]
    assert told == [("field003.png", True), ("field005.png", True)]
    assert len(held(tmp_path / "index").vectors) == 4


def test_large_rasters_make_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "BATCH_BYTES", 2 * 24 * 24)
    batches: list[int] = []
    embed = embedding.embedded

    def counted(embedder: Embedder, batch: Sequence[embedding.Loaded]) -> list[embedding.Embedded]:
        batches.append(len(batch))
        return embed(embedder, batch)

    monkeypatch.setattr(embedding, "embedded", counted)
    index_all(tmp_path / "index", write_images(tmp_path / "images", 5), model=MODEL)
    assert sorted(batches) == [1, 2, 2]

"""Tiles, channels and regions of real images: what they find, and that a region is read as its tile was."""

import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from benchmarks.views import QUARTERS, make_montages, precision, tiled
from hooke.embed.timm import DEFAULT_MODEL, load_embedder
from hooke.model import Level
from hooke.request import LookOptions, SearchRequest, ViewOptions
from hooke.results import SimilarResult
from hooke.views import Box, Kind
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine, Example

TILES = 3


@pytest.fixture(scope="module")
def engine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Five fields of a plate and a larger image, of three channels each, as OME-Zarrs; with tiles."""
    folder = tmp_path_factory.mktemp("views") / "zarrs"
    for name in ("nf1_plate_v04.ome.zarr", "cardiomyocyte_B03_mip_v05.ome.zarr"):
        with tarfile.open(shared_data / "images" / "ome-zarr" / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    report = run(IndexJob((folder,), folder.parent / "index", model=Model(DEFAULT_MODEL, tiles=TILES)))
    assert (report.embedded, report.quarantined) == (6, ())
    with closing(Engine(folder.parent / "index", EmbedderChoice())) as opened:
        yield opened


def images(engine: Engine) -> list[str]:
    return [hit.id for hit in engine.search(SearchRequest(Level.IMAGE, limit=10)).hits]


def look(engine: Engine, image: str, views: ViewOptions) -> SimilarResult:
    request = SearchRequest(Level.IMAGE, limit=10, explain=True)
    return engine.similar(Example(images=(image,)), request, LookOptions(views=views))


def test_every_image_has_its_channels_and_tiles_in_its_bounds(engine: Engine) -> None:
    sizes = {True: (612, 452), False: (1280, 1080)}
    seen: set[tuple[str, Box]] = set()
    for image in images(engine):
        for hit in look(engine, image, ViewOptions()).hits:
            channel, tile = hit.pairs
            assert channel.hit_place.channel in (0, 1, 2)
            box = tile.hit_place.box
            assert box is not None
            width, height = sizes["nf1" in hit.id]
            assert box.right <= width
            assert box.bottom <= height
            seen.add((hit.id, box))
    assert len(seen) > 6


def test_a_region_that_is_a_tile_gives_what_the_tile_gives(engine: Engine) -> None:
    for image in images(engine)[:3]:
        by_tile = look(engine, image, ViewOptions(kind=Kind.TILE))
        for hit in by_tile.hits[:2]:
            pair = next(pair for pair in hit.pairs if pair.kind is Kind.TILE)
            assert pair.example_place.box is not None
            again = look(engine, image, ViewOptions(region=Box(*astuple(pair.example_place.box))))
            found = next(each for each in again.hits if each.id == hit.id)
            assert found.similarity == pytest.approx(pair.similarity, abs=1e-5)
            assert again.query.notices == ()


def test_nuclei_are_nearest_to_nuclei(engine: Engine) -> None:
    """DAPI of a field of the plate, among three channels of each other field: DAPI, whatever the other dyes show."""
    fields = [image for image in images(engine) if "nf1" in image]
    for image in fields:
        hits = [hit for hit in look(engine, image, ViewOptions(channel="DAPI")).hits if hit.id in fields]
        assert len(hits) == len(fields) - 1
        assert [hit.pairs[0].hit_place.channel for hit in hits] == [0] * len(hits)


def test_tiles_find_what_is_in_a_part_of_an_image(shared_data: Path) -> None:
    embedder = load_embedder(DEFAULT_MODEL, threads=2, tiles=QUARTERS)
    side = embedder.space.input_side
    made = make_montages(shared_data / "images" / "labelled", 24, side)
    montages = embedder.embed_views(tiled(made.montages, side, QUARTERS))
    queries = embedder.embed_views(made.queries)
    whole, tile = (precision(made, montages, queries, kind) for kind in (Kind.WHOLE, Kind.TILE))
    assert tile > whole + 0.05

"""Regions, channels and tiles: what is compared with what; the same by id, by file, over HTTP and by command."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from typer.testing import CliRunner

import hooke
from hooke.cli import app
from hooke.embed.timm import DEFAULT_MODEL
from hooke.errors import BadInput, SpaceMismatch
from hooke.model import Level
from hooke.pixels import Limits, read_raster
from hooke.request import LookOptions, SearchRequest, ViewOptions, read_views
from hooke.results import Place, SimilarResult
from hooke.views import Box, Kind
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine, Example
from tests.small_index import image_id, serving

Planes = npt.NDArray[np.uint16]
SCENE, PART, SWAPPED, OTHER = (f"views/{name}.ome.tif" for name in ("scene", "part", "swapped", "other"))
CORNER = Box(0, 0, 256, 256)


def _texture(kind: str, side: int) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[0:side, 0:side]
    drawn = {
        "dots": (x % 32 - 16) ** 2 + (y % 32 - 16) ** 2 < 60,
        "stripes": (x + y) % 24 < 8,
        "rings": np.hypot(x - side / 2, y - side / 2) % 20 < 5,
        "checks": (x // 40 + y // 40) % 2 == 1,
    }
    texture: npt.NDArray[np.float64] = drawn[kind].astype(np.float64)
    return texture


def _corner(kind: str) -> npt.NDArray[np.float64]:
    """A texture in the first quarter of a dark plane of 512 pixels."""
    plane = np.zeros((512, 512))
    plane[:256, :256] = _texture(kind, 256)
    return plane


def _planes(*shares: npt.NDArray[np.float64]) -> Planes:
    noise = np.random.default_rng(1).integers(0, 900, (len(shares), *shares[0].shape))
    return (np.stack(shares) * 40_000 + noise).astype(np.uint16)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of two channels: a scene, a corner of it, its first channel as another's second, and none of that."""
    folder = tmp_path_factory.mktemp("archive") / "views"
    folder.mkdir()
    scene = _planes(_corner("dots"), _corner("stripes"))
    images = {
        "scene": scene,
        "part": scene[:, :256, :256],
        "swapped": np.stack([_planes(_texture("checks", 512))[0], scene[0]]),
        "other": _planes(_texture("rings", 512), _texture("rings", 512).T),
    }
    for name, pixels in images.items():
        metadata = {"axes": "CYX", "Channel": {"Name": ["DNA", "actin"]}}
        tifffile.imwrite(folder / f"{name}.ome.tif", pixels, metadata=metadata, tile=(128, 128))
    report = run(IndexJob((folder,), folder.parent / "index", model=Model(DEFAULT_MODEL, tiles=4)))
    assert report.embedded == len(images)
    return folder.parent


@pytest.fixture(scope="module")
def opened(tiled: Path) -> Iterator[Engine]:
    with closing(Engine(tiled / "index", EmbedderChoice())) as engine:
        yield engine


def look(engine: Engine, example: Example, views: ViewOptions, *, k: int = 3, explain: bool = True) -> SimilarResult:
    return engine.similar(example, SearchRequest(Level.IMAGE, limit=k, explain=explain), LookOptions(views=views))


def uploaded(engine: Engine, path: Path, views: ViewOptions) -> Example:
    return Example((read_raster(path, Limits(), engine.input_side(), parts=engine.parts(views, explain=True)),))


def test_a_region_finds_the_tile_that_shows_it(opened: Engine) -> None:
    found = look(opened, Example(images=(SCENE,)), ViewOptions(region=CORNER))
    assert (found.views, found.exact, found.candidates) == (Kind.TILE, True, 3)
    best = found.hits[0]
    assert best.id == PART
    assert best.similarity > 0.95 > found.hits[1].similarity
    (pair,) = best.pairs
    assert (pair.kind, pair.example) == (Kind.TILE, SCENE)
    assert pair.similarity == pytest.approx(best.similarity)
    assert (pair.example_place, pair.hit_place) == (Place(box=CORNER), Place(box=CORNER))


def test_a_region_of_a_file_is_the_region_of_the_image(opened: Engine, tiled: Path) -> None:
    views = ViewOptions(region=Box(30, 20, 200, 210))
    by_id = look(opened, Example(images=(SCENE,)), views)
    by_file = look(opened, uploaded(opened, tiled / "views/scene.ome.tif", views), views, k=4)
    assert by_file.hits[0].id == SCENE
    rest = {hit.id: hit.similarity for hit in by_file.hits if hit.id != SCENE}
    assert rest == pytest.approx({hit.id: hit.similarity for hit in by_id.hits}, abs=1e-6)
    assert by_file.hits[0].pairs[0].example == "upload 1"


@pytest.mark.parametrize("channel", ["DNA", "dna", "0"])
def test_a_channel_finds_itself_in_another_channel(opened: Engine, channel: str) -> None:
    found = look(opened, Example(images=(SCENE,)), ViewOptions(channel=channel))
    assert found.views is Kind.CHANNEL
    best = found.hits[0]
    assert best.id == SWAPPED
    assert best.similarity == pytest.approx(1, abs=1e-5)
    (pair,) = best.pairs
    assert (pair.example_place, pair.hit_place) == (Place(channel=0), Place(channel=1))


def test_a_channel_of_a_file_is_told_by_number(opened: Engine, tiled: Path) -> None:
    views = ViewOptions(channel="1")
    found = look(opened, uploaded(opened, tiled / "views/swapped.ome.tif", views), views)
    assert {hit.id for hit in found.hits[:2]} == {SWAPPED, SCENE}
    assert [hit.pairs[0].hit_place.channel for hit in found.hits if hit.id == SCENE] == [0]
    with pytest.raises(BadInput, match="told by number"):
        look(opened, uploaded(opened, tiled / "views/scene.ome.tif", views), ViewOptions(channel="DNA"))


def test_explanations_are_the_best_pairs_of_all(opened: Engine) -> None:
    found = look(opened, Example(images=(SCENE, OTHER)), ViewOptions())
    assert found.views is Kind.WHOLE
    for hit in found.hits:
        assert [pair.kind for pair in hit.pairs] == [Kind.CHANNEL, Kind.TILE]
        for pair in hit.pairs:
            alone = [
                look(opened, Example(images=(image,)), ViewOptions(kind=pair.kind), k=4, explain=False)
                for image in (SCENE, OTHER)
            ]
            best = max(each.similarity for result in alone for each in result.hits if each.id == hit.id)
            assert pair.similarity == pytest.approx(best, abs=1e-9)
    swapped = next(hit for hit in found.hits if hit.id == SWAPPED)
    assert (swapped.pairs[0].example, swapped.pairs[0].example_place.channel) == (SCENE, 0)
    assert swapped.pairs[0].hit_place == Place(channel=1)


def test_without_explain_hits_have_no_pairs(opened: Engine) -> None:
    found = look(opened, Example(images=(SCENE,)), ViewOptions(), explain=False)
    assert all(hit.pairs == () for hit in found.hits)


def test_a_counterexample_is_of_the_kind_that_is_compared(opened: Engine) -> None:
    found = look(opened, Example(images=(SCENE,), negatives=(OTHER,)), ViewOptions(channel="DNA"))
    assert [hit.id for hit in found.hits] == [SWAPPED, PART]


def test_a_combined_search_takes_a_region(opened: Engine) -> None:
    options = LookOptions(views=ViewOptions(region=CORNER))
    found = opened.combined(Example(images=(SCENE,)), SearchRequest(Level.IMAGE, limit=3), options)
    assert (found.views, found.hits[0].id) == (Kind.TILE, PART)


def test_a_tile_stands_in_for_a_region_whose_pixels_are_gone(opened: Engine, tiled: Path) -> None:
    path = tiled / "views/scene.ome.tif"
    path.rename(tiled / "moved")
    try:
        found = look(opened, Example(images=(SCENE,)), ViewOptions(region=Box(20, 30, 180, 180)))
    finally:
        (tiled / "moved").rename(path)
    assert found.hits[0].id == PART
    assert found.query.notices == (
        f"the pixels of {SCENE!r} are not at hand: its tile 0,0,256,256 stands for the region",
    )
    assert found.hits[0].pairs[0].example_place == Place(box=CORNER)


@pytest.mark.parametrize("region", [Box(512, 0, 10, 10), Box(9_000, 9_000, 10, 10), Box(500, 500, 13, 12)])
def test_a_region_outside_is_refused_where_the_pixels_are_gone(opened: Engine, tiled: Path, region: Box) -> None:
    path = tiled / "views/scene.ome.tif"
    path.rename(tiled / "moved")
    try:
        with pytest.raises(BadInput, match="not inside the image of 512 x 512"):
            look(opened, Example(images=(SCENE,)), ViewOptions(region=region))
    finally:
        (tiled / "moved").rename(path)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (ViewOptions(region=Box(0, 0, 513, 512)), "not inside the image of 512 x 512"),
        (ViewOptions(channel="2"), "has the channels 0, 1"),
        (ViewOptions(channel="GFP"), "has the channels DNA, actin"),
    ],
)
def test_what_an_image_does_not_have_is_said(opened: Engine, views: ViewOptions, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        look(opened, Example(images=(SCENE,)), views)


def test_a_name_that_not_every_channel_has_for_itself_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    planes = _planes(_texture("dots", 64), _texture("stripes", 64), _texture("rings", 64))
    for file, names in (("twice", ["DAPI", "DAPI", "GFP"]), ("blank", ["DAPI", "", "GFP"])):
        metadata = {"axes": "CYX", "Channel": {"Name": names}}
        tifffile.imwrite(folder / f"{file}.ome.tif", planes, metadata=metadata)
    run(IndexJob((folder,), tmp_path / "index", model=Model(DEFAULT_MODEL)))
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        for file in ("twice", "blank"):
            example = Example(images=(f"named/{file}.ome.tif",))
            with pytest.raises(BadInput, match=r"names 2 of its 3 channels.*give its number"):
                look(engine, example, ViewOptions(channel="GFP"))
            assert look(engine, example, ViewOptions(channel="2")).hits[0].similarity == pytest.approx(1, abs=1e-5)


def test_a_region_is_of_one_example(opened: Engine) -> None:
    with pytest.raises(BadInput, match="one example"):
        look(opened, Example(images=(SCENE, OTHER)), ViewOptions(region=CORNER))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("1,2,3", "", ""), "x,y,width,height"),
        (("0,0,-1,5", "", ""), "x,y,width,height"),
        (("0,0,5,5", "DNA", ""), "give one of them"),
        (("", "DNA", "tile"), "compared with channels"),
        (("0,0,5,5", "", "channel"), "tile or whole"),
        (("", "", "tiles"), "whole, channel, tile"),
    ],
)
def test_views_that_make_no_sense_are_refused(parameters: tuple[str, str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_views(*parameters)


def test_an_index_without_tiles_compares_a_region_with_whole_images(embedded_engine: Engine, index: Path) -> None:
    views = ViewOptions(region=Box(0, 0, 40, 40))
    found = look(embedded_engine, Example(images=(image_id("plain.png"),)), views)
    assert found.views is Kind.WHOLE
    assert found.hits[0].pairs[0].hit_place == Place()
    with pytest.raises(BadInput, match="hooke index --tiles"):
        look(embedded_engine, Example(images=(image_id("plain.png"),)), ViewOptions(kind=Kind.TILE))


def test_an_index_goes_on_with_its_own_tiles_and_refuses_others(tiled: Path) -> None:
    job = IndexJob((tiled / "views",), tiled / "index", model=Model(DEFAULT_MODEL))
    assert run(job).embedded == 4
    with pytest.raises(SpaceMismatch, match="tiles: 4, here 2"):
        run(IndexJob(job.paths, job.directory, model=Model(DEFAULT_MODEL, tiles=2)))


def test_another_model_is_refused_before_its_weights_are_looked_for(opened: Engine, tiled: Path) -> None:
    nowhere = tiled / "nowhere.safetensors"
    with pytest.raises(SpaceMismatch, match=f"model: {DEFAULT_MODEL}, here vit_small.*new directory"):
        run(IndexJob((tiled / "views",), tiled / "index", model=Model("best", nowhere)))
    example = uploaded(opened, tiled / "views/part.ome.tif", ViewOptions())
    said = rf"model: {DEFAULT_MODEL}, here {DEFAULT_MODEL}\+stages\+tones"
    with (
        closing(Engine(tiled / "index", EmbedderChoice("balanced", nowhere))) as engine,
        pytest.raises(SpaceMismatch, match=said),
    ):
        look(engine, example, ViewOptions())
    with closing(Engine(tiled / "index", EmbedderChoice(DEFAULT_MODEL))) as engine:
        assert look(engine, example, ViewOptions()).hits[0].id == PART


def test_the_same_over_http_on_the_command_line_and_in_a_notebook(opened: Engine, tiled: Path) -> None:
    expected = look(opened, Example(images=(SCENE,)), ViewOptions(region=CORNER))
    ids = [hit.id for hit in expected.hits]
    asked = {"region": "0,0,256,256", "explain": "true", "k": "3"}
    with serving(opened) as url, httpx.Client(base_url=url, timeout=60) as http:
        got = http.get(f"/v1/images/{SCENE}/similar", params=asked).raise_for_status().json()
        assert (got["views"], [hit["id"] for hit in got["hits"]]) == ("tile", ids)
        box = {"x": 0, "y": 0, "width": 256, "height": 256}
        assert got["hits"][0]["pairs"][0]["hit_place"] == {"channel": None, "box": box}

        file = ("scene.tif", (tiled / "views/scene.ome.tif").read_bytes())
        sent = http.post("/v1/search/similar", data={**asked, "k": "4"}, files={"file": file}).json()
        assert [hit["id"] for hit in sent["hits"]] == [SCENE, *ids]
        outside = http.post("/v1/search/similar", data={"region": "0,0,900,9"}, files={"file": file})
        assert (outside.status_code, "not inside" in outside.json()["detail"]) == (400, True)
        assert http.get("/v1/search/images", params={"region": "0,0,9,9"}).status_code == 400

        with hooke.connect(url) as archive:
            seen = archive.similar(SCENE, k=3, channel="DNA", explain=True).result
            assert isinstance(seen, SimilarResult)
            assert seen.hits[0].pairs[0].hit_place == Place(channel=1)
    ran = CliRunner().invoke(
        app, ["similar", SCENE, "--index", str(tiled / "index"), "--region", "0,0,256,256", "--explain", "-k", "3"]
    )
    assert f"{PART}: its tile 0,0,256,256 is like tile 0,0,256,256 of {SCENE}" in ran.stdout
    wanted = ["similar", SCENE, "--index", str(tiled / "index"), "--channel", "actin", "--json"]
    assert json.loads(CliRunner().invoke(app, wanted).stdout)["views"] == "channel"

"""Images of an index compared with each other: duplicates, outliers and studies that are alike, against brute force."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image

from hooke.comparisons import By, DuplicatesRequest, DuplicatesResult, OutliersRequest, StudiesRequest
from hooke.embed.timm import DEFAULT_MODEL
from hooke.errors import BadInput, TooLarge, UnknownField, UnknownRecord
from hooke.model import Level
from hooke.request import SearchRequest, read_conditions
from hooke.store.location import Location
from hooke.vectors.place import Place
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api import comparison_routes
from search_api.engine import EmbedderChoice, Engine, duplicates, outliers
from tests.elasticsearch_index import emptied
from tests.search_api.test_api import problem
from tests.small_index import PICTURES, build, picture, serving

ALIKE = 0.995
"""More than two drawings of random blocks are alike: to the model they are much the same, 0.91 to 0.99."""
EMBEDDED = sorted(f"{row[1]}/{row[0]}" for row in PICTURES)


def ask(text: str = "", *conditions: str, threshold: float = ALIKE, across: bool = False) -> DuplicatesRequest:
    filters, ranges = read_conditions(conditions, ())
    return DuplicatesRequest(SearchRequest(Level.IMAGE, text, filters, ranges), threshold, across)


def similarities(engine: Engine, images: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Cosines by definition, from rows read one by one."""
    with engine._reading() as (reader, _):
        vectors = engine._visuals.vectors(reader.snapshot)
        rows = [vectors.vectors_of(reader.get(Level.IMAGE, i).ordinal)[0].astype(np.float64) for i in images]
    return np.array([[min(1.0, float((one * other).sum())) for other in rows] for one in rows])


def pairs_of(found: DuplicatesResult) -> set[frozenset[str]]:
    return {frozenset((pair.first, pair.second)) for group in found.groups for pair in group.pairs}


def groups_of(found: DuplicatesResult) -> list[set[str]]:
    return [{image.id for image in group.images} for group in found.groups]


def write_leaky(root: Path) -> IndexJob:
    """Two studies of pictures: each of its own, one odd one, a copy of a file within, a copy and a likeness across."""
    for study, seeds in (("left", range(6)), ("right", range(10, 14))):
        (root / study).mkdir()
        for seed in seeds:
            picture(seed).save(root / study / f"{seed}.png")
    shutil.copyfile(root / "left" / "0.png", root / "left" / "copy of 0.png")
    shutil.copyfile(root / "left" / "1.png", root / "right" / "copied 1.png")
    picture(2).save(root / "right" / "nearly 2.jpg", quality=100, subsampling=0)
    Image.new("RGB", (64, 64), (250, 250, 250)).save(root / "left" / "blank.png")
    return IndexJob((root / "left", root / "right"), root / "index", None, (), Model(DEFAULT_MODEL))


@contextmanager
def indexed(job: IndexJob) -> Iterator[Engine]:
    run(job)
    with closing(Engine(job.directory, EmbedderChoice())) as engine:
        yield engine


@pytest.fixture(scope="module")
def embedded_leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with indexed(write_leaky(tmp_path_factory.mktemp("leaky"))) as engine:
        yield engine


@pytest.fixture(scope="module")
def clustered_leaky(tmp_path_factory: pytest.TempPathFactory, elasticsearch_url: str) -> Iterator[Engine]:
    """Records and vectors in a cluster."""
    location = Location((elasticsearch_url,), f"leaky-{uuid4().hex[:12]}")
    job = replace(write_leaky(tmp_path_factory.mktemp("leaky")), store=location, vectors=Place(location))
    with emptied(location), indexed(job) as engine:
        yield engine


@pytest.fixture(scope="module", params=["embedded", "clustered"])
def leaky(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_leaky")
    return engine


def test_copies_and_near_copies_are_found_across_studies_and_within(leaky: Engine) -> None:
    found = leaky.duplicates(ask())
    assert [(sorted(groups_of(found)[n]), found.groups[n].studies, found.groups[n].identical) for n in range(3)] == [
        (["left/1.png", "right/copied 1.png"], ("left", "right"), True),
        (["left/2.png", "right/nearly 2.jpg"], ("left", "right"), False),
        (["left/0.png", "left/copy of 0.png"], ("left",), True),
    ]
    assert (found.across, found.within, found.images, found.candidates) == (2, 1, 6, 14)
    assert [group.pairs[0].identical for group in found.groups] == [True, False, True]
    assert (found.threshold, found.exact, bool(found.space)) == (ALIKE, True, True)


def test_across_studies_leaves_out_pairs_within_one(leaky: Engine) -> None:
    found = leaky.duplicates(ask(across=True))
    assert (found.across, found.within, found.images) == (2, 0, 4)
    wide = leaky.duplicates(ask(across=True, threshold=0.01))
    assert all(len({image.split("/")[0] for image in pair}) == 2 for pair in pairs_of(wide))


def test_a_copy_is_a_duplicate_whatever_the_threshold(leaky: Engine) -> None:
    found = leaky.duplicates(ask(threshold=1.0))
    assert groups_of(found) == [{"left/1.png", "right/copied 1.png"}, {"left/0.png", "left/copy of 0.png"}]


@pytest.mark.parametrize("threshold", [0.5, 0.96, 0.97, 0.98])
@pytest.mark.parametrize("across", [False, True])
def test_duplicates_are_those_of_brute_force(engine: Engine, threshold: float, across: bool) -> None:
    found = engine.duplicates(ask(threshold=threshold, across=across))
    cosines = similarities(engine, EMBEDDED)
    expected = {
        frozenset((EMBEDDED[a], EMBEDDED[b])): cosines[a, b]
        for a, b in combinations(range(len(EMBEDDED)), 2)
        if cosines[a, b] >= threshold and not (across and EMBEDDED[a].split("/")[0] == EMBEDDED[b].split("/")[0])
    }
    assert pairs_of(found) == expected.keys()
    for group in found.groups:
        ids = {image.id for image in group.images}
        assert all(expected[frozenset((pair.first, pair.second))] == pair.similarity for pair in group.pairs)
        assert group.pair_count == len(group.pairs) == sum(pair <= ids for pair in expected)
        assert group.studies == tuple(sorted({image.split("/")[0] for image in ids}))
        assert [p.similarity for p in group.pairs] == sorted((p.similarity for p in group.pairs), reverse=True)
    together = groups_of(found)
    assert sum(map(len, together)) == len(set().union(*together)) == found.images
    assert all(any(pair <= group for group in together) for pair in expected)


def test_only_images_that_text_and_filters_allow_are_compared(engine: Engine) -> None:
    found = engine.duplicates(ask("light microscopy", "organism=human", threshold=0.01))
    assert found.candidates == 3
    assert {image.study_id for group in found.groups for image in group.images} == {"people"}
    assert [term.id for term in found.query.terms] == ["FBbi:00000345", "NCBITaxon:9606"]
    nothing = engine.duplicates(ask("", "gene=nothing"))
    assert (nothing.groups, nothing.candidates, nothing.across, nothing.within) == ((), 0, 0, 0)


def test_duplicates_that_cannot_be_asked_for_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most 1"):
        ask(threshold=1.5)
    with pytest.raises(BadInput, match="above 0"):
        ask(threshold=0)
    with pytest.raises(UnknownField):
        engine.duplicates(ask("", "organsm=human"))
    with pytest.raises(TooLarge, match=r"12 images .* 11 are the most.*restrict"):
        engine.duplicates(ask(), most=11)
    assert engine.duplicates(ask("", "organism=human"), most=11).candidates == 4


def test_an_index_without_pixels_compares_no_images(tmp_path: Path) -> None:
    with closing(Engine(build(tmp_path), EmbedderChoice())) as engine:
        with pytest.raises(BadInput, match="no embedded"):
            engine.duplicates(ask())
        with pytest.raises(BadInput, match="no embedded"):
            engine.outliers(OutliersRequest("mice"))
        found = engine.similar_studies(StudiesRequest("mice"))
        assert (found.by, found.space) == ("meaning", "")
        assert "ranked by meaning alone" in found.notices[0]
        assert [hit.id for hit in found.hits] == ["people", "idr9001", "yeasts", "lost"]
        assert {hit.look for hit in found.hits} == {None}


def test_a_large_group_lists_its_most_alike_pairs_and_counts_all(
    leaky: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = leaky.duplicates(ask(threshold=0.9)).groups[0]
    monkeypatch.setattr(duplicates, "GROUP_PAIRS", 3)
    (group,) = leaky.duplicates(ask(threshold=0.9)).groups
    assert (group.images, group.pair_count) == (whole.images, len(whole.pairs))
    assert group.pairs == whole.pairs[:3]


@pytest.mark.parametrize("neighbours", [1, 2, 5])
def test_outliers_are_those_of_brute_force(leaky: Engine, neighbours: int) -> None:
    names = ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "blank.png", "copy of 0.png"]
    members = [f"left/{name}" for name in names]
    found = leaky.outliers(OutliersRequest("left", 100, neighbours))
    cosines = similarities(leaky, members)
    np.fill_diagonal(cosines, -1)
    kth = dict(zip(members, np.sort(cosines, axis=1)[:, -neighbours].tolist(), strict=True))
    assert {hit.id: hit.similarity for hit in found.hits} == pytest.approx(kth, abs=1e-6)
    assert [hit.similarity for hit in found.hits] == sorted(hit.similarity for hit in found.hits)
    median = float(np.median(list(kth.values())))
    spread = 1.4826 * float(np.median(np.abs(np.array(list(kth.values())) - median)))
    assert found.median == pytest.approx(median, abs=1e-6)
    for hit in found.hits:
        less = sum(other.similarity < hit.similarity for other in found.hits)
        assert hit.percentile == pytest.approx(100 * less / len(members))
        assert hit.deviation == pytest.approx((median - hit.similarity) / spread, rel=1e-3, abs=1e-3)
    assert (found.images, found.neighbours) == (len(members), neighbours)


def test_the_odd_picture_of_a_study_comes_first(leaky: Engine) -> None:
    first = leaky.outliers(OutliersRequest("left", 1)).hits[0]
    assert (first.id, first.percentile) == ("left/blank.png", 0)
    assert first.deviation is not None
    assert first.deviation > 3


def test_a_study_smaller_than_the_neighbours_uses_those_it_has(engine: Engine) -> None:
    found = engine.outliers(OutliersRequest("mice", 2))
    assert (found.images, found.neighbours, len(found.hits)) == (4, 3, 2)


def test_outliers_that_cannot_be_asked_for_are_refused(engine: Engine) -> None:
    with pytest.raises(UnknownRecord, match="nowhere"):
        engine.outliers(OutliersRequest("nowhere"))
    with pytest.raises(BadInput, match="0 of the images of 'lost' have a vector"):
        engine.outliers(OutliersRequest("lost"))
    with pytest.raises(TooLarge, match="4 images"):
        engine.outliers(OutliersRequest("mice"), most=3)
    with pytest.raises(BadInput, match="neighbours"):
        OutliersRequest("mice", neighbours=0)


def test_studies_that_look_alike_are_those_of_brute_force(engine: Engine) -> None:
    found = engine.similar_studies(StudiesRequest("mice", By.LOOK))
    cosines = similarities(engine, EMBEDDED)
    studies = np.array([image.split("/")[0] for image in EMBEDDED])
    expected = {}
    for other in ("people", "yeasts"):
        block = cosines[np.ix_(studies == "mice", studies == other)]
        expected[other] = (block.max(axis=1).mean() + block.max(axis=0).mean()) / 2
    assert {hit.id: hit.look for hit in found.hits} == pytest.approx(expected, abs=1e-6)
    assert [hit.id for hit in found.hits] == sorted(expected, key=lambda study: -expected[study])
    assert all((hit.score, hit.meaning, hit.images) == (hit.look, None, 4) for hit in found.hits)
    assert (found.exact, found.compared, found.by, found.notices) == (True, 2, "look", ())


def test_a_sample_is_looked_at_evenly_and_the_answer_says_so(engine: Engine) -> None:
    found = engine.similar_studies(StudiesRequest("mice", By.LOOK, sample=2))
    assert (found.exact, {hit.images for hit in found.hits}) == (False, {2})
    assert engine.similar_studies(StudiesRequest("mice", By.LOOK, sample=2)) == found
    looked_at = [image for study in ("mice", "people") for image in in_order(engine, study)[::2]]
    block = similarities(engine, looked_at)[:2, 2:]
    look = next(hit.look for hit in found.hits if hit.id == "people")
    assert look == pytest.approx((block.max(axis=1).mean() + block.max(axis=0).mean()) / 2, abs=1e-6)


def in_order(engine: Engine, study: str) -> list[str]:
    with engine._reading() as (reader, _):
        known = [reader.get(Level.IMAGE, image) for image in EMBEDDED if image.startswith(f"{study}/")]
        return [record.id for record in sorted(known, key=lambda record: record.ordinal)]


def test_studies_alike_in_meaning_share_terms_or_what_is_above_them(engine: Engine) -> None:
    found = engine.similar_studies(StudiesRequest("mice", By.MEANING))
    assert [hit.id for hit in found.hits] == ["people", "idr9001", "yeasts", "lost"]
    assert all(0 <= hit.score == hit.meaning <= 1 and hit.look is None for hit in found.hits if hit.meaning is not None)
    shared = {hit.id: {term.label for term in hit.shared} for hit in found.hits}
    assert shared["lost"] == {"Mus musculus"}
    assert shared["idr9001"] == {"confocal microscopy"}
    assert "brain" in shared["people"]


def test_by_both_look_ranks_and_meaning_count_the_same(engine: Engine) -> None:
    found = engine.similar_studies(StudiesRequest("mice"))
    looks = {hit.id: hit.look for hit in found.hits if hit.look is not None}
    best = max(looks, key=lambda study: looks[study])
    for hit in found.hits:
        assert hit.meaning is not None
        rank = None if hit.look is None else float(hit.id == best)
        assert hit.score == pytest.approx(hit.meaning if rank is None else (rank + hit.meaning) / 2)
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert (found.compared, set(looks)) == (4, {"people", "yeasts"})


def test_a_study_without_vectors_is_ranked_by_meaning_alone(engine: Engine) -> None:
    found = engine.similar_studies(StudiesRequest("idr9001"))
    assert found.by == "meaning"
    assert "no image of 'idr9001' has a vector" in found.notices[0]
    assert found.hits == engine.similar_studies(StudiesRequest("idr9001", By.MEANING)).hits
    with pytest.raises(BadInput, match="compare by meaning"):
        engine.similar_studies(StudiesRequest("idr9001", By.LOOK))
    with pytest.raises(UnknownRecord, match="nowhere"):
        engine.similar_studies(StudiesRequest("nowhere"))


def test_a_study_without_terms_says_so(leaky: Engine) -> None:
    found = leaky.similar_studies(StudiesRequest("left"))
    assert "annotated with no term" in found.notices[0]
    assert [hit.id for hit in found.hits] == ["right"]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("duplicates?threshold=2", 400, "less than or equal to 1"),
        ("duplicates?threshold=high", 400, "threshold"),
        ("duplicates?across_studies=perhaps", 400, "across_studies"),
        ("duplicates?limit=3", 400, "all at once"),
        ("duplicates?thresold=0.9", 400, "unknown parameter"),
        ("studies/nowhere/outliers", 404, "nowhere"),
        ("studies/lost/outliers", 400, "have a vector"),
        ("studies/mice/outliers?neighbours=0", 400, "neighbours"),
        ("studies/mice/outliers?neighbors=20", 400, "unknown parameter 'neighbors': give limit or neighbours"),
        ("studies/mice/outliers?facet.organism=mouse", 400, "unknown parameter 'facet.organism'"),
        ("studies/mice/similar?samples=20", 400, "unknown parameter 'samples': give by, limit or sample"),
        ("studies/mice/similar?by=colour", 400, "by"),
        ("studies/nowhere/similar", 404, "nowhere"),
    ],
)
def test_what_cannot_be_compared_is_a_problem(http: httpx.Client, path: str, status: int, detail: str) -> None:
    assert detail in str(problem(http.get(f"/v1/{path}"), status))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"threshold": 2}, "at most 1, not 2"),
        ({"threshold": "high"}, "a number, not 'high'"),
        ({"across_studies": "perhaps"}, "true or false"),
        ({"facets": ["organism"]}, "leave it out"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(http: httpx.Client, body: dict[str, object], detail: str) -> None:
    assert detail in str(problem(http.post("/v1/duplicates", json=body), 400))


def test_half_of_a_study_the_same_has_no_deviations() -> None:
    assert outliers._deviations(np.array([0.5, 1.0, 1.0, 1.0])) is None


def test_over_http_as_from_the_engine(http: httpx.Client, embedded_engine: Engine) -> None:
    asked = {"q": "light microscopy", "threshold": 0.3, "across_studies": True, "facet.organism.not": ["human"]}
    text = "q=light+microscopy&threshold=0.3&across_studies=true&facet.organism.not=human"
    by_get = http.get(f"/v1/duplicates?{text}").raise_for_status().json()
    assert http.post("/v1/duplicates", json=asked).raise_for_status().json() == by_get
    filters, _ = read_conditions((), ["organism=human"])
    search = SearchRequest(Level.IMAGE, "light microscopy", filters)
    found = embedded_engine.duplicates(DuplicatesRequest(search, 0.3, across_studies=True))
    assert [group["pair_count"] for group in by_get["groups"]] == [group.pair_count for group in found.groups]
    assert by_get["candidates"] == found.candidates > 0


def test_more_images_than_a_request_may_compare_are_refused(
    embedded_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_routes, "MOST_IMAGES", 3)
    with serving(embedded_engine) as url, httpx.Client(base_url=url) as client:
        assert "restrict them by text or filters" in str(problem(client.get("/v1/duplicates"), 413))
        assert "a smaller study" in str(problem(client.get("/v1/studies/mice/outliers"), 413))
        assert client.get("/v1/duplicates?facet.gene=TP53").json()["candidates"] == 2

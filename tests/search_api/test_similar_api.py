"""Look-alikes over HTTP: uploads, ids, and both with text and choices."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.search_api.test_api import problem
from tests.small_index import PICTURES, image_id

PLAIN, SPACED = image_id("plain.png"), image_id("a b.png")


def upload(index: Path, name: str = "plain.png") -> tuple[str, tuple[str, bytes]]:
    return ("file", (name, (index.parent / "pictures" / name).read_bytes()))


@pytest.mark.parametrize("path", ["similar", "combined"])
def test_an_upload_with_text_and_choices(http: httpx.Client, index: Path, path: str) -> None:
    fields = [("q", "light microscopy"), ("facet.organism", "human"), ("facets", "organism"), ("k", "2")]
    parts = [upload(index), *((name, (None, value.encode())) for name, value in fields)]
    body = http.post(f"/v1/search/{path}", files=parts).raise_for_status().json()
    keys = {"hits", "exact", "method", "candidates", "facets", "query", "space", "snapshot", "views", "recall"}
    assert set(body) == keys | ({"similar", "meaningful", "reranked"} if path == "similar" else {"weight"})
    assert len(body["hits"]) == 2
    assert body["exact"] is True
    assert {hit["study_id"] for hit in body["hits"]} <= {"people", "lost"}
    assert next(v for v in body["facets"]["organism"] if v["label"] == "Homo sapiens")["count"] == 2


def post(http: httpx.Client, path: str, **fields: str) -> dict[str, Any]:
    body: dict[str, Any] = http.post(f"/v1/search/{path}", data={"positive": PLAIN, **fields}).raise_for_status().json()
    return body


def test_options_of_looks_are_form_fields(http: httpx.Client) -> None:
    apart = post(http, "similar", exclude="study", group="study", k="10")
    assert sorted(hit["study_id"] for hit in apart["hits"]) == ["people", "yeasts"]
    chosen = {"min_percentile": "0.3", "facets": "organism", "facet.organism": "human", "k": "1"}
    alike = post(http, "similar", **chosen)
    assert alike["similar"] == next(v for v in alike["facets"]["organism"] if v["label"] == "Homo sapiens")["count"]
    assert {v["label"] for v in alike["facets"]["organism"]} > {"Homo sapiens"}
    assert post(http, "similar", similar_set="7", k="2")["similar"] == 7
    meant = post(http, "similar", semantic="1", k="3")
    assert meant["reranked"] == len(PICTURES) - 1
    assert meant["hits"][0]["study_id"] == "mice"
    weighed = post(http, "combined", weight="0.25", q="mouse", group="study", exclude="study")
    assert weighed["weight"] == 0.25
    assert len({hit["study_id"] for hit in weighed["hits"]}) == len(weighed["hits"])


def test_examples_are_averaged_or_the_best_of_them_counts(http: httpx.Client) -> None:
    form = {"positive": [PLAIN, SPACED], "negative": [image_id("100%.png")], "k": "5"}
    default, average, best = (
        http.post("/v1/search/similar", data=form | rule).raise_for_status().json()
        for rule in ({}, {"examples": "average"}, {"examples": "best"})
    )
    assert default == average
    assert average["hits"][0]["percentile"] is not None
    assert {hit["percentile"] for hit in best["hits"]} == {None}
    fused = http.post("/v1/search/combined", data=form | {"examples": "best", "q": "mouse"}).raise_for_status().json()
    assert fused["exact"] is True


@pytest.mark.parametrize(
    ("path", "typed", "meant", "foreign"),
    [
        ("similar", "wieght", None, "weight"),
        ("similar", "semantics", "semantic", "weight"),
        ("combined", "wieght", "weight", "semantic"),
        ("combined", "semantics", None, "semantic"),
        ("combined", "explian", "expand", "explain"),
    ],
)
def test_a_misspelt_option_is_told_by_those_that_the_search_has(
    http: httpx.Client, path: str, typed: str, meant: str | None, foreign: str
) -> None:
    told = problem(http.post(f"/v1/search/{path}", data={"positive": PLAIN, typed: "1"}), 400)
    assert f"unknown parameter {typed!r}" in told
    assert (meant is None) == ("did you mean" not in told)
    assert meant is None or f"did you mean {meant!r}" in told
    assert f"did you mean {foreign!r}" not in told


def test_an_indexed_image_is_asked_for_with_the_same_options(http: httpx.Client) -> None:
    options = {"exclude": "study", "group": "study", "min_percentile": "0.1", "facets": "organism"}
    by_path = http.get(f"/v1/images/{quote(PLAIN, safe='')}/similar", params=options).raise_for_status().json()
    assert by_path == post(http, "similar", **options)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"exclude": "lab"}, "study, dataset or plate"),
        ({"exclude": "plate"}, "of no plate"),
        ({"group": "dataset"}, "group is study"),
        ({"examples": "worst"}, "examples is average or best, not 'worst'"),
        ({"min_percentile": "99"}, "from 0 to 1"),
        ({"min_percentile": "high"}, "number from 0 to 1"),
        ({"similar_set": "0"}, "from 1 to 50,000"),
        ({"similar_set": "1.5"}, "whole number"),
        ({"similar_set": "9" * 5000}, "whole number of at most 9 digits"),
        ({"similar_set": "٣"}, "whole number"),
        ({"channel": "9" * 5000}, "at most 9 digits"),
        ({"semantic": "-1"}, "from 0 to 1"),
        ({"weight": "0.5"}, "combined"),
        ({"min_percentil": "0.5"}, "min_percentile"),
    ],
)
def test_options_that_make_no_sense_are_problems(http: httpx.Client, fields: dict[str, str], detail: str) -> None:
    assert detail in problem(http.post("/v1/search/similar", data={"positive": PLAIN, **fields}), 400)


def test_an_upload_has_no_annotations_to_compare_but_text_may_name_terms(http: httpx.Client, index: Path) -> None:
    refused = http.post("/v1/search/similar", files=[upload(index)], data={"semantic": "0.5"})
    assert "give the id of an annotated image" in problem(refused, 400)
    named = {"semantic": "0.5", "q": "mouse"}
    assert http.post("/v1/search/similar", files=[upload(index)], data=named).raise_for_status().json()["reranked"]


def test_openapi_describes_the_options(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    content = {"exclude", "group", "examples", "region", "channel", "views", "exact"}
    for path, more in (("similar", {"min_percentile", "similar_set", "semantic"}), ("combined", {"weight"})):
        body = paths[f"/v1/search/{path}"]["post"]["requestBody"]["content"]
        assert content | more <= set(body["multipart/form-data"]["schema"]["properties"])
    query = {each["name"] for each in paths["/v1/images/{image_id}/similar"]["get"]["parameters"]}
    assert {"image_id", "k", "explain", "min_percentile", "similar_set", "semantic"} | content == query


@pytest.mark.parametrize("name", ["plain.png", "yeast2.tif", "yeast3.jpg"])
def test_an_uploaded_image_finds_itself(http: httpx.Client, index: Path, name: str) -> None:
    body = http.post("/v1/search/similar", files=[upload(index, name)], data={"k": "1"}).json()
    assert [hit["id"] for hit in body["hits"]] == [image_id(name)]
    assert body["candidates"] == len(PICTURES)


def test_positive_and_negative_ids_repeat(http: httpx.Client) -> None:
    form = {"positive": [PLAIN, SPACED], "negative": [image_id("100%.png")], "k": "100"}
    body = http.post("/v1/search/similar", data=form).json()
    assert {hit["id"] for hit in body["hits"]} == {f"{r[1]}/{r[0]}" for r in PICTURES} - {
        PLAIN,
        SPACED,
        image_id("100%.png"),
    }


def test_an_upload_and_an_id_together(http: httpx.Client, index: Path) -> None:
    parts = [upload(index), ("positive", (None, SPACED.encode()))]
    body = http.post("/v1/search/similar", files=parts).raise_for_status().json()
    assert SPACED not in {hit["id"] for hit in body["hits"]}
    assert PLAIN in {hit["id"] for hit in body["hits"]}


@pytest.mark.parametrize(
    ("parts", "status", "detail"),
    [
        ([("file", ("a.png", b""))], 400, "empty"),
        ([("file", ("a.png", b"plain text"))], 400, "not a PNG, JPEG or TIFF"),
        ([("file", ("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 50))], 400, "image"),
        ([("file", ("a.jpg", b"\xff\xd8\xff" + b"0" * 50))], 400, "image"),
        ([("file", ("a.tif", b"II*\x00" + b"\xff" * 50))], 400, "TIFF"),
        ([("file", (None, b"text"))], 400, "file"),
        ([("picture", ("a.png", b"bytes"))], 400, "picture"),
        ([("positive", (None, b"mice/nowhere.png"))], 404, "mice/nowhere.png"),
        ([("positive", (None, b"lost/lost/01.png"))], 400, "no vector"),
        ([("negative", (None, b"mice/plain.png"))], 400, "needs an example"),
        ([("positive", (None, b"mice/plain.png")), ("k", (None, b"0"))], 400, "limit"),
        ([("positive", (None, b"mice/plain.png")), ("cursor", (None, b"x"))], 400, "no pages"),
        ([("positive", (None, b"mice/plain.png")), ("bogus", (None, b"x"))], 400, "bogus"),
        ([("positive", (None, b"mice/plain.png")), ("facet.organsm", (None, b"x"))], 400, "organism"),
        ([("file", ("a.png", b"x"))] * 17, 400, "Too many files"),
    ],
)
@pytest.mark.parametrize("path", ["similar", "combined"])
def test_what_cannot_be_looked_for_is_a_problem(
    http: httpx.Client, path: str, parts: list[tuple[str, tuple[str | None, bytes]]], status: int, detail: str
) -> None:
    assert detail in problem(http.post(f"/v1/search/{path}", files=parts), status)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"garbage", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data"),
        (b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\nmouse', "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: nonsense\r\n\r\nmouse\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b'{"positive": "mice/plain.png"}', "application/json"),
        (b"", "multipart/form-data; boundary=x"),
    ],
)
def test_a_broken_form_is_a_problem(http: httpx.Client, content: bytes, kind: str) -> None:
    problem(http.post("/v1/search/similar", content=content, headers={"content-type": kind}), 400)


def test_a_truncated_image_is_refused_and_the_server_goes_on(http: httpx.Client, index: Path) -> None:
    cut = (index.parent / "pictures" / "plain.png").read_bytes()[:-40]
    problem(http.post("/v1/search/similar", files=[("file", ("cut.png", cut))]), 400)
    assert http.get("/health").status_code == 200

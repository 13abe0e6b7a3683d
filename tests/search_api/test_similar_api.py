"""Look-alikes over HTTP: uploads, ids, and both with text and choices."""

from pathlib import Path

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
    keys = {"hits", "exact", "method", "candidates", "facets", "query", "space", "snapshot", "views"}
    assert set(body) == keys | ({"similar", "meaningful", "reranked"} if path == "similar" else {"weight"})
    assert len(body["hits"]) == 2
    assert body["exact"] is True
    assert {hit["study_id"] for hit in body["hits"]} <= {"people", "lost"}
    assert next(v for v in body["facets"]["organism"] if v["label"] == "Homo sapiens")["count"] == 2


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

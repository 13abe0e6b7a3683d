"""Uploads are bounded in bytes and pixels, however they are sent, before anything is decoded."""

import struct
import zlib
from collections.abc import Iterator

import httpx
import pytest

from search_api.engine import Engine
from tests.search_api.test_api import problem
from tests.small_index import serving, small_uploads

FORM = {"content-type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
MEBIBYTE = b"0" * 2**20


@pytest.fixture(scope="module")
def bounded(engine: Engine) -> Iterator[httpx.Client]:
    with (
        serving(engine, small_uploads(upload_bytes=10_000, upload_pixels=10_000)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def test_a_file_larger_than_allowed_is_refused(bounded: httpx.Client) -> None:
    response = bounded.post("/v1/search/similar", files={"file": ("a.png", b"0" * 10_001)})
    assert "10000" in problem(response, 413)


def test_a_body_larger_than_allowed_is_refused_by_its_header(bounded: httpx.Client) -> None:
    problem(bounded.post("/v1/search/similar", files={"file": ("a.png", MEBIBYTE * 2)}), 413)


@pytest.mark.parametrize("path", ["similar", "combined"])
def test_a_body_without_a_length_is_refused_as_it_arrives(bounded: httpx.Client, path: str) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield HEAD
        for _ in range(3):
            sent += 1
            yield MEBIBYTE
        yield b"\r\n--x--\r\n"

    response = bounded.post(f"/v1/search/{path}", content=body(), headers=FORM)
    assert "transfer-encoding" in response.request.headers
    problem(response, 413)


def test_json_without_a_length_is_refused_as_it_arrives(bounded: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"q": "'
        yield from [MEBIBYTE] * 3
        yield b'"}'

    problem(bounded.post("/v1/search/images", content=body(), headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize("size", [(60_000, 60_000), (101, 100), (2**31 - 1, 2**31 - 1)])
def test_an_image_of_more_pixels_than_allowed_is_refused_by_its_header(
    bounded: httpx.Client, size: tuple[int, int]
) -> None:
    response = bounded.post("/v1/search/similar", files={"file": ("bomb.png", png(*size))})
    assert "pixels" in problem(response, 413)


def test_an_image_within_the_limits_is_answered(bounded: httpx.Client) -> None:
    rows = b"".join(b"\0" + bytes(range(100)) for _ in range(100))
    response = bounded.post("/v1/search/similar", files={"file": ("a.png", png(100, 100, rows))})
    assert len(response.raise_for_status().json()["hits"]) == 10


def test_the_server_goes_on_after_every_refusal(bounded: httpx.Client) -> None:
    assert bounded.get("/health").json() == {"status": "ok"}

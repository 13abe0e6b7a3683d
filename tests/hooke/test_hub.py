"""Weights from the hub: the real path, against a server here that answers as the hub does."""

import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save

from hooke.embed.timm import load_embedder
from hooke.errors import UnknownModel

MODEL = "test_efficientnet.r160_in1k"


@pytest.fixture(scope="module")
def weights() -> bytes:
    torch.manual_seed(0)
    return save(timm.create_model(MODEL, pretrained=False).state_dict())


@pytest.fixture
def hub(weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub with the weights of one model; what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            found = self.path == f"/timm/{MODEL}/resolve/main/model.safetensors"
            self.send_response(200 if found else 404)
            if found:
                self.send_header("ETag", f'"{sha256(weights).hexdigest()}"')
                self.send_header("X-Repo-Commit", "0" * 40)
            else:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", str(len(weights) if found else 0))
            self.end_headers()
            if found and self.command == "GET":
                self.wfile.write(weights)

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # what HF_ENDPOINT sets when the library is imported
    endpoint = f"http://127.0.0.1:{server.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, endpoint)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield asked
    server.shutdown()
    server.server_close()


def test_weights_come_from_the_hub_once(hub: list[str], weights: bytes, tmp_path: Path) -> None:
    space = load_embedder(MODEL, threads=1).space
    assert any(line.startswith("GET") and line.endswith("model.safetensors") for line in hub)
    (tmp_path / "same.safetensors").write_bytes(weights)
    assert load_embedder(MODEL, tmp_path / "same.safetensors", threads=1).space == space
    before = len([line for line in hub if line.startswith("GET")])
    assert load_embedder(MODEL, threads=1).space == space
    assert len([line for line in hub if line.startswith("GET")]) == before, "kept in the hub's cache"


def test_a_hub_that_lacks_the_weights_says_what_to_do(hub: list[str]) -> None:
    with pytest.raises(UnknownModel, match=r"no weights for test_resnet.*pass a weights file"):
        load_embedder("test_resnet.r160_in1k", threads=1)
    assert hub


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UnknownModel, match="pass a weights file"):
        load_embedder("best", threads=1)

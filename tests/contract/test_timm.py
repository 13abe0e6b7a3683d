"""TimmEmbedder passes the whole contract, with the default model and the weights its package ships."""

import pytest

from hooke.embed.base import Embedder
from hooke.embed.timm import DEFAULT_MODEL, load_embedder
from tests.contract.embedder import EmbedderContract


@pytest.fixture(scope="module")
def loaded() -> Embedder:
    return load_embedder(DEFAULT_MODEL, threads=2)


class TestTimmEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, loaded: Embedder) -> Embedder:
        return loaded

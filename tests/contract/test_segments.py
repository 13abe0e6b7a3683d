"""SegmentStore passes the whole contract."""

from pathlib import Path

import pytest

from hooke.vectors.base import VectorStore
from hooke.vectors.segments import SegmentStore
from tests.contract.vector_store import VectorStoreContract


class TestSegmentStore(VectorStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return SegmentStore(tmp_path / "vectors", fingerprint="a" * 64)

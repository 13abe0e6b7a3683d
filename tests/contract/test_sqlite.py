from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hooke.store.base import MetadataStore
from hooke.store.sqlite import SqliteStore
from tests.contract.metadata_store import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[MetadataStore]:
        with closing(SqliteStore(tmp_path / "metadata.sqlite")) as store:
            yield store

    @contextmanager
    def new_store(self) -> Iterator[MetadataStore]:
        with TemporaryDirectory() as folder, closing(SqliteStore(Path(folder) / "metadata.sqlite")) as store:
            yield store

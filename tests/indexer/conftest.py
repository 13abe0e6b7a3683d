"""What the write program's tests share."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies
from tests.indexer.archives import write_ontologies


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    folder = tmp_path_factory.mktemp("ontologies")
    version = add_ontologies(write_ontologies(folder), folder / "compiled")
    with closing(Catalogue.open(folder / "compiled", version)) as catalogue:
        yield catalogue

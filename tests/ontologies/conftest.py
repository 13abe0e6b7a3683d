from collections.abc import Iterator

import pytest

from ontologies.catalogue import Catalogue
from tests.ontologies.samples import FILES, catalogue_of, write_file


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """All the sample ontologies, compiled."""
    folder = tmp_path_factory.mktemp("samples")
    opened = catalogue_of(folder, *(write_file(folder, name) for name in FILES))
    yield opened
    opened.close()

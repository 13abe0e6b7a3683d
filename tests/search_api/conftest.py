"""The small index, opened once by an engine and once behind a server."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from hooke.model import Level
from hooke.request import SearchRequest, read_conditions, read_expand
from hooke.results import SearchResult
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import serving, shared_index

Search = Callable[..., SearchResult]


@pytest.fixture(scope="session")
def index() -> Path:
    return shared_index()


@pytest.fixture(scope="session")
def engine(index: Path) -> Iterator[Engine]:
    with closing(Engine(index, EmbedderChoice())) as opened:
        yield opened


@pytest.fixture(scope="session")
def server(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


@pytest.fixture(scope="session")
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def search(engine: Engine) -> Search:
    def ask(
        text: str = "",
        *filters: str,
        without: tuple[str, ...] = (),
        facets: tuple[str, ...] = (),
        expand: str | None = None,
        level: Level = Level.IMAGE,
        limit: int = 100,
        cursor: str | None = None,
        strict: bool = False,
    ) -> SearchResult:
        chosen, ranges = read_conditions(filters, without)
        wanted = read_expand(expand)
        return engine.search(
            SearchRequest(level, text, chosen, ranges, facets, expand=wanted, limit=limit, cursor=cursor, strict=strict)
        )

    return ask

"""The small index, opened once by an engine and once behind a server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.request import SearchRequest, read_conditions, read_expand, read_sort
from hooke.results import SearchResult
from hooke.settings import ClusterSettings
from hooke.store.location import Location
from hooke.store.move import move_to_cluster
from search_api.engine import EmbedderChoice, Engine
from tests.elasticsearch_index import emptied, move_vectors
from tests.small_index import serving, shared_index

Search = Callable[..., SearchResult]
SHARDED = ClusterSettings(shards=3)


@pytest.fixture(scope="session")
def index() -> Path:
    return shared_index()


@pytest.fixture(scope="session")
def embedded_engine(index: Path) -> Iterator[Engine]:
    with closing(Engine(index, EmbedderChoice())) as opened:
        yield opened


@pytest.fixture(scope="session")
def clustered_index(index: Path, elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the index whose records were moved to a cluster, by the code that users move theirs with; and its
    vectors.
    """
    copy = IndexDirectory(tmp_path_factory.mktemp("clustered") / "index")
    shutil.copytree(index, copy.root)
    location = Location((elasticsearch_url,), f"engine-{uuid4().hex[:12]}")
    with emptied(location):
        move_to_cluster(copy, location, SHARDED, lambda *_: None)
        move_vectors(copy, location, SHARDED)
        yield copy.root


@pytest.fixture(scope="session")
def clustered_engine(clustered_index: Path) -> Iterator[Engine]:
    with closing(Engine(clustered_index, EmbedderChoice(), SHARDED)) as opened:
        yield opened


@pytest.fixture(scope="session", params=["embedded", "clustered"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Nothing above the store knows which one it is: what is true of one engine is true of the other."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture(scope="session")
def server(embedded_engine: Engine) -> Iterator[str]:
    with serving(embedded_engine) as url:
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
        exclude_inferred: bool = False,
        sort: str | None = None,
        explain: bool = False,
    ) -> SearchResult:
        chosen, ranges = read_conditions(filters, without)
        wanted = read_expand(expand)
        return engine.search(
            SearchRequest(
                level,
                text,
                chosen,
                ranges,
                facets,
                expand=wanted,
                limit=limit,
                cursor=cursor,
                strict=strict,
                exclude_inferred=exclude_inferred,
                sort=read_sort(sort),
                explain=explain,
            )
        )

    return ask

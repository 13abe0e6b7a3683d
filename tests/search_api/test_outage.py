"""What the API and the command answer while their cluster is down, slow, or takes no writes; and that it passes."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from hooke.embed.timm import DEFAULT_MODEL
from hooke.settings import ClusterSettings
from hooke.store.location import Location
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine
from tests.elasticsearch_server import START_SECONDS, Cluster, running_cluster
from tests.small_index import image_id, serving, write_archive, write_ontologies

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
PATIENCE = ClusterSettings(timeout_s=2.0)
SEARCHES = (
    "/v1/search/images?q=fluorescence&facets=organism,gene",
    "/v1/search/images?facet.organism=Mammalia&limit=3",
    "/v1/search/studies?q=mitosis&facets=organism",
    f"/v1/images/{image_id('plain.png')}",
    f"/v1/images/{image_id('plain.png')}/similar?k=3",
)
ROUTES = (*SEARCHES, "/v1/fields", "/v1/terms/NCBITaxon:10090", "/v1/index/state")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster that is this module's alone: it is killed and paused."""
    # on finding that its disk is not full, the server would lift the block that a test sets
    with running_cluster(heap_mb=512, settings={"cluster.info.update.interval": "12h"}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder)
    write_ontologies(folder)
    return folder


@pytest.fixture(scope="module")
def index(cluster: Cluster, archive: Path) -> Path:
    """The small archive, its records in the cluster."""
    ontologies = tuple(map(str, sorted([*archive.glob("*.obo"), *archive.glob("CL-*.json")])))
    paths = (archive / "pictures", archive / "idr9001-study.txt")
    run(IndexJob(paths, archive / "index", None, ontologies, Model(DEFAULT_MODEL), Location(cluster.urls)))
    return archive / "index"


@pytest.fixture(scope="module")
def api(index: Path) -> Iterator[httpx.Client]:
    """One server for the whole module: no outage makes it start again."""
    with (
        closing(Engine(index, EmbedderChoice(), PATIENCE)) as engine,
        serving(engine) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def whole(api: httpx.Client) -> Mapping[str, object]:
    """What every route answers when all is well, by its address."""
    return {route: api.get(route).raise_for_status().json() for route in ROUTES}


def is_outage(answer: httpx.Response) -> bool:
    """Whether an answer says, as it should, that the cluster cannot answer now."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    problem = answer.json()
    assert problem["status"] == 503
    assert problem["title"] == "Backend unavailable"
    assert "Elasticsearch at http://127.0.0.1:" in problem["detail"]
    assert "\n" not in problem["detail"]
    return True


def alive(client: httpx.Client) -> bool:
    return all(client.get(path).status_code == 200 for path in ("/health", "/", "/metrics"))


def become_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (answer := client.get("/ready")).status_code != 200:
        assert is_outage(answer)
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def assert_outage(client: httpx.Client, whole: Mapping[str, object]) -> None:
    """The process lives and says that it is not ready; an answer that it remembers is whole, all else is refused."""
    assert alive(client)
    assert is_outage(client.get("/ready"))
    for route in ROUTES:
        answer = client.get(route)
        remembered = route not in SEARCHES and answer.status_code == 200 and answer.json() == whole[route]
        assert remembered or is_outage(answer), route


def assert_whole(client: httpx.Client, whole: Mapping[str, object]) -> None:
    become_ready(client)
    assert alive(client)
    # not its bytes on disk, which a restart may change
    found = {route: client.get(route).raise_for_status().json() for route in ROUTES}
    assert without_bytes(found) == without_bytes(whole)


def without_bytes(answers: Mapping[str, object]) -> object:
    def drop(found: dict[str, object]) -> dict[str, object]:
        return {key: value for key, value in found.items() if "bytes" not in key}

    return json.loads(json.dumps(answers), object_hook=drop)


@contextmanager
def served(index: Path, log: Path) -> Iterator[httpx.Client]:
    """`hooke serve` in a process of its own."""
    command = [sys.executable, "-m", "hooke", "serve", "--index", str(index), "--port", "0"]
    environment = os.environ | {"HOOKE_ELASTICSEARCH_TIMEOUT_SECONDS": "2"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stderr=output, env=environment)
    try:
        while not (found := re.search(r"Uvicorn running on socket .*:(\d+)|running on http\S+:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{found[1] or found[2]}", timeout=60) as client:
            started(client)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def started(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/health").raise_for_status()
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_server_that_is_ended_leaves_no_temporary_index(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served(index, tmp_path / "log") as client:
        client.get("/v1/search/studies", params={"q": "mouse", "same": "dataset"}).raise_for_status()
        assert list(tmp_path.glob("hooke-datasets-*"))
    assert not list(tmp_path.glob("hooke-datasets-*"))


def test_a_cluster_that_is_down_is_told_and_when_it_is_back_everything_is(
    cluster: Cluster, index: Path, api: httpx.Client, whole: Mapping[str, object], tmp_path: Path
) -> None:
    """Also to a server that was started meanwhile, and to the command."""
    (node,) = cluster.nodes
    node.kill()
    assert_outage(api, whole)
    found = hooke("search", "mitosis", "--index", str(index))
    assert found.returncode == 1
    assert re.fullmatch(
        r"error: Elasticsearch at \S+ cannot be reached \(.*\): start it, or check the URL\n", found.stderr
    )
    assert found.stdout == ""
    with served(index, tmp_path / "log") as late:
        assert is_outage(late.get("/ready"))
        assert late.get("/health").status_code == 200
        assert is_outage(late.get(SEARCHES[0]))
        node.start()
        cluster.wait_for(1)
        assert_whole(api, whole)
        assert_whole(late, whole)
    log = (tmp_path / "log").read_text()
    assert "not ready: Elasticsearch at" in log
    assert "Traceback" not in log


def test_a_cluster_that_does_not_answer_in_time_is_told_and_when_it_goes_on_everything_does(
    cluster: Cluster, api: httpx.Client, whole: Mapping[str, object]
) -> None:
    assert_whole(api, whole)
    (node,) = cluster.nodes
    with node.paused():
        assert "did not answer in time" in api.get(SEARCHES[0]).json()["detail"]
        assert_outage(api, whole)
    assert_whole(api, whole)


def test_a_cluster_that_takes_no_writes_is_searched_and_indexing_says_why_it_cannot(
    cluster: Cluster, index: Path, archive: Path, api: httpx.Client, whole: Mapping[str, object], tmp_path: Path
) -> None:
    assert_whole(api, whole)
    more = tmp_path / "more"
    more.mkdir()
    (more / "manifest.tsv").write_text("path\torganism\nnew.png\tHomo sapiens\n", encoding="utf-8")
    block(cluster, True)
    failed = hooke("index", str(more), "--no-embed", "--index", str(index))
    assert failed.returncode == 1, failed.stdout
    (line,) = failed.stderr.splitlines()
    assert re.match(
        r"error: Elasticsearch at \S+ accepts no writes \(.*read-only-allow-delete.*\): free disk space", line
    )
    assert_whole(api, whole)

    block(cluster, None)
    done = hooke("index", str(more), "--no-embed", "--index", str(index))
    assert done.returncode == 0, done.stderr
    assert api.get("/v1/search/images?q=new").raise_for_status().json()["total"] == 1


def block(cluster: Cluster, blocked: bool | None) -> None:
    """What the flood stage of the disk watermarks does to every index, and its end."""
    body = {"index.blocks.read_only_allow_delete": blocked}
    httpx.put(f"{cluster.urls[0]}/hooke-*/_settings", json=body, timeout=30).raise_for_status()


def hooke(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hooke", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)

"""Three nodes on one machine, and one of them killed: while records are loaded, while they are searched."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from hooke.errors import BackendUnavailable, HookeError
from hooke.model import Image, Level
from hooke.query import Query, Terms, Words
from hooke.settings import ClusterSettings
from hooke.store.base import EVERYTHING
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.elasticsearch.reader import ElasticsearchReader
from hooke.store.location import Location
from tests.elasticsearch_index import emptied
from tests.elasticsearch_server import START_SECONDS, Cluster, Node, running_cluster
from tests.store.records import MANIFEST, STUDIES, held, image, images, load, study

pytestmark = pytest.mark.slow
IMAGES = 4_000
ATTEMPTS = 10


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster(nodes=3, heap_mb=512) as cluster:
        yield cluster


@contextmanager
def opened(cluster: Cluster, folder: Path, *, replicas: int) -> Iterator[ElasticsearchStore]:
    location = Location(cluster.urls, f"three-{uuid4().hex[:12]}")
    settings = ClusterSettings(shards=3, replicas=replicas, timeout_s=20)
    path = folder / f"{location.prefix}.sqlite"
    with emptied(location), closing(ElasticsearchStore(path, settings, location)) as store:
        yield store


def wait_for_status(cluster: Cluster, status: str) -> None:
    """Every copy of every shard is where it belongs."""
    cluster.wait_for(len(cluster.nodes))
    asked = {"wait_for_status": status, "wait_for_no_relocating_shards": "true", "timeout": f"{START_SECONDS}s"}
    url = f"{cluster.nodes[0].url}/_cluster/health"
    answer = httpx.get(url, params=asked, timeout=START_SECONDS + 10).raise_for_status().json()
    assert not answer["timed_out"], answer


def holder(cluster: Cluster, index: str, *, but: Node | None = None) -> Node:
    """A node that holds a primary of the index's images."""
    rows = httpx.get(f"{cluster.urls[0]}/_cat/shards/{index}-images-*?format=json", timeout=30).json()
    names = {row["node"] for row in rows if row["prirep"] == "p" and row["state"] == "STARTED"}
    return next(n for number, n in enumerate(cluster.nodes) if f"node-{number}" in names and n is not but)


def prefix_of(store: ElasticsearchStore) -> str:
    return store.location.rpartition("/")[2]


def right_answers(reader: ElasticsearchReader) -> bool:
    """Whether a store of all images says so whichever way it is asked."""
    everything = reader.search(Query(Level.IMAGE, EVERYTHING, 5))
    assert (everything.total, [hit.ordinal for hit in everything.hits]) == (IMAGES, [0, 1, 2, 3, 4])
    gene = reader.search(Query(Level.IMAGE, Words(frozenset({"g5"}), "gene"), 200))
    assert [hit.ordinal for hit in gene.hits] == list(range(5, IMAGES, 37))
    organism = Terms(frozenset({"NCBITaxon:2"}), "organism")
    assert reader.search(Query(Level.IMAGE, organism, 1)).total == IMAGES // 4
    (counted,) = reader.count_sets(Level.IMAGE, ["organism"], EVERYTHING)
    assert counted.sum() == IMAGES
    # past what the store remembers: every shard again
    assert len(reader.image_ids("")) == IMAGES
    assert reader.get(Level.IMAGE, image(17).id).title == "Image 17"
    return True


def outcome(store: ElasticsearchStore) -> bool:
    """Whether the cluster answers; what it answers is right."""
    try:
        with store.read() as reader:
            return right_answers(reader)
    except BackendUnavailable:
        return False


def load_until_done(store: ElasticsearchStore) -> None:
    """Run the same load until it ends, which it does once the cluster has noticed what it lost."""
    for _ in range(ATTEMPTS):
        with suppress(BackendUnavailable):
            return load(store, IMAGES)
        time.sleep(1)
    return load(store, IMAGES)


def test_a_node_killed_during_load_and_another_during_search_lose_nothing_and_falsify_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    with opened(cluster, tmp_path, replicas=1) as store, opened(cluster, tmp_path, replicas=0) as copyless:
        wait_for_status(cluster, "green")
        first = holder(cluster, prefix_of(store))
        kill_while_loading(store, first)
        first.start()
        wait_for_status(cluster, "green")
        load(copyless, IMAGES)
        assert outcome(store)
        assert outcome(copyless)
        kill_while_searching(store, copyless, cluster, holder(cluster, prefix_of(copyless), but=first))
        wait_for_status(cluster, "green")
        assert outcome(store)
        assert outcome(copyless)
        assert [stored.record for stored in held(store).images] == list(images(IMAGES))


def kill_while_loading(store: ElasticsearchStore, node: Node) -> None:
    """The node goes when half of the records are put; at the end every record is there, once."""

    def cut_off(number: int) -> Image:
        if number == IMAGES // 2:
            node.kill()
        return image(number)

    with suppress(BackendUnavailable), store.write() as writer:
        writer.put_studies(map(study, range(STUDIES)))
        writer.put_images(map(cut_off, range(IMAGES)))
        assert writer.refused() == ()
        writer.commit(MANIFEST)
    with store.read() as reader:
        assert reader.count(Level.IMAGE) in (0, IMAGES)
    load_until_done(store)
    assert [stored.record for stored in held(store).images] == list(images(IMAGES))


def kill_while_searching(store: ElasticsearchStore, copyless: ElasticsearchStore, cluster: Cluster, node: Node) -> None:
    """Every answer is right or says that there is none; with one node gone for good, answers come again."""
    outcomes: list[bool] = []
    wrong: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                outcomes.append(outcome(store))
            except (AssertionError, HookeError) as exc:
                wrong.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        until(lambda: outcomes.count(True) >= 10)
        node.kill()
        answered = outcomes.count(True)
        cluster.wait_for(2)
        until(lambda: outcomes.count(True) >= answered + 10)
        assert_red(copyless)
        node.start()
        cluster.wait_for(3)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_red(copyless: ElasticsearchStore) -> None:
    """Without copies a lost node is an outage: some shards answer, and what they know is not the answer."""
    where = Words(frozenset({"g5"}), "gene")
    with copyless.read() as reader:
        asked: list[Callable[[], object]] = [
            reader.check,
            lambda: reader.search(Query(Level.IMAGE, EVERYTHING, 5)),
            lambda: reader.ordinals(Level.IMAGE, where),
            lambda: reader.count(Level.IMAGE, where),
            lambda: reader.count_sets(Level.IMAGE, ["gene"], where),
            lambda: reader.tokens(Level.IMAGE, "g"),
            lambda: reader.image_ids(""),
            lambda: list(reader.stored(Level.IMAGE)),
        ]
        for ask in asked:
            with pytest.raises(BackendUnavailable) as raised:
                ask()
            assert "\n" not in str(raised.value)

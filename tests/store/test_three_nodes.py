"""Three nodes on one machine, and one of them killed: while records are loaded, while they are searched."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster(nodes=3, heap_mb=512) as cluster:
        yield cluster


@contextmanager
def opened(cluster: Cluster, folder: Path, *, replicas: int) -> Iterator[ElasticsearchStore]:
    location = Location(cluster.urls, f"three-{uuid4().hex[:12]}")
    settings = ClusterSettings(shards=3, replicas=replicas, timeout_s=20)
    with emptied(location), closing(ElasticsearchStore(folder / "metadata.sqlite", settings, location)) as store:
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


def load_until_done(store: ElasticsearchStore) -> int:
    """Run the same load until it ends; returns how often it was run."""
    for attempt in range(1, ATTEMPTS):
        try:
            load(store, IMAGES)
        except HookeError as exc:
            assert "\n" not in str(exc)
            time.sleep(1)
        else:
            return attempt
    load(store, IMAGES)
    return ATTEMPTS


def test_a_node_killed_during_load_and_another_during_search_lose_nothing_and_falsify_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    with opened(cluster, tmp_path, replicas=1) as store:
        wait_for_status(cluster, "green")
        first = holder(cluster, prefix_of(store))
        kill_while_loading(store, first)
        first.start()
        wait_for_status(cluster, "green")
        assert outcome(store)
        kill_while_searching(store, cluster, holder(cluster, prefix_of(store), but=first))
        wait_for_status(cluster, "green")
        assert outcome(store)
        assert [stored.record for stored in held(store).images] == list(images(IMAGES))


def kill_while_loading(store: ElasticsearchStore, node: Node) -> None:
    """The node goes when half of the records are put; at the end every record is there, once."""

    def cut_off(number: int) -> Image:
        if number == IMAGES // 2:
            node.kill()
        return image(number)

    try:
        with store.write() as writer:
            writer.put_studies(map(study, range(STUDIES)))
            writer.put_images(map(cut_off, range(IMAGES)))
            assert writer.refused() == ()
            writer.commit(MANIFEST)
    except HookeError as exc:
        assert isinstance(exc, BackendUnavailable), exc
        with store.read() as reader:
            assert reader.snapshot.id == 0
    load_until_done(store)
    assert [stored.record for stored in held(store).images] == list(images(IMAGES))


def kill_while_searching(store: ElasticsearchStore, cluster: Cluster, node: Node) -> None:
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
    for thread in threads:
        thread.start()
    try:
        until(lambda: outcomes.count(True) >= 10)
        node.kill()
        answered = outcomes.count(True)
        cluster.wait_for(2)
        until(lambda: outcomes.count(True) >= answered + 10)
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


def test_without_copies_a_lost_node_is_an_outage_and_never_a_part_of_the_answer(
    cluster: Cluster, tmp_path: Path
) -> None:
    """A red cluster: some shards answer, and what they know is not the answer."""
    with opened(cluster, tmp_path, replicas=0) as store:
        load(store, IMAGES)
        assert outcome(store)
        node = holder(cluster, prefix_of(store))
        node.kill()
        cluster.wait_for(2)
        with store.read() as reader:
            with pytest.raises(BackendUnavailable):
                reader.check()
            with pytest.raises(BackendUnavailable):
                reader.search(Query(Level.IMAGE, EVERYTHING, 5))
            with pytest.raises(BackendUnavailable):
                reader.image_ids("")
            with pytest.raises(BackendUnavailable):
                reader.count_sets(Level.IMAGE, ["gene"], EVERYTHING)
            with pytest.raises(BackendUnavailable):
                reader.tokens(Level.IMAGE, "g")
            with pytest.raises(BackendUnavailable):
                list(reader.stored(Level.IMAGE))
        with pytest.raises(BackendUnavailable), store.write():
            pass
        node.start()
        wait_for_status(cluster, "green")
        assert outcome(store)

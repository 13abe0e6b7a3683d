"""Records that a real server refuses, and a server that is too busy to take any."""

from dataclasses import replace

import httpx
import pytest

from hooke.errors import BackendUnavailable, BadInput
from hooke.model import Dataset, Image, Level, Pixels, Value
from hooke.query import Query, Words
from hooke.store.base import EVERYTHING, Refused
from hooke.store.elasticsearch import ElasticsearchStore
from tests.elasticsearch_server import running_cluster
from tests.store.opening import opened, prefix_of
from tests.store.records import MANIFEST, STUDIES, held, image, images, load, organism, study, unacceptable

IMAGES = 3_000
UNACCEPTABLE = Value("f" * 40_000, "a field's name is a term too")


# --- refused documents -----------------------------------------------------------------------------------------------


def test_a_refused_image_is_told_with_its_reason_and_all_others_are_there(store: ElasticsearchStore) -> None:
    with store.write() as writer:
        writer.put_studies(map(study, range(STUDIES)))
        writer.put_images([*map(image, range(50)), unacceptable(50), *map(image, range(51, 100))])
        (refused,) = writer.refused()
        writer.commit(MANIFEST)
    assert refused.id == unacceptable(50).id
    assert "32766" in refused.reason
    assert "\n" not in refused.reason
    assert len(refused.reason) <= 500
    with store.read() as reader:
        found = {stored.id for stored in reader.stored(Level.IMAGE)}
        assert found == {image(number).id for number in range(100) if number != 50}
        assert reader.count(Level.IMAGE) == reader.search(Query(Level.IMAGE, EVERYTHING, 1)).total == 99


def test_a_refused_update_leaves_the_version_before_it(store: ElasticsearchStore) -> None:
    load(store, 20)
    before = held(store)
    with store.write() as writer:
        writer.put_images([unacceptable(7)])
        assert [refused.id for refused in writer.refused()] == [image(7).id]
        assert writer.refused() == ()
        writer.commit(MANIFEST)
    assert held(store) == before


@pytest.mark.parametrize("first", [(), (image(7, note="first"),)], ids=["at once", "after another version"])
@pytest.mark.parametrize("known", [True, False])
def test_a_record_can_be_put_again_after_it_was_refused(
    store: ElasticsearchStore, first: tuple[Image, ...], known: bool
) -> None:
    load(store, 20 if known else 5)
    with store.write() as writer:
        for version in (*first, unacceptable(7), image(7, note="mended")):
            writer.put_images([version])
        assert [refused.id for refused in writer.refused()] == [image(7).id]
        writer.commit(MANIFEST)
    with store.read() as reader:
        (found,) = [stored for stored in reader.stored(Level.IMAGE) if stored.id == image(7).id]
        assert found.record == image(7, note="mended")
        assert reader.search(Query(Level.IMAGE, Words(frozenset({"first"}), "notes"), 1)).total == 0
        assert reader.count(Level.IMAGE) == (20 if known else 6)


def test_a_record_that_is_refused_twice_is_told_twice_and_not_there(store: ElasticsearchStore) -> None:
    load(store, 5)
    before = held(store)
    with store.write() as writer:
        writer.put_images([unacceptable(7)])
        writer.put_images([Image("S7/000007", "S7", "again", None, (), Pixels("/" + "y" * 40_000))])
        assert len(writer.refused()) == 2
        writer.commit(MANIFEST)
    assert held(store) == before


def test_a_version_that_was_taken_stays_when_the_next_is_refused(store: ElasticsearchStore) -> None:
    load(store, 20)
    with store.write() as writer:
        for version in (image(7, note="taken"), unacceptable(7), image(7)):
            writer.put_images([version])
        assert len(writer.refused()) == 1
        writer.commit(MANIFEST)
    with store.read() as reader:
        assert image(7) in [stored.record for stored in reader.stored(Level.IMAGE)]
        assert reader.count(Level.IMAGE) == 20


def test_images_of_a_refused_study_are_refused_with_it(store: ElasticsearchStore) -> None:
    with store.write() as writer:
        writer.put_studies([study(0), replace(study(1), values=(UNACCEPTABLE,))])
        writer.put_images([image(0), image(1), image(8)])
        refused = writer.refused()
        writer.commit(MANIFEST)
    assert [told.id for told in refused] == ["S1", image(1).id]
    assert refused[1] == Refused(image(1).id, "its study 'S1' was refused")
    with store.read() as reader:
        assert [stored.id for stored in reader.stored(Level.IMAGE)] == [image(0).id, image(8).id]


def test_images_inherit_nothing_from_a_version_of_their_study_that_was_refused(store: ElasticsearchStore) -> None:
    load(store, 20)
    before = held(store)
    with store.write() as writer:
        writer.put_studies([replace(study(1), values=(organism(0), UNACCEPTABLE))])
        writer.put_images([image(1, note="changed")])
        assert [refused.id for refused in writer.refused()] == ["S1"]
        writer.commit(MANIFEST)
    after = held(store)
    assert (after.studies, after.counts) == (before.studies, before.counts)
    with store.read() as reader:
        assert reader.get(Level.IMAGE, image(9).id).values[-2:] == study(1).values


def test_what_images_inherit_and_the_server_refuses_fails_the_load(store: ElasticsearchStore) -> None:
    load(store, 20)
    before = held(store)
    with store.write() as writer:
        writer.put_studies([replace(study(1), datasets=(Dataset("A", (UNACCEPTABLE,)),))])
        with pytest.raises(BadInput, match="refuses what images inherit") as raised:
            writer.refused()
    assert "\n" not in str(raised.value)
    assert held(store) == before


# --- a busy server ---------------------------------------------------------------------------------------------------


LOADS = 5


@pytest.mark.slow
def test_a_load_ends_well_on_a_server_that_turns_requests_away() -> None:
    """Both ways in which a server says 429: its queue is full, or it has no memory for one more request."""
    busy = {"thread_pool.write.size": 1, "thread_pool.write.queue_size": 1, "indexing_pressure.memory.limit": "1800kb"}
    with running_cluster(heap_mb=512, settings=busy) as cluster:
        (url,) = cluster.urls
        for _ in range(LOADS):
            with opened(url) as store:
                load(store, IMAGES)
                assert [stored.record for stored in held(store).images] == list(images(IMAGES))
            if min(rejections(url)) > 0:  # a quick machine may be busy in one of the ways only
                return
        pytest.fail(f"the server was never busy in both ways: {rejections(url)}")


def rejections(url: str) -> tuple[int, int]:
    """How often the server's only node had a full queue, and no memory."""
    (node,) = httpx.get(f"{url}/_nodes/stats/thread_pool,indexing_pressure", timeout=10).json()["nodes"].values()
    memory = node["indexing_pressure"]["memory"]["total"]
    return node["thread_pool"]["write"]["rejected"], memory["coordinating_rejections"] + memory["primary_rejections"]


def test_an_index_that_takes_no_writes_fails_the_load_and_no_record_passes_for_a_refused_one(
    store: ElasticsearchStore, elasticsearch_url: str
) -> None:
    load(store, 20)
    before = held(store)
    indices = f"{elasticsearch_url}/{prefix_of(store)}-*/_settings"
    with store.write() as writer:
        httpx.put(indices, json={"index.blocks.write": True}, timeout=30).raise_for_status()
        writer.put_images(map(image, range(10, 40)))
        with pytest.raises(BackendUnavailable, match="accepts no writes") as raised:
            writer.refused()
    assert "\n" not in str(raised.value)
    assert held(store) == before
    httpx.put(indices, json={"index.blocks.write": None}, timeout=30).raise_for_status()
    load(store, 40)
    assert [stored.record for stored in held(store).images] == list(images(40))

"""Loading on a real server: nothing half done is seen, nothing is written twice, what was killed is finished."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from hooke.errors import CorruptIndex
from hooke.model import Image, Level
from hooke.query import Query, Words
from hooke.store.base import EVERYTHING
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.elasticsearch.mapping import Part
from hooke.store.location import Location
from tests.elasticsearch_index import emptied
from tests.store import loading
from tests.store.loading import COMMIT_IMAGES, SETTINGS, load_in_parts
from tests.store.opening import documents, opened, prefix_of, writes
from tests.store.records import MANIFEST, STUDIES, Held, held, image, images, load, study

IMAGES = 1_000
REPOSITORY = Path(__file__).parents[2]


# --- what readers see ------------------------------------------------------------------------------------------------


def test_readers_see_the_old_state_or_the_new_one_and_never_anything_between(
    store: ElasticsearchStore, elasticsearch_url: str
) -> None:
    load(store, IMAGES)
    onlooker = f"{elasticsearch_url}/{prefix_of(store)}-images/_count"
    seen: set[tuple[int, int, int]] = set()
    onlooked: set[tuple[int, int | None]] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            with store.read() as reader:
                changed = reader.search(Query(Level.IMAGE, Words(frozenset({"changed"}), "notes"), 1)).total
                total = reader.search(Query(Level.IMAGE, EVERYTHING, 1)).total
                seen.add((total, changed, sum(map(int, reader.count_sets(Level.IMAGE, ["gene"], EVERYTHING)[0]))))
            answer = httpx.get(onlooker, timeout=30)
            onlooked.add((answer.status_code, answer.json().get("count")))

    thread = threading.Thread(target=look)
    with store.read() as old:
        before = list(old.stored(Level.IMAGE))
        thread.start()
        try:
            with store.write() as writer:
                writer.put_images(image(number, note="changed") for number in range(IMAGES // 2))
                writer.put_images(map(image, range(IMAGES, 2 * IMAGES)))
                writer.commit(MANIFEST)
        finally:
            done.set()
            thread.join()
        assert list(old.stored(Level.IMAGE)) == before
        assert old.count_now(Level.IMAGE) == IMAGES
    assert (IMAGES, 0, IMAGES) in seen
    assert seen <= {(IMAGES, 0, IMAGES), (2 * IMAGES, IMAGES // 2, 2 * IMAGES)}
    assert onlooked <= {(200, IMAGES), (200, 2 * IMAGES)}
    with store.read() as new:
        assert new.count(Level.IMAGE) == 2 * IMAGES


def test_a_load_that_fails_leaves_the_old_state_and_nothing_of_itself(
    store: ElasticsearchStore, elasticsearch_url: str
) -> None:
    load(store, 100)
    before, kept = held(store), documents(elasticsearch_url, prefix_of(store))

    def failing() -> Iterator[Image]:
        for number in range(50, 700):
            yield image(number, note="never seen")
        raise OSError("the archive went away")

    with pytest.raises(OSError, match="went away"), store.write() as writer:
        writer.put_images(failing())
    assert held(store) == before
    assert documents(elasticsearch_url, prefix_of(store)) == kept
    assert documents(elasticsearch_url, prefix_of(store), {"exists": {"field": "died"}}) == 0


def test_what_a_killed_writer_had_sent_and_comes_in_late_is_never_published(
    store: ElasticsearchStore, elasticsearch_url: str
) -> None:
    load(store, 10)
    before, index = held(store), f"{elasticsearch_url}/{prefix_of(store)}-images"
    found = httpx.post(f"{index}/_search", json={"query": {"term": {"ordinal": 3}}}, timeout=30).json()["hits"]["hits"]
    name, former = found[0]["_index"], found[0]["_id"]
    with store.write():
        pass  # takes the number that the late documents have
    with store.write() as writer:
        # a new version of a record and the death of the one before it: the numbers still add up
        late = {**found[0]["_source"], "born": 2}
        httpx.put(f"{elasticsearch_url}/{name}/_doc/3-2", json=late, timeout=30).raise_for_status()
        died = {"doc": {"died": 2}}
        httpx.post(f"{elasticsearch_url}/{name}/_update/{former}", json=died, timeout=30).raise_for_status()
        writer.put_images([image(10)])
        with pytest.raises(CorruptIndex, match="and 2 that were not: nothing was published"):
            writer.commit(MANIFEST)
    assert held(store) == before
    load(store, 11)
    assert [stored.record for stored in held(store).images] == list(images(11))


# --- only what changed -----------------------------------------------------------------------------------------------


def test_a_second_load_writes_what_changed_and_nothing_else(store: ElasticsearchStore, elasticsearch_url: str) -> None:
    load(store, IMAGES)
    prefix = prefix_of(store)
    former = writes(elasticsearch_url, prefix)
    with store.write() as writer:
        writer.put_studies(map(study, range(STUDIES)))
        writer.put_images(image(number, note="new" if number < 2 else "as it was") for number in range(IMAGES))
        assert writer.delete(Level.IMAGE, [image(9).id]) == 1
        writer.commit(MANIFEST)
    assert documents(elasticsearch_url, prefix, part="images") == IMAGES + 3
    # three new versions, and the three before them were told that they died; the new value's set is one more
    assert writes(elasticsearch_url, prefix) - former == 7


def test_the_same_load_again_writes_nothing(store: ElasticsearchStore, elasticsearch_url: str) -> None:
    load(store, IMAGES)
    former = writes(elasticsearch_url, prefix_of(store))
    load(store, IMAGES)
    assert writes(elasticsearch_url, prefix_of(store)) == former


# --- killed, and the same command again ------------------------------------------------------------------------------

KILLS = [
    ("aliases set", 1),
    ("batch sent", 2),
    ("batch awaited", 3),
    ("state published", 2),
    ("state recorded", 3),
    ("state shown", 4),
    *(("batch sent", random.Random(seed).randrange(3, 10)) for seed in range(3)),
]
KILLED_IMAGES = 4 * COMMIT_IMAGES - 50


def run_load(path: Path, url: str, prefix: str, *point: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", loading.__name__, str(path), url, prefix, str(KILLED_IMAGES), *point]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def undisturbed(elasticsearch_url: str) -> tuple[Held, dict[Part, int]]:
    """What a load that nothing happens to ends with, and how many documents that makes."""
    with opened(elasticsearch_url) as store:
        load_in_parts(store, KILLED_IMAGES)
        return held(store), versions(elasticsearch_url, prefix_of(store))


def versions(url: str, prefix: str) -> dict[Part, int]:
    """Documents by part, without the sets: a writer that goes on where another was killed may give some of them again,
    of which the first stand.
    """
    return {part: documents(url, prefix, part=part) for part in Part}


@pytest.mark.slow
@pytest.mark.parametrize("kills", [KILLS[:3], KILLS[3:6], KILLS[6:]], ids=["sending", "committing", "at random"])
def test_a_load_killed_again_and_again_ends_as_one_that_was_not(
    elasticsearch_url: str, tmp_path: Path, undisturbed: tuple[Held, dict[Part, int]], kills: list[tuple[str, int]]
) -> None:
    location = Location((elasticsearch_url,), f"loading-{uuid4().hex[:12]}")
    path = tmp_path / "metadata.sqlite"
    with emptied(location):
        for point, number in kills:
            killed = run_load(path, elasticsearch_url, location.prefix, point, str(number))
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            whole_commits(path, location)
        finished = run_load(path, elasticsearch_url, location.prefix)
        assert finished.returncode == 0, finished.stderr
        with closing(ElasticsearchStore(path, SETTINGS)) as store:
            assert held(store) == undisturbed[0]
        assert versions(elasticsearch_url, location.prefix) == undisturbed[1]


def whole_commits(path: Path, location: Location) -> None:
    """What is there between a kill and the next command is what some commit published."""
    with closing(ElasticsearchStore(path, SETTINGS, location)) as store, store.read() as reader:
        count = reader.search(Query(Level.IMAGE, EVERYTHING, 1)).total
        assert count % COMMIT_IMAGES == 0
        assert [stored.record for stored in reader.stored(Level.IMAGE)] == list(images(count))

"""What a review found, and how it stays found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from hooke.errors import BackendUnavailable, Conflict, NoSpace
from hooke.model import Dataset, Image, Level, Manifest, Mention, Method, Study, Value
from hooke.query import Terms, Words
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.elasticsearch import ElasticsearchStore, ledger
from hooke.store.location import Location
from tests.elasticsearch_index import emptied


@pytest.fixture
def location(elasticsearch_url: str) -> Iterator[Location]:
    place = Location((elasticsearch_url,), f"reviewed-{uuid4().hex[:12]}")
    with emptied(place):
        yield place


@pytest.fixture
def store(location: Location, tmp_path: Path) -> Iterator[ElasticsearchStore]:
    with closing(ElasticsearchStore(tmp_path / "metadata.sqlite", DEFAULT_CLUSTER, location)) as store:
        with store.write() as writer:
            writer.put_studies([Study("S", "study", (organism("human"),), (Dataset("A"),))])
            writer.put_images(image(number, "first") for number in range(20))
            writer.commit(Manifest())
        yield store


def organism(name: str, label: str | None = None) -> Value:
    return Value("organism", name, (), (Mention("organism", name, f"T:{name}", label or name, Method.LABEL, 1.0),))


def image(number: int, title: str, *values: Value) -> Image:
    return Image(f"S/{number}", "S", title, "A", values)


def titled(store: ElasticsearchStore, word: str) -> int:
    with store.read() as reader:
        return reader.count(Level.IMAGE, Words(frozenset({word})))


def put(store: ElasticsearchStore, *images: Image) -> None:
    with store.write() as writer:
        writer.put_images(images)
        writer.commit(Manifest())


def killed(store: ElasticsearchStore, title: str, numbers: range) -> None:
    """What a writer that is killed leaves: documents that have arrived, and no more."""
    with store.write() as writer:
        writer.put_images(image(number, title) for number in numbers)
        writer.refused()
        writer._changed = False  # its way out, on which it would clean up, is what a kill takes


def test_the_same_images_after_a_kill_are_not_taken_for_unchanged(store: ElasticsearchStore) -> None:
    killed(store, "second", range(10, 30))
    with store.write() as writer:
        writer.put_images(image(number, "second") for number in range(10, 30))
        writer.commit(Manifest())
    assert (titled(store, "first"), titled(store, "second")) == (10, 20)


def test_what_fails_after_a_commit_takes_nothing_back(
    store: ElasticsearchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = ledger.reserve_state

    def full(connection: sqlite3.Connection) -> int:
        if connection.execute("SELECT count(*) FROM snapshots WHERE id > 1").fetchone()[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return reserve(connection)

    monkeypatch.setattr(ledger, "reserve_state", full)
    with pytest.raises(NoSpace):
        put(store, image(20, "second"))
    monkeypatch.setattr(ledger, "reserve_state", reserve)
    assert titled(store, "second") == 1
    put(store, image(21, "third"))
    assert (titled(store, "first"), titled(store, "second"), titled(store, "third")) == (20, 1, 1)


def test_a_copy_that_has_fallen_behind_does_not_write(store: ElasticsearchStore, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "metadata.sqlite")) as source,
        closing(sqlite3.connect(tmp_path / "copy.sqlite")) as target,
    ):
        source.backup(target)
    with store.write() as writer:
        writer.put_images([image(20, "second")])
        writer.commit(Manifest())
    with (
        closing(ElasticsearchStore(tmp_path / "copy.sqlite", DEFAULT_CLUSTER)) as copy,
        pytest.raises(Conflict, match="fallen behind"),
        copy.write(),
    ):
        pass
    assert (titled(store, "first"), titled(store, "second")) == (20, 1)


def test_a_store_opens_while_an_indexer_writes(store: ElasticsearchStore, tmp_path: Path) -> None:
    with store.write() as writer:
        writer.put_unresolved("part", {})
        with closing(ElasticsearchStore(tmp_path / "metadata.sqlite", DEFAULT_CLUSTER)) as other:
            assert titled(other, "first") == 20


def test_a_set_joined_with_what_is_inherited_follows_the_study(store: ElasticsearchStore) -> None:
    spoken = Value("note", "of mice", (), organism("mouse").mentions)
    with store.write() as writer:
        writer.put_images([image(0, "first", spoken)])
        writer.commit(Manifest())
        writer.put_studies([Study("S", "study", (organism("fish"),), (Dataset("A"),))])
        writer.commit(Manifest())
    with store.read() as reader:
        [counts] = reader.count_sets(Level.IMAGE, ["organism"], Terms(frozenset({"T:mouse"})))
        held = [reader.value_sets(Level.IMAGE, "organism")[i].terms for i in counts.nonzero()[0].tolist()]
        assert held == [{"T:mouse", "T:fish"}]


def test_a_term_has_the_label_it_was_last_given(store: ElasticsearchStore) -> None:
    with store.write() as writer:
        writer.put_studies([Study("S", "study", (organism("human", "Homo sapiens"),), (Dataset("A"),))])
        writer.commit(Manifest())
    with store.read() as reader:
        assert reader.labels(Level.STUDY, "organism") == {"T:human": "Homo sapiens"}
        assert reader.labels(Level.IMAGE, "organism") == {"T:human": "Homo sapiens"}


def test_a_mistyped_store_can_be_put_right(location: Location, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable):
        ElasticsearchStore(tmp_path / "new.sqlite", DEFAULT_CLUSTER, Location(("http://127.0.0.1:1",), "mistyped"))
    with (
        closing(ElasticsearchStore(tmp_path / "new.sqlite", DEFAULT_CLUSTER, location)) as store,
        store.read() as reader,
    ):
        assert reader.count(Level.IMAGE) == 0
    with pytest.raises(Conflict, match="not at"):
        ElasticsearchStore(tmp_path / "new.sqlite", DEFAULT_CLUSTER, Location(location.nodes, "another"))

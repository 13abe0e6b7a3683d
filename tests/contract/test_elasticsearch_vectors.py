"""ElasticsearchVectors passes the whole contract on a real server, with the exact method and with graphs."""

from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from pyroaring import BitMap

from hooke.errors import (
    BackendUnavailable,
    BadInput,
    CorruptIndex,
    HookeError,
    SnapshotMismatch,
    SpaceMismatch,
)
from hooke.settings import ClusterSettings
from hooke.store.location import Location, read_location
from hooke.vectors.base import Block, VectorReader, VectorStore
from hooke.vectors.elasticsearch import ElasticsearchVectors, Method
from hooke.vectors.elasticsearch.reader import ElasticsearchReader
from tests.contract.vector_store import (
    VectorStoreContract,
    block,
    brute_force,
    found,
    random_rows,
    unit,
)

SETTINGS = ClusterSettings(replicas=0)
FINGERPRINT = "a" * 64


@pytest.fixture(scope="session")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as client:
        yield client


@pytest.fixture
def location(elasticsearch_url: str, client: Elasticsearch) -> Iterator[Location]:
    """A prefix of its own."""
    location = read_location(f"{elasticsearch_url}/test-{uuid4().hex}")
    yield location
    for index in client.indices.get(index=f"{location.prefix}-*"):
        client.indices.delete(index=index)


@pytest.fixture
def index(location: Location) -> str:
    """The index of the space of these tests."""
    return f"{location.prefix}-vectors-{FINGERPRINT[:12]}"


@pytest.fixture
def store(location: Location) -> ElasticsearchVectors:
    """An exact store, empty."""
    return ElasticsearchVectors(location, SETTINGS, FINGERPRINT)


def forget_view(client: Elasticsearch, reader: VectorReader) -> None:
    """What Elasticsearch does with a view that was not used for minutes."""
    assert isinstance(reader, ElasticsearchReader)
    assert client.close_point_in_time(id=reader._view._point)["num_freed"] == 1


class TestFlat(VectorStoreContract):
    examples = 25

    @pytest.fixture
    def store(self, location: Location) -> VectorStore:
        return ElasticsearchVectors(location, SETTINGS, FINGERPRINT, method="flat")


class TestInt8Hnsw(VectorStoreContract):
    exact = False
    examples = 25

    @pytest.fixture
    def store(self, location: Location) -> VectorStore:
        return ElasticsearchVectors(location, SETTINGS, FINGERPRINT, method="int8_hnsw")


@pytest.mark.parametrize("shards", [1, 3])
def test_flat_is_exact_on_any_number_of_shards(location: Location, shards: int) -> None:
    rows = random_rows(600, dim=64)
    written = [block(rows[:400], range(400)), block(rows[400:], range(300, 500))]
    store = ElasticsearchVectors(location, ClusterSettings(replicas=0, shards=shards), FINGERPRINT)
    reader = store.read([store.append(each) for each in written])
    for allowed in (None, BitMap(range(0, 500, 2)), BitMap(range(1, 500, 100))):
        neighbours = reader.search(rows[5:7], 10, allowed=allowed)
        assert neighbours.exact
        assert [(hit.ordinal, hit.similarity) for hit in neighbours.hits] == [
            (ordinal, min(1.0, score)) for ordinal, score in brute_force(written, rows[5:7], 10, allowed)
        ]


def test_more_equal_rows_than_one_request_gives_are_still_ranked_by_ordinal(store: ElasticsearchVectors) -> None:
    """10,000 is the most that Elasticsearch gives at once: no window can hold all that tie for the first place."""
    same = np.repeat(random_rows(1, dim=2), 10_500, axis=0)
    ordinals = np.random.default_rng(1).permutation(10_500)
    reader = store.read([store.append(block(same, ordinals))])
    neighbours = reader.search(same[:1], 3, allowed=BitMap(range(7, 10_500)))
    assert neighbours.exact
    assert found(neighbours) == [7, 8, 9]
    assert found(reader.search(same[:1], 10_400)) == list(range(10_400))


@pytest.mark.parametrize("method", ["hnsw", "int8_hnsw", "bbq_hnsw"])
def test_graphs_find_nearly_all_and_give_float64_similarities(location: Location, method: Method) -> None:
    generator = np.random.default_rng(2)
    rows = unit(generator.standard_normal((40, 64))[generator.integers(0, 40, 4000)] * 2 + random_rows(4000, dim=64))
    store = ElasticsearchVectors(location, SETTINGS, FINGERPRINT, method=method)
    written = block(rows, range(4000))
    reader = store.read([store.append(written)])

    hits = 0
    for number in range(10):
        allowed = None if number % 2 else BitMap(range(0, 4000, 3))
        neighbours = reader.search(rows[number : number + 1], 10, allowed=allowed)
        assert not neighbours.exact
        assert neighbours.method == method
        true = dict(brute_force([written], rows[number : number + 1], 4000, allowed))
        for hit in neighbours.hits:
            assert hit.similarity == min(1.0, true[hit.ordinal])
        hits += len(set(found(neighbours)) & set(list(true)[:10]))
    assert hits >= 95

    few = reader.search(rows[:1], 10, allowed=BitMap(range(0, 4000, 100)))
    assert few.exact
    assert found(few) == [ordinal for ordinal, _ in brute_force([written], rows[:1], 10, BitMap(range(0, 4000, 100)))]


def test_a_filter_beyond_the_terms_of_one_clause_is_applied_whole(store: ElasticsearchVectors) -> None:
    """65,536 is the most one `terms` clause takes; every second ordinal makes no ranges."""
    count = 140_000
    angles = np.linspace(0, 1, count)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    reader = store.read([store.append(block(rows, range(count)))])
    allowed = BitMap(range(1, count, 2)) - BitMap([1])
    neighbours = reader.search(rows[:1], 3, allowed=allowed)
    assert neighbours.candidates == 69_999
    assert found(neighbours) == [o for o, _ in brute_force([block(rows[:50], range(50))], rows[:1], 3, allowed)]


def test_rows_come_back_bit_for_bit(store: ElasticsearchVectors) -> None:
    """Their length is up to a thousandth off, and no store may correct it."""
    rows = random_rows(50, dim=16) * np.float32(1.0009)
    rows[0, :2] = [np.float32(1e-40), np.float32(-0.0)]
    rows[0, 2:] = np.float32(1 / np.sqrt(14))
    reader = store.read([store.append(block(rows, range(50)))])
    read = np.concatenate([reader.vectors_of(ordinal) for ordinal in range(50)])
    assert read.tobytes() == rows.tobytes()


def test_a_failed_append_leaves_nothing_behind(
    location: Location, index: str, client: Elasticsearch, store: ElasticsearchVectors
) -> None:
    """An index that refuses one row of three: `dot_product` takes no row of length 1.0009."""
    store.append(block(random_rows(1), [0]))
    made = client.indices.get(index=index)[index]["mappings"]
    made["properties"]["vector"]["similarity"] = "dot_product"
    client.indices.delete(index=index)
    client.indices.create(index=index, mappings=made, settings={"number_of_replicas": 0})

    rows = random_rows(3)
    rows[1] *= np.float32(1.0009)
    with pytest.raises(HookeError, match="would not change document"):
        store.append(block(rows, [0, 1, 2]))
    client.indices.refresh(index=index)
    assert client.count(index=index)["count"] == 0


def test_a_full_cluster_is_told_as_such(index: str, client: Elasticsearch, store: ElasticsearchVectors) -> None:
    kept = store.append(block(random_rows(1), [0]))
    client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": True})
    with pytest.raises(BackendUnavailable, match="free disk space"):
        store.append(block(random_rows(1), [1]))
    client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": None})
    assert store.read([kept]).ordinals() == BitMap([0])


def test_spaces_never_meet(location: Location, store: ElasticsearchVectors) -> None:
    name = store.append(block(random_rows(1), [0]))
    with pytest.raises(CorruptIndex, match="missing"):
        ElasticsearchVectors(location, SETTINGS, "b" * 64).read([name])
    namesake = ElasticsearchVectors(location, SETTINGS, "a" * 12 + "b" * 52)
    for use in (lambda: namesake.read([name]), lambda: namesake.append(block(random_rows(1), [0]))):
        with pytest.raises(SpaceMismatch, match="aaaabbbb"):
            use()


def test_an_index_of_another_format_is_refused(index: str, client: Elasticsearch, store: ElasticsearchVectors) -> None:
    name = store.append(block(random_rows(1), [0]))
    client.indices.put_mapping(index=index, meta={"hooke_vectors": 99, "fingerprint": FINGERPRINT, "method": "flat"})
    with pytest.raises(CorruptIndex, match="format"):
        store.read([name])


def test_an_index_keeps_its_method_and_its_length_of_rows(location: Location, store: ElasticsearchVectors) -> None:
    name = store.append(block(random_rows(1), [0]))
    other = ElasticsearchVectors(location, SETTINGS, FINGERPRINT, method="hnsw")
    with pytest.raises(BadInput, match="made for flat"):
        other.append(block(random_rows(1), [1]))
    with pytest.raises(BadInput, match="rows have 9 values"):
        store.append(block(random_rows(1, dim=9), [1]))
    assert other.read([name]).search(random_rows(1), 1).method == "flat"


def test_rows_that_a_method_cannot_hold_are_refused(location: Location) -> None:
    store = ElasticsearchVectors(location, SETTINGS, FINGERPRINT, method="bbq_hnsw")
    with pytest.raises(BadInput, match="bbq_hnsw cannot hold rows of 8 values"):
        store.append(block(random_rows(1), [0]))


def test_a_segment_that_lost_rows_is_corrupt(index: str, client: Elasticsearch, store: ElasticsearchVectors) -> None:
    name = store.append(block(random_rows(3), [0, 1, 2]))
    client.delete(index=index, id=f"{name}:1", refresh=True)
    with pytest.raises(CorruptIndex, match=f"segment {name} lacks 1 of its rows"):
        store.read([name])


def test_columns_that_changed_are_corrupt(index: str, client: Elasticsearch, store: ElasticsearchVectors) -> None:
    name = store.append(block(random_rows(3), [0, 1, 2]))
    document = client.get(index=index, id=f"{name}:columns:0")["_source"]
    document["columns"]["ordinals"] = "AAAAAAAAAAABAAAA"
    client.index(index=index, id=f"{name}:columns:0", document=document)
    with pytest.raises(CorruptIndex, match=f"{name}:columns:0"):
        store.read([name])


def test_columns_of_several_parts_are_joined(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooke.vectors.elasticsearch.layout.ROWS_A_PART", 4)
    store = ElasticsearchVectors(location, SETTINGS, FINGERPRINT)
    rows, numbers = random_rows(90), np.arange(90, dtype=np.uint32)
    names = [
        store.append(Block(rows[a:b], numbers[a:b], numbers[a:b].astype(np.uint64))) for a, b in ((0, 80), (80, 90))
    ]
    reader = store.read(names)
    assert reader.digests() == {number: number for number in range(90)}
    assert found(reader.search(rows[85:86], 1)) == [85]


def test_a_reader_goes_on_after_elasticsearch_forgot_its_view(
    client: Elasticsearch, store: ElasticsearchVectors
) -> None:
    rows = random_rows(3)
    reader = store.read([store.append(block(rows, [0, 1, 2]))])
    forget_view(client, reader)
    assert found(reader.search(rows[2:], 1)) == [2]


def test_a_reader_whose_segment_is_gone_for_good_says_so(client: Elasticsearch, store: ElasticsearchVectors) -> None:
    reader = store.read([store.append(block(random_rows(3), [0, 1, 2]))])
    store.discard_except([])
    forget_view(client, reader)
    with pytest.raises(SnapshotMismatch, match="search again"):
        reader.search(random_rows(1), 1)


def test_a_reader_whose_index_is_gone_says_so(index: str, client: Elasticsearch, store: ElasticsearchVectors) -> None:
    reader = store.read([store.append(block(random_rows(3), [0, 1, 2]))])
    client.indices.delete(index=index)
    with pytest.raises(SnapshotMismatch, match="search again"):
        reader.search(random_rows(1), 1)


def test_discarding_leaves_nothing_of_a_killed_append(
    index: str, client: Elasticsearch, store: ElasticsearchVectors
) -> None:
    kept = store.append(block(random_rows(2), [0, 1]))
    client.index(index=index, id="dead:0", document={"segment": "dead", "ordinal": 1}, refresh=False)
    store.discard_except([kept])
    assert client.count(index=index)["count"] == 3
    assert store.read([kept]).ordinals() == BitMap([0, 1])


def test_nothing_to_discard_where_there_is_no_index(store: ElasticsearchVectors) -> None:
    store.discard_except([])
    assert store.read([]).ordinals() == BitMap()


def test_a_cluster_that_is_not_there_is_unavailable() -> None:
    store = ElasticsearchVectors(read_location("http://127.0.0.1:1"), SETTINGS, FINGERPRINT)
    for use in (lambda: store.append(block(random_rows(1), [0])), lambda: store.read(["x"])):
        with pytest.raises(BackendUnavailable, match="cannot be reached"):
            use()

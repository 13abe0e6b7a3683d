"""Both stores in one run on the same records: loading, queries, facets, filters; and what Hooke adds to Elasticsearch.

`python -m benchmarks.stores --url http://localhost:9200/hooke-benchmark [--images 200000] [--keep]`

Ratios: the rate of Hooke's loader over that of `elasticsearch.helpers.parallel_bulk` on the same ready-made documents
(at least 0.8), the same with making the documents, and the time of a query through Hooke over that of the requests it
becomes, sent by the bare driver (at most 1.3). Then, per store, the median of searches, of ten facets and of a filter's
ordinals, by how many images match, and the bytes and rates that sizing goes by. Elasticsearch's own request cache is
off for what is timed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from sys import maxsize

import numpy as np
import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk
from pyroaring import BitMap

from benchmarks.synthetic import images, studies
from benchmarks.vectors import unit_rows
from hooke.collector import without_collector
from hooke.model import Image, Level, Manifest
from hooke.query import And, Best, Equals, Everything, Node, Query, Range, Terms, Weighted, Words
from hooke.settings import read_settings
from hooke.store.cache import Cache
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.elasticsearch.bulk import Action, Batch, Bulk, Put, Sent, put
from hooke.store.elasticsearch.cluster import Body, Cluster
from hooke.store.elasticsearch.document import Documents, FieldSet
from hooke.store.elasticsearch.ledger import Extent
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import Names, Part, index_body, set_index
from hooke.store.elasticsearch.reader import ElasticsearchReader
from hooke.store.elasticsearch.sets import by_field, set_action
from hooke.store.elasticsearch.versions import Change, Side
from hooke.store.location import Location, read_location
from hooke.store.sqlite import SqliteStore
from hooke.store.sqlite.reader import SqliteReader
from hooke.vectors.base import Block, VectorReader, Vectors
from hooke.vectors.segments import SegmentStore
from search_api.engine import filtered

FACETS = (
    "organism",
    "imaging_method",
    "licence",
    "year",
    "archive",
    "dataset",
    "channels",
    "plate",
    "gene_symbol",
    "well",
)
_REPEATS = 9


def atom(word: str, field: str, *terms: int) -> Best:
    """What the engine makes of a word that names terms."""
    prefix = {"organism": "NCBITaxon", "imaging_method": "FBbi"}[field]
    found = frozenset(f"{prefix}:{n}" for n in terms)
    options = (Weighted(Words(frozenset({word})), 1.0), Weighted(Words(frozenset({word}), "title"), 5.0))
    return Best((*options, Weighted(Terms(found), 4.0)))


FILTERS: dict[str, Node] = {
    "everything": Everything(),
    "a common method": Terms(frozenset({"FBbi:0", "FBbi:1", "FBbi:2"}), "imaging_method"),
    "a common organism": Terms(frozenset({"NCBITaxon:0"}), "organism"),
    "a rare organism": Terms(frozenset({"NCBITaxon:300"}), "organism"),
    "most methods": Terms(frozenset(f"FBbi:{n}" for n in range(40)), "imaging_method"),
    "a gene": Equals("gene_symbol", "GENE77"),
}
QUERIES: tuple[Node, ...] = (
    Everything(),
    atom("word10", "organism", 0, 3, 5),
    And((atom("word100", "organism", 1), atom("method", "imaging_method", 0, 1))),
    And((atom("word3", "imaging_method", 2), Range("year", low=2015))),
    And((Words(frozenset({"gene77"})), FILTERS["a common method"])),
    Best((Weighted(Words(frozenset(f"word{n}" for n in range(200, 500))), 1.0),)),
    Equals("licence", "CC0"),
)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_ms(action: Callable[[], object]) -> float:
    action()
    return statistics.median(seconds(action) for _ in range(_REPEATS)) * 1000


def load(store: ElasticsearchStore | SqliteStore, images: Sequence[Image]) -> float:
    """Images a second, studies and commit included."""

    def run() -> None:
        # as the indexer loads
        with without_collector(), store.write() as writer:
            writer.put_studies(studies(len(images)))
            writer.put_images(images)
            writer.commit(Manifest())

    return len(images) / seconds(run)


def ready_made(names: Names, images: Sequence[Image]) -> list[Body]:
    """The documents that Hooke sends for images: their own, and the sets of values that they name."""
    known = {study.id: study for study in studies(len(images))}
    documents, side = Documents(), Side(None, "", Extent(BitMap()))  # type: ignore[arg-type]  # nothing is looked up
    made: list[Body] = []
    known_sets: set[str] = set()
    new: list[FieldSet] = []
    for ordinal, image in enumerate(images):
        document, _ = documents.image(image, known[image.study_id])
        document = document._replace(body={**document.body, "heirlooms": ordinal // 1000})
        version = side.put(Change(image.id, ordinal, ordinal // 1000, "", None, document), 1)
        made.append(as_driver_takes(put(names.versions(Part.IMAGES), version.document_id, version.body)))
        new += [held for held in document.sets if held.key not in known_sets]
        known_sets.update(held.key for held in document.sets)
        if ordinal % 1000 == 999:
            made.extend(as_driver_takes(set_action(names.sets, group, len(made))) for group in by_field(new))
            new.clear()
    return made


def as_driver_takes(action: Action) -> Body:
    """An action in the form that the driver's helpers document."""
    header, document = action
    ((kind, target),) = header.items()
    return {"_op_type": kind, **target, **(orjson.loads(document) if isinstance(document, bytes) else document or {})}


@contextmanager
def bare_indices(client: Elasticsearch, names: Names) -> Iterator[None]:
    """Empty indices as Hooke makes them; what is in them at the end can be searched."""
    settings = read_settings().cluster
    client.indices.create(index=names.versions(Part.IMAGES), body=index_body(Part.IMAGES, names.uid, settings))
    client.indices.create(index=names.sets, body=set_index(names.uid, settings))
    with without_collector():
        yield
        client.indices.refresh(index=[names.versions(Part.IMAGES), names.sets])


def dropped(client: Elasticsearch, names: Names, seconds: float) -> float:
    client.indices.delete(index=[names.versions(Part.IMAGES), names.sets])
    return seconds


def by_parallel_bulk(client: Elasticsearch, names: Names, documents: Iterable[Body]) -> float:
    """Seconds that the driver's own parallel loader takes for documents, refresh included."""

    def run() -> None:
        with bare_indices(client, names):
            for ok, answer in parallel_bulk(client, documents, thread_count=2, chunk_size=1000):
                assert ok, answer

    return dropped(client, names, seconds(run))


def by_hooke(client: Elasticsearch, location: Location, names: Names, documents: Iterable[Body]) -> float:
    """Seconds that Hooke's loader takes for the same documents, refresh included."""

    def settle(sent: Sent) -> None:
        assert sent.reason is None, sent

    def run() -> None:
        with bare_indices(client, names), closing(Cluster(location, read_settings().cluster)) as cluster:
            bulk = Bulk(cluster, settle)
            for index, group in groupby(documents, lambda document: document["_index"]):
                while some := list(islice(group, 1000)):
                    bulk.send(Batch(index, list(map(as_hooke_takes, some)), 1, ()))
            bulk.drain()
            bulk.close()

    return dropped(client, names, seconds(run))


def as_hooke_takes(document: Body) -> Put:
    body = {key: value for key, value in document.items() if key not in ("_op_type", "_index", "_id")}
    return Put(document["_id"], document["_id"], 0, orjson.dumps(body))


class Recorded(Lookup):
    """A lookup that remembers what it asked."""

    def __init__(self, inner: Lookup) -> None:
        super().__init__(inner.cluster, inner.names, inner.state)
        self.asked: list[tuple[str, list[Body]]] = []

    def search(self, part: Part, request: Body) -> Body:
        """One search."""
        self.asked.append((self.names.state(part, self.state.number), [request]))
        return super().search(part, request)

    def searches(self, part: Part, requests: Sequence[Body]) -> list[Body]:
        """Several searches in one request."""
        if requests:
            self.asked.append((self.names.state(part, self.state.number), list(requests)))
        return super().searches(part, requests)


def uncached(reader: ElasticsearchReader, lookup: Lookup) -> ElasticsearchReader:
    """A reader that knows what is read once a state, and nothing of any query."""
    cache = Cache(0)
    for key in [(kind, field) for kind in ("column", "inherited") for field in FACETS]:
        if reader._cache.has(key):
            cache.put(key, reader._cache.get(key, dict))
    return ElasticsearchReader(lookup, reader._worklist, cache)


def ask(reader: ElasticsearchReader, node: Node, fields: Sequence[str]) -> None:
    reader.search(Query(Level.IMAGE, node, 10))
    if fields:
        reader.count_sets(Level.IMAGE, fields, node)


def overhead(store: ElasticsearchStore, client: Elasticsearch, fields: Sequence[str]) -> list[tuple[float, float]]:
    """For each query: milliseconds through Hooke, and of the same requests sent by the driver."""
    times = []
    with store.read() as reader:
        reader.count_sets(Level.IMAGE, FACETS, Everything())
        for node in QUERIES:
            recorder = Recorded(reader._lookup)
            ask(uncached(reader, recorder), node, fields)

            def hooke(node: Node = node) -> None:
                ask(uncached(reader, reader._lookup), node, fields)

            def bare(asked: list[tuple[str, list[Body]]] = recorder.asked) -> None:
                for index, requests in asked:
                    if len(requests) == 1:
                        client.search(index=index, body=requests[0])
                    else:
                        client.msearch(index=index, searches=[line for body in requests for line in ({}, body)])

            times.append((median_ms(hooke), median_ms(bare)))
    return times


def filter_rows(stores: dict[str, ElasticsearchStore | SqliteStore]) -> Iterator[str]:
    """A table: what each store takes for a page, ten facets, and the ordinals of each filter."""
    yield f"{'filter':20} {'images':>9} " + "".join(
        f"{name + ' ' + what:>18}" for name in stores for what in ("page", "facets", "ordinals")
    )
    for label, node in FILTERS.items():
        cells, matching = "", 0
        for store in stores.values():
            with store.read() as reader:
                matching = reader.count(Level.IMAGE, node)
                for what in (page_ms, facets_ms, ordinals_ms):
                    cells += f"{what(reader, node):15.1f} ms"
        yield f"{label:20} {matching:9,} {cells}"


def fresh(reader: ElasticsearchReader | SqliteReader) -> ElasticsearchReader | SqliteReader:
    """The reader without what it remembers of queries."""
    if isinstance(reader, ElasticsearchReader):
        return uncached(reader, reader._lookup)
    entries = reader._cache._entries
    for key in [key for key in entries if isinstance(key, tuple) and "column" not in key and "live" not in key]:
        del entries[key]
    reader._sides.clear()
    return reader


def page_ms(reader: ElasticsearchReader | SqliteReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).search(Query(Level.IMAGE, node, 10)))


def facets_ms(reader: ElasticsearchReader | SqliteReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).count_sets(Level.IMAGE, FACETS, node))


def ordinals_ms(reader: ElasticsearchReader | SqliteReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).ordinals(Level.IMAGE, node))


def other_ways(store: ElasticsearchStore, vectors: VectorReader) -> Iterator[str]:
    """A filter's ordinals as hits from a point in time; and the ten nearest images, by its ordinals or asked about."""
    yield f"{'filter':20} {'images':>9} {'bit sums':>12} {'hits of a PIT':>14} {'all, then':>12} {'nearest first':>14}"
    query = unit_rows(1, vectors.dim)
    with store.read() as reader:
        for label, node in FILTERS.items():
            clause = reader._condition(Level.IMAGE, node)
            times = (
                median_ms(partial(reader._lookup.ordinals, Part.IMAGES, clause)),
                seconds(partial(as_hits, reader._lookup, clause)) * 1000,
                *(median_ms(partial(ten_nearest, reader, vectors, query, node, above)) for above in (maxsize, -1)),
            )
            cells = "".join(f"{time:11.1f} ms" for time in times)
            yield f"{label:20} {reader.count(Level.IMAGE, node):9,} {cells}"


def ten_nearest(reader: ElasticsearchReader, vectors: VectorReader, query: Vectors, node: Node, above: int) -> None:
    filtered.NEAREST_FIRST_ABOVE = above
    filtered.nearest(filtered.Pool(uncached(reader, reader._lookup), vectors, node, BitMap()), query, 10)


@contextmanager
def vectors_of(count: int, folder: Path) -> Iterator[VectorReader]:
    """A short row for each image, unlike its neighbours': what is nearest has nothing to do with what is allowed."""
    store = SegmentStore(folder / "vectors", "benchmark")
    rows = Block(unit_rows(count, 16), np.arange(count, dtype=np.uint32), np.zeros(count, np.uint64))
    yield store.read([store.append(rows)])


def as_hits(lookup: Lookup, clause: Body) -> BitMap:
    """A filter's ordinals, a hit each."""
    request: Body = {"query": clause, "_source": False}
    return BitMap(hit["sort"][0] for hit in lookup.scan(Part.IMAGES, request))


@contextmanager
def opened(location: Location, folder: Path) -> Iterator[tuple[ElasticsearchStore, SqliteStore]]:
    with (
        closing(ElasticsearchStore(folder / "cluster.sqlite", read_settings().cluster, location)) as clustered,
        closing(SqliteStore(folder / "embedded.sqlite")) as embedded,
    ):
        yield clustered, embedded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:9200/hooke-benchmark")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--keep", action="store_true", help="leave the indices in the cluster")
    arguments = parser.parse_args()
    location = read_location(arguments.url)
    with (
        closing(Elasticsearch(list(location.nodes), request_timeout=120)) as client,
        tempfile.TemporaryDirectory() as folder,
        opened(location, Path(folder)) as (clustered, embedded),
    ):
        try:
            measure(clustered, embedded, client, location, arguments.images)
        finally:
            if not arguments.keep:
                client.indices.delete(index=list(client.indices.get(index=f"{location.prefix}-*").body))


def measure(
    clustered: ElasticsearchStore, embedded: SqliteStore, client: Elasticsearch, location: Location, count: int
) -> None:
    print(f"{count:,} images")
    names = Names(f"{location.prefix}-bare", "bare")
    with without_collector():
        # neither side is to wait for what the benchmark itself makes
        records = list(images(count))
        documents = ready_made(names, records)
    driver = [by_parallel_bulk(client, names, documents)]
    loader = by_hooke(client, location, names, documents)
    whole = count / load(clustered, records)
    driver.append(by_parallel_bulk(client, names, documents))
    bare = statistics.mean(driver)
    del documents
    print(f"parallel_bulk loads {count / bare:,.0f} ready-made images/s")
    print(f"Hooke's loader, the same documents: {count / loader:,.0f}, ratio {bare / loader:.2f} (at least 0.8)")
    print(f"Hooke from records, which it makes documents of: {count / whole:,.0f}, ratio {bare / whole:.2f}")
    print(f"loading SQLite: {load(embedded, records):,.0f} images/s")
    for store in (clustered, embedded):
        with store.read() as reader:
            print(f"{store.location.split(',')[0]}: {reader.size_bytes() / count:,.0f} bytes an image")
    for fields in ((), FACETS):
        times = overhead(clustered, client, fields)
        ratios = ", ".join(f"{hooke / bare:.2f}" for hooke, bare in times)
        total = sum(hooke for hooke, _ in times) / sum(bare for _, bare in times)
        print(f"queries, {len(fields)} facets: ratio {total:.2f} (at most 1.3); each {ratios}")
        print("    " + ", ".join(f"{hooke:.1f}/{bare:.1f} ms" for hooke, bare in times))
    print("\n".join(filter_rows({"ES": clustered, "SQLite": embedded})))
    with tempfile.TemporaryDirectory() as folder, vectors_of(count, Path(folder)) as vectors:
        print("\n".join(other_ways(clustered, vectors)))


if __name__ == "__main__":
    main()

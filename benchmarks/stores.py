"""Both stores in one run on the same records: loading, queries, facets, filters; and what Hooke adds to Elasticsearch.

`python -m benchmarks.stores --url http://localhost:9200/hooke-benchmark [--images 200000] [--keep]`

Ratios: the rate of loading over that of `elasticsearch.helpers.parallel_bulk` on the same ready-made documents (at
least 0.8), and the time of a query through Hooke over that of the requests it becomes, sent by the bare driver (at most
1.3). Then, per store, the median of searches, of ten facets and of a filter's ordinals, by how many images match, and
the bytes and rates that sizing goes by. Elasticsearch's own request cache is off for what is timed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk
from pyroaring import BitMap

from benchmarks.synthetic import images, studies
from hooke.model import Level, Manifest
from hooke.query import Among, And, Best, Equals, Everything, Node, Query, Range, Terms, Weighted, Words
from hooke.settings import read_settings
from hooke.store.base import MetadataReader, MetadataStore
from hooke.store.cache import Cache
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.elasticsearch.document import Documents
from hooke.store.elasticsearch.ledger import Extent
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import Names, Part, index_body
from hooke.store.elasticsearch.reader import ElasticsearchReader
from hooke.store.elasticsearch.versions import Change, Side
from hooke.store.location import Location, read_location
from hooke.store.sqlite import SqliteStore

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
_READY_MADE = 50_000


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


def load(store: MetadataStore, count: int) -> float:
    """Images a second, studies and commit included."""

    def run() -> None:
        with store.write() as writer:
            writer.put_studies(studies(count))
            writer.put_images(images(count))
            writer.commit(Manifest())

    return count / seconds(run)


def ready_made(names: Names, count: int) -> list[dict[str, object]]:
    """The documents that Hooke sends for images."""
    known = {study.id: study for study in studies(count)}
    documents = Documents()
    side = Side(None, "", Extent(BitMap()))  # type: ignore[arg-type]  # nothing is looked up
    made: list[dict[str, object]] = []
    for ordinal, image in enumerate(islice(images(count), count)):
        document, _ = documents.image(image, known[image.study_id])
        document = replace(document, body={**document.body, "heirlooms": ordinal // 1000})
        put = side.put(Change(image.id, ordinal, ordinal // 1000, "", None, document), 1)
        made.append({"_index": names.versions(Part.IMAGES), "_id": put.document_id, **put.body})
    return made


def bare_load(client: Elasticsearch, location: Location, count: int) -> float:
    """Documents a second with the driver's own parallel loader, refresh included."""
    names = Names(f"{location.prefix}-bare", "bare")
    index = names.versions(Part.IMAGES)
    documents = ready_made(names, min(count, _READY_MADE))
    client.indices.create(index=index, body=index_body(Part.IMAGES, "bare", read_settings().cluster))

    def run() -> None:
        for ok, answer in parallel_bulk(client, documents, thread_count=2, chunk_size=1000, raise_on_error=True):
            assert ok, answer
        client.indices.refresh(index=index)

    rate = len(documents) / seconds(run)
    client.indices.delete(index=index)
    return rate


class Recorded(Lookup):
    """A lookup that remembers what it asked."""

    def __init__(self, inner: Lookup) -> None:
        super().__init__(inner.cluster, inner.names, inner.state)
        self.asked: list[tuple[str, list[dict[str, object]]]] = []

    def search(self, part: Part, request: dict[str, object]) -> dict[str, object]:
        self.asked.append((self.names.state(part, self.state.number), [request]))
        return super().search(part, request)

    def searches(self, part: Part, requests: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        if requests:
            self.asked.append((self.names.state(part, self.state.number), list(requests)))
        return super().searches(part, requests)


def uncached(reader: ElasticsearchReader, lookup: Lookup, fields: Sequence[str]) -> ElasticsearchReader:
    """A reader that knows the sets of values, which are read once a state, and nothing of any query."""
    cache = Cache(0)
    for field in fields:
        cache.put(("column", field), reader._column(field))
    cache.put("mentions", {})
    return ElasticsearchReader(lookup, reader._worklist, cache)


def ask(reader: MetadataReader, node: Node, fields: Sequence[str]) -> None:
    reader.search(Query(Level.IMAGE, node, 10))
    if fields:
        reader.count_sets(Level.IMAGE, fields, node)


def overhead(store: ElasticsearchStore, client: Elasticsearch, fields: Sequence[str]) -> list[tuple[float, float]]:
    """For each query: milliseconds through Hooke, and of the same requests sent by the driver."""
    times = []
    with store.read() as reader:
        for node in QUERIES:
            recorder = Recorded(reader._lookup)
            ask(uncached(reader, recorder, fields), node, fields)

            def hooke(node: Node = node) -> None:
                ask(uncached(reader, reader._lookup, fields), node, fields)

            def bare(asked: list[tuple[str, list[dict[str, object]]]] = recorder.asked) -> None:
                for index, requests in asked:
                    if len(requests) == 1:
                        client.search(index=index, body=requests[0])
                    else:
                        client.msearch(index=index, searches=[line for body in requests for line in ({}, body)])

            times.append((median_ms(hooke), median_ms(bare)))
    return times


def filter_rows(stores: dict[str, MetadataStore]) -> Iterator[str]:
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


def fresh(reader: MetadataReader) -> MetadataReader:
    """The reader without what it remembers of queries."""
    if isinstance(reader, ElasticsearchReader):
        return uncached(reader, reader._lookup, FACETS)
    kept = {
        key: entry for key, entry in reader._cache._entries.items() if key[1:2] == ("column",) or key[1:] == ("live",)
    }  # type: ignore[attr-defined,index]
    reader._cache._entries.clear()  # type: ignore[attr-defined]
    reader._cache._entries.update(kept)  # type: ignore[attr-defined]
    reader._masks.clear()  # type: ignore[attr-defined]
    return reader


def page_ms(reader: MetadataReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).search(Query(Level.IMAGE, node, 10)))


def facets_ms(reader: MetadataReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).count_sets(Level.IMAGE, FACETS, node))


def ordinals_ms(reader: MetadataReader, node: Node) -> float:
    return median_ms(lambda: fresh(reader).ordinals(Level.IMAGE, node))


def other_ways(store: ElasticsearchStore) -> Iterator[str]:
    """A filter's ordinals as hits from a point in time, and asking about the nearest 200 images alone."""
    yield f"{'filter':20} {'images':>9} {'bit sums':>12} {'hits of a PIT':>14} {'about 200':>12}"
    few = Among(frozenset(range(0, 200_000, 1000)))
    with store.read() as reader:
        for label, node in FILTERS.items():
            clause = reader._condition(Level.IMAGE, node)
            hits = seconds(
                lambda clause=clause: list(reader._lookup.scan(Part.IMAGES, {"query": clause, "_source": False}))
            )  # type: ignore[misc]
            sums = median_ms(lambda clause=clause: reader._lookup.ordinals(Part.IMAGES, clause))  # type: ignore[misc]
            about = median_ms(lambda node=node: fresh(reader).ordinals(Level.IMAGE, And((node, few))))  # type: ignore[misc]
            yield f"{label:20} {reader.count(Level.IMAGE, node):9,} {sums:9.1f} ms {hits * 1000:11.0f} ms {about:9.1f} ms"


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
    before = bare_load(client, location, count)
    through = load(clustered, count)
    bare = statistics.mean((before, bare_load(client, location, count)))
    print(f"loading: {through:,.0f} images/s, parallel_bulk {bare:,.0f}: ratio {through / bare:.2f} (at least 0.8)")
    print(f"loading SQLite: {load(embedded, count):,.0f} images/s")
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
    print("\n".join(other_ways(clustered)))


if __name__ == "__main__":
    main()

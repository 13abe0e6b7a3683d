"""Two stores, the same records: whatever is asked of the embedded one, a cluster answers the same.

500 questions to the stores and 200 requests to the engine, generated from what the records say: half of them before,
half after deletes and updates of both. Ranking is each store's own; that a hit is a hit is not.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from uuid import uuid4

import pytest
from pyroaring import BitMap

from hooke.errors import BadCursor, HookeError, UnknownRecord, UnknownTerm
from hooke.fields import FACET_FIELDS, TITLE, UNCOUNTED_FIELDS
from hooke.index import IndexDirectory
from hooke.model import Level
from hooke.query import Best, Everything, Phrase, Query, Range, Weighted
from hooke.request import Filter, SearchRequest
from hooke.results import FacetValue, QueryReport, SearchHit
from hooke.store.base import MetadataReader
from hooke.store.location import Location
from hooke.text import tokens
from search_api.engine import Engine
from tests.elasticsearch_index import emptied
from tests.real.conftest import BuiltIndex
from tests.real.pair import Pair, changes, counted, first_pages, make_pair
from tests.real.queries import Nodes, Requests, read_vocabulary

# the first test waits for the big index and then for both samples of it
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BATCHES = range(10)
QUESTIONS = 25
REQUESTS = 10
PAGES = 6
"""A longer result is not followed to its end; its hits were compared as a set."""

Readers = tuple[MetadataReader, MetadataReader]
Engines = tuple[Engine, Engine]


@pytest.fixture(scope="module")
def made(
    everything_indexed: BuiltIndex, elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    location = Location((elasticsearch_url,), f"agree-{uuid4().hex[:12]}")
    with emptied(location):
        yield make_pair(IndexDirectory(everything_indexed.directory), tmp_path_factory.mktemp("pair"), location)


@pytest.fixture(scope="module", params=["as indexed", "after deletes and updates"])
def pair(made: Pair, request: pytest.FixtureRequest) -> Pair:
    if request.param != "as indexed":
        with made.stores() as (embedded, clustered):
            with embedded.read() as reader:
                script = changes(reader)
            for store in (embedded, clustered):
                script.apply(store)
    return made


@pytest.fixture(scope="module")
def readers(pair: Pair) -> Iterator[Readers]:
    with pair.stores() as (embedded, clustered), embedded.read() as first, clustered.read() as second:
        yield first, second


@pytest.fixture(scope="module")
def engines(pair: Pair) -> Iterator[Engines]:
    with pair.engines() as engines:
        yield engines


# --- what a store is asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", BATCHES)
def test_generated_queries_match_count_and_page_the_same(readers: Readers, batch: int) -> None:
    first, second = readers
    level = [Level.STUDY, Level.IMAGE][batch % 2]
    chance = random.Random(f"{batch} {first.snapshot.id}")
    nodes = Nodes(read_vocabulary(first, level, batch), first, chance)
    for _ in range(QUESTIONS):
        node, fields = nodes.node(), nodes.fields()
        matching = first.ordinals(level, node)
        assert second.ordinals(level, node) == matching, node
        assert second.count(level, node) == first.count(level, node) == len(matching), node
        assert counted(second, level, fields, node) == counted(first, level, fields, node), node
        for reader in readers:
            assert_pages(reader, Query(level, node, chance.randint(1, 500)), matching)


def assert_pages(reader: MetadataReader, query: Query, matching: BitMap) -> None:
    """Pages follow each other without gap or overlap, best first, ties by ordinal."""
    pages = first_pages(reader, query, PAGES)
    assert {page.total for page in pages} == {len(matching)}, query
    hits = [hit for page in pages for hit in page.hits]
    assert all((-a.score, a.ordinal) < (-b.score, b.ordinal) for a, b in pairwise(hits)), query
    assert BitMap(hit.ordinal for hit in hits) <= matching, query
    assert len(hits) == min(len(matching), PAGES * query.limit), query
    assert tuple(hits) == reader.search(replace(query, limit=PAGES * query.limit)).hits, query


@pytest.mark.parametrize("level", Level)
def test_words_are_completed_the_same(readers: Readers, level: Level) -> None:
    first, second = readers
    nodes = Nodes(read_vocabulary(first, level, 1), first, random.Random(1))
    for _ in range(60):
        prefix, field = nodes.prefix()
        for limit in (7, 401):
            assert second.tokens(level, prefix, field=field, limit=limit) == first.tokens(
                level, prefix, field=field, limit=limit
            ), (prefix, field)


@pytest.mark.parametrize("level", Level)
def test_fields_sets_terms_and_labels_are_the_same(readers: Readers, level: Level) -> None:
    first, second = readers
    assert second.fields(level) == first.fields(level)
    names = [name for name in first.fields(level) if name not in UNCOUNTED_FIELDS]
    countable = sorted({*FACET_FIELDS, *random.Random(4).sample(names, min(150, len(names)))})
    counts = counted(first, level, countable, Everything())
    assert counted(second, level, countable, Everything()) == counts
    for field, sets in counts.items():
        # a store may remember terms that no live record has any more
        used = {term for held in sets for term in held.terms}
        for reader in readers:
            assert used <= reader.terms_in_use(level, field) & reader.terms_in_use(level), field
        assert with_keys(second.labels(level, field), used) == with_keys(first.labels(level, field), used), field


def with_keys(labels: Mapping[str, str], keys: set[str]) -> dict[str, str]:
    assert keys <= labels.keys()
    return {key: label for key, label in labels.items() if key in keys}


def test_records_come_back_the_same(readers: Readers) -> None:
    first, second = readers
    for level in Level:
        ordinals = list(first.ordinals(level, Everything()))
        assert second.records(level, ordinals[::31]) == first.records(level, ordinals[::31])
        for stored, expected in zip(second.stored(level), first.stored(level), strict=True):
            assert stored == expected
    studies = [record.id for record in first.records(Level.STUDY, range(0, 1_000_000, 3))]
    assert second.studies([*studies, "none"]) == first.studies([*studies, "none"])


def test_levels_are_joined_the_same(readers: Readers) -> None:
    first, second = readers
    chance = random.Random(2)
    studies, images = (list(first.ordinals(level, Everything())) for level in (Level.STUDY, Level.IMAGE))
    for size in (0, 1, 10, 1_000):
        of_images = BitMap(chance.sample(images, size))
        assert second.study_ordinals(of_images) == first.study_ordinals(of_images)
        of_studies = BitMap(chance.sample(studies, size))
        assert second.image_ordinals(of_studies) == first.image_ordinals(of_studies)


def test_what_was_indexed_is_told_the_same(readers: Readers) -> None:
    first, second = readers
    assert second.mention_counts() == first.mention_counts()
    assert second.parts() == first.parts()
    for part in (*first.parts(), "changed"):
        assert second.image_ids(part) == first.image_ids(part)
    assert second.unresolved(1_000) == first.unresolved(1_000)
    assert second.unresolved_count() == first.unresolved_count()
    assert list(second.images_with_pixels()) == list(first.images_with_pixels())
    assert second.snapshot.manifest == first.snapshot.manifest


def test_where_one_record_clearly_wins_it_is_first_in_both(readers: Readers) -> None:
    first = readers[0]
    chance = random.Random(3)
    for ordinal in chance.sample(list(first.ordinals(Level.STUDY, Everything())), 40):
        [record] = first.records(Level.STUDY, [ordinal])
        said = Phrase(tokens(record.title))
        named = Phrase(tokens(record.title), TITLE)
        if len(first.ordinals(Level.STUDY, named)) > 1:
            continue  # two studies of one name
        best = Best((Weighted(Everything(), 1.0), Weighted(said, 2.0), Weighted(named, 5.0)))
        for reader in readers:
            page = reader.search(Query(Level.STUDY, best, 2))
            assert page.hits[0].ordinal == ordinal, record.title
            assert page.hits[0].score > page.hits[1].score


# --- what the engine is asked ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """All that an engine says but how it ranks. hits: every one with its reasons; None: too many to ask for."""

    total: int
    facets: Sequence[tuple[str, tuple[FacetValue, ...]]]
    report: QueryReport
    hits: Mapping[str, SearchHit] | None


@pytest.mark.parametrize("batch", BATCHES)
def test_generated_requests_are_answered_the_same(readers: Readers, engines: Engines, batch: int) -> None:
    first, second = engines
    level = [Level.STUDY, Level.IMAGE][batch % 2]
    requests = Requests(read_vocabulary(readers[0], level, batch), random.Random(f"{batch} {readers[0].snapshot.id}"))
    for _ in range(REQUESTS):
        request = requests.request()
        expected = answer(first, request)
        assert answer(second, request) == expected, request
        if isinstance(expected, Answer) and expected.hits is None:
            for hit in first.search(replace(request, limit=3)).hits:
                told = [replace(engine.why(hit.id, request), score=0.0) for engine in engines]
                assert told[0] == told[1], request


def answer(engine: Engine, request: SearchRequest) -> Answer | tuple[type[HookeError], str]:
    try:
        result = engine.search(request)
    except HookeError as exc:
        return type(exc), str(exc)
    facets = list(result.facets.items())
    if result.total > PAGES * request.limit:
        return Answer(result.total, facets, result.query, None)
    hits = list(result.hits)
    while result.cursor:
        result = engine.search(replace(request, cursor=result.cursor, facets=()))
        hits += result.hits
    assert len({hit.id for hit in hits}) == len(hits) == result.total
    return Answer(result.total, facets, result.query, {hit.id: unranked(hit) for hit in hits})


def unranked(hit: SearchHit) -> SearchHit:
    return replace(hit, score=0.0)


@pytest.mark.parametrize(
    "request_",
    [
        SearchRequest(text="organism:(mouse", strict=True),
        SearchRequest(text="year:[early TO late]", strict=True),
        SearchRequest(text="[2019 TO 2021]", strict=True),
        SearchRequest(text="a*"),
        SearchRequest(Level.IMAGE, "s*"),
        SearchRequest(filters=(Filter("organsim", ("mouse",)),)),
        SearchRequest(filters=(Filter("organism", ("NCBITaxon:99999999",)),)),
        SearchRequest(Level.IMAGE, facets=("title",)),
        SearchRequest(Level.IMAGE, facets=("sizex",)),
        SearchRequest(ranges=(Range("yaer", low=2020.0),)),
        SearchRequest(cursor="no cursor"),
        SearchRequest(cursor="AAAA"),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_refused_the_same(engines: Engines, request_: SearchRequest) -> None:
    first, second = (answer(engine, request_) for engine in engines)
    assert isinstance(first, tuple)
    assert second == first


def test_a_cursor_of_another_query_is_refused_the_same(engines: Engines) -> None:
    request = SearchRequest(text="cell", limit=3)
    refusals = []
    for engine in engines:
        cursor = engine.search(request).cursor
        refusals.append(answer(engine, replace(request, text="nucleus", cursor=cursor)))
        assert engine.search(replace(request, cursor=cursor)).hits
    assert refusals[0] == refusals[1]
    assert refusals[0][0] is BadCursor  # type: ignore[index]


def test_records_and_fields_are_described_the_same(readers: Readers, engines: Engines) -> None:
    first, second = engines
    chance = random.Random(5)
    for level in Level:
        ordinals = chance.sample(list(readers[0].ordinals(level, Everything())), 30)
        for record in readers[0].records(level, ordinals):
            assert second.detail(level, record.id) == first.detail(level, record.id)
        assert second.fields(level) == first.fields(level)
        for engine in engines:
            with pytest.raises(UnknownRecord, match="no-such/record"):
                engine.detail(level, "no-such/record")


def test_terms_are_described_the_same(readers: Readers, engines: Engines) -> None:
    first, second = engines
    used = sorted(readers[0].terms_in_use(Level.IMAGE) | readers[0].terms_in_use(Level.STUDY))
    for term in [*random.Random(6).sample(used, 60), "NCBITaxon:40674", "FBbi:00000222"]:
        assert second.term(term) == first.term(term)
    messages = []
    for engine in engines:
        with pytest.raises(UnknownTerm) as told:
            engine.term("FBbi:99999999")
        messages.append(str(told.value))
    assert messages[0] == messages[1]

"""Search over everything the archives published, counted again by a direct reading of the files (`originals`).

The big index is built once a session, by the one command. What is counted from the files: prose and term ids of the
crates, closures of the OBO files, rows and cells of the tables. For "every word anywhere in the indexed values" the
values are those the store gives back for each record, tokenised here; that no value of a file is missing among them
is `test_sources_real`'s, and here the files bound the answer from both sides.
"""

import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hooke.model import Level
from hooke.query import Everything
from hooke.request import Filter, SearchRequest
from hooke.results import FacetValue, Reason, SearchHit, SearchResult
from hooke.store.sqlite import SqliteStore
from search_api.engine import Engine
from tests.real.conftest import BuiltIndex
from tests.real.originals import (
    Crate,
    Obo,
    Table,
    read_crates,
    read_obo,
    read_study_files,
    read_tables,
    term_id,
    words,
)

# the first test waits for the index: 100 s on two free cores
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUERIES = [
    ("Mammalia", "ncbitaxon-taxslim", 910),
    ("Fungi", "ncbitaxon-taxslim", 34),
    ("light microscopy", "fbbi", 866),
    ("electron microscopy", "fbbi", 96),
    ("fluorescence microscopy", "fbbi", 724),
]


@pytest.fixture(scope="module")
def crates(shared_data: Path) -> dict[str, Crate]:
    return read_crates(shared_data / "metadata" / "gide" / "gide-ro-crates.tar.gz")


@pytest.fixture(scope="module")
def study_files(shared_data: Path) -> dict[str, str]:
    return read_study_files(shared_data / "metadata" / "idr" / "idr-study-files.tar.gz")


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> list[Table]:
    return read_tables(shared_data / "metadata" / "idr" / "annotations")


@cache
def ontology(folder: Path, name: str) -> Obo:
    return read_obo(folder / "ontologies" / f"{name}.obo.gz")


def pages(engine: Engine, request: SearchRequest) -> Iterator[SearchResult]:
    cursor: str | None = ""
    while cursor is not None:
        result = engine.search(
            SearchRequest(
                request.level, request.text, request.filters, expand=request.expand, limit=10_000, cursor=cursor or None
            )
        )
        yield result
        cursor = result.cursor


def all_hits(engine: Engine, request: SearchRequest) -> dict[str, SearchHit]:
    found: dict[str, SearchHit] = {}
    for result in pages(engine, request):
        found |= {hit.id: hit for hit in result.hits}
    assert len(found) == result.total
    return found


def facet(engine: Engine, field: str, request: SearchRequest) -> dict[str, FacetValue]:
    asked = SearchRequest(request.level, request.text, request.filters, facets=(field,), facet_limit=1_000_000)
    return {value.id: value for value in engine.search(asked).facets[field]}


# --- the run -------------------------------------------------------------------------------------------------------


def test_one_command_indexes_every_study_and_every_row(everything_indexed: BuiltIndex) -> None:
    report = everything_indexed.report
    assert report["studies"] == 1291 + 110 - 107
    assert report["images"] == 166_555
    assert report["quarantined"] == []
    assert isinstance(report["peak_memory_bytes"], int)
    assert report["peak_memory_bytes"] < 2e9


def test_a_study_of_both_sources_is_one_study_with_both_origins(
    engine: Engine, crates: dict[str, Crate], study_files: dict[str, str]
) -> None:
    both = sorted(crates.keys() & study_files.keys())
    assert len(both) == 107
    for study in both:
        assert set(engine.detail(Level.STUDY, study).origins) == {"idr", "ro-crate"}


# --- text or closure -------------------------------------------------------------------------------------------------


def counted(crates: dict[str, Crate], query: str, terms: set[str]) -> set[str]:
    return {crate.id for crate in crates.values() if words(query) <= words(crate.prose) or crate.terms & terms}


@pytest.mark.parametrize(("query", "name", "expected"), QUERIES)
def test_words_or_closure_find_every_study_counted_in_the_files(
    engine: Engine, crates: dict[str, Crate], shared_data: Path, query: str, name: str, expected: int
) -> None:
    obo = ontology(shared_data, name)
    by_either = counted(crates, query, obo.below(obo.labelled(query)))
    assert len(by_either) == expected
    assert by_either <= all_hits(engine, SearchRequest(text=query)).keys()


@pytest.mark.parametrize(("query", "name", "expected"), QUERIES)
def test_every_reason_names_a_word_or_term_that_is_in_the_record(
    engine: Engine,
    crates: dict[str, Crate],
    study_files: dict[str, str],
    shared_data: Path,
    query: str,
    name: str,
    expected: int,
) -> None:
    obo = ontology(shared_data, name)
    below = obo.below(obo.labelled(query))
    hits = all_hits(engine, SearchRequest(text=query))
    assert len(hits) >= expected
    for hit in hits.values():
        original = Original(crates.get(hit.id), study_files.get(hit.id, ""))
        assert hit.why, hit.id
        for reason in hit.why:
            assert original.bears_out(reason, query, obo, below), (hit.id, reason)


@dataclass(frozen=True)
class Original:
    """What the files say of a study."""

    crate: Crate | None
    study_file: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (*(self.crate.everything if self.crate else ()), self.study_file)

    def bears_out(self, reason: Reason, query: str, obo: Obo, below: set[str]) -> bool:
        """Whether the files hold the reason's words, or its term by id or by one of its names."""
        if reason.kind == "text":
            return bool(words(query) & words(reason.value)) and self._holds(reason.value)
        assert reason.kind in ("direct", "inferred")
        assert reason.term is not None
        named = reason.value.casefold() in [name.casefold() for name in obo.names[reason.term]]
        return reason.term in below and (self._refers_to(reason.term, obo) or (named and self._holds(reason.value)))

    def _holds(self, text: str) -> bool:
        def plain(value: str) -> str:
            return " ".join(value.replace('""', '"').split())

        return any(plain(text) in plain(held) for held in self.texts)

    def _refers_to(self, term: str, obo: Obo) -> bool:
        spelt = {term, *(old for old, new in obo.replaced.items() if new == term)}
        ids = {term_id(text) for text in self.crate.everything} if self.crate else set()
        numbers = {old.partition(":")[2].lstrip("0") for old in spelt}
        cells = {cell.strip().rpartition("_")[2].rpartition(":")[2].lstrip("0") for cell in self.study_file.split()}
        return bool(spelt & ids or numbers & cells)


# --- expand=none -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Indexed:
    """All values of all records of a level: who has which text, and the words of each text."""

    ids: list[str]
    texts: list[str]
    words: list[set[str]]
    owners: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]

    def holding(self, word: str) -> set[int]:
        """The records that have the word in any value."""
        has = np.fromiter((word in held for held in self.words), bool, len(self.words))
        return set(np.unique(self.owners[has[self.values]]).tolist())

    def holding_all(self, query: set[str]) -> set[str]:
        return {self.ids[n] for n in set.intersection(*map(self.holding, query))}


def indexed(directory: Path, level: Level) -> Indexed:
    numbers: dict[str, int] = {}
    ids: list[str] = []
    owners, values = array("i"), array("i")
    store = SqliteStore(directory / "metadata.sqlite")
    with store.read() as reader:
        ordinals = list(reader.ordinals(level, Everything()))
        for start in range(0, len(ordinals), 10_000):
            for record in reader.records(level, ordinals[start : start + 10_000]):
                found = [numbers.setdefault(value.text, len(numbers)) for value in record.values]
                values.extend(found)
                owners.extend([len(ids)] * len(found))
                ids.append(record.id)
    store.close()
    return Indexed(
        ids,
        list(numbers),
        [words(text) for text in numbers],
        np.frombuffer(owners, np.int32),
        np.frombuffer(values, np.int32),
    )


@pytest.fixture(scope="module")
def indexed_studies(everything_indexed: BuiltIndex) -> Indexed:
    return indexed(everything_indexed.directory, Level.STUDY)


@pytest.fixture(scope="module")
def indexed_images(everything_indexed: BuiltIndex) -> Indexed:
    return indexed(everything_indexed.directory, Level.IMAGE)


def drawn_queries(values: Indexed, number: int) -> list[str]:
    """Words as records have them, one to three of one record at a time; the seed keeps the choice."""
    draw = random.Random(1665)
    queries = []
    for _ in range(number):
        owner = draw.randrange(len(values.ids))
        held = values.values[values.owners == owner]
        pool = sorted(set().union(*(values.words[n] for n in held)) - {"and", "or", "not", "to"})
        queries.append(" ".join(draw.sample(pool, draw.randint(1, 3))))
    return queries


def test_without_expansion_exactly_the_studies_with_every_word_are_found(
    engine: Engine, indexed_studies: Indexed
) -> None:
    queries = [*(query for query, _, _ in QUERIES), "HeLa", "mouse brain", *drawn_queries(indexed_studies, 120)]
    for query in queries:
        found = all_hits(engine, SearchRequest(text=query, expand=()))
        assert found.keys() == indexed_studies.holding_all(words(query)), query


def test_without_expansion_exactly_the_images_with_every_word_are_found(
    engine: Engine, indexed_images: Indexed
) -> None:
    for query in ["Fungi", "electron microscopy", "light microscopy", "HeLa", *drawn_queries(indexed_images, 12)]:
        expected = indexed_images.holding_all(words(query))
        request = SearchRequest(Level.IMAGE, query, expand=())
        assert engine.search(request).total == len(expected), query
        if len(expected) <= 10_000:
            assert all_hits(engine, request).keys() == expected, query


def test_without_expansion_the_files_bound_what_is_found(
    engine: Engine, crates: dict[str, Crate], study_files: dict[str, str], indexed_studies: Indexed
) -> None:
    """At least the crates with every word in their prose, and nothing whose files lack a word."""
    prose = {crate.id: words(crate.prose) for crate in crates.values()}
    files = {
        study: set().union(*map(words, Original(crates.get(study), study_files.get(study, "")).texts), words(study))
        for study in indexed_studies.ids
    }
    for query in [*(query for query, _, _ in QUERIES), *drawn_queries(indexed_studies, 60)]:
        found = all_hits(engine, SearchRequest(text=query, expand=())).keys()
        assert {study for study, held in prose.items() if words(query) <= held} <= found, query
        # a licence's and an archive's name are Hooke's own spelling of the address that the file gives
        assert {s for s in found if not words(query) <= files[s]} == set(), query


# --- the tables, at image level ----------------------------------------------------------------------------------------


def labels(tables: list[Table]) -> dict[tuple[str, str], set[str]]:
    """The images of each organism and cell-line label of the tables."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for table in tables:
        for field, label in (("organism", "Organism"), ("cell_line", "Cell Line")):
            for column in table.columns(rf"(?:Characteristics|Comment) \[{label}(?: \d+)?\]"):
                for image, row in table.rows.items():
                    if row[column].strip():
                        found[field, row[column].strip()].add(image)
    return found


def test_each_organism_and_cell_line_label_finds_at_least_its_rows(
    engine: Engine, tables: list[Table], everything_indexed: BuiltIndex
) -> None:
    by_label = labels(tables)
    assert len(by_label) == 162
    assert sum(map(len, by_label.values())) > 250_000
    for (field, label), images in by_label.items():
        by_filter = SearchRequest(Level.IMAGE, filters=(Filter(field, (label,)),))
        for request in (SearchRequest(Level.IMAGE, label), by_filter):
            if len(images) > 2_000:
                assert engine.search(request).total >= len(images), (field, label)
            else:
                assert images <= ids_of(engine, request, images), (field, label)


def ids_of(engine: Engine, request: SearchRequest, images: set[str]) -> set[str]:
    """The hits in the studies of some images."""
    studies = tuple(sorted({image.partition("/")[0] for image in images}))
    within = (*request.filters, Filter("accession", studies))
    return set(all_hits(engine, SearchRequest(Level.IMAGE, request.text, within)))

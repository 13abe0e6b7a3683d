"""Search over everything the archives published, counted again by a direct reading of the files (`originals`).

The big index is built once a session, by the one command. What is counted from the files: prose and term ids of the
crates, closures of the OBO files, rows and cells of the tables. For "every word anywhere in the indexed values" the
values are those the store gives back for each record, tokenised here; that no value of a file is missing among them
is `test_sources_real`'s, and here the files bound the answer from both sides.
"""

import random
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hooke.index import existing_index
from hooke.model import Level
from hooke.query import Everything
from hooke.request import Filter, SearchRequest
from hooke.results import FacetValue, Reason, SearchHit
from hooke.store.sqlite import SqliteStore
from ontologies.catalogue import Catalogue
from ontologies.more_names import names_of
from ontologies.names import normal
from ontologies.prose_words import OWN_NAMES
from search_api.engine import Engine
from search_api.engine.understand import understand
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


Matching = Callable[[SearchRequest], set[int]]


@pytest.fixture(scope="module")
def matching(engine: Engine, everything_indexed: BuiltIndex) -> Iterator[Matching]:
    """The ordinals of everything that matches: what `search` counts, and the filter that similarity takes."""
    index = existing_index(everything_indexed.directory)
    with closing(SqliteStore(index.metadata)) as store, store.read() as reader:
        catalogue = Catalogue.open(index.ontologies, reader.snapshot.manifest.ontologies)

        def ordinals_of(request: SearchRequest) -> set[int]:
            found = set(reader.ordinals(request.level, understand(request, reader, catalogue).where()))
            assert engine.search(replace(request, limit=1)).total == len(found)
            return found

        yield ordinals_of
        catalogue.close()


def all_hits(engine: Engine, request: SearchRequest) -> dict[str, SearchHit]:
    result = engine.search(replace(request, limit=10_000))
    found = {hit.id: hit for hit in result.hits}
    assert len(found) == result.total
    return found


def facet(engine: Engine, field: str, request: SearchRequest) -> dict[str, FacetValue]:
    result = engine.search(replace(request, facets=(field,), facet_limit=1_000_000, limit=1))
    return {value.id: value for value in result.facets[field]}


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
    missed = by_either - all_hits(engine, SearchRequest(text=query)).keys()
    below = obo.below(obo.labelled(query))
    for study in missed:  # an id that its own label contradicts is not believed
        mentions = engine.detail(Level.STUDY, study).mentions
        contradicted = {term_id(str(m["given_id"])) for m in mentions if m["note"] == "id_label_conflict"}
        assert contradicted & below
    assert len(missed) <= 0.02 * expected


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
            said = set(map(normal, words(query) if not reason.name else words(reason.name)))
            word = reason.words[0]  # the value is cut around it
            return normal(word) in said and word in words(reason.value) and self._holds(reason.value)
        assert reason.kind in ("direct", "inferred")
        assert reason.term is not None
        said = set(normal(reason.value).split()) - _NOUNS
        named = bool(said) and said <= words_of_names(reason.term, obo)
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


_NOUNS = {"microscopy", "microscope", "micrograph", "image", "imaging", "movie"}
"""What prose puts behind the name of a method, in its normal form."""


def words_of_names(term: str, obo: Obo) -> set[str]:
    """The words of all names of a term, with those that Hooke adds."""
    daily = (name for name, (_, meant) in OWN_NAMES.items() if meant == term)
    names = (*obo.names[term], *daily, *(more.name for more in names_of(term)))
    return {word for name in names for word in normal(name).split()}


# --- expand=none -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Indexed:
    """All values of records of a level: who has which text, and the words of each text."""

    ids: dict[int, str]
    words: list[set[str]]
    owners: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]

    def holding_all(self, query: set[str]) -> set[str]:
        """The records that have each word in any value."""
        return {self.ids[ordinal] for ordinal in set.intersection(*map(self._holding, query))}

    def _holding(self, word: str) -> set[int]:
        has = np.fromiter((word in held for held in self.words), bool, len(self.words))
        return set(np.unique(self.owners[has[self.values]]).tolist())

    def drawn_queries(self, number: int) -> list[str]:
        """One to three words that a record has, for random records; the seed keeps the choice."""
        draw = random.Random(1665)
        queries = []
        for owner in draw.sample(sorted(self.ids), number):
            held = self.values[self.owners == owner].tolist()
            pool = sorted(set().union(*(self.words[n] for n in held)) - {"and", "or", "not", "to"})
            queries.append(" ".join(draw.sample(pool, draw.randint(1, 3))))
        return queries


def read_indexed(directory: Path, level: Level, *, every: int) -> Indexed:
    """What the store gives back for every n-th record."""
    numbers: dict[str, int] = {}
    ids: dict[int, str] = {}
    owners, values = array("q"), array("q")
    with closing(SqliteStore(directory / "metadata.sqlite")) as store, store.read() as reader:
        ordinals = list(reader.ordinals(level, Everything()))[::every]
        for start in range(0, len(ordinals), 5_000):
            for record in reader.records(level, ordinals[start : start + 5_000]):
                found = [numbers.setdefault(value.text, len(numbers)) for value in record.values]
                values.extend(found)
                owners.extend([record.ordinal] * len(found))
                ids[record.ordinal] = record.id
    return Indexed(
        ids, [words(text) for text in numbers], np.frombuffer(owners, np.int64), np.frombuffer(values, np.int64)
    )


@pytest.fixture(scope="module")
def indexed_studies(everything_indexed: BuiltIndex) -> Indexed:
    return read_indexed(everything_indexed.directory, Level.STUDY, every=1)


@pytest.fixture(scope="module")
def indexed_images(everything_indexed: BuiltIndex) -> Indexed:
    # 27 million values in all; a prime step takes images of every table, plate and row
    return read_indexed(everything_indexed.directory, Level.IMAGE, every=5)


def test_without_expansion_exactly_the_studies_with_every_word_are_found(
    engine: Engine, indexed_studies: Indexed
) -> None:
    queries = [*(query for query, _, _ in QUERIES), "HeLa", "mouse brain", *indexed_studies.drawn_queries(100)]
    for query in queries:
        found = all_hits(engine, SearchRequest(text=query, expand=()))
        assert found.keys() == indexed_studies.holding_all(words(query)), query


def test_without_expansion_exactly_the_images_with_every_word_are_found(
    matching: Matching, indexed_images: Indexed
) -> None:
    queries = ["Fungi", "electron microscopy", "light microscopy", "HeLa", *indexed_images.drawn_queries(40)]
    for query in queries:
        found = matching(SearchRequest(Level.IMAGE, query, expand=()))
        expected = indexed_images.holding_all(words(query))
        assert {indexed_images.ids[n] for n in found & indexed_images.ids.keys()} == expected, query


def test_without_expansion_the_files_bound_what_is_found(
    engine: Engine, crates: dict[str, Crate], study_files: dict[str, str], indexed_studies: Indexed
) -> None:
    """At least the crates with every word in their prose, and nothing whose files lack a word."""
    prose = {crate.id: words(crate.prose) for crate in crates.values()}
    files = {
        study: set().union(*map(words, Original(crates.get(study), study_files.get(study, "")).texts), words(study))
        for study in indexed_studies.ids.values()
    }
    for query in [*(query for query, _, _ in QUERIES), *indexed_studies.drawn_queries(60)]:
        found = all_hits(engine, SearchRequest(text=query, expand=())).keys()
        assert {study for study, held in prose.items() if words(query) <= held} <= found, query
        assert {study for study in found if not words(query) <= files[study]} == set(), query


# --- the tables, at image level --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ordinals(everything_indexed: BuiltIndex) -> dict[str, int]:
    """The ordinal of every image by its id."""
    found = {}
    with closing(SqliteStore(everything_indexed.directory / "metadata.sqlite")) as store, store.read() as reader:
        every = list(reader.ordinals(Level.IMAGE, Everything()))
        for start in range(0, len(every), 5_000):
            chunk = reader.records(Level.IMAGE, every[start : start + 5_000])
            found.update({record.id: record.ordinal for record in chunk})
    return found


def test_every_row_of_the_tables_is_an_image(tables: list[Table], ordinals: dict[str, int]) -> None:
    rows = [image for table in tables for image in table.rows]
    assert len(rows) == 166_555
    assert set(rows) == ordinals.keys()


def labelled(tables: list[Table]) -> dict[tuple[str, str], set[str]]:
    """The images of each organism and cell-line label of the tables."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for table in tables:
        for field, label in (("organism", "Organism"), ("cell_line", "Cell Line")):
            for column in table.columns(rf"(?:Characteristics|Comment) \[{label}(?: \d+)?\]"):
                for image, row in table.rows.items():
                    if row[column].strip():
                        found[field, row[column].strip()].add(image)
    return found


# `x - y` is read as "x but not y"
DASHED = {"HeLa - mScarlet-fascin/fascin KD", "HeLa - mScarlet/fascin KD"}


def test_each_organism_and_cell_line_label_finds_at_least_its_rows(
    matching: Matching, tables: list[Table], ordinals: dict[str, int]
) -> None:
    by_label = labelled(tables)
    assert len(by_label) == 162
    assert sum(map(len, by_label.values())) > 250_000
    for (field, label), images in by_label.items():
        rows = {ordinals[image] for image in images}
        assert rows <= matching(SearchRequest(Level.IMAGE, filters=(Filter(field, (label,)),))), (field, label)
        assert label in DASHED or rows <= matching(SearchRequest(Level.IMAGE, label)), (field, label)


def test_a_dash_between_words_is_punctuation(matching: Matching, tables: list[Table], ordinals: dict[str, int]) -> None:
    by_label = labelled(tables)
    for label in DASHED:
        assert {ordinals[i] for i in by_label["cell_line", label]} <= matching(SearchRequest(Level.IMAGE, label))


# --- facets ----------------------------------------------------------------------------------------------------------


def test_datasets_are_counted_by_the_rows_of_their_tables(engine: Engine, tables: list[Table]) -> None:
    rows: Counter[str] = Counter()
    for table in tables:
        rows[table.dataset] += len(table.rows)
    counts = facet(engine, "dataset", SearchRequest(Level.IMAGE))
    assert {name: value.count for name, value in counts.items()} == rows


@pytest.mark.parametrize("study", ["idr0002", "idr0056", "idr0072"])
def test_plates_are_counted_by_their_rows(engine: Engine, tables: list[Table], study: str) -> None:
    rows = Counter(
        row[column].strip()
        for table in tables
        if table.study == study
        for column in table.columns("Plate")
        for row in table.rows.values()
    )
    assert rows
    counts = facet(engine, "plate", SearchRequest(Level.IMAGE, filters=(Filter("accession", (study,)),)))
    assert {name: (value.count, value.direct_count) for name, value in counts.items()} == {
        plate: (count, count) for plate, count in rows.items()
    }


def test_organisms_are_counted_by_rows_each_term_with_all_below_it(
    engine: Engine, tables: list[Table], shared_data: Path
) -> None:
    """Over the studies whose tables name an organism by its taxon's own label in every row."""
    taxa = ontology(shared_data, "ncbitaxon-taxslim")
    above = cache(taxa.above)
    by_study: defaultdict[str, list[set[str]]] = defaultdict(list)
    for table in tables:
        before: list[str] | None = None
        for row in table.rows.values():
            by_study[table.study].append(organisms(table, row, before, taxa, above))
            before = row
    whole = {study: rows for study, rows in by_study.items() if all(rows)}
    assert sum(map(len, whole.values())) > 100_000
    direct = Counter(term for rows in whole.values() for row in rows for term in row)
    every = Counter(t for rows in whole.values() for row in rows for t in set().union(*map(above, row)))

    counts = facet(engine, "organism", SearchRequest(Level.IMAGE, filters=(Filter("accession", tuple(whole)),)))
    assert {term: value.direct_count for term, value in counts.items() if value.direct_count} == direct
    assert {term: value.count for term, value in counts.items()} == every


def organisms(
    table: Table, row: list[str], before: list[str] | None, taxa: Obo, above: Callable[[str], set[str]]
) -> set[str]:
    """The taxa that a row names by label, and by an id that agrees; none unless every label is a taxon's own.

    before: the row above; an id that is one more than its is a spreadsheet's.
    """
    named: set[str] = set()
    for column in table.columns(r"Characteristics \[Organism(?: \d+)?\]"):
        label, following = row[column].strip(), range(column + 1, min(column + 3, len(row)))
        if label and label not in taxa.labels:
            return set()
        places = [n for n in following if table.header[n].endswith("Accession")]
        numbers = [int(number) for n in places for number in re.findall(r"\d+", row[n])]
        if before and before[column].strip() == label:
            above_it = {int(number) + 1 for n in places for number in re.findall(r"\d+", before[n])}
            numbers = [number for number in numbers if number not in above_it]
        found = {f"NCBITaxon:{number}" for number in numbers}
        terms = {taxa.replaced.get(term, term) for term in found} & taxa.names.keys()
        if label and len(terms) == 1:  # an id of another branch than its label's taxon was dragged
            terms = {t for t in terms if taxa.labels[label] in above(t) or t in above(taxa.labels[label])}
        named |= terms | ({taxa.labels[label]} if label else set())
    return named


def test_years_and_archives_of_studies_are_counted_as_the_crates_say(engine: Engine, crates: dict[str, Crate]) -> None:
    archives = Counter("EMPIAR" if c.startswith("EMPIAR") else "S" if c.startswith("S-") else "" for c in crates)
    counts = facet(engine, "archive", SearchRequest())
    assert counts["EMPIAR"].count == archives["EMPIAR"] == 27
    assert counts["BioImage Archive"].count == archives["S"] == 679
    within = SearchRequest(filters=(Filter("archive", ("BioImage Archive",)),))
    years = Counter(crate.year for crate in crates.values() if crate.id.startswith("S-"))
    assert {name: value.count for name, value in facet(engine, "year", within).items()} == years


def test_imaging_methods_are_counted_with_everything_below_them(
    engine: Engine, crates: dict[str, Crate], shared_data: Path
) -> None:
    """Over the studies of the BioImage Archive that give methods, all as ids: a parent counts its own records too."""
    methods = ontology(shared_data, "fbbi")
    stated = {
        crate.id: {term for text in crate.everything if (term := term_id(text)) in methods.names}
        for crate in crates.values()
        if crate.id.startswith("S-")
    }
    said = list(filter(None, stated.values()))
    direct = Counter(term for terms in said for term in terms)
    every = Counter(term for terms in said for term in set().union(*map(methods.above, terms)))
    # where no method is given, prose may name one
    within = SearchRequest(filters=(Filter("accession", tuple(study for study, terms in stated.items() if terms)),))
    counts = facet(engine, "imaging_method", within)
    assert {term: value.direct_count for term, value in counts.items() if value.direct_count} == direct
    assert {term: value.count for term, value in counts.items() if term in methods.names} == {
        term: count for term, count in every.items() if term in methods.names
    }
    fluorescence = counts["FBbi:00000246"]
    assert 0 < fluorescence.direct_count < fluorescence.count

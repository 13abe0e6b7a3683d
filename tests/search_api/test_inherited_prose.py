"""Words that name a term do not find images by the prose of their study; all other words do."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from hooke.index import IndexDirectory
from hooke.model import Image, Level, Manifest, Mention, Method, Study, Value
from hooke.request import SearchRequest
from hooke.store.sqlite import SqliteStore
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import shared_index

HEART = Value("anatomy", "heart", (), (Mention("anatomy", "heart", "UBERON:0000948", "heart", Method.LABEL, 1.0),))
READ = Mention("anatomy", "brain", "UBERON:0000955", "brain", Method.TEXT, 0.8, source="description", start=8)
TOLD = (
    Value("description", "Unlike brain, by an imaging method, see doi 10.1/zzz by Ada Lovelace"),
    Value("phenotype_description", "smaller than brain"),
    Value("strain", "brain line 7"),
)
STUDIES = (
    Study("S1", "Hearts and a brain", (*TOLD[:2], HEART)),
    Study("S2", "Slices", (TOLD[0], Value("anatomy", "brain", (), (READ,)))),
    Study("S3", "Lines", (TOLD[2],)),
)
IMAGES = (
    Image("S1/1", "S1", "one"),
    Image("S1/2", "S1", "brain of a mouse"),
    Image("S2/1", "S2", "one"),
    Image("S3/1", "S3", "one"),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Studies that speak of a brain: in passing, as what they show, and in the name of a strain."""
    made, known = IndexDirectory(tmp_path_factory.mktemp("told")), IndexDirectory(shared_index())
    made.ontologies.symlink_to(known.ontologies)
    with closing(SqliteStore(known.metadata)) as store, store.read() as reader:
        version = reader.snapshot.manifest.ontologies
    with closing(SqliteStore(made.metadata)) as store, store.write() as writer:
        writer.put_studies(STUDIES)
        writer.put_images(IMAGES)
        writer.commit(Manifest(version))
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        yield engine


def ids(engine: Engine, text: str, level: Level = Level.IMAGE, **options: tuple[str, ...]) -> set[str]:
    return {hit.id for hit in engine.search(SearchRequest(level, text, **options)).hits}  # type: ignore[arg-type]


def test_a_name_finds_images_by_terms_and_by_what_is_said_of_themselves(told: Engine) -> None:
    assert ids(told, "brain") == {"S1/2", "S2/1", "S3/1"}
    assert ids(told, "brain NOT strain:brain") == {"S1/2", "S2/1"}
    assert ids(told, "NOT brain") == {"S1/1"}


@pytest.mark.parametrize("text", ["lovelace", "hearts doi", '"brain"', "description:brain", "bra*", "brian~"])
def test_other_words_quotes_and_fields_find_images_by_the_prose_of_their_study(told: Engine, text: str) -> None:
    assert "S1/1" in ids(told, text)


def test_a_name_that_no_text_is_read_for_is_a_word(told: Engine) -> None:
    assert told.search(SearchRequest(Level.IMAGE, "imaging method")).query.terms
    assert ids(told, "imaging method") == {"S1/1", "S1/2", "S2/1"}


def test_without_expansion_words_name_nothing_and_find_prose(told: Engine) -> None:
    assert ids(told, "brain", expand=()) == {"S1/1", "S1/2", "S2/1", "S3/1"}


def test_studies_are_found_by_their_prose(told: Engine) -> None:
    assert ids(told, "brain", Level.STUDY) == {"S1", "S2", "S3"}


def test_no_reason_is_given_that_made_no_match(told: Engine) -> None:
    reasons = {
        hit.id: {(reason.kind, reason.field, reason.value) for reason in hit.why}
        for hit in told.search(SearchRequest(Level.IMAGE, "brain")).hits
    }
    assert reasons == {
        "S1/2": {("text", "title", "brain of a mouse")},
        "S2/1": {("direct", "anatomy", "brain"), ("text", "anatomy", "brain")},
        "S3/1": {("text", "strain", "brain line 7")},
    }
    missed = told.why("S1/1", SearchRequest(Level.IMAGE, "brain"))
    assert (missed.matches, missed.whole.reasons) == (False, ())

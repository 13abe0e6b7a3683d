"""Terms that prose names, as values beside the submitter's."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from hooke.curation import IN_TEXT, Decision, Decisions
from hooke.model import Dataset, Image, Mention, Method, Study, Value
from indexer.annotate import Annotator
from indexer.merge import as_submitted
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies
from tests.indexer.archives import write_ontologies

DESCRIPTION = Value("description", "Confocal microscopy of mouse cells; a mouse is no man.")
HUMAN = Value("organism", "Homo sapiens")


@pytest.fixture
def annotator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Annotator]:
    folder = tmp_path_factory.mktemp("ontologies")
    version = add_ontologies(write_ontologies(folder), folder / "compiled")
    with closing(Catalogue.open(folder / "compiled", version)) as catalogue:
        yield Annotator(catalogue)


def from_text(values: tuple[Value, ...]) -> list[tuple[str, str]]:
    return [(value.field, value.mentions[0].term) for value in values if value.from_text]


def test_a_studys_prose_names_terms_once_with_method_score_and_place(annotator: Annotator) -> None:
    study = annotator.study(Study("s", "A study", (DESCRIPTION,)))
    method, organism = study.values[1:]
    assert study.values[0] == DESCRIPTION
    assert organism.field == "organism"
    (mention,) = organism.mentions
    at = DESCRIPTION.text.index("mouse")
    place = (None, None, "description", at)
    score = mention.score
    assert mention == Mention("organism", "mouse", "NCBITaxon:10090", "Mus musculus", Method.TEXT, score, *place)
    assert 0 < score < 0.95
    assert from_text((method,)) == [("imaging_method", "FBbi:00000251")]
    assert method.text == "Confocal microscopy"


def test_a_title_is_the_best_place(annotator: Annotator) -> None:
    study = annotator.study(Study("s", "On mouse cells", (DESCRIPTION,)))
    sources = {value.field: value.mentions[0].source for value in study.values if value.from_text}
    assert sources == {"organism": "title", "imaging_method": "description"}


def test_who_names_an_organism_names_them_all(annotator: Annotator) -> None:
    study = annotator.study(Study("s", "A study", (DESCRIPTION, HUMAN)))
    assert from_text(study.values) == [("imaging_method", "FBbi:00000251")]


def test_a_datasets_texts_are_the_datasets_and_the_studys(annotator: Annotator) -> None:
    sample = Value("sample_description", "mouse")
    study = annotator.study(Study("s", "A study", (sample,), (Dataset("a", (sample,)), Dataset("b"))))
    assert from_text(study.datasets[0].values) == [("organism", "NCBITaxon:10090")]
    assert from_text(study.values) == [("organism", "NCBITaxon:10090")]
    assert study.datasets[0].values[-1] == study.values[-1]


def test_an_images_texts_yield_to_its_studys_submitter(annotator: Annotator) -> None:
    image = Image("s/1", "s", "mouse.tif", None, (DESCRIPTION,))
    annotator.study(Study("s", "A study", (HUMAN,)))
    assert from_text(annotator.image(image).values) == [("imaging_method", "FBbi:00000251")]
    annotator.study(Study("s", "A study"))
    assert len(from_text(annotator.image(image).values)) == 2


def test_words_that_a_curator_rejected_name_nothing_in_prose(catalogue: Catalogue) -> None:
    rejected = Decisions([Decision("organism", "Mouse", IN_TEXT, ())])
    study = Annotator(catalogue, rejected).study(Study("s", "A study", (DESCRIPTION,)))
    assert from_text(study.values) == [("imaging_method", "FBbi:00000251")]
    other = Value("keywords", "Mus musculus")
    study = Annotator(catalogue, rejected).study(Study("s", "A study", (DESCRIPTION, other)))
    assert ("organism", "NCBITaxon:10090") in from_text(study.values), "other words for the same term still count"


def test_rejected_words_are_a_value_where_a_submitter_gives_them(catalogue: Catalogue) -> None:
    rejected = Decisions([Decision("organism", HUMAN.text, IN_TEXT, ())])
    study = Annotator(catalogue, rejected).study(Study("s", "A study", (HUMAN,)))
    assert [mention.method for value in study.values for mention in value.mentions] == [Method.LABEL]


def test_as_submitted_forgets_what_prose_named(annotator: Annotator) -> None:
    submitted = Study("s", "A study", (DESCRIPTION, HUMAN), (Dataset("a", (DESCRIPTION,)),))
    annotated = annotator.study(submitted)
    assert from_text(annotated.values)
    assert as_submitted(annotated) == submitted
    assert annotator.study(as_submitted(annotated)) == annotated

"""The terms that the archives' own sentences name, as a person marked them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.grounding import ALL, open_ontologies
from benchmarks.prose import precision, read_gold, read_texts, recall, scores
from ontologies.catalogue import Catalogue
from ontologies.prose import Tagger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def catalogue(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    with closing(open_ontologies(shared_data, tmp_path_factory.mktemp("ontologies"))) as opened:
        yield opened


def test_terms_in_prose_are_found_where_a_person_marked_them(shared_data: Path, catalogue: Catalogue) -> None:
    sentences = read_gold(read_texts(shared_data / "metadata"))
    assert len(sentences) == 300
    places, records, misses = scores(sentences, Tagger(catalogue), catalogue)
    assert sum(len(sentence.marks) for sentence in sentences) > 300
    assert precision(places[ALL]) >= 0.90, misses
    assert recall(places[ALL]) >= 0.90, misses
    assert precision(records[ALL]) >= 0.90
    assert recall(records[ALL]) >= 0.90
    assert precision(places["organism"]) >= 0.93
    assert precision(places["imaging_method"]) >= 0.93

"""The 40 needs of `benchmarks.retrieval` on the real records."""

from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.relevance import Corpus, read_needs
from benchmarks.retrieval import HOOKE, SYSTEMS, Outcome, evaluate
from tests.real.conftest import BuiltIndex

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def outcomes(everything_indexed: BuiltIndex, shared_data: Path) -> list[Outcome]:
    corpus = Corpus.read([shared_data / "metadata" / name for name in ("gide", "idr")], read_needs())
    return list(evaluate(everything_indexed.directory, corpus))


def test_every_need_has_relevant_records_among_others(outcomes: list[Outcome]) -> None:
    assert len(outcomes) == 40
    for outcome in outcomes:
        assert len(outcome.judged) >= 3, outcome.need.text
        assert set(outcome.judged.values()) <= {1, 2}


def test_hooke_finds_more_of_what_is_relevant_than_any_simpler_way_and_ranks_it_higher(outcomes: list[Outcome]) -> None:
    recall = {name: fmean(outcome.score(name).recall for outcome in outcomes) for name in SYSTEMS}
    ndcg = {name: fmean(outcome.score(name).ndcg for outcome in outcomes) for name in SYSTEMS}
    for measured in (recall, ndcg):
        best = measured.pop(HOOKE)
        assert all(best > other for other in measured.values()), (best, measured)


def test_what_hooke_finds_is_nearly_as_often_relevant_as_with_the_most_careful_way(outcomes: list[Outcome]) -> None:
    found = {name: [outcome.score(name).precision for outcome in outcomes] for name in SYSTEMS}
    precision = {name: fmean(each for each in scores if each is not None) for name, scores in found.items()}
    assert precision[HOOKE] >= 0.95 * max(precision.values()), precision

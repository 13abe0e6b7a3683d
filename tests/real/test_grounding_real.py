"""The labels that archives publish, grounded without their ids, and their ids against their labels."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.grounding import ALL, Gold, flags, open_ontologies, read_gold, read_reviewed, reviewed, scores
from ontologies.catalogue import Catalogue

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def catalogue(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    with closing(open_ontologies(shared_data, tmp_path_factory.mktemp("ontologies"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def gold(shared_data: Path) -> Gold:
    return read_gold(shared_data / "metadata")


def test_labels_are_grounded_to_the_terms_that_their_submitters_gave(gold: Gold, catalogue: Catalogue) -> None:
    pairs, cells, misses = scores(gold, read_reviewed(), catalogue)
    assert pairs[ALL].total > 600
    assert pairs[ALL].precision >= 0.97, misses
    assert pairs[ALL].recall >= 0.93, misses
    assert cells[ALL].precision >= 0.99
    assert cells[ALL].recall >= 0.99
    assert pairs["organism"].precision >= 0.99
    assert pairs["organism"].recall >= 0.99


def test_before_review_the_false_ids_of_the_archives_count_against_us(gold: Gold, catalogue: Catalogue) -> None:
    pairs, cells, _ = scores(gold, frozenset(), catalogue)
    assert pairs[ALL].precision >= 0.93
    assert pairs[ALL].recall >= 0.81
    assert cells[ALL].precision >= 0.99


def test_dragged_ids_are_noted_as_conflicts_and_true_ones_are_not(gold: Gold, catalogue: Catalogue) -> None:
    found = flags(gold, read_reviewed(), catalogue)
    assert found.dragged > 4_900
    assert found.caught / found.dragged >= 0.99
    assert len(found.flagged) / found.pairs <= 0.005, found.flagged


def test_no_cell_but_dragged_ones_is_taken_for_dragged(gold: Gold, catalogue: Catalogue) -> None:
    assert sum(cells for pair, cells in gold.dragged.items() if pair.dragged) >= 4_900
    others = {reviewed(pair, catalogue) for pair in gold.pairs if pair.dragged}
    assert others <= read_reviewed(), "dragged over fewer cells than a column's, and reviewed as false"

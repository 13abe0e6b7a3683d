"""Semantic similarity: worked by hand, against its definition, and the laws that users rely on."""

import math
from collections.abc import Collection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ontologies.catalogue import Catalogue
from ontologies.similarity import MOST_TERMS, SemanticSimilarity, closure_counts

ENTITY, BRAIN, CORTEX, NEOCORTEX = "UBERON:0001062", "UBERON:0000955", "UBERON:0000956", "UBERON:0001950"
TUBE, LIVER, MAN, MAMMAL, ROOT = "UBERON:0001049", "UBERON:0002107", "NCBITaxon:9606", "NCBITaxon:40674", "NCBITaxon:1"
UNKNOWN = "UBERON:7777777"
TERMS = (ENTITY, BRAIN, CORTEX, NEOCORTEX, TUBE, LIVER, MAN, MAMMAL, ROOT, UNKNOWN)

Corpus = list[frozenset[str]]
term_sets = st.frozensets(st.sampled_from(TERMS), min_size=1, max_size=6)
corpora = st.lists(st.frozensets(st.sampled_from(TERMS), max_size=4), max_size=12)
checked = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def over(catalogue: Catalogue, corpus: Corpus) -> SemanticSimilarity:
    counts = closure_counts(catalogue, [(terms, 1) for terms in corpus])
    return SemanticSimilarity(catalogue, counts, len(corpus))


@pytest.fixture(scope="module")
def worked(catalogue: Catalogue) -> SemanticSimilarity:
    """Eight records: all have an anatomical entity but one, four the brain or a part, two the cortex, one below it."""
    corpus = [{NEOCORTEX}, {CORTEX}, {BRAIN}, {BRAIN, MAN}, {TUBE}, {TUBE, MAN}, {ENTITY}, {MAMMAL}]
    return over(catalogue, [frozenset(each) for each in corpus])


def test_counts_are_of_records_with_the_term_or_one_below_it(catalogue: Catalogue) -> None:
    counted = closure_counts(catalogue, [((NEOCORTEX, CORTEX), 3), ((BRAIN,), 2), ((LIVER,), 0)])
    assert (counted[NEOCORTEX], counted[CORTEX], counted[BRAIN], counted[ENTITY]) == (3, 3, 5, 5)
    assert LIVER not in counted


def test_two_terms_are_as_alike_as_what_is_above_both_is_rare(worked: SemanticSimilarity) -> None:
    assert worked.information(BRAIN) == pytest.approx(math.log(2))
    # the cortex is part_of the brain, which half of the records have
    assert worked.of_terms(CORTEX, BRAIN) == pytest.approx(2 * math.log(2) / (math.log(4) + math.log(2)))
    assert worked.of_terms(NEOCORTEX, CORTEX) == pytest.approx(2 * math.log(4) / (math.log(8) + math.log(4)))
    assert worked.of_terms(BRAIN, TUBE) == pytest.approx(2 * math.log(8 / 7) / (math.log(2) + math.log(4)))


def test_sets_are_as_alike_as_their_best_matches_are_on_average(worked: SemanticSimilarity) -> None:
    brain_cortex = worked.of_terms(BRAIN, CORTEX)
    assert worked.between([BRAIN, MAN], [CORTEX, MAN]) == pytest.approx((brain_cortex + 1) / 2)
    # one way both terms are compared with the cortex, the other way the cortex with its best match
    assert worked.between([BRAIN, MAN], [CORTEX]) == pytest.approx((brain_cortex / 2 + brain_cortex) / 2)


def test_terms_of_two_ontologies_have_nothing_in_common(worked: SemanticSimilarity) -> None:
    assert worked.between([BRAIN], [MAN]) == 0


def test_no_terms_are_like_nothing(worked: SemanticSimilarity) -> None:
    assert (worked.between([], []), worked.between([BRAIN], [])) == (0, 0)


def test_a_term_that_no_record_has_is_rarer_than_any_other(worked: SemanticSimilarity) -> None:
    assert worked.information(LIVER) > worked.information(NEOCORTEX)
    assert (worked.between([LIVER], [LIVER]), worked.between([LIVER], [BRAIN])) == (1, 0)


def test_terms_without_records_are_alike_by_what_has_records(catalogue: Catalogue) -> None:
    similarity = over(catalogue, [frozenset({BRAIN}), frozenset({TUBE}), frozenset({ROOT})])
    expected = 2 * similarity.information(BRAIN) / (2 * similarity.information(CORTEX))
    assert similarity.of_terms(CORTEX, NEOCORTEX) == pytest.approx(expected)


def test_a_term_that_is_no_longer_loaded_is_like_itself_only(worked: SemanticSimilarity) -> None:
    assert (worked.between([UNKNOWN], [UNKNOWN]), worked.between([UNKNOWN], [BRAIN])) == (1, 0)


def test_of_many_terms_the_rarest_are_compared(catalogue: Catalogue) -> None:
    common = {f"X:{number}": 90 for number in range(MOST_TERMS)}
    similarity = SemanticSimilarity(catalogue, common | {"X:rare": 1}, 100)
    assert similarity.between([*common, "X:rare"], ["X:rare"]) == pytest.approx((1 / MOST_TERMS + 1) / 2)


def test_a_corpus_of_one_record_says_nothing_but_sameness(catalogue: Catalogue) -> None:
    similarity = over(catalogue, [frozenset({NEOCORTEX, TUBE})])
    assert (similarity.between([NEOCORTEX], [TUBE]), similarity.between([TUBE], [TUBE])) == (0, 1)


@checked
@given(corpora, term_sets, term_sets)
def test_similarity_is_symmetric_in_range_and_by_definition(
    catalogue: Catalogue, corpus: Corpus, a: frozenset[str], b: frozenset[str]
) -> None:
    similarity = over(catalogue, corpus)
    between = similarity.between(a, b)
    assert between == similarity.between(b, a) == over(catalogue, corpus).between(b, a)
    assert 0 <= between <= 1
    assert between == pytest.approx(by_definition(catalogue, corpus, a, b))


@checked
@given(corpora, term_sets)
def test_a_set_is_wholly_like_itself(catalogue: Catalogue, corpus: Corpus, terms: frozenset[str]) -> None:
    assert over(catalogue, corpus).between(terms, terms) == 1


@checked
@given(corpora, term_sets, term_sets, st.sampled_from(TERMS))
def test_what_is_added_to_both_makes_them_no_less_alike(
    catalogue: Catalogue, corpus: Corpus, a: frozenset[str], b: frozenset[str], term: str
) -> None:
    similarity = over(catalogue, corpus)
    assert similarity.between(a | {term}, b | {term}) >= similarity.between(a, b) - 1e-12


@checked
@given(corpora.map(lambda corpus: [*corpus, frozenset({NEOCORTEX})]))
def test_a_nearer_ancestor_is_no_less_alike(catalogue: Catalogue, corpus: Corpus) -> None:
    similarity = over(catalogue, corpus)
    up = [similarity.of_terms(NEOCORTEX, above) for above in (NEOCORTEX, CORTEX, BRAIN, ENTITY)]
    assert up == sorted(up, reverse=True)


def by_definition(catalogue: Catalogue, corpus: Corpus, a: Collection[str], b: Collection[str]) -> float:
    above = {term: frozenset({term}) if term == UNKNOWN else catalogue.ancestors(term) for term in TERMS}
    count = {
        term: sum(any(term in above[own] for own in record) for record in corpus)
        for term in frozenset[str]().union(*above.values())
    }
    content = {term: -math.log(min(1, (seen or 0.5) / max(1, len(corpus)))) for term, seen in count.items()}

    def lin(one: str, other: str) -> float:
        if one == other:
            return 1
        if one.split(":")[0] != other.split(":")[0] or content[one] + content[other] == 0:
            return 0
        shared = [content[term] for term in above[one] & above[other] if count[term]]
        return 2 * max(shared, default=0) / (content[one] + content[other])

    ways = [sum(max(lin(x, y) for y in others) for x in terms) / len(terms) for terms, others in ((a, b), (b, a))]
    return sum(ways) / 2

"""Several sources on one study."""

from hypothesis import given
from hypothesis import strategies as st

from hooke.model import Dataset, Study, Value
from indexer.merge import merge, merge_studies

MOUSE, HUMAN = Value("organism", "Mus musculus"), Value("organism", "Homo sapiens")
values = st.lists(st.builds(Value, st.sampled_from(["organism", "licence"]), st.sampled_from("abc")), max_size=4)
datasets = st.lists(
    st.builds(Dataset, st.sampled_from("AB"), values.map(tuple)), max_size=3, unique_by=lambda d: d.name
)
studies = st.builds(
    Study,
    st.sampled_from(["s1", "s2"]),
    st.sampled_from(["s1", "A title"]),
    values.map(tuple),
    datasets.map(tuple),
    st.sampled_from([("idr",), ("ro-crate",)]),
)


def test_studies_of_different_accessions_stay_apart() -> None:
    one, two = Study("idr0001", "One", (MOUSE,)), Study("idr0002", "Two", (HUMAN,))
    assert merge_studies([one, two]) == {"idr0001": one, "idr0002": two}


def test_the_first_real_title_is_kept_before_an_accession() -> None:
    parts = [Study("idr0001", "idr0001"), Study("idr0001", "Nuclei"), Study("idr0001", "Nuclei, again")]
    assert merge(parts).title == "Nuclei"
    assert merge(parts[:1] * 2).title == "idr0001"


def test_a_dataset_that_two_parts_name_is_one_with_the_values_of_both() -> None:
    table = Study("idr0001", "idr0001", datasets=(Dataset("screenA"),))
    file = Study("idr0001", "Nuclei", datasets=(Dataset("screenA", (HUMAN,)), Dataset("screenB", (MOUSE,))))
    merged = merge([table, file])
    assert merged.datasets == (Dataset("screenA", (HUMAN,)), Dataset("screenB", (MOUSE,)))


def test_values_with_other_ids_are_other_values() -> None:
    with_id = Value("organism", "Homo sapiens", ("NCBITaxon:9606",))
    merged = merge([Study("s", "s", (HUMAN,)), Study("s", "s", (with_id, HUMAN))])
    assert merged.values == (HUMAN, with_id)


@given(st.lists(studies, max_size=6))
def test_nothing_is_lost_nothing_is_added_and_nothing_is_twice(parts: list[Study]) -> None:
    merged = merge_studies(parts)
    for key, study in merged.items():
        mine = [part for part in parts if part.id == key]
        assert set(study.values) == {value for part in mine for value in part.values}
        assert set(study.origins) == {origin for part in mine for origin in part.origins}
        by_name = {d.name: set(d.values) for d in study.datasets}
        assert len(by_name) == len(study.datasets)
        for name, held in by_name.items():
            assert held == {v for part in mine for d in part.datasets if d.name == name for v in d.values}
        if len(mine) > 1:
            assert len(study.values) == len(set(study.values))
    assert merged.keys() == {part.id for part in parts}


@given(studies)
def test_merging_again_changes_nothing(study: Study) -> None:
    once = merge([study, study])
    assert merge([once, once]) == once

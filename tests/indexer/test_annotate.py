"""Grounding of records: each value once, and the worklist of what found no term."""

import pytest

from hooke.model import Dataset, Image, Method, Study, Unresolved, Value
from indexer.annotate import Annotator
from ontologies.catalogue import Catalogue


@pytest.fixture
def annotator(catalogue: Catalogue) -> Annotator:
    return Annotator(catalogue)


def terms(values: tuple[Value, ...]) -> list[tuple[str, Method]]:
    return [(mention.term, mention.method) for value in values for mention in value.mentions]


def counted(annotator: Annotator) -> dict[str, int]:
    return {unresolved.text: count for unresolved, count in annotator.take_unresolved().items()}


def test_values_are_grounded_by_id_by_label_and_by_synonym(annotator: Annotator) -> None:
    values = (Value("organism", "a mouse", ("NCBITaxon_10090",)), Value("organism", "Homo sapiens"))
    image = annotator.image(Image("s/1", "s", "1", values=(*values, Value("organism", "human"))))
    assert terms(image.values) == [
        ("NCBITaxon:10090", Method.ID),
        ("NCBITaxon:9606", Method.LABEL),
        ("NCBITaxon:9606", Method.EXACT_SYNONYM),
    ]
    assert [value.text for value in image.values] == ["a mouse", "Homo sapiens", "human"]


def test_a_value_of_another_field_is_left_alone(annotator: Annotator) -> None:
    image = Image("s/1", "s", "1", values=(Value("well", "Homo sapiens"),))
    assert annotator.image(image) == image
    assert not annotator.take_unresolved()


def test_an_id_in_a_field_without_ontology_is_grounded(annotator: Annotator) -> None:
    image = annotator.image(Image("s/1", "s", "1", values=(Value("host", "man", ("9606", "NCBITaxon:9606")),)))
    assert ("NCBITaxon:9606", Method.ID) in terms(image.values)


def test_the_worklist_counts_records_not_values(annotator: Annotator) -> None:
    odd = Value("organism", "Yeti")
    annotator.image(Image("s/1", "s", "1", values=(odd, odd)))
    annotator.image(Image("s/2", "s", "2", values=(odd,)))
    assert counted(annotator) == {"Yeti": 2}
    assert counted(annotator) == {}, "taken once"


def test_a_dataset_is_grounded_and_its_odd_values_are_counted_with_the_study_once(annotator: Annotator) -> None:
    human, odd = Value("organism", "Homo sapiens"), Value("organism", "Yeti")
    study = annotator.study(Study("s", "s", (human, odd), (Dataset("A", (human, odd)),)))
    assert terms(study.datasets[0].values) == [("NCBITaxon:9606", Method.LABEL)]
    assert study.datasets[0].values == study.values
    assert counted(annotator) == {"Yeti": 1}


def test_an_equal_value_is_counted_again_for_each_record_whichever_object_it_is(annotator: Annotator) -> None:
    for n in range(3):
        annotator.image(Image(f"s/{n}", "s", "t", values=(Value("organism", "".join(["Ye", "ti"])),)))
    (unresolved, count) = next(iter(annotator.take_unresolved().items()))
    assert (unresolved.field, unresolved.text, count) == ("organism", "Yeti", 3)
    assert isinstance(unresolved, Unresolved)

"""Sets of values on their way into documents: which are the same, and which share a document."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hooke.model import Value
from hooke.store.elasticsearch import sets
from hooke.store.elasticsearch.document import FieldSet, searched
from hooke.store.elasticsearch.sets import by_field, set_action
from hooke.text import fold

_MOST_ID_BYTES = 512

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
plain_values = st.builds(Value, st.sampled_from(("gene", "größe", "a=b", "a", "#")), texts)


def held(field: str, text: str) -> FieldSet:
    return FieldSet(f"{field}={text}", field, (), (text,))


@given(plain_values, plain_values)
def test_two_values_make_the_same_set_when_they_are_the_same_value_of_the_same_field(one: Value, other: Value) -> None:
    (first,), (second,) = searched(one).alone, searched(other).alone
    assert (first.key == second.key) == ((one.field, fold(one.text)) == (other.field, fold(other.text)))


@given(plain_values)
def test_the_key_of_a_set_fits_a_document_id(value: Value) -> None:
    assert all(len(held.key.encode()) <= _MOST_ID_BYTES for held in searched(value).alone)


@given(st.lists(st.builds(held, st.sampled_from("abc"), st.text("xyz", max_size=8)), max_size=40))
def test_sets_of_a_field_share_documents_and_keep_their_order(given_sets: list[FieldSet]) -> None:
    groups = list(by_field(given_sets))
    for field in "abc":
        mine = [one for group in groups for one in group if one.field == field]
        assert mine == [one for one in given_sets if one.field == field]
    assert all(one.field == other.field for group in groups for one, other in pairwise(group))


def test_long_values_do_not_share_a_document_without_end() -> None:
    pages = [held("protocol", f"{number}" + "x" * (sets._TOGETHER // 3)) for number in range(10)]
    groups = list(by_field(pages))
    assert [len(group) for group in groups] == [3, 3, 3, 1]
    assert [one for group in groups for one in group] == pages


def test_the_document_of_sets_says_its_field_and_place() -> None:
    _, document = set_action("sets", [held("gene", "ACT1"), held("gene", "CDC28")], 7)
    assert document == {
        "field": "gene",
        "seq": 7,
        "sets": [("gene=ACT1", (), ("ACT1",)), ("gene=CDC28", (), ("CDC28",))],
    }

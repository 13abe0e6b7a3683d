"""Records as documents: nothing is lost on the way, keys sort and fit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.errors import BadInput
from hooke.model import Dataset, Image, Mention, Method, Pixels, Study, Value
from hooke.sorting import number_key
from hooke.store.elasticsearch.document import (
    Documents,
    id_key,
    image_payload,
    read_image,
    read_study,
    study_payload,
    value_key,
)
from hooke.text import fold

LONGEST_TERM = 32_766
"""Bytes of a term in Lucene; a longer one refuses the whole document."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.sampled_from("abcß _/é"), min_size=1, max_size=6)
mentions = st.builds(
    Mention,
    names,
    texts,
    names,
    texts,
    st.sampled_from(Method),
    st.floats(0.1, 1),
    st.none() | names,
    st.none() | names,
)
values = st.builds(
    Value,
    names,
    texts,
    st.lists(texts, max_size=2).map(tuple),
    st.lists(mentions, max_size=2).map(tuple),
    st.booleans(),
)
several = st.lists(values, max_size=3).map(tuple)
datasets = st.lists(st.builds(Dataset, names, several), max_size=2).map(tuple)
studies = st.builds(Study, st.just("S"), texts, several, datasets, st.lists(names, max_size=2).map(tuple))
pixels = st.none() | st.builds(Pixels, texts)
images = st.builds(Image, st.just("S/1"), st.just("S"), texts, st.none() | texts, several, pixels)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(studies)
def test_a_study_comes_back_from_its_document(study: Study) -> None:
    assert read_study(json.loads(json.dumps(study_payload(study)))) == study


@given(images)
def test_an_image_comes_back_from_its_document(image: Image) -> None:
    assert read_image(json.loads(json.dumps(image_payload(image)))) == image


@given(studies, images)
def test_what_an_image_is_found_by_is_json_and_the_same_every_time(study: Study, image: Image) -> None:
    document, heirlooms = Documents().image(image, study)
    again, heirlooms_again = Documents().image(image, study)
    assert json.loads(json.dumps(document.body)) == json.loads(json.dumps(again.body))
    assert (document.digest, heirlooms.key) == (again.digest, heirlooms_again.key)


@given(numbers, numbers)
def test_keys_of_numbers_sort_as_the_numbers_do(first: float, second: float) -> None:
    assert (number_key(first) < number_key(second)) == (first < second)
    assert (number_key(first) == number_key(second)) == (first == second)
    assert len(number_key(first)) == 16


def test_every_number_is_above_the_open_lower_bound() -> None:
    assert number_key(float("-inf")) < number_key(-1.7976931348623157e308)
    assert number_key(0.0) == number_key(-0.0)


@given(texts, names, st.integers(1, 4_000))
def test_keys_of_values_and_ids_fit_and_tell_long_ones_apart(text: str, field: str, times: int) -> None:
    longer = (text or "x") * times
    for key in (value_key(field, fold(longer)), id_key(longer)):
        assert len(key.encode()) <= 4 * 255 < LONGEST_TERM
    assert value_key(field, longer) != value_key(field, f"{longer}y")
    assert id_key(longer) != id_key(f"{longer}y")
    assert value_key("a", longer) != value_key("b", longer)


@pytest.mark.parametrize("text", ["half \ud800", "\udc80 a pair", "é\udfff"])
def test_half_a_surrogate_pair_never_reaches_a_store(text: str) -> None:
    with pytest.raises(BadInput, match="not valid Unicode"):
        Value("title", text)
    with pytest.raises(BadInput, match="not valid Unicode"):
        Study("S", text)
    with pytest.raises(BadInput, match="not valid Unicode"):
        Image(f"S/{text}", "S", "title")
    with pytest.raises(BadInput, match="not valid Unicode"):
        Pixels(text)
    with pytest.raises(BadInput, match="not valid Unicode"):
        Dataset(text)

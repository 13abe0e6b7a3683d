"""Similarity under a filter: two ways to the same answer."""

from dataclasses import replace

import pytest

from hooke.model import Level
from hooke.request import Filter, SearchRequest
from hooke.results import SimilarResult
from search_api.engine import Engine, Example, filtered
from tests.small_index import image_id


def told(engine: Engine, request: SearchRequest) -> SimilarResult:
    """The answer, but for how it was found."""
    return replace(engine.similar(Example(images=(image_id("plain.png"),)), request), method="")


@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", ()),
        ("fluorescence microscopy", ()),
        ("", (Filter("organism", ("Fungi",)),)),
        ("", (Filter("organism", ("Fungi",), negate=True),)),
        ("nothing has this word", ()),
    ],
)
def test_asking_about_the_nearest_gives_what_fetching_all_gives(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, k: int, text: str, filters: tuple[Filter, ...]
) -> None:
    request = SearchRequest(Level.IMAGE, text, filters, facets=("organism",), limit=k)
    fetched = told(engine, request)
    monkeypatch.setattr(filtered, "NEAREST_FIRST_ABOVE", -1)
    assert told(engine, request) == fetched


def test_few_that_are_allowed_are_found_by_asking_further(
    clustered_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first images asked about are none of the allowed: the answer must still be whole."""
    request = SearchRequest(Level.IMAGE, "", (Filter("organism", ("Fungi",)),), limit=2)
    fetched = told(clustered_engine, request)
    monkeypatch.setattr(filtered, "NEAREST_FIRST_ABOVE", -1)
    monkeypatch.setattr(filtered, "_FIRST_ASKED", 1)
    assert told(clustered_engine, request) == fetched
    monkeypatch.setattr(filtered, "_MOST_ASKED_ABOUT", 0)
    assert told(clustered_engine, request) == fetched

"""Cursors: pages join exactly, and a cursor is good for its query and snapshot only."""

import base64
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke.errors import BadCursor, SnapshotMismatch
from hooke.model import Level
from hooke.query import Order, Position, Range, SortKey
from hooke.request import Filter, SearchRequest
from hooke.results import SearchHit
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine
from search_api.engine.cursor import make_cursor, read_cursor
from tests.search_api.conftest import Search
from tests.small_index import build, picture

QUERY = SearchRequest(Level.IMAGE, "mouse", (Filter("gene", ("TP53",)),), facets=("organism",))
CURSOR = make_cursor(Position(1.5, 7), 3, QUERY)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 41, 42, 43])
@pytest.mark.parametrize("text", ["", "microscopy OR mouse OR lost", "light microscopy"])
def test_pages_join_to_the_whole_result(search: Search, text: str, size: int) -> None:
    whole = search(text)
    joined: list[SearchHit] = []
    cursor = None
    while True:
        page = search(text, limit=size, cursor=cursor)
        assert page.total == whole.total
        joined.extend(page.hits)
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.hits) == size
    assert tuple(joined) == whole.hits


@pytest.mark.parametrize("sort", ["date", "-date", "title", "-title", "size"])
def test_sorted_pages_join_to_the_whole_sorted_result(search: Search, sort: str) -> None:
    whole = search("microscopy OR mouse OR lost", sort=sort)
    joined: list[SearchHit] = []
    cursor = None
    while not joined or cursor:
        page = search("microscopy OR mouse OR lost", sort=sort, limit=7, cursor=cursor)
        joined.extend(page.hits)
        cursor = page.cursor
    assert tuple(joined) == whole.hits
    assert {hit.id for hit in whole.hits} == {hit.id for hit in search("microscopy OR mouse OR lost").hits}


def test_titles_are_sorted_as_people_read_them(search: Search) -> None:
    lost = [f"Lost {number}" for number in range(30)]
    assert [hit.title for hit in search("lost", sort="title").hits] == lost
    assert [hit.title for hit in search("lost", sort="-title").hits] == lost[::-1]


def test_explanations_may_be_asked_for_from_the_second_page_on(search: Search) -> None:
    first = search("rodents", limit=2)
    (hit, *_) = search("rodents", limit=2, cursor=first.cursor, explain=True).hits
    assert hit.why[0].annotation is not None


def test_studies_may_be_counted_from_the_second_page_on(engine: Engine) -> None:
    first = SearchRequest(Level.IMAGE, limit=2)
    second = replace(first, cursor=engine.search(first).cursor, count_studies=True, facets=("organism",))
    assert engine.search(second).facets["organism"][0].studies


def test_the_page_size_and_facets_may_change_between_pages(search: Search) -> None:
    first = search("mouse", limit=2, facets=("organism",))
    second = search("mouse", limit=100, cursor=first.cursor)
    assert first.hits + second.hits == search("mouse").hits


@pytest.mark.parametrize(
    "other",
    [
        {"text": "human"},
        {"filters": (Filter("gene", ("Actb",)),)},
        {"filters": (Filter("gene", ("Actb",), negate=True),)},
        {"expand": ()},
        {"level": Level.STUDY},
        {"ranges": (Range("size_x", low=3.0),)},
        {"strict": True},
        {"exclude_inferred": True},
        {"same_dataset": True},
        {"sort": Order(SortKey.DATE)},
    ],
)
# Any: a part of a request by the name of its field
def test_a_cursor_of_another_query_is_refused(engine: Engine, other: dict[str, Any]) -> None:
    request = SearchRequest(Level.IMAGE, "mouse", limit=2)
    cursor = engine.search(request).cursor
    with pytest.raises(BadCursor, match="another query"):
        engine.search(replace(request, cursor=cursor, **other))


def test_a_cursor_comes_back_as_it_was_made() -> None:
    assert read_cursor(CURSOR, 3, QUERY) == Position(1.5, 7)


@given(st.integers(0, len(CURSOR) - 1), st.characters(codec="utf-8"))
def test_a_cursor_with_one_character_changed_is_refused(at: int, character: str) -> None:
    changed = CURSOR[:at] + character + CURSOR[at + 1 :]
    if changed == CURSOR:
        return
    with pytest.raises(BadCursor):
        read_cursor(changed, 3, QUERY)


@given(st.integers(0, len(CURSOR)), st.text(min_size=1, max_size=4))
def test_a_cursor_with_text_put_into_it_is_refused(at: int, text: str) -> None:
    with pytest.raises(BadCursor):
        read_cursor(CURSOR[:at] + text + CURSOR[at:], 3, QUERY)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(BadCursor, match="start again") as refused:
        read_cursor(text, 3, QUERY)
    assert "\n" not in str(refused.value)


def test_a_cursor_expires_with_the_next_commit(tmp_path: Path) -> None:
    directory = build(tmp_path)
    with closing(Engine(directory, EmbedderChoice())) as engine:
        request = SearchRequest(Level.IMAGE, "lost", limit=5)
        first = engine.search(request)
        more = tmp_path / "more"
        more.mkdir()
        picture(99).save(more / "new.png")
        run(IndexJob((more,), directory))
        with pytest.raises(SnapshotMismatch, match="expired"):
            engine.search(SearchRequest(Level.IMAGE, "lost", limit=5, cursor=first.cursor))
        assert engine.search(request).snapshot > first.snapshot
        assert engine.search(SearchRequest(Level.IMAGE, limit=1)).total == 43

"""The client: the same methods over HTTP and in process, pages that join, tables, and a dead server in one line."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import hooke
from hooke import Archive
from hooke.errors import (
    BackendUnavailable,
    BadInput,
    NotFound,
    SnapshotMismatch,
    TooLarge,
    UnknownIndex,
    UnknownRecord,
)
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import PICTURES, WITHOUT_PIXELS, build, image_id, picture, serving, shared_index, small_uploads

PLAIN = image_id("plain.png")
TOTAL = len(PICTURES) + WITHOUT_PIXELS


@pytest.fixture(scope="module")
def index() -> Path:
    return shared_index()


@pytest.fixture(scope="module")
def local(index: Path) -> Iterator[Archive]:
    with hooke.connect(index) as archive:
        yield archive


@pytest.fixture(scope="module")
def remote(index: Path) -> Iterator[Archive]:
    with (
        closing(Engine(index, EmbedderChoice())) as engine,
        serving(engine) as url,
        hooke.connect(url) as archive,
    ):
        yield archive


def test_searches_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    for archive_level in ("study", "image"):
        for text in ("", "human", "light microscopy", '"light microscopy', "brian"):
            ours, theirs = (
                archive.search(text, level=archive_level, facets=("organism", "archive"), page_size=7)
                for archive in (local, remote)
            )
            assert list(ours) == list(theirs)
            assert (ours.total, ours.facets, ours.query) == (theirs.total, theirs.facets, theirs.query)


@pytest.mark.parametrize("sort", ["relevance", "-title", "date"])
def test_sorted_and_explained_hits_are_equal_over_http_and_in_process(
    local: Archive, remote: Archive, sort: str
) -> None:
    ours, theirs = (
        list(archive.search("rodents OR EM", level="image", sort=sort, explain=True, page_size=5))
        for archive in (local, remote)
    )
    assert ours == theirs
    assert any(reason.annotation and reason.asked for hit in ours for reason in hit.why)


def test_completions_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    for text in ("mou", "mouse li", "idr", "cc", ""):
        assert local.complete(text, level="image") == remote.complete(text, level="image")
        assert local.complete(text, field="organism") == remote.complete(text, field="organism")
    first = remote.complete("house m", level="image", limit=1)[0]
    assert (first.kind, first.text, first.name) == ("term", "Mus musculus", "house mouse")
    for archive in (local, remote):
        with pytest.raises(BadInput, match="organism"):
            archive.complete("m", field="organsm")


def test_facet_levels_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    for archive in (local, remote):
        found = archive.facet("organism", "brain", parent="mammals", level="image", gene="Trp53", count_studies=True)
        assert [(value.label, value.count, value.studies) for value in found.values] == [("Mus musculus", 2, 1)]
    asked = {"level": "image", "where": ["size_x>=100"], "exclude": {"anatomy": "heart"}, "expand": "is_a"}
    for field in ("size_x", "organism", "licence"):
        assert local.facet(field, **asked) == remote.facet(field, **asked)  # type: ignore[arg-type]
    assert len(local.facet("size_x", level="image").ranges) > 1


def test_choices_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    for archive in (local, remote):
        found = archive.search(
            level="image",
            where=["size_x>=100"],
            exclude={"anatomy": "heart"},
            expand="is_a",
            organism=["Mus musculus", "human"],
            gene=("TP53", "Trp53"),
        )
        assert {hit.id for hit in found} == {image_id(name) for name in ("plain.png", "a b.png", "tag#1.png")}
        direct = archive.search("brain", level="image", exclude_inferred=True)
        assert {hit.id for hit in direct} == {image_id(name) for name in ("a b.png", "tag#1.png")}


def test_look_alikes_are_equal_over_http_and_in_process(local: Archive, remote: Archive, index: Path) -> None:
    file = index.parent / "pictures" / "plain.png"
    answers = [
        (
            archive.similar(file, k=4, organism="Mammalia", facets=["gene"]).result,
            archive.similar(PLAIN, image_id("é ü.png"), unlike=[image_id("a b.png")], text="microscopy").result,
            archive.combined("brain", str(file), k=5, gene="Trp53").result,
            archive.similar(PLAIN, leave_out="study", by_study=True, min_percentile=0.1, facets=["gene"]).result,
            archive.similar(PLAIN, semantic=0.5, similar_set=8, facets=["gene"]).result,
            archive.combined("brain", PLAIN, unlike=[image_id("a b.png")], weight=0.0, leave_out="study").result,
            archive.similar(PLAIN, unlike=[image_id("a b.png")], examples="best").result,
        )
        for archive in (local, remote)
    ]
    assert answers[0] == answers[1]
    assert len(answers[0][0].hits) == 4


def test_comparisons_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    asked = {"threshold": 0.5, "across_studies": True, "where": ["size_x>=100"], "exclude": {"anatomy": "heart"}}
    answers = [
        (
            archive.duplicates("microscopy", gene=["TP53", "Trp53", "CDC28"], **asked).result,  # type: ignore[arg-type]
            archive.outliers("mice", limit=2, neighbours=2).result,
            archive.similar_studies("mice", by="look", sample=3).result,
            archive.similar_studies("idr9001").result,
        )
        for archive in (local, remote)
    ]
    assert answers[0] == answers[1]
    assert (answers[0][0].across, answers[0][3].by) == (1, "meaning")
    for archive in (local, remote):
        with pytest.raises(BadInput, match="look, meaning or both"):
            archive.similar_studies("mice", by="colour")
        with pytest.raises(NotFound, match="nowhere"):
            archive.outliers("nowhere")


def test_comparisons_become_tables(local: Archive) -> None:
    found = local.duplicates(threshold=0.5)
    table = found.to_pandas()
    assert list(table.columns) == ["group", "across_studies", "identical", "id", "study_id", "title"]
    assert len(table) == found.result.images == len(PICTURES)
    assert table.group.nunique() == len(found) == len(list(found))
    odd = local.outliers("mice").to_pandas()
    assert list(odd.columns[3:]) == ["similarity", "percentile", "deviation"]
    assert list(odd.similarity) == sorted(odd.similarity)
    assert list(local.similar_studies("mice", by="meaning").to_pandas().id) == ["people", "idr9001", "yeasts", "lost"]


def test_records_and_thumbnails_are_equal_over_http_and_in_process(local: Archive, remote: Archive) -> None:
    for row in PICTURES:
        record = f"{row[1]}/{row[0]}"
        assert local.image(record) == remote.image(record)
        assert local.thumbnail(record) == remote.thumbnail(record)
    assert local.study("mice") == remote.study("mice")
    assert local.info() == remote.info()


@pytest.mark.parametrize("page_size", [1, 5, 41, 42, 100])
def test_results_page_themselves(remote: Archive, page_size: int) -> None:
    found = remote.search(level="image", page_size=page_size)
    records = [hit.id for hit in found]
    assert len(records) == len(set(records)) == len(found) == TOTAL
    assert [hit.id for hit in found] == records


def test_results_become_tables(remote: Archive) -> None:
    found = remote.search("mouse", level="image", page_size=4)
    table = found.to_pandas()
    assert list(table.columns) == ["id", "study_id", "title", "score"]
    assert list(table["id"]) == [hit.id for hit in found]
    assert len(found.to_pandas(limit=3)) == 3
    assert list(remote.search("nothingatall").to_pandas().columns) == ["id", "study_id", "title", "score"]
    alike = remote.similar(PLAIN, k=3).to_pandas()
    assert list(alike["similarity"]) == sorted(alike["similarity"], reverse=True)


def test_results_are_drawn_with_thumbnails_and_escaped_titles(remote: Archive) -> None:
    drawn = remote.search("müller", level="image")._repr_html_()
    assert "data:image/jpeg;base64," in drawn
    assert "Accents &lt;i&gt;in&lt;/i&gt; Müller cells" in drawn
    assert "<i>" not in drawn
    without = remote.search("lost", level="image")._repr_html_()
    assert "<img" not in without
    assert "Lost 1" in without
    alike = remote.similar(PLAIN, k=2)._repr_html_()
    assert alike.count("<img") == 2
    assert f"2 of {len(PICTURES) - 1}, exact" in alike


def test_errors_are_the_same_kinds_over_http(local: Archive, remote: Archive, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    for archive in (local, remote):
        with pytest.raises(BadInput, match="did you mean organism"):
            archive.search(organsm="human")
        with pytest.raises(BadInput, match="UBERON:0000955"):
            archive.search(level="image", anatomy="UBERON:00009555")
        with pytest.raises(NotFound, match="mice/nothing"):
            archive.image("mice/nothing")
        with pytest.raises(NotFound, match="no thumbnail"):
            archive.thumbnail("lost/lost/01.png")
        with pytest.raises(BadInput, match="not a PNG"):
            archive.similar(text)
        with pytest.raises(NotFound, match=r"mice/nowhere\.png"):
            archive.similar("mice/nowhere.png")
        with pytest.raises(UnknownRecord, match="neither an image file here"):
            archive.similar(Path("mice/nowhere.png"))


def test_more_look_alikes_than_allowed_are_refused_not_cut(local: Archive, remote: Archive) -> None:
    for archive in (local, remote):
        with pytest.raises(BadInput, match="10000"):
            archive.similar(PLAIN, k=10_001)


def test_a_result_whose_index_changed_says_so(tmp_path: Path) -> None:
    directory = build(tmp_path)
    with closing(Engine(directory, EmbedderChoice())) as engine, serving(engine) as url, hooke.connect(url) as archive:
        found = archive.search(level="image", page_size=5)
        more = tmp_path / "more"
        more.mkdir()
        picture(99).save(more / "new.png")
        run(IndexJob((more,), directory))
        with pytest.raises(SnapshotMismatch, match="expired"):
            list(found)


def test_too_large_an_upload_says_so(index: Path) -> None:
    with (
        closing(Engine(index, EmbedderChoice())) as engine,
        serving(engine, small_uploads(upload_bytes=10)) as url,
        hooke.connect(url) as archive,
        pytest.raises(TooLarge, match="10"),
    ):
        archive.similar(index.parent / "pictures" / "plain.png")


def test_a_dead_server_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with hooke.connect(url) as archive, pytest.raises(BackendUnavailable, match=url) as refused:
        archive.search("mouse")
    assert "\n" not in str(refused.value)
    assert "hooke serve" in str(refused.value)


def test_a_directory_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownIndex, match="hooke index"):
        hooke.connect(tmp_path)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:99999", "http://no-such-host.invalid"])
def test_a_url_that_leads_nowhere_is_one_line(url: str) -> None:
    with pytest.raises((BackendUnavailable, BadInput)) as refused, hooke.connect(url) as archive:
        archive.search()
    assert "\n" not in str(refused.value)

"""Look-alikes: by file, by id, by several of both, restricted by text and choices, and fused with a text rank."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from hooke.embed.base import Raster
from hooke.errors import BadInput, UnknownField, UnknownRecord
from hooke.model import Level
from hooke.pixels import Limits, read_raster
from hooke.request import Filter, LookOptions, SearchRequest
from search_api.engine import EmbedderChoice, Engine, Example
from search_api.engine.fusion import RRF_CONSTANT
from tests.small_index import PICTURES, build, image_id

EMBEDDED = {f"{row[1]}/{row[0]}" for row in PICTURES}
PLAIN, SPACED, YEAST = image_id("plain.png"), image_id("a b.png"), image_id("yeast1.png")


def ask(text: str = "", *, k: int = 10, facets: tuple[str, ...] = (), **fields: str) -> SearchRequest:
    return SearchRequest(Level.IMAGE, text, tuple(Filter(f, (v,)) for f, v in fields.items()), (), facets, limit=k)


def uploaded(index: Path, name: str) -> Example:
    return Example((read_raster(index.parent / "pictures" / name, Limits()),))


def test_a_file_that_is_indexed_finds_itself_first(engine: Engine, index: Path) -> None:
    found = engine.similar(uploaded(index, "plain.png"), ask(k=3))
    assert found.hits[0].id == PLAIN
    assert found.hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert (found.exact, found.candidates, len(found.hits)) == (True, len(EMBEDDED), 3)


@pytest.mark.parametrize("k", [1, 5, len(EMBEDDED), 100])
def test_k_hits_come_back_whenever_k_exist_nearest_first(engine: Engine, index: Path, k: int) -> None:
    found = engine.similar(uploaded(index, "yeast2.tif"), ask(k=k))
    assert len(found.hits) == min(k, len(EMBEDDED))
    similarities = [hit.similarity for hit in found.hits]
    assert similarities == sorted(similarities, reverse=True)


def test_a_query_by_id_leaves_that_image_out(engine: Engine) -> None:
    found = engine.similar(Example(images=(PLAIN,)), ask(k=100))
    assert {hit.id for hit in found.hits} == EMBEDDED - {PLAIN}
    assert found.candidates == len(EMBEDDED) - 1


def test_by_id_and_by_file_agree(engine: Engine, index: Path) -> None:
    by_id = engine.similar(Example(images=(PLAIN,)), ask(k=100))
    by_file = engine.similar(uploaded(index, "plain.png"), ask(k=100))
    # stored rows may be half precision
    assert {hit.id: hit.similarity for hit in by_id.hits} == pytest.approx(
        {hit.id: hit.similarity for hit in by_file.hits if hit.id != PLAIN}, abs=2e-3
    )


def test_the_order_is_that_of_cosines_computed_here(engine: Engine, index: Path) -> None:
    with engine._reading() as (reader, _):
        vectors = engine._visuals.vectors(reader.snapshot)
        rows = {i: vectors.vectors_of(reader.get(Level.IMAGE, i).ordinal)[0].astype(np.float64) for i in EMBEDDED}
    cosines = {
        name: float(row @ rows[PLAIN] / np.linalg.norm(row) / np.linalg.norm(rows[PLAIN])) for name, row in rows.items()
    }
    found = engine.similar(Example(images=(PLAIN,)), ask(k=100))
    assert [hit.id for hit in found.hits] == sorted(EMBEDDED - {PLAIN}, key=lambda name: -cosines[name])
    assert {hit.id: hit.similarity for hit in found.hits} == pytest.approx(
        {name: cosine for name, cosine in cosines.items() if name != PLAIN}, abs=2e-3
    )


def test_text_and_choices_restrict_and_look_orders(engine: Engine, index: Path) -> None:
    found = engine.similar(uploaded(index, "plain.png"), ask("light microscopy", k=100, organism="human"))
    assert {hit.id for hit in found.hits} == {image_id(n) for n in ("tag#1.png", "é ü.png", "plus+and&.png")}
    assert found.candidates == 3
    assert [term.id for term in found.query.terms] == ["FBbi:00000345", "NCBITaxon:9606"]
    everything = engine.similar(uploaded(index, "plain.png"), ask(k=100))
    kept = {hit.id for hit in found.hits}
    assert [hit.id for hit in everything.hits if hit.id in kept] == [hit.id for hit in found.hits]


def test_several_examples_each_count_and_are_left_out(engine: Engine) -> None:
    found = engine.similar(Example(images=(PLAIN, YEAST)), ask(k=100))
    assert {hit.id for hit in found.hits} == EMBEDDED - {PLAIN, YEAST}
    single = {
        name: {h.id: h.similarity for h in engine.similar(Example(images=(name,)), ask(k=100)).hits}
        for name in (PLAIN, YEAST)
    }
    for hit in found.hits:
        low, high = sorted(single[name][hit.id] for name in (PLAIN, YEAST))
        assert low - 1e-3 <= hit.similarity <= high + 1e-3


def test_an_image_not_to_look_like_is_left_out_and_pushes_away(engine: Engine) -> None:
    without = engine.similar(Example(images=(PLAIN,)), ask(k=100))
    nearest = without.hits[0].id
    pushed = engine.similar(Example(images=(PLAIN,), negatives=(nearest,)), ask(k=100))
    assert {hit.id for hit in pushed.hits} == EMBEDDED - {PLAIN, nearest}
    assert pushed.exact


def test_facets_count_the_hits(engine: Engine, index: Path) -> None:
    found = engine.similar(uploaded(index, "plain.png"), ask(k=5, facets=("study", "organism")))
    by_study: dict[str, int] = {}
    for hit in found.hits:
        by_study[hit.study_id] = by_study.get(hit.study_id, 0) + 1
    assert {value.id: value.count for value in found.facets["study"]} == by_study
    assert max(value.count for value in found.facets["organism"]) <= 5


def test_similarity_without_a_usable_example_is_refused(engine: Engine) -> None:
    with pytest.raises(BadInput, match="needs an example"):
        engine.similar(Example(), ask())
    with pytest.raises(BadInput, match="needs an example"):
        engine.similar(Example(negatives=(PLAIN,)), ask())
    with pytest.raises(UnknownRecord, match="nowhere"):
        engine.similar(Example(images=("mice/nowhere.png",)), ask())
    with pytest.raises(BadInput, match="no vector"):
        engine.similar(Example(images=("lost/lost/01.png",)), ask())
    with pytest.raises(UnknownField):
        engine.similar(Example(images=(PLAIN,)), ask(organsm="human"))


def test_a_filter_that_nothing_passes_gives_no_hits(engine: Engine) -> None:
    found = engine.similar(Example(images=(PLAIN,)), ask(gene="nothing", facets=("organism",)))
    assert (found.hits, found.candidates, found.facets, found.exact) == ((), 0, {"organism": ()}, True)


def test_combined_fuses_both_ranks_and_names_its_parts(engine: Engine, index: Path) -> None:
    found = engine.combined(uploaded(index, "plain.png"), ask("light microscopy", k=100))
    text = [hit.id for hit in engine.search(ask("light microscopy", k=100)).hits]
    look = [hit.id for hit in engine.similar(uploaded(index, "plain.png"), ask(k=100)).hits]
    assert {hit.id for hit in found.hits} == set(text) | set(look)
    for hit in found.hits:
        assert hit.text_rank == (text.index(hit.id) + 1 if hit.id in text else None)
        assert hit.look_rank == (look.index(hit.id) + 1 if hit.id in look else None)
        parts = [rank for rank in (hit.text_rank, hit.look_rank) if rank is not None]
        assert hit.score == pytest.approx(sum(1 / (RRF_CONSTANT + rank) for rank in parts))
        assert (hit.similarity is None) == (hit.look_rank is None)
        assert (hit.text_score is None) == (hit.text_rank is None)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_combined_restricts_by_choices_not_by_text(engine: Engine) -> None:
    found = engine.combined(Example(images=(PLAIN,)), ask("light microscopy", k=100, organism="human"))
    assert all(hit.study_id in ("people", "lost") for hit in found.hits)
    assert image_id("deep/er/one.png") in {hit.id for hit in found.hits}
    assert PLAIN not in {hit.id for hit in found.hits}


def test_combined_without_text_is_the_look_rank(engine: Engine) -> None:
    found = engine.combined(Example(images=(PLAIN,)), ask(k=4))
    assert [hit.id for hit in found.hits] == [h.id for h in engine.similar(Example(images=(PLAIN,)), ask(k=4)).hits]
    assert {hit.text_rank for hit in found.hits} == {None}


@pytest.mark.parametrize(
    "options",
    [
        LookOptions(exclude="study"),
        LookOptions(by_study=True),
        LookOptions(min_percentile=0.3),
        LookOptions(similar_set=6, exclude="study"),
        LookOptions(semantic=0.5),
    ],
)
def test_options_mean_the_same_in_both_stores(
    embedded_engine: Engine, clustered_engine: Engine, options: LookOptions
) -> None:
    request = ask(k=4, facets=("organism", "gene"), organism="Eukaryota")
    found, expected = (
        e.similar(Example(images=(PLAIN,)), request, options) for e in (clustered_engine, embedded_engine)
    )
    assert found.hits == expected.hits
    assert (found.facets, found.similar, found.candidates) == (expected.facets, expected.similar, expected.candidates)


def test_an_index_without_images_says_so(tmp_path: Path) -> None:
    with closing(Engine(build(tmp_path), EmbedderChoice())) as engine, pytest.raises(BadInput, match="no embedded"):
        engine.similar(Example(images=(PLAIN,)), ask())


class Held(list[Raster]):
    """Rasters that are given out when they are let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = Event(), Event()

    def __iter__(self) -> Iterator[Raster]:
        self.asked.set()
        self.let_go.wait(60)
        return super().__iter__()


def test_vectors_are_read_while_another_upload_is_embedded(embedded_engine: Engine) -> None:
    visuals, held = embedded_engine._visuals, Held()
    with embedded_engine._reading() as (reader, _), ThreadPoolExecutor(2) as pool:
        pool.submit(visuals.embed, held, reader.snapshot)
        assert held.asked.wait(60)
        try:
            assert pool.submit(visuals.vectors, reader.snapshot).result(timeout=20).ordinals()
        finally:
            held.let_go.set()

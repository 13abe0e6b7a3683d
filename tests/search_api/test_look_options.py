"""What users can ask of look-alikes, held against ranking every image by hand."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from hooke.errors import BadInput
from hooke.model import Level
from hooke.request import Filter, LookOptions, SearchRequest
from hooke.store.location import Location
from search_api.engine import Engine, Example, filtered, grouping, looking
from search_api.engine.fusion import RRF_CONSTANT
from search_api.engine.nullmodel import NullModel, meaningful
from tests.elasticsearch_index import emptied
from tests.search_api.drawn_looks import ABOVE, Drawn, draw, opened

DRAWN = draw(240, seed=5)
KNOWN = {image.id: image for image in DRAWN}
EXAMPLES = [(DRAWN[3].id,), (DRAWN[50].id,), (DRAWN[7].id, DRAWN[120].id), (DRAWN[239].id,)]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with opened(tmp_path_factory.mktemp("drawn"), DRAWN) as engine:
        yield engine


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, elasticsearch_url: str) -> Iterator[Engine]:
    """Records and vectors in a cluster, the vectors by its exact method."""
    location = Location((elasticsearch_url,), f"looks-{uuid4().hex[:12]}")
    with emptied(location), opened(tmp_path_factory.mktemp("drawn"), DRAWN, location) as engine:
        yield engine


@pytest.fixture(scope="module", params=["embedded", "clustered"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
def null(engine: Engine) -> NullModel:
    with engine._reading() as (reader, _):
        found = engine._nulls.of(reader, engine._visuals.vectors(reader.snapshot))
    assert found is not None
    return found


def ask(k: int = 10, text: str = "", *, facets: tuple[str, ...] = (), **fields: str) -> SearchRequest:
    return SearchRequest(Level.IMAGE, text, tuple(Filter(f, (v,)) for f, v in fields.items()), (), facets, limit=k)


def likeness(example: tuple[str, ...], image: Drawn) -> float:
    rows = np.stack([KNOWN[each].row for each in example]).astype(np.float64)
    return float((rows @ image.row.astype(np.float64)).max())


def ranked(example: tuple[str, ...], kept: list[Drawn]) -> list[Drawn]:
    """Nearest first, ties in the order of ordinals."""
    others = [image for image in kept if image.id not in example]
    return sorted(others, key=lambda image: -likeness(example, image))


def contrast(image: Drawn, like: tuple[str, ...], unlike: tuple[str, ...]) -> float:
    """The best of the positive examples less the best of the negative ones."""
    return likeness(like, image) - likeness(unlike, image)


def relatives(example: tuple[str, ...], kind: str) -> set[str]:
    """The images that share the study, or the study and the value, of an example."""
    own = {(KNOWN[each].study, getattr(KNOWN[each], kind)) for each in example}
    return {image.id for image in DRAWN if (image.study, getattr(image, kind)) in own}


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("k", [1, 7, 300])
@pytest.mark.parametrize("kind", ["study", "dataset", "plate"])
def test_what_shares_an_examples_study_dataset_or_plate_is_left_out(
    engine: Engine, example: tuple[str, ...], k: int, kind: str
) -> None:
    if kind == "plate" and not all(KNOWN[each].plate for each in example):
        with pytest.raises(BadInput, match="of no plate"):
            engine.similar(Example(images=example), ask(k), LookOptions(exclude=kind))
        return
    gone = relatives(example, kind)
    wanted = ranked(example, [image for image in DRAWN if image.id not in gone])
    found = engine.similar(Example(images=example), ask(k), LookOptions(exclude=kind))
    assert [hit.id for hit in found.hits] == [image.id for image in wanted[:k]]
    assert (found.candidates, found.exact) == (len(wanted), True)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("k", [1, 4, 7, 50])
@pytest.mark.parametrize("fields", [{}, {"organism": "T:1"}])
def test_the_best_image_of_each_study_is_found(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, example: tuple[str, ...], k: int, fields: dict[str, str]
) -> None:
    """Also where the first images asked for are all of one study."""
    monkeypatch.setattr(grouping, "_FIRST_ASKED", 1)
    monkeypatch.setattr(grouping, "_WIDER", 2)
    kept = [image for image in DRAWN if not fields or fields["organism"] in ABOVE[image.term]]
    firsts: dict[str, Drawn] = {}
    for image in ranked(example, kept):
        firsts.setdefault(image.study, image)
    request = replace(ask(k), filters=tuple(Filter(name, (value,)) for name, value in fields.items()))
    found = engine.similar(Example(images=example), request, LookOptions(by_study=True))
    assert [hit.id for hit in found.hits] == [image.id for image in firsts.values()][:k]
    assert found.candidates == len(ranked(example, kept))


def test_groups_and_exclusion_are_the_same_where_the_nearest_are_asked_about(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LookOptions(exclude="study", by_study=True)
    expected = engine.similar(Example(images=EXAMPLES[0]), ask(5, organism="T:1"), options)
    monkeypatch.setattr(filtered, "NEAREST_FIRST_ABOVE", -1)
    monkeypatch.setattr(type(engine._store.read().__enter__()), "is_remote", True)
    found = engine.similar(Example(images=EXAMPLES[0]), ask(5, organism="T:1"), options)
    assert (found.hits, found.candidates) == (expected.hits, expected.candidates)


def test_percentiles_are_shares_of_pairs_of_different_studies(engine: Engine, null: NullModel) -> None:
    every = [
        float(a.row.astype(np.float64) @ b.row.astype(np.float64))
        for n, a in enumerate(DRAWN)
        for b in DRAWN[n + 1 :]
        if a.study != b.study
    ]
    assert len(null.pairs) == len(every)
    np.testing.assert_allclose(null.pairs, np.sort(every), atol=1e-6)
    found = engine.similar(Example(images=EXAMPLES[0]), ask(300))
    for hit in found.hits:
        assert hit.percentile is not None
        assert hit.expected == pytest.approx((1 - hit.percentile) * found.candidates)
        if hit.similarity < null.start:
            share = np.mean([each < hit.similarity - 1e-6 for each in every])
            assert hit.percentile == pytest.approx(share, abs=1e-3)
    percentiles = [hit.percentile for hit in found.hits]
    assert percentiles == sorted(percentiles, reverse=True)  # type: ignore[type-var]  # none is None
    assert found.meaningful == meaningful([hit.expected or 0.0 for hit in found.hits])


def test_what_is_meaningful_does_not_depend_on_k(engine: Engine) -> None:
    for example in (Example(images=(image.id,)) for image in DRAWN[::6]):
        few, many = (engine.similar(example, ask(k)).meaningful for k in (2, 60))
        assert many is not None
        assert few == min(2, many)


def test_each_of_several_examples_is_another_chance_to_be_alike(engine: Engine, null: NullModel) -> None:
    found = engine.similar(Example(images=EXAMPLES[2]), ask(5))
    assert found.hits[0].expected == pytest.approx(2 * found.candidates * null.chance(found.hits[0].similarity))


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (LookOptions(min_percentile=0.9), 256),
        (LookOptions(min_percentile=0.5), 2),
        (LookOptions(similar_set=40), 256),
        (LookOptions(similar_set=40, min_percentile=0.97), 256),
        (LookOptions(similar_set=30, exclude="study"), 256),
    ],
)
def test_facets_count_the_similar_set_each_without_its_own_choice(
    engine: Engine,
    null: NullModel,
    monkeypatch: pytest.MonkeyPatch,
    example: tuple[str, ...],
    options: LookOptions,
    asked: int,
) -> None:
    monkeypatch.setattr(looking, "_FIRST_ASKED", asked)
    gone = relatives(example, "study") if options.exclude else set()

    def similar_set(*, organism: bool, dataset: bool) -> list[Drawn]:
        kept = [image for image in DRAWN if not organism or "T:1" in ABOVE[image.term]]
        kept = [image for image in kept if image.id not in gone and (not dataset or image.dataset == "set 1")]
        least = options.min_percentile or 0.0
        alike = [i for i in ranked(example, kept) if null.percentile(likeness(example, i)) >= least]
        return alike[: options.similar_set]

    request = ask(3, facets=("organism", "dataset", "plate"), organism="T:1", dataset="set 1")
    found = engine.similar(Example(images=example), request, options)
    whole = similar_set(organism=True, dataset=True)
    assert [hit.id for hit in found.hits] == [image.id for image in whole[:3]]
    assert found.similar == len(whole)
    counts = {name: {value.id: value.count for value in values} for name, values in found.facets.items()}
    assert counts["plate"] == Counter(image.plate for image in whole if image.plate)
    assert counts["dataset"] == Counter(image.dataset for image in similar_set(organism=True, dataset=False))
    terms = [ABOVE[image.term] for image in similar_set(organism=False, dataset=True)]
    assert counts["organism"] == Counter(term for above in terms for term in above)


@pytest.mark.parametrize("like", [EXAMPLES[0], EXAMPLES[2]])
@pytest.mark.parametrize("unlike", [(DRAWN[60].id,), (DRAWN[61].id, DRAWN[200].id, DRAWN[9].id)])
def test_the_best_positive_example_less_the_best_negative_one_ranks(
    engine: Engine, like: tuple[str, ...], unlike: tuple[str, ...]
) -> None:
    others = [image for image in DRAWN if image.id not in (*like, *unlike)]
    wanted = sorted(others, key=lambda image: -contrast(image, like, unlike))
    example, options = Example(images=like, negatives=unlike), LookOptions(examples="best")
    found = engine.similar(example, ask(12), options)
    assert [hit.id for hit in found.hits] == [image.id for image in wanted[:12]]
    assert [hit.similarity for hit in found.hits] == pytest.approx([contrast(i, like, unlike) for i in wanted[:12]])
    assert (found.exact, found.candidates) == (True, len(others))
    assert {(hit.percentile, hit.expected) for hit in found.hits} == {(None, None)}
    assert found.meaningful is None
    counted = engine.similar(example, ask(1, facets=("dataset",)), replace(options, similar_set=30)).facets["dataset"]
    assert {value.id: value.count for value in counted} == Counter(image.dataset for image in wanted[:30])
    firsts = dict.fromkeys(image.study for image in wanted)
    grouped = engine.similar(example, ask(4), replace(options, by_study=True)).hits
    assert [hit.study_id for hit in grouped] == list(firsts)[:4]


def test_the_average_example_is_one_place_to_be_near_to(engine: Engine, null: NullModel) -> None:
    example = EXAMPLES[2]
    middle = np.mean([KNOWN[each].row for each in example], axis=0, dtype=np.float64)
    cosines = {i.id: float(middle @ i.row) / np.linalg.norm(middle) for i in DRAWN if i.id not in example}
    found = engine.similar(Example(images=example), ask(10), LookOptions(examples="average"))
    assert [hit.id for hit in found.hits] == sorted(cosines, key=lambda each: -cosines[each])[:10]
    first = found.hits[0]
    assert first.similarity == pytest.approx(cosines[first.id])
    assert first.expected == pytest.approx(found.candidates * null.chance(first.similarity))


def test_examples_count_by_default_as_the_docs_say(engine: Engine) -> None:
    for example, rule in (
        (Example(images=EXAMPLES[2]), "best"),
        (Example(images=EXAMPLES[2], negatives=EXAMPLES[1]), "average"),
    ):
        named = engine.similar(example, ask(20), LookOptions(examples=rule)).hits
        assert engine.similar(example, ask(20)).hits == named
        other = "average" if rule == "best" else "best"
        assert engine.similar(example, ask(20), LookOptions(examples=other)).hits != named


def test_a_difference_of_similarities_has_no_percentile_to_be_asked_for(engine: Engine) -> None:
    example, best = Example(images=EXAMPLES[0], negatives=EXAMPLES[1]), LookOptions(examples="best")
    for options in (replace(best, min_percentile=0.9), replace(best, semantic=0.5)):
        with pytest.raises(BadInput, match="give examples=average"):
            engine.similar(example, ask(), options)
    with pytest.raises(BadInput, match="weight: it needs percentiles"):
        engine.combined(example, ask(), replace(best, weight=0.0))
    fused = engine.combined(example, ask(300, "mouse"), best)
    wanted = sorted(
        (i for i in DRAWN if i.id not in (EXAMPLES[0] + EXAMPLES[1])),
        key=lambda i: -contrast(i, EXAMPLES[0], EXAMPLES[1]),
    )
    assert {hit.id: hit.look_rank for hit in fused.hits} == {i.id: rank for rank, i in enumerate(wanted, start=1)}


def test_in_a_graph_an_answer_says_that_it_may_lack_some(elasticsearch_url: str, tmp_path: Path) -> None:
    """Of few images all are scored, and of those that facets count always: then an answer is exact."""
    location = Location((elasticsearch_url,), f"graph-{uuid4().hex[:12]}")
    drawn = draw(600, seed=6)
    with emptied(location), opened(tmp_path, drawn, location, "hnsw") as graph:
        example, asked = Example(images=(drawn[0].id,)), ask(3, dataset="set 1", organism="T:4")
        assert not graph.similar(example, ask(3)).exact
        assert graph.similar(example, asked, LookOptions(similar_set=30)).exact
        assert graph.similar(example, replace(asked, facets=("dataset",)), LookOptions(similar_set=30)).exact


def test_too_large_a_similar_set_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MAX_SIMILAR_SET", 20)
    with pytest.raises(BadInput, match="more than 20 images"):
        engine.similar(Example(images=EXAMPLES[0]), ask(), LookOptions(min_percentile=0.0))


@pytest.mark.parametrize("weight", [0.2, 1.0])
@pytest.mark.parametrize("by_study", [False, True])
def test_the_nearest_are_ranked_again_by_meaning(
    engine: Engine, null: NullModel, weight: float, by_study: bool
) -> None:
    example = EXAMPLES[1]
    found = engine.similar(Example(images=example), ask(15), LookOptions(semantic=weight, by_study=by_study))
    plain = engine.similar(Example(images=example), ask(200), LookOptions(by_study=by_study))
    assert found.reranked == len(plain.hits)
    assert found.meaningful is not None
    term = KNOWN[example[0]].term
    for hit in found.hits:
        assert hit.semantic is not None
        assert (hit.semantic == 1.0) == (KNOWN[hit.id].term == term)
        assert hit.score == pytest.approx((1 - weight) * null.percentile(hit.similarity) + weight * hit.semantic)
    scores = [hit.score or 0.0 for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    if weight == 1:  # what is as good by meaning stays in the order of looks
        same = [hit.id for hit in plain.hits if KNOWN[hit.id].term == term]
        assert [hit.id for hit in found.hits][: len(same)] == same[:15]


def test_meaning_needs_something_to_compare_with(engine: Engine) -> None:
    found = engine.similar(Example(images=EXAMPLES[0]), ask(4, "T:4"), LookOptions(semantic=0.5))
    assert all(KNOWN[hit.id].term == "T:4" for hit in found.hits)
    assert found.reranked > 0


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_weight_sums_calibrated_scores(engine: Engine, null: NullModel, weight: float) -> None:
    example = EXAMPLES[0]
    found = engine.combined(Example(images=example), ask(300, "mouse"), LookOptions(weight=weight))
    assert found.weight == weight
    assert len(found.hits) == len(DRAWN) - 1
    text = {hit.id: hit.score for hit in engine.search(ask(300, "mouse")).hits}
    for hit in found.hits:
        similarity = likeness(example, KNOWN[hit.id])
        assert hit.look_part == pytest.approx(weight * null.percentile(similarity), abs=1e-5)
        assert hit.text_part == pytest.approx((1 - weight) * text.get(hit.id, 0.0) / max(text.values()), abs=1e-4)
        assert hit.score == pytest.approx(hit.text_part + hit.look_part)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_a_weight_knows_both_scores_of_what_one_ranking_did_not_reach(
    engine: Engine, null: NullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search_api.engine import lookalikes

    monkeypatch.setattr(lookalikes, "FUSED_DEPTH", 12)
    found = engine.combined(Example(images=EXAMPLES[0]), ask(12, "mouse"), LookOptions(weight=0.5))
    assert any(hit.look_rank is None for hit in found.hits) or any(hit.text_rank is None for hit in found.hits)
    for hit in found.hits:
        assert hit.look_part == pytest.approx(0.5 * null.percentile(likeness(EXAMPLES[0], KNOWN[hit.id])), abs=1e-5)
        assert (hit.text_part > 0) == (KNOWN[hit.id].term == "T:2")


def test_combined_leaves_out_and_groups_as_look_alikes_do(engine: Engine) -> None:
    example = EXAMPLES[0]
    every = engine.combined(Example(images=example), ask(300, "mouse"), LookOptions(exclude="study"))
    assert {KNOWN[hit.id].study for hit in every.hits}.isdisjoint({KNOWN[example[0]].study})
    for hit in every.hits:
        ranks = [rank for rank in (hit.text_rank, hit.look_rank) if rank is not None]
        assert hit.score == pytest.approx(sum(1 / (RRF_CONSTANT + rank) for rank in ranks))
        assert hit.score == pytest.approx(hit.text_part + hit.look_part)
    grouped = engine.combined(Example(images=example), ask(4, "mouse"), LookOptions(exclude="study", by_study=True))
    firsts: dict[str, str] = {}
    for hit in every.hits:
        firsts.setdefault(hit.study_id, hit.id)
    assert [hit.id for hit in grouped.hits] == list(firsts.values())[:4]


@pytest.mark.parametrize(
    "options",
    [
        LookOptions(min_percentile=0.5),
        LookOptions(min_percentile=0),
        LookOptions(similar_set=3),
        LookOptions(semantic=0.5),
    ],
)
def test_combined_refuses_what_is_of_look_alikes(engine: Engine, options: LookOptions) -> None:
    with pytest.raises(
        BadInput, match="of look-alikes; a combined search has exclude, group, examples, exact, weight, reg"
    ):
        engine.combined(Example(images=EXAMPLES[0]), ask(), options)


def test_combined_explains_no_hits_and_says_so(engine: Engine) -> None:
    with pytest.raises(BadInput, match="explain: it is of look-alikes"):
        engine.combined(Example(images=EXAMPLES[0]), SearchRequest(Level.IMAGE, explain=True))


def test_similar_refuses_a_weight(engine: Engine) -> None:
    with pytest.raises(BadInput, match="weight"):
        engine.similar(Example(images=EXAMPLES[0]), ask(), LookOptions(weight=0.5))


def test_an_index_of_one_study_has_no_percentiles_and_says_why(tmp_path: Path) -> None:
    alone = [image for image in DRAWN if image.study == "S0"]
    with opened(tmp_path, alone) as engine:
        example = Example(images=(alone[0].id,))
        found = engine.similar(example, ask())
        assert {(hit.percentile, hit.expected) for hit in found.hits} == {(None, None)}
        assert found.meaningful is None
        for options in (LookOptions(min_percentile=0.9), LookOptions(semantic=0.5)):
            with pytest.raises(BadInput, match="too few images of different studies"):
                engine.similar(example, ask(), options)
        assert engine.similar(example, ask(), LookOptions(exclude="study", similar_set=5)).hits == ()

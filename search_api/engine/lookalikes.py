"""What is found by look, as hits: with what a similarity is worth, re-ranked by meaning, or fused with a text rank."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hooke.model import Level
from hooke.query import Among, And, Everything, Node, Not, Query
from hooke.request import LookOptions, SearchRequest
from hooke.results import CombinedHit, QueryReport, SimilarHit
from hooke.vectors.base import Neighbours
from ontologies.similarity import SemanticSimilarity
from search_api.engine.fusion import Fused, Reranked, rerank, weigh
from search_api.engine.grouping import first_of_each_study
from search_api.engine.looking import Looking
from search_api.engine.meaning import meant, terms_of
from search_api.engine.understand import Understood

FUSED_DEPTH = 1_000
"""How far down each ranking is read before two are fused."""
_RERANKED, _RERANKED_A_HIT = 200, 10
_JUDGED = 100
"""Nearest images by which it is said what is meaningful, so that a smaller k does not say otherwise."""


def depth(k: int, options: LookOptions) -> int:
    """How many of the nearest are looked at to give k."""
    return max(_RERANKED, _RERANKED_A_HIT * k) if options.semantic else max(_JUDGED, k)


def by_meaning(
    looking: Looking, found: Neighbours, semantics: SemanticSimilarity, query: QueryReport, weight: float
) -> dict[int, Reranked]:
    """The found, re-ranked by what they are annotated with. Raises BadInput where nothing says what to compare with."""
    wanted = meant(looking.examples, query)
    look = {hit.ordinal: looking.percentile(hit.similarity, "semantic") for hit in found.hits}
    records = looking.reader.records(Level.IMAGE, list(look))
    return rerank(look, {r.ordinal: semantics.between(wanted, terms_of([r])) for r in records}, weight)


def similar_hits(
    looking: Looking, found: Neighbours, reranked: Mapping[int, Reranked], k: int
) -> tuple[tuple[SimilarHit, ...], int | None]:
    """The first k hits, and how many of them are more alike than chance explains."""
    similarity = {hit.ordinal: hit.similarity for hit in found.hits}
    chosen = list(reranked or similarity)[:k]
    worth = looking.worth(found)
    alike = worth.meaningful(found.hits)
    known = None if alike is None else {hit.ordinal for hit in found.hits[:alike]}
    hits = []
    for record in looking.reader.records(Level.IMAGE, chosen):
        score, again = similarity[record.ordinal], reranked.get(record.ordinal)
        parts = (again.semantic, again.score) if again else (None, None)
        judged = (worth.percentile(score), worth.expected(score))
        hits.append(SimilarHit(record.id, record.study_id, record.title, score, *judged, *parts))
    return tuple(hits), None if known is None else len(known.intersection(chosen))


@dataclass(frozen=True, slots=True)
class Rankings:
    """Two rankings of images, best first: text scores and similarities by ordinal; and what the look said of itself."""

    text: Mapping[int, float]
    similarity: Mapping[int, float]
    look: Neighbours


def two_rankings(looking: Looking, understood: Understood, request: SearchRequest) -> Rankings:
    """The rankings by text and by look; nothing ranks by an empty text."""
    how_deep = max(FUSED_DEPTH, request.limit)
    look = looking.find(replace(understood, text=Everything()).where(), how_deep, LookOptions())
    text = _text_scores(looking, understood.where(), how_deep) if request.text.strip() else {}
    return Rankings(text, {hit.ordinal: hit.similarity for hit in look.hits}, look)


def weighed(looking: Looking, understood: Understood, found: Rankings, weight: float) -> tuple[list[Fused], Rankings]:
    """The rankings fused by a weight, with both scores of every image that either of them reached."""
    similarity = {**found.similarity, **looking.similarities([o for o in found.text if o not in found.similarity])}
    beyond = Among(frozenset(found.similarity) - frozenset(found.text))
    text = dict(found.text)
    if text and beyond.ordinals:
        text |= _text_scores(looking, And((understood.where(), beyond)), len(beyond.ordinals))
    look = {ordinal: looking.percentile(score, "weight") for ordinal, score in similarity.items()}
    return weigh(text, look, weight), replace(found, text=text, similarity=similarity)


def combined_hits(looking: Looking, best: Sequence[Fused], ranks: Rankings, scores: Rankings) -> Iterator[CombinedHit]:
    """Fused images with their parts: the ranks that were read, and the scores that are known."""
    text_ranks = {ordinal: rank for rank, ordinal in enumerate(ranks.text, start=1)}
    look_ranks = {ordinal: rank for rank, ordinal in enumerate(ranks.similarity, start=1)}
    worth = looking.worth(ranks.look)
    records = {
        record.ordinal: record for record in looking.reader.records(Level.IMAGE, [each.ordinal for each in best])
    }
    for each in best:
        record, similarity = records[each.ordinal], scores.similarity.get(each.ordinal)
        yield CombinedHit(
            record.id,
            record.study_id,
            record.title,
            each.score,
            text_ranks.get(each.ordinal),
            scores.text.get(each.ordinal),
            look_ranks.get(each.ordinal),
            similarity,
            None if similarity is None else worth.percentile(similarity),
            each.text,
            each.look,
        )


def best_of_each_study(looking: Looking, fused: Sequence[Fused], k: int) -> list[Fused]:
    """Of a fused ranking the first image of each study."""
    firsts, _ = first_of_each_study(looking.reader, [each.ordinal for each in fused], k)
    kept = set(firsts)
    return [each for each in fused if each.ordinal in kept]


def _text_scores(looking: Looking, where: Node, k: int) -> dict[int, float]:
    unwanted = (Not(Among(frozenset(looking.excluded))),) if looking.excluded else ()
    page = looking.reader.search(Query(Level.IMAGE, And((where, *unwanted)), k))
    return {hit.ordinal: hit.score for hit in page.hits}

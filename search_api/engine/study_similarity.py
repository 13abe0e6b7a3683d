"""Studies that are alike: by the looks of their images, by the meaning of their annotations, or by both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from hooke.comparisons import By, SharedTerm, StudiesRequest, StudiesResult, StudyLikeness
from hooke.errors import BadInput
from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import Level, TermId
from hooke.query import Everything
from hooke.store.base import MetadataReader
from hooke.vectors.base import Ordinals, VectorReader, Vectors
from hooke.vectors.pairs import best_match_means, rows_of
from ontologies.catalogue import Catalogue
from ontologies.similarity import SemanticSimilarity, closure_counts

_SHARED = 10
_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class StudyMeanings:
    """What every study is annotated with, itself or in its images, by its ordinal; and the corpus that they make."""

    terms: Mapping[int, frozenset[TermId]]
    similarity: SemanticSimilarity


def study_meanings(reader: MetadataReader, catalogue: Catalogue) -> StudyMeanings:
    """Those of all studies of a snapshot."""
    studies = reader.records(Level.STUDY, list(reader.ordinals(Level.STUDY, Everything())))
    terms = {study.ordinal: {mention.term for mention in study.mentions} for study in studies}
    for field in ONTOLOGY_FIELDS.keys() & reader.fields(Level.IMAGE).keys():
        sets = reader.value_sets(Level.IMAGE, field)
        for study, held in zip(*(found.tolist() for found in reader.study_sets(field, Everything())), strict=True):
            terms[study] |= sets[held].terms
    frozen = {ordinal: frozenset(each) for ordinal, each in terms.items()}
    counts = closure_counts(catalogue, [(each, 1) for each in frozen.values()])
    return StudyMeanings(frozen, SemanticSimilarity(catalogue, counts, len(frozen)))


def find_similar_studies(
    request: StudiesRequest,
    reader: MetadataReader,
    catalogue: Catalogue,
    known: StudyMeanings,
    vectors: VectorReader | None,
) -> StudiesResult:
    """The studies most like one; vectors: None where the index has none. Raises UnknownRecord, BadInput."""
    study = reader.get(Level.STUDY, request.study_id)
    by = request.by
    looks = _NO_LOOKS if by is By.MEANING else _looks(study.ordinal, request.sample, reader, vectors)
    notices: list[str] = []
    if by is not By.MEANING and study.ordinal not in looks.sampled:
        if by is By.LOOK:
            raise BadInput(f"no image of {study.id!r} has a vector: index its pixels, or compare by meaning")
        by, looks = By.MEANING, _NO_LOOKS
        notices.append(f"no image of {study.id!r} has a vector: ranked by meaning alone")
    if by is not By.LOOK and not known.terms[study.ordinal]:
        notices.append(f"{study.id!r} is annotated with no term: its meaning is like nothing")
    meaning = {} if by is By.LOOK else _meaning(study.ordinal, known)
    scores = {By.LOOK: looks.means, By.MEANING: meaning, By.BOTH: _both(looks.means, meaning)}[by]
    best = sorted(scores, key=lambda ordinal: (-scores[ordinal], ordinal))[: request.limit]
    shared = {ordinal: _shared(known.terms[study.ordinal] & known.terms[ordinal], known, catalogue) for ordinal in best}
    hits = tuple(
        StudyLikeness(found.id, found.title, scores[at], looks.means.get(at), meaning.get(at), images, shared[at])
        for found in reader.records(Level.STUDY, best)
        for at, images in [(found.ordinal, looks.sampled.get(found.ordinal, 0))]
    )
    space, snapshot = reader.snapshot.manifest.space or "", reader.snapshot.id
    return StudiesResult(study.id, str(by), hits, len(scores), looks.exact, tuple(notices), space, snapshot)


@dataclass(frozen=True, slots=True)
class _Looks:
    """How alike other studies look; how many images of each study were looked at; whether that was all of them."""

    means: Mapping[int, float]
    sampled: Mapping[int, int]
    exact: bool


_NO_LOOKS = _Looks({}, {}, exact=True)


def _looks(study: int, sample: int, reader: MetadataReader, vectors: VectorReader | None) -> _Looks:
    images = reader.ordinals(Level.IMAGE, Everything()) & vectors.ordinals() if vectors else BitMap()
    if vectors is None or not images:
        return _NO_LOOKS
    owned, exact = _sampled(images, reader.owners(images), sample)
    sampled = {owner: len(some) for owner, some in owned.items()}
    if study not in owned:
        return _Looks({}, sampled, exact)
    queries = rows_of(vectors, owned.pop(study))
    means: dict[int, float] = {}
    for group in _in_portions(owned):
        means |= _means(queries, group, owned, vectors)
    return _Looks(means, sampled, exact)


def _sampled(images: BitMap, owners: Ordinals, sample: int) -> tuple[dict[int, Ordinals], bool]:
    """The images of each study, of a large one evenly spaced ones: a screen's plates follow each other."""
    ordinals = np.array(images.to_array(), np.uint32)
    order = np.argsort(owners, kind="stable")
    studies, begins = np.unique(owners[order], return_index=True)
    owned = dict(zip(studies.tolist(), np.split(ordinals[order], begins[1:]), strict=True))
    exact = all(len(some) <= sample for some in owned.values())
    return {study: _spaced(some, sample) for study, some in owned.items()}, exact


def _spaced(images: Ordinals, sample: int) -> Ordinals:
    if len(images) <= sample:
        return images
    return images[np.arange(sample) * len(images) // sample]


def _in_portions(owned: Mapping[int, Ordinals]) -> list[list[int]]:
    """The studies, so many together that their rows make a block."""
    portions: list[list[int]] = []
    rows = _ROWS_AT_ONCE
    for study, images in owned.items():
        if rows + len(images) > _ROWS_AT_ONCE:
            portions.append([])
            rows = 0
        portions[-1].append(study)
        rows += len(images)
    return portions


def _means(
    queries: Vectors, studies: Sequence[int], owned: Mapping[int, Ordinals], vectors: VectorReader
) -> dict[int, float]:
    images = np.concatenate([owned[study] for study in studies])
    order = np.argsort(images)
    rows = rows_of(vectors, images[order])[np.argsort(order)]
    starts = np.cumsum([0, *(len(owned[study]) for study in studies)])[:-1]
    means = best_match_means(queries, rows, starts)
    return dict(zip(studies, np.clip(means, -1, 1).tolist(), strict=True))


def _meaning(study: int, known: StudyMeanings) -> dict[int, float]:
    own = known.terms[study]
    return {
        other: known.similarity.between(own, terms) for other, terms in known.terms.items() if terms and other != study
    }


def _both(looks: Mapping[int, float], meaning: Mapping[int, float]) -> dict[int, float]:
    """The mean of a study's meaning and of how many of the others look less alike; of one that has no vectors, meaning.

    A mean of cosines and meanings would be ranked by meaning: cosines of studies lie close together.
    """
    ordered = np.sort(list(looks.values()))
    shares = np.searchsorted(ordered, list(looks.values()), side="left") / max(1, len(ordered) - 1)
    ranks = dict(zip(looks, shares.tolist(), strict=True))
    return {
        other: (ranks[other] + meaning.get(other, 0.0)) / 2 if other in ranks else meaning[other]
        for other in looks.keys() | meaning.keys()
    }


def _shared(terms: frozenset[TermId], known: StudyMeanings, catalogue: Catalogue) -> tuple[SharedTerm, ...]:
    best = sorted(terms, key=lambda term: (-known.similarity.information(term), term))[:_SHARED]
    return tuple(SharedTerm(term, catalogue.label(term)) for term in best)

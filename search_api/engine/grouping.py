"""Look-alikes by study: the best image of each, and the images that share an example's study, dataset or plate."""

from collections.abc import Sequence
from dataclasses import replace

from pyroaring import BitMap

from hooke.errors import BadInput
from hooke.model import Level, Record
from hooke.query import Equals, Or
from hooke.store.base import MetadataReader
from hooke.vectors.base import Neighbour, Neighbours, Vectors
from search_api.engine.filtered import Pool, nearest

_FIRST_ASKED, _WIDER = 4, 4


def nearest_of_each_study(pool: Pool, queries: Vectors, k: int) -> Neighbours:
    """The best image of each of the k nearest studies; `candidates` counts images.

    The nearest images are asked for; of each study among them the first is its best, and no study outside has a better
    one. Then the same again without the studies found, so that a large study hides no other; and each time more, so
    that the rounds are few.
    """
    hits: list[Neighbour] = []
    covered, asked, rounds = BitMap(), _FIRST_ASKED * k, list[Neighbours]()
    while len(hits) < k and (not rounds or len(rounds[-1].hits) == asked // _WIDER):
        rounds.append(nearest(replace(pool, excluded=pool.excluded | covered), queries, asked))
        ranked = {hit.ordinal: hit for hit in rounds[-1].hits}
        firsts, theirs = first_of_each_study(pool.reader, list(ranked), k - len(hits))
        hits += [ranked[ordinal] for ordinal in firsts]
        covered |= theirs
        asked *= _WIDER
    first = rounds[0]
    recalls = [found.recall for found in rounds if found.recall is not None]
    exact = all(found.exact for found in rounds)
    return Neighbours(tuple(hits), exact, first.method, first.candidates, min(recalls, default=None))


def first_of_each_study(reader: MetadataReader, ranked: Sequence[int], most: int) -> tuple[list[int], BitMap]:
    """The first image of each study in a ranking, at most so many; and all images of those studies."""
    firsts: list[int] = []
    covered, rest = BitMap(), list(ranked)
    while rest and len(firsts) < most:
        some = most - len(firsts)
        bests: dict[str, int] = {}
        for record in reader.records(Level.IMAGE, rest[:some]):
            bests.setdefault(record.study_id, record.ordinal)
        firsts += bests.values()
        covered |= images_of_studies(reader, list(bests.values()))
        rest = [ordinal for ordinal in rest[some:] if ordinal not in covered]
    return firsts, covered


def images_of_studies(reader: MetadataReader, images: Sequence[int]) -> BitMap:
    """All images of the studies that these images belong to."""
    return reader.image_ordinals(reader.study_ordinals(BitMap(images)))


def relatives(reader: MetadataReader, examples: Sequence[Record], kind: str) -> BitMap:
    """The images of the examples' own studies, or of those the ones with the same value in `kind`, a field.

    Raises BadInput for an example without a value in the field.
    """
    found = BitMap()
    for record in examples:
        theirs = images_of_studies(reader, [record.ordinal])
        if kind != "study":
            values = tuple(Equals(kind, value.text) for value in record.values if value.field == kind)
            if not values:
                raise BadInput(f"exclude: image {record.id!r} is of no {kind}; exclude its study instead")
            theirs &= reader.ordinals(Level.IMAGE, Or(values))
        found |= theirs
    return found

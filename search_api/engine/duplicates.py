"""Near-duplicates among images: groups that pairs above a threshold make, within studies and across them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.comparisons import (
    DuplicateGroup,
    DuplicateImage,
    DuplicatePair,
    DuplicatesRequest,
    DuplicatesResult,
)
from hooke.errors import TooLarge
from hooke.model import Level
from hooke.results import QueryReport
from hooke.store.base import MetadataReader
from hooke.vectors.base import Ordinals, VectorReader
from hooke.vectors.pairs import PARTNERS_KEPT, Links, Progress, linked

GROUP_PAIRS = PARTNERS_KEPT * (PARTNERS_KEPT + 1) // 2
"""The most pairs that a group lists: all of one as large as has all its pairs kept."""
_RECORDS_AT_ONCE = 1_000


class _Member(NamedTuple):
    position: int
    image: DuplicateImage


def find_duplicates(
    request: DuplicatesRequest,
    allowed: BitMap,
    query: QueryReport,
    reader: MetadataReader,
    vectors: VectorReader,
    progress: Progress | None = None,
) -> DuplicatesResult:
    """The groups among the allowed images; those without a vector are passed over."""
    images = np.array((allowed & vectors.ordinals()).to_array(), np.uint32)
    digests = _digests(vectors, images)
    owners = reader.owners(BitMap(images)) if request.across_studies else None
    links = linked(vectors, images, request.threshold, digests=digests, owners=owners, progress=progress)
    grouped = _members(links, images, reader)
    pairs = _pairs_by_group(links)
    groups = [
        _group(members, pairs[number], int(links.partners[[m.position for m in members]].sum()) // 2, links, digests)
        for number, members in grouped.items()
    ]
    ordered = sorted(groups, key=lambda g: (len(g.studies) == 1, -len(g.images), -g.pairs[0].similarity))
    across = sum(len(group.studies) > 1 for group in groups)
    return DuplicatesResult(
        tuple(ordered),
        across,
        len(groups) - across,
        sum(len(group.images) for group in groups),
        len(images),
        request.threshold,
        True,
        query,
        reader.snapshot.manifest.space or "",
        reader.snapshot.id,
    )


def refuse_more(count: int, most: int | None, what: str) -> None:
    """Raise TooLarge for more images than may be compared with each other, each with every other."""
    if most is not None and count > most:
        raise TooLarge(
            f"{count:,} images are too many to compare with each other over HTTP, {most:,} are the most: "
            f"{what}, or run the command of the same name on the index"
        )


def _digests(vectors: VectorReader, images: Ordinals) -> npt.NDArray[np.uint64]:
    known = vectors.digests()
    return np.array([known[ordinal] for ordinal in images.tolist()], np.uint64)


def _members(links: Links, images: Ordinals, reader: MetadataReader) -> dict[int, list[_Member]]:
    """The images of each group of two or more, groups and images by their first ordinal."""
    found: dict[int, list[_Member]] = {}
    joined = np.flatnonzero(links.partners)
    for start in range(0, len(joined), _RECORDS_AT_ONCE):
        some = joined[start : start + _RECORDS_AT_ONCE]
        records = reader.records(Level.IMAGE, images[some].tolist())
        for position, record in zip(some.tolist(), records, strict=True):
            image = DuplicateImage(record.id, record.study_id, record.title)
            found.setdefault(int(links.groups[position]), []).append(_Member(position, image))
    return found


def _pairs_by_group(links: Links) -> dict[int, list[int]]:
    """The numbers of each group's named pairs, most alike first."""
    order = np.lexsort((links.pairs.second, links.pairs.first, -links.pairs.similarities))
    found: dict[int, list[int]] = {}
    for number, group in zip(order.tolist(), links.groups[links.pairs.first[order]].tolist(), strict=True):
        found.setdefault(group, []).append(number)
    return found


def _group(
    members: Sequence[_Member], pairs: Sequence[int], count: int, links: Links, digests: npt.NDArray[np.uint64]
) -> DuplicateGroup:
    ids = {member.position: member.image.id for member in members}
    studies = Counter(member.image.study_id for member in members)
    return DuplicateGroup(
        tuple(member.image for member in members),
        tuple(sorted(studies)),
        tuple(_pair(number, links, digests, ids) for number in pairs[:GROUP_PAIRS]),
        count,
        len(set(digests[list(ids)].tolist())) == 1,
    )


def _pair(number: int, links: Links, digests: npt.NDArray[np.uint64], ids: Mapping[int, str]) -> DuplicatePair:
    first, second = int(links.pairs.first[number]), int(links.pairs.second[number])
    similarity = min(1.0, float(links.pairs.similarities[number]))
    return DuplicatePair(ids[first], ids[second], similarity, bool(digests[first] == digests[second]))

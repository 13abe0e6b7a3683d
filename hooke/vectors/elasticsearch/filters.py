"""Sets of rows as Elasticsearch filters, in the form that costs least to send."""

from collections.abc import Mapping

import numpy as np
from pyroaring import BitMap

from hooke.store.elasticsearch.cluster import Body
from hooke.vectors.base import Ordinals

_TERMS_AT_MOST = 65_536  # index.max_terms_count
# A range matches faster than its ordinals one by one, but each is a clause of the query.
_RANGES_AT_MOST = 256


def images_filter(wanted: BitMap, among: BitMap) -> list[Body]:
    """Clauses that keep the rows of the wanted images; every row is of an image `among` which they are."""
    missing = among - wanted
    if not missing:
        return []
    if len(missing) < len(wanted):
        return [{"bool": {"must_not": _clauses(missing)}}]
    return [{"bool": {"should": _clauses(wanted)}}]


def segments_filter(images: Mapping[str, BitMap], live: Mapping[str, BitMap]) -> list[Body]:
    """Clauses that keep the rows of each segment's live images, of all that it has."""
    whole = [segment for segment in images if len(live[segment]) == len(images[segment])]
    partly = [segment for segment in images if segment not in whole and live[segment]]
    parts: list[Body] = [{"terms": {"segment": whole}}] if whole else []
    parts += [
        {"bool": {"filter": [{"term": {"segment": segment}}, *images_filter(live[segment], images[segment])]}}
        for segment in partly
    ]
    return [{"bool": {"should": parts}}]


def _clauses(images: BitMap) -> list[Body]:
    """Clauses of which each row of the images, and no other, matches one."""
    ordinals: Ordinals = np.frombuffer(images.to_array(), dtype=np.uint32)
    if not len(ordinals):
        return []
    breaks = np.flatnonzero(np.diff(ordinals.astype(np.int64)) > 1)
    if len(breaks) < _RANGES_AT_MOST:
        first, last = ordinals[np.append(0, breaks + 1)], ordinals[np.append(breaks, len(ordinals) - 1)]
        return [
            {"range": {"ordinal": {"gte": begin, "lte": end}}}
            for begin, end in zip(first.tolist(), last.tolist(), strict=True)
        ]
    return [
        {"terms": {"ordinal": ordinals[start : start + _TERMS_AT_MOST].tolist()}}
        for start in range(0, len(ordinals), _TERMS_AT_MOST)
    ]

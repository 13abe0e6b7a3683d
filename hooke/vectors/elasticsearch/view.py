"""What a reader asks of an index: a fixed view of it, its nearest rows, its rows by id."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import ApiError, Elasticsearch

from hooke.errors import CorruptIndex, SnapshotMismatch
from hooke.store.elasticsearch.cluster import Body, cluster_errors, whole
from hooke.store.location import Location
from hooke.vectors.base import Ordinals, Vectors
from hooke.vectors.elasticsearch.layout import FLAT, Space, decode, encode
from hooke.vectors.planner import Similarities

logger = logging.getLogger(__name__)

WIDEST = 10_000
"""The most rows one request gives, and the most candidates of a graph search: Elasticsearch's own limits."""
# More than the rows asked for: what a graph search finds depends on how many candidates it follows.
_CANDIDATES_A_ROW = 8
_CANDIDATES_AT_LEAST = 500
# Quantised rows are scored again as they were given, this many times as many as are asked for.
_OVERSAMPLE = {"int8_hnsw": 2.0, "bbq_hnsw": 4.0}
_KEPT = "5m"
_PAGE_BYTES = 2**24


class View:
    """One state of an index, which later writes and removals do not change; safe to use from several threads.

    Elasticsearch forgets a view that is not used for five minutes; it is then opened again, if all its rows are there.
    """

    def __init__(self, client: Elasticsearch, location: Location, index: str, space: Space) -> None:
        self._client = client
        self._location = location
        self._index = index
        self._space = space
        self._rows: Mapping[str, int] = {}
        self._point = self._open()

    def hold(self, rows: Mapping[str, int]) -> None:
        """Make sure that the view has every row of these segments. Raises CorruptIndex naming one of which it lacks."""
        self._rows = rows
        for segment, lacking in self._lacking():
            raise CorruptIndex(f"{self._index}: segment {segment} lacks {lacking} of its rows; index anew")

    def nearest(self, query: Vectors, size: int, keep: Sequence[Body]) -> tuple[Ordinals, Similarities]:
        """The ordinals of the rows nearest to one query row, and their float32 dot products with it.

        keep: filters that every row passes. size: at most `WIDEST`.
        """
        knn: Body = {
            "field": "vector",
            "query_vector": encode(query),
            "k": size,
            "num_candidates": self._candidates(size),
            "filter": list(keep),
        }
        if self._space.method in _OVERSAMPLE:
            knn["rescore_vector"] = {"oversample": _OVERSAMPLE[self._space.method]}
        found = self._search(knn=knn, size=size, docvalue_fields=["ordinal"], stored_fields="_none_")
        ordinals = np.array([hit["fields"]["ordinal"][0] for hit in found], dtype=np.uint32)
        return ordinals, _dot_products(np.array([hit["_score"] for hit in found], dtype=np.float32))

    def rows(self, ids: Sequence[str]) -> Vectors:
        """The rows of these documents, in their order: float32 (rows, dim), as they were appended."""
        page = min(WIDEST, max(1, _PAGE_BYTES // (self._space.dim * 6)))
        texts: dict[str, str] = {}
        for start in range(0, len(ids), page):
            some = ids[start : start + page]
            hits = self._search(
                query={"ids": {"values": list(some)}},
                size=len(some),
                docvalue_fields=[{"field": "vector", "format": "binary"}],
                sort="_doc",
            )
            texts.update((hit["_id"], hit["fields"]["vector"][0]) for hit in hits)
        for lost in set(ids) - texts.keys():
            raise CorruptIndex(f"{self._index}/{lost}: missing; index anew")
        return decode((texts[each] for each in ids), self._space.dim)

    def _candidates(self, size: int) -> int:
        if self._space.method == FLAT:
            return size
        return min(WIDEST, max(_CANDIDATES_AT_LEAST, _CANDIDATES_A_ROW * size))

    def _search(self, **body: Any) -> list[Body]:  # arguments of the driver's `search`
        response = self._ask(source=False, track_total_hits=False, **body)
        return list(response["hits"]["hits"])

    def _ask(self, **body: Any) -> Mapping[str, Any]:  # as above; JSON as Elasticsearch gives it
        with cluster_errors(self._location):
            try:
                response = self._client.search(pit={"id": self._point, "keep_alive": _KEPT}, **body)
            except ApiError as exc:
                if exc.status_code not in (404, 503):  # 503: of an index that is gone, too
                    raise
                self._open_again()
                response = self._client.search(pit={"id": self._point, "keep_alive": _KEPT}, **body)
        self._point = response["pit_id"]
        return whole(response.body, self._location)

    def _open(self) -> str:
        with cluster_errors(self._location):
            opened = self._client.open_point_in_time(index=self._index, keep_alive=_KEPT)
        return str(opened["id"])

    def _open_again(self) -> None:
        logger.info("a view of %s is gone: opening it again", self._index)
        self._point = self._open()
        for segment, lacking in self._lacking():
            raise SnapshotMismatch(
                f"segment {segment} is no longer kept at {self._location} ({lacking} rows gone): "
                "search again from the start"
            )

    def _lacking(self) -> list[tuple[str, int]]:
        """The segments of which not every row is there, and how many are not."""
        if not self._rows:
            return []
        names = list(self._rows)
        with cluster_errors(self._location):
            response = self._client.search(
                pit={"id": self._point, "keep_alive": _KEPT},
                query={"bool": {"filter": [{"terms": {"segment": names}}, {"exists": {"field": "vector"}}]}},
                aggregations={"segments": {"terms": {"field": "segment", "size": len(names)}}},
                size=0,
                track_total_hits=False,
            )
        buckets = whole(response.body, self._location)["aggregations"]["segments"]["buckets"]
        there = {bucket["key"]: bucket["doc_count"] for bucket in buckets}
        return [(name, rows - there.get(name, 0)) for name, rows in self._rows.items() if there.get(name, 0) != rows]


def _dot_products(scores: np.ndarray[Any, np.dtype[np.float32]]) -> Similarities:  # any shape
    """The dot products that `max_inner_product` made these scores of: 1 + x, or 1 / (1 - x) for x < 0."""
    wide = scores.astype(np.float64)
    return np.where(wide >= 1, wide - 1, 1 - 1 / wide)

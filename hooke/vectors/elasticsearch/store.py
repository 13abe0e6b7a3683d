"""Vectors in Elasticsearch: one index a space, searched with `dense_vector` kNN."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice

import numpy as np
from elasticsearch import BadRequestError, NotFoundError

from hooke.errors import BadInput, CorruptIndex, HookeError
from hooke.settings import ClusterSettings
from hooke.store.elasticsearch.bulk import MISSING, Writes, delete, put
from hooke.store.elasticsearch.cluster import Body, Cluster, cluster_errors, whole
from hooke.store.location import Location
from hooke.vectors.base import Block, VectorReader, of_kind, segment_name
from hooke.vectors.columns import Columns
from hooke.vectors.elasticsearch.layout import (
    FLAT,
    Method,
    Part,
    Space,
    documents,
    index_name,
    index_settings,
    mapping,
    part_id,
    read_part,
    read_space,
    segment_ids,
)
from hooke.vectors.elasticsearch.reader import ElasticsearchReader
from hooke.vectors.elasticsearch.view import WIDEST, View
from hooke.vectors.reader import SegmentReader, check_block, sorted_block
from hooke.views import Kind

logger = logging.getLogger(__name__)

_PARTS_AT_ONCE = 16
_COLUMN_BYTES = 4 + 8  # of a row's ordinal and digest


class ElasticsearchVectors:
    """The segments of one space at a location; one writer at a time, any number of readers."""

    def __init__(
        self, location: Location, settings: ClusterSettings, fingerprint: str, *, method: Method = FLAT
    ) -> None:
        """method: of an index that is made; one that is there is read with its own."""
        self._cluster = Cluster(location, settings)
        self._client = self._cluster.client
        self._writes = Writes(self._cluster)
        self._location = location
        self._settings = settings
        self._fingerprint = fingerprint
        self._method: Method = method
        self._index = index_name(location, fingerprint)

    def append(self, block: Block) -> str:
        """Write one segment, durably and wholly, and return its name.

        Raises ZeroVector, BadInput, BackendUnavailable; what was written is then removed.
        """
        check_block(block)
        self._prepare(block.vectors.shape[1])
        name = segment_name(block.kind)
        try:
            self._put(documents(name, sorted_block(block)))
        except BaseException:
            with suppress(HookeError):  # the first error is the one to tell; `discard_except` removes what is left
                self._remove(segment_ids(name, len(block.ordinals)))
            raise
        return name

    def read(self, segments: Sequence[str], kind: Kind = Kind.WHOLE) -> VectorReader:
        """Open those of the named segments, oldest first, that are of a kind.

        Raises CorruptIndex naming the document or the segment that does not hold, SpaceMismatch for an index of
        another space.
        """
        space, segments = self._space(), of_kind(segments, kind)
        if not segments:
            return SegmentReader(())
        if space is None:
            raise CorruptIndex(f"{self._index}: missing, and with it segment {segments[0]}; index anew")
        view = View(self._client, self._location, self._index, space)
        columns = self._columns(segments)
        view.hold({name: len(each.ordinals) for name, each in columns.items()})
        return ElasticsearchReader(view, columns, dim=space.dim, method=space.method)

    def discard_except(self, segments: Sequence[str]) -> None:
        """Remove segments that no snapshot names: what a killed indexer left behind."""
        if self._space() is None:
            return
        self._cluster.refresh(self._index)
        lost = {"bool": {"must_not": [{"terms": {"segment": list(segments)}}]}}
        while ids := self._some_ids(lost):
            self._remove(ids)
            logger.info("%d documents of segments without a snapshot removed from %s", len(ids), self._index)

    def size_bytes(self, segments: Sequence[str]) -> int:
        """Bytes of the named segments' rows, ordinals, digests and places.

        Quantised copies, graph and replicas come on top; Elasticsearch knows their size for the whole index only.
        """
        heads = self._parts([(name, 0) for name in segments])
        return sum(part.rows * (4 * part.dim + _COLUMN_BYTES + 4 * part.columns.places.shape[1]) for part in heads)

    def _space(self) -> Space | None:
        """What the index was made for, or None when there is none."""
        with cluster_errors(self._location):
            try:
                mappings = self._client.indices.get_mapping(index=self._index)
            except NotFoundError:
                return None
        return read_space(self._index, mappings[self._index]["mappings"], self._fingerprint)

    def _prepare(self, dim: int) -> None:
        """Make sure that the index is there and takes rows of this length."""
        space = self._space() or self._create(Space(self._fingerprint, dim, self._method))
        if space.dim != dim:
            raise BadInput(f"rows have {dim} values, those of {self._index} {space.dim}; embed with its model")
        if space.method != self._method:
            raise BadInput(f"{self._index} was made for {space.method}, not {self._method}: use that, or index anew")

    def _create(self, space: Space) -> Space:
        with cluster_errors(self._location):
            try:
                self._client.options(request_timeout=self._settings.bulk_timeout_s).indices.create(
                    index=self._index, mappings=mapping(space), settings=index_settings(self._settings)
                )
            except BadRequestError as exc:
                if "mapper_parsing_exception" in str(exc.body):  # too many values in a row, or too few for bbq
                    raise BadInput(f"{space.method} cannot hold rows of {space.dim} values: {exc.message}") from exc
                raise
        return space

    def _put(self, documents: Iterable[tuple[str, Body]]) -> None:
        """Write documents and show them. Raises as `append` does."""
        self._writes.write_all(put(self._index, key, document) for key, document in documents)
        self._cluster.refresh(self._index)

    def _remove(self, ids: Iterable[str]) -> None:
        """Remove documents that may be there, and show that they are gone."""
        self._writes.write_all((delete(self._index, key) for key in ids), ignored_status=MISSING)
        self._cluster.refresh(self._index)

    def _columns(self, segments: Sequence[str]) -> dict[str, Columns]:
        heads = self._parts([(name, 0) for name in segments])
        wanted = [(name, part) for name, head in zip(segments, heads, strict=True) for part in range(1, head.parts)]
        others = iter(self._parts(wanted))
        return {
            name: self._joined(name, [head, *islice(others, head.parts - 1)])
            for name, head in zip(segments, heads, strict=True)
        }

    def _joined(self, name: str, parts: Sequence[Part]) -> Columns:
        ordinals = np.concatenate([part.columns.ordinals for part in parts])
        if len(ordinals) != parts[0].rows:
            raise CorruptIndex(f"{self._index}: segment {name} names {len(ordinals)} of {parts[0].rows} rows")
        digests = np.concatenate([part.columns.digests for part in parts])
        return Columns(ordinals, digests, np.concatenate([part.columns.places for part in parts]))

    def _parts(self, wanted: Sequence[tuple[str, int]]) -> list[Part]:
        """Parts of columns, by segment and number."""
        parts: list[Part] = []
        for start in range(0, len(wanted), _PARTS_AT_ONCE):
            some = wanted[start : start + _PARTS_AT_ONCE]
            with cluster_errors(self._location):
                found = self._client.mget(index=self._index, ids=[part_id(*each) for each in some])
            parts += [
                read_part(self._index, document, number)
                for (_, number), document in zip(some, found["docs"], strict=True)
            ]
        return parts

    def _some_ids(self, query: Body) -> list[str]:
        with cluster_errors(self._location):
            found = self._client.search(index=self._index, query=query, size=WIDEST, source=False, sort="_doc")
        return [hit["_id"] for hit in whole(found.body, self._location)["hits"]["hits"]]

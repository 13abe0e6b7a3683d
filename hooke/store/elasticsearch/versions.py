"""The newest version of each record as the writer sees it: what is in the index, and what it wrote since it looked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import orjson

from hooke.store.elasticsearch.bulk import Put
from hooke.store.elasticsearch.cluster import Body, Cluster
from hooke.store.elasticsearch.document import Document, id_key, ordinal_bit
from hooke.store.elasticsearch.ledger import Extent

_DIGESTLESS = ""
_SOURCE = ["born", "ordinal", "digest", "study", "part", "gone", "facet", "column"]
_SCANNED = 500
NEWEST: Body = {"bool": {"must_not": [{"exists": {"field": "died"}}]}}
"""The versions that no later one followed."""


class Version(NamedTuple):
    """A record's newest version. gone: it says that the record is deleted. payload: None unless asked for.

    sets: the keys of those that it names, where it was read from the index: it has them all.
    """

    document_id: str
    ordinal: int
    study: int
    digest: str
    part: str
    gone: bool
    payload: Body | None = None
    sets: frozenset[str] = frozenset()


class Change(NamedTuple):
    """What a record becomes. former: its newest version so far; without a document it is deleted.

    study_id: of a deleted record, whose document has no more than its ids.
    """

    record_id: str
    ordinal: int
    study: int
    part: str
    former: Version | None
    document: Document | None
    study_id: str = ""

    @property
    def was_live(self) -> bool:
        """Whether there is a live version before it."""
        return self.former is not None and not self.former.gone


class Side:
    """One part of the index while it is written to."""

    def __init__(self, cluster: Cluster, index: str, extent: Extent) -> None:
        self._cluster = cluster
        self.index = index
        self.live = extent.live.copy()
        self.next = extent.next
        # what was written since the last refresh cannot be found yet
        self.fresh: dict[str, Version] = {}
        # what a refused version was to follow may be among it
        self.unsure = False
        self._findable = extent.next > 0

    @property
    def extent(self) -> Extent:
        """The ordinals as they are now."""
        return Extent(self.live.copy(), self.next)

    def take_ordinal(self) -> int:
        """An ordinal that no record has."""
        self.next += 1
        return self.next - 1

    def put(self, change: Change, state: int) -> Put:
        """The new version that a change makes, born in a state; from now on it is the newest."""
        document_id = f"{change.ordinal}-{state}"
        former = change.former.document_id if change.former else None
        gone = change.document is None
        (self.live.discard if gone else self.live.add)(change.ordinal)
        digest = change.document.digest if change.document else _DIGESTLESS
        self.fresh[change.record_id] = Version(document_id, change.ordinal, change.study, digest, change.part, gone)
        body: Body = {
            "born": state,
            "ordinal": change.ordinal,
            "bit": ordinal_bit(change.ordinal),
            "id": id_key(change.record_id),
            "study": change.study,
            "part": change.part,
            "digest": digest,
            **(change.document.body if change.document else _tombstone(change)),
        }
        supersedes = former if former != document_id else None
        return Put(
            change.record_id, document_id, change.ordinal, orjson.dumps(body), supersedes, was_live=change.was_live
        )

    def refuse(self, put: Put) -> None:
        """Forget a version that the cluster would not take; the one before it is the newest again, once refreshed."""
        self.fresh.pop(put.record_id, None)
        self.unsure = True
        if not put.was_live:
            self.live.discard(put.ordinal)

    def refresh(self) -> None:
        """Make findable what was written; all of it must have arrived."""
        self._cluster.refresh(self.index)
        self.fresh.clear()
        self.unsure = False
        self._findable = True

    def newest(self, ids: Sequence[str], *, payload: bool = False) -> dict[str, Version]:
        """The newest versions of the records of these ids, deleted ones too; unknown ids are left out.

        payload: with what was put; then everything must be findable.
        """
        found = {key: self.fresh[key] for key in ids if key in self.fresh and not payload}
        sought = {id_key(key): key for key in ids if key not in found}
        if sought and self._findable:
            body: Body = {
                "query": {"bool": {"filter": [{"terms": {"id": list(sought)}}, NEWEST]}},
                "size": len(sought),
                "_source": [*_SOURCE, "id", *(["record"] if payload else [])],
            }
            for hit in self._cluster.search(self.index, body)["hits"]["hits"]:
                found[sought[hit["_source"]["id"]]] = _version(hit)
        return found

    def of_studies(self, studies: Iterable[int]) -> Iterator[tuple[str, Version]]:
        """The live images of studies with what was put, by ordinal; everything must be findable."""
        body: Body = {
            "query": {"bool": {"filter": [{"terms": {"study": sorted(studies)}}, NEWEST]}},
            "_source": [*_SOURCE, "record"],
            "sort": [{"ordinal": "asc"}],
        }
        for hit in self._cluster.scan(self.index, body, size=_SCANNED):
            version = _version(hit)
            if not version.gone and version.payload:
                yield version.payload["id"], version


def _tombstone(change: Change) -> Body:
    return {"gone": True, "record": {"id": change.record_id, "study": change.study_id}}


def _version(hit: Body) -> Version:
    source: Body = hit["_source"]
    return Version(
        hit["_id"],
        source["ordinal"],
        source["study"],
        source["digest"],
        source["part"],
        source.get("gone", False),
        source.get("record"),
        frozenset(key for kind in ("facet", "column") for key in source.get(kind, {}).values()),
    )

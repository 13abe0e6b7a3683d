"""The states of an index in its cluster: made, published, shown, and cleaned of what was never committed."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from hooke.errors import Conflict, CorruptIndex, HookeError
from hooke.store.elasticsearch.bulk import MISSING, Action, Writes, delete, update
from hooke.store.elasticsearch.cluster import Body, Cluster, cluster_errors
from hooke.store.elasticsearch.mapping import VERSION, Names, Part, alive, index_body, sequence_number, set_index

logger = logging.getLogger(__name__)

_SCANNED = 5_000


class States:
    """The indices of one Hooke index and their aliases."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names
        self._writes = Writes(cluster)

    def create(self) -> None:
        """Make the indices, and state 0, in which there is nothing. Raises Conflict for a prefix that is taken."""
        indices = self._cluster.client.indices
        with cluster_errors(self._cluster.location):
            for part in Part:
                taken = indices.exists_alias(name=self._names.current(part))
                if taken and not indices.exists(index=self._names.versions(part)):
                    raise Conflict(
                        f"{self._cluster.location} holds the index of another directory: choose another prefix "
                        "(--store http://host:9200/PREFIX), or delete that index's indices first"
                    )
            settings = self._cluster.settings
            made = {self._names.versions(part): index_body(part, self._names.uid, settings) for part in Part}
            made[self._names.sets] = set_index(self._names.uid, settings)
            for name, body in made.items():
                if not indices.exists(index=name):
                    # another process may make it between the two
                    self._cluster.client.options(ignore_status=400).indices.create(index=name, body=body)
        self._alias(0, {part: self._names.state(part, 0) for part in Part})
        self.show(0)

    def check(self) -> None:
        """Raises CorruptIndex where the indices are not there, or of a version that this Hooke does not read."""
        names = [*(self._names.versions(part) for part in Part), self._names.sets]
        with cluster_errors(self._cluster.location):
            found = self._cluster.client.indices.get_mapping(index=",".join(names), ignore_unavailable=True).body
        for name in names:
            meta = found.get(name, {}).get("mappings", {}).get("_meta", {}).get("hooke", {})
            if meta.get("index") != self._names.uid:
                raise CorruptIndex(
                    f"{name} is not at {self._cluster.location}: restore it from a backup of the cluster, or index "
                    "again into a new directory"
                )
            if meta.get("version") != VERSION:
                raise CorruptIndex(
                    f"{name} has mapping version {meta.get('version')}, this Hooke reads {VERSION}: index again into a "
                    "new directory and prefix, and delete these indices afterwards"
                )

    def publish(self, state: int, committed: int, expected: Mapping[Part, int]) -> None:
        """Give a state its aliases, once it is whole. committed: the state before it. Raises CorruptIndex."""
        self._cluster.refresh(self._names.sets)
        for part, count in expected.items():
            bodies: list[Body] = [
                {"query": query, "size": 0, "track_total_hits": True}
                for query in (alive(state), _between(committed, state))
            ]
            answers = self._cluster.searches(self._names.versions(part), bodies)
            found, strays = (answer["hits"]["total"]["value"] for answer in answers)
            # what a killed writer had sent can come in after the next one has cleaned up
            if found != count or strays:
                raise CorruptIndex(
                    f"{self._names.versions(part)} holds {found} {part} where {count} were put, and {strays} that were "
                    "not: nothing was published; run the same command again, which starts from the last commit"
                )
        self._alias(state, {part: self._names.state(part, state) for part in expected})

    def show(self, state: int) -> None:
        """Turn the aliases for onlookers to a committed state, both at once."""
        self._alias(state, {part: self._names.current(part) for part in Part})

    def clean(self, committed: int, oldest: int) -> None:
        """Take back what was written after a commit, and drop the versions that only states before the oldest had."""
        self._refuse_stale(committed)
        self._refresh_all()
        for part in Part:
            index = self._names.versions(part)
            # first give back their lives, then take away what was to follow
            revived = self._write(index, _after("died", committed), lambda i, d: update(i, d, {"died": None}))
            unborn = self._write(index, _after("born", committed), delete)
            self._unalias(part, oldest)
            self._write(index, {"range": {"died": {"lte": oldest}}}, delete)
            if revived or unborn:
                logger.info("%s: took back %s records that were not committed", index, unborn)
        self._write(self._names.sets, _after("seq", sequence_number(committed + 1, 0) - 1), delete)
        # what was taken back must not be found by the writer that asks next
        self._refresh_all()
        self.show(committed)

    def _refresh_all(self) -> None:
        self._cluster.refresh(*(self._names.versions(part) for part in Part), self._names.sets)

    def _refuse_stale(self, committed: int) -> None:
        """Raises Conflict where another copy of the directory has committed since: that is not ours to clean."""
        name = self._names.current(Part.STUDIES)
        with cluster_errors(self._cluster.location):
            found = self._cluster.client.indices.get_alias(name=name, ignore_unavailable=True).body
        for alias in (index["aliases"].get(name, {}) for index in found.values()):
            shown = alias["filter"]["bool"]["must_not"][0]["range"]["born"]["gt"] if "filter" in alias else 0
            if shown > committed:
                raise Conflict(
                    f"this directory is a copy that has fallen behind (state {committed}, the index is at {shown}): "
                    "write from the directory that is ahead, or copy that one here"
                )

    def clean_if_possible(self, committed: int) -> None:
        """Take back what was written after a commit; what fails is done by the next writer."""
        with suppress(HookeError):
            self.clean(committed, 0)

    def _write(self, index: str, query: Body, action: Callable[[str, str], Action]) -> int:
        """Carry out an action on every document of a query; one that is gone meanwhile needs none."""
        hits = self._cluster.scan(index, {"query": query, "_source": False, "sort": ["_shard_doc"]}, size=_SCANNED)
        return self._writes.write_all((action(index, hit["_id"]) for hit in hits), ignored_status=MISSING)

    def _alias(self, state: int, aliases: Mapping[Part, str]) -> None:
        actions: list[Body] = [
            {"add": {"index": self._names.versions(part), "alias": alias, "filter": alive(state)}}
            for part, alias in aliases.items()
        ]
        with cluster_errors(self._cluster.location):
            self._cluster.client.indices.update_aliases(actions=actions)

    def _unalias(self, part: Part, oldest: int) -> None:
        """From here on a reader of an older state is told that it is gone."""
        index = self._names.versions(part)
        with cluster_errors(self._cluster.location):
            found = self._cluster.client.indices.get_alias(index=index).body[index]["aliases"]
            gone = [name for name in found if name.startswith(f"{index}-") and _state_of(name, index) < oldest]
            actions: list[Body] = [{"remove": {"index": index, "alias": name}} for name in gone]
            if actions:
                self._cluster.client.indices.update_aliases(actions=actions)


def _after(field: str, number: int) -> Body:
    return {"range": {field: {"gt": number}}}


def _state_of(alias: str, index: str) -> int:
    """The number of a state's alias; somebody else's alias is of no state, and stays."""
    number = alias[len(index) + 1 :]
    return int(number) if number.isdecimal() else sys.maxsize


def _between(committed: int, state: int) -> Body:
    """What was written by neither the writer of a state nor one before the last commit."""
    bounds: Body = {"gt": committed, "lt": state}
    return {"bool": {"should": [{"range": {"born": bounds}}, {"range": {"died": bounds}}]}}

"""Writing: every change is a new version of a record, born in a state that no reader sees until it is committed."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from hooke.errors import BadInput, Conflict, UnknownRecord
from hooke.model import Image, Level, Manifest, Snapshot, Study, Unresolved
from hooke.store.base import Refused, Stored
from hooke.store.database import driver_errors
from hooke.store.elasticsearch import ledger
from hooke.store.elasticsearch.bulk import Action, Batch, Bulk, Put, Sent
from hooke.store.elasticsearch.cluster import Cluster
from hooke.store.elasticsearch.document import (
    Document,
    Documents,
    FieldSet,
    Heirlooms,
    heritage,
    read_image,
    read_study,
)
from hooke.store.elasticsearch.ledger import State
from hooke.store.elasticsearch.mapping import Names, Part, part_of, sequence_number
from hooke.store.elasticsearch.sets import by_field, set_action
from hooke.store.elasticsearch.states import States
from hooke.store.elasticsearch.versions import Change, Side, Version
from hooke.store.worklist import Worklist

T = TypeVar("T")
_CHUNK = 1_000
_FRESH = 200_000
_KNOWN_SETS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Home:
    """A study that images are put to."""

    ordinal: int
    study: Study


class ElasticsearchWriter:
    """The one writer of an index; see `hooke.store.base.MetadataWriter`."""

    def __init__(self, cluster: Cluster, names: Names, connection: sqlite3.Connection, path: Path) -> None:
        self._cluster = cluster
        self._names = names
        self._connection = connection
        self._path = path
        self._worklist = Worklist(connection)
        self._states = States(cluster, names)
        self._bulk = Bulk(cluster, self._settle)
        self._documents = Documents()
        self._known_sets: set[str] = set()
        self._refused: list[Refused] = []
        self._refused_studies: set[str] = set()
        with driver_errors(path):
            committed = ledger.newest(connection)
            self._states.clean(committed.number, self._oldest_state())
            self._begin(committed)

    def put_studies(self, studies: Iterable[Study]) -> None:
        """Add or replace studies; their images inherit anew."""
        for chunk in _chunks(studies):
            self._put_studies({study.id: study for study in chunk})

    def put_images(self, images: Iterable[Image], *, part: str = "") -> None:
        """Add or replace images of known studies."""
        side = self._sides[Part.IMAGES]
        for chunk in _chunks(images):
            unique = {image.id: image for image in chunk}
            known = self._newest(side, list(unique))
            homes = {study: self._home_if_taken(study) for study in {image.study_id for image in unique.values()}}
            orphans = [image for image in unique.values() if homes[image.study_id] is None]
            self._refused += [Refused(image.id, f"its study {image.study_id!r} was refused") for image in orphans]
            changes = (
                self._image_change(image, home.ordinal, home.study, known.get(key), part)
                for key, image in unique.items()
                if (home := homes[image.study_id])
            )
            self._send(side, changes)

    def delete(self, level: Level, ids: Iterable[str]) -> int:
        """Delete records, a study with its images."""
        side = self._sides[part_of(level)]
        wanted = list(ids)
        if not wanted:
            return 0
        self._refresh(side)
        gone = {
            key: v for chunk in _chunks(wanted) for key, v in side.newest(chunk, payload=True).items() if not v.gone
        }
        if level is Level.STUDY and gone:
            images = self._sides[Part.IMAGES]
            self._refresh(images)
            self._bury(images, images.of_studies({version.ordinal for version in gone.values()}))
            self._studies.clear()
        self._bury(side, gone.items())
        return len(gone)

    def restore(self, level: Level, records: Iterable[Stored]) -> None:
        """Put what another store holds, under the ordinals it has there."""
        side = self._sides[part_of(level)]
        if side.next:
            raise Conflict(f"{self._cluster.location} holds {level} records already: copy to a new prefix")
        for chunk in _chunks(records):
            owners = self._owners({stored.study_id for stored in chunk}) if level is Level.IMAGE else {}
            self._send(side, [self._restored(stored, owners) for stored in chunk])
            side.next = max(side.next, *(stored.ordinal + 1 for stored in chunk))

    def put_unresolved(self, part: str, unresolved: Mapping[Unresolved, int]) -> None:
        """Replace the worklist entries of one input."""
        with driver_errors(self._path):
            self._worklist.put(part, unresolved)

    def mark_part(self, part: str, digest: str) -> None:
        """Remember that an input was indexed whole."""
        with driver_errors(self._path):
            self._worklist.mark(part, digest)

    def refused(self) -> tuple[Refused, ...]:
        """What the cluster would not take since this was last asked."""
        self._bulk.drain()
        told, self._refused = tuple(self._refused), []
        return told

    def commit(self, manifest: Manifest) -> Snapshot:
        """Publish what was put as one snapshot."""
        self._bulk.drain()
        extents = {part: side.extent for part, side in self._sides.items()}
        state = self._committed
        if self._changed:
            state = self._state
            for side in self._sides.values():
                self._refresh(side)
            live = {part: len(extent.live) for part, extent in extents.items()}
            self._states.publish(state, self._committed, live)
        with driver_errors(self._path):
            snapshot = ledger.add(self._connection, manifest, state, extents)
            ledger.supersede(self._connection, state)
            self._connection.execute("COMMIT")
            self._begin(State(snapshot, state, extents))
        self._states.show(state)
        return snapshot

    def close(self) -> None:
        """Forget what was not committed; the writer is spent."""
        self._bulk.close()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if self._changed:
            # what the ledger says, not what this writer remembers: it may have failed just after a commit
            with suppress(sqlite3.Error):
                self._states.clean_if_possible(ledger.newest(self._connection).number)

    def _begin(self, committed: State) -> None:
        """Start a transaction whose state has a number that nobody had, not even a writer that was killed."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._state = ledger.reserve_state(self._connection)
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        self._committed = committed.number
        self._sets_made = 0
        self._changed = False
        self._studies: dict[str, _Home] = {}
        self._heirlooms: dict[str, tuple[int, str]] = {}
        self._sides = {part: Side(self._cluster, self._names.versions(part), committed.extents[part]) for part in Part}

    def _oldest_state(self) -> int:
        self._connection.execute("BEGIN IMMEDIATE")
        oldest = ledger.forget_states(self._connection)
        self._connection.execute("COMMIT")
        return oldest

    def _put_studies(self, studies: Mapping[str, Study]) -> None:
        side = self._sides[Part.STUDIES]
        self._refresh(side)
        self._refused_studies.difference_update(studies)
        known = side.newest(list(studies), payload=True)
        changes, heirs = [], {}
        for key, study in studies.items():
            former, document = known.get(key), self._documents.study(study)
            if former and not former.gone and former.digest == document.digest:
                continue
            ordinal = former.ordinal if former else side.take_ordinal()
            changes.append(Change(key, ordinal, ordinal, "", former, document))
            if former and not former.gone and heritage(read_study(former.payload or {})) != heritage(study):
                heirs[ordinal] = study
        self._send(side, changes)
        self._studies.clear()
        if heirs:
            self._bulk.drain()
            self._inherit_anew({o: study for o, study in heirs.items() if study.id not in self._refused_studies})

    def _inherit_anew(self, studies: Mapping[int, Study]) -> None:
        side = self._sides[Part.IMAGES]
        self._refresh(side)
        for chunk in _chunks(side.of_studies(studies)):
            changes = (
                self._image_change(read_image(former.payload or {}), former.study, studies[former.study], former)
                for _, former in chunk
            )
            self._send(side, changes)

    def _image_change(
        self, image: Image, owner: int, study: Study, former: Version | None, part: str | None = None
    ) -> Change | None:
        """None where the index has it so already; part None: the one it had."""
        document = self._image_document(image, owner, study)
        part = part if part is not None else former.part if former else ""
        if former and not former.gone and (former.digest, former.part) == (document.digest, part):
            return None
        ordinal = former.ordinal if former else self._sides[Part.IMAGES].take_ordinal()
        return Change(image.id, ordinal, owner, part, former, document)

    def _image_document(self, image: Image, owner: int, study: Study) -> Document:
        document, heirlooms = self._documents.image(image, study)
        return document._replace(body={**document.body, "heirlooms": self._heirlooms_ordinal(heirlooms, owner)})

    def _heirlooms_ordinal(self, heirlooms: Heirlooms, owner: int) -> int:
        """The number of what a group of images inherits, whose document is brought up to date on the way."""
        key, made = heirlooms.key, heirlooms.document.digest
        ordinal, known = self._heirlooms.get(key, (-1, ""))
        if known != made:
            side = self._sides[Part.HEIRLOOMS]
            former = side.newest([key]).get(key)
            ordinal = former.ordinal if former else side.take_ordinal()
            if former is None or former.digest != made:
                body = {**heirlooms.document.body, "record": {"id": key}}
                document = heirlooms.document._replace(body=body)
                self._send(side, [Change(key, ordinal, owner, "", former, document)])
            self._heirlooms[key] = ordinal, made
        return ordinal

    def _restored(self, stored: Stored, owners: Mapping[str, Version]) -> Change:
        owner = owners[stored.study_id] if owners else None
        match stored.record:
            case Study() as study:
                document: Document | None = self._documents.study(study)
            case Image() as image:
                home = self._home(stored.study_id)
                document = self._image_document(image, home.ordinal, home.study)
            case None:
                document = None
        study_ordinal = owner.ordinal if owner else stored.ordinal
        return Change(stored.id, stored.ordinal, study_ordinal, stored.part, None, document, stored.study_id)

    def _bury(self, side: Side, versions: Iterable[tuple[str, Version]]) -> None:
        for chunk in _chunks(versions):
            self._send(side, [_burial(key, version) for key, version in chunk])

    def _home(self, study_id: str) -> _Home:
        home = self._home_if_taken(study_id)
        if home is None:
            raise UnknownRecord(f"no study {study_id!r} at {self._cluster.location}: it was refused")
        return home

    def _home_if_taken(self, study_id: str) -> _Home | None:
        """The study of images; None where the cluster refused it. Raises UnknownRecord for one that was never put."""
        home = self._studies.get(study_id)
        if home is None:
            self._refresh(self._sides[Part.STUDIES])
            version = self._sides[Part.STUDIES].newest([study_id], payload=True).get(study_id)
            if version is None or version.gone:
                if study_id in self._refused_studies:
                    return None
                raise UnknownRecord(
                    f"no study {study_id!r} at {self._cluster.location}: put the study before its images"
                )
            home = self._studies[study_id] = _Home(version.ordinal, read_study(version.payload or {}))
        return home

    def _owners(self, study_ids: Iterable[str]) -> dict[str, Version]:
        """The studies' versions, of deleted studies too."""
        self._refresh(self._sides[Part.STUDIES])
        return self._sides[Part.STUDIES].newest(list(study_ids))

    def _send(self, side: Side, changes: Iterable[Change | None]) -> None:
        """Queue changes for the cluster, each as it is made: five hundred documents at once do not fit a cache."""
        puts: list[Put] = []
        sets: list[FieldSet] = []
        for change in changes:
            if change:
                if change.record_id in side.fresh:
                    self._bulk.drain()  # neither may a version overtake the one before it, nor its refusal come later
                puts.append(side.put(change, self._state))
                sets += self._unknown(change)
        if not puts:
            return
        self._changed = True
        self._bulk.send(Batch(side.index, puts, self._state, [self._set_action(group) for group in by_field(sets)]))
        if len(side.fresh) > _FRESH:
            self._refresh(side)

    def _unknown(self, change: Change) -> list[FieldSet]:
        """The sets that a change names and that may not be in the index yet."""
        former = change.former.sets if change.former else ()
        sets = change.document.sets if change.document else ()
        unknown = [held for held in sets if held.key not in self._known_sets and held.key not in former]
        if len(self._known_sets) > _KNOWN_SETS:
            self._known_sets.clear()
        self._known_sets.update([held.key for held in unknown])
        return unknown

    def _set_action(self, sets: Sequence[FieldSet]) -> Action:
        self._sets_made += 1
        return set_action(self._names.sets, sets, sequence_number(self._state, self._sets_made))

    def _settle(self, sent: Sent) -> None:
        if not sent.reason:
            return
        part, side = next((part, side) for part, side in self._sides.items() if side.index == sent.index)
        if part is Part.HEIRLOOMS:  # images name it already: without it they could not be found by what they inherit
            raise BadInput(f"{self._cluster.location} refuses what images inherit ({sent.reason}): shorten it")
        side.refuse(sent.put)
        self._refused.append(Refused(sent.put.record_id, sent.reason))
        if part is Part.STUDIES:
            self._refused_studies.add(sent.put.record_id)

    def _newest(self, side: Side, ids: Sequence[str]) -> dict[str, Version]:
        """The newest versions; those that are under way have to arrive first, since they may be refused."""
        if any(key in side.fresh for key in ids):
            self._bulk.drain()
        if side.unsure:
            self._refresh(side)
        return side.newest(ids)

    def _refresh(self, side: Side) -> None:
        if side.fresh or side.unsure:
            self._bulk.drain()
            side.refresh()


def _burial(record_id: str, version: Version) -> Change:
    study_id = (version.payload or {}).get("study", record_id)
    return Change(record_id, version.ordinal, version.study, version.part, version, None, study_id)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk

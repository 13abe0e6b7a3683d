"""Writing: records first, then what they add to the search structures, all in one transaction until a commit."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pyroaring import BitMap

from hooke.errors import Conflict, UnknownRecord
from hooke.inherit import effective_values, image_values, inherited_values, naming_values, study_values
from hooke.model import Image, Level, Manifest, Snapshot, Study, Unresolved, Value
from hooke.store.base import Refused, Stored
from hooke.store.database import driver_errors
from hooke.store.sqlite.cells import Cell, CellTable, Names, unpack
from hooke.store.sqlite.columns import drop_from_columns, images_of, set_owners
from hooke.store.sqlite.postings import Postings
from hooke.store.sqlite.rows import ImageRow, StudyRow, cells_blob, select_images, select_studies
from hooke.store.sqlite.schema import ANY_FIELD, LEVEL_CODE, bitmap, blob
from hooke.store.worklist import Worklist

_FLUSH_PAIRS = 3_000_000
"""Pending pairs of a value and a record at which they are sorted and merged, about a gigabyte with their values."""
_CHUNK = 2_000
_PUT_STUDY = "INSERT OR REPLACE INTO studies VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_IMAGE = "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

T = TypeVar("T")
InheritGroup = tuple[int, str | None, frozenset[int]]
"""A study, a dataset, and the fields of which images speak themselves."""


class SqliteWriter:
    """The one writer of an index file; see `hooke.store.base.MetadataWriter`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._worklist = Worklist(connection)
        self._begin()
        with driver_errors(path):
            self._cells = CellTable(connection)
            self._parts = Names(connection, "part_names", "name")

    def put_studies(self, studies: Iterable[Study]) -> None:
        """Add or replace studies; their images inherit anew."""
        with driver_errors(self._path):
            for chunk in _chunks(studies):
                self._put_studies({study.id: study for study in chunk})

    def put_images(self, images: Iterable[Image], *, part: str = "") -> None:
        """Add or replace images of known studies."""
        with driver_errors(self._path):
            number = self._parts.number(part)
            for chunk in _chunks(images):
                self._put_images({image.id: image for image in chunk}, number)
                self._flush_when_large()

    def delete(self, level: Level, ids: Iterable[str]) -> int:
        """Delete records, a study with its images."""
        wanted = list(ids)
        if not wanted:
            return 0
        with driver_errors(self._path):
            self._flush()
            if level is Level.IMAGE:
                return self._delete_images("id", wanted)
            gone = {row.ordinal: row.study for row in self._select_studies("id", wanted) if row.live}
            self._delete_images("ord", images_of(self._connection, gone))
            self._forget(Level.STUDY, {ordinal: study_values(study) for ordinal, study in gone.items()})
            self._bury(Level.STUDY, list(gone))
        return len(gone)

    def put_unresolved(self, part: str, unresolved: Mapping[Unresolved, int]) -> None:
        """Replace the worklist entries of one input."""
        with driver_errors(self._path):
            self._worklist.put(part, unresolved)

    def mark_part(self, part: str, digest: str) -> None:
        """Remember that an input was indexed whole."""
        with driver_errors(self._path):
            self._worklist.mark(part, digest)

    def restore(self, level: Level, records: Iterable[Stored]) -> None:
        """Put what another store holds, under the ordinals it has there."""
        with driver_errors(self._path):
            if self._next_ordinal("studies" if level is Level.STUDY else "images"):
                raise Conflict(f"{self._path} holds {level} records already: copy into a new index")
            for chunk in _chunks(records):
                if level is Level.STUDY:
                    self._restore_studies(chunk)
                else:
                    self._restore_images(chunk)
                    self._flush_when_large()

    def refused(self) -> tuple[Refused, ...]:
        """Nothing: a file takes every record."""
        return ()

    def commit(self, manifest: Manifest) -> Snapshot:
        """Publish what was put as one snapshot."""
        with driver_errors(self._path):
            self._flush()
            created = datetime.now(UTC).isoformat(timespec="seconds")
            cursor = self._connection.execute(
                "INSERT INTO snapshots (created, ontologies, segments, space) VALUES (?, ?, ?, ?)",
                (created, manifest.ontologies, json.dumps(manifest.segments), manifest.space),
            )
            self._connection.execute("COMMIT")
            self._begin()
        return Snapshot(int(cursor.lastrowid or 0), manifest, created)

    def rollback(self) -> None:
        """Forget what was not committed; the writer is spent."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _restore_studies(self, chunk: Sequence[Stored]) -> None:
        for stored in chunk:
            if isinstance(stored.record, Study):
                self._put_study(stored.record, StudyRow(stored.ordinal, stored.record, live=False))
        dead = [(s.ordinal, s.id, s.id, "[]", "[]", b"", 0) for s in chunk if s.record is None]
        self._connection.executemany(_PUT_STUDY, dead)

    def _restore_images(self, chunk: Sequence[Stored]) -> None:
        owners = {row.study.id: row.ordinal for row in self._select_studies("id", [*{s.study_id for s in chunk}])}
        rows = []
        for stored in chunk:
            part = self._parts.number(stored.part)
            if isinstance(stored.record, Image):
                rows.append(self._image_row(stored.record, stored.ordinal, part))
            else:
                dead = (stored.ordinal, stored.id, owners[stored.study_id], None, stored.id, b"", None, 0, part)
                rows.append(dead)
        self._connection.executemany(_PUT_IMAGE, rows)

    def _begin(self) -> None:
        with driver_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._live = {
                level: bitmap(row[0]) if row else BitMap()
                for level, code in LEVEL_CODE.items()
                for row in [self._connection.execute("SELECT bitmap FROM live WHERE level = ?", (code,)).fetchone()]
            }
        self._postings = {level: Postings(code) for level, code in LEVEL_CODE.items()}
        self._inheriting: defaultdict[InheritGroup, BitMap] = defaultdict(BitMap)
        self._studies: dict[str, StudyRow] = {}
        # their cells may not be saved: those of all others are
        self._has_new_studies = False

    def _put_studies(self, studies: dict[str, Study]) -> None:
        # what waits to inherit must inherit from the study as it was when its images were put
        self._flush()
        known = {row.study.id: row for row in self._select_studies("id", list(studies))}
        self._forget(Level.STUDY, {row.ordinal: study_values(row.study) for row in known.values() if row.live})
        known_ordinals = [row.ordinal for row in known.values()]
        heirs = self._select_images("ord", images_of(self._connection, known_ordinals))
        self._forget_images(heirs)
        for study in studies.values():
            self._put_study(study, known.get(study.id))
        for row in heirs:
            self._index_image(row.ordinal, row.study_ordinal, row.image, list(map(self._cells.cell, row.image.values)))

    def _put_study(self, study: Study, known: StudyRow | None) -> None:
        ordinal = known.ordinal if known else self._next_ordinal("studies")
        # before the datasets': a value is shown as it was first spelt
        own = cells_blob(self._cells.cell(v).id for v in study.values)
        datasets = [[d.name, [self._cells.cell(v).id for v in d.values]] for d in study.datasets]
        self._connection.execute(
            _PUT_STUDY,
            (
                ordinal,
                study.id,
                study.title,
                json.dumps(study.origins),
                json.dumps(datasets),
                own,
                1,
            ),
        )
        self._live[Level.STUDY].add(ordinal)
        self._studies[study.id] = StudyRow(ordinal, study, live=True)
        self._has_new_studies = True
        self._postings[Level.STUDY].add(map(self._cells.cell, study_values(study)), ordinal)

    def _put_images(self, images: dict[str, Image], part: int) -> None:
        known = {row.image.id: row for row in self._select_images("id", self._stored_images(images))}
        same = {row.image.id for row in known.values() if row.live and row.image == images[row.image.id]}
        self._connection.executemany("UPDATE images SET part = ? WHERE id = ?", ((part, image) for image in same))
        images = {key: image for key, image in images.items() if key not in same}
        changed = [row for row in known.values() if row.live and row.image.id in images]
        if changed:
            self._flush()
            self._forget_images(changed)
        following = self._next_ordinal("images")
        rows = []
        for image in images.values():
            row = known.get(image.id)
            rows.append(self._image_row(image, row.ordinal if row else following, part))
            following += row is None
        self._connection.executemany(_PUT_IMAGE, rows)

    def _image_row(self, image: Image, ordinal: int, part: int) -> tuple[object, ...]:
        """The row of an image, which is indexed on the way."""
        study = self._study(image.study_id)
        cells = [self._cells.cell(value) for value in image.values]
        self._live[Level.IMAGE].add(ordinal)
        self._index_image(ordinal, study.ordinal, image, cells)
        path = image.pixels.path if image.pixels else None
        stored = cells_blob([cell.id for cell in cells])
        return ordinal, image.id, study.ordinal, image.dataset, image.title, stored, path, 1, part

    def _index_image(self, ordinal: int, study_ordinal: int, image: Image, cells: list[Cell]) -> None:
        """Index an image, given the cells of its own values."""
        cells = [*map(self._cells.passing_cell, naming_values(image)), *cells]
        self._postings[Level.IMAGE].add(cells, ordinal)
        speaks = frozenset([cell.field for cell in cells if cell.speaks])
        self._inheriting[study_ordinal, image.dataset, speaks].add(ordinal)

    def _distinct(self, values: Iterable[Value]) -> list[Cell]:
        return list({cell.id: cell for cell in map(self._cells.cell, values)}.values())

    def _study(self, study_id: str) -> StudyRow:
        row = self._studies.get(study_id)
        if row is None:
            found = [row for row in self._select_studies("id", [study_id]) if row.live]
            if not found:
                raise UnknownRecord(f"no study {study_id!r} in {self._path}: put the study before its images")
            row = self._studies[study_id] = found[0]
        return row

    def _select_studies(self, column: str, keys: Sequence[str] | Sequence[int]) -> list[StudyRow]:
        if self._has_new_studies:
            self._cells.save()  # rows are read back through their cells
        return select_studies(self._connection, column, keys)

    def _stored_images(self, ids: Iterable[str]) -> list[str]:
        rows = self._connection.execute(
            "SELECT i.id FROM json_each(?) j JOIN images i ON i.id = j.value", (json.dumps(list(ids)),)
        )
        return [image for (image,) in rows]

    def _select_images(self, column: str, keys: Sequence[str] | Sequence[int]) -> list[ImageRow]:
        if not keys:
            return []
        self._cells.save()
        return select_images(self._connection, column, keys)

    def _next_ordinal(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT coalesce(max(ord) + 1, 0) FROM {table}").fetchone()[0])

    def _delete_images(self, column: str, keys: Sequence[str] | Sequence[int]) -> int:
        rows = [row for row in self._select_images(column, keys) if row.live]
        # now, while what they inherited is still known
        self._forget_images(rows)
        self._bury(Level.IMAGE, [row.ordinal for row in rows])
        return len(rows)

    def _bury(self, level: Level, ordinals: Sequence[int]) -> None:
        table = "studies" if level is Level.STUDY else "images"
        self._connection.executemany(f"UPDATE {table} SET live = 0 WHERE ord = ?", ((o,) for o in ordinals))
        self._live[level] -= BitMap(ordinals)
        self._studies.clear()

    def _forget_images(self, rows: Sequence[ImageRow]) -> None:
        ordinals = sorted({row.study_ordinal for row in rows})
        studies = {row.ordinal: row.study for row in self._select_studies("ord", ordinals)}
        self._forget(
            Level.IMAGE,
            {
                row.ordinal: effective_values(
                    image_values(row.image), inherited_values(studies[row.study_ordinal], row.image.dataset)
                )
                for row in rows
            },
        )

    def _forget(self, level: Level, records: Mapping[int, Iterable[Value]]) -> None:
        """Take records out of every posting and column; their rows stay. Nothing may be pending."""
        if not records:
            return
        code, gone = LEVEL_CODE[level], BitMap(records)
        own = self._distinct({value for values in records.values() for value in values})
        cells = [*own, *(map(self._cells.inherited, own) if level is Level.IMAGE else ())]
        keys = {key for cell in cells for key in cell.keys}
        remove = "SET bitmap = bitmap_andnot(bitmap, ?) WHERE level = ? AND"
        packed = blob(gone)
        self._connection.executemany(
            f"UPDATE tokens {remove} field = ? AND token = ?",
            ((packed, code, field, self._cells.tokens[token]) for field, token in map(unpack, keys)),
        )
        self._connection.executemany(
            f"UPDATE term_postings {remove} field = ? AND term = ?",
            ((packed, code, *unpack(term)) for term in {term for cell in cells for term in cell.terms}),
        )
        self._connection.executemany(
            f"UPDATE cell_postings {remove} cell = ?",
            ((packed, code, posting) for cell in cells for posting in cell.posting),
        )
        fields = {unpack(item)[0] for cell in cells for item in cell.items}
        drop_from_columns(self._connection, code, fields | {ANY_FIELD}, gone)

    def _flush_when_large(self) -> None:
        if sum(map(len, self._postings.values())) > _FLUSH_PAIRS:
            self._flush()

    def _flush(self) -> None:
        self._settle_inheritance()
        for level, postings in self._postings.items():
            if len(postings):
                postings.flush(self._connection, self._cells)
            code = LEVEL_CODE[level]
            self._connection.execute("INSERT OR REPLACE INTO live VALUES (?, ?)", (code, blob(self._live[level])))
            self._postings[level] = Postings(code)
        self._cells.forget()
        self._has_new_studies = False

    def _settle_inheritance(self) -> None:
        ordinals = sorted({study for study, _, _ in self._inheriting})
        studies = {row.ordinal: row.study for row in self._select_studies("ord", ordinals)}
        names = self._cells.fields.by_number()
        owned: defaultdict[int, BitMap] = defaultdict(BitMap)
        from_above = cache(lambda study, dataset: inherited_values(studies[study], dataset))
        for (study, dataset, spoken), images in self._inheriting.items():
            inherited = from_above(study, dataset)
            # only the field names of the own values matter to what is inherited
            silent = effective_values((Value(names[field], "") for field in spoken), inherited)[len(spoken) :]
            self._postings[Level.IMAGE].add_shared(map(self._cells.inherited, self._distinct(silent)), images)
            owned[study] |= images
        self._inheriting.clear()
        set_owners(self._connection, owned)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk

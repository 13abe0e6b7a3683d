"""Reading one snapshot; see `hooke.store.base.MetadataReader`."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.errors import BadInput, UnknownRecord
from hooke.model import Level, Record, Snapshot, Study, Unresolved
from hooke.query import Node, Position, Query, SortKey
from hooke.sorting import Floats
from hooke.store.base import EVERYTHING, FieldStats, Hit, Page, Stored, ValueSet
from hooke.store.cache import Cache
from hooke.store.sqlite.columns import read_owners
from hooke.store.sqlite.evaluate import Evaluator
from hooke.store.sqlite.ranks import LAST, ranks, title_ranks
from hooke.store.sqlite.rows import image_records, select_images, select_studies, study_records
from hooke.store.sqlite.schema import ANY_FIELD, EMPTY_BYTES, LEVEL_CODE
from hooke.store.worklist import Worklist

_AFTER_ANY_TOKEN = "\U0010ffff"
_STORED_AT_ONCE = 2_000

Ordinals = npt.NDArray[np.uint32]
Places = npt.NDArray[np.float32] | Floats


class SqliteReader:
    """One read transaction on an index file."""

    def __init__(self, connection: sqlite3.Connection, snapshot: Snapshot, cache: Cache) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._cache = cache
        self._worklist = Worklist(connection)
        self._sides: dict[tuple[Level, Node], tuple[npt.NDArray[np.uint32], bool]] = {}
        self._levels = {level: Evaluator(connection, level, cache) for level in Level}

    @property
    def snapshot(self) -> Snapshot:
        """The state that this reader sees."""
        return self._snapshot

    @property
    def is_remote(self) -> bool:
        """The file is here."""
        return False

    def check(self) -> None:
        """Ask the file."""
        self._connection.execute("SELECT 1 FROM snapshots LIMIT 1").fetchone()

    def search(self, query: Query) -> Page:
        """The matching records, best first."""
        if query.limit < 1:
            raise BadInput(f"limit must be at least 1, not {query.limit}")
        evaluator = self._levels[query.level]
        matching = evaluator.match(query.where)
        scores = evaluator.scores(query.where, matching)
        ordinals = np.array(matching.to_array(), np.uint32)
        places, end = self._places(query, ordinals, scores)
        rest = _after(places, ordinals, end, query.after)
        best = rest[_first(places[rest], query.limit)]
        hits = tuple(Hit(int(ordinals[i]), float(scores[i])) for i in best.tolist())
        more = len(rest) > len(hits)
        return Page(hits, len(ordinals), Position(hits[-1].score, hits[-1].ordinal) if more else None)

    def _places(self, query: Query, ordinals: Ordinals, scores: npt.NDArray[np.float32]) -> tuple[Places, float]:
        """Where each matching record stands, the first least, and where the position does."""
        after = query.after
        if query.order is None:
            return -scores, -float(np.float32(after.score)) if after else 0.0
        ranks = self._ranks(query.level, query.order.key)
        if query.order.descending:
            ranks = np.where(ranks < LAST, -ranks, LAST)
        if after and after.ordinal >= len(ranks):
            raise BadInput(f"no {query.level} has the ordinal {after.ordinal}: start again from the first page")
        return ranks[ordinals], float(ranks[after.ordinal]) if after else 0.0

    def _ranks(self, level: Level, key: SortKey) -> Floats:
        def make() -> Floats:
            evaluator, size = self._levels[level], self._next_ordinal(level)
            return title_ranks(self._connection, level, size) if key is SortKey.TITLE else ranks(evaluator, key, size)

        return self._cache.get((level, "ranks", key), make)

    def ordinals(self, level: Level, where: Node) -> BitMap:
        """The ordinals of every matching record."""
        return BitMap(self._levels[level].match(where))

    def value_sets(self, level: Level, field: str) -> Sequence[ValueSet]:
        """Every set of values that a record can have in a field."""
        return self._levels[level].column(field).sets

    def count_sets(self, level: Level, fields: Sequence[str], where: Node) -> tuple[npt.NDArray[np.int64], ...]:
        """How many of the matching records have each set, field by field."""
        return tuple(self._count_sets(level, field, where) for field in fields)

    def _count_sets(self, level: Level, field: str, where: Node) -> npt.NDArray[np.int64]:
        column = self._levels[level].column(field)
        ordinals, inside = self._smaller_side(level, where)
        return column.count(ordinals) if inside else column.totals - column.count(ordinals)

    def _smaller_side(self, level: Level, where: Node) -> tuple[npt.NDArray[np.uint32], bool]:
        """The records that match, or where those are most, the live ones that do not; and which of the two."""
        # one filter serves all the facets of a request; arrays are too large to keep beyond it
        side = self._sides.get((level, where))
        if side is None:
            matching, live = self._levels[level].match(where), self._levels[level].live
            inside = 2 * len(matching) <= len(live)
            ordinals = np.array((matching if inside else live - matching).to_array(), np.uint32)
            side = self._sides[level, where] = (ordinals, inside)
        return side

    def study_sets(self, field: str, where: Node) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which sets of a field the matching images of each study have."""
        evaluator = self._levels[Level.IMAGE]
        column, images = evaluator.column(field), np.array(evaluator.match(where).to_array(), np.uint32)
        codes = column.codes_of(images)
        having = codes < len(column.sets)
        everyone, owners = self._ownership()
        studies = owners[np.searchsorted(everyone, images[having])].astype(np.int64)
        pairs = np.unique(studies << 32 | codes[having])
        return pairs >> 32, pairs & 0xFFFFFFFF

    def _next_ordinal(self, level: Level) -> int:
        table = "studies" if level is Level.STUDY else "images"
        return int(self._connection.execute(f"SELECT coalesce(max(ord) + 1, 0) FROM {table}").fetchone()[0])

    def labels(self, level: Level, field: str) -> Mapping[str, str]:
        """The label of every term that annotates a record in a field."""
        return self._cache.get((level, "labels", field), lambda: self._read_labels(level, field))

    def _read_labels(self, level: Level, field: str) -> dict[str, str]:
        labels = self._cache.get("labels", self._read_all_labels)
        used = self.terms_in_use(level, field)
        return {term: label for term, label in labels.get(field, {}).items() if term in used}

    def _read_all_labels(self) -> dict[str, dict[str, str]]:
        labels: dict[str, dict[str, str]] = {}
        for _, text in self._mentioned():
            for field, _, term, label, *_ in json.loads(text):
                labels.setdefault(field, {})[term] = label
        return labels

    def _mentioned(self) -> sqlite3.Cursor:
        """The cells with mentions, few among all."""
        return self._connection.execute(
            "SELECT id, mentions FROM cells INDEXED BY cells_mentions WHERE mentions IS NOT NULL"
        )

    def terms_in_use(self, level: Level, field: str | None = None) -> frozenset[str]:
        """The terms that annotate a live or once live record directly."""
        number = self._levels[level].field_number(field)

        def make() -> frozenset[str]:
            rows = self._connection.execute(
                "SELECT t.term FROM term_postings p JOIN terms t ON t.id = p.term WHERE p.level = ? AND p.field = ?",
                (LEVEL_CODE[level], number),
            )
            return frozenset(term for (term,) in rows)

        return self._cache.get((level, "terms", field), make)

    def tokens(self, level: Level, prefix: str, *, field: str | None = None, limit: int = 401) -> tuple[str, ...]:
        """Indexed tokens with a prefix, sorted."""
        number = self._levels[level].field_number(field)
        rows = self._connection.execute(
            "SELECT DISTINCT token FROM tokens WHERE level = ? AND token BETWEEN ? AND ? AND length(bitmap) != ? "
            "AND ? IN (field, ~field, ?) ORDER BY token LIMIT ?",
            (LEVEL_CODE[level], prefix, prefix + _AFTER_ANY_TOKEN, EMPTY_BYTES, number, ANY_FIELD, limit),
        )
        return tuple(token for (token,) in rows)

    def token_counts(self, level: Level, fields: Sequence[str], most: int) -> Mapping[str, int]:
        """About how many tokens each of some fields has: what a record says and what it inherits count apart."""
        # one pass: to list the tokens of one field takes as long, since those of all fields lie side by side
        rows = self._connection.execute(
            "SELECT f.name, sum(t.held) FROM (SELECT field, count(*) AS held FROM tokens WHERE level = ? "
            "AND length(bitmap) != ? GROUP BY field) t JOIN fields f ON f.id IN (t.field, ~t.field) GROUP BY f.id",
            (LEVEL_CODE[level], EMPTY_BYTES),
        )
        held = dict(rows)
        return {name: held.get(name, 0) for name in fields}

    def fields(self, level: Level) -> Mapping[str, FieldStats]:
        """Every field of a level by name."""
        return self._cache.get((level, "fields"), lambda: self._read_fields(level))

    def _read_fields(self, level: Level) -> dict[str, FieldStats]:
        rows = self._connection.execute(
            "SELECT f.name, sum(c.records) AS held FROM fields f LEFT JOIN columns c ON c.field = f.id AND c.level = ? "
            "GROUP BY f.id HAVING held > 0 OR EXISTS (SELECT 1 FROM canons v JOIN cell_postings p "
            "ON p.cell IN (v.cell, ~v.cell) WHERE v.field = f.id AND p.level = ? AND length(p.bitmap) != ?) "
            "ORDER BY f.name",
            (LEVEL_CODE[level], LEVEL_CODE[level], EMPTY_BYTES),
        )
        return {name: FieldStats(name, self.count(level) if count is None else count) for name, count in rows}

    def count(self, level: Level, where: Node = EVERYTHING) -> int:
        """How many live records match."""
        return len(self._levels[level].match(where))

    def get(self, level: Level, record_id: str) -> Record:
        """One record by id."""
        for record in self._records(level, "id", [record_id]):
            return record
        raise UnknownRecord(f"no {level} {record_id!r} in this index: search for it, or index its archive first")

    def records(self, level: Level, ordinals: Sequence[int]) -> tuple[Record, ...]:
        """Live records by ordinal, in the order asked."""
        found = {record.ordinal: record for record in self._records(level, "ord", list(ordinals))}
        return tuple(found[o] for o in ordinals if o in found)

    def _records(self, level: Level, column: str, keys: list[str] | list[int]) -> Iterator[Record]:
        if level is Level.STUDY:
            yield from study_records(row for row in select_studies(self._connection, column, keys) if row.live)
        else:
            images = [row for row in select_images(self._connection, column, keys) if row.live]
            yield from image_records(self._connection, images)

    def studies(self, ids: Sequence[str]) -> tuple[Study, ...]:
        """The live studies of these ids as they were put."""
        return tuple(row.study for row in select_studies(self._connection, "id", list(ids)) if row.live)

    def images_with_pixels(self) -> Iterator[tuple[int, str]]:
        """Ordinal and path of every live image whose pixels can be read."""
        yield from self._connection.execute(
            "SELECT ord, pixels FROM images WHERE live AND pixels IS NOT NULL ORDER BY ord"
        )

    def study_ordinals(self, images: BitMap) -> BitMap:
        """The studies that the images belong to."""
        ordinals, studies = self._ownership()
        return BitMap(studies[np.isin(ordinals, np.array(images.to_array(), np.uint32))])

    def image_ordinals(self, studies: BitMap) -> BitMap:
        """The live images of the studies."""
        ordinals, owners = self._ownership()
        return BitMap(ordinals[np.isin(owners, np.array(studies.to_array(), np.uint32))])

    def owners(self, images: BitMap) -> npt.NDArray[np.uint32]:
        """The ordinal of the study of each of some live images."""
        ordinals, owners = self._ownership()
        return owners[np.searchsorted(ordinals, np.array(images.to_array(), np.uint32))]

    def _ownership(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return self._cache.get("ownership", lambda: read_owners(self._connection))

    def unresolved(self, limit: int = 100) -> tuple[tuple[Unresolved, int], ...]:
        """The worklist, most frequent first."""
        return self._worklist.most_frequent(limit)

    def unresolved_count(self) -> int:
        """How many distinct values no term was found for."""
        return self._worklist.count()

    def mention_counts(self) -> Mapping[str, int]:
        """How many of the records' own mentions were made by each method."""
        return self._cache.get("mentions", self._count_mentions)

    def _count_mentions(self) -> dict[str, int]:
        made = {cell: [mention[4] for mention in json.loads(text)] for cell, text in self._mentioned()}
        uses = self._count_cells()
        counts: dict[str, int] = {}
        for cell, methods in made.items():
            for method in methods:
                counts[method] = counts.get(method, 0) + int(uses[cell] if cell < len(uses) else 0)
        return counts

    def _count_cells(self) -> npt.NDArray[np.int64]:
        """How many live records have each cell themselves: int64, by cell id."""
        blobs = [
            row[0]
            for table in ("studies", "images")
            for row in self._connection.execute(f"SELECT cells FROM {table} WHERE live")
        ]
        return np.bincount(np.frombuffer(b"".join(blobs), "<i4")).astype(np.int64)

    def part_digest(self, part: str) -> str | None:
        """The digest under which an input was last indexed whole."""
        return self._worklist.digest(part)

    def image_ids(self, part: str) -> frozenset[str]:
        """The live images that were last put from an input."""
        rows = self._connection.execute(
            "SELECT i.id FROM images i JOIN part_names p ON p.id = i.part WHERE p.name = ? AND i.live", (part,)
        )
        return frozenset(image for (image,) in rows)

    def size_bytes(self) -> int:
        """Bytes the metadata takes."""
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        return int(pages * self._connection.execute("PRAGMA page_size").fetchone()[0])

    def stored(self, level: Level) -> Iterator[Stored]:
        """Every record that ever was, by ordinal."""
        ordinals = range(self._next_ordinal(level))
        for start in range(0, len(ordinals), _STORED_AT_ONCE):
            chunk = list(ordinals[start : start + _STORED_AT_ONCE])
            yield from self._stored_studies(chunk) if level is Level.STUDY else self._stored_images(chunk)

    def _stored_studies(self, ordinals: list[int]) -> Iterator[Stored]:
        for row in select_studies(self._connection, "ord", ordinals):
            yield Stored(row.study.id, row.study.id, row.ordinal, row.study if row.live else None)

    def _stored_images(self, ordinals: list[int]) -> Iterator[Stored]:
        parts = dict(
            self._connection.execute(
                "SELECT i.ord, p.name FROM images i JOIN part_names p ON p.id = i.part WHERE i.ord BETWEEN ? AND ?",
                (ordinals[0], ordinals[-1]),
            )
        )
        for row in select_images(self._connection, "ord", ordinals):
            image = row.image
            yield Stored(image.id, image.study_id, row.ordinal, image if row.live else None, parts[row.ordinal])

    def parts(self) -> Mapping[str, str]:
        """The inputs that were indexed whole, with their digests."""
        return self._worklist.parts()

    def worklists(self) -> Iterator[tuple[str, Mapping[Unresolved, int]]]:
        """The worklist by input."""
        yield from self._worklist.by_part()


def _after(places: Places, ordinals: Ordinals, end: float, position: Position | None) -> npt.NDArray[np.int64]:
    """Indices of what comes after a position, whose place is `end`."""
    if position is None:
        return np.arange(len(places))
    return np.flatnonzero((places > end) | ((places == end) & (ordinals > position.ordinal)))


def _first(places: Places, limit: int) -> npt.NDArray[np.int64]:
    """Indices of the first `limit`, place up, then ordinal up; ordinals come ascending."""
    if len(places) > limit:
        last = np.partition(places, limit - 1)[limit - 1]
        before = np.flatnonzero(places < last)
        # of those that tie at the end only the first are shown
        ties = np.flatnonzero(places == last)[: limit - len(before)]
        candidates = np.sort(np.concatenate([before, ties]))
    else:
        candidates = np.arange(len(places))
    # stable: candidates are in order of ordinals already
    return candidates[np.argsort(places[candidates], kind="stable")][:limit]

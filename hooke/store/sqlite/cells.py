"""Distinct values: each is stored, split into tokens and given its terms once, however many records have it."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple

from pyroaring import BitMap

from hooke.fields import TEXT_FIELDS, UNCOUNTED_FIELDS
from hooke.inherit import is_prose
from hooke.model import Mention, Method, Value
from hooke.store.sqlite.schema import ANY_FIELD, handed_down
from hooke.text import fold, tokens

_REMEMBERED = 2_000_000
"""Cells whose numbers are kept in memory, about 400 bytes each."""
_SIEVED = 4
"""Bytes of a key by which it is known to be surely not in the database; two each in memory."""


class Cell(NamedTuple):  # made by the million: a frozen dataclass takes five times as long
    """What one distinct value adds to every record that has it.

    Pairs are packed (see `pack`). keys: (field, token). terms: (field, term). items: (field, item), an item as in table
    `columns`. posting: its canonical cell when no column names the value, or it is prose.
    speaks: whether a record that has it inherits nothing of the field (see `hooke.inherit`).
    """

    id: int
    field: int
    keys: tuple[int, ...]
    terms: tuple[int, ...]
    items: tuple[int, ...]
    posting: tuple[int, ...]
    speaks: bool
    prose: bool


class Names:
    """A table that numbers names from 1, cached whole."""

    def __init__(self, connection: sqlite3.Connection, table: str, column: str) -> None:
        self._connection = connection
        self._insert = f"INSERT INTO {table} (id, {column}) VALUES (?, ?)"
        self._ids: dict[str, int] = {
            name: number for number, name in connection.execute(f"SELECT id, {column} FROM {table}")
        }

    def number(self, name: str) -> int:
        """The number of a name, a new one for a new name."""
        found = self._ids.get(name)
        if found is None:
            found = self._ids[name] = len(self._ids) + 1
            self._connection.execute(self._insert, (found, name))
        return found

    def by_number(self) -> dict[int, str]:
        """Every name, by its number."""
        return {number: name for name, number in self._ids.items()}


class CellTable:
    """The writer's view of `cells`: finds a value's cell or adds it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.fields = Names(connection, "fields", "name")
        self.terms = Names(connection, "terms", "term")
        self._fields: dict[str, tuple[int, bool, bool, bool]] = {}
        self.tokens: list[str] = []
        self._token_ids = _TokenIds(self.tokens)
        self._next = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM cells").fetchone()[0]
        # what may be in the database but not in memory has to be looked for there; None: anything
        self._forgotten: BitMap | None = None if self._next > 1 else BitMap()
        self._known: dict[bytes, tuple[int, int]] = {}
        self._new_cells: list[tuple[object, ...]] = []
        self._new_canons: list[tuple[int, bytes, int]] = []
        self._new_words: list[tuple[int, str]] = []
        self._by_digest: dict[bytes, Cell] = {}
        self._inherited: dict[int, Cell] = {}
        self._canon: dict[bytes, int] = {}
        # the object is kept beside its cell, so that its id() cannot be reused while it is a key
        self._by_identity: dict[int, tuple[Value, Cell]] = {}

    def cell(self, value: Value) -> Cell:
        """The cell of a value; sources repeat the same object, which is found without hashing its text."""
        seen = self._by_identity.get(id(value))
        if seen is not None:
            return seen[1]
        cell = self.passing_cell(value)
        self._by_identity[id(value)] = (value, cell)
        return cell

    def passing_cell(self, value: Value) -> Cell:
        """The cell of a value whose object will not be seen again."""
        mentions = json.dumps([list(asdict(m).values()) for m in value.mentions]) if value.mentions else None
        ids = _packed_ids(value)
        key = digest(value.field, value.text, ids or "", mentions or "")
        cell = self._by_digest.get(key)
        if cell is None:
            cell = self._by_digest[key] = self._load(value, ids, mentions, key) or self._add(value, ids, mentions, key)
        return cell

    def inherited(self, cell: Cell) -> Cell:
        """What the value adds to images that inherit it: prose is posted apart from what they say themselves."""
        if not cell.prose:
            return cell
        found = self._inherited.get(cell.id)
        if found is None:
            keys = tuple([pack(handed_down(field), token) for field, token in map(unpack, cell.keys)])
            posting = tuple(map(handed_down, cell.posting))
            found = cell._replace(id=handed_down(cell.id), keys=keys, posting=posting)
            self._inherited[cell.id] = found
        return found

    def save(self) -> None:
        """Write the new cells; row by row would take three times as long."""
        self._connection.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?)", self._new_cells)
        # in the order of the tree: half as much work as in the order in which they came
        self._connection.executemany("INSERT INTO canons VALUES (?, ?, ?)", sorted(self._new_canons))
        self._connection.executemany("INSERT INTO cell_words (rowid, words) VALUES (?, ?)", self._new_words)
        self._new_cells.clear()
        self._new_canons.clear()
        self._new_words.clear()

    def forget(self) -> None:
        """Drop the caches that grow with the input: after this, cells come from the database again."""
        self.save()
        self._by_identity.clear()
        self._by_digest.clear()
        self._inherited.clear()
        self._token_ids.clear()
        self.tokens.clear()
        if len(self._known) > _REMEMBERED:
            if self._forgotten is not None:
                self._forgotten.update(map(_sieved, chain(self._known, self._canon)))
            self._known.clear()
            self._canon.clear()

    def _may_be_stored(self, key: bytes) -> bool:
        return self._forgotten is None or _sieved(key) in self._forgotten

    def _load(self, value: Value, ids: str | None, mentions: str | None, key: bytes) -> Cell | None:
        row = self._known.get(key)
        if row is None and self._may_be_stored(key):
            canon = self._stored_canon(self.fields.number(value.field), digest(fold(value.text)))
            row = self._connection.execute(
                "SELECT id, ?1 FROM (SELECT * FROM cells WHERE id = ?1 UNION ALL SELECT * FROM cells WHERE canon = ?1) "
                "WHERE text = ?2 AND ids IS ?3 AND mentions IS ?4",
                (canon, value.text, ids, mentions),
            ).fetchone()
        return self._build(row[0], row[1], value, tokens(value.text)) if row else None

    def _add(self, value: Value, ids: str | None, mentions: str | None, key: bytes) -> Cell:
        field = self.fields.number(value.field)
        folded = digest(fold(value.text))
        number = self._next
        self._next += 1
        canon = self._canonical(field, folded, number)
        self._known[key] = (number, canon)
        own = canon == number
        self._new_cells.append((number, field, value.text, ids, mentions, None if own else canon))
        words = tokens(value.text)
        if own:
            self._new_canons.append((field, folded, number))
        if own and len(words) > 1:  # a single word needs no phrase index
            self._new_words.append((number, " ".join(words)))
        return self._build(number, canon, value, words)

    def _canonical(self, field: int, folded: bytes, number: int) -> int:
        key = folded + field.to_bytes(4, "little")
        found = self._canon.get(key)
        if found is None and self._may_be_stored(key):
            found = self._stored_canon(field, folded)
        return self._canon.setdefault(key, number if found is None else found)

    def _stored_canon(self, field: int, folded: bytes) -> int | None:
        row = self._connection.execute(
            "SELECT cell FROM canons WHERE field = ? AND folded = ?", (field, folded)
        ).fetchone()
        return int(row[0]) if row else None

    def _build(self, number: int, canon: int, value: Value, text: tuple[str, ...]) -> Cell:
        field, counted, speaks, prose = self._field(value.field)
        in_field, token_ids = pack(field, 0), self._token_ids
        keys = tuple([in_field | token_ids[token] for token in set(text)])
        mentioned = {(self.fields.number(m.field), self.terms.number(m.term)) for m in value.mentions}
        if mentioned:
            counted = counted and all(named != field for named, _ in mentioned)
            speaks = speaks and not value.from_text
        items = (in_field | canon * 2,) if counted else ()
        return Cell(
            number,
            field,
            keys,
            tuple({pack(f, term) for named, term in mentioned for f in (named, ANY_FIELD)}),
            (*items, *[pack(f, term * 2 + 1) for f, term in mentioned]),
            (canon,) if prose or not counted else (),
            speaks,
            prose,
        )

    def _field(self, name: str) -> tuple[int, bool, bool, bool]:
        """A field's number, and whether its values are counted, silence inherited ones, and are prose."""
        found = self._fields.get(name)
        if found is None:
            counted, speaks = name not in UNCOUNTED_FIELDS, name not in TEXT_FIELDS
            found = self._fields[name] = self.fields.number(name), counted, speaks, is_prose(name)
        return found


class _TokenIds(dict[str, int]):
    """The places of tokens in a list, to which a new one is added."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__()
        self._tokens = tokens

    def __missing__(self, token: str) -> int:
        self._tokens.append(token)
        place = self[token] = len(self._tokens) - 1
        return place


def pack(first: int, second: int) -> int:
    """Two numbers below 2**31 as one."""
    return first << 32 | second


def unpack(packed: int) -> tuple[int, int]:
    """The two numbers of `pack`."""
    return packed >> 32, packed & 0xFFFFFFFF


def load_values(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Value]:
    """Cells back as values, by id."""
    wanted = json.dumps(sorted(set(ids)))
    rows = connection.execute(
        "SELECT c.id, f.name, c.text, c.ids, c.mentions FROM json_each(?) j JOIN cells c ON c.id = j.value "
        "JOIN fields f ON f.id = c.field",
        (wanted,),
    )
    return {number: _value(field, text, given, mentions) for number, field, text, given, mentions in rows}


def _packed_ids(value: Value) -> str | None:
    if value.dragged:
        return json.dumps({"dragged": value.ids})
    return json.dumps(value.ids) if value.ids else None


def _value(field: str, text: str, packed: str | None, mentions: str | None) -> Value:
    ids: Any = json.loads(packed) if packed else ()
    dragged = isinstance(ids, dict)
    given = tuple(ids["dragged"] if dragged else ids)
    return Value(field, text, given, _mentions(mentions) if mentions else (), dragged)


def _mentions(text: str) -> tuple[Mention, ...]:
    return tuple(
        Mention(field, given, term, label, Method(method), score, *rest)
        for field, given, term, label, method, score, *rest in json.loads(text)
    )


def _sieved(key: bytes) -> int:
    return int.from_bytes(key[:_SIEVED], "little")


def digest(*parts: str) -> bytes:
    """A key of fixed size for texts of any length: of a thousand million of them no two are alike."""
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).digest()

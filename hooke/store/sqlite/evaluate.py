"""Answering a query tree with bitmaps, and ranking what matches."""

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.errors import BadInput
from hooke.inherit import is_prose
from hooke.model import Level
from hooke.query import Among, And, Best, Equals, Everything, Node, Not, Or, Phrase, Range, Terms, Words, scoring
from hooke.store.base import ValueSet
from hooke.store.cache import Cache
from hooke.store.sqlite.cells import digest
from hooke.store.sqlite.columns import read_column, read_sets
from hooke.store.sqlite.schema import ANY_FIELD, LEVEL_CODE, bitmap, handed_down
from hooke.text import fold, number, tokens


@dataclass(frozen=True)
class Column:
    """A field of a level: ascending `ordinals` and, for each, the index of its set in `sets`."""

    ordinals: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.int32]
    sets: tuple[ValueSet, ...]

    @cached_property
    def totals(self) -> npt.NDArray[np.int64]:
        """How many records have each set."""
        return np.bincount(self.codes, minlength=len(self.sets)).astype(np.int64)

    @cached_property
    def by_ordinal(self) -> npt.NDArray[np.int32]:
        """For each ordinal the index of its set; one past the last set where it has none, or lies beyond the end."""
        end = int(self.ordinals[-1]) + 1 if len(self.ordinals) else 0
        dense = np.full(end + 1, len(self.sets), np.int32)
        dense[self.ordinals] = self.codes
        return dense

    def codes_of(self, ordinals: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        """The index of the set of each ordinal, as `by_ordinal` has it."""
        dense = self.by_ordinal
        known = ordinals if not len(ordinals) or ordinals[-1] < len(dense) else np.minimum(ordinals, len(dense) - 1)
        return dense[known]

    def count(self, ordinals: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """How many of some ascending ordinals have each set."""
        return np.bincount(self.codes_of(ordinals), minlength=len(self.sets) + 1)[:-1].astype(np.int64)

    @cached_property
    def numbers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Every number in the sets, and the index of its set."""
        found = [(n, i) for i, s in enumerate(self.sets) for n in map(number, s.values) if n is not None]
        return np.array([n for n, _ in found], np.float64), np.array([i for _, i in found], np.int64)

    @cached_property
    def by_value(self) -> dict[str, list[int]]:
        """The sets that hold a folded value."""
        found: dict[str, list[int]] = {}
        for index, held in enumerate(self.sets):
            for value in held.values:
                found.setdefault(fold(value), []).append(index)
        return found

    def having(self, sets: Iterable[int]) -> BitMap:
        """The ordinals that have one of the sets."""
        chosen = np.zeros(len(self.sets), bool)
        chosen[list(sets)] = True
        return BitMap(self.ordinals[chosen[self.codes]])


class Evaluator:
    """Turns nodes into bitmaps over one level of one snapshot."""

    def __init__(self, connection: sqlite3.Connection, level: Level, cache: Cache) -> None:
        self._connection = connection
        self.level = level
        self._code = LEVEL_CODE[level]
        self._cache = cache

    @property
    def live(self) -> BitMap:
        """Every record that is not deleted."""
        return self._cache.get((self.level, "live"), self._read_live)

    def match(self, node: Node) -> BitMap:
        """The live records that a node matches; do not change the bitmap, it is shared."""
        return self._cache.get((self.level, node), lambda: self._match(node))

    def column(self, field: str) -> Column:
        """A field's column."""
        return self._cache.get((self.level, "column", field), lambda: self._read_column(field))

    def field_number(self, field: str | None) -> int | None:
        """The number of a field; None when no value was ever put in it."""
        if field is None:
            return ANY_FIELD
        row = self._connection.execute("SELECT id FROM fields WHERE name = ?", (field,)).fetchone()
        return int(row[0]) if row else None

    def scores(self, node: Node, matching: BitMap) -> npt.NDArray[np.float32]:
        """The score of each matching record, in ascending order of ordinals: float32 (len(matching),)."""
        ordinals = np.array(matching.to_array(), np.uint32)
        total = np.zeros(len(ordinals), np.float32)
        for best in scoring(node):
            total += self._score(best, matching, ordinals)
        return total

    def _score(self, best: Best, matching: BitMap, ordinals: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
        # by ordinal, with gaps: finding each record's place among those that match takes far longer
        scores = np.zeros(int(ordinals[-1]) + 1 if len(ordinals) else 0, np.float32)
        for option in sorted(best.options, key=lambda option: option.weight):
            scores[np.array((self.match(option.node) & matching).to_array(), np.uint32)] = option.weight
        idf = math.log1p(len(self.live) / max(1, len(self.match(best))))
        return scores[ordinals] * np.float32(idf)

    def _match(self, node: Node) -> BitMap:
        match node:
            case Everything():
                return self.live
            case Words() | Terms() | Phrase() | Equals() | Range():
                return self._leaf(node) & self.live
            case Among(ordinals):
                return BitMap(ordinals) & self.live
            case And(children):
                # smallest first, so that each intersection is small
                return BitMap.intersection(self.live, *sorted(map(self.match, children), key=len))
            case Or(children):
                return BitMap.union(BitMap(), *map(self.match, children))
            case Best(options):
                return BitMap.union(BitMap(), *(self.match(option.node) for option in options))
            case Not(child):
                return self.live - self.match(child)
            case _:
                raise BadInput(f"a store does not answer {type(node).__name__}: expand it first")

    def _leaf(self, node: Words | Terms | Phrase | Equals | Range) -> BitMap:
        field = self.field_number(node.field)
        if field is None:
            return BitMap()
        match node:
            case Words(words):
                return self._words(words, field, self._hears(node))
            case Terms(terms):
                return self._union("term_postings", "term", field, self._term_numbers(terms))
            case Phrase():
                return self._phrase(node, field)
            case Equals(name, value):
                return self._equals(name, field, value)
            case Range():
                return self._range(node)

    def _hears(self, node: Words | Phrase) -> bool:
        """Whether inherited prose may match; a study has none."""
        return node.inherited_prose and self.level is Level.IMAGE

    def _words(self, words: Iterable[str], field: int, inherited_prose: bool) -> BitMap:
        said = self._union("tokens", "token", field, words)
        return said | self._union("tokens", "token", handed_down(field), words) if inherited_prose else said

    def _union(self, table: str, column: str, field: int, keys: Iterable[object]) -> BitMap:
        # a token's fields lie side by side; its bitmap over all of them is not stored
        any_field = {ANY_FIELD: "field >= ?", handed_down(ANY_FIELD): "field <= ?"} if table == "tokens" else {}
        statement = (
            f"SELECT bitmap FROM {table} WHERE level = ? AND {column} = ? AND {any_field.get(field, 'field = ?')}"
        )
        rows = (row for key in keys for row in self._connection.execute(statement, (self._code, key, field)))
        return BitMap.union(BitMap(), *(bitmap(row[0]) for row in rows))

    def _term_numbers(self, terms: Iterable[str]) -> list[int]:
        statement = "SELECT id FROM terms WHERE term = ?"
        rows = (self._connection.execute(statement, (term,)).fetchone() for term in terms)
        return [row[0] for row in rows if row]

    def _phrase(self, node: Phrase, field: int) -> BitMap:
        words, name = node.tokens, node.field
        if not words:
            return BitMap()
        if len(words) == 1:
            return self._words(words, field, self._hears(node))
        rows = self._connection.execute(
            "SELECT c.id, c.text, f.name FROM cell_words w JOIN cells c ON c.id = w.rowid "
            "JOIN fields f ON f.id = c.field WHERE cell_words MATCH ?",
            ('"' + " ".join(words) + '"',),
        ).fetchall()
        # FTS5's Unicode tables are older than Python's, so its answer is checked
        found = [
            (cell, text, held)
            for cell, text, held in rows
            if (name is None or held == name) and _holds(tokens(text), words)
        ]
        return BitMap.union(BitMap(), *(self._with_cell(*cell, self._hears(node)) for cell in found))

    def _with_cell(self, cell: int, text: str, name: str, inherited_prose: bool) -> BitMap:
        """The records with a value, given its canonical cell: a column names it, or a posting does, or both."""
        if is_prose(name):
            own = self._posted(cell)
            return own | self._posted(handed_down(cell)) if inherited_prose else own
        column = self.column(name)
        return column.having(column.by_value.get(fold(text), ())) | self._posted(cell)

    def _posted(self, cell: int) -> BitMap:
        row = self._connection.execute(
            "SELECT bitmap FROM cell_postings WHERE level = ? AND cell = ?", (self._code, cell)
        ).fetchone()
        return bitmap(row[0]) if row else BitMap()

    def _equals(self, name: str, field: int, value: str) -> BitMap:
        row = self._connection.execute(
            "SELECT cell FROM canons WHERE field = ? AND folded = ?", (field, digest(fold(value)))
        ).fetchone()
        return self._with_cell(row[0], value, name, inherited_prose=True) if row else BitMap()

    def _range(self, node: Range) -> BitMap:
        column = self.column(node.field)
        numbers, sets = column.numbers
        inside = np.ones(len(numbers), bool)
        if node.low is not None:
            inside &= (numbers >= node.low) if node.include_low else (numbers > node.low)
        if node.high is not None:
            inside &= (numbers <= node.high) if node.include_high else (numbers < node.high)
        return column.having(sets[inside].tolist())

    def _read_live(self) -> BitMap:
        row = self._connection.execute("SELECT bitmap FROM live WHERE level = ?", (self._code,)).fetchone()
        return bitmap(row[0]) if row else BitMap()

    def _read_column(self, name: str) -> Column:
        field = self.field_number(name)
        ordinals, codes = read_column(self._connection, self._code, -1 if field is None else field)
        used, local = np.unique(codes, return_inverse=True)
        return Column(ordinals, local.astype(np.int32), self._value_sets(used.tolist(), field))

    def _value_sets(self, numbers: list[int], field: int | None) -> tuple[ValueSet, ...]:
        if field is None:
            return ()
        items = read_sets(self._connection, field, numbers)
        texts = self._spellings(field, {item >> 1 for held in items for item in held if not item & 1})
        terms = self._cache.get("terms", lambda: dict(self._connection.execute("SELECT id, term FROM terms")))
        return tuple(
            ValueSet(
                frozenset(terms[item >> 1] for item in held if item & 1),
                frozenset(texts[item >> 1] for item in held if not item & 1),
            )
            for held in items
        )

    def _spellings(self, field: int, canons: Iterable[int]) -> dict[int, str]:
        """How each value was first spelt where it stands for itself: where it was given a term, it is not listed."""
        rows = self._connection.execute(
            "WITH wanted AS (SELECT value AS canon FROM json_each(?)) "
            "SELECT canon, text, min(id) FROM ("
            "SELECT w.canon, c.id, c.text, c.mentions FROM wanted w CROSS JOIN cells c ON c.id = w.canon UNION ALL "
            "SELECT w.canon, c.id, c.text, c.mentions FROM cells c JOIN wanted w ON w.canon = c.canon "
            "WHERE c.canon IS NOT NULL) "
            "WHERE mentions IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(mentions) m JOIN fields f ON f.id = ? "
            "WHERE m.value ->> 0 = f.name) GROUP BY canon",
            (json.dumps(sorted(canons)), field),
        )
        return {canon: text for canon, text, _ in rows}


def _holds(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))

"""Queries out of the words, values, terms and numbers that real records have: the same for the same seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.model import DEFAULT_RELATIONS, IS_A, Level
from hooke.query import (
    Among,
    And,
    Best,
    Equals,
    Everything,
    Node,
    Not,
    Or,
    Phrase,
    Range,
    Terms,
    Weighted,
    Words,
)
from hooke.request import Filter, SearchRequest
from hooke.store.base import MetadataReader
from hooke.text import number, tokens

T = TypeVar("T")
_RECORDS = 400
_ABSENT_WORD = "zyzzyva"
_ABSENT_FIELD = "nowhere"
_ABSENT_ORDINAL = 3_000_000_000
_PREFIX_WORDS = 401


@dataclass(frozen=True)
class Vocabulary:
    """What some records of a level have, each by field. runs: words next to each other in one value."""

    level: Level
    fields: tuple[str, ...]
    words: tuple[tuple[str, str], ...]
    runs: tuple[tuple[str, tuple[str, ...]], ...]
    terms: tuple[tuple[str, str, str], ...]
    values: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, float], ...]
    ordinals: tuple[int, ...]


def read_vocabulary(reader: MetadataReader, level: Level, seed: int) -> Vocabulary:
    """The vocabulary of a sample of records."""
    live = list(reader.ordinals(level, Everything()))
    ordinals = sorted(random.Random(seed).sample(live, min(_RECORDS, len(live))))
    values = list(dict.fromkeys(v for record in reader.records(level, ordinals) for v in record.values))
    return Vocabulary(
        level,
        tuple(reader.fields(level)),
        _distinct((v.field, word) for v in values for word in tokens(v.text)),
        _distinct((v.field, words) for v in values for words in [tokens(v.text)] if len(words) > 1),
        _distinct((m.field, m.term, m.label) for v in values for m in v.mentions),
        _distinct((v.field, v.text) for v in values),
        _distinct((v.field, found) for v in values for found in [number(v.text)] if found is not None),
        tuple(ordinals),
    )


def _distinct(items: Iterator[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


class Nodes:
    """Makes query trees as stores take them."""

    def __init__(self, vocabulary: Vocabulary, reader: MetadataReader, chance: random.Random) -> None:
        self._vocabulary = vocabulary
        self._reader = reader
        self._chance = chance
        # by weight: what people ask for most, most
        self._leaves: tuple[tuple[Callable[[], Node], int], ...] = (
            (self._words, 5),
            (self._phrase, 5),
            (self._prefix, 3),
            (self._terms, 5),
            (self._equals, 5),
            (self._range, 4),
            (self._among, 2),
            (Everything, 1),
        )

    def node(self, depth: int = 3) -> Node:
        """A tree of at most so many levels over its leaves."""
        kind = self._chance.choices(["leaf", "and", "or", "not", "best"], [4, 3, 2, 1, 3])[0] if depth else "leaf"
        inner = partial(self.node, depth - 1)
        match kind:
            case "and":
                return And(self._several(inner, 0 if depth < 3 else 2))
            case "or":
                return Or(self._several(inner, 0 if depth < 3 else 2))
            case "not":
                return Not(inner())
            case "best":
                return Best(
                    tuple(Weighted(node, self._chance.choice([1.0, 2.0, 5.0])) for node in self._several(inner))
                )
        make = self._chance.choices([leaf for leaf, _ in self._leaves], [weight for _, weight in self._leaves])[0]
        return make()

    def fields(self) -> list[str]:
        """Fields to count: some of every archive's, some of a table's, at times one that is not there."""
        mine = [name for name in self._vocabulary.fields if name not in (*FACET_FIELDS, *UNCOUNTED_FIELDS)]
        rest = self._chance.sample(mine, min(2, len(mine)))
        absent = [_ABSENT_FIELD] if self._chance.random() < 0.1 else []
        return [*self._chance.sample(FACET_FIELDS, 2), *rest, *absent]

    def prefix(self) -> tuple[str, str | None]:
        """The beginning of a word, and a field or none."""
        field, word = self._chance.choice(self._vocabulary.words)
        return word[: self._chance.randint(1, 4)], self._chance.choice([field, None])

    def _several(self, make: Callable[[], Node], least: int = 1) -> tuple[Node, ...]:
        return tuple(make() for _ in range(self._chance.randint(least, 3)))

    def _words(self) -> Node:
        found = self._chance.choices(self._vocabulary.words, k=self._chance.randint(1, 3))
        words = frozenset({*(word for _, word in found), *([_ABSENT_WORD] if self._chance.random() < 0.1 else [])})
        return Words(words, self._chance.choice([None, None, found[0][0], _ABSENT_FIELD]))

    def _phrase(self) -> Node:
        field, words = self._chance.choice(self._vocabulary.runs)
        start = self._chance.randrange(len(words))
        run = list(words[start : start + self._chance.randint(1, 4)])
        if self._chance.random() < 0.15:
            run.reverse()
        return Phrase(tuple(run), self._chance.choice([None, field]))

    def _prefix(self) -> Node:
        prefix, field = self.prefix()
        return Words(frozenset(self._reader.tokens(self._vocabulary.level, prefix, field=field, limit=_PREFIX_WORDS)))

    def _terms(self) -> Node:
        found = self._chance.choices(self._vocabulary.terms, k=self._chance.choice([1, 2, 5, 50]))
        return Terms(frozenset(term for _, term, _ in found), self._chance.choice([None, found[0][0]]))

    def _equals(self) -> Node:
        field, text = self._chance.choice(self._vocabulary.values)
        return Equals(field, self._chance.choice([text, text.upper(), f"  {text.replace(' ', '  ')}", text[:-1]]))

    def _range(self) -> Node:
        field, low = self._chance.choice(self._vocabulary.numbers)
        high = self._chance.choice([n for name, n in self._vocabulary.numbers if name == field])
        low, high = sorted((low, high))
        kept = self._chance.choice([(low, high), (low, None), (None, high), (None, None), (high, low)])
        return Range(field, *kept, self._chance.random() < 0.5, self._chance.random() < 0.5)

    def _among(self) -> Node:
        some = self._chance.sample(self._vocabulary.ordinals, self._chance.choice([0, 1, 50]))
        return Among(frozenset({*some, _ABSENT_ORDINAL}))


class Requests:
    """Makes requests as people send them, some of them wrong."""

    def __init__(self, vocabulary: Vocabulary, chance: random.Random) -> None:
        self._vocabulary = vocabulary
        self._chance = chance

    def request(self) -> SearchRequest:
        """Text, filters, bounds and facets, each or not."""
        chance, level = self._chance, self._vocabulary.level
        return SearchRequest(
            level,
            self._text() if chance.random() < 0.85 else "",
            self._maybe(0.2, self._filter),
            self._maybe(0.1, self._bounds),
            self._facets(),
            chance.choice([5, 1_000]),
            chance.choice([DEFAULT_RELATIONS, DEFAULT_RELATIONS, (IS_A,), ()]),
            chance.choice([7, 40, 200]),
            strict=chance.random() < 0.2,
            exclude_inferred=chance.random() < 0.1,
        )

    def _maybe(self, share: float, make: Callable[[], T]) -> tuple[T, ...]:
        return tuple(make() for _ in range(2) if self._chance.random() < share)

    def _text(self) -> str:
        pieces = [self._piece() for _ in range(self._chance.choice([1, 1, 1, 2, 3]))]
        operators = [self._chance.choice([" ", " AND ", " OR ", " OR ", " OR ", " NOT ", " -"]) for _ in pieces]
        text = "".join(piece + operator for piece, operator in zip(pieces, operators, strict=True))
        text = text.rstrip("- ").removesuffix(" AND").removesuffix(" OR").removesuffix(" NOT")
        broken = [f"({text}", f"{text} ^", f"{text}~2", f"NOT {text}", f"({text})"]
        return self._chance.choice(broken) if self._chance.random() < 0.15 else text

    def _piece(self) -> str:
        field, word = self._chance.choice(self._vocabulary.words)
        run_field, run = self._chance.choice(self._vocabulary.runs)
        _, term, label = self._chance.choice(self._vocabulary.terms)
        some = " ".join(run[: self._chance.randint(2, 4)])
        return self._chance.choice(
            [
                word,
                label,
                label,
                term,
                f'"{some}"',
                f'{run_field}:"{some}"',
                f"{field}:{word}",
                f"{word[:4]}*",
                f"{field}:{word[:3]}*",
                f"{word[:2]}{word[3:]}x",
                self._written_range(),
                f"({word} OR {label})",
            ]
        )

    def _written_range(self) -> str:
        field, low = self._chance.choice(self._vocabulary.numbers)
        return self._chance.choice([f"{field}:[{low:g} TO *]", f"{field}:{{* TO {low:g}]", f"{field}:>{low:g}"])

    def _filter(self) -> Filter:
        field, text = self._chance.choice([pair for pair in self._vocabulary.values if len(pair[1]) < 200])
        term_field, term, label = self._chance.choice(self._vocabulary.terms)
        name, values = self._chance.choice(
            [
                (field, (text,)),
                (field, (text.upper(), "no such value")),
                (term_field, (term,)),
                (term_field, (label,)),
                (term_field, (label, text)),
                (f"{field[:-1]}q", (text,)),
            ]
        )
        return Filter(name, values, self._chance.random() < 0.25)

    def _bounds(self) -> Range:
        field, bound = self._chance.choice(self._vocabulary.numbers)
        return self._chance.choice([Range(field, low=bound), Range(field, high=bound, include_high=False)])

    def _facets(self) -> tuple[str, ...]:
        mine = [name for name in self._vocabulary.fields if name not in UNCOUNTED_FIELDS]
        wrong = self._chance.choices([(), ("title",), (_ABSENT_FIELD,)], [30, 1, 1])[0]
        return (*self._chance.sample(mine, 2), self._chance.choice(FACET_FIELDS), *wrong)

"""A syntax tree as text: what `hooke.query_text` reads as that tree."""

import re
from decimal import Decimal
from types import UnionType

from hooke.errors import BadInput
from hooke.query import And, Everything, Fuzzy, Node, Not, Or, Phrase, Prefix, Range, TermRef, Text

_SPECIAL = re.compile(r'[\s:^~(){}\[\]"/\\*?<>+]|^[-\']')
_OPERATORS = ("AND", "OR", "NOT", "TO")


def print_query(node: Node) -> str:
    """The text of a tree as it was read; parentheses only where the reading needs them.

    >>> print_query(Or((Text(("light", "sheet")), And((Text(("mouse",), "organism"), Not(Phrase(("a", "b"))))))))
    'light sheet OR organism:mouse AND NOT "a b"'
    """
    match node:
        case Not(child):
            return "NOT " + (_inside(child) if isinstance(child, Text | Not) else _grouped(child, And | Or))
        case And(children):
            return " AND ".join(_grouped(child, And | Or) for child in children)
        case Or(children):
            return " OR ".join(_grouped(child, Or) for child in children)
    return _atom(node)


def _atom(node: Node) -> str:
    match node:
        case Everything():
            return "*"
        case Text():
            return _text(node)
        case Phrase(words, field):
            return _named(field) + f'"{" ".join(words)}"'
        case Prefix(prefix, field):
            return f"{_named(field)}{prefix}*"
        case Fuzzy(word, edits, field):
            return f"{_named(field)}{word}~{edits}"
        case TermRef(text, field):
            return _named(field) + text
        case Range():
            return _range(node)
    raise BadInput(f"{type(node).__name__} is nothing that a text can say")


def _grouped(node: Node, kinds: UnionType | type[Node]) -> str:
    return _inside(node) if isinstance(node, kinds) else print_query(node)


def _inside(node: Node) -> str:
    return f"({print_query(node)})"


def _text(text: Text) -> str:
    words = ("NOT " if text.not_first else "") + " ".join(map(_word, text.words))
    if text.field is None:
        return words
    # `organism:(9606)` and `organism:9606` may differ: only a bare id is an id
    return _named(text.field) + (words if words.isalpha() and words not in _OPERATORS else f"({words})")


def _word(word: str) -> str:
    """A word with the marks of the syntax escaped."""
    if word in _OPERATORS:
        return "\\" + word
    return _SPECIAL.sub(lambda mark: "\\" + mark[0], word)


def _named(field: str | None) -> str:
    return f"{field}:" if field else ""


def _range(node: Range) -> str:
    opening, closing = "[" if node.include_low else "{", "]" if node.include_high else "}"
    return f"{node.field}:{opening}{_bound(node.low)} TO {_bound(node.high)}{closing}"


def _bound(value: float | None) -> str:
    # without an exponent, whose sign would be an operator
    return "*" if value is None else f"{Decimal(repr(value)).normalize():f}"

"""Reading query text: Lucene's syntax, as people type it into a search box.

Words next to each other belong together more tightly than AND, and AND more tightly than OR, so that
`electron microscopy OR light-sheet` means what it looks like. (Lucene itself would read `microscopy OR light-sheet`.)
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import InvalidOperation

from luqum import tree
from luqum.exceptions import IllegalCharacterError, ParseError
from luqum.thread import parse

from hooke.errors import BadQuery
from hooke.query import And, Everything, Fuzzy, Node, Not, Or, Phrase, Prefix, Range, TermRef, Text
from hooke.text import number, tokens

_IRI = re.compile(r"https?://[^\s\"()]*[/#]([A-Za-z]+)[_:]([A-Za-z0-9]+)")
_LONE_MARK = re.compile(r"(?<!\S)[-+](?!\S)")
_QUOTED = re.compile(r'"[^"]*"')
_OPEN_START = re.compile(r"(?:^|[\s(:])([*?]+\w)")
_PATTERN = re.compile(r"(?:(?<=[\s(:])|^)/(?=[^\s/]*[\\()\[\]{}+*?|^$.])[^/]+/(?=[\s)]|$)")
_SEPARATORS = re.compile(r"(?<=[^\s\\])[,;]+(?=\s|$)")
MAX_CHARACTERS = 20_000
MAX_WORDS = 500
MAX_DEPTH = 50
MAX_EDITS = 2
_SHORT = 5
"""Letters of a word in which two edits would make any other word of it."""
_OPERATORS = (tree.OrOperation, tree.AndOperation, tree.UnknownOperation)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What text may refer to: the field a name stands for (None: none), and whether `prefix:local` looks like an id."""

    field: Callable[[str], str | None]
    is_id: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Reading:
    """A query text as a tree, and what had to be read otherwise than it was written."""

    node: Node
    notices: tuple[str, ...] = ()


def read_query(text: str, vocabulary: Vocabulary, *, strict: bool = False) -> Reading:
    """The tree of a query text; empty text means everything.

    Text that does not parse is read as plain words, with a notice; with `strict` it raises BadQuery with its position.
    Text that nobody types, and that would cost a store dear, raises BadQuery either way: see `_refuse`.
    """
    _refuse(text)
    # `rodents, light-sheet`; as long as it was, so that positions stay true
    text = _SEPARATORS.sub(lambda marks: " " * len(marks[0]), text)
    if not text.strip() or text.strip() == "*":
        return Reading(Everything())
    try:
        # as long as it was, too; `HeLa - GFP`: a mark by itself is punctuation, no NOT
        readable = _LONE_MARK.sub(" ", _IRI.sub(lambda iri: f"{iri[1]}:{iri[2]}".ljust(len(iri[0])), text))
        if not readable.strip():
            return Reading(Everything())
        parsed = parse(readable)
        reader = _Reader(vocabulary, strict)
        node = reader.node(parsed, None)
    except (ParseError, IllegalCharacterError, BadQuery, RecursionError, InvalidOperation, ValueError) as exc:
        position = _position(exc, text)
        if strict:
            raise BadQuery(f"query not understood at position {position}: {_one_line(exc)}", position) from exc
        return Reading(_plain(text), (f"{_one_line(exc)}; the text was searched as plain words",))
    return Reading(node, tuple(reader.notices))


def _refuse(text: str) -> None:
    """Raise BadQuery for text that is too long, too deep, or asks for every word with some end or of some pattern."""
    if len(text) > MAX_CHARACTERS:
        raise BadQuery(f"a query has at most {MAX_CHARACTERS:,} characters, not {len(text):,}", MAX_CHARACTERS)
    words = [match.start() for match in re.finditer(r"\S+", text)]
    if len(words) > MAX_WORDS:
        raise BadQuery(f"a query has at most {MAX_WORDS} words, not {len(words):,}", words[MAX_WORDS])
    unquoted = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    depth = 0
    for position, character in enumerate(unquoted):
        depth += (character == "(") - (character == ")")
        if depth > MAX_DEPTH:
            raise BadQuery(f"a query has at most {MAX_DEPTH} parts inside each other", position)
    if open_start := _OPEN_START.search(unquoted):
        raise BadQuery("a word cannot begin with * or ?: type its first letters, as in mito*", open_start.start(1))
    if pattern := _PATTERN.search(unquoted):
        raise BadQuery("regular expressions are not supported: use words, and prefixes as in mito*", pattern.start())


def _plain(text: str) -> Node:
    # without the marks of the syntax, so that the words can name terms
    words = tuple(word for word in re.split(r'[\s"()\[\]{}]+', text) if tokens(word))
    return Text(words) if words else Everything()


@dataclass(frozen=True, slots=True)
class _Operator:
    name: str


class _Reader:
    def __init__(self, vocabulary: Vocabulary, strict: bool) -> None:
        self._vocabulary = vocabulary
        self._strict = strict
        self.notices: list[str] = []

    def node(self, item: tree.Item, field: str | None) -> Node:
        """One luqum tree as ours."""
        parts = list(_flatten(item))
        ors = [node for part in _split(parts, "OR") if (node := self._all_of(part, field))]
        return (ors[0] if len(ors) == 1 else Or(tuple(ors))) if ors else Everything()

    def _all_of(self, parts: list[tree.Item | _Operator], field: str | None) -> Node | None:
        """None where there are nothing but marks."""
        nodes = [node for run in _split(parts, "AND") for node in self._run(run, field)]
        return (nodes[0] if len(nodes) == 1 else And(tuple(nodes))) if nodes else None

    def _run(self, items: list[tree.Item | _Operator], field: str | None) -> Iterator[Node]:
        """The nodes of items side by side; words next to each other stay one `Text`."""
        words: list[str] = []
        negated = False
        for item in items:
            plain = self._plain_words(item)
            opening = self._plain_words(item.children[0]) if isinstance(item, tree.Not | tree.Prohibit) else None
            if plain is not None:
                words.extend(plain)
                continue
            if words:
                yield Text(tuple(words), field, negated)
            words, negated = (list(opening), True) if opening else ([], False)
            if not opening and isinstance(item, tree.Item):
                yield self._single(item, field)
        if words:
            yield Text(tuple(words), field, negated)

    def _plain_words(self, item: object) -> list[str] | None:
        """The words of an item that is nothing but words; None for any other."""
        if isinstance(item, tree.Plus):
            return self._plain_words(item.children[0])
        if isinstance(item, tree.SearchField):
            name = str(item.name)
            # `10:30` and `nucleus: DAPI`: a field is only a field if it exists
            if self._vocabulary.field(name) is None and not self._is_id(item):
                inner = self._plain_words(item.expr)
                return None if inner is None else [*([name] if tokens(name) else []), *inner]
            return None
        if not isinstance(item, tree.Word) or _is_prefix(str(item.value)):
            return None
        text = _unescaped(str(item.value))
        return [text] if tokens(text) else []

    def _is_id(self, item: tree.SearchField) -> bool:
        return isinstance(item.expr, tree.Word) and self._vocabulary.is_id(f"{item.name}:{item.expr.value}")

    def _single(self, item: tree.Item, field: str | None) -> Node:
        match item:
            case tree.Group() | tree.FieldGroup() | tree.Plus():
                return self.node(item.children[0], field)
            case tree.Not() | tree.Prohibit():
                return Not(self.node(item.children[0], field))
            case tree.Phrase():
                words = tokens(str(item.value))
                return Phrase(words, field) if words else Everything()
            case tree.Word():
                return Everything() if str(item.value) == "*" else _prefix(str(item.value)[:-1], field)
            case tree.SearchField():
                return self._fielded(item, field)
            case tree.Range() | tree.From() | tree.To():
                return self._range(item, field)
            case tree.Fuzzy() if fuzzy := _fuzzy(item, field):
                return fuzzy
            case tree.Boost() | tree.Fuzzy() | tree.Proximity():
                return self._ignoring(item, field)
        raise BadQuery(f"{str(item).strip()!r} is not supported", item.pos)

    def _fielded(self, item: tree.SearchField, field: str | None) -> Node:
        name = str(item.name)
        if self._is_id(item):
            return TermRef(f"{name}:{item.expr.value}", field)
        known = self._vocabulary.field(name)
        if known is None:
            raise BadQuery(f"no field is called {name!r}", item.pos)
        if isinstance(item.expr, tree.Word) and str(item.expr.value) == "*":
            raise BadQuery(f"{name}:* asks for no value: ask for one, or for the facet {name}", item.pos)
        if isinstance(item.expr, tree.Word) and self._vocabulary.is_id(str(item.expr.value)):
            return TermRef(str(item.expr.value), known)
        return self.node(item.expr, known)

    def _range(self, item: tree.Range | tree.From | tree.To, field: str | None) -> Node:
        if field is None:
            raise BadQuery("a range needs a field, as in year:[2019 TO 2021]", item.pos)
        if isinstance(item, tree.Range):
            low, high = _bound(item.low), _bound(item.high)
            return Range(field, low, high, bool(item.include_low), bool(item.include_high))
        bound = _bound(item.children[0])
        if isinstance(item, tree.From):
            return Range(field, low=bound, include_low=bool(item.include))
        return Range(field, high=bound, include_high=bool(item.include))

    def _ignoring(self, item: tree.Item, field: str | None) -> Node:
        notice = f"{str(item).strip()!r}: the mark after the word is not supported and was ignored"
        if self._strict:
            raise BadQuery(notice, item.pos)
        self.notices.append(notice)
        return self.node(item.children[0], field)


def _flatten(item: tree.Item) -> Iterator[tree.Item | _Operator]:
    """Operands and the operators between them, in the order of the text."""
    if not isinstance(item, _OPERATORS):
        yield item
        return
    name = {tree.OrOperation: "OR", tree.AndOperation: "AND"}.get(type(item))
    for position, child in enumerate(item.children):
        if position and name:
            yield _Operator(name)
        yield from _flatten(child)


def _split(parts: Iterable[tree.Item | _Operator], name: str) -> list[list[tree.Item | _Operator]]:
    runs: list[list[tree.Item | _Operator]] = [[]]
    for part in parts:
        if part == _Operator(name):
            runs.append([])
        else:
            runs[-1].append(part)
    return runs


def _is_prefix(word: str) -> bool:
    if word == "*":
        return True
    return word.endswith("*") and not word.endswith("\\*") and "*" not in word[:-1] and bool(tokens(word[:-1]))


def _prefix(word: str, field: str | None) -> Node:
    """The open end of a word; what stands before its last part, as in `COVID-19*`, is words."""
    *before, last = tokens(_unescaped(word))
    return And((Text(tuple(before), field), Prefix(last, field))) if before else Prefix(last, field)


def _unescaped(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word)


def _fuzzy(item: tree.Fuzzy, field: str | None) -> Fuzzy | None:
    """One word with one or two edits; without a number one, or two in a longer word. None: anything else."""
    words = tokens(_unescaped(str(item.term.value)))
    by_length = str(item).strip().endswith("~")
    if len(words) != 1 or not (by_length or item.degree in (1, MAX_EDITS)):
        return None
    return Fuzzy(words[0], 1 + (len(words[0]) > _SHORT) if by_length else int(item.degree), field)


def _bound(item: tree.Item) -> float | None:
    # luqum takes the sign of a number below zero for a NOT
    sign, item = ("-", item.a) if isinstance(item, tree.Prohibit) else ("", item)
    text = sign + str(item.value).strip('"')
    if text == "*":
        return None
    found = number(text)
    if found is None:
        raise BadQuery(f"a range goes from number to number (or ISO date), not {text!r}", item.pos)
    return found


def _position(exc: Exception, text: str) -> int:
    """Where reading stopped; luqum names no position when the text ends too soon."""
    if isinstance(exc, BadQuery) and exc.position is not None:
        return exc.position
    found = re.search(r"at position (\d+)", str(exc))
    return int(found.group(1)) if found else len(text)


def _one_line(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "too many parts inside each other"
    if isinstance(exc, InvalidOperation) or type(exc) is ValueError:  # luqum reads `~1.2` and `^1.2.3` as numbers
        return "a mark after a word has a number that is none"
    return " ".join(str(exc).split())

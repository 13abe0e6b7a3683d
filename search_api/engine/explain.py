"""Why a record matched: the words, the annotation, and the path from it to the term that was asked for."""

from collections.abc import Iterable, Iterator, Sequence

from hooke.inherit import is_prose
from hooke.model import Mention, Record, Value
from hooke.query import Among, And, Node, Not, Or, Range
from hooke.results import Annotation, Part, PathStep, Reason, ResolvedTerm
from hooke.store.base import MetadataReader
from hooke.text import fold, number, tokens
from ontologies.catalogue import Catalogue
from ontologies.ids import prefix_of
from search_api.engine.understand import Atom, Run, Understood

_EXCERPT = 160
_UNCUT = 180


class _Asked:
    """A value that an atom asks for, with what is made of its text once."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self.words = tokens(value.text)
        self._excerpts: dict[str, str] = {}

    def having(self, run: Run) -> tuple[str, ...]:
        """The words of a run as this value has them first; () where it has not."""
        for at in range(len(self.words) - len(run) + 1):
            found = self.words[at : at + len(run)]
            if all(word in spellings for word, spellings in zip(found, run, strict=True)):
                return found
        return ()

    def excerpt(self, word: str) -> str:
        """The value's text, cut to whole words around the word when it is long."""
        if word not in self._excerpts:
            self._excerpts[word] = _excerpt(self.value.text, word)
        return self._excerpts[word]


class Explainer:
    """Gives the reasons of one request's hits.

    An image inherits the values of its study, thousands of them at times and the same objects for every image, so
    each is read once, and those that no atom asks for are passed over from then on.
    terms: what the query's words name; with these, and only then, reasons hold annotations and what was asked.
    """

    def __init__(
        self,
        atoms: Iterable[Atom],
        catalogue: Catalogue,
        relations: tuple[str, ...],
        terms: Iterable[ResolvedTerm] | None = None,
    ) -> None:
        self._atoms = tuple(atoms)
        self._catalogue = catalogue
        self._relations = relations
        self._terms = None if terms is None else {(term.text, term.id): term for term in terms}
        self._versions = {info.name: info.version for info in catalogue.ontologies()}
        # by id(), which is faster than hashing a text; the values are kept, so that an id() stays its own
        self._asked: dict[int, _Asked] = {}
        self._not_asked: dict[int, Value] = {}
        self._paths: dict[tuple[str, tuple[str, ...]], tuple[PathStep, ...]] = {}
        self._openings = {atom: _openings(atom) for atom in self._atoms}

    def reasons(self, record: Record) -> tuple[Reason, ...]:
        """Every way in which a record matches the query, annotations first."""
        self._read(value for value in record.values if id(value) not in self._not_asked)
        own = len(record.values) - record.inherited
        places = [(at, self._asked[id(value)]) for at, value in enumerate(record.values) if id(value) in self._asked]
        asked = [each for _, each in places]
        without_prose = [each for at, each in places if at < own or not is_prose(each.value.field)]
        found: dict[Reason, None] = {}
        for atom in self._atoms:
            heard = asked if atom.inherited_prose else without_prose
            found |= dict.fromkeys(self._by_terms(asked, atom))
            found |= dict.fromkeys(_by_text([each for each in heard if atom.field in (None, each.value.field)], atom))
        return tuple(found)

    def _read(self, values: Iterable[Value]) -> None:
        for value in values:
            if id(value) in self._asked:
                continue
            if any(_annotated(value, atom) or _says(value, atom, self._openings[atom]) for atom in self._atoms):
                self._asked[id(value)] = _Asked(value)
            else:
                self._not_asked[id(value)] = value

    def _by_terms(self, asked: Iterable[_Asked], atom: Atom) -> Iterator[Reason]:
        for each in asked:
            for mention in each.value.mentions:
                if mention.term not in atom.terms or atom.field not in (None, mention.field):
                    continue
                kind = "direct" if mention.term in atom.targets else "inferred"
                path = self._path(mention.term, atom.targets)
                reason = (kind, mention.field, mention.text, mention.term, path)
                if self._terms is None:
                    yield Reason(*reason)
                else:
                    named = self._terms.get((atom.text, path[-1].id))
                    yield Reason(*reason, asked=named, annotation=self._annotation(mention, each.value))

    def _annotation(self, mention: Mention, value: Value) -> Annotation:
        names = self._catalogue.find(mention.text, (prefix_of(mention.term),))
        name, scope = next(((m.name, str(m.scope)) for m in names if m.term == mention.term), ("", ""))
        ontology = self._catalogue.term(mention.term).ontology if self._catalogue.resolve(mention.term) else ""
        return Annotation(
            value.text,
            value.ids,
            mention.given_id,
            str(mention.method),
            mention.score,
            mention.note,
            name,
            scope,
            ontology,
            self._versions.get(ontology, ""),
        )

    def _path(self, term: str, targets: tuple[str, ...]) -> tuple[PathStep, ...]:
        path = self._paths.get((term, targets))
        if path is None:
            path = self._paths[term, targets] = _path(term, targets, self._catalogue, self._relations)
        return path


class Parts:
    """Tells of each part of a query whether a record has it; the store decides, so that nobody does it otherwise."""

    def __init__(
        self,
        record: Record,
        understood: Understood,
        reader: MetadataReader,
        catalogue: Catalogue,
        relations: tuple[str, ...],
    ) -> None:
        self._record = record
        self._understood = understood
        self._reader = reader
        self._catalogue = catalogue
        self._relations = relations

    def of(self, node: Node) -> Part:
        """A node and what it is made of."""
        matched = bool(self._reader.count(self._record.level, And((node, Among(frozenset({self._record.ordinal}))))))
        atom = self._understood.asked.get(node)
        if atom:
            return self._one(atom, matched)
        match node:
            case And(children) | Or(children):
                parts = tuple(map(self.of, children))
                kind = "all" if isinstance(node, And) else "any"
                text = (" AND " if kind == "all" else " OR ").join(_in_a_row(part) for part in parts)
                return parts[0] if len(parts) == 1 else Part(text, kind, matched, parts=parts)
            case Not(child):
                inner = self.of(child)
                return Part(f"NOT {_in_a_row(inner)}", "not", matched, parts=(inner,))
        return Part("*", "one", matched)

    def _one(self, atom: Atom, matched: bool) -> Part:
        terms = tuple(t for t in self._understood.report.terms if t.text == atom.text and t.id in atom.targets)
        reasons = Explainer((atom,), self._catalogue, self._relations, terms).reasons(self._record) if matched else ()
        named = atom.field is not None and not atom.bounds and not atom.text.startswith(f"{atom.field}:")
        return Part(f"{atom.field}:{atom.text}" if named else atom.text, "one", matched, terms, reasons)


def _in_a_row(part: Part) -> str:
    return f"({part.text})" if part.kind in ("all", "any") else part.text


def _openings(atom: Atom) -> tuple[str, ...]:
    """How the words begin that a match by text holds, one of them at least."""
    if atom.prefix is not None:
        return (atom.prefix,)
    words = {word for saying in atom.sayings for run in saying.runs for word in run[0]}
    return tuple(sorted({word[:_UNCUT] for word in words}))  # a longer token is cut and ends in a digest


def _annotated(value: Value, atom: Atom) -> bool:
    return any(mention.term in atom.terms for mention in value.mentions)


def _says(value: Value, atom: Atom, openings: tuple[str, ...]) -> bool:
    """Whether a value may have a part in a match by text; a quick no for most."""
    if atom.field not in (None, value.field):
        return False
    if atom.value is not None:
        return fold(value.text) == fold(atom.value)
    if atom.bounds is not None:
        return _inside(value.text, atom.bounds)
    if value.text.isascii():
        lower = value.text.lower()
        return any(opening in lower for opening in openings)
    return any(token.startswith(openings) for token in tokens(value.text))


def _path(term: str, targets: Iterable[str], catalogue: Catalogue, relations: tuple[str, ...]) -> tuple[PathStep, ...]:
    for target in targets:
        steps = catalogue.path(term, target, relations)
        if steps:
            return tuple(PathStep(step.term, step.label, step.relation) for step in steps)
    return (PathStep(term, catalogue.label(term), None),)


def _by_text(asked: Sequence[_Asked], atom: Atom) -> Iterator[Reason]:
    values = [each.value for each in asked]
    if atom.value is not None:
        yield from (Reason("value", v.field, v.text) for v in values if fold(v.text) == fold(atom.value))
    elif atom.bounds is not None:
        yield from (Reason("range", v.field, v.text) for v in values if _inside(v.text, atom.bounds))
    else:
        yield from _by_words(asked, atom)


def _by_words(asked: Sequence[_Asked], atom: Atom) -> Iterator[Reason]:
    """For each run of words the first value that holds it, by the first saying that is there whole."""
    for saying in atom.sayings:
        firsts = [next(((each, words) for each in asked if (words := each.having(run))), None) for run in saying.runs]
        found = [first for first in firsts if first is not None]
        if len(found) == len(firsts):
            together: dict[int, tuple[_Asked, tuple[str, ...]]] = {}
            for each, words in found:
                _, known = together.get(id(each), (each, ()))
                together[id(each)] = each, (*known, *words)
            for each, words in together.values():
                text = each.excerpt(words[0])
                yield Reason("text", each.value.field, text, words=words, name=saying.name, scope=saying.scope)
            return


def _inside(text: str, bounds: Range) -> bool:
    found = number(text)
    if found is None:
        return False
    above = bounds.low is None or found > bounds.low or (bounds.include_low and found == bounds.low)
    below = bounds.high is None or found < bounds.high or (bounds.include_high and found == bounds.high)
    return above and below


def _excerpt(text: str, word: str) -> str:
    if len(text) <= _EXCERPT:
        return text
    pieces = text.split()
    at = next((i for i, piece in enumerate(pieces) if word in tokens(piece)), 0)
    return " ".join(pieces[max(0, at - 8) : at + 12])

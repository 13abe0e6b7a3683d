"""OBO text of any size: a frame in memory at a time, by pronto's own parser.

What it gives is what pronto gives. A file that states one term in two frames is refused: pronto joins them in memory.
"""

from array import array
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import fastobo

from hooke.errors import BadOntology
from hooke.model import IS_A, PART_OF, TermId
from ontologies.header import ontology_name, ontology_version, own_prefix, subset_name
from ontologies.ids import canonical
from ontologies.model import Edge, OntologyInfo, Scope, Synonym, Term
from ontologies.obo import undefined_parents
from ontologies.relations import relation_name
from ontologies.source import Source
from ontologies.stored import Stored, Storing

_TERM = b"\n[Term]"


def stream_obo(source: Source, path: Path) -> Stored:
    """Write the ontology of an OBO file to `path`. Raises BadOntology for one that does not parse."""
    stream = _Stream(source)
    with Storing(path) as storing:
        try:
            # one thread: several hand their frames over faster than these are written, and hold them until then
            frames = fastobo.iter(stream, ordered=True, threads=1)
            raw_name, version = _header(frames.header())
            edges = _Edges()
            for term in _terms(frames, edges):
                storing.term(term)
        except (SyntaxError, ValueError, TypeError) as exc:
            if stream.error:
                raise stream.error from exc
            line = f" line {exc.lineno}" if isinstance(exc, SyntaxError) and exc.lineno else ""
            raise BadOntology(f"{source.name}{line}: does not parse as an ontology ({exc})") from exc
        except _Twice as exc:
            raise BadOntology(f"{source.name}: {exc} stands in two frames; convert the file with ROBOT") from exc
        if edges.terms != stream.terms:
            raise BadOntology(f"{source.name}: has {stream.terms} terms, and {edges.terms} of them were read")
        for edge in edges:
            storing.edge(edge)
    prefix = own_prefix(raw_name, edges.defined())
    info = OntologyInfo(
        name=ontology_name(raw_name) or prefix.casefold() or source.name.partition(".")[0].casefold(),
        version=ontology_version(version),
        prefix=prefix,
        terms=edges.terms,
        edges=len(edges),
        relations="typed",
        source=source.name,
        warnings=undefined_parents(edges.undefined_parents()),
    )
    return storing.finish(source.digest, info)


class _Twice(Exception):
    """A term that two frames define."""


class _Stream:
    """The bytes of a source as fastobo reads them; their frames of terms are counted, past the parser.

    error: what reading raised; while it reads a header, fastobo makes a TypeError of it.
    """

    def __init__(self, source: Source) -> None:
        self._chunks = source.chunks()
        self._chunk = BytesIO()
        self._last = b"\n"
        self.terms = 0
        self.error: BadOntology | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        read = self._chunk.read(size)
        if not read and size:
            read = self._next().read(size)
        seen = self._last + read
        self.terms += seen.count(_TERM)
        self._last = seen[1 - len(_TERM) :]
        return read

    def _next(self) -> BytesIO:
        try:
            self._chunk = BytesIO(next(self._chunks, b""))
        except BadOntology as exc:
            self.error = exc
            raise
        return self._chunk


class _Edges:
    """The edges of a file as numbers, twelve bytes each, until its last frame says what its relations are called."""

    def __init__(self) -> None:
        self.terms = 0
        self._numbers: dict[str, int] = {}
        self._ids: list[TermId] = []
        self._is_defined = bytearray()
        self._relations: dict[str, int] = {IS_A: 0}
        self._part_of: set[str] = set()
        self._triples = array("i")

    def __len__(self) -> int:
        return len(self._triples) // 3

    def __iter__(self) -> Iterator[Edge]:
        names = [PART_OF if name in self._part_of else name for name in self._relations]
        triples = iter(self._triples)
        for term, relation, parent in zip(triples, triples, triples, strict=True):
            yield self._ids[term], names[relation], self._ids[parent]

    def add(self, term: str, edges: Iterable[tuple[str, str]]) -> None:
        """The edges of a term: (relation, parent). Raises _Twice for a term that was added before."""
        number = self._number(term)
        if self._is_defined[number]:
            raise _Twice(term)
        self._is_defined[number] = 1
        self.terms += 1
        for relation, parent in dict.fromkeys(edges):
            code = self._relations.setdefault(relation, len(self._relations))
            self._triples.extend((number, code, self._number(parent)))

    def call(self, relation: str, names: Iterable[str]) -> None:
        """A relation's own names, one of which may be that of another."""
        if PART_OF in map(relation_name, names):
            self._part_of.add(relation_name(relation))

    def defined(self) -> Iterator[TermId]:
        """The terms that the file defines."""
        return (id_ for id_, defined in zip(self._ids, self._is_defined, strict=True) if defined)

    def undefined_parents(self) -> list[str]:
        """What the terms are, and the file does not define."""
        triples = iter(self._triples)
        parents = {high for _, relation, high in zip(triples, triples, triples, strict=True) if relation == 0}
        return sorted(self._ids[number] for number in parents if not self._is_defined[number])

    def _number(self, spelling: str) -> int:
        number = self._numbers.setdefault(spelling, len(self._ids))
        if number == len(self._ids):
            self._ids.append(canonical(spelling))
            self._is_defined.append(0)
        return number


def _header(frame: Iterable[fastobo.header.BaseHeaderClause]) -> tuple[str, str]:
    """What the header says of name and version."""
    said = {clause.raw_tag(): clause for clause in frame}
    name, version = said.get("ontology"), said.get("data-version")
    return name.ontology if name else "", version.version if version else ""


def _terms(frames: Iterable[fastobo.abc.AbstractEntityFrame], edges: _Edges) -> Iterator[Term]:
    for frame in frames:
        if isinstance(frame, fastobo.term.TermFrame):
            spelling = str(frame.id)
            edges.add(spelling, _parents(frame))
            yield _term(canonical(spelling), frame)
        elif isinstance(frame, fastobo.typedef.TypedefFrame):
            edges.call(str(frame.id), _names(frame))


def _parents(frame: fastobo.term.TermFrame) -> Iterator[tuple[str, str]]:
    for clause in frame:
        if isinstance(clause, fastobo.term.IsAClause):
            yield IS_A, str(clause.term)
        elif isinstance(clause, fastobo.term.RelationshipClause):
            yield relation_name(str(clause.typedef)), str(clause.term)


def _names(frame: fastobo.typedef.TypedefFrame) -> Iterator[str]:
    for clause in frame:
        if isinstance(clause, fastobo.typedef.NameClause):
            yield clause.name
        elif isinstance(clause, fastobo.typedef.XrefClause):
            yield str(clause.xref.id)


def _term(term: TermId, frame: fastobo.term.TermFrame) -> Term:
    by_tag: dict[str, list[fastobo.term.BaseTermClause]] = {}
    for clause in frame:
        by_tag.setdefault(clause.raw_tag(), []).append(clause)
    names, definitions = by_tag.get("name"), by_tag.get("def")
    synonyms = {
        Synonym(clause.synonym.desc, Scope(clause.synonym.scope))
        for clause in by_tag.get("synonym", ())
        if clause.synonym.desc
    }
    obsolete = by_tag.get("is_obsolete")
    return Term(
        id=term,
        label=names[-1].name.strip() if names else "",
        definition=str(definitions[-1].definition) if definitions else "",
        synonyms=tuple(sorted(synonyms, key=lambda synonym: (synonym.scope, synonym.text))),
        alt_ids=_ids(str(clause.alt_id) for clause in by_tag.get("alt_id", ())),
        obsolete=bool(obsolete and obsolete[-1].obsolete),
        replaced_by=_ids(str(clause.term) for clause in by_tag.get("replaced_by", ())),
        consider=_ids(str(clause.term) for clause in by_tag.get("consider", ())),
        xrefs=tuple(sorted({str(clause.xref.id) for clause in by_tag.get("xref", ())})),
        subsets=tuple(sorted({subset_name(str(clause.subset)) for clause in by_tag.get("subset", ())})),
    )


def _ids(spellings: Iterable[str]) -> tuple[TermId, ...]:
    return tuple(sorted({canonical(spelling) for spelling in spellings}))

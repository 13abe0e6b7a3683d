"""Load an ontology, whole or not at all: the only owner of pronto.

What pronto read is compared with what the file holds, term by term and edge by edge; edges that its OWL reader
drops are put back, anything else that is missing refuses the file.
"""

import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError

from pronto.ontology import Ontology as Document

from hooke.errors import BadOntology
from hooke.model import IS_A, PART_OF, TermId
from ontologies.cellxgene import load_cellxgene
from ontologies.header import ontology_name, ontology_version, own_prefix, subset_name
from ontologies.ids import canonical
from ontologies.model import Edge, LoadWarning, Ontology, Scan, Scope, Synonym, Term
from ontologies.obo import repair
from ontologies.obo_stream import stream_obo
from ontologies.obograph import scan_graph
from ontologies.owl import scan_owl
from ontologies.relations import relation_name
from ontologies.source import Format, Source, open_source
from ontologies.stored import Stored, store

_STREAMED = 32 << 20
"""Bytes of OBO text above which it is read frame by frame: pronto takes thirty times as many."""
_MALFORMED = (ParseError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def load(path_or_name: str | Path) -> Ontology:
    """Load OBO, OWL in RDF/XML, OBO Graph JSON or the cellxgene JSON; compressed or not, told by content.

    path_or_name: a file, or `cellxgene:UBERON` for the newest release in the package cellxgene-ontology-guide.
    Raises BadInput for a file that cannot be read, BadOntology for one that does not parse or would lose anything.
    """
    return load_source(open_source(path_or_name))


def load_source(source: Source) -> Ontology:
    """Load an ontology from its file."""
    kind = source.format()
    if kind is Format.CELLXGENE:
        return load_cellxgene(source)
    try:
        prepared = _prepare(source, kind)
    except _MALFORMED as exc:
        raise BadOntology(_reason(source.name, exc)) from exc
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            document = _parse(prepared.content)
        return _ontology(source, prepared, document, caught)
    except _MALFORMED as exc:
        raise BadOntology(_reason(source.name, exc, prepared.lines_before)) from exc


def load_into(source: Source, path: Path) -> Stored:
    """Load an ontology into a file at `path`; a large one passes through memory a term at a time."""
    if source.format() is Format.OBO and source.is_larger(_STREAMED):
        return stream_obo(source, path)
    return store(load_source(source), path)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What pronto is given, what the file holds, and how many lines a repair put before its first frame."""

    content: bytes
    scan: Scan
    lines_before: int = 0


def _prepare(source: Source, kind: Format) -> _Prepared:
    content = source.read()
    if kind is Format.OWL:
        return _Prepared(content, scan_owl(content))
    text, notes = _text(content)
    if kind is Format.GRAPH:
        return _Prepared(text.encode(), scan_graph(text.encode()))
    repaired = repair(text)
    scan = Scan(repaired.scan.terms, repaired.scan.edges, (*notes, *repaired.scan.notes))
    return _Prepared(repaired.text.encode(), scan, repaired.lines_before)


def _text(content: bytes) -> tuple[str, tuple[LoadWarning, ...]]:
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as exc:
        note = LoadWarning("NotUtf8", "read as Windows-1252, for it is not UTF-8", 1, f"byte {exc.start}")
        return content.decode("cp1252", errors="replace"), (note,)


def _parse(content: bytes) -> Document:
    # pronto guesses the encoding of a handle by its first bytes (chardet), but takes a path's as told.
    with tempfile.NamedTemporaryFile(suffix=".ontology") as file:
        file.write(content)
        file.flush()
        # Depth 0: an import would be fetched over the network.
        return Document(file.name, import_depth=0, threads=1, encoding="utf-8")


def _ontology(
    source: Source, prepared: _Prepared, document: Document, caught: list[warnings.WarningMessage]
) -> Ontology:
    scan = prepared.scan
    raw_name = document.metadata.ontology or ""
    prefix = own_prefix(raw_name, scan.terms)
    name = ontology_name(raw_name) or prefix.casefold() or source.name.partition(".")[0].casefold()
    # pronto has a term for every parent; one that the file does not define is none of its terms.
    undefined = {parent for _, _, parent in scan.edges} | {"owl:Thing", "http://www.w3.org/2002/07/owl#Thing"}
    undefined -= scan.terms
    terms = tuple(term for term in _terms(document, name) if term.id not in undefined)
    missing = scan.terms - {term.id for term in terms}
    if missing:
        raise BadOntology(_loss(source.name, "terms", len(missing), min(missing), len(scan.terms)))
    edges, recovered = _edges(source, document, scan)
    return Ontology(
        name=name,
        version=ontology_version(document.metadata.data_version or ""),
        prefix=prefix,
        relations="typed",
        source=source.name,
        digest=source.digest,
        terms=terms,
        edges=edges,
        warnings=(*scan.notes, *recovered, *_parser_warnings(caught)),
    )


def _terms(document: Document, ontology: str) -> Iterable[Term]:
    for term in document.terms():
        # The public properties follow every id to its term, and fail at one that the file does not define.
        fields = term._data()
        synonyms = (Synonym(s.description, Scope(s.scope or "RELATED")) for s in fields.synonyms if s.description)
        yield Term(
            id=canonical(term.id),
            label=(fields.name or "").strip(),
            definition=str(fields.definition or ""),
            synonyms=tuple(sorted(synonyms, key=lambda s: (s.scope, s.text))),
            alt_ids=_ids(fields.alternate_ids),
            obsolete=bool(fields.obsolete),
            replaced_by=_ids(fields.replaced_by),
            consider=_ids(fields.consider),
            ontology=ontology,
            xrefs=tuple(sorted({xref.id for xref in fields.xrefs})),
            subsets=tuple(sorted(set(map(subset_name, fields.subsets)))),
        )


def _edges(source: Source, document: Document, scan: Scan) -> tuple[tuple[Edge, ...], tuple[LoadWarning, ...]]:
    """The edges of the file, in order, and a warning for those that pronto had lost."""
    aliases = _aliases(document)
    loaded: set[Edge] = set()
    for term, lineage in document._terms.lineage.items():
        loaded.update((canonical(term), IS_A, canonical(parent)) for parent in lineage.sup)
    for term, fields in document._terms.entities.items():
        for relation, targets in fields.relationships.items():
            loaded.update((canonical(term), relation_name(relation), canonical(target)) for target in targets)
    lost = scan.edges - loaded
    if lost and source.format() is not Format.OWL:
        raise BadOntology(_loss(source.name, "edges", len(lost), " ".join(min(lost)), len(scan.edges)))
    edges = sorted({(term, aliases.get(relation, relation), parent) for term, relation, parent in scan.edges})
    message = "edges that pronto lost, read from the file's own restrictions"
    return tuple(edges), (LoadWarning("RecoveredEdges", message, len(lost), " ".join(min(lost))),) if lost else ()


def _aliases(document: Document) -> dict[str, str]:
    """Relations under an id of their own that are part_of by their name or their cross-reference."""
    found: dict[str, str] = {}
    for id_, fields in document._relationships.entities.items():
        named = {fields.name or "", *(xref.id for xref in fields.xrefs)}
        if PART_OF in {relation_name(text) for text in named if text}:
            found[relation_name(id_)] = PART_OF
    return found


def _ids(raw: Iterable[str]) -> tuple[TermId, ...]:
    return tuple(sorted(canonical(text.strip()) for text in raw))


def _parser_warnings(caught: list[warnings.WarningMessage]) -> tuple[LoadWarning, ...]:
    if not caught:
        return ()
    first = str(caught[0].message)
    return (LoadWarning("ParserWarnings", "warnings of pronto about annotations it passes over", len(caught), first),)


def _loss(file: str, what: str, lost: int, example: str, total: int) -> str:
    return (
        f"{file}: loading would lose {lost} of {total} {what} (such as {example}); convert the file to OBO with ROBOT"
    )


def _reason(file: str, exc: BaseException, lines_before: int = 0) -> str:
    line = exc.lineno if isinstance(exc, SyntaxError) else None
    if isinstance(exc, ParseError):
        line = exc.position[0]
    where = f" line {max(line - lines_before, 1)}" if line else ""
    detail = " ".join(str(exc.msg if isinstance(exc, SyntaxError) else exc).split()) or type(exc).__name__
    return f"{file}{where}: does not parse as an ontology ({detail[:200]})"

"""A loaded ontology as a compressed text file inside a snapshot, so that the next snapshot needs no source again.

One JSON value a line: the header, then the terms, then the edges. Read as a stream: the NCBI taxonomy has a
million terms.
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import zstandard

from hooke.errors import CorruptIndex
from ontologies.model import Edge, LoadWarning, Ontology, OntologyInfo, Scope, Synonym, Term


@dataclass(frozen=True, slots=True)
class Stored:
    """Such a file, with its header read."""

    path: Path
    digest: str
    info: OntologyInfo

    def rows(self) -> Iterator[str]:
        """The terms and then the edges as lines, JSON lists that begin with a term's id."""
        return self._lines(1, 1 + self.info.terms + self.info.edges)

    def terms(self) -> Iterator[Term]:
        """The terms, in the source's order."""
        for line in self._lines(1, 1 + self.info.terms):
            yield _term(json.loads(line), self.info.name)

    def edges(self) -> Iterator[Edge]:
        """The edges, those to terms of other ontologies too."""
        start = 1 + self.info.terms
        for line in self._lines(start, start + self.info.edges):
            term, relation, parent = json.loads(line)
            yield term, relation, parent

    def _lines(self, start: int, end: int) -> Iterator[str]:
        with _reader(self.path) as file:
            for number, line in enumerate(file):
                if number >= end:
                    return
                if number >= start:
                    yield line


def store(ontology: Ontology, path: Path) -> Stored:
    """Write an ontology to `path`."""
    info = OntologyInfo(
        name=ontology.name,
        version=ontology.version,
        prefix=ontology.prefix,
        terms=len(ontology.terms),
        edges=len(ontology.edges),
        relations=ontology.relations,
        source=ontology.source,
        warnings=ontology.warnings,
    )
    with Storing(path) as storing:
        for term in ontology.terms:
            storing.term(term)
        for edge in ontology.edges:
            storing.edge(edge)
    return storing.finish(ontology.digest, info)


class Storing:
    """Writes such a file a term at a time, then an edge at a time; its header, which counts both, comes last.

    The header and what it counts are two frames of the compressed file, so that they can be joined as they are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._body = path.with_name(path.name + ".body")
        self._file = _writer(self._body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def term(self, term: Term) -> None:
        """Add a term."""
        _write_line(self._file, _row(term))

    def edge(self, edge: Edge) -> None:
        """Add an edge; terms come before."""
        _write_line(self._file, edge)

    def finish(self, digest: str, info: OntologyInfo) -> Stored:
        """Put the header before what was written."""
        with _writer(self._path) as file:
            _write_line(file, {"digest": digest, **asdict(info)})
        with self._path.open("ab") as whole, self._body.open("rb") as body:
            shutil.copyfileobj(body, whole)
        self._body.unlink()
        return Stored(self._path, digest, info)


def open_stored(path: Path) -> Stored:
    """Read the header of such a file; raises CorruptIndex where it is none."""
    try:
        with _reader(path) as file:
            header = json.loads(file.readline())
        digest = header.pop("digest")
        warnings = tuple(LoadWarning(**warning) for warning in header.pop("warnings"))
        return Stored(path, digest, OntologyInfo(**header, warnings=warnings))
    except (OSError, ValueError, TypeError, KeyError, zstandard.ZstdError) as exc:
        raise CorruptIndex(f"{path}: the stored ontology cannot be read ({exc}); add its source again") from exc


def _reader(path: Path) -> io.TextIOWrapper:
    raw = path.open("rb")
    stream = zstandard.ZstdDecompressor().stream_reader(raw, closefd=True, read_across_frames=True)
    return io.TextIOWrapper(stream, encoding="utf-8", newline="\n")


def _writer(path: Path) -> io.TextIOWrapper:
    packed = zstandard.ZstdCompressor(level=3).stream_writer(path.open("wb"), closefd=True)
    return io.TextIOWrapper(packed, encoding="utf-8", newline="\n")


def _write_line(file: io.TextIOWrapper, value: object) -> None:
    file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def _row(term: Term) -> list[object]:
    synonyms = [[synonym.text, synonym.scope] for synonym in term.synonyms]
    rewriting = [term.alt_ids, int(term.obsolete), term.replaced_by, term.consider]
    return [term.id, term.label, term.definition, synonyms, *rewriting, term.xrefs, term.subsets]


def _term(row: list[object], ontology: str) -> Term:
    # The file is Hooke's own, written by _row in this order; the first ones ended before the cross-references.
    id_, label, definition, synonyms, alt_ids, obsolete, replaced_by, consider, *more = row
    xrefs, subsets = more or ([], [])
    assert isinstance(synonyms, list)
    return Term(
        id=str(id_),
        label=str(label),
        definition=str(definition),
        synonyms=tuple(Synonym(text, Scope(scope)) for text, scope in synonyms),
        alt_ids=_strings(alt_ids),
        obsolete=bool(obsolete),
        replaced_by=_strings(replaced_by),
        consider=_strings(consider),
        ontology=ontology,
        xrefs=_strings(xrefs),
        subsets=_strings(subsets),
    )


def _strings(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(value)

"""OBO text: what it holds, read without pronto, and the repairs it needs before pronto can read it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hooke.model import IS_A
from ontologies.ids import canonical
from ontologies.model import LoadWarning, Scan
from ontologies.relations import relation_name

_TYPED_SYNONYM = re.compile(r'"(?:[^"\\]|\\.)*"\s+(?:EXACT|BROAD|NARROW|RELATED)\s+(?P<type>[^\s\[]+)\s*\[')
_TAGS = frozenset({"id", "is_a", "relationship", "synonym", "synonymtypedef"})


@dataclass(slots=True)
class _Frames:
    """What a pass over the lines collects; ids here are as the file spells them."""

    ids: dict[str, set[str]] = field(default_factory=lambda: {"Term": set(), "Typedef": set()})
    parents: dict[str, set[str]] = field(default_factory=lambda: {"Term": set(), "Typedef": set()})
    edges: set[tuple[str, str, str]] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    synonym_types: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Repaired:
    """OBO text that pronto reads, what the original holds, and how many lines were put before its first frame."""

    text: str
    scan: Scan
    lines_before: int


def repair(text: str) -> Repaired:
    """Declare what the file uses without declaring it: parents of other ontologies, and types of synonyms.

    pronto stops at an is_a to an undefined term (KeyError), and fails late, on reading the synonym, at an
    undeclared synonym type.
    """
    frames = _read(text)
    types = sorted(frames.synonym_types - frames.declared)
    stubs = {kind: sorted(frames.parents[kind] - frames.ids[kind]) for kind in frames.ids}
    notes = (
        *undefined_parents(stubs["Term"]),
        *_note("UndefinedParentRelations", "is_a to relations that the file does not define", stubs["Typedef"]),
        *_note("UndeclaredSynonymTypes", "types of synonyms that the header does not declare", types),
    )
    header = [f'synonymtypedef: {kind} "{kind}"' for kind in types]
    if not text.startswith("format-version:"):
        header.insert(0, "format-version: 1.2")
    edges = frozenset((canonical(term), relation_name(name), canonical(to)) for term, name, to in frames.edges)
    scan = Scan(frozenset(map(canonical, frames.ids["Term"])), edges, notes)
    return Repaired(_patched(text, header, stubs), scan, len(header))


def _patched(text: str, header: list[str], stubs: dict[str, list[str]]) -> str:
    """The text with the header's lines before its own, and a frame for every undefined id at its end."""
    before = "".join(f"{line}\n" for line in header if line.startswith("format-version"))
    declarations = "".join(f"{line}\n" for line in header if not line.startswith("format-version"))
    first = re.search(r"^\[", text, re.MULTILINE)
    cut = first.start() if first else len(text)
    frames = "".join(f"\n[{kind}]\nid: {id_}\n" for kind, ids in stubs.items() for id_ in ids)
    return f"{before}{text[:cut]}{declarations}{text[cut:]}\n{frames}"


def _read(text: str) -> _Frames:
    frames = _Frames()
    kind, current = "", ""
    for tag, value in _clauses(text):
        if tag == "[":
            kind, current = value, ""
        elif tag == "id" and kind in frames.ids:
            current = _id(value)
            frames.ids[kind].add(current)
        else:
            _collect(frames, kind, current, tag, value)
    return frames


def _collect(frames: _Frames, kind: str, current: str, tag: str, value: str) -> None:
    if tag == "synonymtypedef":
        frames.declared.add(_id(value))
    elif tag == "synonym":
        typed = _TYPED_SYNONYM.match(value)
        if typed:
            frames.synonym_types.add(typed["type"])
    elif tag == "is_a" and kind in frames.parents:
        frames.parents[kind].add(_id(value))
        if kind == "Term":
            frames.edges.add((current, IS_A, _id(value)))
    elif tag == "relationship" and kind == "Term":
        relation, _, target = value.partition(" ")
        frames.edges.add((current, relation, _id(target)))


def _clauses(text: str) -> Iterator[tuple[str, str]]:
    """The clauses that matter here; a frame's start is the clause ("[", its kind)."""
    for line in text.splitlines():
        if line.startswith("["):
            yield "[", line[1:].partition("]")[0].strip()
            continue
        tag, colon, value = line.partition(":")
        if colon and tag.strip() in _TAGS:
            yield tag.strip(), value.strip()


def _id(value: str) -> str:
    """The id that a clause's value begins with; OBO escapes some characters with a backslash."""
    words = value.split(maxsplit=1)
    return re.sub(r"\\(.)", r"\1", words[0]) if words else ""


def undefined_parents(ids: Iterable[str]) -> tuple[LoadWarning, ...]:
    """The warning about parents that are terms of other ontologies."""
    return _note("UndefinedParents", "is_a to terms that the file does not define; the edges are kept", ids)


def _note(name: str, message: str, items: Iterable[str]) -> tuple[LoadWarning, ...]:
    found = list(items)
    return (LoadWarning(name, message, len(found), found[0]),) if found else ()

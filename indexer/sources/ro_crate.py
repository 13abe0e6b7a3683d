"""RO-Crate study records (the GIDE profile): a JSON-LD graph that describes one study by its root dataset."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hooke.errors import UnreadableSource
from hooke.fields import field_name
from hooke.model import Study, Value
from indexer.sources.base import Document, decode, one_line
from indexer.sources.json_text import Json
from indexer.sources.licence import spdx
from indexer.sources.values import accession_of, distinct, line_of, term_field, utf8

ORIGIN = "ro-crate"

_DESCRIPTOR = "ro-crate-metadata.json"
_ARCHIVES = {"BioImage Archive": "BioImage Archive", "Image Data Resource": "IDR", "SSBD": "SSBD", "EMPIAR": "EMPIAR"}
_SIZES = {"bytes": "size_bytes", "file count": "file_count"}
_OWN_NAMES = {"name": "title", "license": "licence", "datePublished": "release_date", "copyrightNotice": "copyright"}
# What each kind of node says, as fields; the root's own properties are read by `_root_values`.
_NODE_FIELDS: Mapping[str, Mapping[str, str]] = {
    "Person": {"name": "authors", "description": "affiliation", "address": "address"},
    "Organization": {"name": "affiliation", "address": "address"},
    "ScholarlyArticle": {"name": "publication_title", "datePublished": "publication_date"},
    "Grant": {"name": "grant"},
    "BioSample": {"name": "sample", "description": "sample_description"},
    "LabProtocol": {"name": "protocol_name", "description": "protocol_description", "labEquipment": "instrument"},
    "Taxon": {"vernacularName": "common_name"},
}
# The property that refers to a term says its field where the term's prefix does not.
_TERM_REFERENCES = {
    "measurementMethod": "imaging_method",
    "taxonomicRange": "organism",
    "hasCellLine": "cell_line",
    "about": "subject",
    "measurementTechnique": "protocol_type",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One entity of a graph. Its properties are lists: nodes of the same id are merged."""

    id: str
    properties: Mapping[str, list[Json]]

    def texts(self, key: str) -> tuple[str, ...]:
        """The literal values of a property."""
        return tuple(text for item in self.properties.get(key, []) if (text := _literal(item)))

    def refs(self, key: str) -> tuple[str, ...]:
        """The ids that a property refers to."""
        items = self.properties.get(key, [])
        return tuple(i for item in items if isinstance(item, dict) and isinstance(i := item.get("@id"), str))

    @property
    def name(self) -> str:
        """Its first name, or its id."""
        return next(iter((*self.texts("scientificName"), *self.texts("name"), self.id)))


Graph = Mapping[str, Node]


def read_crate(document: Document) -> Study:
    """The study that a crate describes. Raises UnreadableSource."""
    graph = _graph(document)
    root = _root(graph, document.label)
    identifier = _accession(root, document.label)
    titles = root.texts("name")
    values = distinct(
        (
            Value("accession", identifier),
            *_root_values(root, graph, identifier),
            *_term_values(graph),
            *_node_values(graph, publishers=frozenset(root.refs("publisher"))),
        )
    )
    title = line_of(titles[0]) if titles else identifier
    return Study(identifier, title, values, origins=(ORIGIN,))


def _graph(document: Document) -> Graph:
    try:
        parsed: Json = json.loads(decode(document.data))
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"not JSON: {one_line(error)}; fetch {document.name} again") from error
    entries = parsed.get("@graph") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise UnreadableSource(f"no @graph in {document.name}; an RO-Crate has its entities there")
    properties: dict[str, dict[str, list[Json]]] = {}
    for entry in entries:
        _collect(entry, properties, 0)
    return {identifier: Node(identifier, found) for identifier, found in properties.items()}


def _collect(entry: Json, into: dict[str, dict[str, list[Json]]], depth: int) -> None:
    """Merge an entity, and those nested in it, into the properties by id."""
    if not isinstance(entry, dict) or depth > 8:
        return
    identifier = entry.get("@id")
    node = into.setdefault(identifier if isinstance(identifier, str) else f"_:{len(into)}", {})
    for key, value in entry.items():
        for item in value if isinstance(value, list) else [value]:
            merged = node.setdefault(key, [])
            if item not in merged:
                merged.append(item)
            if isinstance(item, dict) and len(item) > 1 and "@value" not in item:
                _collect(item, into, depth + 1)


def _root(graph: Graph, label: str) -> Node:
    for node in graph.values():
        if node.id.endswith(_DESCRIPTOR) and "Dataset" not in node.texts("@type"):
            for about in node.refs("about"):
                if about in graph:
                    return graph[about]
    datasets = [node for node in graph.values() if "Dataset" in node.texts("@type")]
    if not datasets:
        raise UnreadableSource(f"no root dataset in {label}; the metadata descriptor's `about` names it")
    return max(datasets, key=lambda node: len(node.properties))


def _accession(root: Node, label: str) -> str:
    """The archive's accession: the root's identifier, else the end of its address, else the file's name."""
    folder, file = ["", *re.split(r"[/:\\]", label)][-2:]
    file = line_of(file.removesuffix(_DESCRIPTOR)).strip("-_. ") or line_of(folder) or "crate"
    addresses = (*root.texts("identifier"), *root.refs("identifier"), root.id, file)
    ends = [line_of(address.rstrip("/").rsplit("/", 1)[-1]) for address in addresses]
    accession = next((end for end in ends if end.strip(".#")), file)
    return accession_of(accession)


def _root_values(root: Node, graph: Graph, identifier: str) -> Iterator[Value]:
    yield from (Value("archive", archive) for archive in _archive(root, graph, identifier))
    for key, items in root.properties.items():
        field = _OWN_NAMES.get(key) or field_name(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key))
        if key.startswith("@") or key in ("identifier", "size", "author", *_TERM_REFERENCES) or not field:
            continue
        for item in items:
            yield from _property_values(field, item, graph)
    yield from _sizes(root, graph)
    if root.id.startswith("http"):
        yield Value("url", root.id)


def _property_values(field: str, item: Json, graph: Graph) -> Iterator[Value]:
    texts = _described(item, graph)
    for text in texts:
        yield Value(field, spdx(text) if field == "licence" else text)
        if field == "licence" and text.startswith("http"):
            yield Value("licence_url", text)
        year = re.match(r"\d{4}", text) if field == "release_date" else None
        if year:
            yield Value("year", year.group())


def _described(item: Json, graph: Graph) -> tuple[str, ...]:
    """A literal, or the names and the address of the entity that is referred to."""
    if not isinstance(item, dict) or "@value" in item:
        return tuple(filter(None, [_literal(item)]))
    target = item.get("@id")
    if not isinstance(target, str):
        return tuple(filter(None, [_literal(item.get("name"))]))
    names = graph[target].texts("name") if target in graph else ()
    return (*names, *([target] if target.startswith("http") or not names else []))


def _archive(root: Node, graph: Graph, identifier: str) -> Iterator[str]:
    if identifier.startswith("EMPIAR-"):
        yield "EMPIAR"
        return
    for publisher in (text for item in root.properties.get("publisher", []) for text in _described(item, graph)):
        known = [short for name, short in _ARCHIVES.items() if publisher.startswith(name)]
        yield from known or ([] if publisher.startswith("http") else [publisher])


def _sizes(root: Node, graph: Graph) -> Iterator[Value]:
    for node in (graph[ref] for ref in root.refs("size") if ref in graph):
        field = next((_SIZES[unit] for unit in node.texts("unitText") if unit in _SIZES), "size")
        yield from (Value(field, text) for text in node.texts("value"))
        yield from (Value("size_description", text) for text in node.texts("description"))
    yield from (Value("size", text) for text in root.texts("size"))


def _term_values(graph: Graph) -> Iterator[Value]:
    """Every term that anything refers to, and every term that the graph defines, each with its id."""
    for field, node_id, text in _references(graph):
        target = graph.get(node_id, Node(node_id, {}))
        if "BioSample" in target.texts("@type") or "LabProtocol" in target.texts("@type"):
            continue
        identifier = term_id(node_id)
        names = (*target.texts("scientificName"), *target.texts("name"), text)
        labels = [name for name in names if name] or [identifier or node_id]
        for label in dict.fromkeys(labels):
            yield Value(term_field(identifier, field), label, (identifier,) if identifier else ())


def _references(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """What refers to terms: the field that the property suggests, the id, and a text where there is no id.

    A term that several properties refer to counts once, under the first of them.
    """
    nodes = [node for node in graph.values() if not node.id.endswith(_DESCRIPTOR)]
    fields: dict[str, str] = {}
    for key, field in _TERM_REFERENCES.items():
        for node in nodes:
            fields.update({ref: field for ref in node.refs(key) if ref not in fields})
            yield from ((field, "", text) for text in node.texts(key))
    for node in nodes:
        if {"Taxon", "DefinedTerm"} & set(node.texts("@type")):
            fields.setdefault(node.id, "subject")
    yield from ((field, ref, "") for ref, field in fields.items())


def term_id(node_id: str) -> str:
    """The term id in a node's id: IRIs as they are, CURIEs of `obo:` and local ids without the wrapper, else nothing.

    >>> term_id("obo:NCBITaxon_9606"), term_id("#NCIT_C181930"), term_id("#term"), term_id("FBbi:00000257")
    ('NCBITaxon_9606', 'NCIT_C181930', '', 'FBbi:00000257')
    """
    bare = re.fullmatch(r"(?:#|(?:obo|efo):)?([A-Za-z]+[_:][A-Z]?\d+)", node_id)
    if bare:
        return bare.group(1)
    return node_id if re.fullmatch(r"https?://\S+[/#=][A-Za-z]+[_:][A-Z]?\d+", node_id) else ""


def _node_values(graph: Graph, publishers: frozenset[str]) -> Iterator[Value]:
    for node in graph.values():
        if node.id in publishers:
            continue
        for kind in node.texts("@type"):
            for key, field in _NODE_FIELDS.get(kind, {}).items():
                yield from (Value(field, text) for text in node.texts(key))
        if "Person" in node.texts("@type") and "orcid.org/" in node.id:
            yield Value("orcid", node.id.rsplit("/", 1)[-1])
        if "ScholarlyArticle" in node.texts("@type") and "doi.org/" in node.id:
            yield Value("doi", node.id.partition("doi.org/")[2])


def _literal(item: Json) -> str:
    if isinstance(item, dict):
        return _literal(item.get("@value"))
    if isinstance(item, str):
        return utf8(item.strip())
    return str(item) if isinstance(item, int | float) and not isinstance(item, bool) else ""

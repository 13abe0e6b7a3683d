"""OWL in RDF/XML: the classes and edges of the file, read without pronto.

pronto drops edges of OWL files (althonos/pronto#88): it reads a restriction only where it stands alone inside
rdfs:subClassOf. What it loses is taken from here.
"""

from collections.abc import Iterator
from io import BytesIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hooke.model import IS_A
from ontologies.ids import canonical
from ontologies.model import Edge, LoadWarning, Scan
from ontologies.relations import relation_name

_OWL = "{http://www.w3.org/2002/07/owl#}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_RDFS = "{http://www.w3.org/2000/01/rdf-schema#}"
_IN_OWL = "{http://www.geneontology.org/formats/oboInOwl#}"
_CLASS = "http://www.w3.org/2002/07/owl#Class"
_THING = "http://www.w3.org/2002/07/owl#Thing"


def scan_owl(content: bytes) -> Scan:
    """The named classes of the file, their superclasses and their `some` restrictions.

    A restriction of another kind (only, exactly, a union, a nested expression) is no edge between two terms; those
    are counted in a note. Raises ElementTree.ParseError.
    """
    root = ElementTree.parse(BytesIO(content)).getroot()
    ids = _class_ids(root)
    relations = _relation_ids(root)
    edges: set[Edge] = set()
    passed_over = 0
    for element in _classes(root):
        iri = _iri(element)
        for expression in element.iterfind(f"{_RDFS}subClassOf"):
            found = list(_edges(expression, ids[iri], ids, relations))
            edges.update(found)
            passed_over += not found and expression.get(f"{_RDF}resource") != _THING
    message = "superclass expressions that are no edge between two terms (only, exactly, unions, nested)"
    notes = (LoadWarning("ClassExpressions", message, passed_over),) if passed_over else ()
    return Scan(frozenset(ids.values()), frozenset(edges), notes)


def _classes(root: Element) -> Iterator[Element]:
    for element in root:
        if not _iri(element):
            continue
        types = {kind.get(f"{_RDF}resource") for kind in element.iterfind(f"{_RDF}type")}
        # The long form of the same statement, which pronto does not read: then terms are missing and loading stops.
        if element.tag == f"{_OWL}Class" or (element.tag == f"{_RDF}Description" and _CLASS in types):
            yield element


def _class_ids(root: Element) -> dict[str, str]:
    return {iri: _own_id(element, iri) for element in _classes(root) if (iri := _iri(element))}


def _iri(element: Element) -> str:
    """What the element is about; rdf:ID is the old way to say it, which pronto does not read."""
    local = element.get(f"{_RDF}ID")
    return element.get(f"{_RDF}about") or (f"#{local}" if local else "")


def _own_id(element: Element, iri: str) -> str:
    """A class may state its OBO id itself (oboInOwl:id)."""
    stated = element.findtext(f"{_IN_OWL}id")
    return canonical(stated.strip()) if stated else canonical(iri)


def _relation_ids(root: Element) -> dict[str, str]:
    """Relations by IRI; the shorthand (`part_of`) is the name that an OBO file of the same ontology would use."""
    names: dict[str, str] = {}
    for element in root.iterfind(f"{_OWL}ObjectProperty"):
        iri = element.get(f"{_RDF}about")
        if iri:
            shorthand = element.findtext(f"{_IN_OWL}shorthand") or element.findtext(f"{_IN_OWL}id")
            names[iri] = relation_name(shorthand or iri)
    return names


def _edges(expression: Element, term: str, ids: dict[str, str], relations: dict[str, str]) -> Iterator[Edge]:
    """The edges that one superclass expression states; an intersection states each of its members."""
    resource = expression.get(f"{_RDF}resource")
    if resource and resource != _THING:
        yield term, IS_A, ids.get(resource) or canonical(resource)
    for named in expression.iterfind(f"{_OWL}Class[@{_RDF}about]"):
        yield term, IS_A, ids.get(_iri(named)) or canonical(_iri(named))
    for restriction in expression.iterfind(f"{_OWL}Restriction"):
        yield from _restriction(restriction, term, ids, relations)
    for members in expression.iterfind(f"{_OWL}Class/{_OWL}intersectionOf"):
        for member in members.iterfind(f"{_RDF}Description[@{_RDF}about]"):
            yield term, IS_A, ids.get(_iri(member)) or canonical(_iri(member))
        yield from _edges(members, term, ids, relations)


def _restriction(element: Element, term: str, ids: dict[str, str], relations: dict[str, str]) -> Iterator[Edge]:
    relation = element.find(f"{_OWL}onProperty")
    target = element.find(f"{_OWL}someValuesFrom")
    if relation is None or target is None:
        return
    relation_iri, iri = relation.get(f"{_RDF}resource"), target.get(f"{_RDF}resource")
    named = target.find(f"{_OWL}Class")
    if iri is None and named is not None:
        iri = named.get(f"{_RDF}about")
    if relation_iri and iri:
        name = relations.get(relation_iri) or relation_name(relation_iri)
        yield term, name, ids.get(iri) or canonical(iri)

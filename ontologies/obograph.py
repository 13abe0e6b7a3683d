"""OBO Graph JSON: the classes and edges of the file, read without pronto."""

import json

from hooke.model import IS_A
from ontologies.ids import canonical
from ontologies.model import Edge, Scan
from ontologies.relations import relation_name

_THING = "http://www.w3.org/2002/07/owl#Thing"
_OF_PROPERTIES = frozenset({"subPropertyOf", "inverseOf", "type"})


def scan_graph(content: bytes) -> Scan:
    """The nodes of type CLASS and the edges that leave them.

    Raises ValueError where the JSON is broken, KeyError and TypeError where it is no OBO graph.
    """
    document = json.loads(content)
    graphs = document.get("graphs", [document])
    terms: set[str] = set()
    edges: set[Edge] = set()
    for graph in graphs:
        terms.update(canonical(node["id"]) for node in graph.get("nodes", ()) if node.get("type") == "CLASS")
        edges.update(
            (
                canonical(edge["sub"]),
                IS_A if edge["pred"] == IS_A else relation_name(edge["pred"]),
                canonical(edge["obj"]),
            )
            for edge in graph.get("edges", ())
            if edge["pred"] not in _OF_PROPERTIES and edge["obj"] != _THING
        )
    return Scan(frozenset(terms), frozenset(edge for edge in edges if edge[0] in terms))

"""One name for each relation, whatever a source or a caller calls it."""

import re
from collections.abc import Iterable

from hooke.model import IS_A, PART_OF

# Releases spell one relation as an RO/BFO id, a legacy local name or an IRI (PhIS lists four IRIs of part_of alone).
_NAMES = {
    "bfo:0000050": PART_OF,
    "bfo:0000051": "has_part",
    "bfo:0000062": "preceded_by",
    "bfo:0000066": "occurs_in",
    "ro:0001000": "derives_from",
    "ro:0001025": "located_in",
    "ro:0002131": "overlaps",
    "ro:0002150": "continuous_with",
    "ro:0002160": "only_in_taxon",
    "ro:0002162": "in_taxon",
    "ro:0002202": "develops_from",
    "ro:0002211": "regulates",
    "ro:0002212": "negatively_regulates",
    "ro:0002213": "positively_regulates",
    "ro:0002220": "adjacent_to",
    "subclassof": IS_A,
    "isa": IS_A,
    "partof": PART_OF,
}


def relation_name(text: str) -> str:
    """The name of a relation: `part_of` for every spelling of it, else the source's id in one form.

    >>> [relation_name(r) for r in ("BFO:0000050", "obo/BFO_0000050", "ma#part_of", "PART OF", "OBO_REL:part_of")]
    ['part_of', 'part_of', 'part_of', 'part_of', 'part_of']
    >>> relation_name("RO:0002202"), relation_name("FBbi:00000346")
    ('develops_from', 'FBbi:00000346')
    """
    local = re.split(r"[/#]", text.strip())[-1]
    curie = re.sub(r"^([A-Za-z]+)_(\d+)$", r"\1:\2", local)
    if re.fullmatch(r"[A-Za-z]+:\d+", curie):
        return _NAMES.get(curie.casefold(), curie)
    word = re.sub(r"[\s-]+", "_", local.rpartition(":")[2]).casefold()
    return _NAMES.get(word, word)


def relation_names(relations: Iterable[str]) -> frozenset[str]:
    """The names of several relations, as one set."""
    return frozenset(relation_name(relation) for relation in relations)

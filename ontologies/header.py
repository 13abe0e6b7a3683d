"""What an ontology's header says it is: its name, its version, and the prefix of its own terms."""

import re
from collections import Counter
from collections.abc import Iterable

from hooke.model import TermId
from ontologies.ids import prefix_of


def ontology_name(raw: str) -> str:
    """The name in a header without what all share.

    >>> ontology_name("http://purl.obolibrary.org/obo/doid/subsets/NCIthesaurus.obo")
    'doid/ncithesaurus'
    """
    path = re.sub(r"^https?://[^/]+/(?:obo/)?|\.(?:obo|owl|json)$", "", raw)
    parts = [part.casefold() for part in path.split("/") if part not in ("", "subsets", "imports")]
    if len(parts) > 1 and not parts[-1].startswith(parts[0]):
        return f"{parts[0]}/{parts[-1]}"
    return parts[-1] if parts else ""


def ontology_version(raw: str) -> str:
    """The date in a header's version; without one its last part.

    >>> ontology_version("releases/2020-11-06"), ontology_version("v1.2")
    ('2020-11-06', '1.2')
    """
    date = re.search(r"\d{4}-\d{2}-\d{2}", raw)
    return date[0] if date else re.sub(r"^v(?=\d)", "", raw.rpartition("/")[2])


def subset_name(raw: str) -> str:
    """The name of a subset, which OWL spells as an IRI.

    >>> subset_name("http://purl.obolibrary.org/obo/subset/cmpo#cmpo"), subset_name("efo_slim")
    ('cmpo', 'efo_slim')
    """
    return re.split(r"[#/]", raw)[-1].replace(":", "_")


def own_prefix(raw_name: str, terms: Iterable[TermId]) -> str:
    """The prefix that the header's name spells, else the commonest."""
    counts = Counter(map(prefix_of, terms))
    words = set(re.split(r"\W+", raw_name.casefold()))
    named = [prefix for prefix in counts if prefix and prefix.casefold() in words]
    return max(named or counts, key=lambda prefix: counts[prefix], default="")

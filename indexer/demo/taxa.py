"""The taxa that the demo archive names, with their ancestors, taken out of the NCBI taxonomy of the cellxgene package.

The whole taxonomy is 844 MB of JSON and takes minutes to load, where the demo names seven species; a real archive
wants it all (`hooke ontologies add cellxgene:NCBITaxon`), and it then takes this extract's place.
"""

import json
from collections.abc import Collection, Iterator, Mapping

from hooke.errors import BadInput
from ontologies.source import Source, open_source

_BETWEEN = b'},"NCBITaxon:'
_PREFIX = "NCBITaxon:"

Entry = Mapping[str, object]


def extract_taxa(taxa: Collection[str]) -> tuple[str, bytes]:
    """A file of the package's own form with these taxa and their ancestors, each entry as it is there.

    Returns its name, which says the release, and its content. Raises BadInput where the package is not installed or
    has no such taxon.
    """
    source = open_source("cellxgene:NCBITaxon")
    species = _entries(source, taxa)
    above = {str(ancestor) for entry in species.values() for ancestor in _mapping(entry.get("ancestors"))}
    # the root is an ancestor of all, but has no entry
    found = species | _entries(source, above - set(taxa))
    if missing := sorted(set(taxa) - set(found)):
        raise BadInput(f"{source.name} has no {missing[0]}; update the package cellxgene-ontology-guide")
    lines = (f"{json.dumps(term)}:{json.dumps(found[term])}" for term in sorted(found))
    return source.name.removesuffix(".zst"), ("{" + ",\n".join(lines) + "}\n").encode()


def _entries(source: Source, taxa: Collection[str]) -> dict[str, Entry]:
    wanted = {taxon.removeprefix(_PREFIX).encode() for taxon in taxa}
    found: dict[str, Entry] = {}
    for piece in _pieces(source):
        number, _, entry = piece.partition(b'":')
        if number in wanted:
            found[_PREFIX + number.decode()] = _mapping(json.loads(entry + b"}"))
    return found


def _pieces(source: Source) -> Iterator[bytes]:
    """Each entry from its number to before its last brace. Cut by the bytes between: decoding takes far longer."""
    rest = b""
    for chunk in source.chunks():
        # `{` opens the file: the first entry is then cut off like all others
        joined = rest + chunk if rest else b"}," + chunk.lstrip().removeprefix(b"{")
        *whole, rest = joined.split(_BETWEEN)
        yield from whole
    yield rest.rstrip().removesuffix(b"}}")


def _mapping(value: object) -> Entry:
    return value if isinstance(value, dict) else {}

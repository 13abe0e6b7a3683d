"""Term ids in every spelling: the one canonical CURIE of an id in a source, and the key under which spellings meet."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from hooke.model import TermId

_ALIASES = {
    **dict.fromkeys(("ncbi", "ncbi_taxon", "ncbitaxonomy", "newt", "taxid", "taxon", "taxonomy", "txid"), "ncbitaxon"),
    "cellosaurus": "cvcl",
    "ordo": "orphanet",
}
_IRI = re.compile(r"<?(?:https?|ftp)://(?P<rest>[^>]*)>?", re.IGNORECASE)
_BASES = ("purl.obolibrary.org/obo/", "www.ebi.ac.uk/efo/", "www.cellosaurus.org/")
_UNDERSCORED = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z0-9.-]*)_(?P<local>\w*\d\w*)")
_COLON = re.compile(r"(?P<prefix>[A-Za-z][\w.-]*)\s*:\s*(?P<local>[\w.:-]+)")
_SPACED = re.compile(r"(?P<prefix>[A-Za-z]+)\s+(?P<local>\d+)")
_NUMBERED = re.compile(r"[A-Za-z]+_\d{4,}")
_EDAM = "edamontology.org/"


def canonical(text: str) -> TermId:
    """The id of a term as Hooke keeps it: `PREFIX_NUMBER`, alone or ending an IRI, becomes a CURIE.

    >>> canonical("http://purl.obolibrary.org/obo/FBbi_00000246"), canonical("CVCL_0001")
    ('FBbi:00000246', 'CVCL:0001')
    >>> canonical("http://edamontology.org/topic_3383"), canonical("http://www.ebi.ac.uk/cellline#female_gonad")
    ('EDAM:topic_3383', 'http://www.ebi.ac.uk/cellline#female_gonad')
    """
    iri = _IRI.fullmatch(text)
    if iri is None:
        return _colon_for_underscore(text)
    rest = iri["rest"]
    if rest.casefold().startswith(_EDAM):
        return f"EDAM:{rest[len(_EDAM) :]}"
    base = next((base for base in _BASES if rest.casefold().startswith(base)), None)
    local = rest[len(base) :] if base else re.split(r"[/#]", rest)[-1]
    shape = _UNDERSCORED if base else _NUMBERED
    return _colon_for_underscore(local) if shape.fullmatch(local) else text


def prefix_of(term: TermId) -> str:
    """The prefix of a CURIE; an IRI has none: "".

    >>> prefix_of("FBbi:00000246"), prefix_of("http://example.org/a")
    ('FBbi', '')
    """
    return "" if _IRI.match(term) else term.partition(":")[0]


def key(term: TermId) -> str:
    """The form in which spellings of one id are equal: no case, no zero padding, one alias per prefix.

    >>> key("FBbi:00000246") == key("fbbi:246"), key("NCBITaxon:9606") == key("taxonomy:09606")
    (True, True)
    """
    iri = _IRI.fullmatch(term)
    if iri is not None:
        return iri["rest"].casefold()
    prefix, _, local = term.partition(":")
    return _key(prefix, local)


def keys(text: str, prefixes: Iterable[str] = ()) -> tuple[str, ...]:
    """The keys a text may stand for if it is an id at all, surest first; prefixes: those a bare number may have.

    >>> keys("NCBI:txid9606"), keys("https://identifiers.org/taxonomy/9606"), keys("9606", ("NCBITaxon",))
    (('ncbitaxon:9606',), ('ncbitaxon:9606', 'identifiers.org/taxonomy/9606'), ('ncbitaxon:9606',))
    """
    stripped = text.strip().strip("<>")
    if stripped.isdecimal():
        return tuple(_key(prefix, stripped) for prefix in prefixes)
    iri = _IRI.fullmatch(stripped)
    if iri is None:
        found = _split(stripped)
        return (_key(*found),) if found else ()
    inside = _in_iri(unquote(iri["rest"]))
    whole = iri["rest"].casefold()
    return (_key(*inside), whole) if inside else (whole,)


def _split(text: str) -> tuple[str, str] | None:
    """Prefix and local part of an id that is no IRI, or None."""
    taxon = re.fullmatch(r"txid(\d+)", text, re.IGNORECASE)
    if taxon:
        return "NCBITaxon", taxon[1]
    colon = _COLON.fullmatch(text)
    if colon:
        return _unwrapped(colon["prefix"], colon["local"])
    underscored = _UNDERSCORED.fullmatch(text)
    if underscored:
        return underscored["prefix"], underscored["local"]
    spaced = _SPACED.fullmatch(text)
    # "cell 1" is no id: a space counts only where the prefix or the length of the number says so.
    if spaced and (_alias(spaced["prefix"]) == "ncbitaxon" or len(spaced["local"]) >= 7):
        return spaced["prefix"], spaced["local"]
    return None


def _unwrapped(prefix: str, local: str) -> tuple[str, str]:
    """`obo:FBbi_00000246` and `efo:EFO_0000001` name the ontology twice."""
    inner = re.fullmatch(r"(?P<prefix>[A-Za-z]+)[_:](?P<local>\w*\d\w*)", local)
    if inner and (prefix.casefold() == "obo" or _alias(inner["prefix"]) == _alias(prefix)):
        return inner["prefix"], inner["local"]
    return prefix, local


def _in_iri(rest: str) -> tuple[str, str] | None:
    if rest.casefold().startswith(_EDAM):
        return "EDAM", rest[len(_EDAM) :]
    parts = re.split(r"[/#?=&]", rest.rstrip("/"))
    found = _split(parts[-1])
    if found is None and parts[-1].isdecimal():
        # .../taxonomy/9606, and NCBI's own browser: .../Taxonomy/Browser/wwwtax.cgi?id=9606
        prefix = "taxonomy" if "taxonomy" in rest.casefold() else parts[-2]
        return prefix, parts[-1]
    return found


def _colon_for_underscore(text: str) -> TermId:
    matched = _UNDERSCORED.fullmatch(text)
    return f"{matched['prefix']}:{matched['local']}" if matched else text


def _alias(prefix: str) -> str:
    folded = prefix.casefold()
    return _ALIASES.get(folded, folded)


def _key(prefix: str, local: str) -> str:
    alias = _alias(prefix)
    if "_" in alias:
        # FBbi_root:00000000 and FBbi:root_00000000 come from the same IRI.
        prefix, _, rest = prefix.partition("_")
        return _key(prefix, f"{rest}_{local}")
    folded = local.casefold()
    if alias == "ncbitaxon":
        folded = folded.removeprefix("txid")
    return f"{alias}:{folded.lstrip('0') or '0'}"

"""Cells into values: what a cell says once template leftovers are gone, and the term ids that belong to it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from hooke.fields import ONTOLOGY_FIELDS, field_name
from hooke.model import Value

# the synonyms that archives use for the shared fields, after `field_name` and without a trailing number
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "organism_part": "anatomy",
        "organ": "anatomy",
        "tissue": "anatomy",
        "tissue_type": "anatomy",
        "development_stage": "developmental_stage",
        "diagnosis": "disease",
        "disease_state": "disease",
        "pathology": "disease",
        "compound_name": "compound",
        "license": "licence",
    }
)
# GO terms: an id does not say which aspect its term is of, the ontology does
_PREFIX_FIELDS = {"GO": "gene_ontology", "BAO": "protocol_type"} | {
    prefix: field
    for field, prefixes in reversed(list(ONTOLOGY_FIELDS.items()))
    for prefix in prefixes
    if prefix not in ("GO", "EFO")
}
_NUMBERED = re.compile(r"_\d+(?=_name$|$)")
_ONE_ID = re.compile(r"([A-Za-z]+)[ _]+(?:Taxon[ _]+)?(\d+)", re.IGNORECASE)


def clean(cell: str) -> str:
    """A cell without the spaces around it; empty if it only holds a template's hint.

    >>> clean("  HeLa "), clean("# leave blank"), clean("#fill in any values you know")
    ('HeLa', '', '')
    """
    stripped = cell.strip()
    return "" if stripped.startswith("#") else stripped


def canonical_field(label: str) -> str:
    """The field of a column: the shared one where it has another name or a number, else the column's own.

    >>> [canonical_field(x) for x in ("Characteristics [Organism 2]", "Compound 1 Name", "Comment [Antibody 2]")]
    ['organism', 'compound', 'antibody_2']
    """
    name = field_name(re.sub(r"\](\s*\d+)$", r"\1]", label.strip()))
    plain = _NUMBERED.sub("", name)
    shared = _ALIASES.get(plain, plain)
    return shared if shared in ONTOLOGY_FIELDS or plain in _ALIASES else name


def term_ids(cell: str, ref: str = "", field: str = "") -> tuple[str, ...]:
    """The term ids in an accession cell, with their prefix where the cell leaves it out.

    ref: the `Term Source REF` cell; without a usable one a bare number is of the field's first ontology.

    >>> term_ids("9606", "NCBITaxon"), term_ids("EFO_0001185;EFO_0001086"), term_ids("NCBITaxon 9606")
    (('NCBITaxon:9606',), ('EFO_0001185', 'EFO_0001086'), ('NCBITaxon:9606',))
    >>> term_ids("10090", "", "organism"), term_ids("", "NCBITaxon 10090"), term_ids("T-67000", "SNOMED")
    (('NCBITaxon:10090',), ('NCBITaxon:10090',), ('T-67000',))
    """
    source = ref if clean(cell) or any(c.isdigit() for c in ref) else ""
    prefix = _prefix(source, field)
    spelt = clean(cell) or source
    parts = (part.strip() for part in re.split(r"[;,|]", spelt))
    ids = (_with_prefix(word, prefix) for part in parts for word in _words(part))
    return tuple(dict.fromkeys(identifier for identifier in ids if any(c.isdigit() for c in identifier)))


def term_field(identifier: str, otherwise: str) -> str:
    """The field that terms of an id's prefix are of; another one for prefixes of several.

    >>> term_field("http://purl.obolibrary.org/obo/CL_0000540", "subject"), term_field("EFO:0001185", "subject")
    ('cell_type', 'subject')
    """
    prefix = re.search(r"([A-Za-z]+)[_:]\w+$", identifier)
    return _PREFIX_FIELDS.get(prefix.group(1), otherwise) if prefix else otherwise


def accession_of(text: str) -> str:
    """An accession in its archive's own spelling; other ids as they are.

    >>> accession_of("s-biad15"), accession_of("IDR0056"), accession_of("My study")
    ('S-BIAD15', 'idr0056', 'My study')
    """
    if re.fullmatch(r"(idr|ssbd-repos-)\d+", text, flags=re.IGNORECASE):
        return text.lower()
    return text.upper() if re.fullmatch(r"(s-\w+|empiar-)\d+", text, flags=re.IGNORECASE) else text


def organism_values(text: str, ids: tuple[str, ...] = ()) -> Iterator[Value]:
    """An organism, its common name a value of its own where the BioImage Archive's form put it in brackets.

    >>> [(value.field, value.text) for value in organism_values("Homo sapiens (human)")]
    [('organism', 'Homo sapiens'), ('common_name', 'human')]
    """
    both = re.fullmatch(r"(\w+ \w[^()]*?) \(([^()]+)\)", text)
    yield Value("organism", both.group(1) if both else text, ids)
    if both:
        yield Value("common_name", both.group(2))


def bare_doi(text: str) -> str:
    """A DOI without the address of its resolver.

    >>> bare_doi("https://doi.org/10.1016/j.cub.2019.11.089"), bare_doi("10.6019/S-BIAD15")
    ('10.1016/j.cub.2019.11.089', '10.6019/S-BIAD15')
    """
    return re.sub(r"^https?://(?:dx\.)?doi\.org/(?=.)", "", text)


def year_values(date: str) -> Iterator[Value]:
    """The year of an ISO date; nothing of any other text.

    >>> [value.text for date in ("2024-03-01", "March 2024") for value in year_values(date)]
    ['2024']
    """
    year = re.match(r"(?:19|20)\d\d(?!\d)", date)
    if year:
        yield Value("year", year.group())


def distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    """The values in order, each once."""
    return tuple(dict.fromkeys(values))


def line_of(text: str) -> str:
    r"""Text fit for an id or a title: one line, without control characters, stored as UTF-8 by anyone.

    >>> line_of("  Plate\t1\n A3\x07 ")
    'Plate 1 A3'
    """
    printable = text if text.isprintable() else re.sub(r"[\x00-\x1f\x7f]", " ", utf8(text))
    return " ".join(printable.split())


def utf8(text: str) -> str:
    """Text without the lone surrogates that JSON escapes and file names can hold and no file can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def unique_id(identifier: str, used: dict[str, int]) -> str:
    """The id, or for its second use the id with `#2`, and so on; `used` counts.

    >>> used: dict[str, int] = {}
    >>> [unique_id(x, used) for x in ("a", "a", "a#2", "a")]
    ['a', 'a#2', 'a#2#2', 'a#3']
    """
    used[identifier] = times = used.get(identifier, 0) + 1
    return identifier if times == 1 else unique_id(f"{identifier}#{times}", used)


def _words(part: str) -> list[str]:
    one = _ONE_ID.fullmatch(part)
    return [f"{one.group(1)}:{one.group(2)}"] if one and " " in part else part.split()


def _prefix(ref: str, field: str) -> str:
    source = re.sub(r"^NCBI[ _]?Taxon.*", "NCBITaxon", ref.strip(), flags=re.IGNORECASE)
    if re.fullmatch(r"[A-Za-z]+", source):
        return source
    return ONTOLOGY_FIELDS[field][0] if field in ONTOLOGY_FIELDS else ""


def _with_prefix(word: str, prefix: str) -> str:
    return f"{prefix}:{word}" if prefix and word.isdigit() else word

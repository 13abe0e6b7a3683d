"""REMBI and MIFA metadata as YAML: a study with its components, or MIFA's files of one module each.

The file becomes the tree of sections that BioStudies has for the same attributes. Of annotation sets the study keeps
what MIFA says of them as a whole, and the types of their files; the files themselves stay in the YAML.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import yaml

from hooke.errors import TooLarge, UnreadableSource
from hooke.model import Study
from indexer.sources.base import Document, Quarantine, Quarantined, decode, one_line
from indexer.sources.biostudies import rembi_study
from indexer.sources.json_text import Json, scalar
from indexer.sources.page_tab import DEPTH, Attribute, Section, Submission, name_of
from indexer.sources.values import accession_of, line_of

ORIGIN = "rembi"
SUFFIXES = (".yaml", ".yml", ".yaml.gz", ".yml.gz")

NODES = 1_000_000
"""Nodes of a file once its aliases are written out; a list of 100,000 annotated files has 700,000."""
FILE_LIMIT = 16 * 2**20
"""Bytes of a file; one of this size takes about a minute to parse."""

# one of these keys, or all of a study's, make a YAML file REMBI's or MIFA's
_OWN_KEYS = frozenset(
    {
        "rembi_version",
        "study_component",
        "study_components",
        "biosample",
        "biosamples",
        "image_acquisition",
        "image_acquisitions",
        "annotation_overview",
        "ai_models_trained",
        "previous_version",
    }
)
_STUDY_KEYS = frozenset({"title", "description", "license"})
_TOP_KEY = re.compile(r"^[\"']?([A-Za-z][\w ]*?)[\"']?[ \t]{0,8}:(?=\s|$)", flags=re.MULTILINE)

_KINDS = {
    "study_components": "study_component",
    "biosamples": "biosample",
    "organisms": "organism",
    "specimens": "specimen",
    "image_acquisitions": "image_acquisition",
    "imaging_methods": "imaging_method",
    "image_correlations": "image_correlation",
    "image_analyses": "image_analysis",
    "authors": "author",
    "affiliation": "organisation",
    "affiliations": "organisation",
    "organisations": "organisation",
    "publications": "publication",
    "grants": "funding",
    "grant_references": "funding",
    "links": "link",
    "annotations": "annotation",
}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "author": {"orcid_id": "orcid"},
    "organisation": {"organisation_name": "name", "ror_id": "rorid", "url": "rorid"},
    "publication": {"publication_title": "title", "publication_authors": "authors", "publication_doi": "doi"},
    "funding": {"identifier": "grant_id", "funder": "agency"},
    "organism": {"ncbi_taxon": "ncbi_taxon_id", "ncbi_id": "ncbi_taxon_id"},
    "imaging_method": {
        "value": "ontology_value",
        "name": "ontology_value",
        "ontology_id": "ontology_term_id",
        "fbbi_id": "ontology_term_id",
    },
    "biosample": {"name": "title", "biological_entity_description": "biological_entity"},
    "specimen": {"name": "title", "sample_preparation": "sample_preparation_protocol"},
    "image_acquisition": {"name": "title", "imaging_instrument_description": "imaging_instrument"},
    "link": {"link_url": "url", "link_description": "description", "link_type": "type"},
}
_PERSON_NAMES = frozenset({"author_first_name", "author_last_name", "first_name", "last_name", "name", "display_name"})
_FILES = "file_metadata"
_FILE_IDS = frozenset({"annotation_id", "source_image_id", "annotation_creation_time", "last_modification_time"})
_IDS = ("accession", "accession_id", "accno", "study_id", "id")
_ASSOCIATED = ("biosample", "specimen", "image_acquisition", "image_correlation", "image_analysis")
_ACCESSION = re.compile(r"S-[A-Z]+\d+|EMPIAR-\d+|idr\d{4,}|ssbd-repos-\d+", flags=re.IGNORECASE)
# what a file is called that says only what is in it
_GENERIC = re.compile(r"(?:rembi|mifa|study|annotations?|version|metadata|template)(?:[-_.]|$)", flags=re.IGNORECASE)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Plain texts, lists and mappings: `NO` is Norway, `1.10` a version, `12:30` a time; as written, all of them."""

    yaml_implicit_resolvers = {  # noqa: RUF012  as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in found if tag.endswith((":null", ":merge"))]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def is_rembi(name: str, start: bytes) -> bool:
    """Whether a file is REMBI or MIFA metadata by its name's end and its first bytes."""
    if not name.lower().endswith(SUFFIXES):
        return False
    keys = {name_of(key) for key in _TOP_KEY.findall(decode(start))}
    return bool(keys & _OWN_KEYS) or keys >= _STUDY_KEYS


def read_rembi(document: Document, quarantine: Quarantine) -> Iterator[Study]:
    """The study of each YAML document in a file, of one accession. Raises UnreadableSource, TooLarge."""
    for parsed in _documents(decode(document.data)):
        if not isinstance(parsed, dict):
            raise UnreadableSource("no mapping of REMBI's or MIFA's attributes at the top")
        top = {name_of(str(key)): value for key, value in parsed.items()}
        inner = top.pop("study", None)
        study = {**top, **inner} if isinstance(inner, dict) else top
        section = _section(
            "study", study, lambda reason: quarantine(Quarantined(document.label, f"{reason}; left out"))
        )
        accession = accession_of(section.accession) or _name_of_file(document)
        archive = "BioImage Archive" if accession.startswith("S-BIAD") else ""
        yield rembi_study(Submission(accession, Section("study", ()), section), archive, ORIGIN)


def _documents(text: str) -> Iterator[Json]:
    if len(text) > FILE_LIMIT:
        raise TooLarge(f"more than {FILE_LIMIT >> 20} MiB of YAML; put lists of files into a table")
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            _check_size(node, {}, set())
            parsed: Json = loader.construct_document(node)
            yield parsed
    # a value that is not of its explicit tag (`!!bool maybe`) fails in PyYAML as its constructor happens to
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise UnreadableSource(f"not YAML: {one_line(error)[:200]}") from error


def _check_size(node: yaml.Node, sizes: dict[int, int], above: set[int]) -> int:
    """How many nodes a node is, an alias counting as what it stands for. Raises TooLarge before any is written out."""
    if id(node) in above:
        raise UnreadableSource("an alias stands for what it is in")
    if id(node) not in sizes:
        above.add(id(node))
        sizes[id(node)] = 1 + sum(_check_size(inner, sizes, above) for inner in _inner(node))
        above.remove(id(node))
    if sizes[id(node)] > NODES:
        raise TooLarge(f"more than {NODES:,} values, aliases written out; put lists of files into a table")
    return sizes[id(node)]


def _inner(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _section(kind: str, entry: Mapping[str, Json], report: Callable[[str], None], depth: int = 0) -> Section:
    attributes: list[Attribute] = []
    sections: list[Section] = []
    for key, value in entry.items():
        name = name_of(str(key))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and name in ("license", "licence"):
                address = scalar(item.get("url"))
                attributes.append(Attribute(name, scalar(item.get("name")) or address, qualifiers={"url": address}))
            elif isinstance(item, dict) and depth < DEPTH:
                sections.append(_section(_KINDS.get(name, name), item, report, depth + 1))
            elif isinstance(item, dict | list):
                report(f"`{name}` is nested too deep, or a list in a list")
            elif not (kind == _FILES and name in _FILE_IDS):
                attributes.append(Attribute(_NAMES.get(kind, {}).get(name, name), scalar(item)))
    own = Section(kind, tuple(attributes))
    identifier = line_of(own.first(*_IDS))
    if kind == "author":
        attributes = [Attribute("name", _person(own)), *(a for a in attributes if a.name not in _PERSON_NAMES)]
    if kind == "study_component":
        named = [Attribute(_KINDS.get(a.name, a.name), a.text) for a in attributes]
        sections.append(Section("associations", tuple(a for a in named if a.name in _ASSOCIATED)))
        attributes = [a for a in named if a.name not in _ASSOCIATED]
    return Section(kind, tuple(a for a in attributes if a.name not in _IDS), tuple(sections), identifier)


def _person(author: Section) -> str:
    parts = (author.first("author_first_name", "first_name"), author.first("author_last_name", "last_name"))
    return line_of(author.first("name", "display_name") or " ".join(parts))


def _name_of_file(document: Document) -> str:
    """The accession in a file's name, else the name itself, else, where it says only what is in it, its folder's."""
    folder, file = ["", *re.split(r"[/:\\]", document.label)][-2:]
    found = _ACCESSION.search(file)
    if found:
        return accession_of(found.group())
    stem = re.sub(r"\.ya?ml(\.gz)?$", "", file, flags=re.IGNORECASE)
    return line_of(_GENERIC.sub("", stem).strip("-_. ")) or line_of(folder) or "study"

"""BioStudies submissions (page-tab JSON), with REMBI as the BioImage Archive's templates put it there.

Biosamples, specimens and acquisitions stand beside the study components, which name them in `Associations`
(templates 4 and 5), or inside the components (older ones).
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from hooke.model import Dataset, Image, Study, Value
from indexer.sources.base import Document, Quarantine
from indexer.sources.licence import spdx
from indexer.sources.manifest import IMAGE_SUFFIXES, ignore
from indexer.sources.page_tab import FILE, Attribute, Section, Submission, read_page_tab
from indexer.sources.values import (
    bare_doi,
    canonical_field,
    distinct,
    line_of,
    organism_values,
    term_ids,
    unique_id,
    year_values,
)

ORIGIN = "biostudies"

_COMPONENT, _ASSOCIATIONS, _IMAGE = "study_component", "associations", "image"
_MICROSCOPE_SUFFIXES = (".czi", ".lif", ".lsm", ".nd2", ".oib", ".oif", ".ims", ".vsi", ".svs", ".ndpi", ".mrc", ".dm4")
# Attributes by the kind of section; "" is left out. Any other keeps its own name, with its section's before it where
# that says nothing alone.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "study": {"title": "title", "description": "description"},
    "author": {"name": "authors", "e_mail": "", "email": ""},
    "organisation": {"name": "affiliation", "rorid": "ror_id", "e_mail": "", "email": ""},
    "publication": {"year": "publication_date"},
    "funding": {"agency": "funder", "grant_id": "grant"},
    "biosample": {"title": "sample", "description": "sample_description", "biological_entity": "sample_description"},
    "organism": {"scientific_name": "organism", "ncbi_taxon_id": ""},
    "specimen": {
        "title": "protocol_name",
        "sample_preparation_protocol": "protocol_description",
        "growth_protocol": "protocol_description",
    },
    "image_acquisition": {
        "title": "protocol_name",
        "imaging_instrument": "instrument",
        "image_acquisition_parameters": "protocol_description",
    },
    "imaging_method": {"ontology_value": "imaging_method", "ontology_name": "", "ontology_term_id": ""},
    "experiment": {"description": "description", "experiment_size": "size"},
    _COMPONENT: {"name": "dataset", "title": "dataset", "description": "description"},
    _ASSOCIATIONS: {
        "biosample": "sample",
        "specimen": "protocol_name",
        "image_acquisition": "protocol_name",
        "image_analysis": "image_analysis_title",
        "image_correlation": "image_correlation_title",
    },
    _IMAGE: {"path": "path", "size": "size_bytes", "type": "", "description": "description"},
    FILE: {"path": "path", "size": "", "type": ""},
    "link": {"url": "link_url"},
}
_ANYWHERE = {"keyword": "keywords", "template": "", "attach_to": ""}
_SAY_NOTHING_ALONE = frozenset({"title", "name", "description", "type", "year", "authors"})
# sections that are one term: the attribute with its id
_TERM_IDS = {"organism": "ncbi_taxon_id", "imaging_method": "ontology_term_id"}


def read_submission(document: Document, quarantine: Quarantine) -> Study:
    """The study of a submission, its components as datasets. Raises UnreadableSource."""
    submission = read_page_tab(document, quarantine)
    return rembi_study(submission, _archive(submission), ORIGIN)


def rembi_study(submission: Submission, archive: str, origin: str) -> Study:
    """The study that a tree of REMBI sections describes.

    A component has the values of the biosamples, specimens and acquisitions that it names or holds.
    """
    study, about = submission.study, submission.about
    datasets = tuple(Dataset(name, _component_values(section, study)) for name, section in _components(study))
    title = line_of(study.first("title") or about.first("title"))
    values = distinct(
        (
            Value("accession", submission.accession),
            *([Value("archive", archive)] if archive else ()),
            *year_values(about.first("release_date") or study.first("release_date")),
            *(value for section in (about, *study.tree) if _kind(section) != _IMAGE for value in _values(section)),
            *(value for dataset in datasets for value in dataset.values),
        )
    )
    return Study(submission.accession, title or submission.accession, values, datasets, origins=(origin,))


def read_submission_images(document: Document, quarantine: Quarantine) -> Iterator[Image]:
    """The images among the files that a submission lists itself, each in its component. Raises UnreadableSource."""
    submission = read_page_tab(document, ignore)  # reading the study has told what is wrong
    study, used = submission.accession, dict[str, int]()
    datasets = {id(inner): name for name, section in _components(submission.study) for inner in section.tree}
    for section in submission.study.tree:
        path = line_of(section.first("path"))
        if path and _kind(section) == _IMAGE:
            values = distinct(_values(section))
            yield Image(unique_id(f"{study}/{path}", used), study, path, datasets.get(id(section)), values)


def _components(study: Section) -> list[tuple[str, Section]]:
    """The study components, each by a name of its own."""
    used: dict[str, int] = {}
    components = [section for section in study.tree if section.kind == _COMPONENT]
    names = (line_of(c.first("name", "title")) or c.accession or f"component{n}" for n, c in enumerate(components, 1))
    return [(unique_id(name, used), component) for name, component in zip(names, components, strict=True)]


def _component_values(component: Section, study: Section) -> tuple[Value, ...]:
    """What a component says, and what the parts say that it names; a name without a part is itself kept."""
    named = {
        (a.name, _folded(a.text)) for inner in component.tree if inner.kind == _ASSOCIATIONS for a in inner.attributes
    }
    parts = [
        part
        for part in study.sections
        if {(part.kind, _folded(part.first("title"))), (part.kind, _folded(part.accession))} & named
    ]
    tree = (inner for section in (component, *parts) for inner in section.tree)
    sections = [section for section in tree if _kind(section) != _IMAGE]
    return distinct(value for section in sections for value in _values(section))


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _values(section: Section) -> Iterator[Value]:
    """What a section itself says."""
    kind = _kind(section)
    ids = term_ids(section.first(_TERM_IDS.get(kind, "")), field=kind)
    labels = sum(_labels(kind, attribute) for attribute in section.attributes)
    for attribute in section.attributes:
        field = _field(kind, attribute.name)
        if field and attribute.text and not attribute.is_reference:
            yield from _attribute_values(field, attribute, ids if field == kind and labels == 1 else ())
    if ids and labels != 1:
        # one id beside several names: whose it is, is not said
        yield Value(kind, ids[0], ids)


def _labels(kind: str, attribute: Attribute) -> bool:
    return bool(_field(kind, attribute.name) == kind and attribute.text and not attribute.is_reference)


def _attribute_values(field: str, attribute: Attribute, ids: tuple[str, ...]) -> Iterator[Value]:
    text, qualifiers = attribute.text, attribute.qualifiers
    given = term_ids(qualifiers.get("term_id", ""), qualifiers.get("ontology", ""), field) or ids
    if field == "organism":
        yield from organism_values(text, given)
    elif field == "licence":
        yield Value(field, spdx(text))
        if qualifiers.get("url"):
            yield Value("licence_url", qualifiers["url"])
    elif field == "doi":
        yield Value(field, bare_doi(text))
    elif field == "orcid":
        yield Value(field, text.rstrip("/").rsplit("/", 1)[-1])
    else:
        yield Value(field, text, given)


def _field(kind: str, name: str) -> str:
    known = _FIELDS.get(kind, {}).get(name, _ANYWHERE.get(name))
    if known is not None:
        return known
    return f"{kind}_{name}" if name in _SAY_NOTHING_ALONE else canonical_field(name)


def _kind(section: Section) -> str:
    """A section's kind; that of a file tells images from others."""
    if section.kind != FILE:
        return section.kind
    name = PurePosixPath(section.first("path").casefold()).name
    return _IMAGE if name.endswith((*IMAGE_SUFFIXES, *_MICROSCOPE_SUFFIXES)) else FILE


def _archive(submission: Submission) -> str:
    is_image_archive = submission.about.first("attach_to") == "BioImages" or submission.accession.startswith("S-BIAD")
    return "BioImage Archive" if is_image_archive else "BioStudies"

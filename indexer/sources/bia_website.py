"""The exports behind the BioImage Archive's website: image records by their UUID and study records by accession."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hooke.errors import UnreadableSource
from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import Image, Study, Value
from indexer.sources.base import Document, Quarantine, Quarantined, decode
from indexer.sources.json_text import cells, members, parse
from indexer.sources.manifest import ignore
from indexer.sources.values import (
    accession_of,
    canonical_field,
    distinct,
    line_of,
    organism_values,
    term_ids,
    unique_id,
    utf8,
    year_values,
)

ORIGIN = "bia-website"
ARCHIVE = "BioImage Archive"

_STUDIES, _IMAGES = "datasets", "images"
_UUIDS = frozenset(
    {
        "image_uuids",
        "annfile_uuids",
        "annotation_images",
        "corresponding_ann_source_im_uuids",
        "corresponding_source_im_ann_uuids",
    }
)
"""Lists and maps of thousands of UUIDs, left out: each image names its own and its study."""
# "" is left out: the record says it elsewhere
_STUDY_FIELDS: Mapping[str, str] = {
    "accession_id": "",
    "imaging_type": "imaging_method",
    "models_description": "ai_models_trained",
    "models_uri": "ai_models_trained",
    "links url": "link_url",
    "links name": "",
    "links type": "",
}
_IMAGE_FIELDS: Mapping[str, str] = {
    "study_accession_id": "",
    "study_title": "",
    "release_date": "",
    "name": "",
    "original_relpath": "path",
    **{f"size{axis}": f"size_{axis.lower()}" for axis in "XYZCT"},
    # metres, as in the archive's model; 1.0 where the exporter knew no size
    **{f"PhysicalSize{axis}": f"voxel_physical_size_{axis.lower()}" for axis in "XYZ"},
    "biosample_title": "sample",
    "biosample_description": "sample_description",
    "biosample_biological_entity": "sample_description",
    "biosample_organism_scientific_name": "organism",
    "biosample_organism_common_name": "common_name",
    "biosample_organism_ncbi_taxon": "",
    "specimen_title": "protocol_name",
    "specimen_sample_preparation_protocol": "protocol_description",
    "specimen_growth_protocol": "protocol_description",
    "image_acquisition_title": "protocol_name",
    "image_acquisition_imaging_instrument": "instrument",
    "image_acquisition_image_acquisition_parameters": "protocol_description",
    "image_acquisition_imaging_method": "imaging_method",
}
_CHANNEL = re.compile(r"channels?(?: ?\d+)?", flags=re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of an export: where it stands, and its texts by key, nested ones under all their keys."""

    place: str
    texts: Mapping[str, tuple[str, ...]]

    def first(self, *keys: str) -> str:
        return next((line_of(text) for key in keys for text in self.texts.get(key, ()) if line_of(text)), "")


def read_export(document: Document, quarantine: Quarantine) -> Iterator[Study]:
    """The studies of an export; one that only its images name is made of what they say. Raises UnreadableSource."""
    known = set()
    for record in _records(document, _STUDIES, quarantine):
        identifier = accession_of(record.first("accession_id"))
        if identifier:
            known.add(identifier)
            yield _study(identifier, record.first("title"), record, _values(record, _STUDY_FIELDS))
        else:
            quarantine(Quarantined(record.place, "a study without `accession_id`; fetch the export again"))
    # what is wrong with an image is told when it is read
    for record in _records(document, _IMAGES, ignore):
        identifier = accession_of(record.first("study_accession_id"))
        if identifier and identifier not in known:
            known.add(identifier)
            title = record.first("study_title")
            date = record.first("release_date")
            said = (("title", title), ("release_date", date))
            yield _study(identifier, title, record, (Value(field, text) for field, text in said if text))


def read_export_images(document: Document, quarantine: Quarantine) -> Iterator[Image]:
    """The images of an export, in order. Raises UnreadableSource."""
    used: dict[str, int] = {}
    for record in _records(document, _IMAGES, quarantine):
        study = accession_of(record.first("study_accession_id"))
        path = record.first("original_relpath", "name", "uuid")
        if study and path:
            identifier = unique_id(f"{study}/{path}", used)
            title = record.first("name") or path
            yield Image(identifier, study, title, values=distinct(_values(record, _IMAGE_FIELDS)))
        else:
            missing = "`original_relpath`" if study else "`study_accession_id`"
            quarantine(Quarantined(record.place, f"an image without {missing}; fetch the export again"))


def _study(identifier: str, title: str, record: _Record, values: Iterable[Value]) -> Study:
    own = (Value("accession", identifier), Value("archive", ARCHIVE), *year_values(record.first("release_date")))
    return Study(identifier, title or identifier, distinct((*own, *values)), origins=(ORIGIN,))


def _records(document: Document, kind: str, quarantine: Quarantine) -> Iterator[_Record]:
    """The records of a kind that can be read; the others, and a file that is cut, are quarantined."""

    def report(line: int, reason: str) -> None:
        quarantine(Quarantined(f"{document.label}:{line}", reason))

    text = decode(document.data).strip()
    if not text.startswith("{"):
        raise UnreadableSource("no object of `images` and `datasets`; fetch the export again")
    for part in members(text, report):
        if part.key != kind:
            continue
        if not part.text.startswith("{"):
            report(part.line, f"`{kind}` is no object of records")
            continue
        for member in members(part.text, report, part.line):
            place = f"{document.label}:{kind}/{utf8(member.key)}"
            try:
                yield _record(place, member.text)
            except UnreadableSource as error:
                quarantine(Quarantined(place, str(error)))


def _record(place: str, text: str) -> _Record:
    parsed = parse(text)
    if not isinstance(parsed, dict):
        raise UnreadableSource("a record is an object, not a text, a number or a list")
    texts: dict[str, list[str]] = {}
    for key, found in cells({key: value for key, value in parsed.items() if key not in _UUIDS}):
        texts.setdefault(key, []).append(found)
    return _Record(place, {key: tuple(found) for key, found in texts.items()})


def _values(record: _Record, fields: Mapping[str, str]) -> Iterator[Value]:
    taxa = record.texts.get("biosample_organism_ncbi_taxon", ())
    for key, texts in record.texts.items():
        field = fields[key] if key in fields else _own_field(key)
        # ids belong to names by position; where some are missing it is not known whose the others are
        ids = taxa if field == "organism" and len(taxa) == len(texts) else ("",) * len(texts)
        if field:
            for text, taxon in zip(texts, ids, strict=True):
                yield from _field_values(field, text, term_ids(line_of(taxon), field="organism"))


def _field_values(field: str, text: str, taxon: tuple[str, ...]) -> Iterator[Value]:
    if text == "Unknown" and field in ONTOLOGY_FIELDS:
        return  # the exporter's word for nothing
    if field == "organism":
        yield from organism_values(text, taxon)
    elif field == "annotation_type":
        yield from (Value(field, part) for part in text.split(", ") if part)
    else:
        yield Value(field, text)


@lru_cache(maxsize=4096)  # the keys of one export are few; a broken one may have millions
def _own_field(key: str) -> str:
    own = key.removeprefix("attributes ")
    return "channels" if _CHANNEL.fullmatch(own) else canonical_field(own) or "attribute"

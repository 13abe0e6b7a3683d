"""One thing, whole: a record, a term, an index."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from pyroaring import BitMap

from hooke.index import IndexDirectory
from hooke.model import Level, Record
from hooke.query import Terms
from hooke.results import IndexInfo, OntologySummary, RecordDetail
from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue
from ontologies.model import LoadWarning, OntologyInfo


def describe_record(record: Record, reader: MetadataReader, embedded: BitMap) -> RecordDetail:
    """A study or an image with its values, as JSON has them: one read over HTTP equals one read in process."""
    ordinal = BitMap([record.ordinal])
    images = reader.image_ordinals(ordinal) if record.level is Level.STUDY else ordinal
    return RecordDetail(
        record.id,
        str(record.level),
        record.study_id,
        record.title,
        record.dataset,
        record.origins,
        tuple({"field": v.field, "text": v.text, "ids": list(v.ids)} for v in record.values),
        tuple({**asdict(m), "method": str(m.method)} for m in record.mentions),
        bool(images & embedded),
        len(images) if record.level is Level.STUDY else None,
    )


def describe_term(text: str, reader: MetadataReader, catalogue: Catalogue) -> Mapping[str, object]:
    """A term, its neighbours, and how many records have it. Raises UnknownTerm."""
    resolution = catalogue.resolve(text)
    term = catalogue.term(resolution.term if resolution else text)
    above = catalogue.ancestors(term.id) - {term.id}
    return {
        **asdict(term),
        "parents": [_labelled(t, catalogue) for t in catalogue.parents(term.id)],
        "children": [_labelled(t, catalogue) for t in catalogue.children(term.id)],
        "ancestors": [_labelled(t, catalogue) for t in sorted(above)],
        "rewritten_from": resolution.rewritten_from if resolution else None,
        "records": {str(level): _usage(term.id, level, reader, catalogue) for level in Level},
    }


def list_terms(
    text: str, view: str, relations: tuple[str, ...], page: slice, catalogue: Catalogue
) -> Mapping[str, object]:
    """The terms around a term, each with its parents, by label. Raises UnknownTerm.

    view: children, ancestors, descendants (both without the term), or tree: its ancestors, itself and its children.
    page: which of them are named.
    """
    catalogue.check_relations(relations)
    resolution = catalogue.resolve(text)
    term = catalogue.term(resolution.term if resolution else text).id
    found = set[str]()
    if view in ("ancestors", "tree"):
        found |= catalogue.ancestors(term, relations)
    if view in ("children", "tree"):
        found.update(catalogue.children(term, relations))
    if view == "descendants":
        found |= catalogue.descendants(term, relations)
    if view != "tree":
        found.discard(term)
    listed = sorted((_labelled(each, catalogue) for each in found), key=lambda each: (each["label"], each["id"]))
    terms = [{**each, "parents": list(catalogue.parents(each["id"], relations))} for each in listed[page]]
    return {**_labelled(term, catalogue), "total": len(found), "terms": terms}


def _usage(term: str, level: Level, reader: MetadataReader, catalogue: Catalogue) -> Mapping[str, int]:
    below = catalogue.descendants_among(term, reader.terms_in_use(level))
    return {
        "count": reader.count(level, Terms(below)),
        "direct_count": reader.count(level, Terms(frozenset({term}))),
    }


def _labelled(term: str, catalogue: Catalogue) -> dict[str, str]:
    return {"id": term, "label": catalogue.label(term)}


def describe_index(
    reader: MetadataReader,
    catalogue: Catalogue,
    embedded: BitMap,
    space: Mapping[str, object] | None,
    index: IndexDirectory,
    store: str,
) -> IndexInfo:
    """What an index holds."""
    return IndexInfo(
        reader.count(Level.STUDY),
        reader.count(Level.IMAGE),
        len(embedded),
        dict(reader.mention_counts()),
        reader.unresolved_count(),
        tuple(_summary(info) for info in catalogue.ontologies()),
        space,
        {"metadata": reader.size_bytes(), **_sizes(index.root)},
        reader.snapshot.id,
        reader.snapshot.created,
        store,
    )


def _summary(info: OntologyInfo) -> OntologySummary:
    return OntologySummary(
        info.name,
        info.version,
        info.prefix,
        info.terms,
        info.edges,
        info.relations,
        info.source,
        tuple(map(_warning, info.warnings)),
    )


def _warning(warning: LoadWarning) -> str:
    example = f", e.g. {warning.example}" if warning.example else ""
    return f"{warning.name}: {warning.message} ({warning.count}{example})"


def _sizes(root: Path) -> dict[str, int]:
    return {name: sum(_file_bytes((root / name).rglob("*"))) for name in ("ontologies", "vectors", "thumbnails")}


def _file_bytes(paths: Iterable[Path]) -> Iterator[int]:
    return (path.stat().st_size for path in paths if path.is_file())

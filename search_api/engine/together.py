"""Studies of which one dataset or one image satisfies all that is asked (`same=dataset`).

A study's record has the values of all its datasets, so it can match by the organism of one and the method of another.
Datasets have no records in a store: those of studies that have several are put into an index of their own, as images
that say themselves what the dataset says and what its study says of all. A study with one dataset or none is one.
"""

import shutil
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from pyroaring import BitMap

from hooke.errors import BadQuery, UnknownField
from hooke.fields import TEXT_FIELDS
from hooke.inherit import OF_IMAGES
from hooke.model import Dataset, Image, Level, Manifest, Study, Value
from hooke.query import Among, And, Everything, Node, Or
from hooke.request import SearchRequest
from hooke.results import QueryReport
from hooke.store.base import MetadataReader, Stored
from hooke.store.sqlite import SqliteStore
from ontologies.catalogue import Catalogue
from search_api.engine.understand import Understood, understand


class Datasets:
    """The datasets of the studies that have several; `studies` are these studies' ordinals in the snapshot."""

    def __init__(self, reader: MetadataReader) -> None:
        directory = Path(mkdtemp(prefix="hooke-datasets-"))
        self._store = SqliteStore(directory / "datasets.sqlite")
        weakref.finalize(self, _discard, self._store, directory)
        several = [stored for stored in reader.stored(Level.STUDY) if _has_several(stored.record)]
        self.studies = BitMap(stored.ordinal for stored in several)
        with self._store.write() as writer:
            writer.restore(Level.STUDY, map(_without_values, several))
            writer.put_images(image for stored in several for image in _as_images(stored.record))
            writer.commit(Manifest())

    def matching(self, where: Node) -> BitMap:
        """The ordinals of the studies of which a dataset matches."""
        with self._store.read() as reader:
            return reader.study_ordinals(reader.ordinals(Level.IMAGE, where))


@dataclass(frozen=True, eq=False, slots=True)
class Together:
    """What a request for studies asks of one dataset or image; `of_images` is None where no image can be asked."""

    reader: MetadataReader
    datasets: Datasets
    of_studies: Understood
    of_images: Understood | None
    report: QueryReport

    def where(self, *, without: str | None = None) -> Node:
        """The studies, ranked by what their own records match; `without`: as of `Understood.where`."""
        whole = self.of_studies.where(without=without)
        if whole == Everything():
            return whole
        found = self.reader.ordinals(Level.STUDY, whole) - self.datasets.studies | self.datasets.matching(whole)
        if self.of_images is not None:
            images = self.reader.ordinals(Level.IMAGE, self.of_images.where(without=without))
            found |= self.reader.study_ordinals(images)
        return And((Among(frozenset(found)), Or((whole, Everything()))))


def together(
    request: SearchRequest, understood: Understood, datasets: Datasets, reader: MetadataReader, catalogue: Catalogue
) -> Together:
    """What is asked of studies, asked of their datasets and images."""
    report = understood.report
    try:
        of_images = understand(replace(request, level=Level.IMAGE), reader, catalogue)
    except (UnknownField, BadQuery) as exc:
        return Together(reader, datasets, understood, None, _noticed(report, str(exc)))
    # a field that only studies have is words to images
    if of_images.report.understood != report.understood:
        reason = f"to images it is {of_images.report.understood}"
        return Together(reader, datasets, understood, None, _noticed(report, reason))
    return Together(reader, datasets, understood, of_images, report)


def _noticed(report: QueryReport, reason: str) -> QueryReport:
    return replace(report, notices=(*report.notices, f"only datasets were asked, no single images: {reason}"))


def _discard(store: SqliteStore, directory: Path) -> None:
    store.close()
    shutil.rmtree(directory, ignore_errors=True)


def _has_several(study: object) -> bool:
    """Whether its own record is not that of one dataset."""
    return isinstance(study, Study) and (len(study.datasets) > 1 or any(d.name == OF_IMAGES for d in study.datasets))


def _without_values(stored: Stored) -> Stored:
    return replace(stored, record=Study(stored.id, ""))


def _as_images(study: object) -> Iterator[Image]:
    assert isinstance(study, Study)
    for place, dataset in enumerate(study.datasets):
        if dataset.name == OF_IMAGES:
            continue
        # an id is searched as words: a digest is none that anybody asks for
        digest = sha256(f"{place} {dataset.name}".encode()).hexdigest()
        values = tuple(dict.fromkeys((*dataset.values, *_general(study, dataset))))
        yield Image(f"{study.id}/{digest}", study.id, study.title, dataset.name, values)


def _general(study: Study, dataset: Dataset) -> Iterator[Value]:
    """What the study says of all its datasets, but where this one says otherwise."""
    of_datasets = {value for each in study.datasets for value in each.values}
    spoken = {value.field for value in dataset.values if not value.from_text} - set(TEXT_FIELDS)
    return (value for value in study.values if value not in of_datasets and value.field not in spoken)

"""Studies of which one dataset or one image satisfies all that is asked (`same=dataset`).

A study's record has the values of all its datasets, so it can match by the organism of one and the method of another.
Its datasets have no records in a store: they are put into an index of their own, as images without pixels, which
inherit from the study as any image does. A study with one dataset or none is one dataset itself.
"""

import shutil
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from pyroaring import BitMap

from hooke.errors import UnknownField
from hooke.model import Dataset, Image, Level, Manifest, Study
from hooke.query import Among, And, Everything, Node, Or
from hooke.request import SearchRequest
from hooke.store.base import MetadataReader, Stored
from hooke.store.sqlite import SqliteStore
from ontologies.catalogue import Catalogue
from search_api.engine.understand import Understood, understand


class Datasets:
    """The datasets of the studies that have several; `studies` are these studies' ordinals in the snapshot."""

    def __init__(self, reader: MetadataReader) -> None:
        directory = Path(mkdtemp(prefix="hooke-datasets-"))
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._store = SqliteStore(directory / "datasets.sqlite")
        several = [stored for stored in reader.stored(Level.STUDY) if len(_datasets(stored)) > 1]
        self.studies = BitMap(stored.ordinal for stored in several)
        with self._store.write() as writer:
            writer.restore(Level.STUDY, several)
            writer.put_images(image for stored in several for image in _as_images(stored))
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
    try:
        of_images = understand(replace(request, level=Level.IMAGE), reader, catalogue)
    except UnknownField:  # no image has it, so none can satisfy all
        return Together(reader, datasets, understood, None)
    # a field that only studies have is words to images
    alike = of_images.report.understood == understood.report.understood
    return Together(reader, datasets, understood, of_images if alike else None)


def _datasets(stored: Stored) -> tuple[Dataset, ...]:
    return stored.record.datasets if isinstance(stored.record, Study) else ()


def _as_images(study: Stored) -> Iterator[Image]:
    for place, dataset in enumerate(_datasets(study)):
        # an id is searched as words: a digest is none that anybody asks for
        digest = sha256(f"{place} {dataset.name}".encode()).hexdigest()
        yield Image(f"{study.id}/{digest}", study.id, "", dataset.name, dataset.values)

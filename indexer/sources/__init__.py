"""Sources: archive metadata as it is published, read into the model.

`discover` finds the inputs, `read_studies` and `read_images` read one. Nothing that is wrong with one document or
row stops a reader: it goes to `quarantine` with its reason, and the reader goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import file_digest

from hooke.errors import HookeError, UnreadableSource
from hooke.model import Image, Study
from indexer.sources.base import Document, Input, Quarantine, Quarantined, Source, documents
from indexer.sources.bia_website import read_export, read_export_images
from indexer.sources.biostudies import read_submission, read_submission_images
from indexer.sources.detect import Discovery, discover, kind
from indexer.sources.folder import folder_digest, read_folder_images, read_folder_studies
from indexer.sources.idr_study import read_study
from indexer.sources.idr_table import read_table_images, read_table_study
from indexer.sources.rembi import read_rembi
from indexer.sources.ro_crate import read_crate

__all__ = [
    "Discovery",
    "Input",
    "Quarantine",
    "Quarantined",
    "Source",
    "digest",
    "discover",
    "read_images",
    "read_studies",
]


def _crate_studies(document: Document, quarantine: Quarantine) -> Iterator[Study]:
    yield read_crate(document)


def _submission_studies(document: Document, quarantine: Quarantine) -> Iterator[Study]:
    yield read_submission(document, quarantine)


def _idr_studies(read: Callable[[Document], Study | None]) -> Callable[[Document, Quarantine], Iterator[Study]]:
    def studies(document: Document, quarantine: Quarantine) -> Iterator[Study]:
        study = read(document)
        if study is None:
            raise UnreadableSource("no IDR accession (idrNNNN) in the file or its name; rename it")
        yield study

    return studies


_STUDIES: Mapping[Source, Callable[[Document, Quarantine], Iterator[Study]]] = {
    Source.IDR_STUDY: _idr_studies(read_study),
    Source.IDR_TABLE: _idr_studies(read_table_study),
    Source.RO_CRATE: _crate_studies,
    Source.BIOSTUDIES: _submission_studies,
    Source.BIA_WEBSITE: read_export,
    Source.REMBI: read_rembi,
}
_IMAGES: Mapping[Source, Callable[[Document, Quarantine], Iterator[Image]]] = {
    Source.IDR_TABLE: read_table_images,
    Source.BIOSTUDIES: read_submission_images,
    Source.BIA_WEBSITE: read_export_images,
}


def digest(source: Input) -> str:
    """A digest that changes whenever reading an input may give something else."""
    if source.source is Source.FOLDER:
        return folder_digest(source.path)
    with source.path.open("rb") as raw:
        return file_digest(raw, "sha256").hexdigest()


def read_studies(source: Input, quarantine: Quarantine) -> Iterator[Study]:
    """The studies in an input, once for each document: several documents may be about one study.

    A table without its study file gives a study whose title is its id.
    """
    if source.source is Source.FOLDER:
        yield from read_folder_studies(source.path, quarantine)
        return
    for document in _documents(source, quarantine):
        try:
            yield from _STUDIES[source.source](document, quarantine)
        except HookeError as error:
            quarantine(Quarantined(document.label, str(error)))


def read_images(source: Input, quarantine: Quarantine) -> Iterator[Image]:
    """The images in an input, one at a time; none for an input that describes studies only."""
    if source.source is Source.FOLDER:
        yield from read_folder_images(source.path, quarantine)
        return
    if source.source not in _IMAGES:
        return
    for document in _documents(source, quarantine):
        try:
            yield from _IMAGES[source.source](document, quarantine)
        except HookeError as error:
            quarantine(Quarantined(document.label, str(error)))


def _documents(source: Input, quarantine: Quarantine) -> Iterator[Document]:
    return documents(source.path, lambda name, start: kind(name, start) is source.source, quarantine)

"""A newer release of an index's ontologies, without its sources: records are grounded anew from what they hold.

A record is rewritten where its values mean other terms than they did. What is above a term and what is below it is
followed at query time (docs/adr/0003), so that edges move without a record. All is one commit: a run that is killed
leaves the index as it was, and the same command does it whole.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

from pyroaring import BitMap

from hooke.collector import without_collector
from hooke.curation import read_decisions
from hooke.index import existing_index
from hooke.model import Dataset, Image, Level, Study, Unresolved, Value
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import MetadataReader, MetadataWriter
from hooke.store.choose import open_store
from indexer.annotate import Annotator
from indexer.merge import bare
from indexer.pipeline import content_of, input_state, study_part
from indexer.report import Progress, silent
from indexer.sources import Quarantined
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies, changes

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Update:
    """What newer releases changed.

    terms: changed, new or gone, in any field or edge. values: the distinct ones that were grounded; regrounded: those
    of them that mean other terms now. studies, images: rewritten. heirs: the studies' other images, which inherit anew.
    quarantined: records that the store would not take.
    """

    releases: tuple[str, ...]
    terms: int
    values: int
    regrounded: int
    studies: int
    images: int
    heirs: int
    unresolved: int
    quarantined: tuple[Quarantined, ...]
    snapshot: int
    seconds: float


def update_ontologies(
    files: Sequence[str], directory: Path, progress: Progress = silent, cluster: ClusterSettings = DEFAULT_CLUSTER
) -> Update:
    """Replace ontologies of an index by newer releases, and ground its records anew.

    Raises UnknownIndex, BadInput for a file that is a release of none of them, BadOntology, IndexLocked, NoSpace.
    """
    started = time.monotonic()
    index = existing_index(directory)
    decisions = read_decisions(index.decisions)
    with closing(open_store(index, cluster)) as store, store.write() as writer:
        with store.read() as reader:
            manifest = reader.snapshot.manifest
            version = add_ontologies(
                files, index.ontologies, releases=True, progress=lambda what, *of: progress(f"ontology {what}", *of)
            )
            with closing(Catalogue.open(index.ontologies, version)) as catalogue, without_collector():
                run = _Run(reader, writer, Annotator(catalogue, decisions), progress)
                run.records()
            if not run.quarantined:  # else `hooke index` reads the inputs again, and tells again
                _mark(reader, writer, version, decisions.digest)
        writer.commit(replace(manifest, ontologies=version))
        changed = changes(index.ontologies, manifest.ontologies, version)
        with store.read() as reader:
            return Update(
                releases=changed.releases,
                terms=changed.terms,
                values=run.annotator.distinct,
                regrounded=len(run.regrounded),
                studies=len(run.studies),
                images=len(run.images),
                heirs=len(reader.image_ordinals(run.studies) - run.images),
                unresolved=reader.unresolved_count(),
                quarantined=run.quarantined,
                snapshot=reader.snapshot.id,
                seconds=round(time.monotonic() - started, 2),
            )


def _mark(reader: MetadataReader, writer: MetadataWriter, ontologies: str, decisions: str) -> None:
    """Every input whose records are what this pipeline makes of it is indexed under these ontologies now."""
    for part, state in reader.parts().items():
        content = content_of(state)
        if content is not None:
            writer.mark_part(part, input_state(content, ontologies, decisions))


class _Run:
    """All records of a snapshot through the annotator, each distinct value once; what comes out changed is put."""

    def __init__(
        self, reader: MetadataReader, writer: MetadataWriter, annotator: Annotator, progress: Progress
    ) -> None:
        self.annotator = annotator
        self.regrounded: set[Value] = set()
        self.studies = BitMap()
        self.images = BitMap()
        self.quarantined: tuple[Quarantined, ...] = ()
        self._reader = reader
        self._writer = writer
        self._progress = progress
        # one object for equal values, by which the annotator knows them again
        self._submitted: dict[Value, Value] = {}
        self._worklist: dict[str, Counter[Unresolved]] = {part: Counter() for part, _ in reader.worklists()}

    def records(self) -> None:
        """Studies first, since images inherit from them; then what waits for a curator."""
        self._writer.put_studies(self._changed_studies())
        images = self._changed_images()
        while batch := sorted(islice(images, _BATCH), key=lambda changed: changed[0]):
            for part, changed in groupby(batch, key=lambda changed: changed[0]):
                self._writer.put_images((image for _, image in changed), part=part)
        for part, unresolved in self._worklist.items():
            self._writer.put_unresolved(part, unresolved)
        self.quarantined = tuple(Quarantined(refused.id, refused.reason) for refused in self._writer.refused())

    def _changed_studies(self) -> Iterator[Study]:
        total = self._reader.count(Level.STUDY)
        for done, stored in enumerate(self._reader.stored(Level.STUDY)):
            self._progress("grounding studies", done, total)
            if isinstance(stored.record, Study):
                study = self.annotator.study(self._as_submitted(stored.record))
                self._count(study_part(study.id))
                if study != stored.record:
                    self.studies.add(stored.ordinal)
                    self._note(_values(stored.record), _values(study))
                    yield study

    def _changed_images(self) -> Iterator[tuple[str, Image]]:
        """Changed images with the inputs they come from."""
        total = self._reader.count(Level.IMAGE)
        for done, stored in enumerate(self._reader.stored(Level.IMAGE)):
            self._progress("grounding images", done, total)
            if isinstance(stored.record, Image):
                image = self.annotator.image(replace(stored.record, values=self._bare(stored.record.values)))
                self._count(stored.part)
                if image != stored.record:
                    self.images.add(stored.ordinal)
                    self._note(stored.record.values, image.values)
                    yield stored.part, image

    def _as_submitted(self, study: Study) -> Study:
        datasets = tuple(Dataset(dataset.name, self._bare(dataset.values)) for dataset in study.datasets)
        return replace(study, values=self._bare(study.values), datasets=datasets)

    def _bare(self, values: Iterable[Value]) -> tuple[Value, ...]:
        return tuple(self._submitted.setdefault(value, value) for value in bare(values))

    def _count(self, part: str) -> None:
        """What of the record just grounded waits for a curator, in that input's worklist."""
        unresolved = self.annotator.take_unresolved()
        if unresolved:
            self._worklist.setdefault(part, Counter()).update(unresolved)

    def _note(self, before: Iterable[Value], after: Iterable[Value]) -> None:
        submitted = ([value for value in values if not value.from_text] for values in (before, after))
        self.regrounded.update(new for old, new in zip(*submitted, strict=True) if new != old)


def _values(study: Study) -> tuple[Value, ...]:
    return (*study.values, *(value for dataset in study.datasets for value in dataset.values))

"""The write program: sources to records, records to a store, pixels to vectors, one commit after another.

A run that is killed loses what came after its last commit; the same command again finds the inputs it finished by
their digests and the images it embedded by theirs, and does the rest.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pyroaring import BitMap

from hooke.collector import without_collector
from hooke.curation import Decisions, read_decisions
from hooke.errors import BadInput, HookeError
from hooke.index import IndexDirectory, new_or_existing_index
from hooke.model import Image, Level, Manifest, Study, Unresolved
from hooke.query import Everything
from hooke.settings import DEFAULT_CLUSTER, DEFAULT_READING, ClusterSettings, ReadingSettings
from hooke.store.base import MetadataReader, MetadataStore, MetadataWriter
from hooke.store.choose import open_store
from hooke.store.location import Location
from hooke.vectors.place import Place, settle_place
from indexer.annotate import Annotator
from indexer.dragged import Dragged
from indexer.embedding import EmbeddingRun, HandsOf, Model, Threads, embedded_ordinals
from indexer.merge import ImageOwners, as_submitted, merge, merge_studies
from indexer.prose import stated_in
from indexer.report import Progress, Report, peak_memory_bytes, silent
from indexer.sources import Discovery, Input, Quarantined, Source, digest, discover, read_images, read_studies
from ontologies.catalogue import Catalogue
from ontologies.snapshot import add_ontologies, latest_version

PIPELINE_VERSION = "5"
"""Counts up when the same input gives other records."""
COMMIT_IMAGES = 100_000
_UNFINISHED = "unfinished"
"""The state of an input that was not read whole, and so of none that is; below it, the parts that have its images."""


@dataclass(frozen=True, slots=True)
class IndexJob:
    """What to index. source forces a format; ontologies are files or names to add first; model None embeds nothing.

    store, vectors: the cluster that a new index keeps its records, its vectors in; None: its directory does, or it
    remembers. workers: processes, or the Dask scheduler, that read and embed images; None: this process's threads.
    """

    paths: tuple[Path, ...]
    directory: Path
    source: str | None = None
    ontologies: tuple[str, ...] = ()
    model: Model | None = None
    store: Location | None = None
    vectors: Place | None = None
    cluster: ClusterSettings = DEFAULT_CLUSTER
    reading: ReadingSettings = DEFAULT_READING
    workers: str | None = None


def run(job: IndexJob, progress: Progress = silent) -> Report:
    """Index everything a job names. Raises BadInput, UnreadableSource, IndexLocked, NoSpace; reports all else."""
    started = time.monotonic()
    quarantined: list[Quarantined] = []
    found = discover(job.paths, source=job.source, quarantine=quarantined.append)
    # before there is an index: workers that are not there leave none behind
    with _hands(job) as hands:
        return _indexed(job, found, quarantined, hands, progress, started)


def _indexed(
    job: IndexJob,
    found: Discovery,
    quarantined: list[Quarantined],
    hands: HandsOf,
    progress: Progress,
    started: float,
) -> Report:
    index = new_or_existing_index(job.directory)
    decisions = read_decisions(index.decisions)
    with closing(open_store(index, job.cluster, job.store)) as store:
        # one writer for the whole run: a second indexer is turned away, not interleaved
        with store.write() as writer:
            _settle_vectors(job, index, store)
            embedding = _embedding(job, index, store, quarantined, progress, hands)
            if embedding and any(source.source is Source.FOLDER for source in found.inputs):
                # a model that cannot be used is told before the long work, not after it
                embedding.load()
            version = _ontologies(job, index, store, writer, progress)
            with closing(Catalogue.open(index.ontologies, version)) as catalogue, without_collector():
                run = _Run(store, catalogue, decisions, quarantined, progress)
                run.metadata(found, writer)
            if embedding:
                embedding.run(writer)
        with store.read() as reader:
            return Report(
                studies=reader.count(Level.STUDY),
                images=reader.count(Level.IMAGE),
                embedded=len(
                    embedded_ordinals(index, reader, job.cluster) & reader.ordinals(Level.IMAGE, Everything())
                ),
                mentions=sum(reader.mention_counts().values()),
                unresolved=reader.unresolved_count(),
                quarantined=tuple(dict.fromkeys(quarantined)),
                snapshot=reader.snapshot.id,
                seconds=round(time.monotonic() - started, 2),
                peak_memory_bytes=peak_memory_bytes(),
                unchanged=run.unchanged,
                removed=run.removed,
                ignored=found.ignored,
            )


def _settle_vectors(job: IndexJob, index: IndexDirectory, store: MetadataStore) -> None:
    if job.vectors is not None:
        with store.read() as reader:
            settle_place(index, job.vectors, reader.snapshot.manifest.segments)


def _embedding(
    job: IndexJob,
    index: IndexDirectory,
    store: MetadataStore,
    quarantined: list[Quarantined],
    progress: Progress,
    hands: HandsOf,
) -> EmbeddingRun | None:
    if job.model is None:
        return None
    return EmbeddingRun(
        index, store, job.model, quarantined.append, progress, job.cluster, reading=job.reading, hands=hands
    )


def _hands(job: IndexJob) -> AbstractContextManager[HandsOf]:
    if job.model is None or job.workers is None:
        return nullcontext(Threads)
    try:
        from indexer.distribution import hands_at
    except ModuleNotFoundError as exc:
        raise BadInput(f"--workers needs {exc.name}: install Hooke's extra `workers`") from exc
    return hands_at(job.workers, job.model)


def add_to_index(
    files: Sequence[str], directory: Path, progress: Progress = silent, cluster: ClusterSettings = DEFAULT_CLUSTER
) -> str:
    """Add ontologies to an index and publish them. Records are grounded to them when they are indexed again."""
    index = new_or_existing_index(directory)
    with closing(open_store(index, cluster)) as store, store.write() as writer:
        version = _added(files, index, progress)
        _publish_ontologies(store, writer, version)
    return version


def _ontologies(
    job: IndexJob, index: IndexDirectory, store: MetadataStore, writer: MetadataWriter, progress: Progress
) -> str:
    if not job.ontologies:
        with store.read() as reader:
            return reader.snapshot.manifest.ontologies or latest_version(index.ontologies)
    version = _added(job.ontologies, index, progress)
    _publish_ontologies(store, writer, version)
    return version


def _added(files: Sequence[str], index: IndexDirectory, progress: Progress) -> str:
    return add_ontologies(
        files, index.ontologies, progress=lambda what, done, of: progress(f"ontology {what}", done, of)
    )


def _publish_ontologies(store: MetadataStore, writer: MetadataWriter, version: str) -> None:
    with store.read() as reader:
        manifest = reader.snapshot.manifest
        if manifest.ontologies != version:
            writer.commit(replace(manifest, ontologies=version))


def input_state(content: str, ontologies: str, decisions: str) -> str:
    """What the records of an input are made of: the same again gives the same records."""
    return ":".join(filter(None, (PIPELINE_VERSION, ontologies, decisions, content)))


def content_of(state: str) -> str | None:
    """The digest of an input in such a state; None where another pipeline made its records."""
    pipeline, _, made_of = state.partition(":")
    return made_of.rpartition(":")[2] if pipeline == PIPELINE_VERSION else None


class _Run:
    """The metadata half of one run."""

    def __init__(
        self,
        store: MetadataStore,
        catalogue: Catalogue,
        decisions: Decisions,
        quarantined: list[Quarantined],
        progress: Progress,
    ) -> None:
        self._store = store
        self._annotator = Annotator(catalogue, decisions)
        self._ontologies = catalogue.version
        self._decisions = decisions.digest
        self._quarantined = quarantined
        self._progress = progress
        self._unresolved: dict[str, Mapping[Unresolved, int]] = {}
        self._troubled: set[Input] = set()
        self._naming: dict[str, set[str]] = {}  # the parts that name each study
        self._read: set[str] = set()
        self._restated: set[str] = set()  # the parts that name a study which states something else than before
        self.unchanged = 0
        self.removed = 0

    def metadata(self, found: Discovery, writer: MetadataWriter) -> None:
        """Studies first, since images inherit from them; then the images of each input that changed."""
        with self._store.read() as reader:
            manifest = replace(reader.snapshot.manifest, ontologies=self._ontologies)
            changed = self._changed(found.inputs, reader)
            studies = self._changed_studies(found.inputs, reader) if changed else {}
            changed += self._reread(found.inputs, changed)
            self.unchanged = len(found.inputs) - len(changed)
            owners = self._owners([source for source in changed if source.has_images], reader)
        if not changed:
            return
        self._put_studies(studies, writer)
        self._report_refused(writer)
        self._finish([source for source in changed if not source.has_images], writer)
        writer.commit(manifest)
        self._put_images([source for source in changed if source.has_images], owners, writer, manifest)

    def _changed(self, inputs: Sequence[Input], reader: MetadataReader) -> list[Input]:
        return [source for source in inputs if reader.part_digest(_part(source)) != self._state(source)]

    def _reread(self, inputs: Sequence[Input], changed: Sequence[Input]) -> list[Input]:
        """The unchanged inputs whose images' prose is read otherwise, since their study states something else now."""
        return [source for source in inputs if source not in changed and _part(source) in self._restated]

    def _state(self, source: Input) -> str:
        return input_state(digest(source), self._ontologies, self._decisions)

    def _changed_studies(self, inputs: Sequence[Input], reader: MetadataReader) -> dict[str, Study]:
        """Every study of the inputs, unchanged ones too: what one source says is only whole with what others say."""
        parts = merge_studies(self._read_studies(inputs))
        known = {study.id: study for study in reader.studies(list(parts))}
        read = self._read = {_part(source) for source in inputs}
        studies = {}
        for done, (key, part) in enumerate(parts.items()):
            self._progress("studies", done, len(parts))
            stored, others = known.get(key), self._others(key, read, reader)
            if stored is not None and (others or not set(stored.origins) <= set(part.origins)):
                part = merge([part, as_submitted(stored)])
            self._naming[key].update(others)
            study = self._annotator.study(part)
            self._unresolved[key] = self._annotator.take_unresolved()
            if study != stored:
                studies[key] = study
            if stored is not None and stated_in(study) != stated_in(stored):
                self._restated |= self._naming[key]
        return studies

    def _others(self, study: str, read: set[str], reader: MetadataReader) -> list[str]:
        """The inputs that named a study before and are not read now, those that are gone left out."""
        before = (reader.part_digest(study_part(study)) or "").split("\n")
        return [part for part in before if part and part not in read and _path(part).exists()]

    def _read_studies(self, inputs: Sequence[Input]) -> Iterator[Study]:
        for done, source in enumerate(inputs):
            self._progress("reading studies", done, len(inputs))
            complaints = len(self._quarantined)
            for study in read_studies(source, self._quarantined.append):
                self._naming.setdefault(study.id, set()).add(_part(source))
                yield study
            self._note_trouble(source, complaints)

    def _note_trouble(self, source: Input, complaints: int) -> None:
        if any(complaint.lost for complaint in self._quarantined[complaints:]):
            self._troubled.add(source)

    def _put_studies(self, studies: dict[str, Study], writer: MetadataWriter) -> None:
        writer.put_studies(studies.values())
        for study, unresolved in self._unresolved.items():
            writer.put_unresolved(study_part(study), unresolved)
        for study, parts in self._naming.items():
            writer.mark_part(study_part(study), "\n".join(sorted(parts)))
        for part in self._restated - self._read:  # the next run that is given it reads it again
            writer.mark_part(part, _UNFINISHED)

    def _finish(self, sources: Iterable[Input], writer: MetadataWriter) -> None:
        """What could not be read whole is read, and told, again by the next run."""
        for source in sources:
            if source not in self._troubled:
                writer.mark_part(_part(source), self._state(source))

    def _owners(self, sources: Sequence[Input], reader: MetadataReader) -> ImageOwners:
        """Who has the images of the studies that these inputs name, inputs that are gone left out."""
        mine = {_part(source) for source in sources}
        named = {study: len(parts & mine) for study, parts in self._naming.items() if parts & mine}
        known = {study.id for study in reader.studies(list(named))}
        stored = BitMap(reader.get(Level.STUDY, study).ordinal for study in known)
        own = sum(_is_of(known, image) for part in mine for image in reader.image_ids(part)) if known else 0
        owners = {}
        if stored and own < len(reader.image_ordinals(stored)):  # else nobody but these inputs has any
            others = (part for part in reader.parts() if part not in mine and _path(part).exists())
            owners = {image: part for part in others for image in reader.image_ids(part) if _is_of(known, image)}
        return ImageOwners(owners, frozenset(study for study, times in named.items() if times > 1))

    def _put_images(
        self, sources: Sequence[Input], owners: ImageOwners, writer: MetadataWriter, manifest: Manifest
    ) -> None:
        """Inputs follow each other within a commit; a large one is cut where a commit is due."""
        waiting = 0
        # what an input before this one put is that one's now, though no commit says so yet
        uncommitted: set[str] = set()
        for done, source in enumerate(sources):
            self._progress("reading images", done, len(sources))
            gone, complaints = self._former_images(source) - uncommitted, len(self._quarantined)
            writer.mark_part(_part(source), _UNFINISHED)
            images = map(self._annotator.image, owners.kept(self._read_images(source), _part(source)))
            while batch := list(islice(images, COMMIT_IMAGES - waiting)):
                writer.put_images(batch, part=_part(source))
                gone.difference_update(image.id for image in batch)
                uncommitted.update(image.id for image in batch)
                waiting += len(batch)
                if waiting >= COMMIT_IMAGES:
                    writer.commit(manifest)
                    uncommitted.clear()
                    waiting = 0
            self._report_refused(writer)
            self._note_trouble(source, complaints)
            # an input that was not read whole may still name what was not seen
            if source not in self._troubled and not self._may_be_anothers(source, gone, sources):
                self.removed += writer.delete(Level.IMAGE, gone)
            writer.put_unresolved(_part(source), self._annotator.take_unresolved())
            self._report_anothers(source, owners.take_refused(), writer)
            self._finish([source], writer)
        if sources:
            writer.commit(manifest)

    def _may_be_anothers(self, source: Input, gone: set[str], sources: Sequence[Input]) -> bool:
        """Whether an input that named images of this one, and is not read in this run, may name what is gone."""
        if not gone:
            return False
        read = {_part(each) for each in sources}
        with self._store.read() as reader:
            told = [
                part
                for part, mark in reader.parts().items()
                if _is_shared(mark, _part(source)) and part not in read and _path(part).exists()
            ]
        if told:
            self._quarantined.append(
                Quarantined(
                    str(source.path),
                    f"{len(gone)} images that it no longer names are kept, {_path(told[0])} named some of its images; "
                    "index both in one run",
                )
            )
            self._troubled.add(source)
        return bool(told)

    def _report_anothers(self, source: Input, refused: Mapping[str, list[str]], writer: MetadataWriter) -> None:
        """Tell which images of an input are kept from others, and leave a mark for these."""
        for part, images in refused.items():
            more = f" and {len(images) - 1:,} more are" if len(images) > 1 else " is"
            self._quarantined.append(
                Quarantined(str(source.path), f"image {images[0]!r}{more} also in {_path(part)}, and kept from there")
            )
        if refused:
            self._troubled.add(source)
            writer.mark_part(_part(source), "\n".join([_UNFINISHED, *refused]))

    def _report_refused(self, writer: MetadataWriter) -> None:
        self._quarantined.extend(Quarantined(refused.id, refused.reason) for refused in writer.refused())

    def _former_images(self, source: Input) -> set[str]:
        """What the input named when it was last indexed; an image that has moved to another input is that one's."""
        with self._store.read() as reader:
            return set(reader.image_ids(_part(source)))

    def _read_images(self, source: Input) -> Iterator[Image]:
        try:
            # before those are left out that another input has: what was dragged is told by the row above
            yield from map(Dragged().marked, read_images(source, self._quarantined.append))
        except HookeError as exc:
            self._quarantined.append(Quarantined(str(source.path), str(exc)))


def study_part(study_id: str) -> str:
    """Where the worklist of a study, and the inputs that named it, are kept: what they say of it is one study."""
    return f"study:{study_id}"


def _part(source: Input) -> str:
    return f"{source.source}:{source.path.resolve()}"


def _is_shared(mark: str, part: str) -> bool:
    """Whether an input was left unfinished since it names images that a part has."""
    state, *owners = mark.split("\n")
    return state == _UNFINISHED and part in owners


def _path(part: str) -> Path:
    return Path(part.partition(":")[2])


def _is_of(studies: set[str], image: str) -> bool:
    return image.partition("/")[0] in studies or any(image[: s.start()] in studies for s in re.finditer("/", image))

"""The same records in both stores: an index directory each, filled through the contract, changed alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hooke.index import IndexDirectory
from hooke.model import Dataset, Image, Level, Manifest, Study, Value
from hooke.query import Node, Query
from hooke.settings import ClusterSettings
from hooke.store.base import MetadataReader, MetadataStore, Page, Stored, ValueSet
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.location import Location
from hooke.store.sqlite import SqliteStore
from search_api.engine import EmbedderChoice, Engine

SHARDS = 3
_EVERY = 10
"""Of the images; filling a cluster with all of them takes longer than asking it everything."""
_CHANGED = 40


@dataclass(frozen=True)
class Pair:
    """Two index directories, of the embedded store and of a cluster's."""

    embedded: IndexDirectory
    clustered: IndexDirectory

    @contextmanager
    def stores(self) -> Iterator[tuple[MetadataStore, MetadataStore]]:
        """Both stores."""
        embedded = SqliteStore(self.embedded.metadata)
        clustered = ElasticsearchStore(self.clustered.metadata, ClusterSettings())
        with closing(embedded), closing(clustered):
            yield embedded, clustered

    @contextmanager
    def engines(self) -> Iterator[tuple[Engine, Engine]]:
        """An engine over each."""
        embedded = Engine(self.embedded.root, EmbedderChoice())
        clustered = Engine(self.clustered.root, EmbedderChoice())
        with closing(embedded), closing(clustered):
            yield embedded, clustered


def make_pair(source: IndexDirectory, folder: Path, location: Location) -> Pair:
    """Every study of an index and a part of its images, in both stores under the same ordinals."""
    pair = Pair(IndexDirectory(folder / "embedded"), IndexDirectory(folder / "clustered"))
    for index in (pair.embedded, pair.clustered):
        index.root.mkdir(parents=True)
        index.ontologies.symlink_to(source.ontologies)
    with ExitStack() as stack:
        reader = stack.enter_context(stack.enter_context(closing(SqliteStore(source.metadata))).read())
        settings = ClusterSettings(shards=SHARDS)
        for store in (
            SqliteStore(pair.embedded.metadata),
            ElasticsearchStore(pair.clustered.metadata, settings, location),
        ):
            _fill(stack.enter_context(closing(store)), reader)
    return pair


def _fill(store: MetadataStore, reader: MetadataReader) -> None:
    with store.write() as writer:
        writer.restore(Level.STUDY, reader.stored(Level.STUDY))
        writer.restore(Level.IMAGE, _sampled(reader.stored(Level.IMAGE)))
        for part, digest in reader.parts().items():
            writer.mark_part(part, digest)
        for part, unresolved in reader.worklists():
            writer.put_unresolved(part, unresolved)
        writer.commit(reader.snapshot.manifest)


def _sampled(records: Iterable[Stored]) -> Iterator[Stored]:
    return (stored for stored in records if stored.ordinal % _EVERY == 0)


@dataclass(frozen=True)
class Changes:
    """What happens to both indices between two rounds of questions."""

    deleted_images: Sequence[str]
    deleted_study: str
    studies: Sequence[Study]
    images: Sequence[Image]
    returning: Sequence[Image]

    def apply(self, store: MetadataStore) -> None:
        """Carry them out, in two commits."""
        with store.write() as writer:
            manifest = _manifest(store)
            assert writer.delete(Level.IMAGE, self.deleted_images) == len(self.deleted_images)
            assert writer.delete(Level.STUDY, [self.deleted_study]) == 1
            writer.put_studies(self.studies)
            writer.commit(manifest)
            writer.put_images([*self.images, *self.returning], part="changed")
            writer.commit(manifest)
            assert writer.refused() == ()


def _manifest(store: MetadataStore) -> Manifest:
    with store.read() as reader:
        return reader.snapshot.manifest


def changes(reader: MetadataReader) -> Changes:
    """Deletes and updates of records that are there: images with and without company, a study, what is inherited."""
    studies = {s.id: s.record for s in reader.stored(Level.STUDY) if isinstance(s.record, Study)}
    images = [s.record for s in reader.stored(Level.IMAGE) if isinstance(s.record, Image)]
    sizes = Counter(image.study_id for image in images)
    by_size = [study for study, _ in sizes.most_common()]
    gone, renamed, restated = by_size[len(by_size) // 2], by_size[-1], by_size[len(by_size) // 3]
    kept = [image for image in images if image.study_id != gone]
    deleted = kept[:: max(1, len(kept) // _CHANGED)]
    updated = [_updated(image) for image in kept[7 :: max(1, len(kept) // _CHANGED)]]
    return Changes(
        [image.id for image in deleted],
        gone,
        [_renamed(studies[renamed]), _restated(studies[restated]), Study("S-NEW/1", "Neue Bläschen", (_LICENCE,))],
        [*updated, Image("S-NEW/1/a", "S-NEW/1", "bläschen a", "neu", (Value("size_x", "17"),))],
        deleted[::3],
    )


_LICENCE = Value("licence", "cc  by 4.0")


def _renamed(study: Study) -> Study:
    return replace(study, title=f"{study.title} (corrected)")


def _restated(study: Study) -> Study:
    """Other values, of which all its images inherit: one field fewer, one said otherwise, one more."""
    left = [value for value in study.values if value.field not in ("licence", "description")]
    datasets = tuple(Dataset(d.name, (*d.values, Value("channels", "dapi"))) for d in study.datasets)
    return replace(study, values=(*left[1:], _LICENCE, Value("season", "winter")), datasets=datasets)


def _updated(image: Image) -> Image:
    return replace(image, title=f"{image.title} again", values=(*image.values[1:], Value("season", "Summer")))


def counted(reader: MetadataReader, level: Level, fields: Sequence[str], where: Node) -> dict[str, Counter[ValueSet]]:
    """How many matching records have each set of values, spelt as the store gives them, by field."""
    found = {}
    for field, counts in zip(fields, reader.count_sets(level, fields, where), strict=True):
        pairs = zip(reader.value_sets(level, field), counts.tolist(), strict=True)
        found[field] = Counter({held: count for held, count in pairs if count})
    return found


def first_pages(reader: MetadataReader, query: Query, most: int) -> list[Page]:
    """The pages of a result, each from where the last one ended."""
    pages = [reader.search(query)]
    while pages[-1].after and len(pages) < most:
        pages.append(reader.search(replace(query, after=pages[-1].after)))
    return pages

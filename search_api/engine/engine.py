"""The engine: one object that answers everything the read program is asked."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from hooke.comparisons import (
    DuplicatesRequest,
    DuplicatesResult,
    OutliersRequest,
    OutliersResult,
    StudiesRequest,
    StudiesResult,
)
from hooke.curation import Decisions, read_decisions
from hooke.embed.base import Raster
from hooke.errors import BadInput, CorruptIndex, UnknownRecord
from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.index import existing_index
from hooke.model import Level, Record
from hooke.query import Among, And, Everything, Node, Query
from hooke.request import (
    LOOK_PARAMETERS,
    OF_SIMILAR,
    CompletionRequest,
    FacetRequest,
    LookOptions,
    SearchRequest,
    ViewOptions,
)
from hooke.results import (
    CombinedResult,
    CompletionResult,
    CurationList,
    Explanation,
    FacetLevel,
    FacetValue,
    IndexInfo,
    RecordDetail,
    SearchHit,
    SearchResult,
    SimilarResult,
)
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import MetadataReader
from hooke.store.choose import open_store
from hooke.vectors.contrast import Contrast
from hooke.vectors.pairs import Progress
from hooke.views import Box, Kind
from ontologies.catalogue import Catalogue
from search_api.engine.autocomplete import Completer
from search_api.engine.curation import Curation
from search_api.engine.cursor import make_cursor, read_cursor
from search_api.engine.describe import describe_index, describe_record, describe_term, list_terms
from search_api.engine.duplicates import find_duplicates, refuse_more
from search_api.engine.explain import Explainer, Parts
from search_api.engine.facets import Facets
from search_api.engine.fusion import fuse
from search_api.engine.grouping import relatives
from search_api.engine.levels import facet_level
from search_api.engine.lookalikes import (
    best_of_each_study,
    by_meaning,
    combined_hits,
    depth,
    similar_hits,
    two_rankings,
    weighed,
)
from search_api.engine.looking import Looking, SimilarSet, refuse_percentiles
from search_api.engine.meaning import corpus
from search_api.engine.nullmodel import NullModels
from search_api.engine.outliers import find_outliers
from search_api.engine.per_snapshot import PerSnapshot
from search_api.engine.similarity import EmbedderChoice, Visuals, towards
from search_api.engine.study_similarity import find_similar_studies, study_meanings
from search_api.engine.together import Datasets, Together, together
from search_api.engine.understand import Understood, known_field, understand
from search_api.engine.views import Examples, see

FacetCounts = dict[str, tuple[FacetValue, ...]]
PLAIN = LookOptions()


@dataclass(frozen=True, slots=True)
class Example:
    """What to look like: uploaded rasters and indexed images, and images not to look like.

    The indexed ones are left out of the answer.
    """

    rasters: tuple[Raster, ...] = ()
    images: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()


class Engine:
    """An index, opened for reading; safe to share between threads. It follows new snapshots by itself."""

    def __init__(
        self,
        directory: Path,
        choice: EmbedderChoice,
        cluster: ClusterSettings = DEFAULT_CLUSTER,
        vector_bytes: int | None = None,
    ) -> None:
        """vector_bytes: of vectors an exact search may have to read before trained lists answer (None: any number)."""
        self._index = existing_index(directory)
        self._store = open_store(self._index, cluster)
        self._facets = Facets()
        self._completer = Completer()
        self._meanings = PerSnapshot(corpus)
        self._study_meanings = PerSnapshot(study_meanings)
        self._datasets = PerSnapshot(lambda reader, _: Datasets(reader))
        self._visuals = Visuals(self._index, choice, cluster, vector_bytes)
        self._nulls = NullModels()
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    def close(self) -> None:
        """Let go of files."""
        self._datasets.forget()
        self._store.close()

    def search(self, request: SearchRequest) -> SearchResult:
        """The records that match, best first or as the request sorts them, each with its reasons, and the facets."""
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            snapshot = reader.snapshot.id
            after = read_cursor(request.cursor, snapshot, request) if request.cursor else None
            asked = self._asked(request, understood, reader, catalogue)
            page = reader.search(Query(request.level, asked.where(), request.limit, after, request.sort))
            records = reader.records(request.level, [hit.ordinal for hit in page.hits])
            scores = {hit.ordinal: hit.score for hit in page.hits}
            terms = understood.report.terms if request.explain else None
            explainer = Explainer(understood.atoms, catalogue, request.expand, terms)
            return SearchResult(
                page.total,
                tuple(_search_hit(record, scores[record.ordinal], explainer) for record in records),
                self._count_facets(request, asked, reader, catalogue),
                asked.report,
                make_cursor(page.after, snapshot, request) if page.after else None,
                snapshot,
            )

    def similar(self, example: Example, request: SearchRequest, options: LookOptions = PLAIN) -> SimilarResult:
        """The images most like an example, among those that text and filters allow; `request.limit` is k."""
        if options.weight is not None:
            raise BadInput("weight: it fuses text and look in a combined search; look-alikes have `semantic`")
        request = replace(request, level=Level.IMAGE)
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            looking, seen = self._look(example, options, reader)
            found = looking.find(understood.where(), depth(request.limit, options), options)
            reranked = {}
            if options.semantic:
                semantics = self._meanings.of(reader, catalogue)
                reranked = by_meaning(looking, found, semantics, understood.report, options.semantic)
            hits, alike = similar_hits(looking, found, reranked, request.limit)
            if request.explain:
                hits = tuple(replace(hit, pairs=seen.pairs(reader.get(Level.IMAGE, hit.id).ordinal)) for hit in hits)
            among = BitMap(hit.ordinal for hit in found.hits[: request.limit])
            if reranked:
                among = BitMap(list(reranked)[: request.limit])
            facets, similar = self._count_similar(
                request, understood, looking, options, SimilarSet(among, found.exact), catalogue
            )
            return SimilarResult(
                hits,
                found.exact and similar.exact,
                found.method,
                found.candidates,
                facets,
                seen.noticed(understood.report),
                reader.snapshot.manifest.space or "",
                reader.snapshot.id,
                len(similar.images),
                alike,
                len(reranked),
                seen.kind,
                found.recall,
            )

    def combined(self, example: Example, request: SearchRequest, options: LookOptions = PLAIN) -> CombinedResult:
        """Images ranked by text and by look together; filters restrict both, text only ranks."""
        given = {name: getattr(options, name) != getattr(PLAIN, name) for name in OF_SIMILAR}
        foreign = next((name for name, asked in {**given, "explain": request.explain}.items() if asked), None)
        if foreign is not None:
            own = ", ".join(name for name in LOOK_PARAMETERS if name not in OF_SIMILAR)
            raise BadInput(f"{foreign}: it is of look-alikes; a combined search has {own}")
        request = replace(request, level=Level.IMAGE)
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            looking, seen = self._look(example, options, reader)
            ranks = two_rankings(looking, understood, request)
            if options.weight is None:
                fused, scores = fuse(list(ranks.text), list(ranks.similarity)), ranks
            else:
                fused, scores = weighed(looking, understood, ranks, options.weight)
            best = best_of_each_study(looking, fused, request.limit) if options.by_study else fused[: request.limit]
            among = Among(frozenset(each.ordinal for each in best))
            return CombinedResult(
                tuple(combined_hits(looking, best, ranks, scores)),
                ranks.look.exact,
                ranks.look.method,
                ranks.look.candidates,
                self._count_among(request, dict.fromkeys(request.facets, among), reader, catalogue),
                seen.noticed(understood.report),
                reader.snapshot.manifest.space or "",
                reader.snapshot.id,
                options.weight,
                seen.kind,
                ranks.look.recall,
            )

    def duplicates(
        self, request: DuplicatesRequest, *, most: int | None = None, progress: Progress | None = None
    ) -> DuplicatesResult:
        """Groups of near-duplicates among the images that text and filters allow; most: how many may be compared.

        Raises TooLarge for more; BadInput for an index without embedded images.
        """
        search = replace(request.search, level=Level.IMAGE)
        with self._reading() as (reader, catalogue):
            understood = understand(search, reader, catalogue)
            vectors = self._visuals.vectors(reader.snapshot)
            allowed = reader.ordinals(Level.IMAGE, understood.where()) & vectors.ordinals()
            refuse_more(len(allowed), most, "restrict them by text or filters")
            return find_duplicates(request, allowed, understood.report, reader, vectors, progress)

    def outliers(
        self, request: OutliersRequest, *, most: int | None = None, progress: Progress | None = None
    ) -> OutliersResult:
        """The images of a study least like the rest of it. Raises UnknownRecord, TooLarge as `duplicates`, BadInput."""
        with self._reading() as (reader, _):
            vectors = self._visuals.vectors(reader.snapshot)
            return find_outliers(request, reader, vectors, most=most, progress=progress)

    def similar_studies(self, request: StudiesRequest) -> StudiesResult:
        """The studies most like one, by look, meaning or both. Raises UnknownRecord; BadInput for a study to look at
        without vectors.
        """
        with self._reading() as (reader, catalogue):
            embedded = reader.snapshot.manifest.space is not None
            vectors = self._visuals.vectors(reader.snapshot) if embedded else None
            return find_similar_studies(request, reader, catalogue, self._study_meanings.of(reader, catalogue), vectors)

    def facet(self, request: FacetRequest) -> FacetLevel:
        """One level of a facet among what matches. Raises UnknownField, UnknownTerm; BadInput for a field of prose."""
        with self._reading() as (reader, catalogue):
            field = _facet_field(request.name, request.search.level, reader)
            understood = understand(request.search, reader, catalogue)
            asked = self._asked(request.search, understood, reader, catalogue)
            return facet_level(
                request, field, asked.where(without=field), asked.report, self._facets, reader, catalogue
            )

    def complete(self, request: CompletionRequest) -> CompletionResult:
        """What the last words of a text can become. Raises UnknownField; BadInput for a field of prose."""
        with self._reading() as (reader, catalogue):
            field = None if request.field is None else _facet_field(request.field, request.level, reader)
            return self._completer.complete(replace(request, field=field), reader, catalogue)

    def why(self, record_id: str, request: SearchRequest) -> Explanation:
        """Why a record matches a query, or which parts of the query it does not have. Raises UnknownRecord."""
        with self._reading() as (reader, catalogue):
            record = self._record(record_id, reader)
            request = replace(request, level=record.level)
            understood = understand(request, reader, catalogue)
            where, itself = understood.where(), Among(frozenset({record.ordinal}))
            hits = reader.search(Query(record.level, And((where, itself)), 1)).hits
            whole = Parts(record, understood, reader, catalogue, request.expand).of(where)
            score = round(hits[0].score, 4) if hits else 0.0
            about = (record.id, str(record.level), record.study_id, record.title)
            return Explanation(*about, bool(hits), score, understood.report, whole)

    def detail(self, level: Level, record_id: str) -> RecordDetail:
        """One study or image, whole. Raises UnknownRecord."""
        with self._reading() as (reader, _):
            return describe_record(reader.get(level, record_id), reader, self._embedded(reader))

    def thumbnail(self, image_id: str) -> Path:
        """The thumbnail's file. Raises UnknownRecord when the image is unknown or was never read."""
        with self._reading() as (reader, _):
            path = self._index.thumbnail(reader.get(Level.IMAGE, image_id).ordinal)
        if not path.is_file():
            raise UnknownRecord(f"no thumbnail of {image_id!r}: its pixels are not in this index")
        return path

    def term(self, text: str) -> Mapping[str, object]:
        """A term with its neighbours and how many records have it. Raises UnknownTerm."""
        with self._reading() as (reader, catalogue):
            return describe_term(text, reader, catalogue)

    def terms(
        self, text: str, view: str, relations: tuple[str, ...], limit: int, offset: int = 0
    ) -> Mapping[str, object]:
        """The children, ancestors, descendants or tree of a term. Raises UnknownTerm."""
        with self._reading() as (_, catalogue):
            return list_terms(text, view, relations, slice(offset, offset + limit), catalogue)

    def info(self) -> IndexInfo:
        """What the index holds."""
        with self._reading() as (reader, catalogue):
            embedded, space = self._embedded(reader), self._visuals.space(reader.snapshot)
            return describe_index(reader, catalogue, embedded, space, self._index, self._store.location)

    def unresolved(self, field: str | None = None, limit: int = 100) -> CurationList:
        """The values that found no term, most frequent first, with the terms that may be meant."""
        with self._reading() as (reader, catalogue):
            return Curation(reader, catalogue, self._decisions()).unresolved(field, limit)

    def conflicts(self, field: str | None = None, limit: int = 100) -> CurationList:
        """The values whose text and ids disagree, most frequent first, with the terms of both."""
        with self._reading() as (reader, catalogue):
            return Curation(reader, catalogue, self._decisions()).conflicts(field, limit)

    def fields(self, level: Level) -> list[Mapping[str, object]]:
        """The fields of a level and how many records have each."""
        with self._reading() as (reader, _):
            return [
                {"name": stats.name, "records": stats.records, "facet": stats.name not in UNCOUNTED_FIELDS}
                for stats in reader.fields(level).values()
            ]

    def input_side(self) -> int:
        """The side of the model's input, in pixels: what of an uploaded image with several resolutions is read."""
        with self._store.read() as reader:
            return self._visuals.input_side(reader.snapshot)

    def parts(self, options: ViewOptions, explain: bool) -> int | Box:
        """What of an uploaded image is looked at beside the whole: at most so many tiles, or a region."""
        if options.region:
            return options.region
        with self._store.read() as reader:
            return self._visuals.tiles(reader.snapshot) if explain or options.kind is Kind.TILE else 0

    def warm_up(self) -> None:
        """Ask, and open what the first request would wait for. Raises what it would raise."""
        with self._reading() as (reader, _):
            reader.check()
            if reader.snapshot.manifest.space is not None:
                self._visuals.vectors(reader.snapshot)

    def warm_up_facets(self) -> None:
        """Make what the page counts first, the usual facets of studies and then of images: it need not wait for it."""
        for level in Level:
            known = {str(field["name"]) for field in self.fields(level)}
            self.search(SearchRequest(level, limit=1, facets=tuple(name for name in FACET_FIELDS if name in known)))

    def warm_up_completions(self) -> None:
        """Make what autocomplete looks in, which takes seconds: the first keystroke need not wait for it."""
        with self._reading() as (reader, catalogue):
            for level in Level:
                self._completer.suggestions((level, None), reader, catalogue)

    def warm_up_embedder(self) -> None:
        """Load the embedder and check it against the index's golden vectors. Raises SpaceMismatch."""
        with self._store.read() as reader:
            if reader.snapshot.manifest.space is not None:
                self._visuals.embedder(reader.snapshot)

    @contextmanager
    def _reading(self) -> Iterator[tuple[MetadataReader, Catalogue]]:
        with self._store.read() as reader:
            yield reader, self._catalogue_of(reader.snapshot.manifest.ontologies)

    def _decisions(self) -> Decisions:
        try:
            return read_decisions(self._index.decisions)
        except BadInput as exc:  # edited by hand: whoever asks for the list is not to blame
            raise CorruptIndex(str(exc)) from exc

    def _catalogue_of(self, version: str) -> Catalogue:
        with self._lock:
            if self._catalogue is None or self._catalogue.version != version:
                self._catalogue = Catalogue.open(self._index.ontologies, version)
            return self._catalogue

    def _look(self, example: Example, options: LookOptions, reader: MetadataReader) -> tuple[Looking, Examples]:
        seen = see(reader, self._visuals, options.views, example.rasters, example.images)
        vectors, like = self._visuals.vectors(reader.snapshot, seen.kind), seen.rows()
        unlike = seen.unlike([reader.get(Level.IMAGE, image) for image in example.negatives])
        excluded = BitMap(self._example_ordinals(example, reader))
        if options.exclude:
            excluded |= relatives(reader, seen.records, options.exclude)
        by_average = options.examples == "average" or (bool(unlike) and options.examples != "best")
        contrast = np.concatenate(unlike) if unlike and not by_average else None
        if contrast is not None:
            refuse_percentiles(options)
        looking = Looking(
            reader,
            vectors if contrast is None else Contrast(vectors, contrast),
            towards(like, unlike) if by_average else np.concatenate(like),
            1 if by_average else len(example.images) + len(example.rasters),
            seen.records,
            excluded,
            self._nulls.of(reader, vectors) if contrast is None else None,
            options.exact,
        )
        return looking, seen

    def _example_ordinals(self, example: Example, reader: MetadataReader) -> list[int]:
        return [reader.get(Level.IMAGE, image).ordinal for image in (*example.images, *example.negatives)]

    def _embedded(self, reader: MetadataReader) -> BitMap:
        if reader.snapshot.manifest.space is None:
            return BitMap()
        return self._visuals.vectors(reader.snapshot).ordinals() & reader.ordinals(Level.IMAGE, Everything())

    def _record(self, record_id: str, reader: MetadataReader) -> Record:
        try:
            return reader.get(Level.STUDY, record_id)
        except UnknownRecord:
            return reader.get(Level.IMAGE, record_id)

    def _asked(
        self, request: SearchRequest, understood: Understood, reader: MetadataReader, catalogue: Catalogue
    ) -> Understood | Together:
        if not request.same_dataset or request.level is not Level.STUDY:
            return understood
        return together(request, understood, self._datasets.of(reader, catalogue), reader, catalogue)

    def _count_facets(
        self, request: SearchRequest, asked_of: Understood | Together, reader: MetadataReader, catalogue: Catalogue
    ) -> FacetCounts:
        """Each facet's counts ignore what is chosen in it, so that its other values can still be chosen."""
        names = {asked: _facet_field(asked, request.level, reader) for asked in request.facets}
        wheres = {asked: asked_of.where(without=name) for asked, name in names.items()}
        return self._facets_of(request, names, wheres, reader, catalogue)

    def _count_among(
        self, request: SearchRequest, among: Mapping[str, Among], reader: MetadataReader, catalogue: Catalogue
    ) -> FacetCounts:
        names = {asked: _facet_field(asked, Level.IMAGE, reader) for asked in request.facets}
        return self._facets_of(request, names, among, reader, catalogue)

    def _count_similar(
        self,
        request: SearchRequest,
        understood: Understood,
        looking: Looking,
        options: LookOptions,
        hits: SimilarSet,
        catalogue: Catalogue,
    ) -> tuple[FacetCounts, SimilarSet]:
        """Counts among the hits, or the set that was asked for, which a facet forms without what is chosen in it.

        That set is exact when those of all facets are.
        """
        reader = looking.reader
        if options.min_percentile is None and options.similar_set is None:
            among = Among(frozenset(hits.images))
            return self._count_among(request, dict.fromkeys(request.facets, among), reader, catalogue), hits
        names = {asked: _facet_field(asked, Level.IMAGE, reader) for asked in request.facets}
        wheres = {asked: understood.where(without=name) for asked, name in names.items()}
        sets = {w: looking.similar_set(w, options) for w in {understood.where(), *wheres.values()}}
        counted = {asked: Among(frozenset(sets[where].images)) for asked, where in wheres.items()}
        whole = SimilarSet(sets[understood.where()].images, all(each.exact for each in sets.values()))
        return self._count_among(request, counted, reader, catalogue), whole

    def _facets_of(
        self,
        request: SearchRequest,
        names: Mapping[str, str],
        wheres: Mapping[str, Node],
        reader: MetadataReader,
        catalogue: Catalogue,
    ) -> FacetCounts:
        """Facets that count the same records are counted together: to a cluster that is one request."""
        together: defaultdict[Node, list[str]] = defaultdict(list)
        for asked, where in wheres.items():
            together[where].append(asked)
        counted: FacetCounts = {}
        for where, group in together.items():
            values = self._facets.count(
                reader,
                catalogue,
                where,
                level=request.level,
                fields=[names[asked] for asked in group],
                relations=request.counted_over,
                limit=request.facet_limit,
                studies=request.count_studies,
            )
            counted.update(zip(group, values, strict=True))
        return {asked: counted[asked] for asked in names}


def _search_hit(record: Record, score: float, explainer: Explainer) -> SearchHit:
    return SearchHit(record.id, record.study_id, record.title, round(score, 4), explainer.reasons(record))


def _facet_field(asked: str, level: Level, reader: MetadataReader) -> str:
    name = known_field(asked, level, reader)
    if name in UNCOUNTED_FIELDS:
        raise BadInput(f"{asked!r} makes no facet, nearly every record differs: search it with {name}:word")
    return name

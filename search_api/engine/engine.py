"""The engine: one object that answers everything the read program is asked."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from hooke.curation import Decisions, read_decisions
from hooke.embed.base import Raster
from hooke.errors import BadInput, CorruptIndex, UnknownRecord
from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.index import existing_index
from hooke.model import Level, Record
from hooke.query import Among, And, Everything, Node, Query
from hooke.request import CompletionRequest, FacetRequest, SearchRequest
from hooke.results import (
    CombinedHit,
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
    SimilarHit,
    SimilarResult,
)
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.base import MetadataReader
from hooke.store.choose import open_store
from hooke.vectors.base import Neighbours, VectorReader, Vectors
from ontologies.catalogue import Catalogue
from search_api.engine.autocomplete import Completer
from search_api.engine.curation import Curation
from search_api.engine.cursor import make_cursor, read_cursor
from search_api.engine.describe import describe_index, describe_record, describe_term, list_terms
from search_api.engine.explain import Explainer, Parts
from search_api.engine.facets import Facets
from search_api.engine.filtered import nearest
from search_api.engine.levels import facet_level
from search_api.engine.similarity import EmbedderChoice, Visuals, fuse, towards
from search_api.engine.understand import Understood, known_field, understand

FacetCounts = dict[str, tuple[FacetValue, ...]]
FUSED_DEPTH = 1_000
"""How far down each ranking is read before two are fused."""


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

    def __init__(self, directory: Path, choice: EmbedderChoice, cluster: ClusterSettings = DEFAULT_CLUSTER) -> None:
        self._index = existing_index(directory)
        self._store = open_store(self._index, cluster)
        self._facets = Facets()
        self._completer = Completer()
        self._visuals = Visuals(self._index, choice, cluster)
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    def close(self) -> None:
        """Let go of files."""
        self._store.close()

    def search(self, request: SearchRequest) -> SearchResult:
        """The records that match, best first or as the request sorts them, each with its reasons, and the facets."""
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            snapshot = reader.snapshot.id
            after = read_cursor(request.cursor, snapshot, request) if request.cursor else None
            page = reader.search(Query(request.level, understood.where(), request.limit, after, request.sort))
            records = reader.records(request.level, [hit.ordinal for hit in page.hits])
            scores = {hit.ordinal: hit.score for hit in page.hits}
            terms = understood.report.terms if request.explain else None
            explainer = Explainer(understood.atoms, catalogue, request.expand, terms)
            return SearchResult(
                page.total,
                tuple(_search_hit(record, scores[record.ordinal], explainer) for record in records),
                self._count_facets(request, understood, reader, catalogue),
                understood.report,
                make_cursor(page.after, snapshot, request) if page.after else None,
                snapshot,
            )

    def similar(self, example: Example, request: SearchRequest) -> SimilarResult:
        """The images most like an example, among those that text and filters allow; `request.limit` is k."""
        request = replace(request, level=Level.IMAGE)
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            found = self._look(example, understood.where(), request.limit, reader)
            among = Among(frozenset(hit.ordinal for hit in found.hits))
            similarity = {hit.ordinal: hit.similarity for hit in found.hits}
            records = reader.records(Level.IMAGE, list(similarity))
            return SimilarResult(
                tuple(SimilarHit(r.id, r.study_id, r.title, similarity[r.ordinal]) for r in records),
                found.exact,
                found.method,
                found.candidates,
                self._count_among(request, among, reader, catalogue),
                understood.report,
                reader.snapshot.manifest.space or "",
                reader.snapshot.id,
            )

    def combined(self, example: Example, request: SearchRequest) -> CombinedResult:
        """Images ranked by text and by look together; filters restrict both, text only ranks."""
        request = replace(request, level=Level.IMAGE)
        with self._reading() as (reader, catalogue):
            understood = understand(request, reader, catalogue)
            depth = max(FUSED_DEPTH, request.limit)
            look = self._look(example, replace(understood, text=Everything()).where(), depth, reader)
            page = reader.search(Query(Level.IMAGE, understood.where(), depth))
            left_out = self._example_ordinals(example, reader)
            text = {h.ordinal: h.score for h in page.hits if h.ordinal not in left_out} if request.text.strip() else {}
            similarity = {hit.ordinal: hit.similarity for hit in look.hits}
            best = fuse(list(text), list(similarity))[: request.limit]
            among = Among(frozenset(ordinal for ordinal, _ in best))
            return CombinedResult(
                tuple(_combined_hits(best, text, similarity, reader)),
                look.exact,
                look.method,
                look.candidates,
                self._count_among(request, among, reader, catalogue),
                understood.report,
                reader.snapshot.manifest.space or "",
                reader.snapshot.id,
            )

    def facet(self, request: FacetRequest) -> FacetLevel:
        """One level of a facet among what matches. Raises UnknownField, UnknownTerm; BadInput for a field of prose."""
        with self._reading() as (reader, catalogue):
            field = _facet_field(request.name, request.search.level, reader)
            understood = understand(request.search, reader, catalogue)
            return facet_level(request, field, understood, self._facets, reader, catalogue)

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

    def _look(self, example: Example, where: Node, k: int, reader: MetadataReader) -> Neighbours:
        vectors = self._visuals.vectors(reader.snapshot)
        like = [_rows(image, vectors, reader) for image in example.images]
        unlike = [_rows(image, vectors, reader) for image in example.negatives]
        if example.rasters:
            like.append(self._visuals.embed(example.rasters, reader.snapshot))
        if not like:
            raise BadInput("similarity needs an example: an image file, or the id of an indexed image")
        examples = BitMap(self._example_ordinals(example, reader))
        queries = np.concatenate(like)
        return nearest(
            reader, vectors, towards(queries, np.concatenate(unlike)) if unlike else queries, k, where, examples
        )

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

    def _count_facets(
        self, request: SearchRequest, understood: Understood, reader: MetadataReader, catalogue: Catalogue
    ) -> FacetCounts:
        """Each facet's counts ignore what is chosen in it, so that its other values can still be chosen."""
        names = {asked: _facet_field(asked, request.level, reader) for asked in request.facets}
        wheres = {asked: understood.where(without=name) for asked, name in names.items()}
        return self._facets_of(request, names, wheres, reader, catalogue)

    def _count_among(
        self, request: SearchRequest, among: Among, reader: MetadataReader, catalogue: Catalogue
    ) -> FacetCounts:
        names = {asked: _facet_field(asked, Level.IMAGE, reader) for asked in request.facets}
        return self._facets_of(request, names, dict.fromkeys(names, among), reader, catalogue)

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


def _combined_hits(
    best: Sequence[tuple[int, float]],
    text: Mapping[int, float],
    similarity: Mapping[int, float],
    reader: MetadataReader,
) -> Iterator[CombinedHit]:
    text_ranks = {ordinal: rank for rank, ordinal in enumerate(text, start=1)}
    look_ranks = {ordinal: rank for rank, ordinal in enumerate(similarity, start=1)}
    records = {record.ordinal: record for record in reader.records(Level.IMAGE, [ordinal for ordinal, _ in best])}
    for ordinal, score in best:
        record = records[ordinal]
        yield CombinedHit(
            record.id,
            record.study_id,
            record.title,
            score,
            text_ranks.get(ordinal),
            text.get(ordinal),
            look_ranks.get(ordinal),
            similarity.get(ordinal),
        )


def _rows(image: str, vectors: VectorReader, reader: MetadataReader) -> Vectors:
    rows = vectors.vectors_of(reader.get(Level.IMAGE, image).ordinal)
    if not len(rows):
        raise BadInput(f"image {image!r} has no vector: its pixels are not in this index")
    return rows


def _facet_field(asked: str, level: Level, reader: MetadataReader) -> str:
    name = known_field(asked, level, reader)
    if name in UNCOUNTED_FIELDS:
        raise BadInput(f"{asked!r} makes no facet, nearly every record differs: search it with {name}:word")
    return name

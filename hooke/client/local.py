"""An index directory opened in this process: the in-process half of the client composes the other packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hooke.client.backend import Look
from hooke.comparisons import (
    DuplicatesRequest,
    DuplicatesResult,
    OutliersRequest,
    OutliersResult,
    StudiesRequest,
    StudiesResult,
)
from hooke.errors import BadInput
from hooke.model import Level
from hooke.request import CompletionRequest, FacetRequest, LookOptions, SearchRequest
from hooke.results import (
    CombinedResult,
    CompletionResult,
    Explanation,
    FacetLevel,
    IndexInfo,
    RecordDetail,
    SearchResult,
    SimilarResult,
)
from hooke.settings import read_settings

if TYPE_CHECKING:
    from search_api.engine import Engine, Example


def open_local(directory: Path, *, model: str | None = None, weights: Path | None = None) -> LocalBackend:
    """The index in a directory; model None: the one it was embedded with.

    Raises UnknownIndex; BadInput where the extras it needs are not installed.
    """
    return LocalBackend(open_engine(directory, model=model, weights=weights))


def open_engine(directory: Path, *, model: str | None = None, weights: Path | None = None) -> Engine:
    """The engine on an index directory."""
    try:
        from search_api.engine import EmbedderChoice, Engine
    except ModuleNotFoundError as exc:
        raise BadInput(
            f"opening a directory needs {exc.name}: install Hooke's extras `index` and `embed`, or connect to a URL"
        ) from exc
    settings = read_settings()
    choice = EmbedderChoice(model, weights or settings.weights, settings.device)
    return Engine(directory, choice, settings.cluster, settings.vector_bytes)


class LocalBackend:
    """Asks an engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def search(self, request: SearchRequest) -> SearchResult:
        """One page of a search."""
        return self._engine.search(request)

    def similar(self, look: Look, request: SearchRequest, options: LookOptions) -> SimilarResult:
        """Look-alikes."""
        return self._engine.similar(_example(look, self._engine, request, options), request, options)

    def combined(self, look: Look, request: SearchRequest, options: LookOptions) -> CombinedResult:
        """Text and look together."""
        return self._engine.combined(_example(look, self._engine, request, options), request, options)

    def facet(self, request: FacetRequest) -> FacetLevel:
        """One level of a facet."""
        return self._engine.facet(request)

    def complete(self, request: CompletionRequest) -> CompletionResult:
        """What the last words of a text can become."""
        return self._engine.complete(request)

    def duplicates(self, request: DuplicatesRequest) -> DuplicatesResult:
        """Groups of near-duplicates."""
        return self._engine.duplicates(request)

    def outliers(self, request: OutliersRequest) -> OutliersResult:
        """The images of a study least like the rest of it."""
        return self._engine.outliers(request)

    def similar_studies(self, request: StudiesRequest) -> StudiesResult:
        """The studies most like one."""
        return self._engine.similar_studies(request)

    def why(self, record_id: str, request: SearchRequest) -> Explanation:
        """Why a record matches, or why it does not."""
        return self._engine.why(record_id, request)

    def detail(self, level: str, record_id: str) -> RecordDetail:
        """One record."""
        return self._engine.detail(Level(level), record_id)

    def thumbnail(self, image_id: str) -> bytes:
        """A JPEG or PNG."""
        return self._engine.thumbnail(image_id).read_bytes()

    def info(self) -> IndexInfo:
        """What the index holds."""
        return self._engine.info()

    def close(self) -> None:
        """Close the index."""
        self._engine.close()


def _example(look: Look, engine: Engine, request: SearchRequest, options: LookOptions) -> Example:
    from hooke.pixels import Limits, read_raster
    from search_api.engine import Example

    side, parts = (engine.input_side(), engine.parts(options.views, request.explain)) if look.files else (0, 0)
    rasters = tuple(read_raster(path, Limits(), side, parts=parts) for path in look.files)
    return Example(rasters, look.images, look.negatives)

"""The routes of `/v1`: parameters in, the engine's results out."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from hooke.errors import BadInput
from hooke.model import Level
from hooke.pixels import Limits, UploadReader
from hooke.request import (
    EXAMPLE_RULES,
    EXCLUDABLE,
    MAX_COMPLETIONS,
    MAX_FACET_VALUES,
    MAX_LIMIT,
    MAX_SIMILAR_SET,
    MAX_TYPED,
    OF_COMBINED,
    RELEVANCE,
    LookOptions,
    SearchRequest,
    read_expand,
)
from hooke.results import (
    CombinedResult,
    CompletionResult,
    CurationList,
    FacetLevel,
    IndexInfo,
    RecordDetail,
    SearchResult,
    SimilarResult,
)
from hooke.settings import Settings
from hooke.views import Kind
from search_api.engine import Engine, Example
from search_api.parameters import (
    UNUSED_BY_COMBINED,
    json_pairs,
    read_completion,
    read_facet,
    read_look_request,
    read_request,
)
from search_api.problems import documented

UPLOAD_MEMORY_BYTES = 4 * 2**30

router = APIRouter(prefix="/v1", responses=documented())

_Q = Annotated[str, Query(description="Lucene-like text; empty means everything")]
_LIMIT = Annotated[int, Query(description="hits on a page, 1 to 10,000")]
_CURSOR = Annotated[str | None, Query(description="where the last page ended")]
_FACETS = Annotated[str, Query(description="fields to count, separated by commas")]
_FACET_LIMIT = Annotated[int, Query(description="the most values of one facet")]
_EXPAND = Annotated[str | None, Query(description="none, is_a, or is_a,part_of (the default)")]
_STRICT = Annotated[bool, Query(description="refuse text that does not parse, with its position")]
_EXCLUDE_INFERRED = Annotated[bool, Query(description="a term stands for itself, without what is below it")]
_SORT = Annotated[str, Query(description="relevance, date, title or size; -date, -title, -size: the last first")]
_EXPLAIN = Annotated[bool, Query(description="each hit tells its annotations and how the query names their terms")]
_COUNT = Annotated[str, Query(description="records, or studies: facets also say of how many studies the images are")]
_SAME = Annotated[str, Query(description="dataset: one dataset or image of a study satisfies all that is asked")]
_MORE = "Choices are `facet.FIELD=VALUE` and `facet.FIELD.not=VALUE`, bounds `FIELD.gte=NUMBER` (gt, lte, lt)."


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _documented(
    q: _Q = "",
    limit: _LIMIT = 10,
    cursor: _CURSOR = None,
    facets: _FACETS = "",
    facet_limit: _FACET_LIMIT = MAX_FACET_VALUES,
    expand: _EXPAND = None,
    strict: _STRICT = False,
    exclude_inferred: _EXCLUDE_INFERRED = False,
    sort: _SORT = RELEVANCE,
    explain: _EXPLAIN = False,
    count: _COUNT = "records",
    same: _SAME = "",
) -> None:
    """What OpenAPI shows; the values are read by `read_request`, with the open-ended names."""


TheEngine = Annotated[Engine, Depends(_engine)]
_PARAMETERS = [Depends(_documented)]


@router.get(
    "/search/studies",
    responses=documented(400, 409),
    summary="Search studies",
    dependencies=_PARAMETERS,
    description=_MORE,
)
def search_studies(request: Request, engine: TheEngine) -> SearchResult:
    """Studies that match text and choices."""
    return engine.search(read_request(Level.STUDY, request.query_params.multi_items()))


@router.get(
    "/search/images",
    responses=documented(400, 409),
    summary="Search images",
    dependencies=_PARAMETERS,
    description=_MORE,
)
def search_images(request: Request, engine: TheEngine) -> SearchResult:
    """Images that match text and choices."""
    return engine.search(read_request(Level.IMAGE, request.query_params.multi_items()))


@router.post("/search/studies", responses=documented(400, 409, 413), summary="Search studies, parameters as JSON")
def post_search_studies(body: Annotated[dict[str, object], Body()], engine: TheEngine) -> SearchResult:
    """As GET, with the same names in a JSON object; a list repeats a name."""
    return engine.search(read_request(Level.STUDY, json_pairs(body)))


@router.post("/search/images", responses=documented(400, 409, 413), summary="Search images, parameters as JSON")
def post_search_images(body: Annotated[dict[str, object], Body()], engine: TheEngine) -> SearchResult:
    """As GET, with the same names in a JSON object; a list repeats a name."""
    return engine.search(read_request(Level.IMAGE, json_pairs(body)))


_LOOK_OPTIONS: dict[str, dict[str, object]] = {
    "exclude": {
        "type": "string",
        "enum": list(EXCLUDABLE),
        "description": "leave out what shares its study, dataset or plate with an example of the index",
    },
    "group": {"type": "string", "enum": ["study"], "description": "the best image of each study; k counts studies"},
    "examples": {
        "type": "string",
        "enum": list(EXAMPLE_RULES),
        "description": "average: near to the mean of the positive examples, away from that of the negative ones; best: "
        "the best positive one less the best negative one; default: best without negative ones, else average",
    },
    "region": {
        "type": "string",
        "description": "x,y,width,height in pixels: this part of the example is compared, with tiles where there are",
    },
    "channel": {"type": "string", "description": "number from 0, or name: that channel is compared, with channels"},
    "views": {"type": "string", "enum": list(Kind), "description": "what of the indexed images is compared"},
    "exact": {"type": "boolean", "description": "search exactly, whatever it takes; else see `exact` of the answer"},
}
_SIMILAR_OPTIONS: dict[str, dict[str, object]] = {
    "min_percentile": {
        "type": "number",
        "description": "only what is more alike than this share, 0 to 1, of random pairs of images of different "
        "studies; facets count all of it",
    },
    "explain": {"type": "boolean", "description": "each hit tells which channels and which tiles are most alike"},
    "similar_set": {
        "type": "integer",
        "description": f"facets count so many nearest images, up to {MAX_SIMILAR_SET:,}, not the k hits",
    },
    "semantic": {
        "type": "number",
        "description": "0 to 1: how much annotations count when the nearest 200, or 10 k, are ranked again",
    },
}
_COMBINED_OPTIONS: dict[str, dict[str, object]] = {
    "weight": {
        "type": "number",
        "description": "0 to 1: the score is so much of the look's percentile, and for the rest the share of the best "
        "text score; without it ranks are fused (reciprocal rank, k = 60)",
    }
}


def _look_form(more: dict[str, dict[str, object]]) -> dict[str, object]:
    properties: dict[str, object] = {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "positive": {"type": "array", "items": {"type": "string"}},
        "negative": {"type": "array", "items": {"type": "string"}},
        "k": {"type": "integer", "default": 10},
        "q": {"type": "string"},
        "facets": {"type": "string"},
        **_LOOK_OPTIONS,
        **more,
    }
    schema = {"type": "object", "properties": properties, "additionalProperties": {"type": "string"}}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


def _look_query(names: dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "parameters": [
            {"name": name, "in": "query", "description": schema["description"], "schema": schema}
            for name, schema in names.items()
        ]
    }


_LOOK = "Examples: image files, or ids of indexed images (`positive`), and ids not to look like (`negative`). " + _MORE


@router.post(
    "/search/similar",
    responses=documented(400, 404, 409, 413),
    summary="Look-alikes of examples",
    openapi_extra=_look_form(_SIMILAR_OPTIONS),
    description=_LOOK,
)
async def search_similar(request: Request, engine: TheEngine) -> SimilarResult:
    """Text and choices restrict, order is by look."""
    return await run_in_threadpool(engine.similar, *await _read_look(request, engine))


@router.post(
    "/search/combined",
    responses=documented(400, 404, 409, 413),
    summary="Text and look ranked together",
    openapi_extra=_look_form(_COMBINED_OPTIONS),
    description=_LOOK,
)
async def search_combined(request: Request, engine: TheEngine) -> CombinedResult:
    """Choices restrict; the ranks by text and by look are fused, each hit naming its parts."""
    return await run_in_threadpool(engine.combined, *await _read_look(request, engine, UNUSED_BY_COMBINED))


async def _read_look(
    request: Request, engine: Engine, unused: Sequence[str] = OF_COMBINED
) -> tuple[Example, SearchRequest, LookOptions]:
    uploads: list[bytes] = []
    examples: dict[str, list[str]] = {"positive": [], "negative": []}
    pairs: list[tuple[str, str]] = []
    async with request.form(max_files=16, max_fields=1000) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile) != (name == "file"):
                raise BadInput(f"{name}: an image is sent as a file named `file` of a multipart form, all else as text")
            if isinstance(value, UploadFile):
                uploads.append(await value.read())
            elif name in examples:
                examples[name].append(value)
            else:
                pairs.append((name, value))
    asked, options = read_look_request(pairs, unused)
    settings: Settings = request.app.state.settings
    reader: UploadReader = request.app.state.uploads
    limits = Limits(settings.upload_bytes, settings.upload_pixels, settings.upload_channels)
    side = await run_in_threadpool(engine.input_side) if uploads else 0
    parts = await run_in_threadpool(engine.parts, options.views, asked.explain) if uploads else 0
    read = partial(reader.read, seconds=settings.upload_seconds, memory_bytes=UPLOAD_MEMORY_BYTES, short_side=side)
    rasters = [await run_in_threadpool(read, data, limits, parts=parts) for data in uploads]
    return Example(tuple(rasters), tuple(examples["positive"]), tuple(examples["negative"])), asked, options


@router.get(
    "/images/{image_id:path}/similar",
    responses=documented(400, 404, 409),
    summary="Look-alikes of an indexed image",
    openapi_extra=_look_query({**_LOOK_OPTIONS, **_SIMILAR_OPTIONS}),
    description=_MORE,
)
def image_similar(
    image_id: str, request: Request, engine: TheEngine, k: Annotated[int, Query(description="how many")] = 10
) -> SimilarResult:
    """The image itself is left out."""
    return engine.similar(Example(images=(image_id,)), *read_look_request(request.query_params.multi_items()))


@router.get(
    "/images/{image_id:path}/thumbnail",
    responses=documented(404),
    summary="An image's thumbnail",
    response_class=FileResponse,
)
def thumbnail(image_id: str, engine: TheEngine) -> FileResponse:
    """A JPEG or PNG of at most 256 pixels a side."""
    path = engine.thumbnail(image_id)
    with path.open("rb") as file:
        kind = "image/png" if file.read(4) == b"\x89PNG" else "image/jpeg"
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "public, max-age=3600"})


@router.get("/images/{image_id:path}", responses=documented(404), summary="One image")
def image(image_id: str, engine: TheEngine) -> RecordDetail:
    """Its values, those it inherits too, and what they were grounded to."""
    return engine.detail(Level.IMAGE, image_id)


@router.get("/studies/{study_id:path}", responses=documented(404), summary="One study")
def study(study_id: str, engine: TheEngine) -> RecordDetail:
    """Its values and what they were grounded to."""
    return engine.detail(Level.STUDY, study_id)


@router.get("/terms/{curie:path}/children", responses=documented(400), summary="The terms right below a term")
@router.get("/terms/{curie:path}/ancestors", responses=documented(400), summary="The terms above a term")
@router.get("/terms/{curie:path}/descendants", responses=documented(400), summary="The terms below a term")
@router.get("/terms/{curie:path}/tree", responses=documented(400), summary="A term with its ancestors and its children")
def terms(
    curie: str,
    request: Request,
    engine: TheEngine,
    expand: _EXPAND = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="the most terms; `total` counts all")] = 1000,
    offset: Annotated[int, Query(ge=0, description="how many terms to pass over: what the pages before held")] = 0,
) -> dict[str, object]:
    """By label, each with its parents over the relations of `expand`."""
    view = request.url.path.rpartition("/")[2]
    return dict(engine.terms(curie, view, read_expand(expand), limit, offset))


@router.get("/terms/{curie:path}", responses=documented(400), summary="One ontology term")
def term(curie: str, engine: TheEngine) -> dict[str, object]:
    """Its names, what is above and below it, and how many records have it; the id in any spelling."""
    return dict(engine.term(curie))


def _documented_completion(
    q: Annotated[str, Query(max_length=MAX_TYPED, description="what is typed so far")] = "",
    field: Annotated[str | None, Query(description="complete only by what this field has")] = None,
    level: Annotated[Level, Query(description="whose terms and values are counted")] = Level.STUDY,
    limit: Annotated[int, Query(ge=1, le=MAX_COMPLETIONS, description="the most completions")] = 10,
) -> None:
    """What OpenAPI shows, with its bounds; `read_completion` reads the values."""


@router.get(
    "/autocomplete",
    responses=documented(400),
    summary="Complete what is being typed",
    dependencies=[Depends(_documented_completion)],
)
def autocomplete(request: Request, engine: TheEngine) -> CompletionResult:
    """Terms by any of their names, values and studies for the last words; `replaces` says which part of the text."""
    return engine.complete(read_completion(request.query_params.multi_items()))


@router.get("/fields", responses=documented(400), summary="The fields of a level")
def fields(engine: TheEngine, level: Level = Level.IMAGE) -> list[dict[str, object]]:
    """Every field that a record has, and how many records have it."""
    return [dict(found) for found in engine.fields(level)]


def _documented_facet(
    parent: Annotated[str, Query(description="a term whose children to give; empty: the top")] = "",
    level: Annotated[Level, Query(description="what is counted")] = Level.STUDY,
    q: _Q = "",
    facet_limit: _FACET_LIMIT = MAX_FACET_VALUES,
    expand: _EXPAND = None,
    strict: _STRICT = False,
    exclude_inferred: _EXCLUDE_INFERRED = False,
    count: _COUNT = "records",
    same: _SAME = "",
) -> None:
    """What OpenAPI shows; `read_facet` reads the values."""


@router.get(
    "/facets/{field}",
    responses=documented(400),
    summary="One level of a facet",
    dependencies=[Depends(_documented_facet)],
    description="The children of a term, or the top, among what matches; numbers as ranges. " + _MORE,
)
def facet(field: str, request: Request, engine: TheEngine) -> FacetLevel:
    """What is chosen in the field itself is ignored."""
    return engine.facet(read_facet(field, request.query_params.multi_items()))


_CURATED_FIELD = Annotated[str | None, Query(description="only this field")]
_ENTRIES = Annotated[int, Query(description="entries, 1 to 500: candidates are looked for at each", le=500)]


@router.get("/curation/unresolved", responses=documented(400), summary="Values that found no term")
def curation_unresolved(engine: TheEngine, field: _CURATED_FIELD = None, limit: _ENTRIES = 100) -> CurationList:
    """The most frequent first, each with the three terms most likely meant. Decisions are taken by the command only."""
    return engine.unresolved(field, limit)


@router.get("/curation/conflicts", responses=documented(400), summary="Values whose text and ids disagree")
def curation_conflicts(engine: TheEngine, field: _CURATED_FIELD = None, limit: _ENTRIES = 100) -> CurationList:
    """The most frequent first, each with the text's term and those of its ids."""
    return engine.conflicts(field, limit)


@router.get("/index/state", summary="What the index holds")
def index_state(engine: TheEngine) -> IndexInfo:
    """Counts, ontologies with versions, the embedding space, bytes on disk."""
    return engine.info()

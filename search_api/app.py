"""The FastAPI application: routes, problems, metrics and the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from hooke.pixels import UploadReader
from hooke.settings import Settings
from search_api.comparison_routes import router as comparisons
from search_api.engine import Engine
from search_api.limits import BodyLimit
from search_api.metrics import add_metrics
from search_api.page import Assets
from search_api.problems import add_problem_handlers
from search_api.routes import router

DOCS = Path(__file__).parent / "docs.html"
_FORM_OVERHEAD = 2**20


def create_app(engine: Engine, settings: Settings) -> FastAPI:
    """The application on an open engine, which stays the caller's to close."""
    app = FastAPI(
        title="Hooke",
        version="0.1.0",
        description="Search biological images by what they mean and by what they look like, in one request.",
        lifespan=_lifespan,
        # FastAPI's own pages load their scripts from a CDN; ours works without one
        docs_url=None,
        redoc_url=None,
    )
    app.state.engine = engine
    app.state.settings = settings
    app.state.uploads = UploadReader()
    add_problem_handlers(app)
    add_metrics(app)
    app.add_middleware(BodyLimit, limit=settings.upload_bytes + _FORM_OVERHEAD)
    app.include_router(comparisons)  # first: a study's id may hold slashes, and its route takes them all
    app.include_router(router)
    _add_operations(app, engine)
    _add_page(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.uploads.close()


def _add_page(app: FastAPI) -> None:
    assets = Assets()
    app.mount("/static", assets, name="static")

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await assets.get_response("index.html", request.scope)

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(DOCS)


def _add_operations(app: FastAPI, engine: Engine) -> None:
    @app.get("/health", summary="Is the process alive", tags=["operations"])
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Can the index be searched", tags=["operations"])
    def ready() -> dict[str, str]:
        engine.warm_up()
        return {"status": "ready"}

"""Running the application under uvicorn."""

import logging

import uvicorn

from hooke.errors import HookeError
from hooke.settings import Settings
from search_api.app import create_app
from search_api.engine import Engine

logger = logging.getLogger("uvicorn.error")


def serve_engine(engine: Engine, settings: Settings, *, host: str, port: int) -> None:
    """Serve until stopped. Text search is served even where uploads cannot be embedded; the log says why."""
    engine.warm_up()
    config = uvicorn.Config(create_app(engine, settings), host=host, port=port, log_level="info")
    server = uvicorn.Server(config)
    try:
        engine.warm_up_embedder()
    except HookeError as exc:
        logger.warning("image uploads cannot be answered: %s", exc)
    server.run()

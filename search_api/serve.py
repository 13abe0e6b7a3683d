"""Running the application under uvicorn."""

import logging
import os
import signal
import socket
import threading

import uvicorn

from hooke.errors import BackendUnavailable, HookeError
from hooke.settings import Settings
from search_api.app import create_app
from search_api.engine import Engine

logger = logging.getLogger("uvicorn.error")


def serve_engine(engine: Engine, settings: Settings, *, host: str, port: int) -> None:
    """Serve until stopped. Text search is served even where uploads cannot be embedded; the log says why.

    A cluster that is down is no reason not to start: until it is there, requests and `/ready` say so.
    Raises BackendUnavailable where the address cannot be had.
    """
    try:
        engine.warm_up()
    except BackendUnavailable as exc:
        logger.warning("not ready: %s", exc)
    with _listen(host, port) as listening:
        # the page is there at once; an upload that comes before the model is loaded waits for it
        threading.Thread(target=warm_up, args=(engine,), daemon=True).start()
        config = uvicorn.Config(create_app(engine, settings), host=host, port=port, log_level="info")
        logger.info("Hooke running on http://%s:%s", host, listening.getsockname()[1])
        signal.signal(signal.SIGTERM, _end)
        uvicorn.Server(config).run(sockets=[listening])


def _end(*_: object) -> None:
    # uvicorn sends itself the signal again when it has ended, which by default leaves no time to put things away
    raise SystemExit(128 + signal.SIGTERM)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        raise BackendUnavailable(
            f"cannot listen on {host}:{port} ({os.strerror(exc.errno or 0)}): stop what is there or use --port"
        ) from exc


def warm_up(engine: Engine) -> None:
    """What the page asks for first comes first: all of it competes with the first requests for one core."""
    for make, unready in (
        (engine.warm_up_facets, "facets are not ready"),
        (engine.warm_up_embedder, "image uploads cannot be answered"),
        (engine.warm_up_completions, "autocomplete is not ready"),
    ):
        try:
            make()
        except HookeError as exc:
            logger.warning("%s: %s", unready, exc)
        except Exception:  # the next step must not wait for a request because this one has a fault
            logger.exception("%s", unready)

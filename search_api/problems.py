"""Errors as application/problem+json (RFC 9457), one table for all routes."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hooke.errors import BackendUnavailable, BadQuery, HookeError

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


_STATUSES = {
    HTTPStatus.BAD_REQUEST: "A parameter, a text or an image that is wrong, and why",
    HTTPStatus.NOT_FOUND: "No such record",
    HTTPStatus.CONFLICT: "A cursor of a snapshot that is gone, or a model that is not the index's",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "More bytes, pixels or images than a request may have",
}
_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "position": {"type": "integer", "description": "of what is wrong in a text"},
    },
    "required": ["type", "title", "status", "detail"],
}


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The `responses` of a route that gives these problems; any route gives others where the server is at fault."""
    # FastAPI adds its 422, which no route gives, where there is no default
    said: dict[int | str, str] = {
        "default": "Any other problem",
        **{each: _STATUSES[HTTPStatus(each)] for each in statuses},
    }
    content = {PROBLEM_JSON: {"schema": _SCHEMA}}
    return {status: {"description": text, "content": content} for status, text in said.items()}


def problem(status: int, title: str, detail: str, **more: object) -> JSONResponse:
    """One problem document."""
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, media_type=PROBLEM_JSON)


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem document."""
    app.add_exception_handler(HookeError, _hooke_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _hooke_error(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HookeError):
        return await _unexpected(_, exc)
    if isinstance(exc, BackendUnavailable):
        logger.warning("backend unavailable: %s", exc)
    more = {"position": exc.position} if isinstance(exc, BadQuery) and exc.position is not None else {}
    return problem(exc.status, exc.title, str(exc), **more)


async def _validation_error(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, RequestValidationError):
        return await _unexpected(_, exc)
    return problem(400, "Bad input", "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in exc.errors()))


def _place(location: Sequence[str | int]) -> str:
    """The parameter that is wrong; the body where it is wrong as a whole, or is no JSON."""
    names = [str(part) for part in location[1:] if isinstance(part, str)]
    return ".".join(names) or str(location[0])


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HTTPException):
        return await _unexpected(request, exc)
    title = HTTPStatus(exc.status_code).phrase
    answer = problem(exc.status_code, title, f"{request.method} {request.url.path}: {exc.detail}")
    answer.headers.update(exc.headers or {})  # such as Allow, which a 405 must have (RFC 9110, 15.5.6)
    return answer


async def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    return problem(500, "Internal error", "an error that Hooke did not expect; the server's log has it")

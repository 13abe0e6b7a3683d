"""Errors as application/problem+json (RFC 9457), one table for all routes."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hooke.errors import BackendUnavailable, BadQuery, HookeError

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


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
    found = [f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in exc.errors()]
    return problem(400, "Bad input", "; ".join(found))


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HTTPException):
        return await _unexpected(request, exc)
    title = HTTPStatus(exc.status_code).phrase
    return problem(exc.status_code, title, f"{request.method} {request.url.path}: {exc.detail}")


async def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    return problem(500, "Internal error", "an error that Hooke did not expect; the server's log has it")

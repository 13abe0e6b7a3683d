"""Prometheus metrics: how many requests by route and status, and how long they took."""

import time

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.middleware.base import RequestResponseEndpoint


def add_metrics(app: FastAPI) -> None:
    """Measure every request of an app and serve `/metrics`."""
    registry = CollectorRegistry()  # one for each app, so that two apps in one process do not add up
    requests = Counter("hooke_requests", "Requests answered", ["route", "status"], registry=registry)
    seconds = Histogram("hooke_request_seconds", "Seconds to answer", ["route"], registry=registry)

    @app.middleware("http")
    async def measure(request: Request, call_next: RequestResponseEndpoint) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "unknown")
        requests.labels(route, response.status_code).inc()
        seconds.labels(route).observe(time.perf_counter() - started)
        return response

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

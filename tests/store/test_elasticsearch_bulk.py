"""Bulk writes where nodes are busy: the one state that a real node cannot be put into on demand."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from hooke.errors import BackendUnavailable
from hooke.settings import ClusterSettings
from hooke.store.elasticsearch.bulk import Action, Writes, put
from hooke.store.elasticsearch.cluster import Cluster
from hooke.store.location import Location, read_location

SETTINGS = ClusterSettings()


class _Busy(BaseHTTPRequestHandler):
    """Takes one document of a bulk request at a time."""

    requests: ClassVar[list[int]] = []

    def do_PUT(self) -> None:
        lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        self.requests.append(len(lines) // 2)
        busy = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue full"}}
        ids = [json.loads(line)["index"]["_id"] for line in lines[::2]]
        items = [{"index": {"_id": key, **(busy if place else {"status": 201})}} for place, key in enumerate(ids)]
        body = json.dumps({"errors": len(items) > 1, "items": items}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.elasticsearch+json; compatible-with=9")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Location]:
    monkeypatch.setattr("hooke.store.elasticsearch.bulk._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(_Busy, "requests", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield read_location(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def actions(count: int) -> list[Action]:
    return [put("x", str(number), {"a": 1}) for number in range(count)]


def test_what_a_busy_node_refuses_is_sent_again(busy_node: Location) -> None:
    with closing(Cluster(busy_node, SETTINGS)) as cluster:
        assert Writes(cluster).write_all(actions(4)) == 4
    assert _Busy.requests == [4, 3, 2, 1]


def test_a_node_that_stays_busy_is_unavailable(busy_node: Location) -> None:
    with closing(Cluster(busy_node, SETTINGS)) as cluster, pytest.raises(BackendUnavailable, match="queue full"):
        Writes(cluster).write_all(actions(40))

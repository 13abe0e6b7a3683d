"""What is made before anyone asks: first what the page shows first, each thing once."""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hooke.errors import BackendUnavailable
from hooke.fields import FACET_FIELDS
from hooke.model import Level
from hooke.request import SearchRequest
from search_api.engine import EmbedderChoice, Engine, facets
from search_api.serve import warm_up

USUAL = ("organism", "imaging_method", "anatomy")


@pytest.fixture
def cold(index: Path) -> Iterator[Engine]:
    with closing(Engine(index, EmbedderChoice())) as engine:
        yield engine


def made_by(monkeypatch: pytest.MonkeyPatch, delay: threading.Event | None = None) -> list[tuple[Level, str]]:
    """The facet tables that are made from now on; each waits for `delay`."""
    made, build = [], facets.build_table

    def counted(*asked: object) -> facets.FacetTable:
        made.append((asked[2], asked[3]))
        assert delay is None or delay.wait(30)
        return build(*asked)  # type: ignore[arg-type]  # the same arguments

    monkeypatch.setattr(facets, "build_table", counted)
    return made  # type: ignore[return-value]  # level and field


def test_the_first_request_finds_the_usual_facets_made(cold: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_by(monkeypatch)
    cold.warm_up_facets()
    known = {level: {str(field["name"]) for field in cold.fields(level)} for level in Level}
    assert made == [(level, name) for level in Level for name in FACET_FIELDS if name in known[level]]
    made.clear()
    for level in Level:
        cold.search(SearchRequest(level, "mouse", facets=USUAL))
    assert made == []


def test_who_asks_for_a_facet_that_is_being_made_waits_for_it(cold: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    made = made_by(monkeypatch, go_on)
    counted = list[object]()
    request = SearchRequest(Level.IMAGE, facets=("organism",))
    threads = [threading.Thread(target=lambda: counted.append(cold.search(request).facets)) for _ in range(3)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made == [(Level.IMAGE, "organism")]
    assert len(counted) == 3
    assert counted[0] == counted[1] == counted[2]


class Ordered(Engine):
    """An engine that tells in which order it warms up, and fails at its facets."""

    steps: list[str]
    fault: Exception

    def warm_up_facets(self) -> None:
        self.steps = ["facets"]
        raise self.fault

    def warm_up_embedder(self) -> None:
        self.steps.append("embedder")

    def warm_up_completions(self) -> None:
        self.steps.append("completions")


@pytest.mark.parametrize("fault", [BackendUnavailable("the cluster is down"), MemoryError("the cluster is down")])
def test_the_pages_first_request_is_warmed_up_first_and_what_fails_stops_nothing(
    index: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    # a server that ran in this process before has told uvicorn's loggers to keep what they hear, and to hear less
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    caplog.set_level(logging.WARNING, "uvicorn.error")
    with closing(Ordered(index, EmbedderChoice())) as engine:
        engine.fault = fault
        warm_up(engine)
        assert engine.steps == ["facets", "embedder", "completions"]
    assert "facets are not ready" in caplog.text
    assert "the cluster is down" in caplog.text
    assert ("Traceback" in caplog.text) == (type(fault) is MemoryError)  # a fault of Hooke's own says where it is

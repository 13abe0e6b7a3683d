"""The worklist over HTTP and in the engine: order, candidates, fields, limits."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from hooke.errors import BadInput, CorruptIndex, UnknownField
from hooke.results import Candidate, CurationEntry
from hooke.wire import to_plain
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import serving
from tests.waiting_index import HUMAN, MOUSE, ODD, build


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with closing(Engine(build(tmp_path_factory.mktemp("waiting")), EmbedderChoice())) as engine:
        yield engine


@pytest.fixture(scope="module")
def http(waiting: Engine) -> Iterator[httpx.Client]:
    with serving(waiting) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_the_most_frequent_comes_first_with_the_terms_that_may_be_meant(waiting: Engine) -> None:
    found = waiting.unresolved()
    assert [(entry.text, entry.records, entry.reason) for entry in found.entries] == [
        ("Mus muscullus", 3, "no_term"),
        ("mutant of Mus musculus", 2, "no_term"),
        (ODD, 1, "no_term"),
        ("unicorn", 1, "unknown_id"),
    ]
    assert found.total == 4
    misspelled, described, odd, _ = (entry.candidates for entry in found.entries)
    assert misspelled[0] == Candidate(MOUSE, "Mus musculus", 0.48)
    assert [candidate.term for candidate in described] == [MOUSE], "a name in the text"
    assert odd == ()


def test_a_conflict_has_the_term_of_its_text_and_that_of_its_id(waiting: Engine) -> None:
    (entry,) = waiting.conflicts().entries
    assert entry == CurationEntry(
        "organism",
        "Mus musculus",
        ("NCBITaxon:9606",),
        2,
        "id_label_conflict",
        (Candidate(MOUSE, "Mus musculus", 0.95), Candidate(HUMAN, "Homo sapiens", 0.5)),
    )


def test_a_dragged_cell_is_one_entry(tmp_path: Path) -> None:
    wells = [("Mus musculus", "NCBITaxon:9606"), ("Mus musculus", "NCBITaxon:40674")]
    dragged = [("griffin", f"NCBITaxon:{number}") for number in range(700_000, 700_021)]
    few = [("sphinx", f"NCBITaxon:{number}") for number in range(700_000, 700_020)]
    with closing(Engine(build(tmp_path, [*wells, *dragged, *few]), EmbedderChoice())) as engine:
        found = engine.unresolved()
        assert (found.entries[0].text, found.entries[0].ids, found.entries[0].records) == ("griffin", ("*",), 21)
        assert {entry.ids for entry in found.entries[1:]} == {(f"NCBITaxon:{n}",) for n in range(700_000, 700_020)}
        assert found.total == 21
        assert [entry.ids for entry in engine.conflicts().entries] == [("NCBITaxon:9606",)]


def test_a_field_and_a_limit_narrow_the_list(waiting: Engine) -> None:
    assert waiting.unresolved("Organism", 2).total == 4
    assert len(waiting.unresolved("organism", 2).entries) == 2
    assert waiting.unresolved("anatomy") == waiting.conflicts("anatomy")
    assert waiting.unresolved("anatomy").total == 0


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_bounds_is_refused(waiting: Engine, limit: int) -> None:
    with pytest.raises(BadInput, match="1 to 10000"):
        waiting.conflicts(None, limit)


def test_a_field_without_an_ontology_is_refused(waiting: Engine) -> None:
    with pytest.raises(UnknownField, match="'organsm' is grounded; those are organism, "):
        waiting.unresolved("organsm")


def test_http_answers_what_the_engine_does(http: httpx.Client, waiting: Engine) -> None:
    for path, found in (("unresolved", waiting.unresolved(limit=2)), ("conflicts", waiting.conflicts())):
        body = http.get(f"/v1/curation/{path}", params={"limit": 2, "field": "organism"}).raise_for_status().json()
        assert body == to_plain(found)
        assert set(body) == {"total", "entries", "snapshot"}
    assert set(body["entries"][0]) == {"field", "text", "ids", "records", "reason", "candidates", "decision"}
    assert set(body["entries"][0]["candidates"][0]) == {"term", "label", "score"}


@pytest.mark.parametrize(
    ("query", "detail"),
    [("limit=0", "1 to 10000"), ("limit=many", "limit"), ("field=organsm", "those are organism, ")],
)
def test_an_error_is_a_problem(http: httpx.Client, query: str, detail: str) -> None:
    response = http.get(f"/v1/curation/unresolved?{query}")
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    assert detail in response.json()["detail"]


def test_decisions_broken_by_hand_are_the_fault_of_the_index(tmp_path: Path) -> None:
    index = build(tmp_path, [("unicorn", "")])
    (index / "decisions.csv").write_text("text,decision\n")
    with closing(Engine(index, EmbedderChoice())) as engine, pytest.raises(CorruptIndex, match=r"decisions\.csv"):
        engine.unresolved()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_written_over_http(http: httpx.Client, method: str) -> None:
    assert http.request(method, "/v1/curation/unresolved").status_code == 405


def test_the_description_has_both_with_their_parameters(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    for path in ("/v1/curation/unresolved", "/v1/curation/conflicts"):
        assert {each["name"] for each in paths[path]["get"]["parameters"]} == {"field", "limit"}

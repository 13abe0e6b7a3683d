"""The API over HTTP: bodies, parameters, ids in paths, errors, and the operations."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from typer.testing import CliRunner

from hooke.cli import app as command
from tests.search_api.conftest import Search
from tests.small_index import PICTURES, WITHOUT_PIXELS, image_id

IDS = [f"{row[1]}/{row[0]}" for row in PICTURES]
PROBLEM_KEYS = {"type", "title", "status", "detail"}


def problem(response: httpx.Response, status: int) -> str:
    """The detail of a problem, once it is known to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) >= PROBLEM_KEYS
    assert body["status"] == status
    assert "\n" not in body["detail"]
    return str(body["detail"])


def printed(*arguments: str) -> object:
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("path", "parameters", "arguments"),
    [
        ("studies", {}, ""),
        ("studies", {"q": "human", "facets": "organism"}, "human|--facet|organism"),
        ("images", {"q": "light microscopy", "limit": "3"}, "light microscopy|--level|image|--limit|3"),
        (
            "images",
            {"q": "mouse OR human", "facet.organism": "mouse", "facet.anatomy.not": "heart", "facets": "gene,anatomy"},
            "mouse OR human|--level|image|--filter|organism=mouse|--not|anatomy=heart|--facet|gene|--facet|anatomy",
        ),
        ("studies", {"facet.organism": "mouse", "same": "dataset"}, "--filter|organism=mouse|--same|dataset"),
        ("images", {"q": "brian", "expand": "none"}, "brian|--level|image|--expand|none"),
        ("images", {"q": "brain", "exclude_inferred": "true"}, "brain|--level|image|--exclude-inferred"),
        (
            "images",
            {"size_x.gte": "100", "size_x.lt": "600"},
            "--level|image|--filter|size_x>=100|--filter|size_x<600",
        ),
    ],
)
def test_a_body_is_what_the_command_prints(
    http: httpx.Client, index: Path, path: str, parameters: dict[str, str], arguments: str
) -> None:
    body = http.get(f"/v1/search/{path}", params=parameters).raise_for_status().json()
    assert body == printed("search", *filter(None, arguments.split("|")), "--index", str(index))


def test_the_other_bodies_are_what_the_commands_print(http: httpx.Client, index: Path) -> None:
    where = ["--index", str(index)]
    assert http.get("/v1/index/state").json() == printed("info", *where)
    assert http.get("/v1/terms/UBERON:0000955").json() == printed("ontologies", "show", "UBERON_0000955", *where)
    asked = {"level": "image", "q": "brain", "parent": "mammals", "facet.gene": "Trp53", "count": "studies"}
    facet = http.get("/v1/facets/organism", params=asked).raise_for_status().json()
    given = ("--level", "image", "--parent", "mammals", "--filter", "gene=Trp53", "--studies")
    assert facet == printed("facets", "organism", "brain", *given, *where)
    assert [(value["label"], value["count"], value["studies"]) for value in facet["values"]] == [("Mus musculus", 2, 1)]
    similar = http.get(f"/v1/images/{quote(IDS[0], safe='')}/similar", params={"k": 3, "facets": "gene"}).json()
    assert similar == printed("similar", IDS[0], "-k", "3", "--facet", "gene", *where)


def test_a_search_has_the_keys_of_the_issue(http: httpx.Client) -> None:
    body = http.get("/v1/search/images", params={"q": "brain", "facets": "anatomy"}).json()
    assert set(body) == {"total", "hits", "facets", "query", "cursor", "snapshot"}
    assert set(body["hits"][0]) == {"id", "study_id", "title", "score", "why"}
    assert {"kind", "field", "value", "term", "path"} <= set(body["hits"][0]["why"][0])
    assert {"id", "label", "count", "direct_count"} <= set(body["facets"]["anatomy"][0])
    assert {"terms", "rewrites", "unresolved", "suggestions", "notices", "understood"} <= set(body["query"])


def test_an_empty_answer_has_the_same_shape(http: httpx.Client) -> None:
    body = http.get("/v1/search/images", params={"q": "nothingatall", "facets": "anatomy"}).json()
    assert (body["total"], body["hits"], body["facets"], body["cursor"]) == (0, [], {"anatomy": []}, None)


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ({}, []),
        ({"q": "mouse", "limit": 2}, [("q", "mouse"), ("limit", "2")]),
        (
            {"facets": ["organism", "gene"], "facet.organism": ["mouse", "human"], "strict": True, "cursor": None},
            [("facets", "organism,gene"), ("facet.organism", "mouse"), ("facet.organism", "human"), ("strict", "true")],
        ),
        ({"size_x.gte": 500, "facet.gene.not": "TP53"}, [("size_x.gte", "500"), ("facet.gene.not", "TP53")]),
    ],
)
def test_post_answers_as_get(
    http: httpx.Client, body: dict[str, object], parameters: list[tuple[str, str | int | float | bool | None]]
) -> None:
    got = http.get("/v1/search/images", params=parameters).raise_for_status()
    assert http.post("/v1/search/images", json=body).json() == got.json()


@pytest.mark.parametrize("sort", ["date", "-date", "title", "-size"])
def test_sorted_pages_join_over_http(http: httpx.Client, search: Search, sort: str) -> None:
    asked: dict[str, str | int] = {"q": "mouse", "sort": sort, "limit": 3}
    page = http.get("/v1/search/images", params=asked).json()
    found = [hit["id"] for hit in page["hits"]]
    while page["cursor"]:
        page = http.get("/v1/search/images", params=asked | {"cursor": page["cursor"]}).json()
        found += [hit["id"] for hit in page["hits"]]
    assert found == [hit.id for hit in search("mouse", sort=sort).hits]


def test_an_unknown_order_is_refused_and_look_alikes_have_none(http: httpx.Client) -> None:
    refused = http.get("/v1/search/images", params={"sort": "newest"})
    assert (refused.status_code, "-date" in refused.json()["detail"]) == (400, True)
    alike = http.get(f"/v1/images/{image_id('plain.png')}/similar", params={"sort": "date"})
    assert (alike.status_code, "likeness" in alike.json()["detail"]) == (400, True)


def test_explanations_are_asked_for(http: httpx.Client) -> None:
    def reason(**more: str) -> dict[str, Any]:  # a reason as JSON has it
        hits = http.get("/v1/search/images", params={"q": "rodents", "limit": "1", **more}).json()["hits"]
        why: dict[str, Any] = hits[0]["why"][0]
        return why

    assert (reason()["annotation"], reason()["asked"]) == (None, None)
    told = reason(explain="true")
    assert (told["asked"]["name"], told["asked"]["scope"], told["asked"]["version"]) == (
        "rodents",
        "EXACT",
        "2026-01-01",
    )
    assert told["annotation"] == {
        "text": "Mus musculus",
        "ids": ["NCBITaxon:10090"],
        "given_id": told["annotation"]["given_id"],
        "method": "id",
        "score": 1.0,
        "note": None,
        "name": "Mus musculus",
        "scope": "LABEL",
        "ontology": "ncbitaxon",
        "version": "2026-01-01",
    }
    assert [step["relation"] for step in told["path"]] == [None, "is_a"]


def test_pages_join_over_http(http: httpx.Client) -> None:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = http.get("/v1/search/images", params={"limit": 10} | ({"cursor": cursor} if cursor else {})).json()
        found.extend(hit["id"] for hit in page["hits"])
        cursor = page["cursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found)) == len(PICTURES) + WITHOUT_PIXELS


@pytest.mark.parametrize("record", IDS)
def test_any_id_works_in_a_path_when_percent_encoded(http: httpx.Client, record: str) -> None:
    path = f"/v1/images/{quote(record, safe='')}"
    assert http.get(path).json()["id"] == record
    thumbnail = http.get(f"{path}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.content.startswith(b"\xff\xd8")
    similar = http.get(f"{path}/similar", params={"k": 100}).json()
    assert {hit["id"] for hit in similar["hits"]} == set(IDS) - {record}


def test_a_study_is_given_whole(http: httpx.Client) -> None:
    study = http.get("/v1/studies/mice").json()
    assert (study["id"], study["level"], study["images"], study["embedded"]) == ("mice", "study", 4, True)
    assert http.get("/v1/studies/idr9001").json()["title"].startswith("Kinesins")


@pytest.mark.parametrize(
    "spelling", ["UBERON:0000955", "UBERON_0000955", "uberon:955", "http://purl.obolibrary.org/obo/UBERON_0000955"]
)
def test_a_term_is_given_by_any_spelling_of_its_id(http: httpx.Client, spelling: str) -> None:
    term = http.get(f"/v1/terms/{quote(spelling, safe='')}").json()
    assert (term["id"], term["label"]) == ("UBERON:0000955", "brain")
    assert term["records"]["image"] == {"count": 3, "direct_count": 2}
    assert [child["id"] for child in term["children"]] == ["UBERON:0000956"]


def test_fields_are_listed_with_their_counts(http: httpx.Client) -> None:
    fields = {field["name"]: field for field in http.get("/v1/fields", params={"level": "image"}).json()}
    assert fields["gene"] == {"name": "gene", "records": 8, "facet": True}
    assert fields["title"]["facet"] is False


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/nowhere", 404, "/v1/nowhere"),
        ("/static/../limits.py", 404, "limits.py"),
        ("/v1/images/nothing", 404, "no image 'nothing'"),
        ("/v1/images/mice%2Fnothing/similar", 404, "mice/nothing"),
        ("/v1/images/lost%2Flost%2F01.png/thumbnail", 404, "no thumbnail"),
        ("/v1/images/lost%2Flost%2F01.png/similar", 400, "no vector"),
        ("/v1/studies/nothing", 404, "no study 'nothing'"),
        ("/v1/terms/UBERON:00009555", 400, "did you mean UBERON:0000955"),
        ("/v1/search/images?limit=0", 400, "limit"),
        ("/v1/search/images?limit=10001", 400, "10000"),
        ("/v1/search/images?limit=many", 400, "limit"),
        ("/v1/search/images?limit=" + "9" * 5000, 400, "limit"),
        ("/v1/search/images?limti=3", 400, "did you mean 'limit'"),
        ("/v1/search/images?weight=.5", 400, "weight: it is of look-alikes"),
        ("/v1/search/images?wieght=.5", 400, "facet.FIELD"),
        ("/v1/duplicates?group=study", 400, "group: it is of look-alikes"),
        ("/v1/duplicates?limti=3", 400, "facet.FIELD"),
        ("/v1/duplicates?thresold=0.9", 400, "did you mean 'threshold'"),
        ("/v1/images/mice%2Fplain.png/similar?cursr=x", 400, "facet.FIELD"),
        ("/v1/images/mice%2Fplain.png/similar?min_percentil=x", 400, "did you mean 'min_percentile'"),
        ("/v1/facets/organism?paren=x", 400, "did you mean 'parent'"),
        ("/v1/facets/organism?limti=3", 400, "facet.FIELD"),
        ("/v1/search/images?facet.organsm=human", 400, "did you mean organism"),
        ("/v1/search/images?facets=organsm", 400, "did you mean organism"),
        ("/v1/search/images?facet.anatomy=UBERON:00009555", 400, "UBERON:0000955 (brain)"),
        ("/v1/search/images?facet.=x", 400, "''"),
        ("/v1/search/images?.gte=1", 400, "''"),
        ("/v1/search/images?size_x.gte=nan", 400, "size_x.gte"),
        ("/v1/search/images?size_x.gte=big", 400, "size_x.gte"),
        ("/v1/search/images?expand=none,is_a", 400, "expand"),
        ("/v1/search/images?exclude_inferred=maybe", 400, "exclude_inferred"),
        ("/v1/search/studies?same=image", 400, "same is dataset"),
        ("/v1/search/images?cursor=made-up", 400, "cursor"),
        ("/v1/search/images?facet_limit=0", 400, "facet_limit"),
        ("/v1/search/images?count=datasets", 400, "records or studies"),
        ("/v1/facets/organism?level=well", 400, "level"),
        ("/v1/facets/organism?cursor=x", 400, "facet_limit"),
        ("/v1/facets/organsm", 400, "did you mean organism"),
        ("/v1/facets/organism?parent=NCBITaxon:99", 400, "NCBITaxon:99"),
        ("/v1/facets/title", 400, "no facet"),
        ("/v1/terms/UBERON:00009555/tree", 400, "UBERON:0000955 (brain)"),
        ("/v1/search/images?q=qz*", 400, "400"),
        ("/v1/images/mice%2Fplain.png/similar?k=none", 400, "k"),
        ("/v1/images/mice%2Fplain.png/similar?k=0", 400, "1 to 10000"),
        ("/v1/images/mice%2Fplain.png/similar?cursor=x", 400, "no pages"),
        ("/v1/fields?level=planet", 400, "level"),
        ("/v1/autocomplete?q=m&level=planet", 400, "level"),
        ("/v1/autocomplete?q=" + "m" * 501, 400, "500 characters"),
        ("/v1/autocomplete?q=m&limit=0", 400, "limit"),
        ("/v1/autocomplete?q=m&limit=101", 400, "limit"),
        ("/v1/autocomplete?q=m&limit=many", 400, "limit"),
        ("/v1/autocomplete?q=m&limti=3", 400, "limti"),
        ("/v1/autocomplete?q=m&field=organsm", 400, "did you mean organism"),
        ("/v1/autocomplete?q=m&field=title", 400, "no facet"),
    ],
)
def test_every_error_is_a_problem_that_says_what_is_wrong(
    http: httpx.Client, path: str, status: int, detail: str
) -> None:
    assert detail in problem(http.get(path), status)


def test_strict_text_that_does_not_parse_names_its_position(http: httpx.Client) -> None:
    response = http.get("/v1/search/images", params={"q": "p53 +/-", "strict": "true"})
    assert "position 5" in problem(response, 400)
    assert response.json()["position"] == 5
    lenient = http.get("/v1/search/images", params={"q": "p53 +/-"})
    assert lenient.json()["query"]["notices"]


def test_a_wrong_method_is_told_the_right_one(http: httpx.Client) -> None:
    response = http.delete("/v1/search/images")
    problem(response, 405)
    assert set(response.headers["allow"].replace(" ", "").split(",")) >= {"GET"}


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"[1]", "body"),
        (b'"mouse"', "body"),
        (b"null", "body"),
        (b"", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b'{"limit": ' + b"9" * 5000 + b"}", "body"),
        (b'{"q": {"a": 1}}', "q"),
        (b'{"limit": true}', "limit"),
        (b'{"limit": 1e400}', "limit"),
        (b'{"limit": 2.5}', "limit"),
        (b'{"bogus": 1}', "bogus"),
        (b'{"q": "half a pair \\ud800"}', "Unicode"),
        (b'{"facet.gene": "\\ud800"}', "Unicode"),
    ],
)
def test_a_json_body_of_the_wrong_shape_is_a_problem(http: httpx.Client, content: bytes, detail: str) -> None:
    response = http.post("/v1/search/images", content=content, headers={"content-type": "application/json"})
    assert detail in problem(response, 400)


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"q": "mouse li", "level": "image"}, "mouse li|--level|image"),
        ({"q": "idr9"}, "idr9"),
        ({"q": "m", "field": "Organism", "limit": "2"}, "m|--field|Organism|--limit|2"),
        ({"q": ""}, ""),
    ],
)
def test_completions_are_what_the_command_prints(
    http: httpx.Client, index: Path, parameters: dict[str, str], arguments: str
) -> None:
    body = http.get("/v1/autocomplete", params=parameters).raise_for_status().json()
    assert body == printed("complete", *arguments.split("|"), "--index", str(index))
    assert set(body) == {"replaces", "completions", "snapshot"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('"()[]{}*:+-!^~\\/ ANDORTmouse')), max_size=40)
)
def test_no_text_is_a_server_error(http: httpx.Client, text: str) -> None:
    response = http.get("/v1/search/images", params={"q": text, "limit": "3"})
    # what would cost too much is refused, and nothing else
    refused = re.compile("stands for more than|cannot begin with|regular expressions")
    assert response.status_code == 200 or refused.search(problem(response, 400))


def test_operations_answer(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready").json() == {"status": "ready"}
    http.get("/v1/search/images")
    metrics = http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'hooke_requests_total{route="/v1/search/images",status="200"}' in metrics.text


def test_the_docs_load_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
    assert "//" not in page.text.replace("//www.w3.org", "")
    problem(http.get("/redoc"), 404)


def test_openapi_is_valid_and_has_every_route(http: httpx.Client) -> None:
    api = http.get("/openapi.json").json()
    assert api["openapi"].startswith("3.1")
    for schema in api["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert {(path, method) for path, methods in api["paths"].items() for method in methods} == {
        ("/v1/search/studies", "get"),
        ("/v1/search/studies", "post"),
        ("/v1/search/images", "get"),
        ("/v1/search/images", "post"),
        ("/v1/search/similar", "post"),
        ("/v1/search/combined", "post"),
        ("/v1/duplicates", "get"),
        ("/v1/duplicates", "post"),
        ("/v1/studies/{study_id}/outliers", "get"),
        ("/v1/studies/{study_id}/similar", "get"),
        ("/v1/images/{image_id}/similar", "get"),
        ("/v1/images/{image_id}/thumbnail", "get"),
        ("/v1/images/{image_id}", "get"),
        ("/v1/studies/{study_id}", "get"),
        ("/v1/terms/{curie}", "get"),
        *((f"/v1/terms/{{curie}}/{view}", "get") for view in ("ancestors", "children", "descendants", "tree")),
        ("/v1/facets/{field}", "get"),
        ("/v1/autocomplete", "get"),
        ("/v1/fields", "get"),
        ("/v1/curation/unresolved", "get"),
        ("/v1/curation/conflicts", "get"),
        ("/v1/index/state", "get"),
        ("/health", "get"),
        ("/ready", "get"),
    }
    assert all(operation["summary"] for methods in api["paths"].values() for operation in methods.values())
    names = {p["name"] for p in api["paths"]["/v1/search/images"]["get"]["parameters"]}
    switches = {"strict", "exclude_inferred", "explain"}
    assert names == {"q", "limit", "cursor", "sort", "facets", "facet_limit", "expand", "count", "same", *switches}


def test_openapi_names_the_problems_that_routes_give(http: httpx.Client) -> None:
    api = http.get("/openapi.json").json()
    assert not [name for name in api["components"]["schemas"] if "ValidationError" in name]
    wanted = {
        ("/v1/search/images", "get"): {400, 409},
        ("/v1/search/images", "post"): {400, 409, 413},
        ("/v1/search/similar", "post"): {400, 404, 409, 413},
        ("/v1/search/combined", "post"): {400, 404, 409, 413},
        ("/v1/images/{image_id}/similar", "get"): {400, 404, 409},
        ("/v1/images/{image_id}", "get"): {404},
        ("/v1/studies/{study_id}", "get"): {404},
        ("/v1/terms/{curie}", "get"): {400},
        ("/v1/autocomplete", "get"): {400},
        ("/v1/duplicates", "get"): {400, 413},
        ("/v1/duplicates", "post"): {400, 413},
        ("/v1/studies/{study_id}/outliers", "get"): {400, 404, 413},
        ("/v1/studies/{study_id}/similar", "get"): {400, 404},
    }
    for (path, method), statuses in wanted.items():
        responses = api["paths"][path][method]["responses"]
        assert set(responses) == {"200", *map(str, statuses), "default"}, path
    for methods in api["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status != "200":
                    (media,) = response["content"].items()
                    assert media[0] == "application/problem+json"
                    Draft202012Validator(media[1]["schema"]).validate(http.get("/v1/images/nothing").json())


def test_bodies_match_the_schemas_of_openapi(http: httpx.Client) -> None:
    api = http.get("/openapi.json").json()
    for path, route in (
        ("/v1/search/images?q=brain&facets=anatomy", "/v1/search/images"),
        (f"/v1/images/{quote(IDS[0], safe='')}", "/v1/images/{image_id}"),
        (f"/v1/images/{quote(IDS[0], safe='')}/similar?k=2", "/v1/images/{image_id}/similar"),
        ("/v1/index/state", "/v1/index/state"),
        ("/v1/facets/organism?level=image&count=studies", "/v1/facets/{field}"),
        ("/v1/curation/unresolved", "/v1/curation/unresolved"),
        ("/v1/autocomplete?q=mouse+m&level=image", "/v1/autocomplete"),
    ):
        schema = api["paths"][route]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": api["components"]}).validate(http.get(path).json())


@pytest.mark.parametrize(
    ("view", "labels"),
    [
        ("children", ["cerebral cortex"]),
        ("ancestors", ["organ"]),
        ("descendants", ["cerebral cortex"]),
        ("tree", ["brain", "cerebral cortex", "organ"]),
    ],
)
def test_the_terms_around_a_term(http: httpx.Client, view: str, labels: list[str]) -> None:
    for spelling in ("UBERON:0000955", quote("http://purl.obolibrary.org/obo/UBERON_0000955", safe="")):
        body = http.get(f"/v1/terms/{spelling}/{view}").raise_for_status().json()
        assert (body["id"], body["label"], body["total"]) == ("UBERON:0000955", "brain", len(labels))
        assert [term["label"] for term in body["terms"]] == labels
    by_label = {term["label"]: term["parents"] for term in body["terms"]}
    assert by_label.get("cerebral cortex", ["UBERON:0000955"]) == ["UBERON:0000955"]
    alone = http.get(f"/v1/terms/UBERON:0000955/{view}", params={"expand": "is_a", "limit": 1}).json()
    assert alone["total"] == len([label for label in labels if label != "cerebral cortex"])


def test_the_terms_around_a_term_come_in_pages(http: httpx.Client) -> None:
    path = "/v1/terms/NCBITaxon:2759/descendants"
    whole = http.get(path).raise_for_status().json()
    pages = [http.get(path, params={"limit": 2, "offset": offset}).json() for offset in range(0, whole["total"] + 2, 2)]
    assert whole["total"] == 6
    assert [term for page in pages for term in page["terms"]] == whole["terms"]
    assert pages[-1]["terms"] == []
    assert http.get(path, params={"offset": -1}).status_code == 400


def test_titles_travel_as_they_are(http: httpx.Client) -> None:
    assert http.get(f"/v1/images/{quote(image_id('é ü.png'), safe='')}").json()["title"].startswith("Accents <i>")

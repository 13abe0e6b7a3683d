"""Where a cluster is: read from a URL, and told again without a secret."""

import pytest

from hooke.errors import BadInput
from hooke.store.location import DEFAULT_PREFIX, Location, read_location


@pytest.mark.parametrize(
    ("text", "nodes", "prefix"),
    [
        ("http://localhost:9200", ("http://localhost:9200",), DEFAULT_PREFIX),
        ("http://localhost", ("http://localhost:9200",), DEFAULT_PREFIX),
        ("https://search.example.org/mice", ("https://search.example.org:443",), "mice"),
        (" http://a:9201 , https://b/mice_2.x-y/ ", ("http://a:9201", "https://b:443"), "mice_2.x-y"),
        ("http://[::1]:9200/mice", ("http://[::1]:9200",), "mice"),
        ("HTTP://Host:9200/mice", ("http://host:9200",), "mice"),
    ],
)
def test_a_url_names_nodes_and_a_prefix(text: str, nodes: tuple[str, ...], prefix: str) -> None:
    location = read_location(text)
    assert location == Location(nodes, prefix)
    assert read_location(str(location)) == location


@pytest.mark.parametrize(
    "text",
    [
        "http://elastic:hunter2@a:9200/mice",
        "http://a:9200,https://elastic:hunter2@b:9200/mice",
        "http://hunter2@a:9200",
        "http://:hunter2@a:9200",
        "http://elastic:hunter2@a:port/mice",
        "ftp://elastic:hunter2@a/mice",
        "http://a:9200/mice?api_key=hunter2",
        "http://a:9200/mice#hunter2",
        "elastic:hunter2@a:9200",
        "http://elastic:hunter2@a:9200/BAD PREFIX",
        "http://elastic:hunter2/secret@a:9200/mice",
    ],
)
def test_a_url_with_credentials_is_refused_and_they_are_not_repeated(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_location(text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:9200",
        "ftp://a/mice",
        "http://",
        "http:///mice",
        "http://a:99999",
        "http://a:port",
        "http://a,,http://b",
    ],
)
def test_what_is_no_url_of_a_store_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_location(text)


@pytest.mark.parametrize("prefix", ["Mice", "_mice", "-mice", "a b", "mäuse", "a/b", "a*", "a" * 101, "*", ".."])
def test_a_prefix_that_no_index_may_have_is_refused(prefix: str) -> None:
    with pytest.raises(BadInput, match="index prefix"):
        read_location(f"http://a:9200/{prefix}")

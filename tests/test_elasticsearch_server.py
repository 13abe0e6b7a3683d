"""The Elasticsearch that the tests run on: of the version Hooke is written for, and its nodes come back."""

import os

import httpx
import pytest

from tests.elasticsearch_server import running_cluster


def health(url: str) -> dict[str, object]:
    answer: dict[str, object] = httpx.get(f"{url}/_cluster/health", timeout=10).raise_for_status().json()
    return answer


def test_the_server_is_well_and_of_a_version_that_hooke_is_written_for(elasticsearch_url: str) -> None:
    nodes = httpx.get(f"{elasticsearch_url}/_nodes", timeout=10).raise_for_status().json()["nodes"]
    assert {node["version"].split(".")[0] for node in nodes.values()} == {"9"}
    answer = health(elasticsearch_url)
    assert answer["timed_out"] is False
    assert answer["status"] in ("green", "yellow")
    assert answer["number_of_nodes"] == len(nodes)


@pytest.mark.slow
def test_a_killed_node_leaves_the_cluster_and_comes_back_when_started() -> None:
    with running_cluster(nodes=3, heap_mb=512) as cluster:
        assert [health(url)["number_of_nodes"] for url in cluster.urls] == [3, 3, 3]
        first, *others = cluster.nodes
        first.kill()
        cluster.wait_for(2)
        with pytest.raises(httpx.ConnectError):
            health(first.url)
        assert [health(node.url)["number_of_nodes"] for node in others] == [2, 2]
        first.start()
        cluster.wait_for(3)
        assert [health(url)["number_of_nodes"] for url in cluster.urls] == [3, 3, 3]


@pytest.mark.slow
def test_a_paused_node_does_not_answer_until_it_goes_on_and_nothing_is_left_at_the_end() -> None:
    with running_cluster(heap_mb=512) as cluster:
        (node,) = cluster.nodes
        folder, pid = node.folder, node.pid
        with node.paused(), pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{node.url}/_cluster/health", timeout=1)
        assert health(node.url)["number_of_nodes"] == 1
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

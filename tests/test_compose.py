"""The container files without a container engine: the Compose schema, and what an operator relies on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
Service = dict[str, object]
ALONE = "elasticsearch"
TOGETHER = ("es01", "es02", "es03")
SECRET = re.compile(r"(?:password|secret|token|api_?key)\w*[\"']?[ \t]*[:=][ \t]*[\w\"'$]+", flags=re.IGNORECASE)
FROM_OUTSIDE = re.compile(r"\$\{\w+:\?[^}]*\}")
"""What Compose refuses to start without, such as `${NAME:?say what to do}`."""


def secrets(text: str) -> list[str]:
    """Every name of a secret with a value beside it that is written in the text."""
    return SECRET.findall(FROM_OUTSIDE.sub("", text))


def section(name: str) -> dict[str, Service]:
    parsed: dict[str, dict[str, Service]] = YAML(typ="safe").load(COMPOSE.read_text(encoding="utf-8"))
    return parsed[name]


def services() -> dict[str, Service]:
    return section("services")


def environment(name: str) -> dict[str, str | None]:
    found = services()[name]["environment"]
    assert isinstance(found, dict)
    return found


def mebibytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against the Compose schema that check-jsonschema ships; nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_compose_file_is_valid() -> None:
    done = validate(COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_refuses_a_misspelt_key(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace("healthcheck:", "healthchek:"), encoding="utf-8")
    done = validate(broken)
    assert done.returncode == 1
    assert "healthchek" in done.stdout


def test_the_index_volume_is_writable_and_the_data_is_not() -> None:
    api, indexer = services()["api"], services()["indexer"]
    assert api["volumes"] == ["index:/index"]
    assert indexer["volumes"] == ["./data:/data:ro", "index:/index"]


def test_the_api_is_checked_restarted_and_bounded() -> None:
    api = services()["api"]
    assert {"healthcheck", "restart", "mem_limit"} <= set(api)
    assert "/health" in str(api["healthcheck"])


def test_the_port_is_open_to_this_machine_only() -> None:
    assert services()["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_only_the_api_runs_without_being_asked_for() -> None:
    assert [name for name, service in services().items() if "profiles" not in service] == ["api"]


@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile"])
def test_no_password_is_in_a_container_file(file: str) -> None:
    assert secrets((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["ELASTIC_PASSWORD: changeme", "- API_KEY=abc", 'ENV TOKEN="x"', "PASSWORD: ${PASSWORD:-elastic}"]
)
def test_a_password_would_be_seen(line: str) -> None:
    assert secrets(f"  {line}\n")


@pytest.mark.parametrize("line", ["HOOKE_ELASTICSEARCH_PASSWORD:\n  NEXT: value", "PASSWORD: ${PASSWORD:?set it}"])
def test_a_password_that_the_environment_gives_is_none(line: str) -> None:
    assert secrets(f"  {line}\n") == []


def test_what_reaches_hooke_from_the_environment_has_no_value_here() -> None:
    for name in ("api", "indexer-elasticsearch"):
        assert {"HOOKE_ELASTICSEARCH_URL", "HOOKE_ELASTICSEARCH_PASSWORD"} <= set(environment(name))
        assert set(environment(name).values()) == {None}


def test_elasticsearch_is_one_node_or_three_each_on_a_volume_of_its_own() -> None:
    servers = {name: each for name, each in services().items() if "elasticsearch:" in str(each["image"])}
    assert {name: each["profiles"] for name, each in servers.items()} == {
        ALONE: ["elasticsearch"],
        **{name: ["cluster"] for name in TOGETHER},
    }
    for name, each in servers.items():
        assert each["volumes"] == [f"{name}:/usr/share/elasticsearch/data"]
        assert name in section("volumes")


@pytest.mark.parametrize("name", [ALONE, *TOGETHER])
def test_elasticsearch_without_security_is_reached_from_the_internal_network_alone(name: str) -> None:
    server = services()[name]
    assert environment(name)["xpack.security.enabled"] == "false"
    assert not {"ports", "expose", "network_mode"} & set(server)
    assert server["networks"] == ["search"]
    assert section("networks")["search"]["internal"] is True


def test_only_the_api_and_its_indexer_share_the_network_of_elasticsearch() -> None:
    inside = {name for name, each in services().items() if "search" in str(each.get("networks"))}
    assert inside == {"api", "indexer-elasticsearch", ALONE, *TOGETHER}


@pytest.mark.parametrize("name", [ALONE, *TOGETHER])
def test_elasticsearch_is_checked_restarted_and_bounded_and_its_heap_is_half_of_its_memory(name: str) -> None:
    server = services()[name]
    assert server["restart"] == "unless-stopped"
    assert "/_cluster/health" in str(server["healthcheck"])
    assert server["ulimits"] == {"memlock": -1, "nofile": 65535}
    heap = re.fullmatch(r"-Xms(\w+) -Xmx(\w+)", str(environment(name)["ES_JAVA_OPTS"]))
    assert heap
    assert {2 * mebibytes(heap[1]), 2 * mebibytes(heap[2])} == {mebibytes(str(server["mem_limit"]))}


def test_three_nodes_discover_each_other_and_the_one_looks_for_none() -> None:
    for name in TOGETHER:
        node = environment(name)
        assert node["node.name"] == name
        assert node["discovery.seed_hosts"] == node["cluster.initial_master_nodes"] == ",".join(TOGETHER)
        assert "discovery.type" not in node
    assert environment(ALONE)["discovery.type"] == "single-node"
    assert "discovery.seed_hosts" not in environment(ALONE)


def test_every_service_has_a_memory_limit_and_no_privileges_to_gain() -> None:
    for each in services().values():
        assert "mem_limit" in each
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]


def test_the_indexer_of_elasticsearch_writes_to_the_one_node_by_default() -> None:
    job = services()["indexer-elasticsearch"]
    command = job["command"]
    assert isinstance(command, list)
    assert command[-2:] == ["--store", f"${{HOOKE_STORE:-http://{ALONE}:9200/hooke}}"]
    assert job["volumes"] == ["./data:/data:ro", "index:/index"]


def test_the_image_installs_by_hash_from_no_address_of_its_own() -> None:
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE
    assert not re.search(r"--(extra-)?index-url|--find-links|https?://(?!127\.0\.0\.1)", DOCKERFILE)


def test_the_image_does_not_run_as_root() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert re.search(r"^USER hooke$", stages[-1], flags=re.MULTILINE)


def test_the_image_has_a_python_that_hooke_runs_on() -> None:
    versions = {
        tuple(map(int, found.split("."))) for found in re.findall(r"^FROM python:([\d.]+)", DOCKERFILE, flags=re.M)
    }
    assert versions
    assert min(versions) >= (3, 11)


def test_the_image_gets_every_package_of_the_wheel_and_every_file_it_copies_is_sent() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(packages) <= names
    assert names == sent
    assert all((ROOT / name).exists() for name in names)

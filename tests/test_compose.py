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


def services() -> dict[str, Service]:
    parsed: dict[str, dict[str, Service]] = YAML(typ="safe").load(COMPOSE.read_text(encoding="utf-8"))
    return parsed["services"]


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


def test_the_indexer_runs_only_when_it_is_asked_for() -> None:
    assert [name for name, service in services().items() if "profiles" not in service] == ["api"]


@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile"])
def test_no_password_is_in_a_container_file(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(r"password|secret|token|api_?key", text, flags=re.IGNORECASE)


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

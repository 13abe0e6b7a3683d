"""What is installed is pinned by hash, from no address of its own, under the licence that is said."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, list[str]]:
    """Each entry of the lock with its hashes; a package that differs by platform has several entries."""
    entries = re.findall(r"^([A-Za-z0-9._-]+)==[^\n]*\\\n((?:    --hash=[^\n]*\n)+)", LOCK, flags=re.MULTILINE)
    return {canonical(name): re.findall(r"--hash=(\S+)", hashes) for name, hashes in entries}


def requirements() -> list[str]:
    project = PROJECT["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    return [each for group in groups for each in group if not each.startswith("hooke[")]


def test_every_entry_of_the_lock_has_sha256_hashes() -> None:
    pinned = re.findall(r"^[A-Za-z0-9][^\s#]*==", LOCK, flags=re.MULTILINE)
    hashes = locked()
    assert len(pinned) >= len(hashes) > 50
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9][^\n]*\\\n    --hash=", LOCK, flags=re.MULTILINE))
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for found in hashes.values() for each in found)


def test_the_lock_has_no_address() -> None:
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in lines if "://" in line or line.startswith("-") or " @ " in line]
    assert "://" not in LOCK


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_has_a_lower_bound_and_is_locked_above_it(requirement: str) -> None:
    found = re.fullmatch(r"([A-Za-z0-9._-]+)>=([\d.]+)", requirement)
    assert found, f"{requirement}: a lower bound and nothing else"
    pinned = re.findall(rf"^{re.escape(canonical(found[1]))}==([\d.]+)", LOCK, flags=re.MULTILINE | re.IGNORECASE)
    assert pinned, f"{requirement} is not in requirements.lock: run `make lock`"
    assert all(_numbers(version) >= _numbers(found[2]) for version in pinned)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.strip(".").split("."))


def test_the_licence_is_bsd_3_clause_everywhere() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "BSD-3-Clause"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    assert text.startswith("BSD 3-Clause License")
    assert "Neither the name of the copyright holder nor the names of its" in " ".join(text.split())
    assert "BSD-3-Clause" in (ROOT / "README.md").read_text(encoding="utf-8")

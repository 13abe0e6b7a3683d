"""The table of other systems' bugs names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROWS = [line for line in (TESTS / "pitfalls.md").read_text().splitlines() if line.startswith("| ") and "::" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0].strip("| "))
def test_a_bug_of_others_has_its_test(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
    assert named
    assert len(named) == row.count("::")
    for file, test in named:
        assert re.search(rf"^ *def {test}\(", (TESTS / file).read_text(), flags=re.MULTILINE), f"{file} has no {test}"


def test_every_row_of_the_table_names_a_test() -> None:
    lines = (TESTS / "pitfalls.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| defect")]
    assert rows == ROWS


def test_every_test_of_other_systems_is_in_the_table() -> None:
    written = re.findall(r"^def (test_\w+)", (TESTS / "search_api" / "test_other_systems.py").read_text(), re.MULTILINE)
    assert not [test for test in written if not any(f"::{test}`" in row for row in ROWS)]

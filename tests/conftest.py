"""Shared data, and the flag with which a skipped part is a failed one."""

from collections.abc import Generator
from pathlib import Path

import pytest

from hooke.settings import read_settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-all", action="store_true", help="fail where a test would be skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--require-all"):
        report.outcome = "failed"
        report.longrepr = f"skipped where every part is required: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; without it the test is skipped."""
    folder = read_settings().shared_data.resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set HOOKE_SHARED_DATA")
    return folder

"""Shared data, and the flag with which a skipped part is a failed one."""

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from hooke.settings import read_settings
from tests.elasticsearch_server import given_url, running_cluster


def pytest_sessionstart() -> None:
    """Let the programs that tests start hear Ctrl-C: a shell's `&` has them ignore it, and who they start too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-all", action="store_true", help="fail where a test would be skipped, but for a GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = item.config.getoption("--require-all") and item.get_closest_marker("gpu") is None
    if report.skipped and not hasattr(report, "wasxfail") and required:
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


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """A one-node cluster for the whole session: HOOKE_TEST_ELASTICSEARCH_URL, or one that is started here."""
    given = given_url()
    if given:
        yield given
        return
    with running_cluster() as cluster:
        yield cluster.urls[0]

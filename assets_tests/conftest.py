"""What all tests share: no test may pass by being skipped where servers are required.

With ``ADX_REQUIRE_SERVERS=1`` (continuous integration sets it) a test that needs a server and is
skipped, for want of its package or because it did not start, counts as failed. Third parties' data
is another matter: it is not in the repository, and a skip for want of it names the variable.

Tests marked ``long`` run there, too, and otherwise only with ``ADX_LONG_TESTS=1``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.scheduler.loadfile import LoadFileScheduling

from assets_tests.fixtures import (  # noqa: F401 - fixtures
    apache_kafka,
    broker_installed,
    clean_environment,
    kafka,
    kafka_cluster,
    kafka_runtime,
    own_broker,
    postgres,
    postgres_url,
    redshift,
    redshift_cluster,
    seaweedfs,
    shared_folder,
    topic_prefix,
    unused_port,
)
from assets_tests.lines import demo_line, parsed_home, whole_line  # noqa: F401 - fixtures
from assets_tests.real_data import VARIABLE

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler.protocol import Scheduling

SERVER_MARKERS = ("broker", "s3", "browser", "java", "postgres")

# How long one example takes says nothing here: the machines that run the tests are shared.
settings.register_profile("adx", deadline=None)
settings.load_profile("adx")


def pytest_configure() -> None:
    # Started as a shell's background job the tests ignore SIGINT, Dagster then makes SIGTERM what
    # SIGINT is, and what the tests start could only be killed.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("ADX_REQUIRE_SERVERS") == "1" or os.environ.get("ADX_LONG_TESTS") == "1":
        return
    skipped = pytest.mark.skip(reason="takes minutes: set ADX_LONG_TESTS=1; CI runs it")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skipped)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    needs_server = any(item.get_closest_marker(name) for name in SERVER_MARKERS)
    wants_data = VARIABLE in str(report.longrepr)
    is_required = needs_server and os.environ.get("ADX_REQUIRE_SERVERS") == "1"
    if report.skipped and is_required and not wants_data:
        report.outcome = "failed"
        report.longrepr = f"ADX_REQUIRE_SERVERS=1, but skipped: {report.longrepr}"
    return report


ONE_LINE = (
    ("assets_tests/browser/", "assets_tests/integration/test_line_against_truth.py"),
    (
        "assets_tests/integration/test_line.py",
        "assets_tests/integration/test_line_mended.py",
        "assets_tests/integration/test_erasure.py",
    ),
)
"""Modules whose tests share a platform that took a market through the whole line."""


class ByFile(LoadFileScheduling):
    """Whole test modules to each process, and those of ``ONE_LINE`` to one.

    A line of its own for each of them would take a minute of CPU more.
    """

    def _split_scope(self, nodeid: str) -> str:
        for group in ONE_LINE:
            if nodeid.startswith(group):
                return group[0]
        return super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None

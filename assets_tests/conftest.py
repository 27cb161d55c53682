"""What all tests share: no test may pass by being skipped where servers are required.

With ``ADX_REQUIRE_SERVERS=1`` (continuous integration sets it) a test that needs a server and is
skipped, for want of its package or because it did not start, counts as failed.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

SERVER_MARKERS = ("broker", "s3", "browser")

# How long one example takes says nothing here: the machines that run the tests are shared.
settings.register_profile("adx", deadline=None)
settings.load_profile("adx")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    needs_server = any(item.get_closest_marker(name) for name in SERVER_MARKERS)
    if report.skipped and needs_server and os.environ.get("ADX_REQUIRE_SERVERS") == "1":
        report.outcome = "failed"
        report.longrepr = f"ADX_REQUIRE_SERVERS=1, but skipped: {report.longrepr}"
    return report

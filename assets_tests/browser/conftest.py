"""A browser, and a small platform whose line has run once, with Dagster's web server on it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from assets_tests.browser.chromium import installed_chromium, running_chromium
from assets_tests.integration.installed_line import InstalledLine
from assets_tests.servers.ports import free_port

UI_START_SECONDS = 240


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: its driver keeps an event loop, over which Dagster stumbles."""
    executable = installed_chromium()
    if executable is None:
        pytest.skip("no Chromium: install it, or name it in ADX_TEST_CHROMIUM")
    with running_chromium(executable) as browser:
        yield browser


@pytest.fixture(scope="session")
def line(demo_line: InstalledLine) -> InstalledLine:
    return demo_line


@pytest.fixture(scope="module")
def dagster_url(line: InstalledLine) -> Iterator[str]:
    """Dagster's UI on the home of ``line``; for one module, as it works on while nobody asks."""
    port = free_port()
    log = Path(line.home) / "webserver.log"
    command = [
        sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1", "--port", str(port),
        "--module-name", "adx_platform.definitions",
    ]  # fmt: skip
    environment = {**line.environment, "DAGSTER_HOME": str(line.home / "dagster")}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=line.home
        )
    try:
        wait_for(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the definitions are loaded; the server's log is what the test fails with."""
    end = time.monotonic() + UI_START_SECONDS
    found = "it does not answer"
    while server.poll() is None and time.monotonic() < end:
        try:
            found = loaded(url)
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
            continue
        if found == "RepositoryLocation":
            return
        break
    pytest.fail(f"Dagster's web server did not start: {found}\n{log.read_text()[-4_000:]}")


def loaded(url: str) -> str:
    """What became of the code location; the server answers when it is loaded or has failed."""
    query = "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"
    request = urllib.request.Request(
        f"{url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=UI_START_SECONDS) as answer:
        entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    return str(entries[0]["locationOrLoadError"]["__typename"])

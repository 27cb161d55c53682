"""`adx dev`: everything starts, works, comes back after a kill, and ends within seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adx_platform.living.process_tree import members
from adx_platform.local_process import Started, start_marker
from assets_tests.servers.ports import free_port

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can answer"),
]

STOP_SECONDS = 10.0
SERVICES = ("market", "ingest", "code", "daemon", "webserver")
EVENTS_STATE = """
{ assetNodes(assetKeys: [{path: ["lake", "events", "bid_requests"]}]) {
    assetMaterializations(limit: 1) { timestamp }
    assetChecksOrError { ... on AssetChecks { checks {
        name executionForLatestMaterialization { status } } } } } }
"""


class Dev:
    """One `adx dev` in a home of its own."""

    def __init__(self, home: Path, clean: dict[str, str]) -> None:
        self.home = home
        self.broker_port, self.ui_port = free_port(), free_port()
        self.environment = {
            **clean,
            "ADX_HOME": str(home),
            "ADX_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.broker_port}",
        }
        self.log = home.parent / "dev.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("adx")),
                    "dev",
                    "--no-faults",
                    "--history-days=0.1",
                    "--per-hour=100",
                    f"--ui-port={self.ui_port}",
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no {what} in time:\n{self.log.read_text()}"
            time.sleep(0.5)
        return found

    def record(self, service: str) -> Started | None:
        path = self.home / "run" / f"{service}.json"
        if not path.exists():
            return None
        started = Started(**json.loads(path.read_text()))
        return started if start_marker(started.pid) == started.marker else None

    def all_run(self) -> bool:
        return all(self.record(service) for service in SERVICES)

    def everything(self) -> list[Started]:
        """Every process of it, run workers and code servers included."""
        broker = json.loads((self.home / "broker" / "broker.json").read_text())["pid"]
        roots = [found.pid for name in SERVICES if (found := self.record(name))]
        return members([self.process.pid, broker, *roots])

    def events_state(self) -> tuple[bool, bool]:
        """Whether bid requests were materialised, and whether a check on them is green."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ui_port}/graphql",
            data=json.dumps({"query": EVENTS_STATE}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                nodes = json.load(answer)["data"]["assetNodes"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False, False
        if not nodes:
            return False, False
        checks = nodes[0]["assetChecksOrError"].get("checks", [])
        green = any(
            check["executionForLatestMaterialization"]
            and check["executionForLatestMaterialization"]["status"] == "SUCCEEDED"
            for check in checks
        )
        return bool(nodes[0]["assetMaterializations"]), green

    def end(self, number: int, *, to_group: bool) -> None:
        """Send a signal, and see everything gone in time."""
        known = self.everything()
        assert len(known) > len(SERVICES)
        began = time.monotonic()
        if to_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)
        assert time.monotonic() - began < STOP_SECONDS
        assert [started for started in known if started.runs] == []
        for port in (self.broker_port, self.ui_port):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        assert list((self.home / "run").glob("*.json")) == []
        assert self.process.returncode == 0, self.log.read_text()

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(
            [str(Path(sys.executable).with_name("adx")), "down"],
            env=self.environment,
            check=True,
            capture_output=True,
        )


@pytest.fixture
def dev(
    broker_installed: None, parsed_home: Path, tmp_path: Path, clean_environment: dict[str, str]
) -> Iterator[Dev]:
    home = tmp_path / "home"
    shutil.copytree(parsed_home / "dbt", home / "dbt")
    running = Dev(home, clean_environment)
    yield running
    running.clean_up()


def test_it_works_and_sigterm_ends_all_of_it(dev: Dev) -> None:
    dev.wait_for("service", dev.all_run, 240)
    dev.wait_for("materialisation and green check", lambda: all(dev.events_state()), 400)
    dev.end(signal.SIGTERM, to_group=False)


def test_a_killed_child_comes_back_and_ctrl_c_ends_all_of_it(dev: Dev) -> None:
    dev.wait_for("service", dev.all_run, 240)
    market = dev.record("market")
    assert market is not None
    os.kill(market.pid, signal.SIGKILL)
    dev.wait_for(
        "new market", lambda: (again := dev.record("market")) and again.pid != market.pid, 60
    )
    assert "market has ended; it is started again in" in dev.log.read_text()
    hanging = dev.record("ingest")
    assert hanging is not None
    os.kill(hanging.pid, signal.SIGSTOP)
    dev.end(signal.SIGINT, to_group=True)


def test_down_clears_up_after_a_supervisor_that_was_killed(dev: Dev) -> None:
    dev.wait_for("service", dev.all_run, 240)
    known = dev.everything()
    dev.process.kill()
    dev.process.wait()
    left = [started for started in known if started.runs]
    assert len(left) >= len(SERVICES)
    dev.clean_up()
    assert [started for started in left if started.runs] == []

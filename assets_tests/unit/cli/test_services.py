"""What runs here, without starting anything that is not a test's own."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adx_platform.cli import services
from adx_platform.errors import AdxError
from adx_platform.living.programs import installation, require_free
from adx_platform.local_process import LocalProcess, Started, ask_to_stop, wait_until_ended
from adx_platform.settings import KafkaSettings, load_settings


@pytest.fixture
def daemon(home: Path) -> Iterator[Started]:
    """A program in the daemon's place."""
    started = LocalProcess(
        record=home / "run" / "daemon.json",
        command=[sys.executable, "-c", "import time; time.sleep(60)"],
        log=home / "logs" / "daemon.log",
        cwd=home,
    ).start()
    yield started
    ask_to_stop(started)
    wait_until_ended(started, 10)


def test_status_of_a_machine_where_nothing_runs(adx: Any) -> None:
    done = adx("status")
    assert done.code == 1
    cells = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in cells] == [
        ["broker", "no", "-", "127.0.0.1:19092"],
        ["code", "no", "-", "-"],
        ["webserver", "no", "-", "-"],
        ["daemon", "no", "-", "-"],
    ]


def test_status_and_down_know_what_runs(adx: Any, daemon: Started) -> None:
    rows = {row["service"]: row for row in adx("status", "--json").json}
    assert rows["daemon"] == {
        "service": "daemon", "running": True, "pid": daemon.pid, "address": None,
    }  # fmt: skip
    assert rows["webserver"]["running"] is False

    assert adx("down").stdout == "stopped: daemon\n"
    assert not daemon.runs
    assert adx("down").stdout == "nothing was running\n"


def test_a_broker_elsewhere_is_not_one_of_the_local_services(
    adx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADX_KAFKA__BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2:9092")
    assert [row["service"] for row in adx("status", "--json").json] == [
        "code", "webserver", "daemon",
    ]  # fmt: skip


@pytest.mark.usefixtures("daemon")
def test_status_is_0_only_if_all_runs(
    adx: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("ADX_KAFKA__BOOTSTRAP_SERVERS", "kafka-1:9092")
    assert adx("status").code == 1
    for name in ("code", "webserver"):
        (home / "run" / f"{name}.json").write_bytes((home / "run" / "daemon.json").read_bytes())
    assert adx("status").code == 0


@pytest.mark.parametrize(
    ("kafka", "is_local"),
    [
        (KafkaSettings(), True),
        (KafkaSettings(bootstrap_servers="localhost:9092"), True),
        (KafkaSettings(bootstrap_servers="kafka:9092"), False),
        (KafkaSettings(bootstrap_servers="127.0.0.1:1,127.0.0.1:2"), False),
        (KafkaSettings(security_protocol="SSL"), False),
    ],
)
def test_when_the_embedded_broker_is_meant(
    home: Path, kafka: KafkaSettings, is_local: bool
) -> None:
    found = services.local_broker(load_settings(home=home, kafka=kafka))
    assert (found is not None) is is_local


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AdxError, match=f"port {port} is taken .* `adx up --ui-port`"):
            require_free(port)
    require_free(None)


def test_where_the_workspace_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADX_WORKSPACE_DIR", str(tmp_path))
    with pytest.raises(AdxError, match="set ADX_WORKSPACE_DIR to the folder that has it"):
        installation()

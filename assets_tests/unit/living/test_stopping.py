from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from adx_platform.errors import AdxError
from adx_platform.living import programs
from adx_platform.living.programs import MarketOptions, dagster_programs, market_program, records
from adx_platform.living.stopping import stop_home
from adx_platform.living.supervisor import DevOptions, Supervisor
from adx_platform.local_process import LocalProcess, Started, start_marker
from adx_platform.settings import Settings

OPTIONS = DevOptions(ui_port=1, market=MarketOptions(1, 60.0, 450, 14.0))


def test_a_home_is_stopped_whoever_started_what_runs_in_it(
    home: Settings, make_process: Callable[..., LocalProcess]
) -> None:
    started = [make_process(name, folder=home.home).start() for name in ("market", "ingest")]
    assert sorted(stop_home(home, seconds=1)) == ["ingest", "market"]
    assert not any(process.runs for process in started)
    assert list((home.home / "run").glob("*.json")) == []
    assert stop_home(home) == []


def test_a_record_whose_id_another_process_has_got_stops_nobody(
    home: Settings, make_process: Callable[..., LocalProcess]
) -> None:
    stranger = make_process("stranger").start()
    record = records(home)["market"].record
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"pid": stranger.pid, "marker": "ticks:1", "port": None}))
    assert stop_home(home, seconds=0) == []
    assert stranger.runs


def test_one_supervisor_a_home(home: Settings) -> None:
    record = records(home)["supervisor"]
    record.record_this()
    assert record.running() == Started(os.getpid(), start_marker(os.getpid()) or "")
    with pytest.raises(AdxError, match=rf"runs already \(process {os.getpid()}\): stop it with"):
        Supervisor(home, OPTIONS, tell=str).run(Event())
    record.forget()


def test_a_ui_port_that_is_taken_is_named_before_anything_starts(home: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        supervisor = Supervisor(home, DevOptions(port, OPTIONS.market), tell=str)
        with pytest.raises(AdxError, match=f"port {port} is taken"):
            supervisor.run(Event())
    assert not (home.home / "run" / "supervisor.json").exists()


def test_programs_are_told_their_home_and_their_options(home: Settings) -> None:
    market = market_program(home, MarketOptions(5, 120.0, 300, 2.5))
    assert market.command[1:] == [
        "simulate", "--follow", "--seed=5", "--speed=120", "--per-hour=300", "--history-days=2.5",
    ]  # fmt: skip
    assert market.environment["ADX_HOME"] == str(home.home)
    webserver = dagster_programs(home, 3_333)["webserver"]
    assert webserver.command[-2:] == ["-p", "3333"]
    assert webserver.environment["DAGSTER_HOME"] == str(home.dagster_home)


def test_a_free_port_is_free() -> None:
    programs.require_free(programs.free_port())


def test_the_record_of_a_home_is_under_it(home: Settings) -> None:
    assert all(Path(p.record).is_relative_to(home.home) for p in records(home).values())

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adx_platform import local_process
from adx_platform.local_process import (
    LocalProcess,
    ask_to_stop,
    start_marker,
    wait_until_ended,
)

SLEEPER = [sys.executable, "-c", "import sys; sys.stdin.read()"]
TALKER = """
import os, time
print("up as", os.environ["SLEEPER"], "in", os.getcwd(), flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
STARTER = """
import pathlib, sys
from adx_platform.local_process import LocalProcess
folder = pathlib.Path(sys.argv[1])
command = [sys.executable, "-c", "import time; time.sleep(60)"]
record = folder / "run" / "sleeper.json"
LocalProcess(record=record, command=command, log=folder / "log", cwd=folder).start()
"""

BACKGROUND_JOB = """
import pathlib, signal, sys
from adx_platform.local_process import LocalProcess
signal.signal(signal.SIGINT, signal.SIG_IGN)
folder = pathlib.Path(sys.argv[1])
command = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"]
LocalProcess(record=folder / "r.json", command=command, log=folder / "log", cwd=folder).start()
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""


def test_a_running_process_has_one_marker_for_life() -> None:
    marker = start_marker(os.getpid())
    assert marker
    assert start_marker(os.getpid()) == marker


def test_an_ended_process_has_none_even_before_it_is_reaped() -> None:
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as child:
        assert start_marker(child.pid)
        assert child.stdin is not None
        child.stdin.close()
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped
        else:
            child.wait()
        assert start_marker(child.pid) is None
        child.wait()
    assert start_marker(child.pid) is None


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 12345])
def test_no_such_process(pid: int) -> None:
    assert start_marker(pid) is None


@pytest.mark.skipif(not local_process._PROC.is_dir(), reason="the other way is the only one here")
def test_the_way_without_proc_agrees_on_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    if local_process.shutil.which("ps") is None:
        pytest.skip("no ps command here")
    assert local_process._posix_marker(os.getpid())
    assert local_process._posix_marker(2**22 + 12345) is None


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[LocalProcess]:
    process = LocalProcess(
        record=tmp_path / "run" / "sleeper.json",
        command=[sys.executable, "-c", TALKER],
        log=tmp_path / "logs" / "sleeper.log",
        cwd=tmp_path / "work",
        port=1234,
        environment={"SLEEPER": "sue"},
    )
    yield process
    started = process.running()
    if started is not None:
        ask_to_stop(started)
        wait_until_ended(started, 10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_started_process_is_found_by_another_object_and_stopped_by_it(
    sleeper: LocalProcess,
) -> None:
    assert sleeper.running() is None
    started = sleeper.start()
    assert started.port == 1234
    until(lambda: "up as sue" in sleeper.log_tail())
    assert str(sleeper.cwd) in sleeper.log_tail()

    other = replace(sleeper, command=(), port=None)
    assert other.running() == started
    ask_to_stop(started, group=True)
    assert wait_until_ended(started, 30)
    assert other.running() is None
    assert not started.runs
    other.forget()
    assert not sleeper.record.exists()
    other.forget()


def test_it_outlives_the_process_that_started_it(sleeper: LocalProcess) -> None:
    folder = sleeper.record.parents[1]
    subprocess.run([sys.executable, "-c", STARTER, str(folder)], check=True, timeout=60)
    found = sleeper.running()
    assert found is not None
    ask_to_stop(found)
    assert wait_until_ended(found, 30)


@pytest.mark.skipif(os.name == "nt", reason="there no shell ignores SIGINT")
def test_what_a_background_job_starts_can_be_interrupted(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BACKGROUND_JOB, str(tmp_path)], check=True, timeout=60)
    log = tmp_path / "log"
    until(lambda: log.exists() and log.read_text().strip() != "")
    assert "default_int_handler" in log.read_text()


@pytest.mark.skipif(os.name == "nt", reason="there SIGTERM cannot be ignored")
def test_one_that_does_not_want_to_end_is_killed(sleeper: LocalProcess) -> None:
    stubborn = replace(sleeper, command=[sys.executable, "-c", STUBBORN])
    started = stubborn.start()
    until(lambda: "deaf" in stubborn.log_tail())
    ask_to_stop(started)
    assert not wait_until_ended(started, 0.2, then_kill=False)
    assert started.runs
    assert wait_until_ended(started, 0.2)
    assert not started.runs


def test_an_ended_process_is_not_running_and_its_words_are_kept(sleeper: LocalProcess) -> None:
    brief = replace(sleeper, command=[sys.executable, "-c", "raise SystemExit('no disk left')"])
    started = brief.start()
    until(lambda: not started.runs)
    assert brief.running() is None
    assert brief.log_tail() == f"no disk left (log: {brief.log})"
    assert brief.log_tail(5).startswith("left ")
    ask_to_stop(started)


def test_a_log_without_words(sleeper: LocalProcess) -> None:
    assert sleeper.log_tail() == f"it said nothing (log: {sleeper.log})"
    sleeper.log.parent.mkdir(parents=True)
    sleeper.log.write_text("\n")
    assert sleeper.log_tail() == f"it said nothing (log: {sleeper.log})"


@pytest.mark.parametrize(
    "record",
    [
        # The id was given to another process since: this one, which must not be taken for it.
        json.dumps({"pid": os.getpid(), "marker": "ticks:1", "port": None}),
        json.dumps({"pid": 2**22 + 12345, "marker": "ticks:1", "port": 1}),
        json.dumps({"pid": 1}),
        json.dumps([1, 2]),
        json.dumps(7),
        '{"pid": 12, "mark',
        "",
    ],
    ids=["another", "none", "no marker", "list", "number", "truncated", "empty"],
)
def test_a_stale_or_damaged_record_is_nobody(sleeper: LocalProcess, record: str) -> None:
    sleeper.record.parent.mkdir(parents=True)
    sleeper.record.write_text(record, encoding="utf-8")
    assert sleeper.running() is None


def test_a_program_that_does_not_exist(sleeper: LocalProcess, tmp_path: Path) -> None:
    absent = replace(sleeper, command=[str(tmp_path / "no-such-program")])
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        absent.start()
    assert absent.running() is None


def test_the_environment_is_not_in_the_repr(sleeper: LocalProcess) -> None:
    assert "sue" not in repr(sleeper)

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from adx_platform import local_process
from adx_platform.local_process import start_marker

SLEEPER = [sys.executable, "-c", "import sys; sys.stdin.read()"]


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

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from adx_platform.living import process_tree
from adx_platform.living.process_tree import end, members
from adx_platform.local_process import LocalProcess

FAMILY = """
import subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
child += "print('deaf', flush=True); time.sleep(60)"
started = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
started.stdout.readline()
print("up", flush=True)
time.sleep(60)
"""


def started_family(process: LocalProcess) -> int:
    pid = process.start().pid
    deadline = time.monotonic() + 30
    while "up" not in process.log_tail():
        assert time.monotonic() < deadline, process.log_tail()
        time.sleep(0.05)
    return pid


def test_a_program_and_its_child_are_ended_even_if_the_child_is_deaf(
    make_process: Callable[..., LocalProcess],
) -> None:
    pid = started_family(make_process("family", FAMILY))
    family = members((pid,))
    assert len(family) == 2
    end((pid,), seconds=0.5)
    assert not any(started.runs for started in family)
    assert members((pid,)) == []


def test_orphans_of_a_killed_program_are_found_by_their_session(
    make_process: Callable[..., LocalProcess],
) -> None:
    process = make_process("family", FAMILY)
    pid = started_family(process)
    (orphan,) = [started for started in members((pid,)) if started.pid != pid]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.running() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [started.pid for started in members((pid,))] == [orphan.pid]
    end((pid,), seconds=0)
    assert not orphan.runs


def test_the_way_without_proc_finds_the_same(
    make_process: Callable[..., LocalProcess],
) -> None:
    if process_tree.shutil.which("ps") is None:
        pytest.skip("no ps command here")
    pid = started_family(make_process("family", FAMILY))
    rows = {row.pid: row for row in process_tree._ps_rows()}
    (child,) = [started.pid for started in members((pid,)) if started.pid != pid]
    assert rows[child].parent == pid
    assert pid in rows[child].groups


def test_nobody_is_no_one_s_member() -> None:
    assert members(()) == []
    assert members((2**22 + 12345,)) == []
    end((2**22 + 12345,), seconds=0)


def test_the_caller_is_never_among_them() -> None:
    found = members((os.getpid(), os.getsid(0)))
    assert os.getpid() not in {started.pid for started in found}

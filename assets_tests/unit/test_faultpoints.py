from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from adx_platform.faultpoints import VARIABLE, reach

PROGRAM = """
import sys
from adx_platform.faultpoints import reach
for number in range(1, 5):
    sys.stdout.write(f"{number} ")
    sys.stdout.flush()
    reach("land.read")
    reach("plan.done")
"""
ABRUPT = {-signal.SIGKILL} if hasattr(signal, "SIGKILL") else {3, 0xC0000409}


def run(kill_at: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if kill_at is not None:
        environment[VARIABLE] = kill_at
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("kill_at", "reached"), [("land.read:1", "1 "), ("land.read", "1 "), ("plan.done:3", "1 2 3 ")]
)
def test_the_process_is_killed_at_the_chosen_hit(kill_at: str, reached: str) -> None:
    done = run(kill_at)
    assert done.returncode in ABRUPT
    assert done.stdout == reached


@pytest.mark.parametrize("kill_at", [None, "", "land.after_commit:1", "land.read:5"])
def test_it_goes_on_where_nothing_is_wanted_here(kill_at: str | None) -> None:
    done = run(kill_at)
    assert (done.returncode, done.stdout) == (0, "1 2 3 4 ")


def test_a_call_without_the_variable_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    reach("land.read")

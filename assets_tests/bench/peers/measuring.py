"""What a contender's run cost: its programs are started, watched, and their account is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_RUN_SECONDS = 1_800.0
_SAID = 1_500


class ContenderFailedError(Exception):
    """A program ended with an error or not in time; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What programs took, all their descendants included.

    Attributes:
        cpu_seconds: user and system time, by the kernel's account.
        wall_seconds: from the start of the first to the end of the last.
        peak_mb: most memory held at once, in MiB; see ``watched``.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def cost_of(commands: list[list[str]], environment: Mapping[str, str], folder: Path) -> Cost:
    """Run ``commands`` side by side.

    Args:
        commands: programs with their arguments.
        environment: all of theirs.
        folder: for their order, answer and log.

    Raises:
        ContenderFailedError: one failed.
    """
    order, answer, log = (folder / name for name in ("order.json", "answer.json", "log.txt"))
    order.write_text(json.dumps(commands), encoding="utf-8")
    command = [sys.executable, "-m", "assets_tests.bench.peers.watched", str(answer), str(order)]
    with log.open("wb") as sink:
        watching = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = watching.wait(_RUN_SECONDS)
        except subprocess.TimeoutExpired:
            raise ContenderFailedError(f"not done after {_RUN_SECONDS:g} s") from None
        finally:
            if watching.poll() is None:
                # Its own session: whatever was started is in its group.
                os.killpg(watching.pid, signal.SIGKILL)
                watching.wait()
    found = json.loads(answer.read_text(encoding="utf-8")) if code == 0 else {"exit_codes": [code]}
    if any(found["exit_codes"]):
        said = log.read_text(encoding="utf-8", errors="replace").strip()[-_SAID:]
        raise ContenderFailedError(f"exit codes {found['exit_codes']}: {said}")
    return Cost(found["cpu_seconds"], found["wall_seconds"], found["peak_bytes"] / 2**20)

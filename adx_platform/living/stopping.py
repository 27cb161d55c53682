"""Stopping whatever runs in a home, whoever started it and in whatever state it is.

Belongs here: the order and the time it may take. Does not belong here: finding the processes of one
program (``process_tree``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from adx_platform.living.brokers import local_broker
from adx_platform.living.process_tree import end, members
from adx_platform.living.programs import SUPERVISOR, records
from adx_platform.local_process import (
    LocalProcess,
    ask_to_stop,
    start_marker,
    wait_until_ended,
)
from adx_platform.settings import Settings

SUPERVISOR_SECONDS: Final = 14.0
PROGRAM_SECONDS: Final = 5.0


def stop_home(settings: Settings, *, seconds: float = PROGRAM_SECONDS) -> list[str]:
    """Stop every program of the home, and its broker.

    Args:
        settings: name the home.
        seconds: how long a program may take to end by itself.

    Returns:
        Names of what ran.
    """
    known = records(settings)
    stopped = []
    supervisor = known.pop(SUPERVISOR)
    started = supervisor.running()
    if started is not None:
        # It stops its own children; what it leaves is dealt with below.
        ask_to_stop(started)
        wait_until_ended(started, SUPERVISOR_SECONDS)
        stopped.append(SUPERVISOR)
    supervisor.forget()
    stopped += stop_programs(known, seconds=seconds)
    broker = local_broker(settings)
    if broker is not None and broker.stop():
        stopped.append("broker")
    return stopped


def stop_programs(programs: Mapping[str, LocalProcess], *, seconds: float) -> list[str]:
    """Stop programs together with all that they have started; returns which of them ran."""
    roots = {name: pid for name, process in programs.items() if (pid := _root(process))}
    ran = [name for name, pid in roots.items() if members((pid,))]
    end(list(roots.values()), seconds=seconds)
    for process in programs.values():
        process.forget()
    return ran


def _root(process: LocalProcess) -> int | None:
    """The process id in the record, unless the system gave it to another program."""
    try:
        saved = json.loads(process.record.read_text(encoding="utf-8"))
        pid, marker = int(saved["pid"]), saved["marker"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return pid if start_marker(pid) in {marker, None} else None

"""Runs programs side by side, and says what they and all their descendants took (Linux).

Arguments: the file for the answer, and a file with a JSON list of commands. Standard library only,
and a process of its own: its children are the programs and nothing else.

A descendant that loses its parent (a JVM whose Python has ended) is handed to this process, which
waits for it, too: so the kernel's own account of waited-for children is complete.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SAMPLE_SECONDS = 0.2
_KIB = 1024


def run(commands: list[list[str]]) -> dict[str, float | list[int]]:
    """Run all commands at once; returns seconds, bytes and exit codes."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("the kernel does not hand orphans to this process")
    peak = _Peak()
    began = time.perf_counter()
    # Kept: one that is forgotten is waited for by the module itself, behind our back.
    started = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    peak.start()
    codes = {}
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            break
        codes[pid] = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        # The largest single one is known even if it came and went between two looks.
        "peak_bytes": max(peak.stop(), used.ru_maxrss * _KIB),
        "exit_codes": [codes[process.pid] for process in started],
    }


class _Peak:
    """The most memory that the descendants held at once.

    At each look the high-water marks of the processes that live are added up: the kernel keeps
    them, so that between two looks nothing is missed but a process that came and went. Pages that
    two processes share count twice.
    """

    def __init__(self) -> None:
        self._highest = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._highest

    def _look(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            held = sum(_high_water(pid) for pid in _descendants(os.getpid()))
            self._highest = max(self._highest, held)


def _descendants(root: int) -> list[int]:
    children = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            # The name, in brackets, may hold anything.
            parent = int(stat.rpartition(")")[2].split()[1])
            children[parent].append(int(entry.name))
    found: list[int] = []
    pending = list(children[root])
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending += children[pid]
    return found


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return 0


if __name__ == "__main__":
    answer, order = (Path(name) for name in sys.argv[1:])
    found = run(json.loads(order.read_text(encoding="utf-8")))
    answer.write_text(json.dumps(found), encoding="utf-8")

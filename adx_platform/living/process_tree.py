"""Which processes belong to a program: its children, theirs, and orphans of its session.

Belongs here: finding them and ending them. Does not belong here: which programs those are.

Dagster's webserver and daemon start code servers, which start run workers; when one of the upper
ones is killed the lower ones live on. They stay in the session that ``LocalProcess`` has made,
whose id is the program's process id; a system gives out no id that a session still uses.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adx_platform.local_process import Started, start_marker

_PROC: Final = Path("/proc")
_IS_WINDOWS: Final = os.name == "nt"
_POLL_SECONDS: Final = 0.1
_KILL_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Row:
    pid: int
    parent: int
    groups: frozenset[int]


def members(roots: Collection[int]) -> list[Started]:
    """Every living process of the programs ``roots``, themselves included."""
    wanted = set(roots)
    rows = _windows_rows(roots) if _IS_WINDOWS else _posix_rows()
    found: set[int] = set()
    grown = True
    while grown:
        grown = False
        for row in rows:
            ours = row.pid in wanted or row.groups & wanted or row.parent in found
            if ours and row.pid not in found:
                found.add(row.pid)
                grown = True
    found.discard(os.getpid())
    marked = ((pid, start_marker(pid)) for pid in sorted(found))
    return [Started(pid, marker) for pid, marker in marked if marker is not None]


def end(roots: Collection[int], *, seconds: float) -> None:
    """Ask every process of ``roots`` to end; after ``seconds`` end by force what still runs."""
    asked = members(roots)
    _send(asked, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while (left := _alive(asked, roots)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    force = signal.SIGTERM if _IS_WINDOWS else signal.SIGKILL
    deadline = time.monotonic() + _KILL_SECONDS
    while left and time.monotonic() < deadline:
        _send(left, force)
        time.sleep(_POLL_SECONDS)
        left = _alive(left, roots)


def _alive(known: Iterable[Started], roots: Collection[int]) -> list[Started]:
    """Those of ``known`` that run, and what they have started since."""
    running = {started.pid: started for started in known if started.runs}
    running.update((started.pid, started) for started in members(roots) if started.runs)
    return list(running.values())


def _send(processes: Iterable[Started], number: int) -> None:
    for started in processes:
        # Asked again just before: the id may have been given to another process.
        if not started.runs:
            continue
        try:
            os.kill(started.pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _posix_rows() -> list[_Row]:
    return _proc_rows() if (_PROC / "self" / "stat").exists() else _ps_rows()


def _proc_rows() -> list[_Row]:
    rows = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # After the name in parentheses: state, parent, process group, session.
        _, parent, group, session = text.rpartition(")")[2].split()[:4]
        rows.append(_Row(int(folder.name), int(parent), frozenset((int(group), int(session)))))
    return rows


def _ps_rows() -> list[_Row]:
    program = shutil.which("ps") or "/bin/ps"
    answer = subprocess.run(  # noqa: S603 - fixed arguments
        [program, "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True
    )
    fields = (line.split() for line in answer.stdout.splitlines())
    return [_Row(int(pid), int(parent), frozenset((int(group),))) for pid, parent, group in fields]


def _windows_rows(roots: Collection[int]) -> list[_Row]:
    # Dagster brings it, on Windows only; it has no type stubs.
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    rows = []
    for pid in roots:
        try:
            process = psutil.Process(pid)
            rows.append(_Row(pid, 0, frozenset()))
            rows += [
                _Row(child.pid, pid, frozenset()) for child in process.children(recursive=True)
            ]
        except psutil.NoSuchProcess:
            continue
    return rows

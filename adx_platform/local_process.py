"""A program that outlives the command which starts it, and that a later command can stop.

Belongs here: starting it detached, recognising it later, stopping it. Does not belong here: which
programs those are (``streams.embedded``, ``cli.services``).

What two commands share is a small file with the process id and a start marker. The id alone does
not tell: the system gives it out again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self")
_POLL_SECONDS: Final = 0.05
# The system takes its time with a killed process where it is busy: 0.2 s was too short (2026-11).
_KILLED_SECONDS: Final = 5.0
_IS_WINDOWS: Final = os.name == "nt"
# Windows knows these two flags; elsewhere a session of its own does the same.
_DETACHED: Final[int] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
    subprocess, "DETACHED_PROCESS", 0
)

# Children of this process: they must be reaped here, or they stay as zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Started:
    """Who was started: enough to recognise the process later and not to mistake another for it.

    ``port`` is where it listens, if it does.
    """

    pid: int
    marker: str
    port: int | None = None

    @property
    def runs(self) -> bool:
        """Whether this very process still runs."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            return False
        return start_marker(self.pid) == self.marker


@dataclass(frozen=True)
class LocalProcess:
    """One such program.

    Attributes:
        record: the file that remembers who was started.
        command: program and arguments.
        log: its output is appended here.
        cwd: its working directory, created where it is absent.
        port: where it will listen, for the record.
        environment: added to this process's environment.
    """

    record: Path
    command: Sequence[str]
    log: Path
    cwd: Path
    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def running(self) -> Started | None:
        """The process if it runs, whoever started it."""
        try:
            saved = Started(**json.loads(self.record.read_text(encoding="utf-8")))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return None
        return saved if saved.runs else None

    def start(self) -> Started:
        """Start it, detached; the caller has made sure that it does not run already."""
        self.cwd.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log, _interrupts_not_ignored():
            child = subprocess.Popen(  # noqa: S603 - our own programs and arguments
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env={**os.environ, **self.environment},
                # A session of its own: Ctrl-C in the terminal that ran `adx up` is not for it.
                start_new_session=True,
                creationflags=_DETACHED,
            )
        _children[child.pid] = child
        started = Started(child.pid, start_marker(child.pid) or "ended", self.port)
        self._remember(started)
        return started

    def record_this(self) -> None:
        """Remember the calling process as this program."""
        self.record.parent.mkdir(parents=True, exist_ok=True)
        self._remember(Started(os.getpid(), start_marker(os.getpid()) or "ended", self.port))

    def _remember(self, started: Started) -> None:
        draft = self.record.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(started)), encoding="utf-8")
        draft.replace(self.record)

    def forget(self) -> None:
        """Delete the record of a process that has ended."""
        self.record.unlink(missing_ok=True)

    def log_tail(self, characters: int = 2_000) -> str:
        """The end of its output, for an error message."""
        if not self.log.is_file():
            return f"it said nothing (log: {self.log})"
        text = self.log.read_text(encoding="utf-8", errors="replace")[-characters:].strip()
        return f"{text or 'it said nothing'} (log: {self.log})"


@contextmanager
def _interrupts_not_ignored() -> Iterator[None]:
    """Start what is started here with SIGINT at its default.

    A shell's background job ignores it, its children inherit that, and Dagster makes SIGTERM what
    SIGINT is: a daemon started by ``adx up &`` in a script could only be killed.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def ask_to_stop(started: Started, *, group: bool = False) -> None:
    """Send SIGTERM; with ``group`` to all of its session, for a program that leaves children.

    Windows has no such signal: there the process is ended.
    """
    try:
        if group and not _IS_WINDOWS:
            os.killpg(started.pid, signal.SIGTERM)
        else:
            os.kill(started.pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def wait_until_ended(started: Started, seconds: float, *, then_kill: bool = True) -> bool:
    """Wait for the end; with ``then_kill`` end it by force when the time is over.

    Returns:
        Whether it has ended.
    """
    if _wait(started, seconds):
        return True
    if not then_kill:
        return False
    # Windows: SIGTERM is TerminateProcess there, and there is no SIGKILL.
    force = signal.SIGTERM if _IS_WINDOWS else signal.SIGKILL
    os.kill(started.pid, force)
    return _wait(started, max(seconds, _KILLED_SECONDS))


def _wait(started: Started, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while started.runs:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    child = _children.pop(started.pid, None)
    if child is not None:
        # It may have been seen as ended before it was reaped.
        child.wait()
    return True


def start_marker(pid: int) -> str | None:
    """A text that is the same for the life of process ``pid`` and differs for its successors.

    Returns:
        None if no such process runs; one that has ended and waits to be reaped does not run.
    """
    if pid <= 0:
        return None
    if _IS_WINDOWS:
        return _windows_marker(pid)
    if _PROC.is_dir():
        return _linux_marker(pid)
    return _posix_marker(pid)


def _linux_marker(pid: int) -> str | None:
    try:
        text = (_PROC.parent / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold blanks; what follows it starts with field 3 (state).
    fields = text.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZXx" else f"ticks:{started}"


def _posix_marker(pid: int) -> str | None:
    program = shutil.which("ps") or "/bin/ps"
    answer = subprocess.run(  # noqa: S603 - fixed arguments and a number
        [program, "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else f"lstart:{started.strip()}"


def _windows_marker(pid: int) -> str | None:
    # Dagster brings it, on Windows only; it has no type stubs.
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    try:
        process = psutil.Process(pid)
        return f"created:{process.create_time()}" if process.is_running() else None
    except psutil.NoSuchProcess:
        return None

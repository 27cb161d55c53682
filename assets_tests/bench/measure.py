"""How a piece of work is measured: CPU, wall clock and peak memory, in a process of its own.

Belongs here: clocks, repetitions, fresh processes. Does not belong here: what is measured.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

if sys.platform != "win32":
    import resource

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MEGABYTE = 1024 * 1024
_PROCESS_STATUS = Path("/proc/self/status")

Work = Callable[[], int]
"""One repetition; returns how many messages it dealt with."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Medians over the repetitions.

    Attributes:
        messages: messages of one repetition.
        cpu_seconds: user and system time of the process, its threads and its children.
        wall_seconds: what a clock on the wall says; other programs lengthen it.
        peak_mb: the most memory the process ever held, in MiB, its imports and its input included;
            ``None`` where the operating system does not tell.
    """

    messages: int
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float | None

    @property
    def messages_per_cpu_second(self) -> float:
        """How many messages one core does in a second."""
        return self.messages / self.cpu_seconds

    @property
    def messages_per_second(self) -> float:
        """How many messages were done per second of wall clock."""
        return self.messages / self.wall_seconds


def measure(prepare: Callable[[int], Work], *, repetitions: int, messages: int) -> Measurement:
    """Repeat a piece of work in this process; the first repetition warms up and is discarded.

    Args:
        prepare: given the number of the repetition from 0, returns its work; not timed.
        repetitions: how many are kept.
        messages: how many messages each must deal with.

    Raises:
        RuntimeError: a repetition dealt with another number of messages: its time means nothing.
    """
    cpu: list[float] = []
    wall: list[float] = []
    for number in range(repetitions + 1):
        work = prepare(number)
        gc.collect()
        cpu_before, wall_before = _cpu_seconds(), time.perf_counter()
        done = work()
        cpu_after, wall_after = _cpu_seconds(), time.perf_counter()
        if done != messages:
            raise RuntimeError(f"repetition {number} dealt with {done} of {messages} messages")
        if number:
            cpu.append(cpu_after - cpu_before)
            wall.append(wall_after - wall_before)
    return Measurement(messages, statistics.median(cpu), statistics.median(wall), peak_mb())


def in_fresh_process(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call ``function`` in a new process, so that its memory is its own; arguments are pickled.

    Raises:
        concurrent.futures.process.BrokenProcessPool: the process died.
    """
    # Spawned, not forked: deltalake refuses to work in a forked process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_mb() -> float | None:
    """The most memory this process ever held, in MiB; ``None`` where that is not known."""
    if _PROCESS_STATUS.exists():
        # Not getrusage: on Linux its maximum is handed on through exec and may be the parent's.
        return _field_kb(_PROCESS_STATUS.read_text(encoding="ascii").splitlines(), "VmHWM") / 1024
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE
    return None


def _field_kb(lines: Iterable[str], name: str) -> int:
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _cpu_seconds() -> float:
    if sys.platform == "win32":
        return time.process_time()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)

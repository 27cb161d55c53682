"""A service that is kept running: started, watched, restarted with growing pauses.

Belongs here: the life of one service. Does not belong here: which there are (``supervisor``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from adx_platform.living.journal import DIED, HELD, STARTED, Entry, Journal
from adx_platform.living.orders import ServiceOrder
from adx_platform.living.process_tree import end
from adx_platform.local_process import LocalProcess, Started
from adx_platform.streams.embedded import EmbeddedBroker
from adx_platform.streams.errors import EmbeddedBrokerError

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SETTLED_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_TAIL: Final = 400


class Program(Protocol):
    """Something that can be started and stopped."""

    def is_running(self) -> bool:
        """Whether it runs, or is about to."""

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; it does not wait until it is ready."""

    def stop(self) -> None:
        """Stop it and all that it has started."""

    def last_words(self) -> str:
        """The end of what it said."""


class ProcessProgram:
    """A process with a record; ``make`` describes it with the given environment added."""

    def __init__(self, make: Callable[[Mapping[str, str]], LocalProcess]) -> None:
        self._make = make
        self._process = make({})
        self._started: Started | None = None

    def is_running(self) -> bool:
        """See :class:`Program`."""
        return self._started is not None and self._started.runs

    def start(self, environment: Mapping[str, str]) -> None:
        """See :class:`Program`."""
        self._process = self._make(environment)
        self._started = self._process.start()

    def stop(self) -> None:
        """See :class:`Program`."""
        if self._started is not None:
            end((self._started.pid,), seconds=_STOP_SECONDS)

    def last_words(self) -> str:
        """See :class:`Program`."""
        return self._process.log_tail(_TAIL)


class BrokerProgram:
    """The embedded broker. Its start waits until it answers, so it has a thread of its own."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._starting: threading.Thread | None = None
        self._problem = ""

    def is_running(self) -> bool:
        """See :class:`Program`."""
        return self._is_starting or self._broker.status().running

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return not self._is_starting and self._broker.status().running

    def start(self, environment: Mapping[str, str]) -> None:
        """See :class:`Program`."""
        del environment
        self._starting = threading.Thread(target=self._start, name="broker", daemon=True)
        self._starting.start()

    def stop(self) -> None:
        """See :class:`Program`."""
        # A start under way has perhaps a process and no record of it yet: it would stay behind.
        if self._starting is not None:
            self._starting.join(_STOP_SECONDS)
        self._broker.stop()

    def last_words(self) -> str:
        """See :class:`Program`."""
        return self._problem

    @property
    def _is_starting(self) -> bool:
        return self._starting is not None and self._starting.is_alive()

    def _start(self) -> None:
        self._problem = ""
        try:
            self._broker.start()
        except EmbeddedBrokerError as error:
            self._problem = str(error)


class Supervised:
    """One service under supervision; :meth:`look` is called again and again."""

    def __init__(
        self, name: str, program: Program, journal: Journal, tell: Callable[[str], None]
    ) -> None:
        self.name = name
        self.program = program
        self._journal = journal
        self._tell = tell
        self._runs = False
        self._failures = 0
        self._started_at = 0.0
        self._start_at = 0.0
        self._environment: Mapping[str, str] = {}

    def look(self, now: float) -> Entry | None:
        """Start it where it is due, and take note of its death.

        Args:
            now: seconds of a clock that never goes back.

        Returns:
            What was noted, if anything.
        """
        if self.program.is_running():
            return None
        if self._runs:
            return self._note_death(now)
        if now < self._start_at:
            return None
        self.program.start(self._environment)
        self._environment = {}
        self._runs = True
        self._started_at = now
        return self._journal.note(STARTED, self.name)

    def carry_out(self, order: ServiceOrder, now: float) -> None:
        """Stop it, and let it start again when the order says."""
        self._journal.note(HELD, self.name, f"{order.hold_seconds:g} s")
        held = f", and held for {order.hold_seconds:g} s" if order.hold_seconds else ""
        self._tell(f"{self.name} is stopped on demand{held}")
        self.program.stop()
        self._runs = False
        self._start_at = now + order.hold_seconds
        self._environment = dict(order.environment)

    def _note_death(self, now: float) -> Entry:
        if now - self._started_at >= _SETTLED_SECONDS:
            self._failures = 0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._failures)
        self._failures += 1
        self._runs = False
        self._start_at = now + pause
        words = self.program.last_words()
        # What it had started must not live on beside its successor.
        self.program.stop()
        self._tell(f"{self.name} has ended; it is started again in {pause:g} s. {words}")
        return self._journal.note(DIED, self.name, words)

"""The resident loop as a process: signals, a bounded stop, and its exit code.

Belongs here: what `adx ingest --follow` does about signals. Does not belong here: the process's
parts (``orchestration.resident``).

The loop runs in a thread, because Python hands signals to the main thread only between two of its
own steps, and a write to a slow store may be one long step.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from adx_platform.settings import Settings

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2
_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


class Stopper:
    """Turns the first signal into a request to stop, and the second one into an end at once."""

    def __init__(self, end: Callable[[int], object] = os._exit) -> None:
        """Wait for nothing yet.

        Args:
            end: ends the process with an exit code, without any cleaning up.
        """
        self.stop = threading.Event()
        self._end = end
        self._asked_at: float | None = None

    def install(self) -> None:
        """Listen to the signals that ask a process to end."""
        for number in _SIGNALS:
            signal.signal(number, self.on_signal)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """A signal arrived."""
        if self.stop.is_set():
            # Safe at any instant: what was not committed was not there, and is read again.
            self._end(128 + number)
            return
        self._asked_at = time.monotonic()
        self.stop.set()

    def is_overdue(self, timeout: float) -> bool:
        """Whether ``timeout`` seconds have passed since the first signal."""
        return self._asked_at is not None and time.monotonic() - self._asked_at > timeout


def follow(
    settings: Settings, run: Callable[[threading.Event], None], stopper: Stopper | None = None
) -> None:
    """Run until a signal asks to stop; a batch that takes too long then is left behind.

    Args:
        settings: the platform's.
        run: the resident process, until the event it is given is set.
        stopper: for tests.

    Raises:
        AdxError: what ``run`` raises.
    """
    stopper = stopper or Stopper()
    stopper.install()
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            run(stopper.stop)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            raised.append(error)

    thread = threading.Thread(target=guarded, name="adx-follow", daemon=True)
    thread.start()
    timeout = settings.follow.stop_timeout.total_seconds()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
        if thread.is_alive() and stopper.is_overdue(timeout):
            logger.warning(
                "the batch at work did not end within %g s and is given up: it is read again at "
                "the next start, nothing is lost",
                timeout,
            )
            os._exit(0)
    if raised:
        raise raised[0]

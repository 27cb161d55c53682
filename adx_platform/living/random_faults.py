"""What `adx dev` breaks now and then, so that one can watch it being found and mended.

Belongs here: the choice and the moments, from a seed. Does not belong here: how anything is broken
(``faults_market``, ``faults_services``, ``faults_state``). Only what mends or passes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from adx_platform.errors import AdxError
from adx_platform.living.faults_market import order_fault
from adx_platform.living.faults_services import kill_mid_refine, restart_broker
from adx_platform.living.faults_state import tear_file
from adx_platform.living.status import market_state
from adx_platform.settings import Settings
from adx_platform.simulate.randomness import generator

EVERY_SECONDS: Final = 480.0
_EARLIEST, _LATEST = 0.75, 1.25


def _traffic(kind: str, minutes: float, **parameters: object) -> Callable[[Settings], str]:
    def order(settings: Settings) -> str:
        order_fault(settings, kind, minutes, **parameters)
        return f"{kind} for {minutes:g} simulated minutes"

    return order


def _restart(settings: Settings) -> str:
    restart_broker(settings)
    return "the broker is restarted"


def _kill(settings: Settings) -> str:
    kill_mid_refine(settings)
    return "the resident loop will be killed in the middle of a commit"


def _tear(settings: Settings) -> str:
    return f"file {tear_file(settings, 'ad_impressions')} of ad_impressions is torn"


FAULTS: Final[tuple[Callable[[Settings], str], ...]] = (
    _traffic("volume_drop", 150, topic="ad_impressions", share=0.95),
    _traffic("exchange_silent", 150),
    _traffic("malformed_storm", 60, topic="ad_impressions"),
    _traffic("duplicate_storm", 90, topic="ad_impressions"),
    _traffic("late_flood", 30),
    _traffic("schema_change", 40),
    _restart,
    _kill,
    _tear,
)
"""Each breaks one thing and says what."""


class RandomFaults:
    """One fault every eight minutes or so, once the market's history is sent."""

    def __init__(self, settings: Settings, *, seed: int, every: float = EVERY_SECONDS) -> None:
        self._settings = settings
        self._rng = generator(seed, "random faults")
        self._every = every
        self._due: float | None = None

    def look(self, now: float) -> str | None:
        """Break something where it is due.

        Args:
            now: seconds of a clock that never goes back.

        Returns:
            What was broken, in words; None: nothing.
        """
        if self._due is None:
            state = market_state(self._settings)
            if state is not None and state.is_live:
                self._due = now + self._pause()
            return None
        if now < self._due:
            return None
        self._due = now + self._pause()
        fault = self._rng.choice(FAULTS)
        try:
            return fault(self._settings)
        except AdxError as error:
            return f"nothing was broken: {error}"

    def _pause(self) -> float:
        return self._every * self._rng.uniform(_EARLIEST, _LATEST)

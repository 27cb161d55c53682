"""Who watches the watchman: the resident loop looks whether Dagster's daemon lives.

Belongs here: noticing that the daemon's heartbeats stop, and that they are back. Does not belong
here: what else is watched, which sensors do; but no sensor runs where the daemon is dead, so this
one finding is recorded and its alert delivered from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from adx_platform.observability.alerts import deliver_pending
from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings

logger = logging.getLogger(__name__)

SUBJECT: Final = "platform/dagster_daemon"
NAME: Final = "alive"

SILENCE: Final = timedelta(seconds=120)
"""Daemons write every 30 seconds; Dagster itself calls them dead after half an hour only."""


class DaemonWatch:
    """Compares heartbeats at every tick; speaks only of daemons that it has seen alive."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Know of no daemon yet.

        Args:
            settings: where incidents are kept and who is told.
            instance: whose daemons.
            now: the wall clock, UTC.
        """
        self._settings = settings
        self._instance = instance
        self._now = now
        self._seen: set[str] = set()
        self._was_dead = False

    def tick(self) -> None:
        """Look once; record and tell what has changed.

        Raises:
            AdxError: the incident database cannot be used; the next tick tries again.
        """
        now = self._now()
        ages = {name: now - at for name, at in self._heartbeats().items()}
        self._seen |= {name for name, age in ages.items() if age <= SILENCE}
        dead = sorted(name for name in self._seen if ages.get(name, SILENCE * 2) > SILENCE)
        if dead:
            longest = max(ages.get(name, SILENCE * 2) for name in dead)
            self._record(
                now,
                passed=False,
                text=f"no sign of life from {', '.join(dead).lower()} for "
                f"{longest.total_seconds():.0f} s: sensors, schedules and repairs stand still. "
                "Start `dagster-daemon run` again",
            )
            self._was_dead = True
        elif self._was_dead:
            self._record(now, passed=True, text="the daemon's heartbeats are back")
            self._was_dead = False

    def _record(self, now: datetime, *, passed: bool, text: str) -> None:
        finding = Finding(
            source=Source.DAEMON,
            subject=SUBJECT,
            name=NAME,
            passed=passed,
            severity=Severity.ERROR,
            description=text,
            at=now,
        )
        with IncidentStore.open(self._settings.incidents_url) as store:
            changed = store.record([finding], settings=self._settings.incidents, now=now)
            if changed:
                logger.warning("%s", text)
            # Also without news: a delivery that failed is due again, and no sensor will see to it.
            deliver_pending(store, self._settings, now)

    def _heartbeats(self) -> Mapping[str, datetime]:
        """When each daemon that this instance needs last said that it lives."""
        required = set(self._instance.get_required_daemon_types())
        return {
            name: datetime.fromtimestamp(beat.timestamp, UTC)
            for name, beat in self._instance.get_daemon_heartbeats().items()
            if name in required
        }

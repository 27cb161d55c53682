"""A dead daemon is an incident that only the resident loop can open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from adx_platform.orchestration.daemon_watch import NAME, SILENCE, SUBJECT, DaemonWatch
from adx_platform.quality.incidents.model import State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Watched:
    """A watch over an instance whose daemons and clock the test moves."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance
        self.now = NOW
        self.watch = DaemonWatch(settings, instance, now=lambda: self.now)

    def beat(self) -> None:
        for name in self.instance.get_required_daemon_types():
            beat = DaemonHeartbeat(self.now.timestamp(), name, None, None)
            self.instance.add_daemon_heartbeat(beat)

    def tick(self, after: timedelta = timedelta()) -> None:
        self.now += after
        self.watch.tick()

    def incidents(self) -> list[Any]:
        with IncidentStore.open(self.settings.incidents_url) as store:
            return store.incidents()


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When notices were to be delivered."""
    found: list[datetime] = []
    monkeypatch.setattr(
        "adx_platform.orchestration.daemon_watch.deliver_pending",
        lambda store, settings, now: found.append(now),
    )
    return found


@pytest.fixture
def watched(
    settings: Settings, persistent_instance: dg.DagsterInstance, delivered: list[datetime]
) -> Watched:
    # An instance in memory needs no daemons.
    return Watched(settings, persistent_instance)


def test_without_a_daemon_that_was_seen_alive_nothing_is_said(watched: Watched) -> None:
    watched.tick()
    watched.beat()
    watched.tick(SILENCE + timedelta(seconds=1))
    assert watched.incidents() == []


def test_a_daemon_that_falls_silent_is_one_incident_until_it_is_back(
    watched: Watched, delivered: list[datetime]
) -> None:
    watched.beat()
    watched.tick()
    watched.tick(SILENCE)
    assert watched.incidents() == []
    assert delivered == []
    watched.tick(timedelta(seconds=1))
    watched.tick(timedelta(seconds=10))
    (incident,) = watched.incidents()
    assert incident.failing == (f"{SUBJECT}:{NAME}",)
    assert incident.scope == "platform"
    assert "sensor" in incident.description
    assert "dagster-daemon run" in incident.description
    assert len(delivered) == 2
    watched.beat()
    watched.tick(timedelta(seconds=1))
    (incident,) = watched.incidents()
    assert incident.state == State.RESOLVED
    assert len(delivered) == 3
    watched.tick(timedelta(seconds=1))
    assert len(delivered) == 3

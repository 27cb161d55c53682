"""Every notice reaches every channel once, whatever the channels do; with the real store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from adx_platform.observability.alerts import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    TOO_OLD,
    DeliveryReport,
    Sent,
    deliver_pending,
)
from adx_platform.observability.channels import NotDelivered
from adx_platform.observability.messages import AlertMessage
from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import AlertSettings, Settings
from assets_tests.unit.observability.conftest import AlertServer

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPENED, RESOLVED = "INC-0001/opened", "INC-0001/resolved"


@dataclass
class Recorder:
    """A channel that takes alerts, or breaks as often as it was told."""

    name: str = "recorder"
    broken: int = 0
    got: list[str] = field(default_factory=list)
    tries: int = 0

    def send(self, message: AlertMessage) -> None:
        self.tries += 1
        if self.broken:
            self.broken -= 1
            raise NotDelivered("it is down")
        self.got.append(message.notice_id)


@pytest.fixture
def settings(tmp_path: Path, no_adx_variables: None) -> Settings:
    return Settings(home=tmp_path, alerts=AlertSettings(max_attempts=3))


@pytest.fixture
def store(settings: Settings) -> Iterator[IncidentStore]:
    with IncidentStore.open(settings.incidents_url) as opened:
        yield opened


Report = Callable[..., None]


@pytest.fixture
def report(store: IncidentStore, settings: Settings) -> Report:
    """Records a verdict of the check ``name`` of a stream."""

    def record(at: datetime, *, passed: bool, stream: str = "ad_impressions") -> None:
        finding = Finding(
            source=Source.CHECK,
            subject=f"lake/events/{stream}",
            name="reject_share",
            passed=passed,
            severity=Severity.WARNING,
            description="too many were rejected",
            at=at,
        )
        store.record([finding], settings=settings.incidents, now=at)

    return record


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_nothing_to_tell(store: IncidentStore, settings: Settings) -> None:
    assert deliver_pending(store, settings, START, channels=[Recorder()]) == DeliveryReport()


def test_each_change_is_told_once(store: IncidentStore, settings: Settings, report: Report) -> None:
    channel = Recorder()
    report(START, passed=False)
    first = deliver_pending(store, settings, after(1), channels=[channel])
    assert first == DeliveryReport(delivered=(Sent(OPENED, "recorder"),))
    report(after(2), passed=False)
    assert deliver_pending(store, settings, after(3), channels=[channel]) == DeliveryReport()
    report(after(4), passed=True)
    deliver_pending(store, settings, after(5), channels=[channel])
    deliver_pending(store, settings, after(6), channels=[channel])
    assert channel.got == [OPENED, RESOLVED]
    assert store.pending_notices() == []


def test_a_channel_that_is_down_is_tried_again_later_and_later(
    store: IncidentStore, settings: Settings, report: Report
) -> None:
    channel, other = Recorder(broken=2), Recorder("other")
    report(START, passed=False)
    tries = []
    for second in range(40):
        before = channel.tries
        deliver_pending(store, settings, after(second), channels=[channel, other])
        if channel.tries > before:
            tries.append(second)
    first = FIRST_PAUSE.total_seconds()
    assert tries == [0, first, first + 2 * first]
    assert channel.got == other.got == [OPENED]
    assert other.tries == 1


def test_in_the_end_a_channel_is_given_up(
    store: IncidentStore, settings: Settings, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    channel, other = Recorder(broken=99), Recorder("other")
    report(START, passed=False)
    rounds = [
        deliver_pending(store, settings, START + n * LONGEST_PAUSE, channels=[channel, other])
        for n in range(5)
    ]
    assert channel.tries == settings.alerts.max_attempts
    assert [len(r.failed) for r in rounds] == [1, 1, 0, 0, 0]
    assert [r.waiting for r in rounds] == [1, 1, 0, 0, 0]
    assert rounds[2].given_up == (Sent(OPENED, "recorder", "it is down"),)
    assert store.pending_notices() == []
    given_up = [r for r in caplog.records if r.levelname == "ERROR"]
    assert [r.getMessage() for r in given_up] == [
        f"alert {OPENED} was given up on recorder after 3 tries: it is down"
    ]


def test_the_end_is_not_told_before_the_beginning(
    store: IncidentStore, settings: Settings, report: Report
) -> None:
    channel = Recorder(broken=1)
    report(START, passed=False)
    deliver_pending(store, settings, START, channels=[channel])
    report(after(1), passed=True)
    report(after(2), passed=False, stream="bid_requests")
    deliver_pending(store, settings, after(2), channels=[channel])
    assert channel.got == ["INC-0002/opened"]
    deliver_pending(store, settings, after(6), channels=[channel])
    assert channel.got == ["INC-0002/opened", OPENED, RESOLVED]


def test_a_broken_channel_is_asked_once_a_round(
    store: IncidentStore, settings: Settings, report: Report
) -> None:
    channel = Recorder(broken=99)
    for stream in ("ad_impressions", "bid_requests", "clicks_conversions"):
        report(START, passed=False, stream=stream)
    deliver_pending(store, settings, START, channels=[channel])
    assert channel.tries == 1


def test_a_slow_channel_does_not_hold_up_the_others(
    store: IncidentStore, settings: Settings, report: Report
) -> None:
    told = threading.Event()

    class Fast(Recorder):
        def send(self, message: AlertMessage) -> None:
            super().send(message)
            told.set()

    class Slow(Recorder):
        def send(self, message: AlertMessage) -> None:
            assert told.wait(20), "the fast channel waits for the slow one"
            super().send(message)

    slow, fast = Slow("slow"), Fast("fast")
    report(START, passed=False)
    deliver_pending(store, settings, START, channels=[slow, fast])
    assert slow.got == fast.got == [OPENED]


def test_old_news_is_told_to_nobody(
    store: IncidentStore, settings: Settings, report: Report
) -> None:
    channel = Recorder()
    report(START, passed=False)
    late = START + TOO_OLD + timedelta(seconds=1)
    assert deliver_pending(store, settings, late, channels=[channel]) == DeliveryReport()
    assert channel.tries == 0
    assert store.pending_notices() == []


def test_over_real_connections_one_down_and_one_up(
    store: IncidentStore,
    settings: Settings,
    report: Report,
    alert_server: AlertServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alert_server.answers = [500, 200]
    alerts = AlertSettings(
        slack_webhook_url=SecretStr("http://127.0.0.1:9/slack-secret"),
        webhook_url=SecretStr(f"{alert_server.url}/hook"),
        timeout_seconds=1,
    )
    both = settings.model_copy(update={"alerts": alerts})
    report(START, passed=False)
    first = deliver_pending(store, both, START)
    assert [item.channel for item in first.delivered] == ["log"]
    assert sorted(item.channel for item in first.failed) == ["slack", "webhook"]
    second = deliver_pending(store, both, after(5))
    assert [item.channel for item in second.delivered] == ["webhook"]
    deliver_pending(store, both, after(60))
    assert [request.json["notice_id"] for request in alert_server.received] == [OPENED, OPENED]
    assert "slack-secret" not in caplog.text + str(first) + str(second)
    assert caplog.text.count("Opened: INC-0001") == 1

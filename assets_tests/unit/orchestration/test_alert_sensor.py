"""The tick that tells people: what it sends, and what the tick's history says."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import dagster as dg
import pytest

from adx_platform.observability.alerts import DeliveryReport, Sent
from adx_platform.orchestration.alert_sensor import alert_sensor, explain
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.settings import Settings, load_settings


def tick(settings: Settings) -> str:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"line": Line(settings)})
        result = alert_sensor(settings)(context)
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def test_an_incident_is_told_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    now = datetime.now(UTC)
    finding = Finding(
        Source.CHECK, "lake/events/x", "contract", False, Severity.ERROR, "wrong", now
    )
    with Line(settings).incidents() as store:
        store.record([finding], settings=settings.incidents, now=now)
    with caplog.at_level(logging.INFO, "adx_platform"):
        said = [tick(settings), tick(settings)]
    assert said == ["sent 1 to log", "there is nothing to tell"]
    assert caplog.text.count("Opened: INC-0001, contract failed on lake/events/x") == 1


def test_a_round_in_words() -> None:
    report = DeliveryReport(
        delivered=(Sent("a/opened", "log"), Sent("b/opened", "log"), Sent("a/opened", "slack")),
        failed=(Sent("b/opened", "slack", "HTTP 500"),),
        given_up=(Sent("c/opened", "webhook", "HTTP 404"),),
        waiting=1,
    )
    assert explain(report) == (
        "sent 2 to log, 1 to slack; b/opened not taken by slack: HTTP 500; "
        "c/opened given up on webhook: HTTP 404; 1 waiting"
    )


def test_it_starts_as_the_automation_is_set(settings: Settings) -> None:
    on = load_settings(home=settings.home, automation="on")
    assert alert_sensor(settings).default_status == dg.DefaultSensorStatus.STOPPED
    assert alert_sensor(on).default_status == dg.DefaultSensorStatus.RUNNING

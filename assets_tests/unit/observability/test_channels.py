"""Alerts over real connections, to a server that behaves and to one that does not."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time

import pytest
from pydantic import SecretStr

from adx_platform.observability.channels import (
    DOCUMENT_SCHEMA,
    Channel,
    LogChannel,
    NotDelivered,
    SlackChannel,
    WebhookChannel,
    configured_channels,
    document,
    slack_blocks,
    slack_text,
)
from adx_platform.observability.context import current_context
from adx_platform.observability.masking import Masker
from adx_platform.observability.messages import compose
from adx_platform.quality.incidents.model import NoticeKind, Severity
from adx_platform.settings import AlertSettings
from assets_tests.unit.observability.conftest import AlertServer, make_notice

MESSAGE = compose(make_notice(), ui_url="http://127.0.0.1:3000")


def channel_to(url: str, kind: str, **settings: object) -> Channel:
    # The path is a secret, as it is of Slack's addresses.
    address = SecretStr(f"{url}/services/T0/hook-secret")
    name = "slack_webhook_url" if kind == "slack" else "webhook_url"
    alerts = AlertSettings.model_validate({name: address, "timeout_seconds": 1.0, **settings})
    mask = Masker([address.get_secret_value(), "/services/T0/hook-secret"])
    return SlackChannel(alerts, mask) if kind == "slack" else WebhookChannel(alerts, mask)


BOTH = pytest.mark.parametrize("kind", ["slack", "webhook"])


def test_slack_gets_blocks_and_a_text_for_clients_without(alert_server: AlertServer) -> None:
    channel_to(alert_server.url, "slack").send(MESSAGE)
    (request,) = alert_server.received
    assert request.path == "/services/T0/hook-secret"
    assert request.headers["Content-Type"] == "application/json;charset=utf-8"
    assert request.json == {"text": slack_text(MESSAGE), "blocks": slack_blocks(MESSAGE)}


def test_a_webhook_gets_the_document_and_its_name(alert_server: AlertServer) -> None:
    channel_to(alert_server.url, "webhook").send(MESSAGE)
    (request,) = alert_server.received
    assert request.json == document(MESSAGE)
    assert request.json["schema"] == DOCUMENT_SCHEMA == "adx.alert/1"
    assert request.headers["X-Adx-Notice"] == "INC-0001/opened"
    assert "X-Adx-Signature" not in request.headers


def test_a_receiver_can_prove_who_sent_it(alert_server: AlertServer) -> None:
    channel_to(alert_server.url, "webhook", webhook_secret=SecretStr("sign-me")).send(MESSAGE)
    (request,) = alert_server.received
    expected = hmac.new(b"sign-me", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Adx-Signature"] == f"sha256={expected}"


@BOTH
@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_a_refusal_is_told_once_and_without_secrets(
    alert_server: AlertServer, kind: str, status: int
) -> None:
    alert_server.answers = [status]
    with pytest.raises(NotDelivered, match=rf"^HTTP {status}: no thanks$"):
        channel_to(alert_server.url, kind).send(MESSAGE)
    assert len(alert_server.received) == 1


def test_a_redirect_is_no_delivery(alert_server: AlertServer) -> None:
    alert_server.answers = [(302, {"Location": f"{alert_server.url}/else"})]
    with pytest.raises(NotDelivered, match="HTTP 302"):
        channel_to(alert_server.url, "webhook").send(MESSAGE)
    assert len(alert_server.received) == 1


def test_slack_is_given_the_short_pause_that_it_asks_for(alert_server: AlertServer) -> None:
    alert_server.answers = [(429, {"Retry-After": "0"}), 200]
    channel_to(alert_server.url, "slack").send(MESSAGE)
    first, second = alert_server.received
    assert first.body == second.body


@pytest.mark.parametrize("pause", ["30", "soon"])
def test_a_long_pause_is_left_to_the_outbox(alert_server: AlertServer, pause: str) -> None:
    alert_server.answers = [(429, {"Retry-After": pause})]
    started = time.monotonic()
    with pytest.raises(NotDelivered, match="HTTP 429"):
        channel_to(alert_server.url, "slack").send(MESSAGE)
    assert time.monotonic() - started < 5
    assert len(alert_server.received) == 1


@BOTH
def test_a_server_that_hangs_is_not_waited_for(alert_server: AlertServer, kind: str) -> None:
    alert_server.answers = ["hang"]
    started = time.monotonic()
    with pytest.raises(NotDelivered, match=r"(?i)timed? ?out"):
        channel_to(alert_server.url, kind).send(MESSAGE)
    assert time.monotonic() - started < 8
    assert len(alert_server.received) <= 2


@pytest.mark.parametrize(("kind", "tries"), [("slack", 2), ("webhook", 1)])
def test_a_connection_that_is_reset(alert_server: AlertServer, kind: str, tries: int) -> None:
    alert_server.answers = ["reset"]
    with pytest.raises(NotDelivered):
        channel_to(alert_server.url, kind).send(MESSAGE)
    assert len(alert_server.received) == tries


def test_slack_gets_it_after_one_reset(alert_server: AlertServer) -> None:
    alert_server.answers = ["reset", 200]
    channel_to(alert_server.url, "slack").send(MESSAGE)
    assert len(alert_server.received) == 2


@BOTH
def test_nobody_there_is_told_without_the_address(kind: str) -> None:
    # Port 9 (discard) is one that nothing of ours listens on.
    with pytest.raises(NotDelivered, match=r"(?i)refused") as told:
        channel_to("http://127.0.0.1:9", kind).send(MESSAGE)
    assert "hook-secret" not in str(told.value)


@BOTH
def test_an_address_that_is_none(kind: str) -> None:
    with pytest.raises(NotDelivered):
        channel_to("mailto:someone", kind).send(MESSAGE)


@pytest.mark.parametrize(
    ("kind", "severity", "level"),
    [
        (NoticeKind.OPENED, Severity.ERROR, logging.ERROR),
        (NoticeKind.ESCALATED, Severity.WARNING, logging.WARNING),
        (NoticeKind.RESOLVED, Severity.ERROR, logging.INFO),
        (NoticeKind.ACKNOWLEDGED, Severity.ERROR, logging.INFO),
    ],
)
def test_the_log_has_a_line_as_grave_as_the_alert(
    caplog: pytest.LogCaptureFixture, kind: NoticeKind, severity: Severity, level: int
) -> None:
    seen = []
    logging.getLogger("adx_platform.observability.channels").addFilter(
        keep := lambda _: seen.append(dict(current_context())) or True
    )
    message = compose(make_notice(kind, severity=severity), ui_url="http://x")
    with caplog.at_level(logging.INFO):
        LogChannel().send(message)
    logging.getLogger("adx_platform.observability.channels").removeFilter(keep)
    (record,) = caplog.records
    assert record.levelno == level
    assert "INC-0001" in record.getMessage()
    assert seen == [{"incident": "INC-0001"}]


def test_channels_are_those_with_an_address() -> None:
    def names(**settings: SecretStr) -> list[str]:
        return [c.name for c in configured_channels(AlertSettings(**settings), Masker())]

    assert names() == ["log"]
    assert names(slack_webhook_url=SecretStr("http://x")) == ["log", "slack"]
    assert names(webhook_url=SecretStr("http://x")) == ["log", "webhook"]

"""Where alerts go: Slack, a webhook, the log.

Belongs here: the form of an alert on each channel, and one try to send it. Does not belong here:
what it says (``messages``), or trying again later (``alerts``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any, Final, Protocol
from urllib.error import URLError

import requests
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.webhook import WebhookClient

from adx_platform.observability.context import log_context
from adx_platform.observability.masking import Masker
from adx_platform.observability.messages import AlertMessage
from adx_platform.settings import AlertSettings

logger = logging.getLogger(__name__)

DOCUMENT_SCHEMA: Final = "adx.alert/1"
"""Version of the webhook's document; a field that goes or changes its meaning makes it 2."""

SIGNATURE_HEADER: Final = "X-Adx-Signature"
NOTICE_HEADER: Final = "X-Adx-Notice"

_REASON_LENGTH: Final = 300
_SUCCESS: Final = range(200, 300)
# Slack's own bounds of a header and of a section's text.
_HEADER_LENGTH: Final = 150
_SECTION_LENGTH: Final = 3000
_SIGNS: Final = {
    "opened": ":rotating_light:",
    "escalated": ":sos:",
    "resolved": ":white_check_mark:",
    "acknowledged": ":raising_hand:",
}


class NotDelivered(Exception):  # noqa: N818 - it names what happened to the alert
    """The channel did not take the alert; the message says why, without secrets."""


class Channel(Protocol):
    """One place to which alerts go."""

    @property
    def name(self) -> str:
        """Its name in the store and in reports."""

    def send(self, message: AlertMessage) -> None:
        """Send it once.

        Raises:
            NotDelivered: it was not taken.
        """


class SlackChannel:
    """Slack's incoming webhook, or whatever takes its format."""

    name = "slack"

    def __init__(self, settings: AlertSettings, mask: Masker) -> None:
        """Prepare a client; ``settings.slack_webhook_url`` is set."""
        if settings.slack_webhook_url is None:
            raise ValueError("there is no address: ADX_ALERTS__SLACK_WEBHOOK_URL is not set")
        self._mask = mask
        self._client = WebhookClient(
            settings.slack_webhook_url.get_secret_value(),
            # The client takes whole seconds.
            timeout=max(1, round(settings.timeout_seconds)),
            retry_handlers=[
                ConnectionErrorRetryHandler(max_retry_count=1),
                _ShortRateLimits(settings.timeout_seconds),
            ],
        )

    def send(self, message: AlertMessage) -> None:
        """See :class:`Channel`."""
        try:
            answer = self._client.send(text=slack_text(message), blocks=slack_blocks(message))
        except (OSError, HTTPException, URLError, SlackClientError, ValueError) as error:
            raise NotDelivered(_reason(error, self._mask)) from error
        if answer.status_code not in _SUCCESS:
            raise NotDelivered(_refusal(answer.status_code, answer.body, self._mask))


class WebhookChannel:
    """Any server that takes a JSON document."""

    name = "webhook"

    def __init__(self, settings: AlertSettings, mask: Masker) -> None:
        """Remember the address; ``settings.webhook_url`` is set."""
        if settings.webhook_url is None:
            raise ValueError("there is no address: ADX_ALERTS__WEBHOOK_URL is not set")
        self._url = settings.webhook_url.get_secret_value()
        self._secret = settings.webhook_secret
        self._timeout = settings.timeout_seconds
        self._mask = mask

    def send(self, message: AlertMessage) -> None:
        """See :class:`Channel`."""
        body = json.dumps(document(message), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "adx-platform",
            # A receiver that answered too late is asked again: by this it knows the alert.
            NOTICE_HEADER: message.notice_id,
        }
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret.get_secret_value(), body)
        try:
            answer = requests.post(
                self._url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                # A redirected POST would arrive as a GET without its document.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise NotDelivered(_reason(error, self._mask)) from error
        if answer.status_code not in _SUCCESS:
            raise NotDelivered(_refusal(answer.status_code, answer.text, self._mask))


class LogChannel:
    """The log, which is always there."""

    name = "log"

    def send(self, message: AlertMessage) -> None:
        """See :class:`Channel`; it never fails."""
        level = logging.INFO
        if message.kind in ("opened", "escalated"):
            level = logging.ERROR if message.severity == "error" else logging.WARNING
        with log_context(incident=message.incident_id):
            logger.log(
                level,
                "%s",
                text(message),
                extra={
                    "event.action": f"incident_{message.kind}",
                    "adx.scope": message.scope,
                    "adx.state": message.state,
                },
            )


def configured_channels(settings: AlertSettings, mask: Masker) -> list[Channel]:
    """The log, and every channel that has an address."""
    channels: list[Channel] = [LogChannel()]
    if settings.slack_webhook_url is not None:
        channels.append(SlackChannel(settings, mask))
    if settings.webhook_url is not None:
        channels.append(WebhookChannel(settings, mask))
    return channels


def signature(secret: str, body: bytes) -> str:
    """What the signature header holds: the receiver computes it from the body and compares."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def text(message: AlertMessage) -> str:
    """The alert on one line."""
    observed = dict(message.facts)["observed"]
    return (
        f"{message.title} ({message.severity}, {message.scope}): {observed.rstrip('.')}. "
        f"Next: {message.remedy}. {message.advice}"
    )


def document(message: AlertMessage) -> dict[str, Any]:
    """The webhook's document, as ``docs/alerts-and-logs.md`` describes it."""
    return {
        "schema": DOCUMENT_SCHEMA,
        "notice_id": message.notice_id,
        "kind": message.kind,
        "at": message.at.isoformat(),
        "title": message.title,
        "incident": {
            "id": message.incident_id,
            "state": message.state,
            "severity": message.severity,
            "scope": message.scope,
            "failing": list(message.failing),
        },
        "facts": dict(message.facts),
        "next_step": message.remedy,
        "attempts": list(message.attempts),
        "advice": message.advice,
        "links": [{"label": link.label, "url": link.url} for link in message.links],
    }


def slack_text(message: AlertMessage) -> str:
    """What a notification shows, and a client without blocks."""
    return _escaped(f"{message.title}. {message.advice}")


def slack_blocks(message: AlertMessage) -> list[dict[str, Any]]:
    """The alert in Slack's Block Kit."""
    facts = "\n".join(f"*{_escaped(name)}*: {_escaped(value)}" for name, value in message.facts)
    blocks = [
        {
            "type": "header",
            "text": {
                "type": "plain_text",
                "text": _cut(f"{_SIGNS[message.kind]} {message.title}", _HEADER_LENGTH),
                "emoji": True,
            },
        },
        _context([f"{message.severity} · {message.scope} · now {message.state}"]),
        _section(facts),
        _section(f"*next step*: {_escaped(message.remedy)}"),
    ]
    if message.attempts:
        blocks.append(_section("*tried*\n" + "\n".join(map(_escaped, message.attempts))))
    blocks.append(_section(f"*what to do*: {_escaped(message.advice)}"))
    if message.links:
        links = [f"<{link.url}|{_escaped(link.label)}>" for link in message.links]
        blocks.append(_section(" · ".join(links)))
    return blocks


class _ShortRateLimits(RateLimitErrorRetryHandler):
    """Waits as long as Slack asks for, where that is short; else the outbox tries again later."""

    def __init__(self, longest_seconds: float) -> None:
        super().__init__(max_retry_count=1)
        self._longest = longest_seconds

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        limited = super()._can_retry(state=state, request=request, response=response, error=error)
        return limited and response is not None and self._is_short(response)

    def _is_short(self, response: HttpResponse) -> bool:
        asked = [
            value
            for name, values in response.headers.items()
            if name.lower() == "retry-after"
            for value in values
        ]
        return not asked or (asked[0].isdigit() and int(asked[0]) <= self._longest)


def _section(markdown: str) -> dict[str, Any]:
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": _cut(markdown, _SECTION_LENGTH)},
    }


def _context(texts: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": _escaped(item)} for item in texts],
    }


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else f"{words[: length - 1]}…"


def _reason(error: Exception, mask: Masker) -> str:
    return _cut(mask(f"{type(error).__name__}: {error}"), _REASON_LENGTH)


def _refusal(status: int, body: str, mask: Masker) -> str:
    said = " ".join(body.split())
    return _cut(mask(f"HTTP {status}{f': {said}' if said else ''}"), _REASON_LENGTH)

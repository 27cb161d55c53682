"""One message of the live market on its way to the broker, and its form in a file.

Belongs here: the value and its two conversions. Does not belong here: when it is sent
(``live_traffic``) or what becomes of it on the way (``live_faults``).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adx_platform.simulate.encoding import Header
from adx_platform.simulate.events import Event

_COPIES = frozenset({"duplicate", "conflict"})


@dataclass(slots=True)
class LiveMessage:
    """A message with all that the faults and the truth need to know of it.

    Attributes:
        topic: where it goes.
        partition: of the topic.
        timestamp_ms: Kafka timestamp, on the simulated clock.
        key: message key.
        value: bytes; null: a tombstone.
        headers: Kafka headers.
        record_type: a key of ``events.TOPIC_OF``.
        event_id: identity of its event.
        event_time_us: when that happened, by the producer; null of a broken message.
        reason: code of the reason for which it must be rejected, if it is broken.
        fault: what happened to it.
        exchange_id: of which exchange it speaks, if it does.
        event: what it was made from; null once it was kept in a file.
        version: contract version of its producer.
        is_extra: made by a fault: no other fault touches it.
        sent_before: a message of the same event went out in an earlier life of the market.
    """

    topic: str
    partition: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: tuple[Header, ...] | None
    record_type: str
    event_id: str
    event_time_us: int | None
    reason: str | None
    fault: str | None
    exchange_id: str | None
    event: Event | None = None
    version: int = 1
    is_extra: bool = False
    sent_before: bool = False

    @property
    def is_copy(self) -> bool:
        """Whether another message of the same event goes out, too."""
        return self.fault in _COPIES


def message_document(message: LiveMessage) -> dict[str, Any]:
    """``message`` in JSON, without the event that it was made from."""
    return {
        "topic": message.topic,
        "partition": message.partition,
        "timestamp_ms": message.timestamp_ms,
        "key": _text(message.key),
        "value": None if message.value is None else _text(message.value),
        "headers": None
        if message.headers is None
        else [[name, _text(value)] for name, value in message.headers],
        "record_type": message.record_type,
        "event_id": message.event_id,
        "event_time_us": message.event_time_us,
        "reason": message.reason,
        "fault": message.fault,
        "exchange_id": message.exchange_id,
        "is_extra": message.is_extra,
        "sent_before": message.sent_before,
    }


def message_from(document: dict[str, Any]) -> LiveMessage:
    """What :func:`message_document` wrote."""
    value, headers = document["value"], document["headers"]
    return LiveMessage(
        **{
            **document,
            "key": base64.b64decode(document["key"]),
            "value": None if value is None else base64.b64decode(value),
            "headers": None
            if headers is None
            else tuple((name, base64.b64decode(content)) for name, content in headers),
        }
    )


def simulated(timestamp_ms: int) -> datetime:
    """A Kafka timestamp as a moment of the simulated clock."""
    return datetime.fromtimestamp(timestamp_ms / 1_000, tz=UTC)


def milliseconds(moment: datetime) -> int:
    """The Kafka timestamp of a moment."""
    return round(moment.timestamp() * 1_000)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

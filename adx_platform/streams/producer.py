"""Sending messages and knowing that they arrived.

Belongs here: the idempotent producer with back-pressure. Does not belong here: making the messages
(``simulate``, ``codecs``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.client import ErrorLog, as_stream_error, client_config, open_client
from adx_platform.streams.errors import DeliveryFailed

_REPORT_EVERY: Final = 2_000
_QUEUE_MESSAGES: Final = 100_000
_QUEUE_KBYTES: Final = 65_536
_WAIT_SECONDS: Final = 0.1


class OutgoingMessage(NamedTuple):
    """One message to send.

    ``value`` None is a tombstone. ``timestamp_ms``: Kafka's CreateTime, in milliseconds since the
    epoch; None: now. ``partition`` None: by the key, as Java producers do it (murmur2).
    """

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None = None
    timestamp_ms: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class ProduceReport:
    """What the broker acknowledged: messages, bytes of their values, wall-clock seconds."""

    topic: str
    messages: int
    value_bytes: int
    seconds: float


class _Failures:
    """Counts what the broker did not take, and keeps the first reason."""

    def __init__(self) -> None:
        self.count = 0
        self.first: KafkaError | None = None

    def __call__(self, error: KafkaError | None, _message: Message) -> None:
        """Librdkafka's delivery callback; only called for failures."""
        if error is not None:
            self.count += 1
            self.first = self.first or error


def produce(
    settings: KafkaSettings,
    topic: str,
    messages: Iterable[OutgoingMessage],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> ProduceReport:
    """Send ``messages`` to ``topic`` and wait until the broker has acknowledged all of them.

    Args:
        settings: the cluster; ``client_options`` may change batching and compression.
        topic: an existing topic.
        messages: taken one by one; no more than the client's bounded queue is held in memory.
        on_progress: called now and then with the number of messages handed over so far.

    Raises:
        DeliveryFailed: the broker refused messages, or took none of them in time.
        AuthenticationFailed: the credentials were refused.
        BrokerUnreachable: nothing answers.
        UnknownTopic: the topic does not exist.
    """
    return _Sending(settings, topic, on_progress).run(messages)


class _Sending:
    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._on_progress = on_progress
        self._errors = ErrorLog()
        self._failures = _Failures()
        self._sent = 0
        self._value_bytes = 0
        own = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": _QUEUE_MESSAGES,
            "queue.buffering.max.kbytes": _QUEUE_KBYTES,
            # A callback per message would halve the throughput; failures are all that matters.
            "delivery.report.only.error": True,
        }
        shared = client_config(settings, self._errors, client_id="adx-producer")
        self._producer = open_client(Producer, own | shared, settings)

    def run(self, messages: Iterable[OutgoingMessage]) -> ProduceReport:
        started = time.monotonic()
        # Fail now and clearly, not after the delivery timeout; and asking through the producer
        # itself would create the topic on a lenient broker.
        with KafkaAdmin(self._settings) as admin:
            admin.describe(self._topic)
        try:
            for message in messages:
                self._send(message)
                if self._sent % _REPORT_EVERY == 0:
                    self._between_batches()
            self._drain()
        except BaseException:
            # What is still queued must not trickle out after the caller was told of a failure.
            self._producer.purge()
            self._producer.flush(_WAIT_SECONDS)
            raise
        if self._on_progress is not None:
            self._on_progress(self._sent)
        return ProduceReport(
            topic=self._topic,
            messages=self._sent,
            value_bytes=self._value_bytes,
            seconds=time.monotonic() - started,
        )

    def _send(self, message: OutgoingMessage) -> None:
        options: dict[str, Any] = {"on_delivery": self._failures}
        if message.headers:
            options["headers"] = list(message.headers)
        if message.timestamp_ms is not None:
            options["timestamp"] = message.timestamp_ms
        if message.partition is not None:
            options["partition"] = message.partition
        while True:
            try:
                self._producer.produce(self._topic, message.value, message.key, **options)
            except BufferError:
                self._producer.poll(_WAIT_SECONDS)
                self._raise_failures()
                continue
            except KafkaException as error:
                reason = as_stream_error(
                    error, self._settings, doing=f"queue message {self._sent}", topic=self._topic
                )
                raise DeliveryFailed(
                    f"message {self._sent} to topic {self._topic!r} cannot be sent: {reason}"
                ) from error
            break
        self._sent += 1
        self._value_bytes += len(message.value or b"")

    def _between_batches(self) -> None:
        self._producer.poll(0)
        self._raise_failures()
        if self._on_progress is not None:
            self._on_progress(self._sent)

    def _drain(self) -> None:
        """Wait for the acknowledgements; the client itself gives up at its delivery timeout."""
        while self._producer.flush(_WAIT_SECONDS):
            self._raise_failures()
        self._raise_failures()

    def _raise_failures(self) -> None:
        doing = f"produce to topic {self._topic!r}"
        if self._errors.is_hopeless:
            raise as_stream_error(self._errors.cause, self._settings, doing=doing)
        if self._failures.first is not None:
            reason = as_stream_error(
                self._failures.first, self._settings, doing=doing, topic=self._topic
            )
            raise DeliveryFailed(
                f"the broker did not take {self._failures.count} of the {self._sent} messages sent "
                f"to topic {self._topic!r}: {reason}"
            )

"""Sending the live market's messages without ever waiting for the broker.

Belongs here: the producer that outlives a broker's absence. Does not belong here: what is sent, or
the producer that waits for every acknowledgement (``streams.producer``).
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from adx_platform.settings import KafkaSettings
from adx_platform.simulate.live_message import LiveMessage
from adx_platform.streams.client import ErrorLog, client_config, open_client

logger = logging.getLogger(__name__)

_QUEUE_MESSAGES: Final = 20_000
# A message may wait so long for a broker that is away; then it is sent again, as a new one.
_DELIVERY_MS: Final = 600_000
_WAIT_SECONDS: Final = 0.05


class LiveProducer:
    """An idempotent producer; a message that it gives up is sent by its successor."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._again: deque[LiveMessage] = deque()
        self._is_broken = False
        self.delivered = 0
        self._producer = self._open()

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return len(self._producer) + len(self._again)

    @property
    def is_full(self) -> bool:
        """Whether the market should wait before it makes more."""
        return self.waiting >= _QUEUE_MESSAGES

    def send(self, message: LiveMessage) -> None:
        """Hand a message over; it is sent in the background."""
        options: dict[str, Any] = {
            "partition": message.partition,
            "timestamp": message.timestamp_ms,
            "on_delivery": partial(self._reported, message),
        }
        if message.headers:
            options["headers"] = list(message.headers)
        try:
            self._producer.produce(message.topic, message.value, message.key, **options)
        except (BufferError, KafkaException) as error:
            # The queue is full, or the producer has met an error that it cannot recover from.
            self._is_broken = not isinstance(error, BufferError)
            self._again.append(message)

    def poll(self, seconds: float = 0.0) -> None:
        """Take note of acknowledgements, and send again what was given up."""
        try:
            self._producer.poll(seconds)
        except KafkaException as error:
            # Fatal to this producer: a broker that was restarted does not know it any more.
            logger.warning("the producer has failed: %s", error)
            self._is_broken = True
        if self._is_broken:
            logger.warning("the producer is opened anew; %d messages again", len(self._again))
            self._producer.purge()
            self._producer.flush(_WAIT_SECONDS)
            self._producer = self._open()
            self._is_broken = False
        for _ in range(len(self._again)):
            self.send(self._again.popleft())

    def flush(self, seconds: float) -> int:
        """Wait for the acknowledgements, but no longer; returns how many are missing."""
        self.poll()
        self._producer.flush(seconds)
        return self.waiting

    def _reported(self, message: LiveMessage, error: KafkaError | None, _sent: Message) -> None:
        if error is None:
            self.delivered += 1
            return
        self._is_broken = self._is_broken or error.fatal()
        self._again.append(message)

    def _open(self) -> Producer:
        own = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": _QUEUE_MESSAGES,
            "message.timeout.ms": _DELIVERY_MS,
            "reconnect.backoff.max.ms": 1_000,
        }
        shared = client_config(self._settings, ErrorLog(), client_id="adx-market")
        return open_client(Producer, own | shared, self._settings)

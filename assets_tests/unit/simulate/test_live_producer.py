"""A producer that failed for good is followed by another, which sends what was not delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from adx_platform.settings import KafkaSettings
from adx_platform.simulate.live_message import LiveMessage
from adx_platform.simulate.live_producer import LiveProducer

FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "the broker was restarted", fatal=True)


class Librdkafka:
    """Answers each message at the next poll; the first life of it fails instead."""

    lives: list[Librdkafka]

    def __init__(self, options: dict[str, Any]) -> None:
        self.waiting: list[Callable[[KafkaError | None, object], None]] = []
        self.fails = not self.lives
        self.lives.append(self)

    def __len__(self) -> int:
        return len(self.waiting)

    def produce(self, *_: object, on_delivery: Callable[..., None], **__: object) -> None:
        self.waiting.append(on_delivery)

    def poll(self, _seconds: float) -> None:
        if self.fails:
            raise KafkaException(FATAL)
        self._answer(None)

    def purge(self) -> None:
        self._answer(KafkaError(KafkaError._PURGE_QUEUE))

    def flush(self, _seconds: float) -> None:
        """Everything is answered by :meth:`poll` and :meth:`purge`."""

    def _answer(self, error: KafkaError | None) -> None:
        answered, self.waiting = self.waiting, []
        for answer in answered:
            answer(error, None)


def test_what_a_failed_producer_held_is_sent_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    Librdkafka.lives = []
    monkeypatch.setattr("adx_platform.simulate.live_producer.Producer", Librdkafka)
    producer = LiveProducer(KafkaSettings())
    for number in range(3):
        producer.send(
            LiveMessage(
                topic="ad_impressions",
                partition=0,
                timestamp_ms=number,
                key=b"k",
                value=b"v",
                headers=(),
                record_type="impression_event",
                event_id=f"e-{number}",
                event_time_us=None,
                reason=None,
                fault=None,
                exchange_id=None,
            )
        )

    producer.poll()
    assert (len(Librdkafka.lives), producer.delivered, producer.waiting) == (2, 0, 3)

    producer.poll()
    assert (producer.delivered, producer.waiting) == (3, 0)

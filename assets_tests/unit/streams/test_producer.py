from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from adx_platform.settings import KafkaSettings
from adx_platform.streams import producer as producer_module
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import (
    AuthenticationFailed,
    DeliveryFailed,
    UnknownTopic,
)
from adx_platform.streams.producer import OutgoingMessage, produce

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_seconds=0.05)


@dataclass
class FakeProducer:
    """Takes messages into a queue of ``room`` and delivers them when polled."""

    room: int = 1000
    refuse: int | None = None
    problem: Exception | None = None
    options: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    queue: list[tuple[int, Callable[[KafkaError | None, object], None]]] = field(
        default_factory=list
    )
    full: int = 0
    purged: bool = False

    def __call__(self, options: dict[str, Any]) -> FakeProducer:
        self.options = options
        return self

    def describe(self, topic: str) -> None:
        if self.problem is not None:
            raise self.problem

    def produce(self, topic: str, value: bytes | None, key: bytes | None, **more: Any) -> None:
        if len(self.queue) >= self.room:
            self.full += 1
            raise BufferError
        if value is not None and len(value) > 100:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        callback = more.pop("on_delivery")
        self.queue.append((len(self.sent), callback))
        self.sent.append((topic, key, value, more))

    def poll(self, timeout: float) -> int:
        for number, callback in self.queue:
            if number == self.refuse:
                callback(KafkaError(KafkaError._MSG_TIMED_OUT), object())
        self.queue.clear()
        return 0

    def flush(self, timeout: float) -> int:
        return self.poll(timeout)

    def purge(self) -> None:
        self.purged = True
        self.queue.clear()


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeProducer) -> FakeProducer:
    monkeypatch.setattr(producer_module, "Producer", fake)
    monkeypatch.setattr(KafkaAdmin, "describe", fake.describe)
    return fake


def messages(count: int) -> Iterator[OutgoingMessage]:
    return (OutgoingMessage(b"k", b"v%d" % n) for n in range(count))


def test_every_field_of_a_message_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(monkeypatch, FakeProducer())
    report = produce(
        SETTINGS,
        "t",
        [
            OutgoingMessage(b"k", b"value", [("h", b"1")], 1234, 3),
            OutgoingMessage(None, None),
            OutgoingMessage(b"", b"", timestamp_ms=0, partition=0),
        ],
    )
    assert fake.sent == [
        ("t", b"k", b"value", {"headers": [("h", b"1")], "timestamp": 1234, "partition": 3}),
        ("t", None, None, {}),
        ("t", b"", b"", {"timestamp": 0, "partition": 0}),
    ]
    assert (report.topic, report.messages, report.value_bytes) == ("t", 3, 5)
    assert report.seconds >= 0


def test_a_full_queue_makes_the_source_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(monkeypatch, FakeProducer(room=4))
    assert produce(SETTINGS, "t", messages(21)).messages == 21
    assert len(fake.sent) == 21
    assert fake.full == 5


def test_progress_counts_up_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeProducer())
    monkeypatch.setattr(producer_module, "_REPORT_EVERY", 10)
    seen: list[int] = []
    produce(SETTINGS, "t", messages(25), on_progress=seen.append)
    assert seen == [10, 20, 25]


@pytest.mark.parametrize("refused", [0, 15, 24])
def test_a_message_that_is_not_taken_fails_the_whole(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    fake = use(monkeypatch, FakeProducer(refuse=refused))
    monkeypatch.setattr(producer_module, "_REPORT_EVERY", 10)
    with pytest.raises(
        DeliveryFailed, match=r"did not take 1 of the \d+ messages sent to topic 't'"
    ):
        produce(SETTINGS, "t", messages(25))
    assert fake.purged


def test_a_message_that_is_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeProducer())
    with pytest.raises(DeliveryFailed, match="message 1 to topic 't' cannot be sent"):
        produce(SETTINGS, "t", [OutgoingMessage(None, b"a"), OutgoingMessage(None, b"a" * 101)])


def test_an_error_of_the_source_goes_through_and_nothing_trickles_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = use(monkeypatch, FakeProducer())

    def broken() -> Iterator[OutgoingMessage]:
        yield OutgoingMessage(None, b"a")
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        produce(SETTINGS, "t", broken())
    assert fake.purged


def test_what_cannot_work_is_said_before_the_first_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = use(monkeypatch, FakeProducer(problem=UnknownTopic("no such topic")))
    with pytest.raises(UnknownTopic, match="no such topic"):
        produce(SETTINGS, "t", messages(1))
    assert fake.sent == []


def test_credentials_that_are_refused_meanwhile_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = use(monkeypatch, FakeProducer())

    def source() -> Iterator[OutgoingMessage]:
        yield OutgoingMessage(None, b"a")
        fake.options["error_cb"](KafkaError(KafkaError._AUTHENTICATION))

    with pytest.raises(AuthenticationFailed):
        produce(SETTINGS, "t", source())


def test_delivery_is_idempotent_and_batching_can_be_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(monkeypatch, FakeProducer())
    settings = SETTINGS.model_copy(update={"client_options": {"compression.type": "zstd"}})
    produce(settings, "t", [])
    assert fake.options["enable.idempotence"] is True
    assert fake.options["compression.type"] == "zstd"

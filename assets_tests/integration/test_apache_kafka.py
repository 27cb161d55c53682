"""What a real Apache Kafka puts between messages, and takes away: every offset stays accounted for.

One broker. The embedded one has no transactions and no compaction, so these need Java.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Producer, TopicPartition

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.orchestration.checks_lake import CONSERVATION, LOST, lake_results
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline import lane as lane_module
from adx_platform.streams.errors import DeliveryFailed, ReadStalled, StreamError
from adx_platform.streams.producer import OutgoingMessage
from adx_platform.streams.reader import read_ranges
from assets_tests.integration.kafka_line import (
    NOON_MS,
    TOPIC,
    KafkaLine,
    impression,
    message,
    wait_until,
)
from assets_tests.servers.kafka import ApacheKafka

pytestmark = [pytest.mark.java, pytest.mark.slow]

MakeLine = Callable[..., KafkaLine]
TEN_MEGABYTES = 10_000_000
LIMIT = 12_000_000


@pytest.fixture
def make_line(apache_kafka: ApacheKafka, tmp_path: Path) -> MakeLine:
    def make(**options: object) -> KafkaLine:
        return KafkaLine(apache_kafka.settings(), tmp_path / "home", **options)  # type: ignore[arg-type] # passed on as is

    return make


def transactional(line: KafkaLine, name: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": line.kafka.bootstrap_servers,
            "transactional.id": name,
            "log_level": 0,
        }
    )
    producer.init_transactions()
    return producer


def put(producer: Producer, numbers: range) -> None:
    for number in numbers:
        producer.produce(TOPIC, impression(number), b"k%d" % number, 0, timestamp=NOON_MS + number)
    producer.flush()


def truncate(kafka: ApacheKafka, before: int) -> None:
    # The client has to live until it has its answer.
    client = kafka.client()
    for future in client.delete_records([TopicPartition(TOPIC, 0, before)]).values():
        future.result(timeout=10)


def test_aborted_transactions_are_absent_and_open_ones_are_waited_for(make_line: MakeLine) -> None:
    # Batches of four: some ranges have nothing but offsets of an aborted transaction.
    line = make_line(batch=4)
    first, second = transactional(line, "first"), transactional(line, "second")
    first.begin_transaction()
    put(first, range(5))
    first.commit_transaction()  # marker at 5
    first.begin_transaction()
    second.begin_transaction()
    put(first, range(100, 105))
    put(second, range(5, 8))
    put(first, range(105, 110))
    second.commit_transaction()  # 11, 12, 13 stay; marker at 19
    first.abort_transaction()  # marker at 20
    first.begin_transaction()
    put(first, range(8, 10))  # open, at 21 and 22
    assert sum(sum(report.counts.values()) for report in line.ingest()) == 21
    assert line.values() == [impression(number) for number in range(8)]
    assert line.ingest() == []
    second.begin_transaction()
    put(second, range(200, 203))
    second.abort_transaction()
    # What lies behind the open transaction waits with it.
    assert line.ingest() == []
    first.commit_transaction()
    line.ingest()
    assert line.values() == [impression(number) for number in range(10)]
    equation = line.equations()[line.topic_id, 0]
    assert (equation.start, equation.end) == (0, 28)
    assert (equation.accepted, equation.absent, equation.lost) == (10, 18, 0)


def test_offsets_that_compaction_took_are_absent_before_and_after_the_cursor(
    make_line: MakeLine,
) -> None:
    compacted = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.001",
        "delete.retention.ms": "0",
    }
    line = make_line(batch=7, config=compacted)

    def keyed(key: bytes, number: int, value: bytes | None = b"") -> OutgoingMessage:
        # Kafka's own clock rolls the segments, so these must be of now.
        return OutgoingMessage(key, impression(number) if value == b"" else value, None, None, 0)

    line.send(keyed(b"k%d" % (number % 5), number) for number in range(20))
    line.ingest()
    line.send(keyed(b"k%d" % (number % 5), number) for number in range(20, 40))
    line.send([keyed(b"k4", 40, None)])
    rolls = 0

    def is_compacted() -> bool:
        nonlocal rolls
        # Only what lies before the active segment is cleaned, and only a message begins a new one.
        line.send([keyed(b"roll", 41 + rolls)])
        rolls += 1
        rows = read_ranges(
            line.kafka, TOPIC, line.topic_id, [OffsetRange(0, 0, 41)], idle_timeout_seconds=20
        )
        return rows.filter(pl.col("gap_kind").is_null())["offset"].to_list() in (
            [35, 36, 37, 38],
            [35, 36, 37, 38, 40],
        )

    wait_until(is_compacted, "nothing was compacted")
    line.ingest()
    equation = line.equations()[line.topic_id, 0]
    assert (equation.start, equation.lost) == (0, 0)
    assert equation.end == 41 + rolls
    landed = line.raw.filter(pl.col("gap_kind").is_null())["offset"].to_list()
    assert [offset for offset in landed if offset < 39] == [*range(20), 35, 36, 37, 38]
    assert equation.absent >= 16


def test_what_retention_took_is_lost_with_its_count_and_passed(
    make_line: MakeLine, apache_kafka: ApacheKafka
) -> None:
    line = make_line(batch=100)
    line.send(message(number) for number in range(10))
    line.ingest()
    line.send(message(number) for number in range(10, 20))
    truncate(apache_kafka, 14)
    (report,) = line.ingest()
    assert report.ranges == (OffsetRange(0, 10, 20),)
    assert report.counts["lost"] == 4
    # All that there is: a loss without anything to read after it.
    line.send(message(number) for number in range(20, 25))
    truncate(apache_kafka, 25)
    (report,) = line.ingest()
    assert (report.ranges, report.counts["lost"]) == ((OffsetRange(0, 20, 25),), 5)
    assert line.ingest() == []
    line.send([message(25)])
    line.ingest()
    assert line.gaps("lost") == [(10, 4), (20, 5)]
    equation = line.equations()[line.topic_id, 0]
    assert (equation.accepted, equation.lost, equation.absent) == (17, 9, 0)
    checked = {
        result.check_name: result
        for result in lake_results(Line(line.settings), AD_IMPRESSIONS, tail=1_000)
    }
    assert not checked[LOST].passed
    assert checked[LOST].metadata["lost"].value == 9
    assert "dropped 9 messages before they were read" in str(checked[LOST].description)
    assert checked[CONSERVATION].passed
    # The alarm ends when what was lost is no longer among the newest.
    (alarm,) = (
        result
        for result in lake_results(Line(line.settings), AD_IMPRESSIONS, tail=1)
        if result.check_name == LOST
    )
    assert alarm.passed


def test_a_truncation_between_planning_and_reading_is_planned_again(
    make_line: MakeLine, apache_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_line()
    line.send(message(number) for number in range(20))
    instants: list[str] = []

    def at(instant: str) -> None:
        instants.append(instant)
        if instants == ["plan.done"]:
            truncate(apache_kafka, 6)

    monkeypatch.setattr(lane_module, "reach", at)
    line.ingest()
    assert instants.count("plan.done") == 2
    # Nothing of the topic was committed before: it begins where the broker begins.
    assert line.equations()[line.topic_id, 0].start == 6
    line.send(message(number) for number in range(20, 30))
    instants.clear()

    def later(instant: str) -> None:
        instants.append(instant)
        if instants == ["plan.done"]:
            truncate(apache_kafka, 23)

    monkeypatch.setattr(lane_module, "reach", later)
    line.ingest()
    assert line.gaps("lost") == [(20, 3)]
    equation = line.equations()[line.topic_id, 0]
    assert (equation.start, equation.end, equation.accepted) == (6, 30, 21)


def test_tombstones_keys_and_headers_arrive_as_they_were_sent(make_line: MakeLine) -> None:
    line = make_line()
    headers = [("n", None), ("n", b""), ("n", b"\xff\x00"), ("Straße", b"1")]
    sent = [
        OutgoingMessage(b"k", None, headers, NOON_MS, 0),
        OutgoingMessage(None, None, None, NOON_MS + 1, 0),
        OutgoingMessage(b"", b"", [("empty", b"")], NOON_MS + 2, 0),
        OutgoingMessage(b"\x00", impression(3), None, NOON_MS + 3, 0),
    ]
    line.send(sent)
    line.ingest()
    rows = line.raw
    assert rows["key"].to_list() == [b"k", None, b"", b"\x00"]
    assert rows["value"].to_list() == [None, None, b"", impression(3)]
    assert rows["headers"].to_list() == [
        [{"key": name, "value": value} for name, value in headers],
        None,
        [{"key": "empty", "value": b""}],
        None,
    ]
    assert rows["kafka_timestamp"].dt.epoch("ms").to_list() == [NOON_MS + n for n in range(4)]
    equation = line.equations()[line.topic_id, 0]
    assert (equation.accepted, equation.rejected, equation.absent) == (1, 3, 0)
    # The last landed message is compared with the broker's before the next range is read.
    line.send([OutgoingMessage(b"k", None, headers, NOON_MS, 0)])
    line.ingest()
    line.send([message(9)])
    line.ingest()
    assert line.equations()[line.topic_id, 0].end == 6


def test_messages_of_ten_megabytes_arrive_one_by_one_where_a_batch_is_smaller(
    make_line: MakeLine,
) -> None:
    line = make_line(config={"max.message.bytes": str(LIMIT)}, max_bytes=1_000_000)
    large = [
        OutgoingMessage(b"k", impression(n, padding=str(n) * TEN_MEGABYTES), None, NOON_MS + n, 0)
        for n in range(3)
    ]
    sent = [message(10), *large, message(11)]
    line.send(sent, **{"message.max.bytes": str(LIMIT), "compression.type": "none"})
    reports = line.ingest()
    assert len(reports) > 1
    assert line.values() == [item.value for item in sent]
    equation = line.equations()[line.topic_id, 0]
    # They are landed as they are, and too large for what the contract lets in.
    assert (equation.accepted, equation.rejected, equation.lost) == (2, 3, 0)
    assert sum(report.reasons.get("too_large", 0) for report in reports) == 3


def test_what_is_too_large_for_somebody_names_the_limits(make_line: MakeLine) -> None:
    line = make_line(config={"max.message.bytes": str(LIMIT)})
    large = OutgoingMessage(b"k", b"x" * TEN_MEGABYTES, None, NOON_MS, 0)
    plain = {"compression.type": "none"}
    with pytest.raises(DeliveryFailed, match=r"`message\.max\.bytes` in ADX_KAFKA__CLIENT_OPTIONS"):
        line.send([large])
    larger = OutgoingMessage(b"k", b"x" * (LIMIT + 1), None, NOON_MS, 0)
    with pytest.raises(DeliveryFailed, match=r"the topic's `max\.message\.bytes`"):
        line.send([larger], **plain, **{"message.max.bytes": str(2 * LIMIT)})
    line.send([message(0), large], **plain, **{"message.max.bytes": str(LIMIT)})
    # A small fetch is no obstacle: a broker sends at least one message. A small response is one.
    small = {"max.partition.fetch.bytes": "1000"}
    too_small = {"fetch.max.bytes": "1000000", "receive.message.max.bytes": "1000512"}
    impossible = {"receive.message.max.bytes": "1000000"}
    whole = [OffsetRange(0, 0, 2)]

    def read(options: dict[str, str], idle: float) -> pl.DataFrame:
        settings = line.kafka.model_copy(update={"client_options": options})
        return read_ranges(settings, TOPIC, line.topic_id, whole, idle_timeout_seconds=idle)

    assert read(small, 20)["value"].to_list() == [impression(0), large.value]
    with pytest.raises(ReadStalled, match=r"raise `receive\.message\.max\.bytes`") as stalled:
        read(too_small, 6)
    assert "(at 1)" in str(stalled.value)
    with pytest.raises(StreamError, match=r"cannot be used: .*receive\.message\.max\.bytes"):
        read(impossible, 2)
    line.ingest()
    assert line.equations()[line.topic_id, 0].end == 2

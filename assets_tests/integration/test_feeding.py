"""Feeding a simulated market to a real broker: it goes on where an earlier attempt stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.errors import AdxError
from adx_platform.settings import KafkaSettings
from adx_platform.simulate.feeding import FeedReport, feed_topic
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EmbeddedBroker
from adx_platform.streams.errors import BrokerUnreachable
from adx_platform.streams.producer import OutgoingMessage, produce
from adx_platform.streams.reader import RangeReader

pytestmark = pytest.mark.broker

SCHEMA = {
    "partition": pl.Int32,
    "sequence": pl.Int64,
    "timestamp_ms": pl.Int64,
    "key": pl.Binary,
    "value": pl.Binary,
    "headers": pl.List(pl.Struct({"key": pl.String, "value": pl.Binary})),
}
# Longer ago than a broker keeps messages by default.
LONG_AGO_MS = 1_500_000_000_000
SENT = ("partition", "sequence", "timestamp_ms", "key", "value")


def wire_rows(per_partition: int, partitions: Sequence[int] = (0, 1, 2, 3)) -> pl.DataFrame:
    """Messages in send order: the partitions take turns, unevenly."""
    rows = [
        (
            partition,
            sequence,
            LONG_AGO_MS + 10 * sequence + partition,
            b"k%d" % partition,
            None if sequence % 7 == 6 else b"%d/%d" % (partition, sequence),
            [{"key": "h", "value": b"\xff"}] if sequence % 5 == 0 else None,
        )
        for sequence in range(per_partition)
        for partition in partitions
        if partition == 0 or sequence % 2 == 0 or sequence < per_partition // 2
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return frame.with_columns(
        sequence=(pl.col("sequence").cum_count().over("partition") - 1).cast(pl.Int64)
    )


def write_wire(folder: Path, topic: str, rows: pl.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(folder / f"{topic}.parquet")


def at_broker(kafka: KafkaSettings, topic: str) -> pl.DataFrame:
    with KafkaAdmin(kafka) as admin:
        ends = {p: marks.last_stable for p, marks in admin.watermarks(topic).items()}
        topic_id = admin.describe(topic).topic_id
    ranges = [OffsetRange(partition, 0, end) for partition, end in ends.items() if end]
    with RangeReader(kafka, topic, topic_id) as reader:
        found = reader.read(ranges)
    return found.select(
        "partition",
        sequence="offset",
        timestamp_ms=pl.col("kafka_timestamp").dt.epoch("ms"),
        key="key",
        value="value",
    )


def assert_all_there(kafka: KafkaSettings, topic: str, rows: pl.DataFrame) -> None:
    expected = rows.select(SENT).sort("partition", "sequence")
    assert at_broker(kafka, topic).sort("partition", "sequence").equals(expected)


def test_every_message_gets_the_offset_that_is_its_place_in_the_file(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    topic, rows = f"{topic_prefix}fresh", wire_rows(30)
    write_wire(tmp_path, topic, rows)
    progress: list[int] = []
    report = feed_topic(kafka, tmp_path, topic, on_progress=progress.append)
    assert report == FeedReport(topic, sent=rows.height, already_there=0)
    assert progress[-1] == rows.height
    assert_all_there(kafka, topic, rows)


def test_a_second_feed_sends_nothing(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    topic, rows = f"{topic_prefix}again", wire_rows(10)
    write_wire(tmp_path, topic, rows)
    feed_topic(kafka, tmp_path, topic)
    assert feed_topic(kafka, tmp_path, topic) == FeedReport(topic, 0, rows.height)
    assert_all_there(kafka, topic, rows)


@pytest.mark.parametrize("taken", [1, 17, 60])
def test_an_interrupted_feed_goes_on_at_the_watermark_of_each_partition(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path, taken: int
) -> None:
    topic, rows = f"{topic_prefix}cut{taken}", wire_rows(20)
    write_wire(tmp_path, topic, rows)
    with KafkaAdmin(kafka) as admin:
        admin.create_topics([topic], config={"retention.ms": "-1"})
    # What an earlier feed got through before it was killed.
    produce(
        kafka,
        topic,
        [
            OutgoingMessage(key, value, None, timestamp_ms, partition)
            for partition, _, timestamp_ms, key, value, _ in rows.head(taken).iter_rows()
        ],
    )
    report = feed_topic(kafka, tmp_path, topic)
    assert report == FeedReport(topic, sent=rows.height - taken, already_there=taken)
    assert_all_there(kafka, topic, rows)


def test_a_longer_market_goes_on_after_the_shorter_one(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    topic, rows = f"{topic_prefix}longer", wire_rows(20)
    write_wire(tmp_path / "short", topic, rows.head(31))
    write_wire(tmp_path / "long", topic, rows)
    feed_topic(kafka, tmp_path / "short", topic)
    report = feed_topic(kafka, tmp_path / "long", topic)
    assert (report.sent, report.already_there) == (rows.height - 31, 31)
    assert_all_there(kafka, topic, rows)


def test_a_partition_without_messages_is_no_obstacle(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    topic, rows = f"{topic_prefix}sparse", wire_rows(5, partitions=(2,))
    write_wire(tmp_path, topic, rows)
    assert feed_topic(kafka, tmp_path, topic).sent == rows.height
    assert_all_there(kafka, topic, rows)


def test_a_topic_with_fewer_partitions_is_refused_and_stays_as_it_is(
    kafka: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    topic = f"{topic_prefix}narrow"
    write_wire(tmp_path, topic, wire_rows(5))
    with KafkaAdmin(kafka) as admin:
        admin.create_topics([topic], partitions=2)
        with pytest.raises(AdxError, match=r"has 2 partitions, but .* partitions up to 3"):
            feed_topic(kafka, tmp_path, topic)
        assert {marks.last_stable for marks in admin.watermarks(topic).values()} == {0}


def test_without_a_simulated_file(kafka: KafkaSettings, topic_prefix: str, tmp_path: Path) -> None:
    with pytest.raises(AdxError, match="run `adx simulate` first"):
        feed_topic(kafka, tmp_path, f"{topic_prefix}nothing")


def test_a_broker_that_was_away_gets_the_rest(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    topic, rows = "resumed", wire_rows(20)
    write_wire(tmp_path / "short", topic, rows.head(40))
    write_wire(tmp_path / "long", topic, rows)
    kafka = KafkaSettings(
        bootstrap_servers=own_broker.bootstrap_servers, request_timeout_seconds=2.0
    )
    own_broker.start()
    feed_topic(kafka, tmp_path / "short", topic)
    own_broker.stop()
    with pytest.raises(BrokerUnreachable):
        feed_topic(kafka, tmp_path / "long", topic)
    own_broker.start()
    report = feed_topic(kafka, tmp_path / "long", topic)
    assert report.sent + report.already_there == rows.height
    assert report.already_there <= 40
    assert_all_there(kafka, topic, rows)

"""The streams package against a running broker: what the unit tests assume, seen to be true."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.client import ErrorLog, client_config
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from adx_platform.streams.errors import (
    BrokerUnreachable,
    DeliveryFailed,
    EmbeddedBrokerError,
    RangeUnavailable,
    ReadStalled,
    TopicRewound,
    UnknownTopic,
)
from adx_platform.streams.fingerprint import fingerprint
from adx_platform.streams.frames import covered_ranges
from adx_platform.streams.planner import plan
from adx_platform.streams.producer import OutgoingMessage, produce
from adx_platform.streams.reader import RangeReader, read_ranges
from adx_platform.streams.topics import Watermarks

pytestmark = pytest.mark.broker

NOW_MS = int(time.time() * 1000)


@pytest.fixture
def admin(kafka: KafkaSettings) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(kafka) as made:
        yield made


@pytest.fixture
def topic(admin: KafkaAdmin, topic_prefix: str) -> Iterator[str]:
    name = f"{topic_prefix}events"
    admin.create_topics([name])
    yield name
    admin.delete_topics([name])


def numbered(count: int, partition: int | None = 0, text: str = "v") -> list[OutgoingMessage]:
    return [
        OutgoingMessage(b"k%d" % n, f"{text}{n}".encode(), None, NOW_MS + n, partition)
        for n in range(count)
    ]


def everything(settings: KafkaSettings, topic: str) -> list[OffsetRange]:
    with KafkaAdmin(settings) as admin:
        marks = admin.watermarks(topic)
    return [OffsetRange(p, mark.low, mark.last_stable) for p, mark in marks.items()]


def read(settings: KafkaSettings, topic: str, *ranges: OffsetRange) -> pl.DataFrame:
    return read_ranges(settings, topic, "id", ranges, idle_timeout_seconds=15)


def truncate(settings: KafkaSettings, topic: str, partition: int, offset: int) -> None:
    client = AdminClient(client_config(settings, ErrorLog()))
    for future in client.delete_records([TopicPartition(topic, partition, offset)]).values():
        future.result(timeout=10)


class TestAdmin:
    def test_a_new_topic_can_be_described(self, admin: KafkaAdmin, topic: str) -> None:
        found = admin.describe(topic)
        assert found.name == topic
        assert found.partitions == (0, 1, 2, 3)
        assert found.topic_id
        assert "/" not in found.topic_id
        assert topic in admin.topics()
        assert admin.watermarks(topic) == {p: Watermarks(0, 0) for p in range(4)}

    def test_creating_again_leaves_the_topic_as_it_is(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic: str, topic_prefix: str
    ) -> None:
        produce(kafka, topic, numbered(3))
        other = f"{topic_prefix}other"
        assert admin.create_topics([topic, other, other], partitions=2) == (other,)
        assert admin.watermarks(topic)[0] == Watermarks(0, 3)
        assert admin.describe(other).partitions == (0, 1)
        admin.delete_topics([other])
        assert other not in admin.topics()

    def test_an_unknown_topic_is_named(self, admin: KafkaAdmin, topic_prefix: str) -> None:
        name = f"{topic_prefix}nowhere"
        for ask in (admin.describe, admin.watermarks, lambda n: admin.delete_topics([n])):
            with pytest.raises(UnknownTopic, match=f"topic '{name}' does not exist"):
                ask(name)

    def test_lag_tools_see_the_committed_offsets(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic: str, topic_prefix: str
    ) -> None:
        produce(kafka, topic, numbered(9))
        group = f"{topic_prefix}group"
        admin.commit_group_offsets(group, topic, {0: 7, 2: 0})

        client = AdminClient(client_config(kafka, ErrorLog()))
        futures = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = futures[group].result(timeout=10).topic_partitions
        assert {(p.topic, p.partition, p.offset) for p in found if p.offset >= 0} == {
            (topic, 0, 7),
            (topic, 2, 0),
        }


class TestReading:
    def test_messages_come_back_exactly(self, kafka: KafkaSettings, topic: str) -> None:
        big = os.urandom(900_000)
        sent = [
            OutgoingMessage(b"k", b"value", [("h", b"1"), ("h", None), ("g", b"")], NOW_MS, 1),
            OutgoingMessage(None, b"\x00\xff\n", None, NOW_MS - 86_400_000, 1),
            OutgoingMessage(b"", b"", None, NOW_MS + 5, 1),
            OutgoingMessage(b"gone", None, None, NOW_MS + 6, 1),
            OutgoingMessage(b"big", big, [("contract_version", b"2")], NOW_MS + 7, 1),
        ]
        report = produce(kafka, topic, sent)
        assert report.messages == 5
        raw = read(kafka, topic, *everything(kafka, topic))
        assert raw["value"].to_list() == [b"value", b"\x00\xff\n", b"", None, big]
        assert raw["key"].to_list() == [b"k", None, b"", b"gone", b"big"]
        assert raw["offset"].to_list() == [0, 1, 2, 3, 4]
        assert raw["partition"].to_list() == [1] * 5
        assert raw["kafka_timestamp"].dt.epoch("ms").to_list() == [m.timestamp_ms for m in sent]
        assert raw["gap_kind"].null_count() == 5
        assert raw["headers"].to_list() == [
            [{"key": "h", "value": b"1"}, {"key": "h", "value": None}, {"key": "g", "value": b""}],
            None,
            None,
            None,
            [{"key": "contract_version", "value": b"2"}],
        ]

    def test_a_range_in_the_middle_is_that_range(self, kafka: KafkaSettings, topic: str) -> None:
        produce(kafka, topic, [*numbered(500, 0), *numbered(500, 3)])
        raw = read(kafka, topic, OffsetRange(3, 490, 500), OffsetRange(0, 123, 131))
        assert raw["value"].to_list() == [
            *(b"v%d" % n for n in range(123, 131)),
            *(b"v%d" % n for n in range(490, 500)),
        ]

    def test_one_reader_drains_a_topic_in_bounded_batches(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic: str
    ) -> None:
        produce(kafka, topic, numbered(20_000, None))
        marks = admin.watermarks(topic)
        committed: dict[int, int | None] = dict.fromkeys(marks)
        frames: list[pl.DataFrame] = []
        with RangeReader(kafka, topic, "id") as reader:
            while not (made := plan(committed, marks, max_records=3_000)).is_empty:
                frames.append(reader.read(made.reads))
                committed.update(made.next_offsets)
        assert len(frames) == 7
        rows = pl.concat(frames)
        assert sorted(rows["value"].to_list()) == sorted(m.value or b"" for m in numbered(20_000))
        assert rows["gap_kind"].null_count() == 20_000
        assert covered_ranges(rows) == merge_ranges(everything(kafka, topic))

    def test_readers_side_by_side_do_not_disturb_each_other(
        self, kafka: KafkaSettings, topic: str
    ) -> None:
        produce(kafka, topic, [m for p in range(4) for m in numbered(2_000, p)])
        got: dict[int, pl.DataFrame] = {}

        def work(number: int) -> None:
            got[number] = read(
                kafka, topic, OffsetRange(number, 0, 2_000), OffsetRange(3 - number, 500, 1_500)
            )

        threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        for number in (0, 1):
            assert got[number]["value"].to_list() == [
                *(b"v%d" % n for n in range(2_000)),
                *(b"v%d" % n for n in range(500, 1_500)),
            ]

    def test_messages_that_arrive_later_are_read_by_the_same_reader(
        self, kafka: KafkaSettings, topic: str
    ) -> None:
        with RangeReader(kafka, topic, "id", idle_timeout_seconds=15) as reader:
            for start in (0, 10, 20):
                produce(kafka, topic, numbered(10, 0, text=f"{start}-"))
                raw = reader.read([OffsetRange(0, start, start + 10)])
                assert raw["value"].to_list() == [b"%d-%d" % (start, n) for n in range(10)]

    def test_a_range_that_is_not_there_is_refused(self, kafka: KafkaSettings, topic: str) -> None:
        produce(kafka, topic, numbered(5))
        with pytest.raises(RangeUnavailable, match="Plan again"):
            read(kafka, topic, OffsetRange(0, 100, 110))

    def test_an_empty_topic_has_nothing_to_read(self, kafka: KafkaSettings, topic: str) -> None:
        with pytest.raises(ReadStalled, match="unfinished: 0:"):
            read_ranges(kafka, topic, "id", [OffsetRange(0, 0, 1)], idle_timeout_seconds=1)

    def test_an_unknown_topic_is_refused(self, kafka: KafkaSettings, topic_prefix: str) -> None:
        with pytest.raises(UnknownTopic):
            read(kafka, f"{topic_prefix}nowhere", OffsetRange(0, 0, 5))


class TestGaps:
    def test_truncated_offsets_are_planned_as_lost(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic: str
    ) -> None:
        produce(kafka, topic, numbered(50))
        truncate(kafka, topic, 0, 30)
        marks = admin.watermarks(topic)
        assert marks[0] == Watermarks(30, 50)
        made = plan({0: 10}, marks, max_records=100)
        with RangeReader(kafka, topic, "id", idle_timeout_seconds=15) as reader:
            raw = reader.read(made.reads, losses=made.losses)
        assert covered_ranges(raw) == (OffsetRange(0, 10, 50),)
        assert raw.filter(pl.col("gap_kind") == "lost").select("offset", "gap_length").rows() == [
            (10, 20)
        ]
        with pytest.raises(RangeUnavailable):
            read(kafka, topic, OffsetRange(0, 10, 50))

    def test_aborted_and_control_records_are_absent_and_open_ones_are_not_read(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic: str, topic_prefix: str
    ) -> None:
        options = client_config(kafka, ErrorLog())
        writer = Producer(options | {"transactional.id": f"{topic_prefix}writer"})
        writer.init_transactions(15)

        def transaction(text: bytes, end: Callable[[], object]) -> None:
            writer.begin_transaction()
            for number in range(3):
                writer.produce(topic, text + b"%d" % number, partition=0)
            writer.flush(15)
            end()

        transaction(b"good", writer.commit_transaction)  # 0..2 and a marker at 3
        transaction(b"bad", writer.abort_transaction)  # 4..6 and a marker at 7
        transaction(b"fine", writer.commit_transaction)  # 8..10 and a marker at 11
        transaction(b"bad", writer.abort_transaction)  # 12..14 and a marker at 15
        transaction(b"open", lambda: None)
        try:
            assert admin.watermarks(topic)[0] == Watermarks(0, 16)
            with RangeReader(kafka, topic, "id", idle_timeout_seconds=15) as reader:
                raw = reader.read([OffsetRange(0, 0, 16)])
                inside = reader.read([OffsetRange(0, 5, 7)])
        finally:
            writer.abort_transaction(15)
        assert raw.select("offset", "gap_kind", "gap_length", "value").rows() == [
            (0, None, None, b"good0"),
            (1, None, None, b"good1"),
            (2, None, None, b"good2"),
            (3, "absent", 5, None),
            (8, None, None, b"fine0"),
            (9, None, None, b"fine1"),
            (10, None, None, b"fine2"),
            (11, "absent", 5, None),
        ]
        assert inside.select("offset", "gap_kind", "gap_length").rows() == [(5, "absent", 2)]

    def test_old_timestamps_are_kept_where_the_topic_says_so(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic_prefix: str
    ) -> None:
        name = f"{topic_prefix}past"
        admin.create_topics([name], partitions=1, config=EMBEDDED_TOPIC_CONFIG)
        long_ago = [
            OutgoingMessage(None, b"old", None, 1_600_000_000_000 + n) for n in range(5_000)
        ]
        produce(kafka, name, long_ago)
        assert admin.watermarks(name) == {0: Watermarks(0, 5_000)}
        assert read(kafka, name, OffsetRange(0, 0, 5_000)).height == 5_000


class TestReplacedTopics:
    def test_the_fingerprint_tells_a_topic_that_was_created_anew(
        self, kafka: KafkaSettings, admin: KafkaAdmin, topic_prefix: str
    ) -> None:
        name = f"{topic_prefix}reborn"
        admin.create_topics([name], partitions=1)
        produce(kafka, name, numbered(20, text="first"))
        landed = read(kafka, name, OffsetRange(0, 0, 10)).row(9, named=True)
        stored = fingerprint(int(landed["kafka_timestamp"].timestamp() * 1000), landed["value"])
        with RangeReader(kafka, name, "id", idle_timeout_seconds=15) as reader:
            assert reader.fingerprint_at(0, 9) == stored
        admin.delete_topics([name])
        admin.create_topics([name], partitions=1)
        # Fewer messages than were committed show by themselves ...
        with pytest.raises(TopicRewound):
            plan({0: 10}, admin.watermarks(name), max_records=100)
        # ... as many or more do not: the plan looks right, and only the record tells.
        produce(kafka, name, numbered(20, text="second"))
        assert plan({0: 10}, admin.watermarks(name), max_records=100).reads
        with RangeReader(kafka, name, "id", idle_timeout_seconds=15) as reader:
            assert reader.fingerprint_at(0, 9) != stored
        admin.delete_topics([name])


class TestProducing:
    def test_keys_keep_their_partition(self, kafka: KafkaSettings, topic: str) -> None:
        produce(kafka, topic, (m for _ in range(3) for m in numbered(200, None)))
        raw = read(kafka, topic, *everything(kafka, topic))
        assert raw.height == 600
        assert raw.group_by("key").agg(pl.col("partition").n_unique())["partition"].max() == 1
        assert raw["partition"].n_unique() == 4

    def test_an_unknown_topic_is_refused(self, kafka: KafkaSettings, topic_prefix: str) -> None:
        with pytest.raises(UnknownTopic):
            produce(kafka, f"{topic_prefix}nowhere", numbered(1))

    def test_an_unknown_partition_is_a_failed_delivery(
        self, kafka: KafkaSettings, topic: str
    ) -> None:
        with pytest.raises(DeliveryFailed, match=r"1 of the 1 messages|cannot be sent"):
            produce(kafka, topic, numbered(1, 77))


class TestLifeCycle:
    def test_a_stop_keeps_the_messages_and_frees_the_port(self, own_broker: EmbeddedBroker) -> None:
        started = own_broker.start()
        assert started.running
        settings = KafkaSettings(bootstrap_servers=own_broker.bootstrap_servers)
        with KafkaAdmin(settings) as admin:
            admin.create_topics(["kept"])
            produce(settings, "kept", numbered(5_000, None))
            before = read(settings, "kept", *everything(settings, "kept"))
            assert own_broker.stop() is True
            assert own_broker.status().running is False
            assert own_broker.stop() is False
            again = own_broker.start()
            assert again.pid != started.pid
            assert again.data_bytes > 0
            after = read(settings, "kept", *everything(settings, "kept"))
        assert after.height == 5_000
        assert after.equals(before)

    def test_starting_twice_is_starting_once(self, own_broker: EmbeddedBroker) -> None:
        assert own_broker.start().pid == own_broker.start().pid

    def test_another_process_can_start_it_and_this_one_can_stop_it(
        self, own_broker: EmbeddedBroker
    ) -> None:
        script = (
            "import sys; from pathlib import Path\n"
            "from adx_platform.streams.embedded import EmbeddedBroker\n"
            "EmbeddedBroker(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])).start()\n"
        )
        where = [own_broker._data_dir, own_broker._port, own_broker._log_file]
        subprocess.run([sys.executable, "-c", script, *map(str, where)], check=True, timeout=60)
        status = own_broker.status()
        assert status.running
        with KafkaAdmin(KafkaSettings(bootstrap_servers=status.bootstrap_servers)) as admin:
            assert admin.topics() == ()
        assert own_broker.stop() is True
        assert own_broker.status().running is False

    def test_a_taken_port_is_said_before_anything_is_started(
        self, own_broker: EmbeddedBroker
    ) -> None:
        with (
            socket.create_server(("127.0.0.1", own_broker._port)),
            pytest.raises(EmbeddedBrokerError, match="is taken by another program"),
        ):
            own_broker.start()
        assert own_broker.status().running is False
        assert not own_broker._log_file.exists()

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
    def test_a_broker_that_was_killed_is_started_again(self, own_broker: EmbeddedBroker) -> None:
        pid = own_broker.start().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while own_broker.status().running:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        note = json.loads((own_broker._data_dir / "broker.json").read_text(encoding="utf-8"))
        assert note["pid"] == pid
        assert own_broker.start().pid != pid

    def test_a_broker_that_cannot_start_shows_its_own_words(
        self, own_broker: EmbeddedBroker
    ) -> None:
        own_broker._store.mkdir(parents=True)
        (own_broker._store / "kafka.json").mkdir()
        with pytest.raises(EmbeddedBrokerError, match=r"(?s)ended at once: .*directory.*log: "):
            own_broker.start()
        assert own_broker.status().running is False

    def test_a_tls_client_of_a_plain_broker_is_told_so(self, kafka: KafkaSettings) -> None:
        options = {"security_protocol": "SSL", "request_timeout_seconds": 0.5}
        with (
            KafkaAdmin(kafka.model_copy(update=options)) as admin,
            pytest.raises(BrokerUnreachable, match=r"speak SSL\?.*ADX_KAFKA__SECURITY_PROTOCOL"),
        ):
            admin.topics()

    def test_a_stopped_broker_is_an_unreachable_one(self, own_broker: EmbeddedBroker) -> None:
        own_broker.start()
        own_broker.stop()
        settings = KafkaSettings(
            bootstrap_servers=own_broker.bootstrap_servers, request_timeout_seconds=0.5
        )
        with KafkaAdmin(settings) as admin, pytest.raises(BrokerUnreachable, match="refused"):
            admin.topics()
        with pytest.raises(BrokerUnreachable, match="refused"):
            produce(settings, "any", numbered(1))

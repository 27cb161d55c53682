from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from confluent_kafka import KafkaError, Message, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.settings import KafkaSettings
from adx_platform.streams import reader as reader_module
from adx_platform.streams.errors import (
    AuthenticationFailed,
    RangeUnavailable,
    ReadStalled,
    UnknownTopic,
)
from adx_platform.streams.fingerprint import fingerprint
from adx_platform.streams.frames import covered_ranges
from adx_platform.streams.planner import plan
from adx_platform.streams.reader import RangeReader, read_ranges
from adx_platform.streams.topics import Watermarks

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def message(partition: int, offset: int, value: bytes | None = None) -> Message:
    return Message(
        topic="t",
        partition=partition,
        offset=offset,
        value=b"%d/%d" % (partition, offset) if value is None else value,
        timestamp=(1, 1000 + offset),
    )


def event(partition: int, offset: int, code: int) -> Message:
    return Message(topic="t", partition=partition, offset=offset, error=KafkaError(code))


@dataclass
class Log:
    """A broker in memory: which offsets of a partition have a message, and how far it reaches."""

    present: dict[int, list[int]]
    end: dict[int, int]
    low: dict[int, int] = field(default_factory=dict)
    value_size: int = 0
    topic_error: KafkaError | None = None
    silent_after: int | None = None
    """From this many deliveries on, consumers say nothing."""
    consumers: list[FakeConsumer] = field(default_factory=list)
    fetched: int = 0

    def consumer(self, options: dict[str, Any]) -> FakeConsumer:
        made = FakeConsumer(self, options)
        self.consumers.append(made)
        return made


class FakeConsumer:
    """Delivers whole partitions one after the other, as a broker without fetch limits does."""

    def __init__(self, log: Log, options: dict[str, Any]) -> None:
        self.log = log
        self.options = options
        self.position: dict[int, int] = {}
        self.eof: dict[int, int] = {}
        self.closed = False

    def list_topics(self, topic: str, timeout: float) -> object:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=self.log.topic_error)})

    def poll(self, timeout: float) -> None:
        return None

    def incremental_assign(self, parts: list[TopicPartition]) -> None:
        for part in parts:
            assert part.partition not in self.position
            self.position[part.partition] = part.offset
            self.eof.pop(part.partition, None)

    def incremental_unassign(self, parts: list[TopicPartition]) -> None:
        for part in parts:
            del self.position[part.partition]

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        assert not self.closed
        out: list[Message] = []
        for partition in sorted(self.position):
            while len(out) < num_messages and (item := self._next(partition)) is not None:
                out.append(item)
        return out

    def _next(self, partition: int) -> Message | None:
        log, at = self.log, self.position[partition]
        if log.silent_after is not None and log.fetched >= log.silent_after:
            return None
        if at < log.low.get(partition, 0) or at > log.end[partition]:
            return event(partition, at, KafkaError._AUTO_OFFSET_RESET)
        following = [o for o in log.present[partition] if o >= at]
        if following:
            log.fetched += 1
            self.position[partition] = following[0] + 1
            value = b"x" * log.value_size if log.value_size else None
            return message(partition, following[0], value)
        if self.eof.get(partition) == log.end[partition]:
            return None
        self.position[partition] = self.eof[partition] = log.end[partition]
        return event(partition, log.end[partition], KafkaError._PARTITION_EOF)

    def close(self) -> None:
        self.closed = True


def use(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setattr(reader_module, "Consumer", log.consumer)


def new_reader(idle: float = 5.0) -> RangeReader:
    return RangeReader(SETTINGS, "t", "id", idle_timeout_seconds=idle)


def full_log(**ends: int) -> Log:
    end = {int(name[1:]): value for name, value in ends.items()}
    return Log(present={p: list(range(e)) for p, e in end.items()}, end=end)


def test_exactly_the_range_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, full_log(p0=20, p1=20))
    raw = read_ranges(
        SETTINGS,
        "t",
        "id",
        [OffsetRange(1, 3, 5), OffsetRange(0, 18, 20)],
        idle_timeout_seconds=5,
    )
    assert raw.select("partition", "offset", "value").rows() == [
        (0, 18, b"0/18"),
        (0, 19, b"0/19"),
        (1, 3, b"1/3"),
        (1, 4, b"1/4"),
    ]


def test_offsets_without_a_message_end_a_range_by_the_brokers_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Log(present={0: [2, 3]}, end={0: 9}))
    with new_reader() as reader:
        raw = reader.read([OffsetRange(0, 0, 9)])
    assert raw.select("offset", "gap_length").rows() == [(0, 2), (2, None), (3, None), (4, 5)]


def test_the_end_event_of_an_earlier_read_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # The broker says "end of partition" once per position; the second range has no message at all.
    log = Log(present={0: [0, 1]}, end={0: 9})
    use(monkeypatch, log)
    with new_reader(idle=0.2) as reader:
        reader.read([OffsetRange(0, 0, 4)])
        raw = reader.read([OffsetRange(0, 4, 9)])
    assert covered_ranges(raw) == (OffsetRange(0, 4, 9),)
    assert len(log.consumers) == 1


def test_ranges_that_follow_each_other_fetch_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    log = full_log(p0=100, p1=100)
    use(monkeypatch, log)
    with new_reader() as reader:
        for start in range(0, 100, 10):
            reader.read([OffsetRange(p, start, start + 10) for p in (0, 1)])
    assert log.fetched == 200
    assert len(log.consumers) == 1


def test_a_reader_that_rests_fetches_nothing_and_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = full_log(p0=50, p1=10)
    use(monkeypatch, log)
    with new_reader() as reader:
        reader.read([OffsetRange(p, 0, 5) for p in (0, 1)])
        reader.rest()
        assert log.consumers[0].position == {}
        raw = reader.read([OffsetRange(0, 5, 50), OffsetRange(1, 5, 10)])
    assert raw.select("partition", "offset").rows() == [
        *((0, offset) for offset in range(5, 50)),
        *((1, offset) for offset in range(5, 10)),
    ]
    assert log.fetched == 60
    assert len(log.consumers) == 1


def test_a_reader_that_rests_does_not_keep_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(present={0: list(range(100))}, end={0: 100}, value_size=10)
    use(monkeypatch, log)
    monkeypatch.setattr(reader_module, "_BATCH", 10)
    monkeypatch.setattr(reader_module, "_LEFTOVER_BYTES", 150)
    with new_reader() as reader:
        reader.read([OffsetRange(0, 0, 10)])
        reader.rest()
        assert log.fetched == 30
        assert reader.read([OffsetRange(0, 10, 100)])["offset"].to_list() == list(range(10, 100))
    assert log.fetched == 100


def test_a_jump_takes_a_fresh_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    log = full_log(p0=100)
    use(monkeypatch, log)
    with new_reader() as reader:
        reader.read([OffsetRange(0, 50, 60)])
        raw = reader.read([OffsetRange(0, 10, 12)])
    assert raw["offset"].to_list() == [10, 11]
    assert [c.closed for c in log.consumers] == [True, True]


@st.composite
def logs(draw: st.DrawFn) -> dict[int, tuple[int, int, set[int]]]:
    count = draw(st.integers(1, 4))
    made = {}
    for partition in range(count):
        low = draw(st.integers(0, 10))
        end = low + draw(st.integers(0, 60))
        missing = draw(st.sets(st.integers(low, max(low, end - 1)), max_size=60))
        made[partition] = (low, end, missing)
    return made


@settings(max_examples=40)
@given(
    logs(),
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(0, 60),
    st.tuples(st.booleans(), st.booleans()),
)
def test_any_batching_reads_the_log_exactly(
    spec: dict[int, tuple[int, int, set[int]]],
    max_records: int,
    batch: int,
    leftover_bytes: int,
    bounded_and_resting: tuple[bool, bool],
) -> None:
    bounded, resting = bounded_and_resting
    present = {
        p: [o for o in range(low, end) if o not in missing]
        for p, (low, end, missing) in spec.items()
    }
    log = Log(
        present=present,
        end={p: end for p, (_, end, _) in spec.items()},
        low={p: low for p, (low, _, _) in spec.items()},
    )
    marks = {p: Watermarks(low, end) for p, (low, end, _) in spec.items()}
    committed: dict[int, int | None] = dict.fromkeys(spec)
    frames = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch, log)
        monkeypatch.setattr(reader_module, "_BATCH", batch)
        monkeypatch.setattr(reader_module, "_SMALL_BATCH", batch)
        monkeypatch.setattr(reader_module, "_LEFTOVER_BYTES", leftover_bytes)
        with new_reader() as reader:
            while not (made := plan(committed, marks, max_records=max_records)).is_empty:
                raw = reader.read(made.reads, max_bytes=20 if bounded else None)
                covered = covered_ranges(raw)
                assert covered
                committed.update({r.partition: r.end for r in covered})
                frames.append(raw)
                if resting:
                    reader.rest()
    assert len(log.consumers) <= 1
    rows = pl.concat(frames).sort("partition", "offset") if frames else None
    wanted = [(p, o) for p, offsets in present.items() for o in offsets]
    if rows is None:
        assert not any(end - low for low, end, _ in spec.values())
        return
    messages = rows.filter(pl.col("gap_kind").is_null())
    assert messages.select("partition", "offset").rows() == wanted
    total = rows["gap_length"].fill_null(1).sum()
    assert total == sum(end - low for low, end, _ in spec.values())


def test_max_bytes_stops_early_but_not_without_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(present={0: list(range(50))}, end={0: 50}, value_size=1000)
    use(monkeypatch, log)
    monkeypatch.setattr(reader_module, "_BATCH", 5)
    with new_reader() as reader:
        assert covered_ranges(reader.read([OffsetRange(0, 0, 50)], max_bytes=1)) == (
            OffsetRange(0, 0, 5),
        )
        assert covered_ranges(reader.read([OffsetRange(0, 5, 50)])) == (OffsetRange(0, 5, 50),)


def test_a_truncated_range_asks_for_a_new_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Log(present={0: [8, 9]}, end={0: 10}, low={0: 8}))
    with new_reader() as reader, pytest.raises(RangeUnavailable, match="Plan again"):
        reader.read([OffsetRange(0, 2, 10)])


def test_a_silent_broker_is_given_one_fresh_connection_and_then_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(present={0: list(range(9))}, end={0: 9}, silent_after=4)
    use(monkeypatch, log)
    with new_reader(idle=0.05) as reader, pytest.raises(ReadStalled) as caught:
        reader.read([OffsetRange(0, 0, 9)])
    assert "0:[0, 9) (at 4)" in str(caught.value)
    assert "can be read again" in str(caught.value)
    assert len(log.consumers) == 2


def test_a_range_beyond_the_end_stalls_although_every_connection_says_where_the_end_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = full_log(p0=3)
    use(monkeypatch, log)
    with new_reader(idle=0.05) as reader, pytest.raises(ReadStalled, match=r"at 3\)"):
        reader.read([OffsetRange(0, 0, 5)])
    assert len(log.consumers) == 2


def test_a_fresh_connection_goes_on_where_the_old_one_fell_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(present={0: list(range(9)), 1: list(range(9))}, end={0: 9, 1: 9}, silent_after=4)

    def consumer(options: dict[str, object]) -> object:
        if log.consumers:
            log.silent_after = None
        return log.consumer(options)

    monkeypatch.setattr(reader_module, "Consumer", consumer)
    with new_reader(idle=0.2) as reader:
        raw = reader.read([OffsetRange(0, 0, 9), OffsetRange(1, 0, 9)])
    assert raw["offset"].to_list() == [*range(9), *range(9)]
    assert len(log.consumers) == 2


def test_refused_credentials_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(present={0: []}, end={0: 9}, silent_after=0)

    def consumer(options: dict[str, object]) -> object:
        options["error_cb"](KafkaError(KafkaError._AUTHENTICATION))  # type: ignore[operator] # fake
        return log.consumer(options)

    monkeypatch.setattr(reader_module, "Consumer", consumer)
    with new_reader(idle=60) as reader, pytest.raises(AuthenticationFailed):
        reader.read([OffsetRange(0, 0, 9)])


def test_an_unknown_topic_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = full_log(p0=9)
    log.topic_error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    use(monkeypatch, log)
    with new_reader() as reader, pytest.raises(UnknownTopic, match="'t' does not exist"):
        reader.read([OffsetRange(0, 0, 9)])
    assert log.fetched == 0


def test_an_unknown_partition_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    log = full_log(p0=9)
    use(monkeypatch, log)
    unknown = event(0, 0, KafkaError.UNKNOWN_TOPIC_OR_PART)
    monkeypatch.setattr(FakeConsumer, "consume", lambda *_, **__: [unknown])
    with new_reader() as reader, pytest.raises(UnknownTopic, match="'t' does not exist"):
        reader.read([OffsetRange(0, 0, 9)])


def test_passing_errors_are_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = full_log(p0=3)
    use(monkeypatch, log)
    consume = FakeConsumer.consume
    troubles = [event(0, 0, KafkaError._TRANSPORT)]
    monkeypatch.setattr(
        FakeConsumer,
        "consume",
        lambda self, *args, **kwargs: (
            [troubles.pop()] if troubles else consume(self, *args, **kwargs)
        ),
    )
    with new_reader() as reader:
        assert reader.read([OffsetRange(0, 0, 3)]).height == 3
    assert "reading topic t" in caplog.text


def test_two_ranges_of_one_partition_are_refused() -> None:
    with new_reader() as reader, pytest.raises(ValueError, match="one range per partition"):
        reader.read([OffsetRange(0, 0, 1), OffsetRange(0, 5, 6)])


def test_nothing_to_read_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    log = full_log(p0=3)
    use(monkeypatch, log)
    with new_reader() as reader:
        raw = reader.read([OffsetRange(0, 2, 2)], losses=[OffsetRange(0, 0, 2)])
    assert raw.select("gap_kind", "gap_length").rows() == [("lost", 2)]
    assert log.consumers == []


def test_the_fingerprint_is_that_of_the_record_at_the_offset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Log(present={0: [0, 1, 5]}, end={0: 7}))
    with new_reader() as reader:
        assert reader.fingerprint_at(0, 1) == fingerprint(1001, b"0/1")
        assert reader.fingerprint_at(0, 3) is None


def test_what_exactly_once_rests_on_cannot_be_configured_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = full_log(p0=1)
    use(monkeypatch, log)
    options = {
        "isolation.level": "read_uncommitted",
        "enable.auto.commit": "true",
        "auto.offset.reset": "latest",
        "enable.partition.eof": "false",
        "fetch.wait.max.ms": "7",
    }
    settings = SETTINGS.model_copy(update={"client_options": options})
    read_ranges(settings, "t", "id", [OffsetRange(0, 0, 1)], idle_timeout_seconds=5)
    used = log.consumers[0].options
    assert used["isolation.level"] == "read_committed"
    assert used["enable.auto.commit"] is False
    assert used["auto.offset.reset"] == "error"
    assert used["enable.partition.eof"] is True
    assert used["fetch.wait.max.ms"] == "7"

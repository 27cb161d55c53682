from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.streams.errors import StreamError
from adx_platform.streams.frames import MessageColumns, covered_ranges, raw_frame


def message(offset: int, **changes: object) -> Message:
    options: dict[str, object] = {"value": b"v%d" % offset, "timestamp": (1, 1000 + offset)}
    return Message(topic="t", partition=0, offset=offset, **(options | changes))


def columns(*messages: Message) -> MessageColumns:
    made = MessageColumns()
    made.extend(messages)
    return made


def instant(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def test_a_message_keeps_its_bytes_time_key_and_headers() -> None:
    headers = [("a", b"1"), ("a", None), ("b", b"")]
    raw = raw_frame(
        "id",
        {0: columns(message(7, key=b"k", headers=headers), message(8, value=None))},
        [OffsetRange(0, 7, 9)],
    )
    assert raw.schema == RAW_SCHEMA
    first, second = raw.to_dicts()
    assert first == {
        "topic_id": "id",
        "partition": 0,
        "offset": 7,
        "gap_kind": None,
        "gap_length": None,
        "kafka_timestamp": instant(1007),
        "key": b"k",
        "value": b"v7",
        "headers": [
            {"key": "a", "value": b"1"},
            {"key": "a", "value": None},
            {"key": "b", "value": b""},
        ],
    }
    assert second["value"] is None
    assert second["key"] is None
    assert second["headers"] is None


def test_an_unavailable_timestamp_is_null() -> None:
    raw = raw_frame("id", {0: columns(message(0, timestamp=(0, -1)))}, [OffsetRange(0, 0, 1)])
    assert raw["kafka_timestamp"].to_list() == [None]


def test_runs_of_missing_offsets_become_one_row_each_with_the_time_of_a_neighbour() -> None:
    raw = raw_frame("id", {0: columns(message(3), message(4), message(7))}, [OffsetRange(0, 1, 10)])
    gaps = raw.filter(pl.col("gap_kind") == "absent")
    assert gaps.select("offset", "gap_length").rows() == [(1, 2), (5, 2), (8, 2)]
    # leading and interior: the following message; trailing: the preceding one
    assert gaps["kafka_timestamp"].to_list() == [instant(1003), instant(1007), instant(1007)]
    assert raw["offset"].to_list() == [1, 3, 4, 5, 7, 8]


def test_a_range_without_any_message_is_one_row_without_a_time() -> None:
    raw = raw_frame("id", {}, [OffsetRange(2, 5, 9)])
    assert raw.select(
        "partition", "offset", "gap_kind", "gap_length", "kafka_timestamp"
    ).rows() == [(2, 5, "absent", 4, None)]


def test_lost_offsets_precede_what_was_read_and_take_its_time() -> None:
    raw = raw_frame(
        "id",
        {0: columns(message(6))},
        [OffsetRange(0, 6, 7)],
        losses=[OffsetRange(0, 2, 6), OffsetRange(1, 0, 3), OffsetRange(2, 4, 4)],
    )
    assert raw.select("partition", "offset", "gap_kind", "gap_length").rows() == [
        (0, 2, "lost", 4),
        (0, 6, None, None),
        (1, 0, "lost", 3),
    ]
    assert raw["kafka_timestamp"].to_list() == [instant(1006), instant(1006), None]


def test_nothing_asked_for_is_an_empty_frame_of_the_schema() -> None:
    raw = raw_frame("id", {}, [])
    assert raw.schema == RAW_SCHEMA
    assert raw.is_empty()
    assert covered_ranges(raw) == ()


@pytest.mark.parametrize("offsets", [[3, 3], [4, 3], [1, 3], [3, 9]])
def test_offsets_out_of_order_or_out_of_range_are_never_stored(offsets: list[int]) -> None:
    with pytest.raises(StreamError, match="out of order or outside"):
        raw_frame("id", {0: columns(*map(message, offsets))}, [OffsetRange(0, 2, 9)])


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 15), st.sets(st.integers(0, 34))),
        max_size=4,
    )
)
def test_every_offset_is_accounted_for_exactly_once(
    spec: list[tuple[int, int, set[int]]],
) -> None:
    ranges = [OffsetRange(p, start, start + count) for p, (start, count, _) in enumerate(spec)]
    present = {r.partition: sorted(o for o in spec[r.partition][2] if o in r) for r in ranges}
    found = {p: columns(*map(message, offsets)) for p, offsets in present.items()}
    raw = raw_frame("id", found, ranges)
    accounted = [
        (p, o)
        for p, start, length in raw.select(
            "partition", "offset", pl.col("gap_length").fill_null(1)
        ).rows()
        for o in range(start, start + length)
    ]
    assert accounted == [(r.partition, o) for r in ranges for o in range(r.start, r.end)]
    assert covered_ranges(raw) == merge_ranges(ranges)
    messages = raw.filter(pl.col("gap_kind").is_null())
    assert messages.select("partition", "offset").rows() == [
        (p, o) for p, offsets in present.items() for o in offsets
    ]
    # runs are maximal: two gap rows never touch
    gaps = raw.filter(pl.col("gap_kind").is_not_null())
    ends = gaps.select("partition", pl.col("offset") + pl.col("gap_length")).rows()
    assert not set(ends) & set(gaps.select("partition", "offset").rows())

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.settings import RefineSettings
from adx_platform.simulate.encoding import Encoded
from adx_platform.simulate.events import Event
from adx_platform.simulate.message_log import MessageLog, topic_counts

HOUR_MS = 3_600_000
BASE_MS = 1_772_409_600_000
BOUNDS = RefineSettings()


def _event(event_id: str = "e", time_us: int = BASE_MS * 1_000) -> Event:
    return Event("click", event_id, time_us, "key", "producer", {})


def _add(log: MessageLog, event: Event, value: bytes | None, at_ms: int, **changes: Any) -> None:
    options = {"partition": 0, "fault": None, "content": 0, "reason": None} | changes
    log.add(event, Encoded(value, None), timestamp_ms=at_ms, **options)


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([b"1", b"2"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(MESSAGES)
def test_winner_duplicates_and_conflicts_are_those_of_the_rule(sent: list[Any]) -> None:
    log = MessageLog()
    for event_id, value, partition, later, broken in sent:
        reason = ReasonCode.MALFORMED_CSV if broken else None
        _add(log, _event(event_id), value, BASE_MS + later, partition=partition, reason=reason)
    judged = log.judged(BOUNDS)
    by_event = defaultdict(list)
    for row in judged.iter_rows(named=True):
        if row["expected_reason_code"] is None:
            place = (row["timestamp_ms"], row["partition"], row["sequence"])
            by_event[row["event_id"]].append((place, row["value"], row["expected_disposition"]))
        else:
            assert row["expected_disposition"] == "rejected"
    for messages in by_event.values():
        (_, winner, first), *others = sorted(messages)
        assert first == "accepted"
        assert [mark for _, _, mark in others] == [
            "duplicate" if value == winner else "conflict" for _, value, _ in others
        ]
    assert len(judged) == len(sent) == len(log)


@pytest.mark.parametrize(
    ("behind_us", "reason", "late"),
    [
        (0, None, False),
        (3_600_000_000, None, False),
        (3_600_000_001, None, True),
        (30 * 86_400_000_000, None, True),
        (30 * 86_400_000_000 + 1, "event_too_old", True),
        (-300_000_000, None, False),
        (-300_000_001, "event_in_future", False),
    ],
)
def test_times_are_judged_to_the_microsecond_against_the_kafka_timestamp(
    behind_us: int, reason: str | None, late: bool
) -> None:
    log = MessageLog()
    _add(log, _event(time_us=BASE_MS * 1_000 - behind_us), b"1", BASE_MS)
    row = log.judged(BOUNDS).row(0, named=True)
    assert (row["expected_reason_code"], row["is_late"]) == (reason, late)


def test_a_second_copy_may_be_good_where_the_first_came_from_the_future() -> None:
    log = MessageLog()
    event = _event(time_us=(BASE_MS + HOUR_MS) * 1_000)
    _add(log, event, b"1", BASE_MS)
    _add(log, event, b"1", BASE_MS + HOUR_MS)
    assert log.judged(BOUNDS)["expected_disposition"].to_list() == ["rejected", "accepted"]


def test_ties_keep_the_order_of_sending() -> None:
    log = MessageLog()
    for value in (b"first", b"second", b"third"):
        _add(log, _event(value.decode()), value, BASE_MS)
    judged = log.judged(BOUNDS)
    assert judged["value"].to_list() == [b"first", b"second", b"third"]
    assert judged["sequence"].to_list() == [0, 1, 2]


def test_counts_name_every_topic() -> None:
    log = MessageLog()
    _add(log, _event(), b"1", BASE_MS)
    assert topic_counts(log.judged(BOUNDS)) == {
        "bid_requests": 0,
        "ad_impressions": 0,
        "clicks_conversions": 1,
    }


def test_contents_are_numbered_across_chunks() -> None:
    log = MessageLog()
    numbers = [
        log.content(Event("click", str(n), 0, "k", "p", {"click_id": str(n)}))
        for n in range(25_000)
    ]
    frame = log.content_frame("click")
    assert frame["content"].to_list() == numbers
    assert frame["click_id"].to_list() == [str(number) for number in numbers]
    assert frame.schema["content"] == pl.UInt32

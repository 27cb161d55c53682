"""Latencies of the resident loop: what was seen when, and quantiles by weight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.follow_state import (
    FollowedBatch,
    LaneProgress,
    Latency,
    SeenOffsets,
    batch_latency,
    weighted_quantile,
)
from adx_platform.pipeline.reports import BatchReport, KafkaTimes

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_each_offset_counts_from_the_look_that_first_saw_it() -> None:
    seen = SeenOffsets()
    seen.see(10, 100.0)
    seen.see(10, 101.0)
    seen.see(15, 102.0)
    assert seen.commit(OffsetRange(0, 0, 4), 103.0) == [(3.0, 4)]
    assert seen.commit(OffsetRange(0, 4, 12), 104.0) == [(4.0, 6), (2.0, 2)]
    assert seen.commit(OffsetRange(0, 12, 15), 105.0) == [(3.0, 3)]
    assert seen.commit(OffsetRange(0, 15, 20), 106.0) == []


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=8),
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
)
def test_no_offset_is_counted_twice_or_left_out(looks: list[int], commits: list[int]) -> None:
    seen, end = SeenOffsets(), 0
    for number, grown in enumerate(looks):
        end += grown
        seen.see(end, float(number))
    start = counted = 0
    for size in commits:
        stop = min(end, start + size)
        pairs = seen.commit(OffsetRange(0, start, stop), float(len(looks)))
        counted += sum(count for _, count in pairs)
        assert all(0 < seconds <= len(looks) for seconds, _ in pairs)
        start = stop
    assert counted == start


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), min_size=1),
    st.floats(0.01, 1),
)
def test_a_quantile_is_that_of_the_values_repeated(
    values: list[tuple[float, int]], share: float
) -> None:
    repeated = sorted(value for value, weight in values for _ in range(weight))
    found = weighted_quantile(values, share)
    assert found in repeated
    assert sum(value <= found for value in repeated) >= share * len(repeated) - 1e-9
    assert sum(value < found for value in repeated) <= share * len(repeated) + 1e-9


def test_nothing_has_no_quantile() -> None:
    assert weighted_quantile([], 0.5) is None
    assert weighted_quantile([(1.0, 0)], 0.5) is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=2), Latency(2.5, 3.0, "produced")),
        (timedelta(hours=1), Latency(7.0, 9.0, "seen")),
        (timedelta(minutes=-5), Latency(7.0, 9.0, "seen")),
    ],
)
def test_only_timestamps_of_the_wall_clock_tell_when_a_message_was_produced(
    age: timedelta, expected: Latency
) -> None:
    newest = NOW - age
    times = KafkaTimes(newest - timedelta(seconds=1), newest - timedelta(seconds=0.5), newest)
    assert batch_latency(times, [(7.0, 90), (9.0, 10)], NOW) == expected


def test_a_batch_of_gaps_alone_has_the_latency_of_its_looks_or_none() -> None:
    assert batch_latency(None, [(1.0, 3)], NOW) == Latency(1.0, 1.0, "seen")
    assert batch_latency(None, [], NOW) is None


def test_progress_adds_up() -> None:
    report = BatchReport(
        "ad_impressions", 0, "t", (OffsetRange(0, 0, 10),), 1, 1, {"accepted": 10}, {}, 0, 0.1
    )
    progress = LaneProgress()
    progress.add(FollowedBatch(report, NOW, Latency(1.0, 4.0, "seen")))
    progress.add(FollowedBatch(report, NOW, None))
    assert (progress.batches, progress.rows, progress.last_commit) == (2, {"accepted": 20}, NOW)
    assert weighted_quantile(progress.latencies, 0.5) == 1.0
    assert weighted_quantile(progress.latencies, 0.95) == 4.0

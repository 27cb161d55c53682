"""Ranges follow what batches take, within their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adx_platform.streams.pace import Bounds, Measured, Pace

BOUNDS = Bounds(records=100_000, value_bytes=256_000_000, seconds=10.0)

batches = st.builds(
    Measured,
    records=st.integers(0, 200_000),
    value_bytes=st.integers(0, 10**10),
    seconds=st.floats(0, 1_000),
)


@given(st.lists(batches))
def test_a_range_stays_within_its_bounds(measured: list[Measured]) -> None:
    pace = Pace.at_first(BOUNDS)
    for batch in measured:
        pace = pace.after(batch, BOUNDS)
        assert 1 <= pace.records <= BOUNDS.records
        assert pace.by_time >= BOUNDS.least


@given(st.integers(5_000, 100_000), st.floats(10.01, 1_000))
def test_after_a_slow_batch_the_next_is_smaller(records: int, seconds: float) -> None:
    pace = Pace.at_first(BOUNDS).after(Measured(records, 0, seconds), BOUNDS)
    assert pace.records < records or pace.records == BOUNDS.least


@given(st.integers(5_000, 99_999), st.floats(0.001, 9.99))
def test_a_backlog_in_quick_batches_makes_the_next_larger(limit: int, seconds: float) -> None:
    pace = Pace(limit, BOUNDS.records).after(Measured(limit, 0, seconds), BOUNDS)
    assert pace.records > limit or limit == BOUNDS.records


@given(st.integers(1, 2_499), st.floats(0.001, 9.99))
def test_a_batch_that_found_little_changes_nothing(records: int, seconds: float) -> None:
    slowed = Pace(5_000, BOUNDS.records)
    assert slowed.after(Measured(records, 0, seconds), BOUNDS) == slowed


@given(st.integers(1, 100_000), st.integers(1, 10**10))
def test_large_messages_are_planned_for(records: int, value_bytes: int) -> None:
    pace = Pace.at_first(BOUNDS).after(Measured(records, value_bytes, 1.0), BOUNDS)
    planned = pace.records * value_bytes / records
    assert planned <= BOUNDS.value_bytes or pace.records == 1


@given(st.floats(600, 100_000), st.floats(0.05, 4.0))
def test_a_steady_lane_ends_near_the_target(speed: float, overhead: float) -> None:
    """Records per second and what a commit costs whatever its size: within a dozen batches."""
    pace = Pace.at_first(BOUNDS)
    for _ in range(12):
        seconds = overhead + pace.records / speed
        pace = pace.after(Measured(pace.records, 0, seconds), BOUNDS)
    seconds = overhead + pace.records / speed
    at_bound = pace.records in {BOUNDS.least, BOUNDS.records}
    assert at_bound or abs(seconds - BOUNDS.seconds) < 0.2 * BOUNDS.seconds

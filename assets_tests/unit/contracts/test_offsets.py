from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.offsets import (
    OffsetRange,
    join_near,
    merge_ranges,
    total_count,
    within_ranges,
    without_ranges,
)

RANGES = st.builds(
    lambda partition, start, count: OffsetRange(partition, start, start + count),
    st.integers(0, 3),
    st.integers(0, 50),
    st.integers(0, 20),
)


def offsets(ranges: list[OffsetRange] | tuple[OffsetRange, ...]) -> set[tuple[int, int]]:
    return {(r.partition, o) for r in ranges for o in range(r.start, r.end)}


def test_count_and_contains_follow_the_half_open_rule() -> None:
    item = OffsetRange(1, 10, 13)
    assert item.count == 3
    assert [o for o in range(8, 16) if o in item] == [10, 11, 12]
    assert str(item) == "1:[10, 13)"


@pytest.mark.parametrize(("partition", "start", "end"), [(-1, 0, 1), (0, -1, 1), (0, 5, 4)])
def test_impossible_ranges_are_refused(partition: int, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not a range of offsets"):
        OffsetRange(partition, start, end)


@given(st.lists(RANGES, max_size=12))
def test_merging_keeps_the_offsets_and_leaves_real_gaps_between_ranges(
    ranges: list[OffsetRange],
) -> None:
    merged = merge_ranges(ranges)
    assert offsets(merged) == offsets(ranges)
    assert total_count(merged) == len(offsets(ranges))
    for left, right in pairwise(merged):
        assert (left.partition, left.end) < (right.partition, right.start)


@given(st.lists(RANGES, max_size=6), st.lists(RANGES, max_size=6))
def test_ranges_are_cut_and_joined_like_sets_of_offsets(
    some: list[OffsetRange], others: list[OffsetRange]
) -> None:
    left, common = without_ranges(some, others), within_ranges(some, others)
    assert offsets(left) == offsets(some) - offsets(others)
    assert offsets(common) == offsets(some) & offsets(others)
    for found in (left, common):
        assert found == merge_ranges(found)


@given(st.lists(RANGES, max_size=6), st.integers(0, 5))
def test_near_ranges_are_joined_and_no_others(some: list[OffsetRange], distance: int) -> None:
    joined = join_near(some, distance)
    assert offsets(joined) >= offsets(some)
    for first, second in pairwise(joined):
        assert first.partition < second.partition or second.start - first.end > distance
    assert join_near(some, 0) == merge_ranges(some)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.streams import lanes


@given(st.integers(1, 16), st.integers(0, 64))
def test_every_partition_is_in_exactly_the_lane_that_owns_it(count: int, partitions: int) -> None:
    owned = [lanes.partitions_of_lane(lane, count, partitions) for lane in range(count)]
    assert sorted(p for several in owned for p in several) == list(range(partitions))
    for lane, several in enumerate(owned):
        assert all(lanes.lane_of(p, count) == lane for p in several)


@given(st.integers(0, 10_000))
def test_a_key_names_its_lane(lane: int) -> None:
    assert lanes.lane_from_key(lanes.lane_key(lane)) == lane


def test_keys_of_a_topic() -> None:
    assert lanes.lane_keys(3) == ("lane-0", "lane-1", "lane-2")


@pytest.mark.parametrize("key", ["", "lane", "lane-", "lane-01", "lane--1", "Lane-0", "lane-0 "])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not the key of a lane"):
        lanes.lane_from_key(key)


def test_lanes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="lanes are 0 to 1"):
        lanes.partitions_of_lane(2, 2, 4)
    with pytest.raises(ValueError, match="no lane for partition"):
        lanes.lane_of(0, 0)
    with pytest.raises(ValueError, match="lanes start at 0"):
        lanes.lane_key(-1)

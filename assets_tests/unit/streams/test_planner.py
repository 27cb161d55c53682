from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.offsets import OffsetRange, total_count
from adx_platform.streams.errors import TopicRewound
from adx_platform.streams.planner import plan
from adx_platform.streams.topics import Watermarks


@st.composite
def lanes(
    draw: st.DrawFn,
) -> tuple[dict[int, int | None], dict[int, Watermarks], dict[int, int]]:
    committed: dict[int, int | None] = {}
    marks: dict[int, Watermarks] = {}
    until: dict[int, int] = {}
    for partition in draw(st.sets(st.integers(0, 9), max_size=5)):
        low = draw(st.integers(0, 100))
        end = low + draw(st.integers(0, 100))
        marks[partition] = Watermarks(low, end)
        committed[partition] = draw(st.none() | st.integers(0, end))
        if draw(st.booleans()):
            until[partition] = draw(st.integers(0, 250))
    return committed, marks, until


@given(lanes(), st.integers(1, 300))
def test_ranges_go_on_from_the_committed_offset_and_stay_within_the_broker(
    lane: tuple[dict[int, int | None], dict[int, Watermarks], dict[int, int]], max_records: int
) -> None:
    committed, marks, until = lane
    made = plan(committed, marks, max_records=max_records, until=until)
    assert total_count(made.reads) <= max_records
    lost = {r.partition: r for r in made.losses}
    read = {r.partition: r for r in made.reads}
    assert len(lost) == len(made.losses)
    assert len(read) == len(made.reads)
    for partition, before in committed.items():
        position = marks[partition].low if before is None else before
        for part in (lost.get(partition), read.get(partition)):
            if part is not None:
                assert part.count > 0
                assert part.start == position
                position = part.end
        if partition in lost:
            assert lost[partition].end <= marks[partition].low
        if partition in read:
            assert read[partition].start >= marks[partition].low
            assert read[partition].end <= marks[partition].last_stable
        if partition in lost or partition in read:
            assert position <= until.get(partition, position)
            assert made.next_offsets[partition] == position


@given(lanes(), st.integers(1, 40))
def test_planning_again_and_again_reads_everything_once(
    lane: tuple[dict[int, int | None], dict[int, Watermarks], dict[int, int]], max_records: int
) -> None:
    committed, marks, _ = lane
    wanted = {
        p: marks[p].last_stable - (marks[p].low if before is None else before)
        for p, before in committed.items()
    }
    state = dict(committed)
    seen = dict.fromkeys(committed, 0)
    while not (made := plan(state, marks, max_records=max_records)).is_empty:
        for part in (*made.losses, *made.reads):
            seen[part.partition] += part.count
        state.update(made.next_offsets)
    assert seen == wanted


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.integers(1, 400))
def test_the_budget_is_used_and_split_fairly(backlogs: list[int], max_records: int) -> None:
    marks = {p: Watermarks(0, backlog) for p, backlog in enumerate(backlogs)}
    made = plan(dict.fromkeys(marks, 0), marks, max_records=max_records)
    assert total_count(made.reads) == min(max_records, sum(backlogs))
    share = {r.partition: r.count for r in made.reads}
    cut_short = [share.get(p, 0) for p, backlog in enumerate(backlogs) if share.get(p, 0) < backlog]
    if cut_short:
        assert max(share.values()) <= min(cut_short) + 1


def test_a_new_lane_starts_at_the_first_offset_and_counts_nothing_as_lost() -> None:
    made = plan({0: None}, {0: Watermarks(40, 50)}, max_records=100)
    assert made.reads == (OffsetRange(0, 40, 50),)
    assert made.losses == ()


def test_truncated_offsets_are_lost_and_reading_goes_on_behind_them() -> None:
    made = plan({0: 10}, {0: Watermarks(40, 50)}, max_records=100)
    assert made.losses == (OffsetRange(0, 10, 40),)
    assert made.reads == (OffsetRange(0, 40, 50),)


def test_a_partition_that_was_truncated_to_its_end_is_passed() -> None:
    made = plan({0: 10}, {0: Watermarks(50, 50)}, max_records=100)
    assert made.losses == (OffsetRange(0, 10, 50),)
    assert made.reads == ()
    assert made.next_offsets == {0: 50}


def test_partitions_of_other_lanes_are_left_alone() -> None:
    made = plan({1: 0}, {0: Watermarks(0, 9), 1: Watermarks(0, 9)}, max_records=100)
    assert made.reads == (OffsetRange(1, 0, 9),)


def test_a_partition_that_does_not_exist_yet_is_no_error() -> None:
    assert plan({0: None}, {}, max_records=1).is_empty


def test_a_rewound_topic_stops_the_lane_and_says_what_to_do() -> None:
    with pytest.raises(TopicRewound, match=r"offset 10, but the broker ends at 9.*another name"):
        plan({0: 10}, {0: Watermarks(0, 9)}, max_records=100)
    with pytest.raises(TopicRewound, match="does not have it"):
        plan({3: 10}, {0: Watermarks(0, 9)}, max_records=100)


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        plan({0: 0}, {0: Watermarks(0, 9)}, max_records=0)

"""The planner asks for what has work, once, and never gives a lane up."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from adx_platform.orchestration.lane_requests import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LaneHistory,
    LaneKey,
    decide,
)

NOW = 1_000_000.0


@dataclass(frozen=True)
class Lag:
    stream: str
    lane: int
    partition: int
    last_stable: int
    behind: int


LAGS = [
    Lag("clicks", 0, 0, 100, 40),
    Lag("clicks", 1, 1, 90, 0),
    Lag("clicks", 0, 2, 70, 0),
    Lag("bids", 1, 1, 10, 10),
]


def test_a_lane_with_work_is_asked_for_up_to_what_is_there_now() -> None:
    decision = decide(LAGS, {}, NOW)

    assert [request.key for request in decision.requests] == [("bids", 1), ("clicks", 0)]
    assert decision.requests[1].until == {0: 100, 2: 70}
    assert decision.requests[1].behind == 40
    assert decision.held == ()


def test_a_lane_with_a_run_in_flight_is_left_alone() -> None:
    decision = decide(LAGS, {LaneKey("clicks", 0): LaneHistory(in_flight=True)}, NOW)

    assert [request.key for request in decision.requests] == [("bids", 1)]
    assert decision.held == ("clicks lane 0: a run is in flight",)


def test_a_failed_lane_is_asked_for_again_after_its_pause() -> None:
    failed = {LaneKey("bids", 1): LaneHistory(failures=1, last_end=NOW)}

    early = decide(LAGS, failed, NOW + FIRST_PAUSE_SECONDS - 1)
    later = decide(LAGS, failed, NOW + FIRST_PAUSE_SECONDS)

    assert early.held == ("bids lane 1: pausing after 1 failures",)
    assert LaneKey("bids", 1) in [request.key for request in later.requests]


@given(st.integers(1, 1000))
def test_no_number_of_failures_blocks_a_lane_beyond_the_longest_pause(failures: int) -> None:
    history = LaneHistory(failures=failures, last_end=NOW)

    assert history.is_pausing(NOW)
    assert not history.is_pausing(NOW + LONGEST_PAUSE_SECONDS)


def test_nothing_behind_asks_for_nothing() -> None:
    assert decide([Lag("clicks", 0, 0, 5, 0)], {}, NOW).requests == ()

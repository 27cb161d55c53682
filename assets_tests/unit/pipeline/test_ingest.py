"""The order of the steps, on a broker in memory: what a real one is too slow or too tame for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline import lane as lane_module
from adx_platform.pipeline import refining as refining_module
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.lags import lags
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.streams.errors import TopicReplaced, TopicRewound

STREAM = "ad_impressions"
POINTS = (
    "plan.done",
    "land.read",
    "land.before_commit",
    "land.after_commit",
    "refine.decoded",
    "refine.before_commit",
    "refine.after_commit",
)


def places(storage: LakeStorage) -> list[tuple[str, int, int]]:
    snapshot = events_snapshot(storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert snapshot is not None
    rows = snapshot.scan().select("topic_id", "partition", "offset").collect()
    return sorted(rows.rows())


def test_a_lane_takes_its_own_partitions_only_and_tells_lag_tools(
    platform: Platform, broker: Any
) -> None:
    reports = ingest_lane(platform, STREAM, 0)
    assert [sum(r.count for r in report.ranges) for report in reports] == [6, 6, 6, 2]
    assert landed_offsets(platform.storage, STREAM) == {("id-1", 0): 10, ("id-1", 2): 10}
    assert broker.group_offsets == {0: 10, 2: 10}
    assert [(lag.lane, lag.landed, lag.behind) for lag in lags(platform, STREAM)] == [
        (0, 10, 0),
        (1, None, 10),
        (0, 10, 0),
    ]


def test_a_recreated_topic_with_an_id_of_its_own_is_ingested_beside_the_old_one(
    platform: Platform, broker: Any
) -> None:
    ingest_lane(platform, STREAM, 1)
    broker.topic_id = "id-2"
    broker.values[1] = [b"new"] * 3
    ingest_lane(platform, STREAM, 1)
    assert refined_offsets(platform.storage, STREAM) == {("id-1", 1): 10, ("id-2", 1): 3}
    assert len(places(platform.storage)) == 13


def test_a_topic_that_is_replaced_between_planning_and_reading_is_not_landed_as_the_old_one(
    platform: Platform, broker: Any
) -> None:
    broker.replacement = "id-2"
    assert ingest_lane(platform, STREAM, 1) == []
    assert landed_offsets(platform.storage, STREAM) == {}
    ingest_lane(platform, STREAM, 1)
    assert refined_offsets(platform.storage, STREAM) == {("id-2", 1): 10}


def test_what_an_old_incarnation_left_unrefined_is_refined_after_the_topic_was_recreated(
    platform: Platform, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "refine_landed", _crash)
        with pytest.raises(CrashError):
            ingest_lane(platform, STREAM, 1)
    broker.topic_id = "id-2"
    ingest_lane(platform, STREAM, 1)
    old = [place for place in places(platform.storage) if place[0] == "id-1"]
    assert old == [("id-1", 1, o) for o in range(6)]


def test_a_topic_under_the_same_identity_is_compared_before_it_is_read(
    platform: Platform, broker: Any
) -> None:
    ingest_lane(platform, STREAM, 1)
    broker.values[1] = [b"other"] * 20
    with pytest.raises(TopicReplaced, match="offset 9 is not the one that was landed"):
        ingest_lane(platform, STREAM, 1)
    broker.values[1] = [b"other"] * 4
    with pytest.raises(TopicRewound):
        ingest_lane(platform, STREAM, 1)
    assert refined_offsets(platform.storage, STREAM) == {("id-1", 1): 10}


def test_a_partition_that_the_broker_lost_is_an_error_not_silence(
    platform: Platform, broker: Any
) -> None:
    ingest_lane(platform, STREAM, 0)
    del broker.values[2]
    with pytest.raises(TopicRewound, match="partition 2"):
        ingest_lane(platform, STREAM, 0)


def test_truncation_before_the_first_read_and_after_it(
    platform: Platform, broker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker.low[1] = 4
    first = ingest_lane(platform, STREAM, 1)
    assert sum(report.counts["lost"] for report in first) == 0
    assert "recorded as lost" not in caplog.text
    broker.values[1] += [b"x"] * 10
    broker.low[1] = 17
    second = ingest_lane(platform, STREAM, 1)
    assert sum(report.counts["lost"] for report in second) == 7
    assert "partition 1: the broker had dropped 7 offsets from 10 on" in caplog.text
    assert refined_offsets(platform.storage, STREAM) == {("id-1", 1): 20}


def test_pending_rows_come_in_the_batches_that_were_asked_for(
    platform: Platform,
    with_batch: Callable[[int], Platform],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "refine_landed", _crash)
        with pytest.raises(CrashError):
            ingest_lane(with_batch(20), STREAM, 0)
    sizes = []
    while (report := refine_pending(with_batch(8), AD_IMPRESSIONS, 0)) is not None:
        sizes.append(sum(report.counts.values()))
    assert sizes == [8, 8, 4]
    assert refine_pending(platform, AD_IMPRESSIONS, 1) is None


@pytest.mark.parametrize("lane", [-1, 2])
def test_a_lane_that_does_not_exist_is_named(platform: Platform, lane: int) -> None:
    with pytest.raises(ValueError, match=f"lane {lane} does not exist: lanes are 0 to 1"):
        ingest_lane(platform, STREAM, lane)


class CrashError(Exception):
    """The process dies here."""


def _crash(*_: object, **__: object) -> None:
    raise CrashError


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(crashes=st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 3)), max_size=6))
def test_any_sequence_of_crashes_leaves_every_offset_exactly_once(
    platform: Platform,
    broker: Any,
    crashes: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each example is a topic of its own in the one lake.
    broker.topic_id += "'"
    for point, hit in crashes:
        left = hit

        def reach(name: str, point: str = point) -> None:
            nonlocal left
            left -= name == point
            if left == 0:
                raise CrashError

        with monkeypatch.context() as patch:
            patch.setattr(lane_module, "reach", reach)
            patch.setattr(refining_module, "reach", reach)
            try:
                ingest_lane(platform, STREAM, 1)
            except CrashError:
                continue
    ingest_lane(platform, STREAM, 1)
    mine = [place for place in places(platform.storage) if place[0] == broker.topic_id]
    assert mine == [(broker.topic_id, 1, o) for o in range(10)]
    for vector in (landed_offsets, refined_offsets):
        assert vector(platform.storage, STREAM)[broker.topic_id, 1] == 10

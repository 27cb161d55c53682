"""The resident loop: what it takes in, and what it says and does when something is in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from adx_platform.lake.cursors import refined_offsets
from adx_platform.lake.errors import LakeError, LakeUnavailable, RangeAlreadyCommitted
from adx_platform.pipeline import lane as lane_module
from adx_platform.pipeline.follow import (
    LONGEST_PAUSE_SECONDS,
    STOPPED_LANE_PAUSE_SECONDS,
    Follower,
)
from adx_platform.pipeline.follow_state import FollowedBatch
from adx_platform.pipeline.ingest import MAX_LOSSES_IN_A_ROW, ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.troubles import TroubleKind
from adx_platform.streams.errors import BrokerUnreachable, ReadStalled
from assets_tests.unit.pipeline.turns import STREAM, Loop, refined

HEADER = "cidr,owner\n"


@pytest.fixture
def loop(platform: Platform, broker: Any) -> Loop:
    return Loop(platform, broker)


def test_everything_is_taken_in_turns_and_new_messages_and_partitions_are_found(
    loop: Loop, platform: Platform, broker: Any
) -> None:
    loop.drain()
    assert refined(platform) == {0: 10, 1: 10, 2: 10}
    # Batches of six: lane 0 has 20 offsets, lane 1 has 10, and neither waits for the other.
    assert sorted(loop.lanes[:4]) == [0, 0, 1, 1]
    assert loop.follower.status().behind == 0
    broker.values[0] += [b"new"] * 3
    broker.values[3] = [b"first"] * 2
    loop.drain()
    assert refined(platform) == {0: 13, 1: 10, 2: 10, 3: 2}
    assert loop.turn() == 0.0
    assert loop.troubles == []
    counts = {lane: sum(p.rows.values()) for (_, lane), p in loop.follower.status().lanes.items()}
    assert counts == {0: 23, 1: 12}


def test_a_broker_that_is_away_is_said_once_and_again_when_it_is_back(
    loop: Loop, platform: Platform, broker: Any
) -> None:
    loop.drain()
    loop.problem = BrokerUnreachable("nobody answers")
    pauses = [loop.turn() for _ in range(6)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert loop.said == [(TroubleKind.BROKER, False)]
    broker.values[1] += [b"while away"]
    loop.problem = None
    loop.drain()
    assert loop.said == [(TroubleKind.BROKER, False), (TroubleKind.BROKER, True)]
    assert loop.troubles[1].message == "nobody answers"
    assert refined(platform)[1] == 11
    assert loop.follower.status().troubles == ()


def test_a_broker_that_goes_in_the_middle_of_a_batch_is_not_asked_for_the_other_lanes(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def unreachable(self: Any, **_: Any) -> None:
        tries.append(self.lane)
        raise BrokerUnreachable("gone")

    monkeypatch.setattr(lane_module.LaneIngest, "next_batch", unreachable)
    assert loop.turn() == 0.5
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LakeUnavailable("the disk is full"), TroubleKind.LAKE),
        (LakeError("a file is torn"), TroubleKind.DATA),
        (OSError("input/output error"), TroubleKind.DATA),
        (ReadStalled("nothing came"), TroubleKind.BROKER),
    ],
)
def test_a_lane_that_fails_pauses_longer_each_time_and_the_other_goes_on(
    loop: Loop,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: TroubleKind,
) -> None:
    real = lane_module.LaneIngest.next_batch
    tries: list[float] = []

    def sick(self: Any, **arguments: Any) -> Any:
        if self.lane == 0:
            tries.append(loop.clock.at)
            raise error
        return real(self, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(lane_module.LaneIngest, "next_batch", sick)
        for _ in range(40):
            loop.turn()
            loop.clock.at += 0.5
    assert refined(platform) == {1: 10}
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits == [0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert loop.said == [(kind, False)]
    assert loop.troubles[0].where == f"{STREAM} lane 0"
    loop.clock.at += LONGEST_PAUSE_SECONDS
    loop.drain()
    assert refined(platform) == {0: 10, 1: 10, 2: 10}
    assert loop.said[-1] == (kind, True)


def test_another_topic_stops_its_lane_with_a_reason_until_the_old_one_is_back(
    loop: Loop, platform: Platform, broker: Any
) -> None:
    loop.drain()
    kept = list(broker.values[1])
    broker.values[1] = [b"other"] * 12
    broker.values[0] += [b"more"]
    loop.drain()
    assert refined(platform) == {0: 11, 1: 10, 2: 10}
    stopped = loop.follower.status().lanes[STREAM, 1].stopped
    assert stopped is not None
    assert "is not the one that was landed" in stopped
    assert loop.said == [(TroubleKind.REPLACED, False)]
    # The same length as before: only the comparison can tell that it still is another one.
    broker.values[1] = [b"other"] * 10
    loop.clock.at += STOPPED_LANE_PAUSE_SECONDS
    loop.drain()
    assert loop.said == [(TroubleKind.REPLACED, False)]
    broker.values[1] = [*kept, b"next"]
    loop.clock.at += STOPPED_LANE_PAUSE_SECONDS
    loop.drain()
    assert refined(platform)[1] == 11
    assert loop.said[-1] == (TroubleKind.REPLACED, True)
    assert loop.follower.status().lanes[STREAM, 1].stopped is None


def test_a_topic_that_holds_less_than_before_is_noticed_without_new_messages(
    loop: Loop, broker: Any
) -> None:
    loop.drain()
    broker.values[2] = broker.values[2][:4]
    loop.turn()
    assert loop.said == [(TroubleKind.REPLACED, False)]


def test_a_recreated_topic_is_announced_and_goes_on_under_its_new_identity(
    loop: Loop, platform: Platform, broker: Any
) -> None:
    loop.drain()
    broker.topic_id = "id-2"
    broker.values = {1: [b"new"] * 3}
    loop.drain()
    assert refined_offsets(platform.storage, STREAM)["id-2", 1] == 3
    assert loop.said == [(TroubleKind.RECREATED, False), (TroubleKind.RECREATED, True)]
    assert "it was id-1 and is id-2" in loop.troubles[0].message


def test_a_topic_that_is_not_there_yet_is_waited_for(loop: Loop, platform: Platform) -> None:
    loop.there = False
    assert loop.turn() == 0.0
    assert loop.turn() == 0.0
    assert loop.said == [(TroubleKind.TOPIC, False)]
    loop.there = True
    loop.drain()
    assert loop.said[-1] == (TroubleKind.TOPIC, True)
    assert refined(platform) == {0: 10, 1: 10, 2: 10}


def test_what_a_crash_left_landed_is_refined_first(
    loop: Loop, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(Exception):
        """The process ended between the two commits."""

    def crash(*_: object, **__: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "refine_landed", crash)
        with pytest.raises(CrashError):
            ingest_lane(platform, STREAM, 1)
    assert refined(platform) == {}
    loop.drain()
    assert refined(platform) == {0: 10, 1: 10, 2: 10}
    assert [b.report.ranges[0].start for b in loop.batches if b.report.lane == 1] == [0, 6]


def test_a_lane_on_which_another_worker_wins_is_paused_without_an_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def lost(self: Any, **_: Any) -> None:
        tries.append(self.lane)
        raise RangeAlreadyCommitted("another worker was here")

    monkeypatch.setattr(lane_module.LaneIngest, "next_batch", lost)
    for _ in range(20):
        loop.turn()
    assert sorted(tries) == [0] * MAX_LOSSES_IN_A_ROW + [1] * MAX_LOSSES_IN_A_ROW
    assert loop.troubles == []


def test_changed_reference_files_are_used_and_broken_ones_are_said(
    loop: Loop, platform: Platform, broker: Any
) -> None:
    folder: Path = platform.settings.reference_dir
    loop.drain()
    before = platform.enrichment.version
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "data_centre_ranges.csv"
    path.write_text(HEADER + "192.0.2.0/24,example\n", encoding="utf-8")
    loop.turn()
    assert loop.follower._platform.enrichment.version == before
    loop.clock.at += 5
    broker.values[1] += [b"x"]
    loop.drain()
    changed = loop.follower._platform.enrichment.version
    assert changed != before
    path.write_text("nonsense\n1\n", encoding="utf-8")
    loop.clock.at += 5
    loop.turn()
    loop.clock.at += 5
    loop.turn()
    assert loop.said == [(TroubleKind.REFERENCE, False)]
    assert loop.follower._platform.enrichment.version == changed
    path.write_text(HEADER, encoding="utf-8")
    loop.clock.at += 5
    loop.turn()
    assert loop.said[-1] == (TroubleKind.REFERENCE, True)


def test_it_runs_until_it_is_told_to_stop_and_publishes_its_offsets(
    loop: Loop, broker: Any, platform: Platform
) -> None:
    thread = threading.Thread(target=loop.follower.run, args=(loop.stop,))
    thread.start()
    deadline = threading.Event()
    for _ in range(200):
        if refined(platform) == {0: 10, 1: 10, 2: 10}:
            break
        deadline.wait(0.05)
    loop.stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert broker.group_offsets == {0: 10, 1: 10, 2: 10}
    assert sum(sum(b.report.counts.values()) for b in loop.batches) == 30


def test_a_stop_leaves_the_lanes_that_have_not_had_their_turn(loop: Loop) -> None:
    stop_at_first: Callable[[FollowedBatch], None] = lambda batch: (  # noqa: E731 - two calls
        loop.batches.append(batch),
        loop.stop.set(),
    )[0]
    loop.follower._on_batch = stop_at_first
    assert loop.turn() == 0.0
    assert len(loop.batches) == 1


def test_old_kafka_timestamps_give_the_time_since_the_messages_were_seen(
    loop: Loop, broker: Any
) -> None:
    loop.turn()
    latency = loop.batches[0].latency
    assert latency is not None
    assert (latency.clock, latency.p50) == ("seen", 0.0)
    assert cast("datetime", loop.follower.status().last_commit) <= datetime.now(UTC)


def test_offsets_that_the_broker_does_not_take_are_not_waited_for_each_time(
    loop: Loop, broker: Any
) -> None:
    tries: list[float] = []

    def refuse(*_: object) -> None:
        tries.append(loop.clock.at)
        raise BrokerUnreachable("no group coordinator")

    broker.commit_group_offsets = refuse
    for _ in range(30):
        broker.values[1] += [b"x"]
        loop.turn()
        loop.follower._publish_offsets()
        loop.clock.at += 5
    assert [later - earlier for earlier, later in pairwise(tries)] == [120.0]


def test_an_unknown_stream_is_refused(platform: Platform) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Follower(platform.settings, streams=["nonsense"])

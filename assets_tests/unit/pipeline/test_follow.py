"""The resident loop, turn by turn: a memory broker, a real lake, a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from adx_platform.contracts.streams import AD_IMPRESSIONS
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
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.settings import FollowSettings, IngestSettings, WarehouseSettings
from adx_platform.streams.errors import BrokerUnreachable, ReadStalled
from adx_platform.streams.topics import TopicState
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending

STREAM = AD_IMPRESSIONS.name
HEADER = "cidr,owner\n"


@dataclass
class Clock:
    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


class Loop:
    """A follower of one stream with everything that it said."""

    def __init__(self, platform: Platform, broker: Any) -> None:
        self.broker = broker
        self.problem: Exception | None = None
        self.there = True
        self.batches: list[FollowedBatch] = []
        self.troubles: list[Trouble] = []
        self.clock = Clock()
        self.stop = threading.Event()
        broker.look = self._look
        broker.close = lambda: None
        self.follower = Follower(
            platform.settings,
            streams=[STREAM],
            on_batch=self.batches.append,
            on_trouble=self.troubles.append,
            open_parts=lambda settings: replace(platform, settings=settings),
            clock=self.clock,
        )

    def _look(self, topics: Iterable[str]) -> dict[str, TopicState]:
        assert list(topics) == [STREAM]
        if self.problem is not None:
            raise self.problem
        if not self.there:
            return {}
        return {STREAM: TopicState(self.broker.topic_id, self.broker.watermarks(STREAM))}

    def turn(self) -> float | None:
        return self.follower.turn(self.stop)

    def drain(self) -> None:
        for _ in range(20):
            if self.turn() is not None:
                return
        pytest.fail("the loop did not come to rest")

    @property
    def said(self) -> list[tuple[TroubleKind, bool]]:
        """(kind, whether it is over), in order."""
        return [(trouble.kind, trouble.over_at is not None) for trouble in self.troubles]

    @property
    def lanes(self) -> list[int]:
        return [batch.report.lane for batch in self.batches]


@pytest.fixture
def loop(platform: Platform, broker: Any) -> Loop:
    return Loop(platform, broker)


def refined(platform: Platform) -> dict[int, int]:
    return {p: end for (_, p), end in refined_offsets(platform.storage, STREAM).items()}


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


def test_a_lane_without_backlog_waits_for_more_messages_and_one_with_a_backlog_does_not(
    platform: Platform, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = FollowSettings(batch_interval=timedelta(seconds=3))
    loop = Loop(
        replace(platform, settings=platform.settings.model_copy(update={"follow": follow})), broker
    )
    monkeypatch.setattr("adx_platform.pipeline.follow.BACKLOG", 1)
    loop.drain()
    assert loop.follower.status().behind == 0
    batches = len(loop.batches)
    broker.values[0] += [b"new"]
    monkeypatch.setattr("adx_platform.pipeline.follow.BACKLOG", 2)
    assert loop.turn() == 0.0
    loop.clock.at += 2.9
    assert loop.turn() == 0.0
    assert len(loop.batches) == batches
    loop.clock.at += 0.2
    loop.turn()
    assert len(loop.batches) == batches + 1


def test_a_lane_alone_takes_the_full_batch_and_one_among_others_a_bounded_one(
    platform: Platform, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    real = lane_module.LaneIngest.next_batch

    def watched(self: Any, *, max_records: int | None = None, **rest: Any) -> Any:
        asked.append(max_records)
        return real(self, max_records=max_records, **rest)

    monkeypatch.setattr("adx_platform.pipeline.follow.SHARED_BATCH", 4)
    monkeypatch.setattr(lane_module.LaneIngest, "next_batch", watched)
    loop = Loop(platform, broker)
    loop.turn()
    assert asked == [4, 4]
    loop.drain()
    asked.clear()
    broker.values[1] += [b"x"] * 9
    loop.drain()
    assert asked == [6, 6]


def test_a_warehouse_that_lags_makes_batches_fewer_and_larger_until_it_has_caught_up(
    platform: Platform, broker: Any, tmp_path: Path
) -> None:
    settings = platform.settings.model_copy(
        update={
            "warehouse": WarehouseSettings(max_lag_rows=10),
            "follow": FollowSettings(
                batch_interval=timedelta(seconds=1), lagging_batch_interval=timedelta(seconds=15)
            ),
        }
    )
    loop = Loop(replace(platform, settings=settings), broker)
    one_batch = settings.ingest.max_records_per_batch

    def load() -> None:
        with DuckDBWarehouse(tmp_path / "lagging.duckdb") as warehouse:
            warehouse.ensure_schema()
            load_pending(warehouse, platform.storage, STREAM)

    def after(seconds: float) -> int:
        """Batches that are committed ``seconds`` later."""
        before = len(loop.batches)
        loop.clock.at += seconds
        while loop.turn() is None:
            pass
        return len(loop.batches) - before

    def is_lagging() -> bool:
        return TroubleKind.WAREHOUSE in {t.kind for t in loop.follower.status().troubles}

    for _ in range(10):
        after(31)
    assert refined(platform) == {0: 10, 1: 10, 2: 10}
    # Nobody has ever loaded this lake: that is no lag.
    assert loop.follower.status().not_loaded == {}
    assert not is_lagging()

    load()
    broker.values[1] += [b"more"] * 11
    for _ in range(5):
        after(31)
    assert refined(platform)[1] == 21
    assert loop.follower.status().not_loaded == {STREAM: 11}
    assert is_lagging()

    # Landing goes on, but little is left to collect; a backlog of whole batches is not held.
    broker.values[1] += [b"a few"] * 2
    assert after(0) == 1
    broker.values[1] += [b"a few"] * 2
    assert after(14) == 0
    assert after(1) == 1
    broker.values[1] += [b"many"] * (3 * one_batch)
    assert after(15) == 3
    assert refined(platform)[1] == 25 + 3 * one_batch

    load()
    after(31)
    assert loop.follower.status().not_loaded == {STREAM: 0}
    assert not is_lagging()
    broker.values[1] += [b"soon"]
    assert after(1) == 1
    assert loop.said == [(TroubleKind.WAREHOUSE, False), (TroubleKind.WAREHOUSE, True)]


def test_slow_batches_make_the_next_ranges_smaller_and_quick_ones_larger_again(
    platform: Platform, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = IngestSettings(max_records_per_batch=100, target_batch_seconds=10)
    settings = platform.settings.model_copy(update={"ingest": ingest})
    broker.values = {1: [b"x"] * 1_000}
    took = iter([50.0, 10.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    real = lane_module.refine_landed

    def timed(*args: Any, **rest: Any) -> Any:
        return replace(real(*args, **rest), seconds=next(took))

    monkeypatch.setattr(lane_module, "refine_landed", timed)
    sizes = [
        sum(part.count for part in report.ranges)
        for report in ingest_lane(replace(platform, settings=settings), STREAM, 1)
    ]
    assert sizes[:5] == [100, 20, 20, 50, 100]
    assert sum(sizes) == 1_000


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

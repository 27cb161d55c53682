"""How large the batches of the resident loop are, and how long a lane waits between two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adx_platform.pipeline import lane as lane_module
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.troubles import TroubleKind
from adx_platform.settings import FollowSettings, IngestSettings, WarehouseSettings
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending
from assets_tests.unit.pipeline.turns import STREAM, Loop, refined


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

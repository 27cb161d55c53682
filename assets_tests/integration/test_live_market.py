"""The market that goes on, through a real broker and the platform's own ingest into the lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.codecs.registry import open_registry
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.living.drill_truth import compare_with_truth
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import open_platform
from adx_platform.settings import Settings, load_settings
from adx_platform.simulate.live import LiveMarket, Pace, open_topics
from adx_platform.simulate.live_board import fault_log
from adx_platform.simulate.live_orders import live_dir, place_order
from adx_platform.simulate.live_state import LiveState, load_state
from adx_platform.simulate.live_traffic import LiveConfig
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]

HISTORY = timedelta(hours=6)
LIVE = LiveConfig().start + HISTORY
ONE_HOUR = timedelta(hours=1)


class Home:
    """A home with a broker, and a clock that the test moves."""

    def __init__(self, folder: Path, broker: EmbeddedBroker) -> None:
        broker.start()
        self.broker = broker
        self.settings: Settings = load_settings(
            home=folder, kafka={"bootstrap_servers": broker.bootstrap_servers}
        )
        self.wall = 0.0
        self.stop = threading.Event()
        open_topics(self.settings, EMBEDDED_TOPIC_CONFIG)

    def open(self) -> LiveMarket:
        return LiveMarket(
            self.settings,
            LiveConfig(seed=5, per_hour=200),
            Pace(speed=3_600, history=HISTORY),
            open_registry(self.settings),
            clock=lambda: self.wall,
        )

    def run(self, during: Callable[[], None]) -> LiveState:
        """Run a market in a thread, do something meanwhile, and stop it."""
        self.stop.clear()
        self.wall = 0.0
        found: list[LiveState] = []
        thread = threading.Thread(target=lambda: found.append(self.open().run(self.stop)))
        thread.start()
        try:
            during()
        finally:
            self.stop.set()
            began = time.monotonic()
            thread.join(30)
        assert time.monotonic() - began < 5, "it did not stop"
        return found[0]

    def until_hour(self, hour: float) -> None:
        """Let the clock run on to so many simulated hours after the history, and be obeyed."""
        # Just behind it, so that the second's save has it.
        self.wall = max(self.wall, hour)
        wanted = LIVE + hour * ONE_HOUR
        deadline = time.monotonic() + 60
        while True:
            state = load_state(live_dir(self.settings))
            if state is not None and state.is_live and state.clock >= wanted:
                return
            assert time.monotonic() < deadline, state
            # The state is saved once a second of the clock: a second is an hour here.
            self.wall += 0.02
            time.sleep(0.02)

    def ingest(self) -> dict[str, pl.DataFrame]:
        """Land and refine all; returns the refined rows by stream."""
        platform = open_platform(self.settings)
        for stream in STREAMS:
            for lane in range(self.settings.kafka.lanes_per_topic):
                ingest_lane(platform, stream, lane)
        storage = LakeStorage.from_settings(self.settings)
        found = {}
        for name, stream in STREAMS.items():
            snapshot = events_snapshot(storage, stream.topic, stream.events_schema)
            assert snapshot is not None
            found[name] = snapshot.collect(snapshot.scan())
        return found


@pytest.fixture
def home(own_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("ADX_HOME", "ADX_KAFKA__BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path / "home", own_broker)


def in_hours(rows: pl.DataFrame, first: float, last: float) -> pl.DataFrame:
    return rows.filter(
        pl.col("kafka_timestamp").is_between(
            LIVE + first * ONE_HOUR, LIVE + last * ONE_HOUR, closed="left"
        )
    )


def order(home: Home, kind: str, hour: float, minutes: float = 60, **parameters: Any) -> None:
    place_order(
        live_dir(home.settings),
        kind,
        minutes=minutes,
        start=LIVE + hour * ONE_HOUR,
        parameters=parameters,
    )


def test_the_lake_shows_what_each_fault_did_and_holds_all_that_was_sent(home: Home) -> None:
    order(home, "exchange_silent", 1, exchange="northlight")
    order(home, "malformed_storm", 3, topic="ad_impressions", share=1.0)
    order(home, "duplicate_storm", 5, topic="ad_impressions", share=1.0, copies=2)
    order(home, "late_flood", 7, topic="clicks_conversions", messages=30)
    order(home, "schema_change", 9, share=1.0)
    order(home, "volume_drop", 11, topic="bid_requests", share=1.0)

    def half_hours() -> None:
        for step in range(1, 27):
            home.until_hour(step / 2)

    state = home.run(half_hours)
    assert state.delivered == sum(state.sent.values())
    assert [line["event"] for line in fault_log(live_dir(home.settings))].count("ended") == 6
    rows = home.ingest()
    # A fault begins and ends at a step of the clock: the middle of its hour is surely inside.
    bids, views, clicks = rows.values()
    silent = in_hours(bids, 1.6, 1.9)
    assert silent.height
    assert not silent["exchange_id"].is_in(["northlight"]).any()
    storm = in_hours(views, 3.6, 3.9)["disposition"].value_counts()
    assert dict(storm.iter_rows())["rejected"] >= storm["count"].sum() * 0.4
    repeated = in_hours(views, 5.6, 5.9)["disposition"].value_counts()
    assert dict(repeated.iter_rows())["duplicate"] >= repeated["count"].sum() * 0.5
    assert in_hours(clicks, 7, 9)["is_late"].sum() >= 30
    assert in_hours(bids, 11.6, 11.9).is_empty()
    # The schema was registered when its fault ended, so nothing of it is rejected any more; and
    # every message that the market says it sent is accounted for, with the rejects it foresaw.
    comparisons = compare_with_truth(home.settings)
    assert [problem for found in comparisons for problem in found.problems] == []
    assert sum(found.sent for found in comparisons) == sum(state.sent.values())


def test_a_market_goes_on_after_a_stop_and_through_a_broker_that_was_away(home: Home) -> None:
    first = home.run(lambda: home.until_hour(1))

    def broker_away() -> None:
        home.until_hour(1)
        home.broker.stop()
        home.until_hour(2)
        home.broker.start()
        home.until_hour(3)

    second = home.run(broker_away)
    assert (first.generation, second.generation) == (0, 1)
    assert second.clock > first.clock
    assert second.delivered == sum(second.sent.values())
    home.ingest()
    comparisons = compare_with_truth(home.settings)
    assert [problem for found in comparisons for problem in found.problems] == []

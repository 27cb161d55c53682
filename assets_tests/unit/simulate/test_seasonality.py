from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.seasonality import hour_at, hours_of


def test_hours_cover_the_simulated_time() -> None:
    config = MarketConfig(days=2)
    hours = hours_of(config)
    assert [hour.start for hour in hours] == [
        config.start + timedelta(hours=index) for index in range(48)
    ]
    assert hours[0].start_us == int(config.start.timestamp()) * 1_000_000


def test_weekends_and_evenings_are_busier() -> None:
    monday, sunday = datetime(2026, 3, 2, 18, tzinfo=UTC), datetime(2026, 3, 8, 18, tzinfo=UTC)
    assert hour_at(sunday).weight > hour_at(monday).weight * 1.1
    # 08:00 UTC is night in America, where most of the traffic is.
    assert hour_at(monday).weight > hour_at(monday - timedelta(hours=10)).weight * 1.3


def test_traffic_follows_the_clock_of_each_country(market_run: Any) -> None:
    requests = market_run.truth("bid_requests").filter(~pl.col("is_givt"))

    def share_at(country: str, utc_hours: list[int]) -> float:
        mine = requests.filter(pl.col("geo_country") == country)
        return mine.filter(pl.col("event_time").dt.hour().is_in(utc_hours)).height / mine.height

    # Evening in Tokyo is 10 to 13 UTC, deep night is 17 to 20 UTC.
    assert share_at("JPN", [10, 11, 12, 13]) > 3 * share_at("JPN", [17, 18, 19, 20])
    assert share_at("GBR", [19, 20, 21, 22]) > 3 * share_at("GBR", [1, 2, 3, 4])

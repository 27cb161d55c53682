"""The marts become the series that a person would draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest

from adx_platform.quality.anomaly.catalogue import anomaly_checks
from adx_platform.quality.anomaly.marts import read_marts
from adx_platform.quality.anomaly.series import Kind, Series
from adx_platform.settings import QualitySettings

NOON = datetime(2026, 3, 1, 12)  # noqa: DTZ001 the warehouse's times are naive UTC
DAYS = timedelta(days=35)
SCHEMA = """
create schema marts;
create table marts.agg_arrivals_hourly (
    hour_start timestamp, stream varchar, exchange_id varchar, messages bigint, accepted bigint,
    rejected bigint, duplicates bigint, conflicts bigint, late bigint, last_arrived_at timestamp,
    arrival_date date
);
create table marts.agg_exchange_hourly (
    hour_start timestamp, exchange_id varchar, currency varchar, bids bigint, wins bigint,
    priced_wins bigint, clearing_price_cpm_micros bigint, net_impressions bigint,
    net_clicks bigint, event_date date
);
"""
Insert = Callable[..., None]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(SCHEMA)
        yield opened


@pytest.fixture
def query(connection: duckdb.DuckDBPyConnection) -> Callable[[str], pl.DataFrame]:
    return lambda sql: pl.DataFrame(connection.sql(sql).to_arrow_table())


@pytest.fixture
def arrivals(connection: duckdb.DuckDBPyConnection) -> Insert:
    def insert(
        hours: int, stream: str = "ad_impressions", exchange: str = "x", **counts: int
    ) -> None:
        hour = NOON + timedelta(hours=hours)
        names = ("messages", "accepted", "rejected", "duplicates", "conflicts", "late")
        values = [counts.get(name, 0) for name in names]
        connection.execute(
            "insert into marts.agg_arrivals_hourly values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [hour, stream, exchange, *values, hour + timedelta(minutes=50), hour.date()],
        )

    return insert


@pytest.fixture
def exchanges(connection: duckdb.DuckDBPyConnection) -> Insert:
    def insert(hours: int, exchange: str, currency: str, **counts: int) -> None:
        hour = NOON + timedelta(hours=hours)
        names = (
            "bids", "wins", "priced_wins", "clearing_price_cpm_micros", "net_impressions",
            "net_clicks",
        )  # fmt: skip
        values = [counts.get(name, 0) for name in names]
        connection.execute(
            "insert into marts.agg_exchange_hourly values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [hour, exchange, currency, *values, hour.date()],
        )

    return insert


def shown(series: Series) -> tuple[Any, ...]:
    return (series.key, series.kind, series.start, series.part.tolist(), series.whole.tolist())


def test_volumes_have_zeros_where_nothing_arrived(query: Any, arrivals: Insert) -> None:
    arrivals(0, messages=5)
    arrivals(3, messages=7)
    arrivals(3, exchange="y", messages=1)
    arrivals(2, exchange="unknown", messages=2)
    arrivals(4, "bid_requests", messages=9)
    marts = read_marts(query, training=DAYS)
    start = NOON.replace(tzinfo=UTC)

    (volume,) = marts.volume("volume", "ad_impressions")
    by_exchange = marts.exchange_volumes("volume", "ad_impressions")

    assert shown(volume) == (
        "ad_impressions", Kind.VOLUME, start, [5, 0, 2, 8, 0], [1, 1, 1, 1, 1],
    )  # fmt: skip
    assert [(s.key, s.start, s.part.tolist()) for s in by_exchange] == [
        ("ad_impressions/x", start, [5, 0, 0, 7, 0]),
        ("ad_impressions/y", start + timedelta(hours=3), [1, 0]),
    ]
    assert marts.newest == {
        "ad_impressions": start + timedelta(hours=3, minutes=50),
        "bid_requests": start + timedelta(hours=4, minutes=50),
    }


def test_rates_have_no_whole_where_nothing_arrived(query: Any, arrivals: Insert) -> None:
    arrivals(0, messages=10, accepted=6, rejected=1, duplicates=2, conflicts=1, late=3)
    arrivals(0, exchange="unknown", messages=2, rejected=2)
    arrivals(2, messages=4, accepted=4)
    marts = read_marts(query, training=DAYS)

    (rejects,) = marts.share("reject_rate", "ad_impressions", "rejected", "messages")
    (copies,) = marts.share("duplicate_rate", "ad_impressions", "copies", "messages")
    (late,) = marts.share("late_rate", "ad_impressions", "late", "accepted")

    assert (rejects.part.tolist(), rejects.whole.tolist()) == ([3, 0, 0], [12, 0, 4])
    assert copies.part.tolist() == [3, 0, 0]
    assert (late.part.tolist(), late.whole.tolist()) == ([3, 0, 0], [6, 0, 4])


def test_currencies_are_never_mixed(query: Any, arrivals: Insert, exchanges: Insert) -> None:
    arrivals(1, messages=1)
    exchanges(0, "x", "EUR", bids=9, wins=2, priced_wins=2, clearing_price_cpm_micros=3_000_000)
    exchanges(0, "y", "EUR", bids=1, wins=1, priced_wins=1, clearing_price_cpm_micros=6_000_000)
    exchanges(0, "x", "USD", bids=5, wins=1, priced_wins=0)
    exchanges(1, "z", "USD", bids=5, wins=2, priced_wins=1, clearing_price_cpm_micros=1_000_000)
    exchanges(1, "x", "XXX", net_impressions=50, net_clicks=2)
    # Beyond the newest arrival: an event of a clock that runs ahead.
    exchanges(2, "x", "EUR", bids=1, wins=1, priced_wins=1, clearing_price_cpm_micros=9_000_000)
    marts = read_marts(query, training=DAYS)

    prices = {series.key: series for series in marts.prices("cpm")}
    (wins,) = marts.market_rate("win_rate", "wins", "bids")
    (clicks,) = marts.market_rate("ctr", "net_clicks", "net_impressions")

    assert set(prices) == {"market/EUR", "market/USD"}
    assert prices["market/EUR"].value(0) == 3_000_000
    assert prices["market/EUR"].value(1) is None
    assert prices["market/USD"].part.tolist() == [1_000_000]
    assert (wins.part.tolist(), wins.whole.tolist()) == ([4, 2], [15, 5])
    assert clicks.value(1) == 0.04


def test_only_the_training_is_read(query: Any, arrivals: Insert) -> None:
    arrivals(-48, messages=1)
    arrivals(0, messages=2)

    marts = read_marts(query, training=timedelta(hours=48))

    assert marts.volume("volume", "ad_impressions")[0].part.sum() == 3
    short = read_marts(query, training=timedelta(hours=24))
    assert short.volume("volume", "ad_impressions")[0].part.tolist() == [2]


def test_without_a_row_every_check_has_nothing_to_say(query: Any) -> None:
    marts = read_marts(query, training=DAYS)

    for check in anomaly_checks():
        assert check.series(marts) == []
        assert check.verdicts(marts, QualitySettings()) == []


def test_the_checks_are_those_that_incidents_know() -> None:
    names = {check.name for check in anomaly_checks()}
    streams = ("bid_requests", "ad_impressions", "clicks_conversions")

    assert names == {
        *(f"volume_{stream}" for stream in streams),
        *(f"exchange_volume_{stream}" for stream in streams[:2]),
        *(f"reject_rate_{stream}" for stream in streams),
        *(f"late_rate_{stream}" for stream in streams),
        *(f"duplicate_rate_{stream}" for stream in streams),
        "ctr",
        "win_rate",
        "cpm",
    }
    assert len(anomaly_checks()) == 17

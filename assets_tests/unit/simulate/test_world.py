from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from adx_platform.reference.files import load_reference
from adx_platform.simulate.config import FaultRates, MarketConfig
from adx_platform.simulate.world import USD_PER_UNIT, World, build_world

CONFIG = MarketConfig(seed=21)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(CONFIG)


def test_the_platform_accepts_the_reference_files(market_run: Any, world: World) -> None:
    tables = load_reference(market_run.folder / "reference").tables
    assert tables["advertisers"].height == len(world.advertisers) == 12
    assert tables["exchanges"].height == 4
    assert tables["publishers"].height == 150
    assert 36 <= tables["campaigns"].height <= 48


def test_reference_data_does_not_depend_on_faults(world: World) -> None:
    assert build_world(MarketConfig(seed=21, faults=FaultRates.none())) == world
    assert build_world(MarketConfig(seed=22)) != world


def test_zones_include_half_hours_and_summer_time(world: World) -> None:
    zones = {
        advertiser.time_zone: ZoneInfo(advertiser.time_zone) for advertiser in world.advertisers
    }
    winter, summer = CONFIG.start, CONFIG.start + timedelta(days=130)
    offsets = {name: winter.astimezone(zone).utcoffset() for name, zone in zones.items()}
    assert len(zones) >= 6
    assert sum(offset % timedelta(hours=1) != timedelta(0) for offset in offsets.values()) >= 2
    assert any(summer.astimezone(zone).utcoffset() != offsets[name] for name, zone in zones.items())


def test_rates_cover_every_pair_on_every_date_of_an_accepted_event(world: World) -> None:
    rates = {(day, a, b): rate for day, a, b, rate in world.fx_rates}
    assert len(rates) == len(world.fx_rates)
    days = [CONFIG.start.date() + timedelta(days=offset) for offset in range(-31, CONFIG.days + 1)]
    used = {exchange.currency for exchange in world.exchanges}
    used |= {advertiser.currency for advertiser in world.advertisers}
    assert used <= set(USD_PER_UNIT)
    for day in days:
        for source in USD_PER_UNIT:
            assert rates[day, source, source] == Decimal(1)
            for target in USD_PER_UNIT:
                assert rates[day, source, target] > 0
    assert len({rates[day, "EUR", "USD"] for day in days}) > 10


def test_campaigns_have_creatives_and_flights_that_make_sense(world: World) -> None:
    for campaign in world.campaigns:
        assert campaign.creatives
        assert sum(flight.budget_micros for flight in campaign.flights) == (
            campaign.total_budget_micros
        )
        for flight in campaign.flights:
            assert flight.starts_at < flight.ends_at
        assert campaign.updated_at < CONFIG.start
        assert campaign.daily_budget_micros > 0
    identities = [creative.creative_id for c in world.campaigns for creative in c.creatives]
    assert len(identities) == len(set(identities))


def test_publishers_are_heavy_tailed(market_run: Any) -> None:
    per_publisher = (
        market_run.truth("bid_requests").group_by("publisher_id").len().sort("len", descending=True)
    )
    top = per_publisher.head(15)["len"].sum()
    assert top / per_publisher["len"].sum() > 0.5
    assert per_publisher.select(pl.len()).item() > 100

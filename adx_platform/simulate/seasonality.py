"""When people browse: local hours and days of the week, per country.

Belongs here: cutting the simulated time into hours and weighing them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from adx_platform.simulate import behaviour
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES, Country
from adx_platform.simulate.randomness import Weighted


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the market: when it starts, whose traffic it has, and how much of it."""

    start: datetime
    weight: float
    countries: Weighted[Country]

    @property
    def start_us(self) -> int:
        """Start in microseconds since the epoch."""
        return int(self.start.timestamp()) * behaviour.SECOND_US


def hour_at(start: datetime) -> Hour:
    """The hour that begins at ``start``."""
    weights = []
    for country in COUNTRIES:
        local = start.astimezone(ZoneInfo(country.time_zone))
        weights.append(
            country.share * behaviour.DIURNAL[local.hour] * behaviour.WEEKLY[local.weekday()]
        )
    return Hour(start, sum(weights), Weighted(COUNTRIES, weights))


def hours_of(config: MarketConfig) -> list[Hour]:
    """Every hour of the simulated time, in order."""
    return [hour_at(config.start + timedelta(hours=index)) for index in range(24 * config.days)]

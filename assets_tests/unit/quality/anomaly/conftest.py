"""Series made by hand: a market with a known day, week and noise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from adx_platform.quality.anomaly.series import Floats, Kind, Series

MONDAY = datetime(2026, 1, 19, tzinfo=UTC)
DAY = np.array(
    [4, 3, 2, 2, 2, 3, 5, 7, 9, 10, 10, 10, 11, 11, 10, 10, 10, 11, 13, 14, 15, 15, 12, 8]
)
WEEK = np.array([1.0, 0.98, 0.99, 1.01, 1.06, 1.14, 1.18])

MakeSeries = Callable[..., Series]


def expected_counts(days: int, level: float) -> Floats:
    hours = np.arange(24 * days)
    counts: Floats = level * DAY[hours % 24] / DAY.mean() * WEEK[hours // 24 % 7]
    return counts


@pytest.fixture
def volume() -> MakeSeries:
    def make(days: int = 35, level: float = 100.0, seed: int = 1, growth: float = 0.0) -> Series:
        mean = expected_counts(days, level) * (1.0 + growth) ** (np.arange(24 * days) / 24)
        part = np.random.default_rng(seed).poisson(mean).astype(np.float64)
        return Series("volume", "s", Kind.VOLUME, MONDAY, part, np.ones(len(part)))

    return make


@pytest.fixture
def rate() -> MakeSeries:
    def make(days: int = 35, level: float = 100.0, share: float = 0.02, seed: int = 1) -> Series:
        random = np.random.default_rng(seed)
        whole = random.poisson(expected_counts(days, level))
        part = random.binomial(whole, share).astype(np.float64)
        return Series("reject_rate", "s", Kind.RATE, MONDAY, part, whole.astype(np.float64))

    return make


@pytest.fixture
def price() -> MakeSeries:
    def make(days: int = 35, level: float = 10.0, seed: int = 1) -> Series:
        random = np.random.default_rng(seed)
        whole = random.poisson(expected_counts(days, level))
        sums = [np.exp(random.normal(15.0, 0.5, count)).sum() for count in whole]
        return Series("cpm", "market/EUR", Kind.MEAN, MONDAY, np.array(sums), whole.astype(float))

    return make

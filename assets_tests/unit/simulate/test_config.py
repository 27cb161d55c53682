from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from adx_platform.simulate import FaultRates, MarketConfig


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"events": 999}, "events must be at least 1000"),
        ({"days": 0}, "days must be at least 1"),
        ({"partitions_per_topic": 0}, "partitions_per_topic must be at least 1"),
        ({"start": datetime(2026, 3, 2)}, "time zone"),  # noqa: DTZ001 - what is refused
    ],
)
def test_impossible_markets_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MarketConfig(**changes)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_rates_are_shares(rate: float) -> None:
    with pytest.raises(ValueError, match="fault rate late must be from 0 to 1"):
        FaultRates(late=rate)


def test_start_becomes_utc() -> None:
    local = datetime(2026, 3, 2, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    config = MarketConfig(start=local, days=2)
    assert config.start == datetime(2026, 3, 2, tzinfo=UTC)
    assert config.start.tzinfo is UTC
    assert config.end == datetime(2026, 3, 4, tzinfo=UTC)

"""Real series, walked through hour by hour, and faults put into them.

The marts of a simulated market are as quiet as the market was; a fault changes the hours that it
would have changed. A larger market is drawn from the hours of a small one, so that its noise is the
real noise of so many sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from adx_platform.quality.anomaly.catalogue import AnomalyCheck, anomaly_checks
from adx_platform.quality.anomaly.detector import State, judge
from adx_platform.quality.anomaly.marts import Marts
from adx_platform.quality.anomaly.series import HOUR, Kind, Series
from adx_platform.settings import QualitySettings

SETTINGS = QualitySettings()
FAULT_HOURS = 3
Fault = Literal["half", "silent", "storm", "flood", "x3", "x10"]

CHECKS = {check.name: check for check in anomaly_checks()}


@dataclass(frozen=True)
class Case:
    """A fault in the series of one check; of the busiest of them."""

    check: str
    fault: Fault
    small_market: bool
    """Whether 300 messages an hour are enough to see it within two hours."""


CASES = (
    Case("volume_bid_requests", "half", True),
    Case("volume_ad_impressions", "half", False),
    Case("volume_clicks_conversions", "half", False),
    Case("volume_bid_requests", "silent", True),
    Case("volume_ad_impressions", "silent", True),
    Case("volume_clicks_conversions", "silent", False),
    Case("exchange_volume_bid_requests", "silent", True),
    Case("exchange_volume_ad_impressions", "silent", False),
    Case("reject_rate_bid_requests", "storm", True),
    Case("reject_rate_ad_impressions", "storm", True),
    Case("reject_rate_clicks_conversions", "storm", False),
    Case("duplicate_rate_bid_requests", "storm", True),
    Case("duplicate_rate_ad_impressions", "storm", True),
    Case("duplicate_rate_clicks_conversions", "storm", False),
    Case("late_rate_bid_requests", "flood", True),
    Case("late_rate_ad_impressions", "flood", True),
    Case("late_rate_clicks_conversions", "flood", False),
    Case("ctr", "x3", False),
    Case("win_rate", "half", False),
    Case("cpm", "x10", True),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a case, tried at several hours.

    ``delays``: closed hours until the alarm, null where there was none while the fault lasted.
    ``lingering``: alarms that were still there two closed hours after the fault.
    """

    case: Case
    per_hour: float
    delays: tuple[int | None, ...]
    lingering: int

    def recall(self, within: int) -> float:
        found = sum(1 for delay in self.delays if delay is not None and delay <= within)
        return found / len(self.delays)

    def __str__(self) -> str:
        shares = " | ".join(f"{self.recall(hours):.0%}" for hours in (1, 2, 3))
        name = f"{self.case.check} | {self.case.fault}"
        return f"| {name} | {self.per_hour:,.1f} | {shares} | {self.lingering} |"


def alarms(check: AnomalyCheck, series: Series, times: Iterator[datetime]) -> list[datetime]:
    """The ends of the closed hours after which ``check`` fails because of ``series``."""
    return [time for time in times if _is_anomalous(check, series, time)]


def hours(first: datetime, count: int) -> Iterator[datetime]:
    """Ends of ``count`` hours, from the one that begins at ``first``."""
    return (first + HOUR * (index + 1) for index in range(count))


def try_case(
    case: Case, marts: Marts, first: datetime, count: int, *, times_larger: int = 1, tries: int = 20
) -> Outcome:
    """Put the fault of ``case`` into ``tries`` hours out of the ``count`` from ``first``."""
    random = np.random.default_rng(7)
    check = CHECKS[case.check]
    series = max(check.series(marts), key=lambda s: float(_weight(s).sum()))
    if times_larger > 1:
        series = larger(series, times_larger, random)
    delays: list[int | None] = []
    lingering = 0
    for _ in range(tries):
        at = first + HOUR * int(random.integers(0, count - FAULT_HOURS - 2))
        faulty = with_fault(series, at, case.fault, random)
        found = alarms(check, faulty, hours(at, FAULT_HOURS))
        delays.append((found[0] - at) // HOUR if found else None)
        lingering += bool(alarms(check, faulty, hours(at + HOUR * (FAULT_HOURS + 1), 1)))
    return Outcome(case, float(_weight(series).mean()), tuple(delays), lingering)


def with_fault(series: Series, at: datetime, fault: Fault, random: np.random.Generator) -> Series:
    """``series`` as it had been with the fault in the ``FAULT_HOURS`` from ``at``."""
    part, whole = series.part.copy(), series.whole.copy()
    first = (at - series.start) // HOUR
    bad = slice(first, first + FAULT_HOURS)
    if fault == "half":
        part[bad] = random.binomial(part[bad].astype(np.int64), 0.5)
    elif fault == "silent":
        part[bad] = 0.0
    elif fault == "storm":  # two bad messages for every five that come anyway
        more = np.round(0.4 * whole[bad])
        part[bad] += more
        whole[bad] += more
    elif fault == "flood":  # two of five events are late
        part[bad] += random.binomial((whole - part)[bad].astype(np.int64), 0.4)
    elif fault == "x3":
        part[bad] *= 3.0
    else:
        part[bad] *= 10.0
    return replace(series, part=part, whole=whole)


def larger(series: Series, times: int, random: np.random.Generator) -> Series:
    """A market ``times`` as large: each hour is the sum of others of the same hour of the week.

    Of a rate or a price, of the same hour of any day: of so few clicks an hour of the week has a
    rate of its own by chance alone, which a larger market would not have.
    """
    period = 24 * 7 if series.kind is Kind.VOLUME else 24
    length = len(series) // period * period
    drawn = random.integers(0, length // period, (times, length)) * period
    drawn += np.arange(length) % period
    part, whole = series.part[drawn].sum(axis=0), series.whole[drawn].sum(axis=0)
    return replace(
        series, part=part, whole=np.ones(length) if series.kind is Kind.VOLUME else whole
    )


def _weight(series: Series) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How much there is of a series in an hour: messages, events, prices."""
    return series.part if series.kind is Kind.VOLUME else series.whole


def _is_anomalous(check: AnomalyCheck, series: Series, time: datetime) -> bool:
    learned_from = max(0, (time - SETTINGS.anomaly_training - series.start) // HOUR)
    found = judge(
        series.since(learned_from),
        check.limits,
        closed_until=time,
        tested_hours=SETTINGS.anomaly_tested_hours,
        min_days=SETTINGS.anomaly_min_days,
        shown_hours=0,
    )
    return found.state is State.ANOMALOUS

"""An hourly series: what was counted in each hour, out of how many.

Belongs here: the shape of a series, and which windows of incidents touch it. Does not belong here:
where it comes from (``marts``) or what is normal for it (``model``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from adx_platform.quality.incidents.model import SeriesWindow

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]

HOUR = timedelta(hours=1)


class Kind(StrEnum):
    """What the two numbers of an hour are.

    ``volume``: a count, and 1; an hour without a row counted nothing. ``rate``: a part and its
    whole; an hour without a whole says nothing. ``mean``: a sum of amounts, and their number.
    """

    VOLUME = "volume"
    RATE = "rate"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Series:
    """One series, without holes.

    Attributes:
        metric: what is measured: ``volume``, ``reject_rate``.
        key: of what: ``ad_impressions``, ``ad_impressions/ex-2``, ``market/EUR``.
        kind: what the numbers are.
        start: the first hour, UTC.
        part: per hour the count, the part or the sum.
        whole: per hour 1, the whole or the number.
    """

    metric: str
    key: str
    kind: Kind
    start: datetime
    part: Floats
    whole: Floats

    def __len__(self) -> int:
        return len(self.part)

    def hour(self, index: int) -> datetime:
        """The hour at a position; the last one is -1."""
        return self.start + HOUR * (index % len(self))

    def value(self, index: int) -> float | None:
        """What a person would call the value of that hour; null where there is none."""
        whole = float(self.whole[index])
        return float(self.part[index]) / whole if whole > 0 else None

    @property
    def hours_of_day(self) -> Numbers:
        """Per hour 0 to 23."""
        return (np.arange(len(self)) + self.start.hour) % 24

    @property
    def days_of_week(self) -> Numbers:
        """Per hour 0 (Monday) to 6, by the UTC calendar."""
        return ((np.arange(len(self)) + self.start.hour) // 24 + self.start.weekday()) % 7

    def before(self, end: datetime) -> Series:
        """The hours before ``end``."""
        kept = max(0, min(len(self), (end - self.start) // HOUR))
        return replace(self, part=self.part[:kept], whole=self.whole[:kept])

    def since(self, index: int) -> Series:
        """The hours from the one at a position on."""
        return replace(
            self, start=self.hour(index), part=self.part[index:], whole=self.whole[index:]
        )


def covered(series: Series, windows: Iterable[SeriesWindow]) -> Flags:
    """Which hours an incident covers.

    A window counts for every metric of what it names, and for what that is part of or made of: when
    an exchange was silent, its stream's volume is nothing to learn from either.
    """
    flags = np.zeros(len(series), dtype=np.bool_)
    for window in windows:
        if not _is_related(window.key, series.key):
            continue
        first = max(0, (_utc(window.start) - series.start) // HOUR)
        last = len(series) if window.end is None else -((series.start - _utc(window.end)) // HOUR)
        flags[first : max(first, last)] = True
    return flags


def _is_related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

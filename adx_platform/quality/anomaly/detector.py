"""The verdict about the newest closed hours of a series.

Belongs here: which hours are learned from, and when a deviation matters. Does not belong here: what
is normal (``model``), which hours are closed (``hours``), or who is told.

The newest hour is judged alone and together with the one and the two before it: one hour that is
far off fails, and so do three that are each a little off. A deviation must be unlikely and large
enough for a person to care, and the newest hour must itself be off to that side: so a check passes
again with the first hour that is back inside.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import numpy as np

from adx_platform.quality.anomaly import tails
from adx_platform.quality.anomaly.model import HOURS_PER_DAY, MODEL_ERROR, Expectation, expect
from adx_platform.quality.anomaly.series import HOUR, Flags, Kind, Series, covered
from adx_platform.quality.incidents.model import SeriesWindow

SHOWN_HOURS = 24
ENDED_AFTER_HOURS = 7 * HOURS_PER_DAY
"""A volume that has been 0 for so long has ended: silence is no news any more, and what comes
after it is a new series."""
LASTING_HOURS = 7 * HOURS_PER_DAY
"""Where incidents cover more than half of the last so many hours, they are learned from after all:
what lasts is the new normal, and would otherwise be an alarm until history has forgotten the old
one."""
_OFF = 1.0
"""An hour is off when it is this many standard deviations to the side in question."""


class State(StrEnum):
    """What can be said of a series. Only ``anomalous`` fails."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    COLD_START = "cold_start"
    ENDED = "ended"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a deviation is too much.

    Attributes:
        low: standard deviations below what is expected; null: too little is never wrong.
        high: standard deviations above; null: too much is never wrong.
        matters: smallest change that matters, as a share of what is expected.
        matters_absolute: smallest change of a rate that matters, in the rate's own unit.
    """

    low: float | None
    high: float | None
    matters: float
    matters_absolute: float = 0.0


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far some hours together are from what is expected.

    Attributes:
        score: in standard deviations.
        relative: as a share of what is expected; 0 is none.
        absolute: per unit of the whole.
        hours: how many hours were taken together.
    """

    score: float
    relative: float
    absolute: float
    hours: int = 1

    def exceeds(self, limits: Limits) -> int:
        """-1 or 1: the side on which it is too much; 0: it is not."""
        side = -1 if self.score < 0.0 else 1
        limit = limits.low if side < 0 else limits.high
        too_much = (
            limit is not None
            and self.score * side >= limit
            and self.relative * side >= limits.matters
            and self.absolute * side >= limits.matters_absolute
        )
        return side if too_much else 0


@dataclass(frozen=True, slots=True)
class JudgedHour:
    """One hour beside its band; null where the hour says nothing or the side has no limit."""

    hour: datetime
    observed: float | None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None
    anomalous: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one series.

    Attributes:
        metric: of the series.
        key: of the series.
        state: the verdict.
        hours: the newest hours up to the newest closed one, oldest first.
        deviation: the one that decided; of a normal series that of the newest hour.
        learned: hours learned from.
        excluded: hours left out because an incident covers them.
    """

    metric: str
    key: str
    state: State
    hours: tuple[JudgedHour, ...] = ()
    deviation: Deviation | None = None
    learned: int = 0
    excluded: int = 0

    @property
    def newest(self) -> JudgedHour | None:
        """The newest closed hour."""
        return self.hours[-1] if self.hours else None

    @property
    def windows(self) -> tuple[SeriesWindow, ...]:
        """The anomalous hours, neighbours joined."""
        windows: list[SeriesWindow] = []
        for judged in self.hours:
            if not judged.anomalous:
                continue
            start = judged.hour
            if windows and windows[-1].end == judged.hour:
                start = windows.pop().start
            windows.append(SeriesWindow(self.metric, self.key, start, judged.hour + HOUR))
        return tuple(windows)


def judge(
    series: Series,
    limits: Limits,
    *,
    closed_until: datetime,
    tested_hours: int,
    min_days: int,
    excluded: Collection[SeriesWindow] = (),
    shown_hours: int = SHOWN_HOURS,
) -> Verdict:
    """Judge the newest closed hours of ``series``.

    Args:
        series: the series, from the first hour that is learned from.
        limits: when a deviation is too much.
        closed_until: end of the newest closed hour.
        tested_hours: so many newest closed hours are judged and not learned from.
        min_days: days on which an hour of the day must have been observed.
        excluded: windows of incidents; not learned from.
        shown_hours: so many hours are described, with their bands.
    """
    closed = _since_it_came_back(series.before(closed_until))
    if not len(closed) or closed.start + HOUR * len(closed) < closed_until:
        return Verdict(series.metric, series.key, State.NO_DATA)
    in_incident = _not_lasting(covered(closed, excluded), tested_hours)
    training = (closed.whole > 0) & ~in_incident
    training[-tested_hours:] = False
    verdict = Verdict(
        metric=series.metric,
        key=series.key,
        state=_untold(closed, training, min_days) or State.NORMAL,
        learned=int(training.sum()),
        excluded=int(in_incident[:-tested_hours].sum()),
    )
    first = max(0, len(closed) - shown_hours)
    if verdict.state is not State.NORMAL:
        bare = (JudgedHour(closed.hour(i), closed.value(i)) for i in range(first, len(closed)))
        return replace(verdict, hours=tuple(bare))
    expected = expect(closed, training)
    worst = _worst(closed, expected, limits, tested_hours)
    side = worst.exceeds(limits) if worst else 0
    suspects = range(len(closed) - worst.hours, len(closed)) if worst and side else range(0)
    hours = tuple(
        _judged(closed, expected, limits, index, side if index in suspects else 0)
        for index in range(first, len(closed))
    )
    state = State.ANOMALOUS if side else State.NORMAL
    return replace(verdict, state=state, hours=hours, deviation=worst)


def _since_it_came_back(series: Series) -> Series:
    """A volume from the hour on that ended its last long silence."""
    counted = np.flatnonzero(series.part > 0)
    if series.kind is not Kind.VOLUME or not len(counted):
        return series
    silences = np.flatnonzero(np.diff(counted) > ENDED_AFTER_HOURS)
    return series.since(int(counted[silences[-1] + 1])) if len(silences) else series


def _not_lasting(in_incident: Flags, tested_hours: int) -> Flags:
    recent = slice(-LASTING_HOURS - tested_hours, -tested_hours)
    if 2 * int(in_incident[recent].sum()) > LASTING_HOURS:
        in_incident[recent] = False
    return in_incident


def _untold(series: Series, training: Flags, min_days: int) -> State | None:
    """Why nothing can be said of the newest hours, if so."""
    if series.kind is Kind.VOLUME and not series.part[-ENDED_AFTER_HOURS:].any():
        return State.ENDED
    hours = series.hours_of_day
    seen = int((training & (hours == hours[-1])).sum())
    return State.COLD_START if seen < min_days else None


def _worst(
    series: Series, expected: Expectation, limits: Limits, tested_hours: int
) -> Deviation | None:
    """The deviation of the newest hours that decides; null where the newest one says nothing."""
    end = len(series)
    newest = _deviation(series, expected, end - 1, end)
    if newest is None:
        return None
    worst, least = newest, newest.score
    side = 1 if newest.score > 0.0 else -1
    for first in range(end - 1, max(end - 1 - tested_hours, -1), -1):
        alone = _deviation(series, expected, first, first + 1)
        together = _deviation(series, expected, first, end)
        if alone is None or together is None:
            continue
        least = min(least * side, alone.score * side) * side
        # Together they are judged only if each of them is off, and the newest one by its half of
        # what that takes: else a storm that is over would linger for as long as it is tested.
        share = together.score / (2.0 * together.hours**0.5)
        is_off = least * side >= _OFF and newest.score * side >= share * side
        if not together.exceeds(limits) or (together.hours > 1 and not is_off):
            continue
        if not worst.exceeds(limits) or abs(together.score) > abs(worst.score):
            worst = together
    return worst


def _deviation(series: Series, expected: Expectation, first: int, last: int) -> Deviation | None:
    """Of the hours from ``first`` to before ``last``, taken as one; null where they say nothing."""
    part, whole = series.part[first:last], series.whole[first:last]
    mean, noise = expected.mean[first:last], expected.noise[first:last]
    room = float(whole.sum())
    if series.kind is Kind.MEAN:
        used = (whole > 0) & (part > 0)
        if not used.any():
            return None
        value = float(np.log(part[used].sum() / whole[used].sum()) - mean[0])
        variance = 1.0 / float((1.0 / noise[used]).sum()) + MODEL_ERROR**2
        return Deviation(value / variance**0.5, float(np.expm1(value)), 0.0, last - first)
    if room <= 0.0:
        return None
    seen, foretold = float(part.sum()), float(mean.sum())
    # Chance differs from hour to hour; an error of the model is the same in all of them.
    variance = float(noise.sum()) + (MODEL_ERROR * foretold) ** 2
    return Deviation(
        score=tails.score(seen, foretold, variance),
        relative=seen / foretold - 1.0,
        absolute=(seen - foretold) / room,
        hours=last - first,
    )


def _judged(
    series: Series, expected: Expectation, limits: Limits, index: int, side: int
) -> JudgedHour:
    """One hour with its band; anomalous if it is off to ``side``."""
    deviation = _deviation(series, expected, index, index + 1)
    if deviation is None:
        return JudgedHour(series.hour(index), series.value(index))
    mean, noise, whole = (
        float(values[index]) for values in (expected.mean, expected.noise, series.whole)
    )
    low: float | None
    high: float | None
    if series.kind is Kind.MEAN:
        spread = (noise + MODEL_ERROR**2) ** 0.5
        centre = float(np.exp(mean))
        low = None if limits.low is None else float(np.exp(mean - limits.low * spread))
        high = None if limits.high is None else float(np.exp(mean + limits.high * spread))
    else:
        variance = noise + (MODEL_ERROR * mean) ** 2
        lower, upper = tails.band(mean, variance, limits.low, limits.high)
        centre = mean / whole
        # A volume may always be 0 where no silence would be noticed; a rate has no side below then.
        low = None if lower is None else lower / whole
        high = None if upper is None else upper / whole
    reach = max(limits.matters * centre, limits.matters_absolute)
    return JudgedHour(
        hour=series.hour(index),
        observed=series.value(index),
        expected=centre,
        low=None if low is None else min(low, centre - reach),
        high=None if high is None else max(high, centre + reach),
        score=deviation.score,
        anomalous=bool(side) and deviation.score * side >= _OFF,
    )

"""What is normal for a series: a seasonal profile, its recent level, and the noise around both.

Belongs here: learning from past hours, and saying what to expect of an hour. Does not belong here:
deciding that a deviation matters (``detector``).

The expected count of an hour is::

    whole x profile[hour of day] x factor[day of week] x factor[hour of week] x recent level

Every estimate is robust in the same way: it begins with a median or a pooled share and is
recomputed from counts that are cut off a few standard deviations from what it says, so that an
outage nobody noted does not teach it much. Every factor is drawn towards 1 as far as its own noise
asks for it: four Mondays of eight messages each do not say what a Monday morning is.

The noise is at least that of counting (Poisson for a volume, binomial for a rate), times the
dispersion that the series itself has shown: page views come in sessions, so that the messages of
one exchange vary ten times as much as independent ones would (measured on the simulated market,
2026-11), while those of a whole topic hardly do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from adx_platform.quality.anomaly.series import Flags, Floats, Kind, Numbers, Series

HOURS_PER_DAY = 24
HOURS_PER_WEEK = 168
DAYS_FOR_WEEKDAYS = 14
"""From here on a day of the week has been seen twice."""
DAYS_FOR_HOURS_OF_WEEK = 28
"""From here on an hour of the week has been seen four times."""
LEVEL_DAYS = 7
SPREAD_OF_FACTORS = 0.1
"""How far factors are believed to lie from 1 before anything is seen: their prior deviation."""
MODEL_ERROR = 0.05
"""However much is counted, an hour is not foretold better than to five per cent."""
_PRIOR_COUNT = 20.0
"""A rate's hour of the day is its own only beyond so many counted events."""
_CUT = 3.0
_ROUNDS = 4
_TINY = 1e-9
_MAD_TO_DEVIATION = 1.4826
_LEAST_DAY_SHARE = 0.5
"""A day of which less was observed says nothing about the level."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is normal, per hour of the series.

    Attributes:
        mean: the expected count; of a mean the expected logarithm.
        noise: its variance by chance, which hours do not share.
    """

    mean: Floats
    noise: Floats


def expect(series: Series, training: Flags) -> Expectation:
    """Learn from the hours marked in ``training``; there must be some with a whole above 0."""
    if series.kind is Kind.MEAN:
        return _expect_mean(series, training)
    return _expect_count(series, training)


def _expect_count(series: Series, training: Flags) -> Expectation:
    whole, hours = series.whole, series.hours_of_day
    seasonal = _Seasonal(series, training)
    dispersion = 1.0
    base = _start(series, training)
    factors = np.ones(len(series))
    for _ in range(_ROUNDS):
        fitted = np.maximum(whole * base[hours] * factors, _TINY)
        dispersion = _dispersion(series, fitted, training, seasonal.fitted_factors)
        reach = _CUT * np.sqrt(dispersion * _counting_noise(series, fitted))
        # Half a count more, so that what is rare may occur once.
        clipped = np.clip(series.part, fitted - reach, fitted + reach + 0.5)
        base = _base(series, clipped, training, factors)
        fitted = np.maximum(whole * base[hours], _TINY)
        factors = seasonal.factors(clipped, fitted, dispersion)
    fitted = np.maximum(whole * base[hours] * factors, _TINY)
    dispersion = _dispersion(series, fitted, training, seasonal.fitted_factors)
    seen = np.maximum(_per_bin(hours, training & (whole > 0), HOURS_PER_DAY)[hours], 1.0)
    noise = dispersion * _counting_noise(series, fitted) * (1.0 + 1.0 / seen + seasonal.error)
    return Expectation(fitted, noise)


def _start(series: Series, training: Flags) -> Floats:
    """Per hour of the day, before anything is known: medians of a volume, one share of a rate."""
    pooled = _pooled(series, series.part, training)
    base = np.full(HOURS_PER_DAY, pooled)
    if series.kind is Kind.VOLUME:
        counts, hours = series.part[training], series.hours_of_day[training]
        for hour in range(HOURS_PER_DAY):
            seen = counts[hours == hour]
            if len(seen):
                # The median of small counts is coarse; where it is 0 the mean says more.
                base[hour] = np.median(seen) or np.mean(seen) or pooled
    return base


def _base(series: Series, clipped: Floats, training: Flags, factors: Floats) -> Floats:
    """Per hour of the day, the share of counts in what would be 1 of them each."""
    pooled = _pooled(series, clipped, training)
    prior = 0.0 if series.kind is Kind.VOLUME else _PRIOR_COUNT
    count = _per_bin(series.hours_of_day, clipped * training, HOURS_PER_DAY)
    room = _per_bin(series.hours_of_day, series.whole * factors * training, HOURS_PER_DAY)
    with np.errstate(invalid="ignore", divide="ignore"):
        base = (count + prior) / (room + prior / pooled)
    return np.where(np.isfinite(base) & (base > 0), base, pooled)


def _pooled(series: Series, counts: Floats, training: Flags) -> float:
    """One share for all hours; half a count where nothing was ever counted."""
    return float(max(counts[training].sum(), 0.5) / max(series.whole[training].sum(), _TINY))


class _Seasonal:
    """The factors beyond the hour of the day: level of the days, day of week, hour of week.

    Attributes:
        fitted_factors: how many numbers were learned, each as far as it is not drawn to 1. History
            looks quieter than it was by as much as they follow its noise.
        error: per hour, the variance that their own noise adds, in units of the hour's.
    """

    def __init__(self, series: Series, training: Flags) -> None:
        self._training = training
        self._is_volume = series.kind is Kind.VOLUME
        self._days_of_week = series.days_of_week
        self._hours_of_week = self._days_of_week * HOURS_PER_DAY + series.hours_of_day
        # Days are counted back from the last hour learned from, so that the newest one is whole.
        newest = int(np.flatnonzero(training)[-1])
        self._blocks = np.maximum(newest - np.arange(len(series)), 0) // HOURS_PER_DAY
        self._days = int(training.sum()) / HOURS_PER_DAY
        self.fitted_factors = 0.0
        self.error = np.zeros(len(series))

    def factors(self, clipped: Floats, fitted: Floats, dispersion: float) -> Floats:
        """Per hour of the series, the product of all factors."""
        result = np.ones(len(fitted))
        self.fitted_factors = 0.0
        self.error = np.zeros(len(fitted))
        if self._is_volume and self._days >= DAYS_FOR_WEEKDAYS:
            result *= self._binned(self._days_of_week, 7, clipped, fitted, dispersion)
        result *= self._levels(clipped, fitted * result, dispersion)
        if self._is_volume and self._days >= DAYS_FOR_HOURS_OF_WEEK:
            result *= self._binned(
                self._hours_of_week, HOURS_PER_WEEK, clipped, fitted * result, dispersion
            )
        return result

    def _binned(
        self, bins: Numbers, count: int, clipped: Floats, fitted: Floats, dispersion: float
    ) -> Floats:
        seen = _per_bin(bins, clipped * self._training, count)
        foretold = _per_bin(bins, fitted * self._training, count)
        trust = foretold / (foretold + dispersion / SPREAD_OF_FACTORS**2)
        observed = np.maximum(_per_bin(bins, self._training, count), 1.0)
        self.fitted_factors += float(trust.sum())
        self.error += (trust / observed)[bins]
        ratios = np.divide(seen, foretold, out=np.ones(count), where=foretold > 0)
        factors: Floats = (1.0 + trust * (ratios - 1.0))[bins]
        return factors

    def _levels(self, clipped: Floats, fitted: Floats, dispersion: float) -> Floats:
        """Per hour the median level of the seven days around its day.

        Hours after the last one learned from take the level of the last seven days.
        """
        days = int(self._blocks[0]) + 1
        seen = _per_bin(self._blocks, clipped * self._training, days)
        foretold = _per_bin(self._blocks, fitted * self._training, days)
        observed = _per_bin(self._blocks, self._training.astype(np.float64), days)
        usable = np.flatnonzero((observed >= _LEAST_DAY_SHARE * HOURS_PER_DAY) & (foretold > 0))
        if not len(usable):
            return np.ones(len(fitted))
        width = min(LEVEL_DAYS, len(usable))
        ratios = sliding_window_view(seen[usable] / foretold[usable], width)
        weight = sliding_window_view(foretold[usable], width).sum(axis=1)
        trust = weight / (weight + dispersion / SPREAD_OF_FACTORS**2)
        levels = 1.0 + trust * (np.median(ratios, axis=1) - 1.0)
        self.fitted_factors += float(trust.mean()) * len(usable) / width
        # A day takes the window that it is in the middle of; at both ends the nearest whole one.
        position = np.searchsorted(usable, np.arange(days)) - width // 2
        by_hour: Floats = levels[np.clip(position, 0, len(levels) - 1)][self._blocks]
        return by_hour


def _counting_noise(series: Series, fitted: Floats) -> Floats:
    """Variance of a count that only chance moves."""
    if series.kind is Kind.VOLUME:
        return fitted
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(series.whole > 0, fitted / series.whole, 0.0)
    return np.maximum(fitted * (1.0 - np.clip(share, 0.0, 0.99)), _TINY)


def _dispersion(series: Series, fitted: Floats, training: Flags, fitted_factors: float) -> float:
    """How many times the counting noise the series varies by; never below 1.

    Squared residuals are cut at four standard deviations of what the estimate itself says, starting
    from the median's, until they agree (they do in a few rounds).
    """
    used = training & (series.whole > 0)
    residuals = (series.part - fitted)[used] / np.sqrt(_counting_noise(series, fitted)[used])
    free = len(residuals) - fitted_factors
    if series.kind is Kind.VOLUME:
        free -= HOURS_PER_DAY
    return max(1.0, _cut_variance(residuals) * len(residuals) / max(free, 0.5 * len(residuals)))


def _cut_variance(residuals: Floats) -> float:
    variance = max(0.5, (_MAD_TO_DEVIATION * float(np.median(np.abs(residuals)))) ** 2)
    squares = residuals**2
    for _ in range(_ROUNDS):
        variance = max(0.5, float(np.mean(np.minimum(squares, 16.0 * variance))))
    return variance


def _expect_mean(series: Series, training: Flags) -> Expectation:
    """Prices: the logarithm of an hour's mean, around the median of those of recent weeks."""
    used = training & (series.whole > 0) & (series.part > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(series.part / series.whole)
    centre = _weighted_median(logs[used], series.whole[used])
    residuals = (logs - centre)[used] * np.sqrt(series.whole[used])
    scale = max(_MAD_TO_DEVIATION * float(np.median(np.abs(residuals))), _TINY)
    variance = _cut_variance(residuals / scale) * scale**2
    return Expectation(np.full(len(series), centre), variance / np.maximum(series.whole, 1.0))


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2.0)])


def _per_bin(bins: Numbers, values: Floats | Flags, count: int) -> Floats:
    sums: Floats = np.bincount(bins, weights=values, minlength=count).astype(np.float64)
    return sums

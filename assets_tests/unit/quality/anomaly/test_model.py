"""What is learned is what the market was made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adx_platform.quality.anomaly.model import expect
from adx_platform.quality.anomaly.series import Flags, Series
from assets_tests.unit.quality.anomaly.conftest import MakeSeries, expected_counts


def all_but_the_newest(series: Series) -> Flags:
    training = np.ones(len(series), dtype=np.bool_)
    training[-3:] = False
    return training


def test_a_volume_has_its_hours_and_its_weekdays(volume: MakeSeries) -> None:
    series = volume(35, 1_000.0)

    learned = expect(series, all_but_the_newest(series)).mean

    assert learned == pytest.approx(expected_counts(35, 1_000.0), rel=0.06)


def test_with_four_weeks_a_single_hour_of_the_week_is_known(volume: MakeSeries) -> None:
    def monday_at_three(days: int) -> float:
        series = volume(days, 1_000.0)
        part = series.part.copy()
        part[3::168] *= 2.0
        odd = replace(series, part=part)
        learned = expect(odd, all_but_the_newest(odd)).mean
        return float(learned[3] / expected_counts(days, 1_000.0)[3])

    assert monday_at_three(21) < 1.35
    assert monday_at_three(35) > 1.5


def test_the_level_follows_growth(volume: MakeSeries) -> None:
    series = volume(35, 1_000.0, growth=0.02)

    learned = expect(series, all_but_the_newest(series)).mean

    true = expected_counts(35, 1_000.0)[-3:] * 1.02 ** (np.arange(837, 840) / 24)
    # The level is that of the last seven days' middle, seven per cent ago.
    assert learned[-3:] == pytest.approx(true, rel=0.18)


def test_bursts_make_the_noise_as_large_as_they_are(volume: MakeSeries) -> None:
    steady = volume(35, 10.0)
    bursts = replace(steady, part=steady.part * 10.0)

    noise = expect(bursts, all_but_the_newest(bursts))

    # Ten messages at a time: the variance is ten times the mean.
    assert np.median(noise.noise / noise.mean) == pytest.approx(10.0, rel=0.2)


def test_an_unnoted_outage_and_a_storm_teach_little(volume: MakeSeries) -> None:
    series = volume(14, 100.0)
    part = series.part.copy()
    part[100:124] = 0.0
    part[200:203] = 5_000.0
    stained = replace(series, part=part)

    clean = expect(series, all_but_the_newest(series)).mean
    learned = expect(stained, all_but_the_newest(stained)).mean

    assert learned[-24:] == pytest.approx(clean[-24:], rel=0.12)


def test_a_rate_of_few_events_is_one_rate(rate: MakeSeries) -> None:
    series = rate(35, 20.0, 0.02)

    share = expect(series, all_but_the_newest(series)).mean / np.maximum(series.whole, 1.0)

    assert share[series.whole > 0] == pytest.approx(0.02, rel=0.5)


def test_a_price_of_many_is_known_better_than_of_one(price: MakeSeries) -> None:
    series = price()

    noise = expect(series, all_but_the_newest(series)).noise

    many, one = series.whole.argmax(), int(np.flatnonzero(series.whole == 1.0)[0])
    assert noise[one] / noise[many] == pytest.approx(series.whole[many])

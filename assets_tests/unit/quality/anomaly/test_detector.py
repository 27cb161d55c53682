"""What is wrong is found, what is only unusual is not, and nothing alarms for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from adx_platform.quality.anomaly.catalogue import (
    CPM,
    CTR,
    EXCHANGE_VOLUME,
    REJECT_RATE,
    VOLUME,
    WIN_RATE,
)
from adx_platform.quality.anomaly.detector import Limits, State, Verdict, judge
from adx_platform.quality.anomaly.series import HOUR, Kind, Series
from adx_platform.quality.incidents.model import SeriesWindow
from assets_tests.unit.quality.anomaly.conftest import MONDAY, MakeSeries


def verdict(series: Series, limits: Limits = VOLUME, **arguments: Any) -> Verdict:
    """Of the newest hours, all of them closed."""
    given = {
        "closed_until": series.start + HOUR * len(series),
        "tested_hours": 3,
        "min_days": 7,
    }
    return judge(series, limits, **(given | arguments))


def changed(series: Series, hours: slice, factor: float) -> Series:
    part = series.part.copy()
    part[hours] = np.round(part[hours] * factor)
    return replace(series, part=part)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("days", [8, 15, 29, 35])
def test_ordinary_hours_pass(volume: MakeSeries, days: int, seed: int) -> None:
    series = volume(days, seed=seed)
    for hours in range(24):
        closed = series.start + HOUR * (len(series) - hours)
        assert verdict(series, closed_until=closed).state is State.NORMAL, closed


@pytest.mark.parametrize("level", [30.0, 1_000.0, 1_000_000.0])
def test_a_weekend_is_no_anomaly(volume: MakeSeries, level: float) -> None:
    series = volume(33, level)  # the last day is a Friday
    for day in (33, 34, 35):
        whole = volume(day, level)
        assert verdict(whole).state is State.NORMAL
    assert series.days_of_week[-1] == 4


def test_slow_growth_is_no_anomaly(volume: MakeSeries) -> None:
    assert verdict(volume(35, 500.0, growth=0.02)).state is State.NORMAL


def test_one_hour_that_is_far_off_fails_and_the_next_good_one_passes(volume: MakeSeries) -> None:
    series = volume()
    dropped = changed(series, slice(-2, -1), 0.3)

    during = verdict(dropped, closed_until=series.start + HOUR * (len(series) - 1))
    after = verdict(dropped)

    assert during.state is State.ANOMALOUS
    assert during.newest is not None
    assert during.newest.low is not None
    assert during.newest.observed is not None
    assert during.newest.observed < during.newest.low
    assert during.windows == (SeriesWindow("volume", "s", series.hour(-2), series.hour(-2) + HOUR),)
    assert after.state is State.NORMAL, "the newest hour is back inside"


def test_three_hours_that_are_each_a_little_off_fail_together(volume: MakeSeries) -> None:
    series = volume(level=40.0)
    dropped = changed(series, slice(-3, None), 0.6)

    alone = verdict(dropped, tested_hours=1)
    together = verdict(dropped)

    assert alone.state is State.NORMAL
    assert together.state is State.ANOMALOUS
    assert together.deviation is not None
    assert together.deviation.hours > 1


def test_a_change_too_small_to_matter_passes_however_certain_it_is(volume: MakeSeries) -> None:
    series = volume(level=1_000_000.0)

    assert verdict(changed(series, slice(-3, None), 0.85)).state is State.NORMAL
    assert verdict(changed(series, slice(-3, None), 0.5)).state is State.ANOMALOUS


def test_a_silent_exchange_is_found_although_no_row_says_so(volume: MakeSeries) -> None:
    series = volume(level=60.0)
    silent = changed(series, slice(-2, None), 0.0)

    assert verdict(silent, EXCHANGE_VOLUME).state is State.ANOMALOUS


def test_few_messages_are_no_silence(volume: MakeSeries) -> None:
    series = volume(level=1.0)

    found = verdict(changed(series, slice(-3, None), 0.0))

    assert found.state is State.NORMAL
    assert found.newest is not None
    assert found.newest.low is None, "no count of one hour is too low here"


def test_too_much_is_a_less_sensitive_side_of_a_volume(volume: MakeSeries) -> None:
    series = volume(level=40.0)

    assert verdict(changed(series, slice(-1, None), 1.8)).state is State.NORMAL
    assert verdict(changed(series, slice(-1, None), 4.0)).state is State.ANOMALOUS


def test_a_rate_is_judged_by_how_many_it_is_of(rate: MakeSeries) -> None:
    series = rate()
    part, whole = series.part.copy(), series.whole.copy()
    part[-1], whole[-1] = 1.0, 2.0
    few = replace(series, part=part, whole=whole)
    part, whole = series.part.copy(), series.whole.copy()
    part[-1], whole[-1] = 50.0, 100.0
    many = replace(series, part=part, whole=whole)

    assert verdict(few, REJECT_RATE).state is State.NORMAL
    assert verdict(many, REJECT_RATE).state is State.ANOMALOUS


def test_only_one_side_of_a_reject_rate_is_bad(rate: MakeSeries) -> None:
    series = rate(share=0.4)

    found = verdict(changed(series, slice(-3, None), 0.0), REJECT_RATE)

    assert found.state is State.NORMAL
    assert found.newest is not None
    assert found.newest.low is None


def test_an_hour_without_a_whole_says_nothing(rate: MakeSeries) -> None:
    series = rate()
    part, whole = series.part.copy(), series.whole.copy()
    part[-1] = whole[-1] = 0.0

    found = verdict(replace(series, part=part, whole=whole), REJECT_RATE)

    assert (found.state, found.deviation) == (State.NORMAL, None)
    assert found.newest is not None
    assert found.newest.observed is None


def test_a_win_rate_that_fell_and_clicks_that_tripled_are_found(rate: MakeSeries) -> None:
    wins = changed(rate(share=0.35), slice(-2, None), 0.4)
    clicks = changed(rate(level=1_000.0, share=0.03), slice(-2, None), 3.0)

    assert verdict(wins, WIN_RATE).state is State.ANOMALOUS
    assert verdict(clicks, CTR).state is State.ANOMALOUS


@pytest.mark.parametrize(
    ("factor", "state"), [(1.0, "normal"), (10.0, "anomalous"), (0.1, "anomalous")]
)
def test_prices(price: MakeSeries, factor: float, state: str) -> None:
    found = verdict(changed(price(), slice(-2, None), factor), CPM)

    assert found.state == state
    newest = found.newest
    assert newest is not None
    assert newest.low is not None
    assert newest.high is not None
    assert newest.low < (newest.expected or 0.0) < newest.high


def test_an_hour_of_the_day_seen_too_rarely_is_a_cold_start(volume: MakeSeries) -> None:
    series = volume(7)
    silent = changed(series, slice(-3, None), 0.0)

    found = verdict(silent)

    assert found.state is State.COLD_START, "seven days less the one under test are six"
    assert found.hours
    assert found.windows == ()
    assert verdict(changed(volume(8), slice(-3, None), 0.0)).state is State.ANOMALOUS


def test_a_new_exchange_begins_with_its_first_message(volume: MakeSeries) -> None:
    grown = volume(10)
    late = replace(grown, start=MONDAY + timedelta(days=20))

    assert verdict(late, closed_until=late.start + timedelta(days=5)).state is State.COLD_START
    assert verdict(late, closed_until=late.start - timedelta(days=5)).state is State.NO_DATA


def test_what_ended_a_week_ago_is_no_alarm_and_what_comes_back_is_new(volume: MakeSeries) -> None:
    series = volume(40)
    ended = changed(series, slice(-8 * 24, None), 0.0)
    back = changed(series, slice(-12 * 24, -2 * 24), 0.0)

    assert verdict(ended).state is State.ENDED
    assert verdict(back).state is State.COLD_START


def test_what_an_incident_covers_is_not_learned_from(volume: MakeSeries) -> None:
    series = volume(15)
    outage = slice(-3 * 24, -6)
    down = changed(series, outage, 0.05)
    window = SeriesWindow("reject_rate", "s", series.hour(len(series) - 3 * 24), series.hour(-6))

    found = verdict(changed(down, slice(-2, None), 0.3), excluded=[window])

    assert found.excluded == 3 * 24 - 6
    assert found.state is State.ANOMALOUS
    assert found.newest is not None
    untouched = verdict(series).newest
    assert untouched is not None
    assert found.newest.expected == pytest.approx(untouched.expected, rel=0.15)


def test_what_lasts_for_days_is_the_new_normal(volume: MakeSeries) -> None:
    series = volume(35)
    halved = changed(series, slice(-5 * 24, None), 0.4)
    incident = SeriesWindow("volume", "s", series.hour(len(series) - 5 * 24))

    second_day = verdict(
        halved, closed_until=series.start + timedelta(days=32), excluded=[incident]
    )
    fifth_day = verdict(halved, excluded=[incident])

    assert second_day.state is State.ANOMALOUS
    assert fifth_day.state is State.NORMAL


def test_a_storm_in_the_history_hardly_widens_the_band(rate: MakeSeries) -> None:
    series = rate()
    part = series.part.copy()
    part[-200:-197] = series.whole[-200:-197] * 0.9
    stained = verdict(replace(series, part=part), REJECT_RATE).newest
    clean = verdict(series, REJECT_RATE).newest

    assert stained is not None
    assert clean is not None
    assert stained.high == pytest.approx(clean.high, rel=0.3)


def test_points_under_test_teach_nothing(volume: MakeSeries) -> None:
    series = volume()
    one, other = verdict(series), verdict(changed(series, slice(-3, None), 100.0))

    assert one.newest is not None
    assert other.newest is not None
    assert one.newest.expected == other.newest.expected


def test_neighbouring_anomalous_hours_are_one_window(volume: MakeSeries) -> None:
    series = volume()

    found = verdict(changed(series, slice(-3, None), 0.1))

    assert found.windows == (SeriesWindow("volume", "s", series.hour(-3), series.hour(-1) + HOUR),)


def test_a_series_of_zeros_learns_that_one_may_occur() -> None:
    zeros = Series("late_rate", "s", Kind.RATE, MONDAY, np.zeros(24 * 20), np.full(24 * 20, 50.0))

    assert verdict(zeros, REJECT_RATE).state is State.NORMAL
    part = zeros.part.copy()
    part[-1] = 1.0
    assert verdict(replace(zeros, part=part), REJECT_RATE).state is State.NORMAL
    part[-1] = 40.0
    assert verdict(replace(zeros, part=part), REJECT_RATE).state is State.ANOMALOUS

"""Hours of the day and week, and which of them an incident covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from adx_platform.quality.anomaly.hours import closed_until
from adx_platform.quality.anomaly.series import HOUR, Kind, Series, covered
from adx_platform.quality.incidents.model import SeriesWindow

START = datetime(2026, 2, 28, 22, tzinfo=UTC)  # a Saturday
GRACE = timedelta(minutes=15)


def series(key: str = "s/x", hours: int = 6) -> Series:
    return Series("volume", key, Kind.VOLUME, START, np.arange(hours, dtype=float), np.ones(hours))


def window(first: int, last: int | None, key: str = "s/x") -> SeriesWindow:
    end = None if last is None else START + HOUR * last
    return SeriesWindow("reject_rate", key, START + HOUR * first, end)


def test_hours_and_days_go_over_midnight() -> None:
    assert series().hours_of_day.tolist() == [22, 23, 0, 1, 2, 3]
    assert series().days_of_week.tolist() == [5, 5, 6, 6, 6, 6]
    assert series().hour(-1) == START + 5 * HOUR


def test_a_part_keeps_its_times() -> None:
    assert len(series().before(START + 2 * HOUR)) == 2
    assert len(series().before(START - HOUR)) == 0
    assert series().since(2).start == START + 2 * HOUR
    assert series().since(2).value(0) == 2.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (window(1, 3), [1, 2]),
        (window(-5, 1), [0]),
        (window(4, None), [4, 5]),
        (window(-9, -3), []),
        (window(7, 9), []),
        (window(0, 1, key="s"), [0]),
        (window(0, 1, key="s/x/y"), [0]),
        (window(0, 1, key="s/other"), []),
        (window(0, 1, key="st"), []),
    ],
)
def test_hours_of_an_incident(given: SeriesWindow, expected: list[int]) -> None:
    assert np.flatnonzero(covered(series(), [given])).tolist() == expected


def test_half_an_hour_of_an_incident_covers_the_hour() -> None:
    half = SeriesWindow("volume", "s/x", START + 1.5 * HOUR, START + 2.5 * HOUR)

    assert np.flatnonzero(covered(series(), [half])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("minutes", "hours"),
    [
        ({"a": 134}, 1),  # its hour ended 14 minutes ago
        ({"a": 135}, 2),
        ({"a": 30, "b": 135}, 1),  # a is silent, or slower by less than an hour and the grace
        ({"a": 30, "b": 194}, 1),
        ({"a": 30, "b": 195}, 2),
        ({"b": 195}, 2),  # nothing of a at all
        ({"a": 135, "b": 30}, 2),
    ],
)
def test_an_hour_is_closed_by_its_stream_or_later_by_any_other(
    minutes: dict[str, int], hours: int
) -> None:
    newest = {stream: START + timedelta(minutes=m) for stream, m in minutes.items()}

    assert closed_until(newest, "a", grace=GRACE) == START + hours * HOUR


def test_figures_of_all_streams_wait_for_the_slowest() -> None:
    newest = {"a": START + timedelta(minutes=140), "b": START + timedelta(minutes=100)}

    assert closed_until(newest, None, grace=GRACE) == START + HOUR
    assert closed_until({}, None, grace=GRACE) is None

"""What a person reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adx_platform.quality.anomaly.detector import Deviation, JudgedHour, State, Verdict
from adx_platform.quality.anomaly.explain import figure, sentence, table
from adx_platform.quality.anomaly.series import Kind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = JudgedHour(NOON - timedelta(hours=1), 190.0, 200.0, 120.0, 310.0, -0.4)
DROP = JudgedHour(NOON, 12.0, 210.0, 125.0, 320.0, -9.4, anomalous=True)
BAD = Verdict("volume", "s", State.ANOMALOUS, (BEFORE, DROP), Deviation(-9.4, -0.9, -198.0, 2))
GOOD = Verdict("volume", "t", State.NORMAL, (BEFORE,), Deviation(-0.4, 0.0, 0.0))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, Kind.VOLUME, "-"),
        (1234.4, Kind.VOLUME, "1,234"),
        (3.0, Kind.VOLUME, "3"),
        (0.26, Kind.VOLUME, "0.3"),
        (0.0123, Kind.RATE, "1.23%"),
        (4_560_000.0, Kind.MEAN, "4.56"),
    ],
)
def test_figures(value: float | None, kind: Kind, text: str) -> None:
    assert figure(value, kind) == text


def test_a_failure_names_what_is_off_by_how_much() -> None:
    assert sentence([BAD, GOOD], Kind.VOLUME) == (
        "s: 12 at 2026-03-01 12:00 UTC, expected 210 (125 to 320); "
        "9.4 deviations below over 2 hours"
    )


def test_many_failures_are_counted() -> None:
    assert sentence([BAD] * 5, Kind.VOLUME).endswith("; and 2 more")


def test_what_passes_without_being_judged_is_said() -> None:
    cold = Verdict("volume", "new", State.COLD_START)
    ended = Verdict("volume", "old", State.ENDED)

    text = sentence([GOOD, GOOD, cold, ended], Kind.VOLUME)

    assert text == (
        "t: 190 at 2026-03-01 11:00 UTC, expected 200 (120 to 310); 2 series are inside; "
        "new: cold start: its hour of the day was seen on too few days, so it passes; "
        "old: nothing for a week: it has ended, so it passes"
    )
    assert sentence([], Kind.VOLUME) == "nothing has arrived yet"
    empty = Verdict("ctr", "market", State.NORMAL, (JudgedHour(NOON, None),))
    assert sentence([empty], Kind.RATE) == ("market: nothing to measure in the newest closed hour")


def test_the_table_has_the_newest_hour_first_and_marks_what_is_out() -> None:
    lines = table(BAD, Kind.VOLUME).splitlines()

    assert lines[2] == "| 03-01 12:00 | 12 | 210 | 125 to 320 | **out** |"
    assert lines[3] == "| 03-01 11:00 | 190 | 200 | 120 to 310 |  |"


def test_a_band_of_one_side() -> None:
    judged = JudgedHour(NOON, 0.01, 0.02, None, 0.05)
    lower = JudgedHour(NOON, 0.01, 0.02, 0.005, None)
    none = JudgedHour(NOON, 0.01, 0.02, None, None)

    rows = table(Verdict("r", "s", State.NORMAL, (none, lower, judged)), Kind.RATE).splitlines()

    assert [row.split("|")[4].strip() for row in rows[2:]] == ["up to 5.00%", "from 0.50%", "any"]

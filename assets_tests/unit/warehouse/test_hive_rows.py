"""Where the Hive engine keeps a row, and where it need not look for one."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.warehouse.hive_rows import hour_of, may_be_before
from adx_platform.warehouse.tables import CLICKS, GAPS

TIMES = st.datetimes(datetime(2026, 2, 27), datetime(2026, 3, 4))  # noqa: DTZ001 naive UTC
DAYS = st.dates(date(2026, 2, 27), date(2026, 3, 4))


@given(at=TIMES, day=DAYS)
def test_an_hour_may_be_before_a_day_just_if_its_events_are(at: datetime, day: date) -> None:
    frame = pl.DataFrame({"event_time": [at], "kafka_timestamp": [None]})
    hour = frame.select(hour_of(CLICKS)).item()
    assert may_be_before(hour, day) == (at.date() < day)


def test_rows_without_a_time_have_an_hour_that_is_always_looked_into() -> None:
    frame = pl.DataFrame({"kafka_timestamp": [None]}, schema={"kafka_timestamp": pl.Datetime("us")})
    hour = frame.select(hour_of(GAPS)).item()
    assert hour == "none"
    assert may_be_before(hour, date.min)

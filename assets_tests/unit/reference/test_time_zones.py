from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.columns import polars_schema
from adx_platform.reference.schemas import TIME_ZONE_OFFSETS
from adx_platform.reference.time_zones import FIRST_YEAR, LAST_YEAR, time_zone_offsets

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Madrid",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Africa/Casablanca",  # changes twice around Ramadan
    "Pacific/Chatham",  # a quarter of an hour off
    "America/Sao_Paulo",  # gave daylight saving up
    "Asia/Amman",  # stayed on summer time in 2022
)
TABLE = time_zone_offsets(ZONES)
FROM = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
TO = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


def spans(zone: str) -> list[tuple[datetime, datetime, int]]:
    return TABLE.filter(pl.col("time_zone") == zone).drop("time_zone").rows()


@pytest.mark.parametrize("zone", ZONES)
def test_spans_are_contiguous_and_cover_the_years(zone: str) -> None:
    rows = spans(zone)
    assert rows[0][0] == FROM
    assert rows[-1][1] == TO
    for before, after in pairwise(rows):
        assert before[1] == after[0]
        assert before[2] != after[2], "a span that changes nothing"


@given(zone=st.sampled_from(ZONES), second=st.integers(0, int((TO - FROM).total_seconds()) - 1))
def test_the_table_agrees_with_the_zone_database(zone: str, second: int) -> None:
    at = FROM + timedelta(seconds=second)
    found = [minutes for start, end, minutes in spans(zone) if start <= at < end]
    offset = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    assert found == [offset // timedelta(minutes=1)]


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_is_at_its_exact_second(zone: str) -> None:
    tick = timedelta(microseconds=1)
    for _, end, minutes in spans(zone)[:-1]:
        before = (end - tick).astimezone(ZoneInfo(zone)).utcoffset()
        after = end.astimezone(ZoneInfo(zone)).utcoffset()
        assert before == timedelta(minutes=minutes)
        assert after != before


def test_known_changes() -> None:
    madrid = {start: minutes for start, _, minutes in spans("Europe/Madrid")}
    assert madrid[datetime(2026, 3, 29, 1, tzinfo=UTC)] == 120
    assert madrid[datetime(2026, 10, 25, 1, tzinfo=UTC)] == 60
    assert [minutes for *_, minutes in spans("Asia/Kolkata")] == [330]
    assert {minutes for *_, minutes in spans("Australia/Lord_Howe")} == {630, 660}


def test_the_table_has_its_schema_and_each_zone_once() -> None:
    table = time_zone_offsets(["UTC", "UTC"], first_year=2026, last_year=2026)
    assert table.schema == polars_schema(TIME_ZONE_OFFSETS.columns)
    assert table.rows() == [
        ("UTC", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), 0)
    ]
    assert time_zone_offsets([]).schema == table.schema


@pytest.mark.parametrize("name", ["Mars/Olympus", "America", "", "../etc/passwd", "CEST"])
def test_no_such_zone(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        time_zone_offsets([name])


def test_offsets_of_broken_minutes_are_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of minutes"):
        time_zone_offsets(["Africa/Monrovia"], first_year=1960, last_year=1960)

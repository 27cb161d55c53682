"""Rows expire by their day, once a build has seen them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import polars as pl
import pytest

from adx_platform.warehouse.base import LoadBatch, LoadRange
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import Expired

Rows = Callable[..., pl.DataFrame]
STREAM, TOPIC_ID = "clicks_conversions", "topic-a"
TODAY = date(2026, 6, 1)


@pytest.fixture
def loaded(warehouse: DuckDBWarehouse, rows_of: Rows) -> DuckDBWarehouse:
    """Clicks of 2, 3 and 4 March at offsets 0 to 2, built; and one of 2 March that is not yet."""
    days = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in (2, 3, 4, 2)]
    rows = [
        {"offset": offset, "event_time": at, "event_date": at.date(), "user_id": "u"}
        for offset, at in enumerate(days)
    ]
    for start, end in ((0, 3), (3, 4)):
        frames = project(STREAM, rows_of(STREAM, rows[start:end]))
        warehouse.load(LoadBatch(STREAM, 1, frames, (LoadRange(TOPIC_ID, 0, start, end),)))
    warehouse.record_build("green", 1)
    warehouse.connection.execute("create schema intermediate; create schema marts")
    warehouse.connection.execute(
        "create table intermediate.int_clicks_copies as select topic_id, partition_id,"
        " kafka_offset, event_id, 'duplicate' as disposition, event_date from raw.clicks limit 0"
    )
    warehouse.connection.execute(
        "create table marts.fct_clicks as select event_id, event_date as click_date from raw.clicks"
    )
    return warehouse


def days_since(day: date) -> int:
    return (TODAY - day).days


def test_what_is_past_its_retention_goes_and_the_books_say_so(loaded: DuckDBWarehouse) -> None:
    retention = {
        "raw.clicks": days_since(date(2026, 3, 4)),
        "marts.fct_clicks": days_since(date(2026, 3, 3)),
        "marts.fct_sessions": 1,  # not built yet
    }

    expired = expire(loaded, retention, today=TODAY)

    assert expired == (
        Expired("raw.clicks", date(2026, 3, 4), 2),
        Expired("marts.fct_clicks", date(2026, 3, 3), 2),
    )
    assert "raw.clicks: deleted 2 rows from before 2026-03-04" in expired[0].explain()
    left = loaded.query("select kafka_offset from raw.clicks order by 1")
    assert left["kafka_offset"].to_list() == [2, 3], "offset 3 is in no build yet"
    runs = loaded.query("select start_offset, end_offset, event_date from control.expired_offsets")
    assert sorted(runs.rows()) == [(0, 1, date(2026, 3, 2)), (1, 2, date(2026, 3, 3))]
    books = loaded.query("select table_name, kept_from, rows_removed from control.retention")
    assert sorted(books.rows()) == [
        ("marts.fct_clicks", date(2026, 3, 3), 2),
        ("raw.clicks", date(2026, 3, 4), 2),
    ]


def test_again_changes_nothing_and_what_a_later_build_saw_goes_later(
    loaded: DuckDBWarehouse,
) -> None:
    retention = {"raw.clicks": days_since(date(2026, 3, 4))}
    expire(loaded, retention, today=TODAY)
    assert expire(loaded, retention, today=TODAY) == ()

    loaded.record_build("greener", 2)
    assert [item.rows for item in expire(loaded, retention, today=TODAY)] == [1]
    books = loaded.query("select kept_from, rows_removed from control.retention")
    assert books.rows() == [(date(2026, 3, 4), 3)], "never back to an earlier day"


def test_nothing_old_leaves_the_books_empty(loaded: DuckDBWarehouse) -> None:
    assert expire(loaded, {"raw.clicks": 365}, today=TODAY) == ()
    assert loaded.query("select * from control.retention").is_empty()


def test_an_expiry_that_fails_is_undone_whole(loaded: DuckDBWarehouse) -> None:
    loaded.connection.execute("drop table intermediate.int_clicks_copies")
    with pytest.raises(Exception, match="int_clicks_copies"):
        expire(loaded, {"marts.fct_clicks": 1, "raw.clicks": 1}, today=TODAY)
    assert loaded.query("select count(*) from raw.clicks").item() == 4
    assert loaded.query("select count(*) from marts.fct_clicks").item() == 4
    assert loaded.query("select * from control.retention").is_empty()


def test_rows_that_a_restatement_brings_back_are_counted_once_and_go_again(
    loaded: DuckDBWarehouse, rows_of: Rows
) -> None:
    retention = {"raw.clicks": days_since(date(2026, 3, 4))}
    expire(loaded, retention, today=TODAY)
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    again = rows_of(STREAM, [{"offset": 0, "event_time": at, "event_date": at.date()}])
    part = LoadRange(TOPIC_ID, 0, 0, 1, revision=1)
    loaded.load(LoadBatch(STREAM, 2, project(STREAM, again), replaced=(part,)))
    runs = loaded.query("select start_offset, end_offset from control.expired_offsets")
    assert runs.rows() == [(1, 2)]

    loaded.record_build("after", loaded.latest_load())
    expire(loaded, retention, today=TODAY)
    runs = loaded.query("select start_offset, end_offset from control.expired_offsets order by 1")
    assert runs.rows() == [(0, 1), (1, 2), (3, 4)]

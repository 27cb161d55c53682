"""The books of an expiry on Hive, where days of models are dropped after they are written."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from adx_platform.warehouse.hive_retention import books_after
from adx_platform.warehouse.hive_rows import table_rows
from adx_platform.warehouse.tables import RETENTION

FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (2, 3, 4))
BEFORE = datetime(2026, 3, 1)  # noqa: DTZ001 the warehouse's times are naive UTC
BOOKS = table_rows(
    RETENTION, [("raw.clicks", SECOND, 5, BEFORE), ("marts.fct_clicks", SECOND, 7, BEFORE)]
)


def sums(books: pl.DataFrame) -> set[tuple[object, ...]]:
    return set(books.select("table_name", "kept_from", "rows_removed").rows())


def test_rows_are_added_and_the_first_whole_day_moves_on() -> None:
    books = books_after(BOOKS, {"marts.fct_clicks": {SECOND: 3}, "raw.conversions": {FIRST: 1}})
    assert sums(books) == {
        ("raw.clicks", SECOND, 5),
        ("marts.fct_clicks", THIRD, 10),
        ("raw.conversions", SECOND, 1),
    }
    assert books.filter(table_name="raw.clicks")["applied_at"].to_list() == [BEFORE]


def test_days_of_a_model_that_were_not_dropped_are_not_counted_again() -> None:
    assert books_after(BOOKS, {"marts.fct_clicks": {FIRST: 7}}) is BOOKS
    books = books_after(BOOKS, {"marts.fct_clicks": {FIRST: 7, SECOND: 2}})
    assert ("marts.fct_clicks", THIRD, 9) in sums(books)


def test_raw_rows_that_came_back_are_counted_again_and_no_day_is_whole_again() -> None:
    books = books_after(BOOKS, {"raw.clicks": {date(2026, 2, 28): 2}})
    assert ("raw.clicks", SECOND, 7) in sums(books)


def test_nothing_that_goes_leaves_the_books_alone() -> None:
    assert books_after(BOOKS, {}) is BOOKS

"""Rows past their retention on Hive: one version of the raw tables and books, then days of models.

Belongs here: how rows expire without a transaction. Does not belong here: which tables may be named
and for how long (``retention_rules``), copies and versions (``hive_engine``), what stands for rows
that are gone (``expired_offsets``).

The raw rows, what stands for them and the books of every table change in one version. The days of
the models are dropped after it: where that is broken off, the books have these days already, and
the next time they are dropped and not counted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from adx_platform import faultpoints
from adx_platform.warehouse.expired_offsets import is_going, leaving_by_stream, runs_query
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.hive_rows import may_be_before, table_rows
from adx_platform.warehouse.hive_store import WHOLE
from adx_platform.warehouse.retention_rules import (
    DAY_COLUMNS,
    RAW_BY_NAME,
    Expired,
    existing_tables,
)
from adx_platform.warehouse.tables import EXPIRED_OFFSETS, REMOVED_ROWS, RETENTION, Table


@dataclass(frozen=True, slots=True)
class _Going:
    """What one table loses.

    Attributes:
        kept_from: the first day that stays.
        days: rows that go by their day, at least one.
        hours: of a raw table, the hours that lose rows, and whether any row of it stays.
    """

    kept_from: date
    days: dict[date, int]
    hours: dict[str, bool]


def expire_on_hive(warehouse: HiveWarehouse, kept_from: Mapping[str, date]) -> tuple[Expired, ...]:
    """Delete what is past its retention; broken off anywhere, the next time finishes it.

    Args:
        warehouse: open, with its schema in place.
        kept_from: table, with its schema, to the first day that stays.

    Returns:
        The tables that lost rows.
    """
    warehouse.finish_swaps()
    built = warehouse.completed_load()
    there = existing_tables(warehouse)
    going: dict[str, _Going] = {}
    for name, first in kept_from.items():
        if name not in there:
            continue
        table = RAW_BY_NAME.get(name)
        found = (
            _Going(first, warehouse.count_days(name, DAY_COLUMNS[name], first), {})
            if table is None
            else _raw_rows(warehouse, table, first, built)
        )
        if found.days:
            going[name] = found
    recorded = warehouse.rows(RETENTION)
    books = books_after(recorded, {name: item.days for name, item in going.items()})
    if books is not recorded:
        warehouse.change(_frames(warehouse, going, books, built), _runs(warehouse, going, built))
    faultpoints.reach("hive.before_drops")
    for name, item in going.items():
        if name not in RAW_BY_NAME:
            warehouse.drop_days(name, DAY_COLUMNS[name], sorted(item.days))
    return tuple(
        Expired(name, item.kept_from, sum(item.days.values())) for name, item in going.items()
    )


def books_after(recorded: pl.DataFrame, gone: Mapping[str, Mapping[date, int]]) -> pl.DataFrame:
    """``control.retention`` with the rows that go.

    Days of a model that it has already are those that were not dropped the last time.

    Args:
        recorded: the rows of ``control.retention``.
        gone: table to rows by their day.

    Returns:
        ``recorded`` itself if there is nothing to add.
    """
    before = {name: (first, total) for name, first, total, _ in recorded.iter_rows()}
    now = datetime.now(UTC).replace(tzinfo=None)
    rows: list[tuple[object, ...]] = []
    for name, days in gone.items():
        first, total = before.get(name, (date.min, 0))
        counted = {day: count for day, count in days.items() if name in RAW_BY_NAME or day >= first}
        if counted:
            first = max(first, max(counted) + timedelta(days=1))
            rows.append((name, first, total + sum(counted.values()), now))
    if not rows:
        return recorded
    added = table_rows(RETENTION, rows)
    return pl.concat([recorded.join(added, on="table_name", how="anti"), added])


def _raw_rows(warehouse: HiveWarehouse, table: Table, first: date, built: int) -> _Going:
    days: dict[date, int] = {}
    hours: dict[str, bool] = {}
    for hour in warehouse.hours(table):
        if not may_be_before(hour, first):
            continue
        rows = warehouse.columns(table, hour, ("event_date", "load_id"))
        leaving = rows.filter(is_going(first, built))
        if leaving.is_empty():
            continue
        hours[hour] = leaving.height < rows.height
        for day, count in leaving.group_by("event_date").len().iter_rows():
            days[day] = days.get(day, 0) + count
    return _Going(first, days, hours)


def _runs(
    warehouse: HiveWarehouse, going: Mapping[str, _Going], built: int
) -> Iterator[tuple[Table, pl.DataFrame]]:
    """What stands for the raw rows, asked for while they are there."""
    wanted = table_rows(EXPIRED_OFFSETS, [])
    kept_from = {name: item.kept_from for name, item in going.items()}
    found = [
        warehouse.query(runs_query(leaving, built)).select(wanted.columns).cast(wanted.schema)
        for leaving in leaving_by_stream(kept_from)
    ]
    if found:
        yield EXPIRED_OFFSETS, pl.concat(found)


def _frames(
    warehouse: HiveWarehouse, going: Mapping[str, _Going], books: pl.DataFrame, built: int
) -> Iterator[tuple[Table, str, pl.DataFrame]]:
    """What every table and hour that changes has afterwards."""
    raw = {name: item for name, item in going.items() if name in RAW_BY_NAME}
    removed = warehouse.rows(REMOVED_ROWS)
    for name, item in raw.items():
        table, goes = RAW_BY_NAME[name], is_going(item.kept_from, built)
        for hour, stays in item.hours.items():
            # Nearly always the whole hour goes, and need not be read.
            rows = warehouse.rows(table, hour).filter(~goes) if stays else table_rows(table, [])
            yield table, hour, rows
        removed = removed.filter(~((pl.col("table_name") == table.name) & goes))
    if raw:
        yield REMOVED_ROWS, WHOLE, removed
    yield RETENTION, WHOLE, books

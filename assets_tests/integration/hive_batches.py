"""Small loads for the Hive engine, what a build makes of them, and a writer that is killed.

Belongs here: what its tests share. Does not belong here: what must be true.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from adx_platform import faultpoints
from adx_platform.warehouse.base import LoadBatch, LoadRange
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.hive_store import HiveStore
from adx_platform.warehouse.projection import project
from assets_tests.unit.warehouse.conftest import START, event_rows

STREAM = "clicks_conversions"
TOPIC_ID = "topic-a"
HOUR = 3600
DAY = 24 * HOUR
KEPT_FROM = START.date() + timedelta(days=1)
EXPIRING = ("raw.clicks", "raw.conversions", "marts.fct_clicks")
BOOKS = {
    "control.expired_offsets": "*",
    "control.removed_rows": "load_id, table_name, event_id, event_date",
    "control.retention": "table_name, kept_from, rows_removed",
    "raw.clicks": "kafka_offset, event_id, event_date, load_id",
    "raw.conversions": "kafka_offset, event_id, event_date, load_id",
    "marts.fct_clicks": "event_id, click_date",
}


def opened(folder: Path, port: int) -> HiveWarehouse:
    return HiveWarehouse(HiveStore(folder), HiveCatalog("127.0.0.1", port, "adx"))


def events(*offsets: int, revision: int = 0) -> pl.DataFrame:
    """An offset is a second: 3600 of them are an hour."""
    rows = [
        {"offset": offset, "revision": revision, "event_id": f"r{revision}-{offset}"}
        for offset in offsets
    ]
    return event_rows(STREAM, rows)


def batch(start: int, end: int, *offsets: int) -> LoadBatch:
    frames = project(STREAM, events(*offsets))
    return LoadBatch(STREAM, 5, frames, forward=(LoadRange(TOPIC_ID, 0, start, end),))


def restating(start: int, end: int, *offsets: int) -> LoadBatch:
    frames = project(STREAM, events(*offsets, revision=2))
    return LoadBatch(STREAM, 6, frames, replaced=(LoadRange(TOPIC_ID, 0, start, end, 2),))


def ids(warehouse: HiveWarehouse) -> list[str]:
    rows = warehouse.query("SELECT event_id FROM raw.clicks ORDER BY kafka_offset, event_id")
    return rows["event_id"].to_list()


def two_days() -> list[LoadBatch]:
    """Clicks and conversions of two days; a click restated; and one more of the first day."""
    rows = [{"offset": n} for n in (1, 2, 4, HOUR + 5, DAY, DAY + 1)]
    rows += [{"offset": n, "record_type": "conversion"} for n in (3, DAY + 2)]
    late = {"event_time": START + timedelta(hours=1), "event_date": START.date()}
    first, second = (
        project(STREAM, event_rows(STREAM, of)) for of in (rows, [{"offset": 2 * DAY, **late}])
    )
    return [
        LoadBatch(STREAM, 5, first, (LoadRange(TOPIC_ID, 0, 0, 2 * DAY),)),
        restating(4, 5, 4),
        LoadBatch(STREAM, 5, second, (LoadRange(TOPIC_ID, 0, 2 * DAY, 3 * DAY),)),
    ]


def build_two_days(warehouse: HiveWarehouse | DuckDBWarehouse, run: Callable[[str], Any]) -> None:
    """Load :func:`two_days`, with a build before the last load that found offset 2 a duplicate.

    Args:
        warehouse: open and empty.
        run: runs a statement on it.
    """
    is_hive = isinstance(warehouse, HiveWarehouse)
    warehouse.ensure_schema()
    first, restatement, late = two_days()
    warehouse.load(first)
    warehouse.load(restatement)
    warehouse.record_build("green", 2)
    for schema in ("intermediate", "marts"):
        run(f"CREATE SCHEMA {schema}")
    copy = "topic_id, partition_id, kafka_offset, event_id, 'duplicate' AS disposition, event_date"
    for name, columns, table in (
        ("intermediate.int_clicks_copies", copy, "clicks WHERE kafka_offset = 2"),
        ("intermediate.int_conversions_copies", copy, "conversions WHERE kafka_offset = 0"),
        ("marts.fct_clicks", "event_id, event_date AS click_date", "clicks"),
    ):
        day = columns.rpartition(" ")[2]
        parts = f"USING parquet PARTITIONED BY ({day})" if is_hive else ""
        run(f"CREATE TABLE {name} {parts} AS SELECT {columns} FROM raw.{table}")
    warehouse.load(late)


def books(warehouse: HiveWarehouse | DuckDBWarehouse) -> dict[str, list[Any]]:
    """What an expiry changes: table to rows."""
    return {
        name: sorted(warehouse.query(f"SELECT {columns} FROM {name}").rows(), key=repr)
        for name, columns in BOOKS.items()
    }


def killed_at(point: str, folder: Path, port: int, *arguments: str) -> None:
    """Run ``hive_writer`` until it dies at ``point``."""
    writer = [sys.executable, "-m", "assets_tests.integration.hive_writer"]
    done = subprocess.run(
        [*writer, str(folder), str(port), *arguments],
        env={**os.environ, faultpoints.VARIABLE: point},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -9, done.stderr

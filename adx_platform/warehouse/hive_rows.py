"""Frames of the Hive engine: which hour a row is in, and which rows a load takes out.

Belongs here: pure functions of rows and batches. Does not belong here: reading and writing copies
(``hive_engine``, ``hive_store``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

import polars as pl

from adx_platform.warehouse.base import LoadBatch
from adx_platform.warehouse.hive_sql import HOUR_COLUMN
from adx_platform.warehouse.hive_store import Copy
from adx_platform.warehouse.tables import REMOVED_ROWS, Table

_NO_HOUR: Final = "none"


def hour_of(table: Table) -> pl.Expr:
    """The partition that a row of ``table`` is in: ``YYYY-MM-DD-HH`` in UTC, or ``none``."""
    names = {column.name for column in table.columns}
    times = [pl.col(name) for name in ("event_time", "kafka_timestamp") if name in names]
    hour = pl.coalesce(times).dt.strftime("%Y-%m-%d-%H").fill_null(_NO_HOUR)
    return hour.alias(HOUR_COLUMN)


def may_be_before(hour: str, day: date) -> bool:
    """Whether the copy of ``hour`` may have events of days before ``day``."""
    # The day of an event is that of its time, which every event has.
    return hour == _NO_HOUR or hour < day.isoformat()


def may_hold(copy: Copy, batch: LoadBatch) -> bool:
    """Whether ``copy`` may have rows that ``batch`` replaces."""
    return any(
        (topic_id, partition) == part.key and low < part.end and high >= part.start
        for topic_id, partition, low, high in copy.spans
        for part in batch.replaced
    )


def is_replaced(table: Table, batch: LoadBatch) -> pl.Expr:
    """The condition of the rows of ``table`` that ``batch`` takes out."""
    condition = pl.lit(False)
    for part in batch.replaced:
        condition |= (
            (pl.col("topic_id") == part.topic_id)
            & (pl.col("partition_id") == part.partition)
            & (pl.col("kafka_offset") >= part.start)
            & (pl.col("kafka_offset") < part.end)
        )
    if any(column.name == "stream" for column in table.columns):
        condition &= pl.col("stream") == batch.stream
    return condition


def removed_keys(table: Table, taken: pl.DataFrame, load_id: int) -> pl.DataFrame:
    """Rows of ``control.removed_rows`` for the rows ``taken`` out of ``table``."""
    wanted = table_rows(REMOVED_ROWS, []).schema
    fixed = {
        "load_id": pl.lit(load_id, pl.Int64).alias("load_id"),
        "table_name": pl.lit(table.name).alias("table_name"),
    }
    present = {name: pl.col(name) for name in taken.columns}
    return taken.select(
        {**present, **fixed}.get(name, pl.lit(None, dtype).alias(name))
        for name, dtype in wanted.items()
    )


def table_rows(table: Table, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """A frame of ``table`` with naive times."""
    schema = {
        name: pl.Datetime("us") if isinstance(dtype, pl.Datetime) else dtype
        for name, dtype in table.frame_schema.items()
    }
    return pl.DataFrame(list(rows), schema=schema, orient="row")

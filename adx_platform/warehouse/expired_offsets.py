"""What stands for raw rows that are past their retention: runs of offsets with their fate.

Belongs here: making runs of rows that go, and cutting those whose rows come back: as statements,
and on frames for the engine that changes no row. Does not belong here: which days go
(``retention_rules``), or running statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from adx_platform.warehouse.base import LoadRange
from adx_platform.warehouse.tables import (
    BID_REQUEST_IMPS,
    EXPIRED_OFFSETS,
    REMOVED_ROWS,
    STREAM_TABLES,
    Table,
)

_COLUMNS: Final = ", ".join(column.name for column in EXPIRED_OFFSETS.columns)
_KEY: Final = "stream, topic_id, partition_id, disposition, event_date"


class Leaving(NamedTuple):
    """Rows that go: those of ``table`` before ``kept_from``."""

    table: Table
    kept_from: date


def leaving_by_stream(kept_from: Mapping[str, date]) -> Iterator[list[Leaving]]:
    """What goes, for each stream together: the offsets of its tables take turns.

    Args:
        kept_from: raw table, with its schema, to the first day that stays; other tables are passed
            over, and so are impressions of bid requests, which have the offsets of their requests.
    """
    for tables in STREAM_TABLES.values():
        leaving = [
            Leaving(table, kept_from[table.qualified_name])
            for table in tables
            if table is not BID_REQUEST_IMPS and table.qualified_name in kept_from
        ]
        if leaving:
            yield leaving


def noting_statement(leaving: Sequence[Leaving], to_load_id: int) -> str:
    """Note the offsets of the rows that go: see :func:`runs_query`."""
    return (
        f"INSERT INTO {EXPIRED_OFFSETS.qualified_name} ({_COLUMNS}) "
        f"{runs_query(leaving, to_load_id)}"
    )


def runs_query(leaving: Sequence[Leaving], to_load_id: int) -> str:
    """Runs of the rows that go, each with the fate that the last build gave it.

    The tables of a stream are to be asked for together: one run then stands for rows of all.

    Args:
        leaving: what goes; each table has one row for each offset.
        to_load_id: rows of later loads stay.

    Returns:
        A query in the SQL of every engine; its columns are those of ``control.expired_offsets``.
    """
    rows = " UNION ALL ".join(_rows(item, to_load_id) for item in leaving)
    return (
        "SELECT stream, topic_id, partition_id, min(kafka_offset) AS start_offset, "  # noqa: S608 our own names and dates
        "max(kafka_offset) + 1 AS end_offset, disposition, event_date "
        "FROM (SELECT gone.*, kafka_offset - row_number() OVER "
        f"(PARTITION BY {_KEY} ORDER BY kafka_offset) AS island FROM ({rows}) AS gone) AS runs "
        f"GROUP BY {_KEY}, island"
    )


def returning_statements(load_id: int, mark: str) -> tuple[str, ...]:
    """What a load does that replaces a range: its rows come back, so nothing stands for them.

    The days of what was cut go to ``control.removed_rows``: their offsets are to be counted anew.

    Args:
        load_id: the load.
        mark: what begins a parameter: ``$`` or ``:``. Each statement has ``stream``, ``topic_id``,
            ``partition``, ``start_offset`` and ``end_offset``.
    """
    runs = EXPIRED_OFFSETS.qualified_name
    met = (
        f"stream = {mark}stream AND topic_id = {mark}topic_id AND partition_id = {mark}partition "
        f"AND start_offset < {mark}end_offset AND end_offset > {mark}start_offset"
    )
    before, after = (f"CAST({mark}{name} AS BIGINT)" for name in ("start_offset", "end_offset"))
    key = "stream, topic_id, partition_id"
    note_days = (
        f"INSERT INTO {REMOVED_ROWS.qualified_name} (load_id, table_name, event_date) "  # noqa: S608 our own names; values are bound
        f"SELECT DISTINCT {int(load_id)}, '{EXPIRED_OFFSETS.name}', event_date "
        f"FROM {runs} WHERE {met}"
    )
    # What is left of the runs at both ends; neither is met by the deletion that follows.
    keep_ends = (
        f"INSERT INTO {runs} ({_COLUMNS}) SELECT {key}, start_offset, {before}, "  # noqa: S608 the same
        f"disposition, event_date FROM {runs} WHERE {met} AND start_offset < {before} "
        f"UNION ALL SELECT {key}, {after}, end_offset, disposition, event_date "
        f"FROM {runs} WHERE {met} AND end_offset > {after}"
    )
    return note_days, keep_ends, f"DELETE FROM {runs} WHERE {met}"  # noqa: S608 the same


def cut_runs(
    runs: pl.DataFrame, stream: str, replaced: Sequence[LoadRange]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What :func:`returning_statements` does, on a frame.

    Args:
        runs: the rows of ``control.expired_offsets``.
        stream: the stream of the load.
        replaced: the ranges whose rows come back.

    Returns:
        The runs that still stand for rows; and a frame with the ``event_date`` of what was cut,
        each once.
    """
    days = runs.select("event_date").clear()
    for part in replaced:
        met = (
            (pl.col("stream") == stream)
            & (pl.col("topic_id") == part.topic_id)
            & (pl.col("partition_id") == part.partition)
            & (pl.col("start_offset") < part.end)
            & (pl.col("end_offset") > part.start)
        )
        cut = runs.filter(met)
        before = cut.filter(pl.col("start_offset") < part.start)
        after = cut.filter(pl.col("end_offset") > part.end)
        runs = pl.concat(
            [
                runs.filter(~met),
                before.with_columns(end_offset=pl.lit(part.start, pl.Int64)),
                after.with_columns(start_offset=pl.lit(part.end, pl.Int64)),
            ]
        )
        days = pl.concat([days, cut.select("event_date")])
    return runs, days.unique(maintain_order=True)


def _rows(item: Leaving, to_load_id: int) -> str:
    """One row per offset that goes."""
    table, chosen = item.table, going(item.kept_from, to_load_id)
    (stream,) = (name for name, tables in STREAM_TABLES.items() if table in tables)
    # Only copies that lost are stored, and what is not among them was accepted.
    return (
        f"SELECT '{stream}' AS stream, staged.topic_id, staged.partition_id, "  # noqa: S608 our own names and dates
        "staged.kafka_offset, coalesce(copies.disposition, 'accepted') AS disposition, "
        f"staged.event_date FROM (SELECT * FROM {table.qualified_name} WHERE {chosen}) AS staged "
        f"LEFT JOIN intermediate.int_{table.name}_copies AS copies "
        "ON staged.event_id = copies.event_id AND staged.event_date = copies.event_date "
        "AND staged.topic_id = copies.topic_id AND staged.partition_id = copies.partition_id "
        "AND staged.kafka_offset = copies.kafka_offset"
    )


def going(kept_from: date, to_load_id: int) -> str:
    """The condition of the raw rows that go: a build has seen them, and their day is over."""
    return f"event_date < DATE '{kept_from.isoformat()}' AND load_id <= {int(to_load_id)}"


def is_going(kept_from: date, to_load_id: int) -> pl.Expr:
    """The same condition, on a frame of the rows."""
    seen, over = pl.col("load_id") <= to_load_id, pl.col("event_date") < kept_from
    return (over & seen).fill_null(value=False)  # SQL deletes no row either that has no day

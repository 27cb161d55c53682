"""Every statement that the Hive engine sends for its own tables, in Hive's grammar.

Belongs here: text of DDL. Does not belong here: sending it (``hive_catalog``), or dbt's SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from adx_platform.warehouse.tables import Table
from adx_platform.warehouse.types import sql_type

HOUR_COLUMN = "partition_hour"
"""Partition column of the raw tables: ``YYYY-MM-DD-HH`` in UTC of the event, else of Kafka."""

APPLIED_PROPERTY = "adx.version"
"""Property of ``control.loads``: the version to which the metastore was brought last."""


def create_schema(name: str) -> str:
    """The schema, where it is missing."""
    return f"CREATE DATABASE IF NOT EXISTS {name}"


def create_table(table: Table, empty: str) -> str:
    """``table``, where it is missing, over the empty folder ``empty``."""
    columns = ", ".join(f"`{c.name}` {sql_type(c, 'spark')}" for c in table.columns)
    parts = f" PARTITIONED BY (`{HOUR_COLUMN}` STRING)" if is_hourly(table) else ""
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {table.qualified_name} ({columns}){parts} "
        f"STORED AS PARQUET LOCATION {_text(empty)}"
    )


def truncate(name: str) -> str:
    """Take all rows out of a table that the metastore owns."""
    return f"TRUNCATE TABLE {name}"


def add_columns(table: Table, names: list[str]) -> str:
    """Add the columns ``names`` at the end."""
    columns = ", ".join(
        f"`{c.name}` {sql_type(c, 'spark')}" for c in table.columns if c.name in names
    )
    return f"ALTER TABLE {table.qualified_name} ADD COLUMNS ({columns})"


def add_partition(name: str, hour: str, location: str) -> str:
    """Hour ``hour`` of table ``name``, where it is missing, at ``location``."""
    return (
        f"ALTER TABLE {name} ADD IF NOT EXISTS PARTITION ({HOUR_COLUMN}={_text(hour)}) "
        f"LOCATION {_text(location)}"
    )


def set_location(name: str, hour: str, location: str) -> str:
    """Swap the copy of one hour, or of a whole table (no hour): one atomic statement."""
    part = f" PARTITION ({HOUR_COLUMN}={_text(hour)})" if hour else ""
    return f"ALTER TABLE {name}{part} SET LOCATION {_text(location)}"


def drop_partitions(name: str, hours: Iterable[str]) -> str:
    """Take ``hours`` out of table ``name``, where they are there; their files stay."""
    return f"ALTER TABLE {name} DROP IF EXISTS {_partitions(HOUR_COLUMN, hours)}"


def count_days(name: str, column: str, before: date) -> str:
    """Rows of each day before ``before`` of a table that is partitioned by the day ``column``."""
    return (
        f"SELECT {column} AS gone_day, count(*) AS gone_rows FROM {name} "  # noqa: S608 our own names and dates
        f"WHERE {column} < DATE '{before.isoformat()}' GROUP BY {column}"
    )


def drop_days(name: str, column: str, days: Sequence[date]) -> str:
    """Take ``days`` out of a table that the metastore owns, and their files past any trash."""
    parts = _partitions(column, (day.isoformat() for day in days))
    return f"ALTER TABLE {name} DROP IF EXISTS {parts} PURGE"


def set_applied(number: int) -> str:
    """Note that the metastore shows version ``number``."""
    return f"ALTER TABLE control.loads SET TBLPROPERTIES ('{APPLIED_PROPERTY}'='{number}')"


def is_hourly(table: Table) -> bool:
    """Whether ``table`` is kept in hourly copies; the others are small, and copied whole."""
    return table.schema == "raw"


def _partitions(column: str, values: Iterable[str]) -> str:
    return ", ".join(f"PARTITION ({column}={_text(value)})" for value in values)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

"""Taking rows out of a table that are past its retention.

Belongs here: the transaction that deletes, on DuckDB and Redshift. Does not belong here: which
tables may be named and for how long (``retention_rules``), an engine without transactions
(``hive_retention``), when it is done (``pipeline.expiry``), what stands for raw rows that are gone
(``expired_offsets``), or what builds then leave alone (the model ``int_rebuild_limit``).

Only rows that a green build has seen go from the raw tables, so that each was counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_connection import transaction
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.expired_offsets import going, leaving_by_stream, noting_statement
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.hive_retention import expire_on_hive
from adx_platform.warehouse.redshift_connection import retried
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_schema import LOCK_TABLE
from adx_platform.warehouse.retention_rules import (
    DAY_COLUMNS,
    RAW_BY_NAME,
    Expired,
    existing_tables,
)
from adx_platform.warehouse.tables import REMOVED_ROWS, RETENTION


class _Session(Protocol):
    """What the two engines with transactions have in common, for statements without parameters."""

    def execute(self, sql: str, /) -> object: ...


def expire(
    warehouse: Warehouse, retention: Mapping[str, int], *, today: date
) -> tuple[Expired, ...]:
    """Delete what is past its retention, all in one transaction; again changes nothing.

    Hive has none: there the raw rows go with what stands for them, and the models' rows after them.

    Args:
        warehouse: open, with its schema in place.
        retention: table to days, checked.
        today: the UTC date from which days count back.

    Returns:
        The tables that lost rows.

    Raises:
        WarehouseError: the engine failed; nothing was changed, or on Hive, what is left goes the
            next time.
    """
    kept_from = {name: today - timedelta(days=days) for name, days in retention.items()}
    if isinstance(warehouse, DuckDBWarehouse):
        session = warehouse.connection
        with transaction(session):
            expired = _expire(warehouse, session, kept_from)
        if expired:
            session.execute("CHECKPOINT")  # only then new rows may take their place in the file
        return expired
    if isinstance(warehouse, RedshiftWarehouse):
        return retried(lambda: _expire_locked(warehouse, kept_from))
    if isinstance(warehouse, HiveWarehouse):
        return expire_on_hive(warehouse, kept_from)
    raise WarehouseError(f"rows cannot expire in a {type(warehouse).__name__}")


def _expire_locked(
    warehouse: RedshiftWarehouse, kept_from: Mapping[str, date]
) -> tuple[Expired, ...]:
    with warehouse.connection.transaction():
        warehouse.connection.execute(f"LOCK {LOCK_TABLE}")
        return _expire(warehouse, warehouse.connection, kept_from)


def _expire(
    warehouse: Warehouse, session: _Session, kept_from: Mapping[str, date]
) -> tuple[Expired, ...]:
    built = warehouse.completed_load()
    there = existing_tables(warehouse)
    expired: list[Expired] = []
    last_days: dict[str, date] = {}
    for name, first in kept_from.items():
        if name not in there:
            continue
        found = warehouse.query(
            f"SELECT count(*) AS gone, max({DAY_COLUMNS[name]}) AS last_day "  # noqa: S608 our own names and dates
            f"FROM {name} WHERE {_condition(name, first, built)}"
        )
        rows, last_day = found.row(0)
        if rows:
            expired.append(Expired(name, first, int(rows)))
            last_days[name] = last_day
    for leaving in leaving_by_stream({item.table: item.kept_from for item in expired}):
        session.execute(noting_statement(leaving, built))
    for item in expired:
        session.execute(
            f"DELETE FROM {item.table} WHERE {_condition(item.table, item.kept_from, built)}"  # noqa: S608 the same
        )
        if item.table in RAW_BY_NAME:
            session.execute(
                f"DELETE FROM {REMOVED_ROWS.qualified_name} "  # noqa: S608 the same
                f"WHERE table_name = '{RAW_BY_NAME[item.table].name}' "
                f"AND {going(item.kept_from, built)}"
            )
        _record(warehouse, session, item, last_days[item.table])
    return tuple(expired)


def _condition(name: str, kept_from: date, built: int) -> str:
    if name in RAW_BY_NAME:
        return going(kept_from, built)
    return f"{DAY_COLUMNS[name]} < DATE '{kept_from.isoformat()}'"


def _record(warehouse: Warehouse, session: _Session, item: Expired, last_day: date) -> None:
    """Which days have lost rows: only those that had any, so that other old days may still come."""
    first = last_day + timedelta(days=1)
    total = item.rows
    books = RETENTION.qualified_name
    before = warehouse.query(
        f"SELECT kept_from, rows_removed FROM {books} WHERE table_name = '{item.table}'"  # noqa: S608 our own names
    )
    for kept_from, removed in before.rows():
        first, total = max(first, kept_from), total + int(removed)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ")
    session.execute(f"DELETE FROM {books} WHERE table_name = '{item.table}'")  # noqa: S608 the same
    session.execute(
        f"INSERT INTO {books} (table_name, kept_from, rows_removed, applied_at) VALUES "  # noqa: S608 the same
        f"('{item.table}', DATE '{first.isoformat()}', {total}, TIMESTAMP '{now}')"
    )

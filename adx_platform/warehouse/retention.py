"""Rows of a table past its retention: which may go, and taking them out.

Belongs here: the tables that may be named, the shortest retention that builds allow, and the
transaction that deletes. Does not belong here: when it is done (``pipeline.expiry``), what stands
for raw rows that are gone (``expired_offsets``), or what builds then leave alone (the model
``int_rebuild_limit``).

Only rows that a green build has seen go from the raw tables, so that each was counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final, Protocol

from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_connection import transaction
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.expired_offsets import Leaving, going, noting_statement
from adx_platform.warehouse.redshift_connection import retried
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_schema import LOCK_TABLE
from adx_platform.warehouse.tables import (
    BID_REQUEST_IMPS,
    REMOVED_ROWS,
    RETENTION,
    STREAM_TABLES,
    Table,
)

LOOKBACK_DAYS: Final = 7
LATEST_ARRIVAL_DAYS: Final = 31
"""The variables ``adx_lookback_days`` and ``adx_latest_arrival_days`` of the dbt project."""

_SPARE_DAYS: Final = 3
_RAW: Final[Mapping[str, Table]] = MappingProxyType(
    {table.qualified_name: table for tables in STREAM_TABLES.values() for table in tables}
)
DAY_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(_RAW, "event_date"),
        "intermediate.int_attribution_touches": "conversion_date",
        "marts.fct_impressions": "impression_date",
        "marts.fct_clicks": "click_date",
        "marts.fct_conversions": "conversion_date",
        "marts.fct_auctions": "auction_date",
        "marts.fct_attribution": "conversion_date",
        "marts.fct_click_quality": "click_date",
        "marts.fct_sessions": "session_date",
        "marts.fct_invalid_traffic": "event_date",
        "marts.fct_sivt_user_days": "activity_date",
    }
)
"""Table -> the column of its days. Only tables of single events: what is made anew by each build of
an aggregate would change with it, and rejects, which hold nothing personal, are counted by rows."""

_WINDOW_HOURS_SQL: Final = (
    "SELECT coalesce(max(greatest(click_lookback_hours, view_lookback_hours)), 0) "
    "FROM reference.advertisers"
)


class RetentionError(WarehouseError):
    """The setting cannot be kept; somebody has to change it."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What went from one table.

    Attributes:
        table: its name, with the schema.
        kept_from: rows of earlier days are past its retention.
        rows: how many went now.
    """

    table: str
    kept_from: date
    rows: int

    def explain(self) -> str:
        """One line for a person."""
        return f"{self.table}: deleted {self.rows:,} rows from before {self.kept_from}"


class _Session(Protocol):
    """What the two engines with transactions have in common, for statements without parameters."""

    def execute(self, sql: str, /) -> object: ...


def fewest_days(window_hours: int, oldest_accepted: timedelta) -> int:
    """The shortest retention, in days, under which builds still find all rows that they need.

    An event may come ``oldest_accepted`` late and touch days a look-back before it; and such a day
    is made of rows as far before it as :func:`reach_days` says.

    Args:
        window_hours: the widest attribution window of an advertiser.
        oldest_accepted: ``ADX_REFINE__OLDEST_ACCEPTED``.
    """
    latest = max(LATEST_ARRIVAL_DAYS, -(-oldest_accepted // timedelta(days=1)) + 1)
    return latest + LOOKBACK_DAYS + reach_days(window_hours)


def reach_days(window_hours: int) -> int:
    """How many days before a day the rows may lie that its figures are made of."""
    return max(LATEST_ARRIVAL_DAYS, window_hours // 24 + 1) + LOOKBACK_DAYS + _SPARE_DAYS


def check_tables(retention: Mapping[str, int]) -> None:
    """Refuse what cannot have a retention.

    Raises:
        RetentionError: a table is unknown, or its rows have no days of their own.
    """
    unknown = sorted(set(retention) - set(DAY_COLUMNS))
    if unknown:
        raise RetentionError(
            f"ADX_WAREHOUSE__RETENTION names {', '.join(unknown)}: rows expire by their day, and "
            f"the tables of events with a day are {', '.join(DAY_COLUMNS)}"
        )


def check_days(warehouse: Warehouse, retention: Mapping[str, int], oldest: timedelta) -> None:
    """Refuse what is so short that builds would lack rows.

    Args:
        warehouse: open, with its schema in place.
        retention: table to days.
        oldest: ``ADX_REFINE__OLDEST_ACCEPTED``.

    Raises:
        RetentionError: a retention is too short; the message has the figure.
    """
    hours = int(warehouse.query(_WINDOW_HOURS_SQL).item())
    fewest = fewest_days(hours, oldest)
    short = [f"{table} ({days})" for table, days in retention.items() if days < fewest]
    if short:
        raise RetentionError(
            f"ADX_WAREHOUSE__RETENTION is too short for {', '.join(short)}: builds need rows of "
            f"{fewest} days, for events up to {oldest.days} days late, what belongs together up to "
            f"{LOOKBACK_DAYS} days apart, and attribution windows of up to {hours} hours"
        )


def expire(
    warehouse: Warehouse, retention: Mapping[str, int], *, today: date
) -> tuple[Expired, ...]:
    """Delete what is past its retention, all in one transaction; again changes nothing.

    Args:
        warehouse: open, with its schema in place; DuckDB or Redshift.
        retention: table to days, checked.
        today: the UTC date from which days count back.

    Returns:
        The tables that lost rows.

    Raises:
        RetentionError: the engine has no transactions.
        WarehouseError: the engine failed; nothing was changed.
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
    raise RetentionError(
        "rows expire in a DuckDB or Redshift warehouse only: on Hive set "
        "ADX_WAREHOUSE__RETENTION={} and drop partitions by hand"
    )


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
    there = _existing(warehouse)
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
    leaving = {item.table: item.kept_from for item in expired}
    for tables in STREAM_TABLES.values():
        noted = [
            Leaving(table, leaving[table.qualified_name])
            for table in tables
            if table is not BID_REQUEST_IMPS and table.qualified_name in leaving
        ]
        if noted:
            session.execute(noting_statement(noted, built))
    for item in expired:
        session.execute(
            f"DELETE FROM {item.table} WHERE {_condition(item.table, item.kept_from, built)}"  # noqa: S608 the same
        )
        if item.table in _RAW:
            session.execute(
                f"DELETE FROM {REMOVED_ROWS.qualified_name} "  # noqa: S608 the same
                f"WHERE table_name = '{_RAW[item.table].name}' "
                f"AND {going(item.kept_from, built)}"
            )
        _record(warehouse, session, item, last_days[item.table])
    return tuple(expired)


def _condition(name: str, kept_from: date, built: int) -> str:
    if name in _RAW:
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


def _existing(warehouse: Warehouse) -> set[str]:
    return {
        f"{schema}.{table}"
        for schema in ("raw", "intermediate", "marts")
        for table in warehouse.built_tables(schema)
    }

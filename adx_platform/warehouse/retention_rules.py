"""What may expire in the warehouse, and from when: the rules, whatever the engine.

Belongs here: the tables that may be named, the shortest retention that builds allow, and what is
said of rows that went. Does not belong here: deleting them (``retention``, ``hive_retention``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.tables import STREAM_TABLES, Table

LOOKBACK_DAYS: Final = 7
LATEST_ARRIVAL_DAYS: Final = 31
"""The variables ``adx_lookback_days`` and ``adx_latest_arrival_days`` of the dbt project."""

_SPARE_DAYS: Final = 3
RAW_BY_NAME: Final[Mapping[str, Table]] = MappingProxyType(
    {table.qualified_name: table for tables in STREAM_TABLES.values() for table in tables}
)
"""The raw tables of events, by their names with the schema."""

DAY_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(RAW_BY_NAME, "event_date"),
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


def existing_tables(warehouse: Warehouse) -> set[str]:
    """Names, with the schema, of the tables in which rows may expire."""
    return {
        f"{schema}.{table}"
        for schema in ("raw", "intermediate", "marts")
        for table in warehouse.built_tables(schema)
    }

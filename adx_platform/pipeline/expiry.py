"""Letting rows of the warehouse expire, table by table, as ``ADX_WAREHOUSE__RETENTION`` says.

Belongs here: when to give way, and the report. Does not belong here: which rows go and how
(``warehouse.retention``), or when it runs (``orchestration``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from adx_platform.settings import Settings
from adx_platform.warehouse.base import WarehouseBusyError
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import Expired, check_days, check_tables
from adx_platform.warehouse.selection import open_warehouse

WAIT_SECONDS: Final = 60.0
"""For a load or a build that has the database; the next upkeep comes in ten minutes."""


@dataclass(frozen=True, slots=True)
class ExpiryReport:
    """What was done.

    Attributes:
        expired: the tables that lost rows.
        skipped: why nothing was tried, if so.
    """

    expired: tuple[Expired, ...] = ()
    skipped: str = ""

    @property
    def rows(self) -> int:
        """Rows that were deleted, of all tables."""
        return sum(item.rows for item in self.expired)

    def explain(self) -> str:
        """One line for a person, or one for each table."""
        if self.skipped:
            return f"warehouse: {self.skipped}"
        if not self.expired:
            return "warehouse: nothing is past its retention"
        return "\n".join(item.explain() for item in self.expired)


def expire_rows(
    settings: Settings, *, now: datetime | None = None, wait_seconds: float = WAIT_SECONDS
) -> ExpiryReport:
    """Delete the rows that are past the retention of their table.

    Safe beside everything else, to interrupt, and to run again.

    Args:
        settings: the platform's.
        now: when it is, aware; absent: now.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        RetentionError: a table cannot have a retention, or one is too short for what builds need.
        WarehouseError: the warehouse failed; nothing was changed, or on Hive, what is left goes the
            next time.
    """
    retention = settings.warehouse.retention
    if not retention:
        return ExpiryReport(skipped="no table has a retention")
    check_tables(retention)
    if settings.warehouse.engine == "duckdb" and not settings.duckdb_path.exists():
        return ExpiryReport(skipped="there is none yet")
    try:
        with open_warehouse(settings, wait_seconds=wait_seconds) as warehouse:
            warehouse.ensure_schema()
            check_days(warehouse, retention, settings.refine.oldest_accepted)
            today = (now or datetime.now(UTC)).astimezone(UTC).date()
            return ExpiryReport(expire(warehouse, retention, today=today))
    except WarehouseBusyError:
        return ExpiryReport(skipped="another process has it; what is past its retention goes later")

"""The engine that the settings ask for.

Belongs here: the choice. Does not belong here: anything an engine does.
"""

from __future__ import annotations

from adx_platform.settings import Settings
from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse


def open_warehouse(settings: Settings, *, wait_seconds: float = 0.0) -> Warehouse:
    """Open the warehouse of ``settings``; use it as a context manager and let go of it soon.

    Args:
        settings: the platform's.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        WarehouseBusyError: another process still has it.
        WarehouseError: the engine is not available in this release.
    """
    engine = settings.warehouse.engine
    if engine == "duckdb":
        return DuckDBWarehouse(
            settings.duckdb_path,
            threads=settings.warehouse.threads,
            memory_limit=settings.warehouse.memory_limit,
            wait_seconds=wait_seconds,
        )
    raise WarehouseError(
        f"the warehouse engine {engine!r} has no loader in this release: "
        "set ADX_WAREHOUSE__ENGINE=duckdb"
    )

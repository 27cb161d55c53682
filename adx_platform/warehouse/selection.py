"""The engine that the settings ask for.

Belongs here: the choice. Does not belong here: anything an engine does.
"""

from __future__ import annotations

from adx_platform.settings import Settings
from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.hive_store import HiveStore


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
            settings.duckdb_path, threads=settings.warehouse.threads, wait_seconds=wait_seconds
        )
    if engine == "hive":
        return _open_hive(settings, wait_seconds)
    raise WarehouseError(
        f"the warehouse engine {engine!r} has no loader in this release: "
        "set ADX_WAREHOUSE__ENGINE=duckdb"
    )


def _open_hive(settings: Settings, wait_seconds: float) -> HiveWarehouse:
    section = settings.warehouse
    folder = section.copies_dir or settings.home / "warehouse" / "hive"
    store = HiveStore(folder, wait_seconds=wait_seconds)
    try:
        catalog = HiveCatalog(
            section.host or "localhost",
            section.port or 10_000,
            section.user or "adx",
            section.password.get_secret_value() if section.password else None,
        )
    except WarehouseError:
        store.close()
        raise
    return HiveWarehouse(store, catalog)

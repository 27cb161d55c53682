"""The engine that the settings ask for.

Belongs here: the choice. Does not belong here: anything an engine does.
"""

from __future__ import annotations

from collections.abc import Callable

from adx_platform.settings import Settings
from adx_platform.warehouse import hive_publish, publish, redshift_publish
from adx_platform.warehouse.base import PublishReport, Warehouse
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse

OPENING: dict[str, Callable[[Settings, float], Warehouse]] = {
    "duckdb": DuckDBWarehouse.from_settings,
    "redshift": RedshiftWarehouse.from_settings,
    "hive": HiveWarehouse.from_settings,
}
"""Engine -> what opens it; the number says for how many seconds to wait for another process."""

PUBLISHING: dict[str, Callable[[Settings, str, float], PublishReport]] = {
    "duckdb": publish.publish_build,
    "redshift": redshift_publish.publish_build,
    "hive": hive_publish.publish_build,
}
"""Engine -> what makes the marts of a recorded build what readers see; the number is the same."""


def open_warehouse(settings: Settings, *, wait_seconds: float = 0.0) -> Warehouse:
    """Open the warehouse of ``settings``; use it as a context manager and let go of it soon.

    Args:
        settings: the platform's.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        WarehouseBusyError: another process still has it.
        WarehouseError: the warehouse cannot be opened.
    """
    return OPENING[settings.warehouse.engine](settings, wait_seconds)


def publish_build(settings: Settings, build_id: str, *, wait_seconds: float = 0.0) -> PublishReport:
    """Make the marts of a build that was recorded as green what readers see.

    Args:
        settings: the platform's.
        build_id: a build that was recorded as green.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        WarehouseBusyError: another process still has it.
        WarehouseError: the build is not recorded as green, or there are no marts.
    """
    return PUBLISHING[settings.warehouse.engine](settings, build_id, wait_seconds)

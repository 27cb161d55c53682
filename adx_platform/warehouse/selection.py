"""The engine that the settings ask for.

Belongs here: the choice. Does not belong here: anything an engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from adx_platform.settings import Settings
from adx_platform.warehouse import publish, redshift_publish
from adx_platform.warehouse.base import PublishReport, Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse

_Choice = TypeVar("_Choice")

OPENING: dict[str, Callable[[Settings, float], Warehouse]] = {
    "duckdb": DuckDBWarehouse.from_settings,
    "redshift": RedshiftWarehouse.from_settings,
    "hive": HiveWarehouse.from_settings,
}
"""Engine -> what opens it; the number says for how many seconds to wait for another process."""

PUBLISHING: dict[str, Callable[[Settings, str, float], PublishReport]] = {
    "duckdb": publish.publish_build,
    "redshift": redshift_publish.publish_build,
}
"""Engine -> what makes the marts of a recorded build what readers see; the number is the same."""


def open_warehouse(settings: Settings, *, wait_seconds: float = 0.0) -> Warehouse:
    """Open the warehouse of ``settings``; use it as a context manager and let go of it soon.

    Args:
        settings: the platform's.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        WarehouseBusyError: another process still has it.
        WarehouseError: the engine is not available in this release, or cannot be opened.
    """
    return _chosen(OPENING, settings)(settings, wait_seconds)


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
    return _chosen(PUBLISHING, settings)(settings, build_id, wait_seconds)


def _chosen(choices: Mapping[str, _Choice], settings: Settings) -> _Choice:
    engine = settings.warehouse.engine
    if engine not in choices:
        raise WarehouseError(
            f"the warehouse engine {engine!r} has no loader in this release: "
            f"set ADX_WAREHOUSE__ENGINE to one of {', '.join(choices)}"
        )
    return choices[engine]

"""Publishing a green build on Hive: its marts as a snapshot on this machine.

Belongs here: which rows are taken over the wire. Does not belong here: the snapshot's file and its
swap (``publish``).

A metastore cannot move several tables at once, so schema ``marts`` itself changes model by model
while a build runs. The snapshot is of green builds alone: the report and `adx query` read it.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from adx_platform.settings import Settings
from adx_platform.warehouse.base import PublishReport
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.publish import (
    MARTS_SCHEMA,
    TOO_LARGE_TO_CARRY,
    TRACE_TABLES,
    publish_frames,
    recorded_loads,
    require_marts,
)
from adx_platform.warehouse.tables import BUILDS


def publish_build(settings: Settings, build_id: str, wait_seconds: float = 0.0) -> PublishReport:
    """Take the marts of a recorded build to this machine's snapshot.

    Killed at any instant, readers see either the former snapshot or the new one, whole; calling it
    again for the same build finishes the work.

    Args:
        settings: the platform's.
        build_id: a build that was recorded as green, and the newest one.
        wait_seconds: how long to wait for another process that has the warehouse.

    Raises:
        WarehouseBusyError: another process still has the folder.
        WarehouseError: the build is not recorded as green, or there are no marts.
    """
    with HiveWarehouse.from_settings(settings, wait_seconds) as warehouse:
        warehouse.ensure_schema()
        builds = warehouse.query(
            f"SELECT to_load_id FROM {BUILDS.qualified_name} WHERE build_id = $build_id",  # noqa: S608 our own name
            {"build_id": build_id},
        )
        to_load_id = recorded_loads(build_id, builds.rows())
        marts = [n for n in warehouse.built_tables(MARTS_SCHEMA) if n not in TOO_LARGE_TO_CARRY]
        require_marts(marts)
        return publish_frames(
            settings.published_dir, build_id, to_load_id, _figures(warehouse, marts)
        )


def _figures(warehouse: HiveWarehouse, marts: list[str]) -> Iterator[tuple[str, str, pl.DataFrame]]:
    wanted = [(MARTS_SCHEMA, name) for name in marts]
    for schema, name in [*wanted, *((table.schema, table.name) for table in TRACE_TABLES)]:
        yield schema, name, warehouse.query(f"SELECT * FROM {schema}.{name}")  # noqa: S608 names from the catalogue

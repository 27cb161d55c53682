"""Publishing a green build on Redshift: a copy of the marts, and views that move to it together.

Belongs here: the snapshot's schema, the views of schema ``published``, dropping old snapshots. Does
not belong here: who may read them (``redshift_grants``), or upkeep (``redshift_upkeep``).

dbt swaps one model after the other, and a build that turns out red has swapped some. Readers
therefore read the views: those show one green build as a whole, and change in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import polars as pl

from adx_platform import faultpoints
from adx_platform.settings import Settings
from adx_platform.settings_sections import WarehouseSettings
from adx_platform.warehouse.base import PublishReport
from adx_platform.warehouse.publish import (
    KEPT_SNAPSHOTS,
    MARTS_SCHEMA,
    TOO_LARGE_TO_CARRY,
    TRACE_TABLES,
    publish_frames,
    recorded_loads,
    require_marts,
)
from adx_platform.warehouse.redshift_connection import RedshiftConnection, retried
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_grants import grant_statements
from adx_platform.warehouse.redshift_upkeep import keep_up

PUBLISHED_SCHEMA: Final = "published"
PUBLICATIONS: Final = "control.publications"
_PREFIX: Final = "published_"


def publish_build(settings: Settings, build_id: str, wait_seconds: float = 0.0) -> PublishReport:
    """Publish a recorded build of the warehouse of ``settings``; see :func:`publish`."""
    with RedshiftWarehouse.from_settings(settings, wait_seconds) as warehouse:
        warehouse.ensure_schema()
        report = publish(warehouse.connection, settings.warehouse, build_id)
        publish_frames(
            settings.published_dir,
            build_id,
            _loads_of(warehouse.connection, build_id),
            _figures(warehouse, str(report.snapshot)),
        )
        keep_up(warehouse.connection)
    return report


def _figures(warehouse: RedshiftWarehouse, schema: str) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """What the report and `adx query` of this machine show: all but the largest facts."""
    for name in _tables_in(warehouse.connection, MARTS_SCHEMA):
        if name not in TOO_LARGE_TO_CARRY:
            yield MARTS_SCHEMA, name, warehouse.query(f'SELECT * FROM {schema}."{name}"')  # noqa: S608 names from the catalogue
    for table in TRACE_TABLES:
        rows = warehouse.query(f"SELECT * FROM {schema}.{table.name}")  # noqa: S608 our own names
        yield table.schema, table.name, rows


def publish(
    connection: RedshiftConnection, section: WarehouseSettings, build_id: str
) -> PublishReport:
    """Make the marts of a green build what readers of schema ``published`` see.

    Killed at any instant, readers see either the former build or the new one, whole; calling it
    again for the same build finishes the work.

    Args:
        connection: to a warehouse with its schema in place.
        section: names the roles that may read.
        build_id: a build that was recorded as green.

    Raises:
        WarehouseError: the build is not recorded as green, or there are no marts.
    """
    to_load_id = _loads_of(connection, build_id)
    schema = snapshot_schema(build_id)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {PUBLICATIONS} (build_id VARCHAR(1024), to_load_id BIGINT, "
        "schema_name VARCHAR(127), published_at TIMESTAMP) DISTSTYLE ALL"
    )
    if not _is_there(connection, schema):
        retried(lambda: _copy(connection, schema))
    faultpoints.reach("publish.before_swap")
    retried(lambda: _move_views(connection, section, schema, build_id, to_load_id))
    faultpoints.reach("publish.after_swap")
    _drop_old(connection)
    rows = {
        table: connection.number(f'SELECT count(*) FROM {schema}."{table}"')  # noqa: S608 names from the catalogue
        for table in _tables_in(connection, MARTS_SCHEMA)
    }
    return PublishReport(build_id, schema, rows)


def snapshot_schema(build_id: str) -> str:
    """Name of the schema with the snapshot of a build."""
    return f"{_PREFIX}{hashlib.sha256(build_id.encode()).hexdigest()[:16]}"


def _loads_of(connection: RedshiftConnection, build_id: str) -> int:
    rows = connection.rows(
        "SELECT to_load_id FROM control.builds WHERE build_id = :build_id", {"build_id": build_id}
    )
    return recorded_loads(build_id, rows)


def _copy(connection: RedshiftConnection, schema: str) -> None:
    """All or nothing: every table is copied as of the same instant, or there is no schema."""
    marts = _tables_in(connection, MARTS_SCHEMA)
    require_marts(marts)
    sources = [
        *((MARTS_SCHEMA, name) for name in marts),
        *((t.schema, t.name) for t in TRACE_TABLES),
    ]
    with connection.transaction():
        connection.execute(f"CREATE SCHEMA {schema}")
        for source, name in sources:
            # LIKE keeps the dist and sort keys, which CREATE TABLE AS may choose anew.
            connection.execute(f'CREATE TABLE {schema}."{name}" (LIKE {source}."{name}")')
            connection.execute(
                f'INSERT INTO {schema}."{name}" SELECT * FROM {source}."{name}"'  # noqa: S608 names from the catalogue
            )


def _move_views(
    connection: RedshiftConnection,
    section: WarehouseSettings,
    schema: str,
    build_id: str,
    to_load_id: int,
) -> None:
    with connection.transaction():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {PUBLISHED_SCHEMA}")
        for view in _tables_in(connection, PUBLISHED_SCHEMA):
            connection.execute(f'DROP VIEW {PUBLISHED_SCHEMA}."{view}"')
        columns = _columns_in(connection, schema)
        for table, names in columns.items():
            listed = ", ".join(f'"{name}"' for name in names)
            connection.execute(
                f'CREATE VIEW {PUBLISHED_SCHEMA}."{table}" AS '  # noqa: S608 names from the catalogue
                f'SELECT {listed} FROM {schema}."{table}"'
            )
        for statement in grant_statements(section, PUBLISHED_SCHEMA, columns):
            connection.execute(statement)
        connection.execute(
            f"DELETE FROM {PUBLICATIONS} WHERE build_id = :build_id",  # noqa: S608 our own name
            {"build_id": build_id},
        )
        connection.execute(
            f"INSERT INTO {PUBLICATIONS} (build_id, to_load_id, schema_name, published_at) "  # noqa: S608 our own name
            "VALUES (:build_id, :to_load_id, :schema_name, :published_at)",
            {
                "build_id": build_id,
                "to_load_id": to_load_id,
                "schema_name": schema,
                "published_at": datetime.now(UTC).replace(tzinfo=None),
            },
        )


def drop_former_publications(connection: RedshiftConnection) -> None:
    """Drop every snapshot but the one that readers see."""
    if _is_table(connection, PUBLICATIONS):
        _drop_old(connection, 1)


def _drop_old(connection: RedshiftConnection, keep: int = KEPT_SNAPSHOTS) -> None:
    """Drop all snapshots but the newest, and those that were never published."""
    kept = {
        name
        for (name,) in connection.rows(
            f"SELECT schema_name FROM {PUBLICATIONS} ORDER BY published_at DESC "  # noqa: S608 our own name
            f"LIMIT {keep}"
        )
    }
    found = connection.rows(
        "SELECT nspname FROM pg_catalog.pg_namespace "
        "WHERE left(nspname, length(:prefix)) = :prefix",
        {"prefix": _PREFIX},
    )
    for (schema,) in found:
        if schema not in kept:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def _is_there(connection: RedshiftConnection, schema: str) -> bool:
    return bool(
        connection.rows(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema", {"schema": schema}
        )
    )


def _is_table(connection: RedshiftConnection, qualified: str) -> bool:
    schema, _, name = qualified.partition(".")
    return name in _tables_in(connection, schema)


def _tables_in(connection: RedshiftConnection, schema: str) -> list[str]:
    rows = connection.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema "
        "ORDER BY table_name",
        {"schema": schema},
    )
    return [str(name) for (name,) in rows]


def _columns_in(connection: RedshiftConnection, schema: str) -> dict[str, list[str]]:
    rows = connection.rows(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = :schema ORDER BY table_name, ordinal_position",
        {"schema": schema},
    )
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(str(table), []).append(str(column))
    return found

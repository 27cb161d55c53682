"""The loader's tables in Redshift: their DDL with dist and sort keys, and bringing them up to date.

Belongs here: how rows of ``raw``, ``control`` and ``reference`` lie on the nodes, creating what is
missing, adding and widening columns. Does not belong here: the models' keys, which are in
``dbt_project`` (both are explained in docs/redshift.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_connection import RedshiftConnection
from adx_platform.warehouse.tables import (
    ALL_TABLES,
    EXPIRED_OFFSETS,
    GAPS,
    REJECTS,
    REMOVED_ROWS,
    Table,
)
from adx_platform.warehouse.types import sql_type

LOCK_TABLE: Final = "control.load_lock"
"""Whoever holds its lock may allot a load id. Nobody reads it, so that the lock stops no reader."""

# All columns of a row that a build compares lie on one node by event_id: the rule for duplicates
# looks at every copy of an event. Builds read days.
_EVENTS: Final = "DISTKEY(event_id) COMPOUND SORTKEY(event_date, load_id)"
_SPREAD: Final = "DISTSTYLE EVEN SORTKEY(load_id)"
_SPREAD_BY_DAY: Final = "DISTSTYLE EVEN SORTKEY(event_date)"
# Small and joined to everything: a copy on each node.
_EVERYWHERE: Final = "DISTSTYLE ALL"

_INTEGERS: Final = ("INTEGER", "BIGINT")
_CATALOGUE_TYPES: Final = {
    "boolean": "BOOLEAN",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "double precision": "DOUBLE PRECISION",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
}
_TEXT: Final = "VARCHAR("


def layout(table: Table) -> str:
    """Dist and sort keys of ``table``."""
    if table in (REJECTS, GAPS, REMOVED_ROWS):
        return _SPREAD
    if table == EXPIRED_OFFSETS:
        return _SPREAD_BY_DAY
    return _EVENTS if table.schema == "raw" else _EVERYWHERE


def schema_is_current(connection: RedshiftConnection, tables: Iterable[Table] = ALL_TABLES) -> bool:
    """Whether :func:`migrate` would change nothing; one query of the catalogue."""
    present = _columns(connection)
    return LOCK_TABLE in present and not any(
        _changes(table, present.get(table.qualified_name)) for table in tables
    )


def migrate(connection: RedshiftConnection, tables: Iterable[Table] = ALL_TABLES) -> None:
    """Create missing schemas, tables and columns, and widen columns; call it in a transaction.

    Raises:
        WarehouseError: a column has a type that cannot become the contract's without loss.
    """
    chosen = tuple(tables)
    for schema in sorted({"control", *(table.schema for table in chosen)}):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {LOCK_TABLE} (note VARCHAR(1)) {_EVERYWHERE}")
    present = _columns(connection)
    for table in chosen:
        for statement in _changes(table, present.get(table.qualified_name)):
            connection.execute(statement)


def _changes(table: Table, present: dict[str, str] | None) -> list[str]:
    """The statements that bring ``table`` up to date; none when it is."""
    if present is None:
        return [f"{table.ddl('redshift')} {layout(table)}"]
    changes: list[str] = []
    for column in table.columns:
        wanted, actual = sql_type(column, "redshift"), present.get(column.name)
        if actual is None:
            changes.append(f"ALTER TABLE {table.qualified_name} ADD COLUMN {column.name} {wanted}")
        elif _is_narrower(actual, wanted):
            changes += _widening(table, column.name, wanted)
        elif not _holds(actual, wanted):
            raise WarehouseError(
                f"{table.qualified_name}.{column.name} is {actual} in this database, but the "
                f"contract wants {wanted}, which is no widening. Rebuild the warehouse from the "
                "lake: drop the schemas raw and control and load again."
            )
    return changes


def _widening(table: Table, column: str, wanted: str) -> list[str]:
    # Redshift changes no type in place within a transaction. Views over the column go with it: the
    # next build makes those of dbt again, and readers have others.
    new = f"{column}_widened"
    name = table.qualified_name
    return [
        f"ALTER TABLE {name} ADD COLUMN {new} {wanted}",
        f"UPDATE {name} SET {new} = {column}",  # noqa: S608 our own names
        f"ALTER TABLE {name} DROP COLUMN {column} CASCADE",
        f"ALTER TABLE {name} RENAME COLUMN {new} TO {column}",
    ]


def _is_narrower(actual: str, wanted: str) -> bool:
    if (actual, wanted) == _INTEGERS:
        return True
    return _are_texts(actual, wanted) and _width(actual) < _width(wanted)


def _holds(actual: str, wanted: str) -> bool:
    return actual == wanted or _are_texts(actual, wanted)


def _are_texts(actual: str, wanted: str) -> bool:
    return actual.startswith(_TEXT) and wanted.startswith(_TEXT)


def _width(text_type: str) -> int:
    return int(text_type.removeprefix(_TEXT).removesuffix(")"))


def _columns(connection: RedshiftConnection) -> dict[str, dict[str, str]]:
    rows = connection.rows(
        "SELECT table_schema, table_name, column_name, data_type, character_maximum_length, "
        "numeric_precision, numeric_scale FROM information_schema.columns "
        "WHERE table_schema IN ('raw', 'control', 'reference')"
    )
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, data_type, length, precision, scale in rows:
        if data_type == "character varying":
            kind = f"{_TEXT}{length})"
        elif data_type == "numeric":
            kind = f"DECIMAL({precision},{scale})"
        else:
            kind = _CATALOGUE_TYPES.get(data_type, data_type.upper())
        found.setdefault(f"{schema}.{table}", {})[column] = kind
    return found

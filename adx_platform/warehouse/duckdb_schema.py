"""Bringing a DuckDB file to the current table definitions.

Belongs here: creating what is missing, adding columns that a contract gained, widening integers.
Does not belong here: anything that would drop or rewrite data.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.tables import Table, schema_statements
from adx_platform.warehouse.types import sql_type

_WIDENINGS = {("INTEGER", "BIGINT")}


def migrate(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create missing schemas, tables and columns, and widen columns; call it in a transaction.

    Raises:
        WarehouseError: a column has a type that cannot become the contract's without loss.
    """
    chosen = tuple(tables)
    existing = _columns(connection)
    for statement in schema_statements("duckdb", chosen):
        connection.execute(statement)
    for table in chosen:
        present = existing.get(table.qualified_name)
        if present is not None:
            _bring_up_to_date(connection, table, present)


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = current_database() AND NOT internal"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, data_type in rows:
        found.setdefault(table, {})[column] = data_type
    return found


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, table: Table, present: dict[str, str]
) -> None:
    for column in table.columns:
        wanted = sql_type(column, "duckdb")
        actual = present.get(column.name)
        if actual is None:
            connection.execute(
                f"ALTER TABLE {table.qualified_name} ADD COLUMN {column.name} {wanted}"
            )
        elif (actual, wanted) in _WIDENINGS:
            connection.execute(
                f"ALTER TABLE {table.qualified_name} ALTER COLUMN {column.name} TYPE {wanted}"
            )
        elif actual != wanted:
            raise WarehouseError(
                f"{table.qualified_name}.{column.name} is {actual} in this database, but the "
                f"contract wants {wanted}, which is no widening. Rebuild the warehouse from the "
                "lake: move the database file away and load again."
            )

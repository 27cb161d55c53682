"""Column types of each engine.

Belongs here: the map from a contract's polars type to the SQL type that holds it without loss.
Does not belong here: which columns a table has (``tables``).
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from adx_platform.contracts.columns import Column

Dialect = Literal["duckdb", "redshift", "spark"]

# Redshift sizes its query memory by the declared width, so identifiers get a modest one; free text
# gets the widest there is, because a value that is too long fails the whole COPY.
_REDSHIFT_TEXT = "VARCHAR(1024)"
_REDSHIFT_FREE_TEXT = "VARCHAR(65535)"
FREE_TEXT_COLUMNS = frozenset({"user_agent", "reason", "landing_page", "name", "domain", "owner"})

_SIMPLE: dict[type[pl.DataType], dict[Dialect, str]] = {
    pl.Boolean: {"duckdb": "BOOLEAN", "redshift": "BOOLEAN", "spark": "BOOLEAN"},
    pl.Int32: {"duckdb": "INTEGER", "redshift": "INTEGER", "spark": "INT"},
    pl.Int64: {"duckdb": "BIGINT", "redshift": "BIGINT", "spark": "BIGINT"},
    pl.Float64: {"duckdb": "DOUBLE", "redshift": "DOUBLE PRECISION", "spark": "DOUBLE"},
    pl.Date: {"duckdb": "DATE", "redshift": "DATE", "spark": "DATE"},
    # Naive UTC everywhere: a zoned type would be shown in each session's own zone.
    pl.Datetime: {"duckdb": "TIMESTAMP", "redshift": "TIMESTAMP", "spark": "TIMESTAMP"},
}


def sql_type(column: Column, dialect: Dialect) -> str:
    """The type of ``column`` in ``dialect``.

    Raises:
        TypeError: the contract uses a type that the warehouses do not carry (nested ones).
    """
    dtype = column.dtype() if isinstance(column.dtype, type) else column.dtype
    if isinstance(dtype, pl.String):
        return _text(column.name, dialect)
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    if type(dtype) in _SIMPLE:
        return _SIMPLE[type(dtype)][dialect]
    raise TypeError(
        f"column {column.name!r} has type {dtype}, which no warehouse table can hold: flatten it "
        "in warehouse/projection.py or add its type to warehouse/types.py"
    )


def _text(name: str, dialect: Dialect) -> str:
    if dialect == "redshift":
        return _REDSHIFT_FREE_TEXT if name in FREE_TEXT_COLUMNS else _REDSHIFT_TEXT
    return "VARCHAR" if dialect == "duckdb" else "STRING"

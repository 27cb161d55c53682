"""The metastore behind a HiveServer2: created tables, and locations brought to a version.

Belongs here: the connection (PyHive) and what is sent over it. Does not belong here: the text of
the statements (``hive_sql``), copies and versions (``hive_store``).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from adx_platform import faultpoints
from adx_platform.warehouse import hive_sql
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.hive_store import WHOLE, HiveStore, Slots, Version
from adx_platform.warehouse.tables import ALL_TABLES, Table
from adx_platform.warehouse.types import sql_type

_DROPPED_AT_ONCE = 100
"""Hours of a table in one statement; a day of them would else be 24, for each table."""
_PARAMETER = re.compile(r"\$(\w+)")
_LAST = "control.loads"
_DATE = "DATE_TYPE"
_DECIMAL = "DECIMAL_TYPE"
_ANY_DECIMAL = pl.Decimal(38, 6)
_TYPES: dict[str, pl.DataType] = {
    "BOOLEAN_TYPE": pl.Boolean(),
    "INT_TYPE": pl.Int32(),
    "BIGINT_TYPE": pl.Int64(),
    "DOUBLE_TYPE": pl.Float64(),
    "STRING_TYPE": pl.String(),
    "TIMESTAMP_TYPE": pl.Datetime("us"),
    _DATE: pl.String(),
}
"""Kinds of columns as PyHive names them; of others the values decide."""


class HiveCatalog:
    """One session on a HiveServer2."""

    def __init__(self, host: str, port: int, user: str, password: str | None = None) -> None:
        """Connect: without a password unauthenticated (NONE), else with it (LDAP).

        Raises:
            WarehouseError: PyHive is not installed, or the server does not answer.
        """
        try:
            hive = importlib.import_module("pyhive.hive")
            transport = importlib.import_module("thrift.transport.TTransport")
        except ImportError as error:
            raise WarehouseError(
                "the Hive engine needs PyHive: install the extra, adx-platform[spark]"
            ) from error
        try:
            self._connection = hive.connect(
                host,
                port=port,
                username=user,
                password=password,
                auth="NONE" if password is None else "LDAP",
            )
        except (transport.TTransportException, OSError) as error:
            raise WarehouseError(
                f"no HiveServer2 answers at {host}:{port}: check ADX_WAREHOUSE__HOST, "
                f"ADX_WAREHOUSE__PORT and the user ({error})"
            ) from error

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, none for DDL.

        Raises:
            WarehouseError: the server refused it.
        """
        return self._run(sql, None)[1]

    def query(self, sql: str, parameters: Mapping[str, Any] | None) -> pl.DataFrame:
        """Rows of a query whose parameters are written ``$name``."""
        text = sql
        if parameters:
            text = _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
        columns, rows = self._run(text, dict(parameters) if parameters else None)
        # PyHive makes times of timestamps, and leaves dates as text.
        schema = {name: _TYPES.get(kind) for name, kind in columns}
        frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
        dates = [name for name, kind in columns if kind == _DATE]
        # Nothing tells the scale of a decimal but its values, and here there are none.
        empty = [n for n, kind in columns if kind == _DECIMAL and frame[n].dtype == pl.Null]
        return frame.with_columns(pl.col(dates).str.to_date(), pl.col(empty).cast(_ANY_DECIMAL))

    def tables(self, schema: str) -> list[str]:
        """Names of the tables, views aside, of ``schema``; none where there is no such schema."""
        if not self.run(f"SHOW DATABASES LIKE '{schema}'"):
            return []
        # Spark has the schema before the name; Hive has the name alone. Views are among the tables.
        named, views = (
            {str(row[min(1, len(row) - 1)]) for row in self.run(f"SHOW {what} IN {schema}")}
            for what in ("TABLES", "VIEWS")
        )
        return sorted(named - views)

    def create(self, store: HiveStore) -> None:
        """Create missing schemas, tables and columns.

        Raises:
            WarehouseError: a column has another type than the contract's.
        """
        for schema in sorted({table.schema for table in ALL_TABLES}):
            self.run(hive_sql.create_schema(schema))
        existing = {
            f"{schema}.{name}"
            for schema in sorted({table.schema for table in ALL_TABLES})
            for name in self.tables(schema)
        }
        for table in ALL_TABLES:
            if table.qualified_name in existing:
                self._add_missing(table)
            else:
                self.run(hive_sql.create_table(table, store.uri("empty")))

    def applied(self) -> int:
        """The version that the metastore shows wholly; 0 if there was none."""
        rows = self.run(f"SHOW TBLPROPERTIES {_LAST}")
        return next((int(r[1]) for r in rows if r[0] == hive_sql.APPLIED_PROPERTY), 0)

    def bring_to(self, store: HiveStore, shown: Version, wanted: Version) -> None:
        """Swap every location in which ``wanted`` differs from ``shown``.

        May be broken off anywhere and done again: setting a location twice changes nothing, nor
        does dropping an hour twice. Raw rows come first and ``control.loads`` last: a load is
        listed only when its rows are there.
        """
        dropped: dict[str, list[str]] = {}
        for name, hour in sorted(shown.slots.keys() - wanted.slots.keys()):
            dropped.setdefault(name, []).append(hour)
        for name, hours in dropped.items():
            for start in range(0, len(hours), _DROPPED_AT_ONCE):
                some = hours[start : start + _DROPPED_AT_ONCE]
                self.run(hive_sql.drop_partitions(name, some))
                faultpoints.reach("hive.between_swaps")
        changed: Slots = {
            key: copy for key, copy in wanted.slots.items() if shown.slots.get(key) != copy
        }
        for name, hour in sorted(changed, key=_order):
            location = store.uri(changed[name, hour].folder)
            if hour != WHOLE and (name, hour) not in shown.slots:
                self.run(hive_sql.add_partition(name, hour, location))
            self.run(hive_sql.set_location(name, hour, location))
            faultpoints.reach("hive.between_swaps")
        self.run(hive_sql.set_applied(wanted.number))

    def _add_missing(self, table: Table) -> None:
        found: dict[str, str] = {}
        for name, kind, *_ in self.run(f"DESCRIBE {table.qualified_name}"):
            found.setdefault(str(name), str(kind).upper())
        missing = [c.name for c in table.columns if c.name not in found]
        wrong = [
            f"{c.name} is {found[c.name]}, not {sql_type(c, 'spark')}"
            for c in table.columns
            if c.name in found and found[c.name] != sql_type(c, "spark")
        ]
        if wrong:
            raise WarehouseError(
                f"{table.qualified_name} does not fit its contract: {'; '.join(wrong)}; "
                "drop the tables and load into a new folder"
            )
        if missing:
            self.run(hive_sql.add_columns(table, missing))

    def _run(
        self, sql: str, parameters: dict[str, Any] | None
    ) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]]]:
        """Names and kinds of the columns, and the rows."""
        refused = importlib.import_module("pyhive.exc").Error
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, parameters)
            if cursor.description is None:
                return [], []
            # Hive itself calls a column table.column.
            columns = [(str(c[0]).rpartition(".")[2], str(c[1])) for c in cursor.description]
            return columns, list(cursor.fetchall())
        except refused as error:
            reason = str(error)[:500]
            raise WarehouseError(f"HiveServer2 refused {sql[:200]!r}: {reason}") from error
        finally:
            cursor.close()


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    name, hour = key
    rank = 2 if name == _LAST else int(name.startswith("control."))
    return rank, name, hour

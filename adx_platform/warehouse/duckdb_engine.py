"""The default engine: one DuckDB file that only the build writes.

Belongs here: how the interface of ``base`` is kept on DuckDB. Does not belong here: what is loaded
(``loader``, ``projection``) or how readers get at the marts (``publish``, ``published``): a second
process cannot open the file while this one has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl

from adx_platform import faultpoints
from adx_platform.settings import Settings
from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    LoadReceipt,
    TopicPartition,
    WarehouseError,
)
from adx_platform.warehouse.duckdb_connection import connect, transaction
from adx_platform.warehouse.duckdb_schema import migrate
from adx_platform.warehouse.expired_offsets import returning_statements
from adx_platform.warehouse.frames import conform
from adx_platform.warehouse.load_rules import (
    REMOVED_KEYS,
    check_build,
    check_ranges,
    cursor_rows,
    range_parameters,
    range_rows,
    reference_table,
    tables_of,
)
from adx_platform.warehouse.tables import (
    ALL_TABLES,
    BUILDS,
    CURSORS,
    GAPS,
    LOAD_RANGES,
    LOADS,
    REFERENCE_LOADS,
    REMOVED_ROWS,
    Table,
    tables_of_stream,
)


class DuckDBWarehouse:
    """A warehouse in a DuckDB file."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 2,
        memory_limit: str = "3GB",
        wait_seconds: float = 0.0,
    ) -> None:
        """Open, and create where needed, the database at ``path``.

        Args:
            path: the database file.
            threads: worker threads of the engine.
            memory_limit: what the engine may hold, as ``3GB``; the rest goes to disk.
            wait_seconds: how long to wait for another process to let go of the file.

        Raises:
            WarehouseBusyError: another process still has the file.
            WarehouseError: the file cannot be opened.
        """
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = connect(
            path, wait_seconds=wait_seconds
        )
        self._connection.execute(f"SET threads = {int(threads)}")
        self._connection.execute("SET memory_limit = ?", [memory_limit])

    @classmethod
    def from_settings(cls, settings: Settings, wait_seconds: float = 0.0) -> Self:
        """Open the file of ``settings``; see the constructor."""
        return cls(
            settings.duckdb_path,
            threads=settings.warehouse.threads,
            memory_limit=settings.warehouse.memory_limit,
            wait_seconds=wait_seconds,
        )

    def __enter__(self) -> Self:
        """Use the warehouse in a ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the warehouse."""
        self.close()

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open connection.

        Raises:
            WarehouseError: the warehouse was closed.
        """
        if self._connection is None:
            raise WarehouseError(f"the warehouse {self.path} is closed: open it again")
        return self._connection

    def ensure_schema(self) -> None:
        """Create missing schemas, tables and columns; widen columns whose contract widened."""
        with transaction(self.connection):
            migrate(self.connection, ALL_TABLES)

    def cursors(self, stream: str) -> dict[TopicPartition, int]:
        """Next offset to load of every partition that was ever loaded."""
        rows = self.connection.execute(
            "SELECT topic_id, partition_id, next_offset FROM control.cursors WHERE stream = ?",
            [stream],
        ).fetchall()
        return {TopicPartition(topic_id, partition): offset for topic_id, partition, offset in rows}

    def applied_restatements(self, stream: str) -> list[LoadRange]:
        """Every range of which a restatement is already in the raw tables."""
        rows = self.connection.execute(
            "SELECT topic_id, partition_id, start_offset, end_offset, revision "
            "FROM control.load_ranges WHERE stream = ? AND kind = 'restatement' ORDER BY ALL",
            [stream],
        ).fetchall()
        return [LoadRange(*row) for row in rows]

    def load(self, batch: LoadBatch) -> LoadReceipt:
        """Apply ``batch`` in one transaction: all of it, or nothing."""
        tables = tables_of(batch)
        with transaction(self.connection):
            check_ranges(batch, self.cursors(batch.stream))
            load_id = self.latest_load() + 1
            removed = self._remove(batch, load_id)
            inserted = {
                name: self._insert(
                    tables[name], frame.with_columns(load_id=pl.lit(load_id, pl.Int64))
                )
                for name, frame in batch.frames.items()
            }
            self._write_control(batch, load_id, sum(inserted.values()))
            faultpoints.reach("load.in_transaction")
        faultpoints.reach("load.after_commit")
        return LoadReceipt(load_id, inserted, removed)

    def load_reference(
        self, name: str, frame: pl.DataFrame, *, version: str, force: bool = False
    ) -> bool:
        """Replace reference table ``name`` by ``frame``, unless ``version`` is loaded already."""
        table = reference_table(name)
        connection = self.connection
        loaded = connection.execute(
            "SELECT 1 FROM control.reference_loads WHERE table_name = ? AND version = ?",
            [name, version],
        ).fetchall()
        if loaded and not force:
            return False
        with transaction(connection):
            connection.execute(f"DELETE FROM {table.qualified_name}")  # noqa: S608 our own name
            rows = self._insert(table, frame)
            connection.execute("DELETE FROM control.reference_loads WHERE table_name = ?", [name])
            self._insert_row(REFERENCE_LOADS, (name, version, _now(), rows))
        return True

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one query; times come back as naive UTC."""
        relation = self.connection.sql(sql, params=dict(parameters) if parameters else None)
        return pl.DataFrame(relation.to_arrow_table())

    def built_tables(self, schema: str) -> list[str]:
        """Names of the tables, views aside, of ``schema``."""
        rows = self.connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? "
            "AND table_catalog = current_database() AND table_type = 'BASE TABLE' ORDER BY 1",
            [schema],
        ).fetchall()
        return [str(name) for (name,) in rows]

    def views_made_from(self, project: str) -> frozenset[str]:
        """Names of the views whose comment says that this dbt project made them."""
        rows = self.connection.execute(
            "SELECT view_name FROM duckdb_views() "
            "WHERE database_name = current_database() AND comment = ?",
            [project],
        ).fetchall()
        return frozenset(str(name) for (name,) in rows)

    def latest_load(self) -> int:
        """The highest load_id committed; 0 when nothing was loaded."""
        return self._number("SELECT coalesce(max(load_id), 0) FROM control.loads")

    def completed_load(self) -> int:
        """The highest load_id that a full green build included; 0 when there was none."""
        return self._number("SELECT coalesce(max(to_load_id), 0) FROM control.builds")

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``."""
        recorded = self.connection.execute(
            "SELECT to_load_id FROM control.builds WHERE build_id = ?", [build_id]
        ).fetchall()
        if check_build(build_id, to_load_id, self.latest_load(), recorded):
            self._insert_row(BUILDS, (build_id, to_load_id, _now()))

    def _remove(self, batch: LoadBatch, load_id: int) -> dict[str, int]:
        removed: dict[str, int] = {}
        for part in batch.replaced:
            for table in tables_of_stream(batch.stream):
                count = self._remove_range(table, batch.stream, part, load_id)
                removed[table.name] = removed.get(table.name, 0) + count
            for statement in returning_statements(load_id, "$"):
                self.connection.execute(statement, range_parameters(batch.stream, part))
        return removed

    def _remove_range(self, table: Table, stream: str, part: LoadRange, load_id: int) -> int:
        names = {column.name for column in table.columns}
        condition = (
            "topic_id = $topic_id AND partition_id = $partition "
            "AND kafka_offset >= $start AND kafka_offset < $end"
        )
        where: dict[str, Any] = {
            "topic_id": part.topic_id,
            "partition": part.partition,
            "start": part.start,
            "end": part.end,
        }
        if "stream" in names:
            condition += " AND stream = $stream"
            where["stream"] = stream
        if table is not GAPS:  # a gap has no key and touches no entity
            values = ", ".join(key if key in names else "NULL" for key in REMOVED_KEYS)
            target = (
                f"{REMOVED_ROWS.qualified_name} (load_id, table_name, {', '.join(REMOVED_KEYS)})"
            )
            self.connection.execute(
                f"INSERT INTO {target} SELECT $load_id, $table_name, {values} "  # noqa: S608 our own names; values are bound
                f"FROM {table.qualified_name} WHERE {condition}",
                {**where, "load_id": load_id, "table_name": table.name},
            )
        return self._number(
            f"DELETE FROM {table.qualified_name} WHERE {condition}",  # noqa: S608 our own names; values are bound
            where,
        )

    def _write_control(self, batch: LoadBatch, load_id: int, row_count: int) -> None:
        self._insert_row(LOADS, (load_id, batch.stream, batch.lake_version, _now(), row_count))
        for row in range_rows(batch, load_id):
            self._insert_row(LOAD_RANGES, row)
        for part in batch.forward:
            self.connection.execute(
                "DELETE FROM control.cursors "
                "WHERE stream = ? AND topic_id = ? AND partition_id = ?",
                [batch.stream, part.topic_id, part.partition],
            )
        for row in cursor_rows(batch, load_id):
            self._insert_row(CURSORS, row)

    def _insert(self, table: Table, frame: pl.DataFrame) -> int:
        arrow = conform(frame, table).to_arrow()
        names = ", ".join(column.name for column in table.columns)
        self.connection.register("incoming_rows", arrow)
        try:
            return self._number(
                f"INSERT INTO {table.qualified_name} ({names}) SELECT {names} FROM incoming_rows"  # noqa: S608 our own names
            )
        finally:
            self.connection.unregister("incoming_rows")

    def _insert_row(self, table: Table, values: tuple[object, ...]) -> None:
        names = ", ".join(column.name for column in table.columns)
        marks = ", ".join("?" for _ in values)
        self.connection.execute(
            f"INSERT INTO {table.qualified_name} ({names}) VALUES ({marks})",  # noqa: S608 our own names; values are bound
            list(values),
        )

    def _number(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        # Fetched to the end: DuckDB refuses other work while a result is unfinished.
        rows = self.connection.execute(sql, dict(parameters) if parameters else None).fetchall()
        return int(rows[0][0]) if rows else 0


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)

"""Redshift: rows come by COPY from S3, and rows and cursors move in one transaction.

Belongs here: how the interface of ``base`` is kept on Redshift. Does not belong here: the files
(``redshift_copy``), the tables' DDL (``redshift_schema``), or what readers see
(``redshift_publish``).

Loads take turns by the lock of a table that nobody reads, whatever the isolation of the database:
under snapshot isolation two first loads of a partition would otherwise both commit. What else meets
in a transaction is undone by Redshift with error 1023, and done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import polars as pl

from adx_platform import faultpoints
from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import Settings
from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    LoadReceipt,
    TopicPartition,
    WarehouseError,
)
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
from adx_platform.warehouse.redshift_connection import (
    RedshiftConnection,
    connect,
    marks,
    quoted,
    retried,
)
from adx_platform.warehouse.redshift_copy import (
    LEFT_AFTER,
    CopySource,
    LoadFolder,
    copy_statement,
)
from adx_platform.warehouse.redshift_frames import frame_of
from adx_platform.warehouse.redshift_schema import LOCK_TABLE, migrate, schema_is_current
from adx_platform.warehouse.redshift_upkeep import refresh_statistics
from adx_platform.warehouse.tables import (
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
from adx_platform.warehouse.types import sql_type

LOAD_FOLDER: Final = "load"
"""Folder of the lake through which loads go, where no other is set."""

_LOAD_ID: Final = "load_id"


class RedshiftWarehouse:
    """A warehouse in one database of a Redshift cluster or workgroup."""

    def __init__(self, connection: RedshiftConnection, folder: LoadFolder, iam_role: str) -> None:
        """Work on an open connection.

        The first load takes away files of loads that were killed ``leftover_age`` ago.

        Args:
            connection: see ``redshift_connection.connect``; it is closed with the warehouse.
            folder: through which rows go.
            iam_role: which COPY assumes to read there.
        """
        self.connection = connection
        self._folder = folder
        self._iam_role = iam_role
        self._is_swept = False
        self.leftover_age = LEFT_AFTER

    @classmethod
    def from_settings(cls, settings: Settings, wait_seconds: float = 0.0) -> Self:
        """Connect as ``settings`` say; a cluster takes many sessions, so nobody waits.

        Raises:
            WarehouseError: a setting is missing, or Redshift does not take the connection.
        """
        del wait_seconds
        section = settings.warehouse
        if section.iam_role is None:
            raise WarehouseError(
                "set ADX_WAREHOUSE__IAM_ROLE to the role that COPY assumes to read the files of a "
                "load from S3, or to `default`"
            )
        uri = section.load_uri or f"{settings.lake_uri.rstrip('/')}/{LOAD_FOLDER}"
        folder = LoadFolder(LakeStorage.at(uri, settings.lake))
        return cls(connect(section), folder, section.iam_role)

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
        """Let go of the session; closing twice is fine."""
        self.connection.close()

    def ensure_schema(self) -> None:
        """Create missing schemas, tables and columns; widen columns whose contract widened."""
        if not schema_is_current(self.connection):
            retried(self._migrate)

    def cursors(self, stream: str) -> dict[TopicPartition, int]:
        """Next offset to load of every partition that was ever loaded."""
        rows = self.connection.rows(
            "SELECT topic_id, partition_id, next_offset FROM control.cursors "
            "WHERE stream = :stream",
            {"stream": stream},
        )
        return {TopicPartition(topic_id, partition): offset for topic_id, partition, offset in rows}

    def applied_restatements(self, stream: str) -> list[LoadRange]:
        """Every range of which a restatement is already in the raw tables."""
        rows = self.connection.rows(
            "SELECT topic_id, partition_id, start_offset, end_offset, revision "
            "FROM control.load_ranges WHERE stream = :stream AND kind = 'restatement' "
            "ORDER BY topic_id, partition_id, start_offset, end_offset, revision",
            {"stream": stream},
        )
        return [LoadRange(*row) for row in rows]

    def load(self, batch: LoadBatch) -> LoadReceipt:
        """Apply ``batch`` in one transaction: all of it, or nothing."""
        tables = tables_of(batch)
        # The transaction allots the load id, so the files, which are written before it, lack it.
        frames = {
            name: conform(frame.with_columns(load_id=pl.lit(0, pl.Int64)), tables[name])
            for name, frame in batch.frames.items()
        }
        # Before anything is written: a batch that is stale already need not travel.
        check_ranges(batch, self.cursors(batch.stream))
        self._sweep_once()
        with self._folder.new_load() as files:
            sources = {
                name: files.write(name, frame.drop(_LOAD_ID))
                for name, frame in frames.items()
                if frame.height
            }
            faultpoints.reach("load.files_written")
            receipt = retried(lambda: self._load(batch, tables, sources))
            faultpoints.reach("load.after_commit")
        # A build that plans without figures of what was just loaded may choose to join every row
        # with every other.
        refresh_statistics(self.connection, batch.frames)
        return receipt

    def load_reference(
        self, name: str, frame: pl.DataFrame, *, version: str, force: bool = False
    ) -> bool:
        """Replace reference table ``name`` by ``frame``, unless ``version`` is loaded already."""
        table = reference_table(name)
        loaded = self.connection.rows(
            "SELECT 1 FROM control.reference_loads WHERE table_name = :name AND version = :version",
            {"name": name, "version": version},
        )
        if loaded and not force:
            return False
        rows = conform(frame, table)
        with self._folder.new_load() as files:
            source = files.write(name, rows) if rows.height else None
            retried(lambda: self._replace_reference(table, source, version))
        return True

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one query, whose parameters are ``:name``; times come back as naive UTC."""
        return frame_of(*self.connection.described_rows(sql, parameters))

    def built_tables(self, schema: str) -> list[str]:
        """Names of the tables, views aside, of ``schema``."""
        rows = self.connection.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema "
            "AND table_type = 'BASE TABLE' ORDER BY table_name",
            {"schema": schema},
        )
        return [str(name) for (name,) in rows]

    def views_made_from(self, project: str) -> frozenset[str]:  # noqa: ARG002 the protocol's
        """None: all are made again."""
        return frozenset()

    def latest_load(self) -> int:
        """The highest load_id committed; 0 when nothing was loaded."""
        return self.connection.number("SELECT coalesce(max(load_id), 0) FROM control.loads")

    def completed_load(self) -> int:
        """The highest load_id that a full green build included; 0 when there was none."""
        return self.connection.number("SELECT coalesce(max(to_load_id), 0) FROM control.builds")

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``."""
        retried(lambda: self._record_build(build_id, to_load_id))

    def _migrate(self) -> None:
        with self.connection.transaction():
            migrate(self.connection)

    def _sweep_once(self) -> None:
        if not self._is_swept:
            self._folder.sweep(older_than=self.leftover_age)
            self._is_swept = True

    def _load(
        self, batch: LoadBatch, tables: Mapping[str, Table], sources: Mapping[str, CopySource]
    ) -> LoadReceipt:
        with self.connection.transaction():
            # First of all: a transaction sees what was committed before its first query.
            self.connection.execute(f"LOCK {LOCK_TABLE}")
            check_ranges(batch, self.cursors(batch.stream))
            load_id = self.latest_load() + 1
            for name, source in sources.items():
                self._copy(tables[name], source, without=_LOAD_ID)
            removed = self._remove(batch, load_id)
            for name in sources:
                self._move(tables[name], load_id)
            inserted = {name: sources[name].rows if name in sources else 0 for name in batch.frames}
            self._write_control(batch, load_id, sum(inserted.values()))
            faultpoints.reach("load.in_transaction")
        return LoadReceipt(load_id, inserted, removed)

    def _copy(self, table: Table, source: CopySource, *, without: str | None = None) -> None:
        """COPY into a temporary table, whose columns are those of the file, in their order.

        Not ``LIKE`` the raw table: that one has a column that was added later at its end.
        """
        staging = _staging(table)
        columns = ", ".join(
            f"{c.name} {sql_type(c, 'redshift')}" for c in table.columns if c.name != without
        )
        self.connection.execute(f"CREATE TEMP TABLE {staging} ({columns})")
        self.connection.execute(copy_statement(staging, source, self._iam_role))
        copied = self.connection.number(f"SELECT count(*) FROM {staging}")  # noqa: S608 our own name
        if copied != source.rows:
            raise WarehouseError(
                f"COPY brought {copied} rows of {source.manifest_url} and not {source.rows}: "
                "nothing was loaded; run again"
            )

    def _move(self, table: Table, load_id: int | None = None) -> None:
        """Insert what was copied, and drop the temporary table."""
        names = [column.name for column in table.columns]
        values = [str(load_id) if load_id is not None and n == _LOAD_ID else n for n in names]
        staging = _staging(table)
        self.connection.execute(
            f"INSERT INTO {table.qualified_name} ({', '.join(names)}) "  # noqa: S608 our own names
            f"SELECT {', '.join(values)} FROM {staging}"
        )
        self.connection.execute(f"DROP TABLE {staging}")

    def _replace_reference(self, table: Table, source: CopySource | None, version: str) -> None:
        connection = self.connection
        with connection.transaction():
            connection.execute(f"LOCK {LOCK_TABLE}")
            connection.execute(f"DELETE FROM {table.qualified_name}")  # noqa: S608 our own name
            if source is not None:
                self._copy(table, source)
                self._move(table)
            connection.execute(
                "DELETE FROM control.reference_loads WHERE table_name = :name",
                {"name": table.name},
            )
            rows = 0 if source is None else source.rows
            self._insert_rows(REFERENCE_LOADS, [(table.name, version, _now(), rows)])

    def _record_build(self, build_id: str, to_load_id: int) -> None:
        with self.connection.transaction():
            recorded = self.connection.rows(
                "SELECT to_load_id FROM control.builds WHERE build_id = :build_id",
                {"build_id": build_id},
            )
            if check_build(build_id, to_load_id, self.latest_load(), recorded):
                self._insert_rows(BUILDS, [(build_id, to_load_id, _now())])

    def _remove(self, batch: LoadBatch, load_id: int) -> dict[str, int]:
        removed: dict[str, int] = {}
        for part in batch.replaced:
            for table in tables_of_stream(batch.stream):
                count = self._remove_range(table, batch.stream, part, load_id)
                removed[table.name] = removed.get(table.name, 0) + count
            for statement in returning_statements(load_id, ":"):
                self.connection.execute(statement, range_parameters(batch.stream, part))
        return removed

    def _remove_range(self, table: Table, stream: str, part: LoadRange, load_id: int) -> int:
        names = {column.name for column in table.columns}
        condition = (
            "topic_id = :topic_id AND partition_id = :partition "
            "AND kafka_offset >= :start_offset AND kafka_offset < :end_offset"
        )
        where: dict[str, Any] = {
            "topic_id": part.topic_id,
            "partition": part.partition,
            "start_offset": part.start,
            "end_offset": part.end,
        }
        if "stream" in names:
            condition += " AND stream = :stream"
            where["stream"] = stream
        count = self.connection.number(
            f"SELECT count(*) FROM {table.qualified_name} WHERE {condition}",  # noqa: S608 our own names; values are bound
            where,
        )
        if not count:
            return 0
        if table is not GAPS:  # a gap has no key and touches no entity
            values = ", ".join(key if key in names else "NULL" for key in REMOVED_KEYS)
            target = (
                f"{REMOVED_ROWS.qualified_name} (load_id, table_name, {', '.join(REMOVED_KEYS)})"
            )
            self.connection.execute(
                f"INSERT INTO {target} SELECT {int(load_id)}, {quoted(table.name)}, {values} "  # noqa: S608 our own names; values are bound
                f"FROM {table.qualified_name} WHERE {condition}",
                where,
            )
        self.connection.execute(
            f"DELETE FROM {table.qualified_name} WHERE {condition}",  # noqa: S608 the same
            where,
        )
        return count

    def _write_control(self, batch: LoadBatch, load_id: int, row_count: int) -> None:
        self._insert_rows(LOADS, [(load_id, batch.stream, batch.lake_version, _now(), row_count)])
        self._insert_rows(LOAD_RANGES, range_rows(batch, load_id))
        for part in batch.forward:
            self.connection.execute(
                "DELETE FROM control.cursors WHERE stream = :stream "
                "AND topic_id = :topic_id AND partition_id = :partition",
                {
                    "stream": batch.stream,
                    "topic_id": part.topic_id,
                    "partition": part.partition,
                },
            )
        self._insert_rows(CURSORS, cursor_rows(batch, load_id))

    def _insert_rows(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        if not rows:
            return
        names = ", ".join(column.name for column in table.columns)
        values, parameters = marks(rows)
        self.connection.execute(
            f"INSERT INTO {table.qualified_name} ({names}) VALUES {values}",  # noqa: S608 our own names; values are bound
            parameters,
        )


def _staging(table: Table) -> str:
    return f"incoming_{table.name}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)

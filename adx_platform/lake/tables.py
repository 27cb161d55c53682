"""The tables of the lake: names, layout, properties, creation, and which schema changes pass.

Belongs here: opening and creating. Does not belong here: committing rows (``landing``, ``events``,
``restatements``) and reading them (``reading``).

Raw tables have no partition columns, so that a lane's batch is one file. Event tables are
partitioned by disposition and event date. File statistics are kept for the columns that snapshot
reads select by, so that a range read opens only the files that can hold it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import polars as pl
from deltalake import ColumnProperties, DeltaTable, Schema, WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from polars.datatypes import DataTypeClass

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.lake.errors import IncompatibleTableSchema
from adx_platform.lake.storage import LakeStorage

RAW_STATISTICS = ("topic_id", "partition", "offset", "kafka_timestamp")
EVENT_STATISTICS = (*RAW_STATISTICS, "revision")
EVENT_PARTITIONING = ("disposition", "event_date")

AnyDataType = pl.DataType | DataTypeClass


@dataclass(frozen=True)
class LakeTable:
    """One Delta table: where it is, what it holds, how it is laid out.

    Attributes:
        storage: the lake.
        name: path under the lake's root.
        schema: the columns that this release writes; a stored table may have more.
        partition_by: Delta partition columns.
        statistics: columns with file statistics.
        column_statistics: whether files carry statistics of each column for the reader of one
            file; those of a payload column would repeat whole payloads.
        checkpoint_interval: commits between checkpoints, used when the table is created.
    """

    storage: LakeStorage
    name: str
    schema: pl.Schema
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    column_statistics: bool = True
    checkpoint_interval: int = 50

    def find(self) -> DeltaTable | None:
        """A fresh handle at the newest version; ``None`` if nothing was ever committed.

        Raises:
            LakeUnavailable: the storage does not answer or refuses us.
        """
        with self.storage.explained(f"opening table {self.name}"):
            try:
                return DeltaTable(
                    self.storage.table_uri(self.name), storage_options=dict(self.storage.options)
                )
            except TableNotFoundError:
                return None

    def open(self) -> DeltaTable:
        """A fresh handle at the newest version, of a table that is created where it is absent.

        Raises:
            LakeUnavailable: the storage does not answer or refuses us.
            IncompatibleTableSchema: a stored column has another type than this release writes.
        """
        handle = self.find()
        if handle is None:
            handle = self._create()
        require_additions_only(self.name, pl.Schema(handle.schema()), self.schema)
        return handle

    def reopen(self, handle: DeltaTable) -> DeltaTable:
        """The newest version, by a handle of an earlier one that is of no other use any more.

        It reads what the log has got since. Opening anew reads the checkpoint as well, with every
        replaced file that it still tells of: 1 ms for each thousand of them (measured 2026-11),
        and a loop of two commits a second has up to 54,000.

        Raises:
            LakeUnavailable, IncompatibleTableSchema: as for :meth:`open`.
        """
        try:
            handle.update_incremental()
        except (DeltaError, OSError):
            # The table was made anew, or the store fails: opening tells which.
            return self.open()
        require_additions_only(self.name, pl.Schema(handle.schema()), self.schema)
        return handle

    def _create(self) -> DeltaTable:
        empty = pl.DataFrame(schema=self.schema)
        with self.storage.explained(f"creating table {self.name}"):
            # "ignore": of two processes that create at once, both get the one table; one that finds
            # it in the moment between looking and committing is refused instead (seen on S3).
            with suppress(CommitFailedError):
                DeltaTable.create(
                    self.storage.table_uri(self.name),
                    schema=Schema.from_arrow(empty.to_arrow().schema),
                    mode="ignore",
                    partition_by=list(self.partition_by),
                    storage_options=dict(self.storage.options),
                    configuration={
                        "delta.checkpointInterval": str(self.checkpoint_interval),
                        "delta.dataSkippingStatsColumns": ",".join(self.statistics),
                    },
                )
            return DeltaTable(
                self.storage.table_uri(self.name), storage_options=dict(self.storage.options)
            )


def raw_table(storage: LakeStorage, topic: str, *, checkpoint_interval: int = 50) -> LakeTable:
    """The landing of ``topic``: undecoded messages and gap rows."""
    return LakeTable(
        storage,
        f"raw/{topic}",
        RAW_SCHEMA,
        statistics=RAW_STATISTICS,
        column_statistics=False,
        checkpoint_interval=checkpoint_interval,
    )


def events_table(
    storage: LakeStorage, topic: str, schema: pl.Schema, *, checkpoint_interval: int = 50
) -> LakeTable:
    """The refined rows of ``topic``; ``schema`` is the stream's ``events_schema``."""
    return LakeTable(
        storage,
        f"events/{topic}",
        schema,
        partition_by=EVENT_PARTITIONING,
        statistics=EVENT_STATISTICS,
        checkpoint_interval=checkpoint_interval,
    )


def raw_writer_properties() -> WriterProperties:
    """Zstd 1, and no dictionary for keys and payloads: nearly every one is distinct."""
    plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        column_properties={"value": plain, "key": plain},
    )


def event_writer_properties() -> WriterProperties:
    """Zstd 1."""
    return WriterProperties(compression="ZSTD", compression_level=1)


def require_additions_only(name: str, stored: pl.Schema, wanted: pl.Schema) -> None:
    """Refuse a schema whose columns have other types than the stored table's.

    Delta's own merge would cast in silence (measured: text into a bigint column), so the types are
    compared here; columns and struct fields that only one side has are fine.

    Raises:
        IncompatibleTableSchema: names the column and both types.
    """
    for column, dtype in wanted.items():
        if column in stored:
            problem = _difference(column, stored[column], dtype)
            if problem:
                raise IncompatibleTableSchema(
                    f"table {name}: {problem}. A type never changes in place: give the column a "
                    "new name in a new contract version, or refine into a new lake."
                )


def _difference(path: str, stored: AnyDataType, wanted: AnyDataType) -> str | None:
    if isinstance(stored, pl.Struct) and isinstance(wanted, pl.Struct):
        known = {field.name: field.dtype for field in stored.fields}
        for field in wanted.fields:
            if field.name in known:
                problem = _difference(f"{path}.{field.name}", known[field.name], field.dtype)
                if problem:
                    return problem
        return None
    if isinstance(stored, pl.List) and isinstance(wanted, pl.List):
        return _difference(f"{path}[]", stored.inner, wanted.inner)
    return None if stored == wanted else f"column {path} is stored as {stored}, not as {wanted}"

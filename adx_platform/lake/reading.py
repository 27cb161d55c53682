"""Snapshot reads: rows of offset ranges at one version of a table.

Belongs here: reading by the table with file pruning. Does not belong here: reading a folder's
files, which would show what compaction has replaced, or reading by Delta version, which loses rows
after a log clean-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import xxhash
from deltalake import DeltaTable

from adx_platform.lake.commits import cursor_app_id
from adx_platform.lake.erased_rows import is_erased
from adx_platform.lake.integrity import damage_explained
from adx_platform.lake.restated import restated_app_id
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table, raw_table

# Windows for "the last message before an offset": runs of gaps longer than this are rare.
_LOOK_BACK: Final = (2_000, 200_000, None)


@dataclass(frozen=True)
class Snapshot:
    """One version of one table; every read through it sees the same rows."""

    table: LakeTable
    handle: DeltaTable

    @property
    def version(self) -> int:
        """Delta version of the snapshot."""
        return self.handle.version()

    def next_offset(self, topic_id: str, partition: int) -> int | None:
        """The partition's cursor at this version; ``None`` if nothing was committed."""
        return self.handle.transaction_version(cursor_app_id(topic_id, partition))

    def restated_revision(self, topic_id: str, partition: int) -> int:
        """The newest restatement that this version has applied to the partition; 0 if none.

        Restatements of a partition are applied in ascending order, so every earlier one is in the
        snapshot too.
        """
        return self.handle.transaction_version(restated_app_id(topic_id, partition)) or 0

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily; filters on columns with file statistics skip files."""
        if self.table.storage.is_hdfs:
            # polars has no HDFS client of its own; the Delta client's file system does.
            return pl.scan_pyarrow_dataset(self.handle.to_pyarrow_dataset())
        return pl.scan_delta(self.handle, storage_options=self.table.storage.scan_options)

    def collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """The rows of a query on :meth:`scan`.

        Raises:
            LakeFileDamaged: a file of the table is missing or unreadable.
            LakeUnavailable: the storage failed.
        """
        with damage_explained(self.table, f"reading table {self.table.name}"):
            return rows.collect()

    def read(
        self,
        topic_id: str,
        partition: int,
        start: int,
        end: int,
        *,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows with ``start <= offset < end`` of one partition, in offset order.

        Args:
            topic_id: identity of the topic.
            partition: Kafka partition.
            start: first offset.
            end: the offset after the last one.
            columns: names to read; all columns of the table's declared schema by default. A
                declared column that the stored table does not have yet is null.

        Raises:
            LakeFileDamaged: a file of the table is missing or unreadable.
            LakeUnavailable: the storage failed.
        """
        names = list(columns) if columns is not None else self.table.schema.names()
        rows = self.scan().filter(
            pl.col("topic_id") == topic_id,
            pl.col("partition") == partition,
            pl.col("offset") >= start,
            pl.col("offset") < end,
        )
        stored = rows.collect_schema()
        absent = [
            pl.lit(None, self.table.schema[name]).alias(name)
            for name in names
            if name not in stored
        ]
        return self.collect(rows.with_columns(absent).sort("offset").select(names))

    def first_offset(self, topic_id: str, partition: int) -> int | None:
        """The lowest stored offset of a partition; ``None`` if there is no row."""
        value = self.collect(
            self.scan()
            .filter(pl.col("topic_id") == topic_id, pl.col("partition") == partition)
            .select(pl.col("offset").min())
        ).item()
        return None if value is None else int(value)


def raw_snapshot(storage: LakeStorage, topic: str) -> Snapshot | None:
    """The newest version of the landing of ``topic``; ``None`` if nothing was landed."""
    return _snapshot(raw_table(storage, topic))


def events_snapshot(storage: LakeStorage, topic: str, schema: pl.Schema) -> Snapshot | None:
    """The newest version of the refined rows of ``topic``; ``None`` if nothing was refined.

    ``schema`` is the stream's ``events_schema``: what reads give by default.
    """
    return _snapshot(events_table(storage, topic, schema))


def _snapshot(table: LakeTable) -> Snapshot | None:
    handle = table.find()
    return None if handle is None else Snapshot(table, handle)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What tells a stored message from another one at the same offset.

    ``payload_fingerprint`` is the hash of the value in hex; ``None`` for a null value.
    """

    offset: int
    kafka_timestamp_ms: int | None
    payload_fingerprint: str | None


def payload_fingerprint(value: bytes | None) -> str | None:
    """xxh3-128 of a raw value, in hex: the events column of the same name."""
    return None if value is None else xxhash.xxh3_128_hexdigest(value)


def last_message(
    landing: Snapshot, topic_id: str, partition: int, before_offset: int
) -> StoredMessage | None:
    """The last landed message (no gap row) below ``before_offset``; ``None`` if none is kept.

    Args:
        landing: snapshot of a raw table.
        topic_id: identity of the topic.
        partition: Kafka partition.
        before_offset: usually the partition's cursor.

    Raises:
        LakeUnavailable: the storage failed.
    """
    # The bytes of an erased message cannot be compared.
    is_message = pl.col("gap_kind").is_null() & ~is_erased()
    row = _last_row(
        landing, topic_id, partition, before_offset, is_message=is_message, column="value"
    )
    return None if row is None else StoredMessage(row[0], row[1], payload_fingerprint(row[2]))


def last_refined_message(
    events: Snapshot, topic_id: str, partition: int, before_offset: int
) -> StoredMessage | None:
    """The same from the refined rows, which outlive the landing's retention.

    Args:
        events: snapshot of an events table.
        topic_id: identity of the topic.
        partition: Kafka partition.
        before_offset: usually the partition's cursor.

    Raises:
        LakeUnavailable: the storage failed.
    """
    is_message = pl.col("gap_length").is_null()
    row = _last_row(
        events,
        topic_id,
        partition,
        before_offset,
        is_message=is_message,
        column="payload_fingerprint",
    )
    return None if row is None else StoredMessage(*row)


def _last_row(
    snapshot: Snapshot,
    topic_id: str,
    partition: int,
    before_offset: int,
    *,
    is_message: pl.Expr,
    column: str,
) -> tuple[Any, ...] | None:
    """(offset, Kafka timestamp in ms, ``column``) of the last message below ``before_offset``."""
    for window in _LOOK_BACK:
        start = 0 if window is None else max(0, before_offset - window)
        rows = snapshot.collect(
            snapshot.scan()
            .filter(
                pl.col("topic_id") == topic_id,
                pl.col("partition") == partition,
                pl.col("offset") >= start,
                pl.col("offset") < before_offset,
                is_message,
            )
            .select("offset", pl.col("kafka_timestamp").dt.epoch("ms"), column)
            .top_k(1, by="offset")
        )
        if rows.height:
            return rows.row(0)
        if start == 0:
            break
    return None

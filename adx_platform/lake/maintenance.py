"""Keeping tables cheap: merge small files, drop raw bytes past retention, delete what is replaced.

Belongs here: one table's upkeep, safe beside ingest, restatements and readers. Does not belong
here: when it runs (``orchestration``), or mending damage (``pipeline.repair``).

A resident loop commits every few seconds, and each commit is a file per disposition and day: after
a day that is tens of thousands of files, and every range read plans over all of them. Merging
changes no row and no cursor. Appends never conflict with it; a restatement may, and then the merge
is the one that gives up: the next one does its work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from adx_platform.lake.reading import Snapshot
from adx_platform.lake.sources import known_sources
from adx_platform.lake.tables import (
    LakeTable,
    event_writer_properties,
    raw_table,
    raw_writer_properties,
)


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """What was done to one table.

    Attributes:
        table: its name.
        merged: small files that became fewer.
        into: as many.
        dropped: rows past retention.
        deleted: replaced files that were deleted from the store.
        skipped: why merging gave way, if it did.
    """

    table: str
    merged: int = 0
    into: int = 0
    dropped: int = 0
    deleted: int = 0
    skipped: str = ""

    def explain(self) -> str:
        """One line for a person."""
        parts = [f"merged {self.merged} files into {self.into}"] if self.merged else []
        if self.dropped:
            parts.append(f"dropped {self.dropped:,} rows past retention")
        if self.deleted:
            parts.append(f"deleted {self.deleted} replaced files")
        if self.skipped:
            parts.append(self.skipped)
        return f"{self.table}: {', '.join(parts) or 'nothing to do'}"


def merge_small_files(table: LakeTable, *, below: int, at_least: int) -> UpkeepReport:
    """Merge files smaller than ``below`` bytes, within each partition of the table.

    Args:
        table: a raw or an events table.
        below: files of this size and larger are left alone, so that a day's rows are not written
            again each time that a little is added.
        at_least: with fewer small files than this nothing is done.

    Raises:
        LakeUnavailable: the storage failed.
    """
    handle = table.find()
    if handle is None or _small_files(handle, below) < at_least:
        return UpkeepReport(table.name)
    try:
        with table.storage.explained(f"merging files of table {table.name}"):
            metrics = handle.optimize.compact(target_size=below, writer_properties=_writer(table))
    except CommitFailedError:
        return UpkeepReport(table.name, skipped="merging gave way to a restatement")
    return UpkeepReport(
        table.name,
        merged=int(metrics["numFilesRemoved"]),
        into=int(metrics["numFilesAdded"]),
    )


def drop_expired_raw(
    table: LakeTable, retention: timedelta, *, refined: Mapping[tuple[str, int], int]
) -> UpkeepReport:
    """Drop landed rows older than ``retention``, measured back from each topic's newest message.

    Only whole beginnings of a partition are dropped: up to the first message that is young enough,
    so that conservation can be recounted from where the rest begins. The clock is Kafka's, so a
    replayed or simulated history is kept like a live one, and a topic that has fallen silent keeps
    its last messages.

    Args:
        table: a raw table.
        retention: how long undecoded bytes are kept.
        refined: (topic id, partition) -> next offset to refine; what is not refined yet is kept,
            however old it is.

    Raises:
        LakeUnavailable: the storage failed.
    """
    handle = table.find()
    if handle is None:
        return UpkeepReport(table.name)
    topic = table.name.removeprefix("raw/")
    snapshot = Snapshot(table, handle)
    dropped = 0
    for source in known_sources(table.storage, topic):
        until = min(
            _first_kept(snapshot, source.topic_id, source.partition, retention) or 0,
            refined.get((source.topic_id, source.partition), 0),
        )
        if until:
            topic_id = source.topic_id.replace("'", "''")
            try:
                with table.storage.explained(f"dropping rows of table {table.name}"):
                    metrics = handle.delete(
                        f"topic_id = '{topic_id}' AND partition = {source.partition} "
                        f"AND offset + coalesce(gap_length, 1) <= {until}",
                        writer_properties=_writer(table),
                    )
            except CommitFailedError:
                return UpkeepReport(
                    table.name, dropped=dropped, skipped="dropping gave way to another writer"
                )
            dropped += int(metrics["num_deleted_rows"] or 0)
    return UpkeepReport(table.name, dropped=dropped)


def delete_replaced_files(table: LakeTable, after: timedelta) -> UpkeepReport:
    """Delete files that no version younger than ``after`` has, and the log's own old entries.

    Cursors are kept by the log's checkpoints (measured: application transactions survive a log
    clean-up), so nothing that a writer or a loader goes by is lost.

    Args:
        table: any table.
        after: longer than the longest read of a snapshot takes, at least one hour.

    Raises:
        ValueError: ``after`` is shorter than an hour.
        LakeUnavailable: the storage failed.
    """
    hours = int(after.total_seconds() // 3_600)
    if hours < 1:
        raise ValueError(f"replaced files must be kept for an hour at least, not {after}")
    handle = table.find()
    if handle is None:
        return UpkeepReport(table.name)
    with table.storage.explained(f"cleaning up table {table.name}"):
        deleted = handle.vacuum(
            retention_hours=hours, dry_run=False, enforce_retention_duration=False
        )
        handle.cleanup_metadata()
    return UpkeepReport(table.name, deleted=len(deleted))


def is_raw(table: LakeTable) -> bool:
    """Whether the table is a landing."""
    return table.name.startswith(raw_table(table.storage, "").name)


def _writer(table: LakeTable) -> WriterProperties:
    return raw_writer_properties() if is_raw(table) else event_writer_properties()


def _small_files(handle: DeltaTable, below: int) -> int:
    sizes = pl.DataFrame(handle.get_add_actions(flatten=True))["size_bytes"]
    return int((sizes < below).sum())


def _first_kept(
    snapshot: Snapshot, topic_id: str, partition: int, retention: timedelta
) -> int | None:
    """The first offset of the partition that is young enough; null if nothing is too old."""
    rows = snapshot.scan().filter(pl.col("topic_id") == topic_id, pl.col("partition") == partition)
    newest, oldest = snapshot.collect(
        rows.select(
            pl.col("kafka_timestamp").max().alias("newest"),
            pl.col("kafka_timestamp").min().alias("oldest"),
        )
    ).row(0)
    if newest is None or oldest is None or oldest >= newest - retention:
        return None
    first = snapshot.collect(
        rows.filter(pl.col("kafka_timestamp") >= newest - retention).select(pl.col("offset").min())
    ).item()
    return int(first)

"""Keeping tables cheap: merge small files, drop raw past retention, delete what nothing refers to.

Belongs here: one table's upkeep, safe beside ingest, restatements and readers. Does not belong
here: when it runs (``orchestration``), or mending damage (``pipeline.repair``).

A resident loop commits every few seconds, and each commit is a file per disposition and day: after
a day that is tens of thousands of files, and every range read plans over all of them. Merging
changes no row and no cursor. Appends never conflict with it; a restatement may, and then the merge
is the one that gives up: the next one does its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate
from typing import Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties
from deltalake.exceptions import CommitFailedError

from adx_platform.lake.commits import after_commit
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.integrity import damage_explained
from adx_platform.lake.local_files import committed_version, keep_commit
from adx_platform.lake.merging import Merge, plan_merges
from adx_platform.lake.reading import Snapshot
from adx_platform.lake.rewriting import SPAN_BYTES, Rewritten, is_raw, live_files, rewrite
from adx_platform.lake.sources import known_sources
from adx_platform.lake.tables import LakeTable, event_writer_properties, raw_writer_properties

MERGES_APP_ID: Final = "maintenance/merges"
"""Counts a table's merges. Two at once on the same files would give every row twice: Delta takes
both commits (tried on deltalake 1.6.6), so they are fenced like ranges are."""

# Three runs of the schedule: the log tells of a replaced file until its file is surely deleted.
_UPKEEP_MISSED: Final = timedelta(minutes=30)
_SHORTEST_LOG: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """What was done to one table.

    Attributes:
        table: its name.
        merged: small files that became fewer.
        into: as many.
        dropped: rows past retention.
        deleted: replaced files that were deleted from the store.
        orphans: files that were never committed, and were deleted from the store.
        skipped: why merging gave way, if it did.
    """

    table: str
    merged: int = 0
    into: int = 0
    dropped: int = 0
    deleted: int = 0
    orphans: int = 0
    skipped: str = ""

    def explain(self) -> str:
        """One line for a person."""
        parts = [f"merged {self.merged} files into {self.into}"] if self.merged else []
        if self.dropped:
            parts.append(f"dropped {self.dropped:,} rows past retention")
        if self.deleted:
            parts.append(f"deleted {self.deleted} replaced files")
        if self.orphans:
            parts.append(f"deleted {self.orphans} files that no commit refers to")
        if self.skipped:
            parts.append(self.skipped)
        return f"{self.table}: {', '.join(parts) or 'nothing to do'}"


def merge_small_files(
    table: LakeTable,
    *,
    below: int,
    at_least: int,
    into: int | None = None,
    span_bytes: int = SPAN_BYTES,
) -> UpkeepReport:
    """Merge files smaller than ``below`` bytes, within each partition of the table, and sort them.

    Raw rows are sorted by topic, partition and offset, events by event time. Nothing but the order
    of rows changes. Each commit carries merges of at most ``into`` bytes, so that an interruption
    or a conflict costs no more than that.

    Args:
        table: a raw or an events table.
        below: files of this size and larger are left alone, so that a day's rows are not written
            again each time that a little is added.
        at_least: with fewer small files than this nothing is done.
        into: bytes; no file becomes larger; twice ``below`` by default.
        span_bytes: decoded bytes that are sorted in memory at a time.

    Raises:
        LakeFileDamaged: a file is missing or unreadable.
        LakeError: a file does not hold the rows that the log says.
        LakeUnavailable: the storage failed.
    """
    handle = table.find()
    if handle is None or _small_files(handle, below) < at_least:
        return UpkeepReport(table.name)
    limit = into or 2 * below
    report = UpkeepReport(table.name)
    # What ingest adds meanwhile is left for the next time, so that this ends.
    known = {file.path for file in live_files(table, handle)}
    # Every round plans on the handle that it commits with: Delta refuses the commit if one of the
    # files is replaced meanwhile. Of two merges it would take both: hence their fence.
    while handle is not None:
        candidates = [file for file in live_files(table, handle) if file.path in known]
        merges = _round(plan_merges(candidates, below=below, into=limit), limit)
        if not merges:
            break
        try:
            with damage_explained(table, f"merging files of table {table.name}"):
                done = [rewrite(table, handle, merge, span_bytes=span_bytes) for merge in merges]
                _commit_merges(table, handle, done)
        except CommitFailedError:
            return replace(report, skipped="merging gave way to another writer")
        report = replace(
            report,
            merged=report.merged + sum(len(merge) for merge in merges),
            into=report.into + len(done),
        )
        handle = table.find()
    return report


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
            keep_commit(table, handle.version())
    return UpkeepReport(table.name, dropped=dropped)


def delete_replaced_files(table: LakeTable, after: timedelta) -> UpkeepReport:
    """Delete files that no version younger than ``after`` has.

    Args:
        table: any table.
        after: longer than the longest read of a snapshot takes, at least one hour.

    Raises:
        ValueError: ``after`` is shorter than an hour.
        LakeUnavailable: the storage failed.
    """
    hours = _whole_hours(after, "replaced files")
    handle = table.find()
    if handle is None:
        return UpkeepReport(table.name)
    with table.storage.explained(f"cleaning up table {table.name}"):
        deleted = handle.vacuum(
            retention_hours=hours, dry_run=False, enforce_retention_duration=False
        )
    return UpkeepReport(table.name, deleted=len(deleted))


def keep_log_short(table: LakeTable, keep: timedelta, *, replaced_for: timedelta) -> None:
    """Delete the log's entries that are older than ``keep`` and are in a checkpoint.

    Every planning lists the log, so its length is a cost of every commit. The table's properties
    are set, by which a commit does the same now and then (``commits.after_commit``). Cursors are
    kept by the checkpoints (measured: application transactions survive), so nothing that a writer
    or a loader goes by is lost. A commit on a handle that is older than the log is refused with an
    error and nothing is written (tried on deltalake 1.6.6).

    Args:
        table: any table.
        keep: longer than a handle is held from planning to commit, at least five minutes.
        replaced_for: how long replaced files are kept; the log tells of them for longer.

    Raises:
        ValueError: ``keep`` is shorter than five minutes.
        LakeUnavailable: the storage failed.
    """
    if keep < _SHORTEST_LOG:
        raise ValueError(f"the log must reach back five minutes at least, not {keep}")
    handle = table.find()
    if handle is None:
        return
    properties = {
        "delta.logRetentionDuration": f"interval {int(keep.total_seconds())} seconds",
        # Once the log has forgotten a replaced file, its age is that of its last change, which may
        # be long before it was replaced: a reader of the version before would lose it.
        "delta.deletedFileRetentionDuration": (
            f"interval {int((replaced_for + _UPKEEP_MISSED).total_seconds())} seconds"
        ),
    }
    with table.storage.explained(f"cleaning up the log of table {table.name}"):
        stored = handle.metadata().configuration
        if any(stored.get(name) != value for name, value in properties.items()):
            try:
                handle.alter.set_table_properties(properties)
            except CommitFailedError:
                # Another writer was faster; the next upkeep sets them.
                return
            handle = table.find() or handle
        handle.cleanup_metadata()


def delete_orphans(table: LakeTable, after: timedelta) -> UpkeepReport:
    """Delete data files that no version refers to: their writer died before it committed them.

    Only Parquet files are deleted, and only those that were last changed before ``after``, so that
    a writer at work keeps what it is about to commit. Files that were moved aside by a repair lie
    outside of the table's folder.

    Args:
        table: any table.
        after: longer than the longest write takes, at least one hour, and not shorter than
            replaced files are kept.

    Raises:
        ValueError: ``after`` is shorter than an hour.
        LakeUnavailable: the storage failed.
    """
    hours = _whole_hours(after, "files without a commit")
    handle = table.find()
    if handle is None:
        return UpkeepReport(table.name)
    with table.storage.explained(f"looking for orphans of table {table.name}"):
        found = handle.vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True
        )
        files = LakeFiles(table.storage, table.storage.table_uri(table.name))
        orphans = [path for path in found if path.endswith(".parquet")]
        for path in orphans:
            files.delete(path)
    return UpkeepReport(table.name, orphans=len(orphans))


def _whole_hours(after: timedelta, what: str) -> int:
    hours = int(after.total_seconds() // 3_600)
    if hours < 1:
        raise ValueError(f"{what} must be kept for an hour at least, not {after}")
    return hours


def _round(merges: Sequence[Merge], limit: int) -> list[Merge]:
    """The first merges, as many as ``limit`` bytes are, and one at least."""
    sizes = accumulate(sum(file.size for file in merge) for merge in merges)
    return [
        merge
        for number, (merge, size) in enumerate(zip(merges, sizes, strict=True))
        if number == 0 or size <= limit
    ]


def _commit_merges(table: LakeTable, handle: DeltaTable, done: Sequence[Rewritten]) -> None:
    number = (handle.transaction_version(MERGES_APP_ID) or 0) + 1
    files = LakeFiles(table.storage, table.storage.table_uri(table.name))
    files.sync_names([item.path for item in done])
    handle.create_write_transaction(
        [action for item in done for action in item.actions()],
        mode="append",
        schema=handle.schema(),
        partition_by=list(table.partition_by),
        commit_properties=CommitProperties(
            custom_metadata={"adx.merged_into": str(len(done))},
            app_transactions=[Transaction(MERGES_APP_ID, number)],
        ),
        post_commithook_properties=after_commit(handle),
    )
    if table.storage.is_local:
        committed_version(table, handle.version(), done[0].path)


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

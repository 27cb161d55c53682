"""The lake's scheduled upkeep: every table of every stream, one after the other.

Belongs here: which upkeep each table gets, and in which order. Does not belong here: doing it to
one table (``lake.maintenance``), or when (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Iterator

from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.cursors import refined_offsets
from adx_platform.lake.loaded import loaded_table
from adx_platform.lake.maintenance import (
    UpkeepReport,
    delete_orphans,
    delete_replaced_files,
    drop_expired_raw,
    keep_log_short,
    merge_small_files,
)
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table, raw_table
from adx_platform.settings import LakeSettings


def maintain_lake(storage: LakeStorage, settings: LakeSettings) -> Iterator[UpkeepReport]:
    """Drop expired raw rows, merge small files, delete what is not needed; a report for each table.

    Safe beside everything else, and safe to interrupt: each step is one commit.

    Raises:
        LakeUnavailable: the storage failed; what was done stays done.
    """
    for stream in STREAMS.values():
        raw = raw_table(storage, stream.topic)
        expired = drop_expired_raw(
            raw, settings.raw_retention, refined=refined_offsets(storage, stream.topic)
        )
        for table in _tables(storage, stream):
            merged = _merge(table, settings)
            cleaned = delete_replaced_files(table, settings.vacuum_after)
            swept = delete_orphans(table, max(settings.orphans_after, settings.vacuum_after))
            keep_log_short(table, settings.log_retention, replaced_for=settings.vacuum_after)
            dropped = expired if table.name == raw.name else UpkeepReport(table.name)
            yield UpkeepReport(
                table.name,
                merged=merged.merged,
                into=merged.into,
                dropped=dropped.dropped,
                deleted=cleaned.deleted,
                orphans=swept.orphans,
                skipped="; ".join(filter(None, (dropped.skipped, merged.skipped))),
            )
        keep_log_short(
            loaded_table(storage, stream.topic),
            settings.log_retention,
            replaced_for=settings.vacuum_after,
        )


def merge_lake(storage: LakeStorage, settings: LakeSettings) -> Iterator[UpkeepReport]:
    """Only merge small files, for whoever commits so often that the schedule comes too seldom.

    Raises:
        LakeUnavailable: the storage failed; what was done stays done.
    """
    for stream in STREAMS.values():
        for table in _tables(storage, stream):
            yield _merge(table, settings)


def _tables(storage: LakeStorage, stream: Stream) -> tuple[LakeTable, LakeTable]:
    raw = raw_table(storage, stream.topic)
    return raw, events_table(storage, stream.topic, stream.events_schema)


def _merge(table: LakeTable, settings: LakeSettings) -> UpkeepReport:
    return merge_small_files(
        table,
        below=settings.compact_below,
        at_least=settings.compact_from,
        into=settings.compact_into,
    )

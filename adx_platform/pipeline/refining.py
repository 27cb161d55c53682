"""Refining what was landed, behind a cursor of its own: from memory, or later from the lake.

Belongs here: refine, prove, commit; and catching up with what was landed but not refined. Does not
belong here: the refine function (``refine``) or restating what was refined before (``reprocess``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import Stream
from adx_platform.faultpoints import reach
from adx_platform.lake.errors import RawPastRetention
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.ranges import accounted_ranges, contiguous
from adx_platform.lake.reading import Snapshot, raw_snapshot
from adx_platform.lake.sources import known_sources
from adx_platform.observability.context import log_context
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.reports import (
    BatchReport,
    disposition_counts,
    kafka_times,
    late_count,
    noted_names,
    offset_ranges,
    reason_counts,
)
from adx_platform.refine.batch import refine_and_note
from adx_platform.streams.lanes import lane_of
from adx_platform.streams.planner import plan
from adx_platform.streams.topics import Watermarks

logger = logging.getLogger(__name__)


def refine_landed(
    platform: Platform,
    stream: Stream,
    lane: int,
    handle: RefineHandle,
    raw: pl.DataFrame,
    *,
    topic_id: str,
    ranges: Iterable[OffsetRange],
    raw_version: int,
    started: float,
) -> BatchReport:
    """Refine ``raw`` and commit the rows with the refiner's cursor.

    Args:
        platform: the opened parts.
        stream: the stream.
        lane: for the report.
        handle: opened when the range was planned.
        raw: landed rows, sorted by partition and offset.
        topic_id: identity of the topic.
        ranges: what ``raw`` accounts for.
        raw_version: version of the landing that holds the rows.
        started: ``time.monotonic()`` of the planning.

    Raises:
        RangeAlreadyCommitted: another worker refined it since planning; nothing was written.
    """
    events, noted = refine_and_note(raw, platform.refine_context(stream))
    reach("refine.decoded")
    spans = contiguous(ranges)
    noted = noted_names(noted)
    reach("refine.before_commit")
    version = handle.commit(
        events,
        topic_id,
        spans,
        metadata={
            "adx.contract_version": str(stream.contract_version),
            "adx.reference_version": platform.enrichment.version,
            "adx.raw_version": str(raw_version),
            **({"adx.noted": "; ".join(noted)} if noted else {}),
        },
    )
    reach("refine.after_commit")
    report = BatchReport(
        stream=stream.name,
        lane=lane,
        topic_id=topic_id,
        ranges=offset_ranges(spans),
        raw_version=raw_version,
        events_version=version,
        counts=disposition_counts(events),
        reasons=reason_counts(events),
        late=late_count(events),
        seconds=time.monotonic() - started,
        kafka_times=kafka_times(raw),
        noted=noted,
    )
    _log_commit(report)
    return report


def refine_pending(platform: Platform, stream: Stream, lane: int) -> BatchReport | None:
    """Refine one batch of what was landed but not refined; ``None`` if there is nothing.

    A crash between the two commits leaves such a batch. Earlier incarnations of the topic count:
    what was landed of them is refined too.

    Raises:
        RangeAlreadyCommitted: another worker was faster; nothing was written.
        RawPastRetention: the landing no longer has rows that were never refined.
        LakeUnavailable: the storage failed.
    """
    started = time.monotonic()
    handle = platform.refining(stream)
    landing = raw_snapshot(platform.storage, stream.topic)
    if landing is None:
        return None
    for topic_id, partitions in _partitions_by_topic_id(platform, stream, lane).items():
        ranges = _pending_ranges(platform, handle, landing, topic_id, partitions)
        if not ranges:
            continue
        raw = pl.concat(
            landing.read(topic_id, item.partition, item.start, item.end) for item in ranges
        )
        covered = accounted_ranges(raw)
        _require_landed_rows(stream, ranges, covered)
        return refine_landed(
            platform,
            stream,
            lane,
            handle,
            raw,
            topic_id=topic_id,
            ranges=covered,
            raw_version=landing.version,
            started=started,
        )
    return None


def _log_commit(report: BatchReport) -> None:
    counts = {name: count for name, count in report.counts.items() if count}
    with log_context(
        asset=f"lake/events/{report.stream}",
        stream=report.stream,
        lane=report.lane,
        offset_range=report.ranges,
    ):
        logger.info(
            "committed %s of %s, lane %d: %s",
            ", ".join(str(item) for item in report.ranges),
            report.stream,
            report.lane,
            ", ".join(f"{count} {name}" for name, count in counts.items()) or "no rows",
            extra={
                "event.action": "commit",
                "event.duration": round(report.seconds * 1e9),
                "adx.counts": counts,
                "adx.late": report.late,
                "adx.events_version": report.events_version,
                "adx.raw_version": report.raw_version,
                **({"adx.noted": report.noted} if report.noted else {}),
            },
        )


def _partitions_by_topic_id(platform: Platform, stream: Stream, lane: int) -> dict[str, list[int]]:
    lanes = platform.settings.kafka.lanes_per_topic
    found: dict[str, list[int]] = {}
    for source in known_sources(platform.storage, stream.topic):
        if lane_of(source.partition, lanes) == lane:
            found.setdefault(source.topic_id, []).append(source.partition)
    return found


def _pending_ranges(
    platform: Platform,
    handle: RefineHandle,
    landing: Snapshot,
    topic_id: str,
    partitions: Iterable[int],
) -> tuple[OffsetRange, ...]:
    """The next batch by the same rule that planned the landing, so that batches come out alike."""
    refined: dict[int, int | None] = {}
    landed: dict[int, Watermarks] = {}
    for partition in partitions:
        end = landing.next_offset(topic_id, partition)
        start = handle.committed(topic_id, partition)
        if end is None or start == end:
            continue
        if start is None:
            start = landing.first_offset(topic_id, partition)
        if start is not None:
            refined[partition] = start
            landed[partition] = Watermarks(start, end)
    limit = platform.settings.ingest.max_records_per_batch
    return plan(refined, landed, max_records=limit).reads


def _require_landed_rows(
    stream: Stream, wanted: Iterable[OffsetRange], covered: Iterable[OffsetRange]
) -> None:
    # A gap row may reach beyond the end of a batch, hence starts are compared and not ends.
    starts = {item.partition: item.start for item in covered}
    for item in wanted:
        if starts.get(item.partition) != item.start:
            raise RawPastRetention(
                f"{stream.name} {item} was landed but never refined, and its rows are no longer in "
                "the landing: they were removed by hand or by a retention that ran ahead of the "
                "refiner. Restore raw/ from a backup, then ingest again."
            )

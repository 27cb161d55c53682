"""Ingest a lane: plan, land, refine; batch after batch up to what the broker had at the start.

Belongs here: the order of the steps, the bounded re-planning of a loser, healing after a crash.
Does not belong here: scheduling, or running lanes side by side.

Two workers on one lane are safe: every commit has one winner. The loser plans again; after a few
losses in a row it stops, because then another worker is plainly at work on the lane.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

from adx_platform.contracts.streams import Stream, stream_named
from adx_platform.faultpoints import reach
from adx_platform.lake.errors import RangeAlreadyCommitted
from adx_platform.lake.ranges import accounted_ranges
from adx_platform.lake.reading import Snapshot
from adx_platform.lake.sources import known_sources
from adx_platform.pipeline.continuity import ContinuityCheck
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refining import refine_landed, refine_pending
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.reprocess import resume_restatements
from adx_platform.streams.errors import RangeUnavailable, StreamError
from adx_platform.streams.lanes import lane_of
from adx_platform.streams.planner import plan
from adx_platform.streams.reader import RangeReader

__all__ = ["BatchReport", "ingest_lane"]

logger = logging.getLogger(__name__)

MAX_LOSSES_IN_A_ROW: Final = 4
_GROUP: Final = "adx-ingest"

OnBatch = Callable[[BatchReport], None]


def ingest_lane(
    platform: Platform,
    stream: str,
    lane: int,
    *,
    until: Mapping[int, int] | None = None,
    on_batch: OnBatch | None = None,
) -> list[BatchReport]:
    """Refine what was landed but not refined, then drain the lane in bounded batches.

    Args:
        platform: the opened parts.
        stream: name of the stream.
        lane: which of its lanes.
        until: partition -> offset to stop at; by default the last stable offsets as of now.
        on_batch: told about each batch as soon as it is committed.

    Returns:
        The batches that this call committed. Fewer than there was work for, if another worker is
        on the lane: whatever it lands is not lost, and :func:`lags` tells how far the lane is.

    Raises:
        ValueError: there is no such stream or lane.
        TopicRewound, TopicReplaced: the broker's topic is not the one in the lake.
        StreamError: the broker failed; nothing is lost, run again.
        LakeError: the lake failed; nothing is lost, run again.
    """
    known = stream_named(stream)
    lanes = platform.settings.kafka.lanes_per_topic
    if not 0 <= lane < lanes:
        raise ValueError(f"lane {lane} does not exist: lanes are 0 to {lanes - 1}")
    reports: list[BatchReport] = []

    def tell(report: BatchReport) -> None:
        reports.append(report)
        if on_batch is not None:
            on_batch(report)

    if not _repeat(lambda: refine_pending(platform, known, lane), tell):
        return reports
    resume_restatements(platform, known.name, lane=lane)
    with _Drain(platform, known, lane, until) as drain:
        _repeat(drain.next_batch, tell)
        drain.publish_offsets()
    return reports


def _repeat(step: Callable[[], BatchReport | None], tell: OnBatch) -> bool:
    """Run ``step`` until it has nothing more; False if another worker won too often in a row."""
    losses = 0
    while losses < MAX_LOSSES_IN_A_ROW:
        try:
            report = step()
        except RangeAlreadyCommitted as lost:
            losses += 1
            logger.info("lost a range to another worker (%d in a row): %s", losses, lost)
            continue
        except RangeUnavailable:
            # Truncated between planning and reading: the next plan records it as lost.
            losses += 1
            if losses == MAX_LOSSES_IN_A_ROW:
                raise
            continue
        if report is None:
            return True
        losses = 0
        tell(report)
    logger.info("another worker is at work on this lane: stopping")
    return False


class _Drain:
    """The batches of one lane up to fixed ends, over one connection."""

    def __init__(
        self, platform: Platform, stream: Stream, lane: int, until: Mapping[int, int] | None
    ) -> None:
        self._platform = platform
        self._stream = stream
        self._lane = lane
        self._topic_id = platform.kafka.describe(stream.topic).topic_id
        ends = {p: m.last_stable for p, m in platform.kafka.watermarks(stream.topic).items()}
        self._until = {p: min(end, (until or {}).get(p, end)) for p, end in ends.items()}
        self._continuity = ContinuityCheck(platform, stream, self._topic_id)
        self._reader: RangeReader = platform.reader(stream.topic, self._topic_id)
        self._committed: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def next_batch(self) -> BatchReport | None:
        """Plan, land and refine one batch; ``None`` when the lane has reached its ends."""
        # What the other worker of a lost race landed may still be its to refine, or ours.
        pending = refine_pending(self._platform, self._stream, self._lane)
        if pending is not None:
            return pending
        started = time.monotonic()
        # Both handles are opened before anything is planned: they are the fences of this range.
        landing = self._platform.landing(self._stream)
        refining = self._platform.refining(self._stream)
        topic = self._platform.kafka.describe(self._stream.topic)
        if topic.topic_id != self._topic_id:
            logger.warning("topic %s was created anew: the next run starts it", topic.name)
            return None
        marks = self._platform.kafka.watermarks(self._stream.topic)
        committed = {p: landing.committed(self._topic_id, p) for p in self._partitions(marks)}
        lane_plan = plan(
            committed,
            marks,
            max_records=self._platform.settings.ingest.max_records_per_batch,
            until=self._until,
        )
        if lane_plan.is_empty:
            return None
        self._continuity.require_same_topic(
            Snapshot(landing.table, landing.handle), committed, marks
        )
        reach("plan.done")
        raw = self._reader.read(
            lane_plan.reads,
            losses=lane_plan.losses,
            max_bytes=self._platform.settings.ingest.max_bytes_per_batch,
        )
        reach("land.read")
        ranges = accounted_ranges(raw)
        reach("land.before_commit")
        raw_version = landing.commit(raw, self._topic_id, ranges)
        reach("land.after_commit")
        report = refine_landed(
            self._platform,
            self._stream,
            self._lane,
            refining,
            raw,
            topic_id=self._topic_id,
            ranges=ranges,
            raw_version=raw_version,
            started=started,
        )
        self._committed.update({item.partition: item.end for item in ranges})
        return report

    def publish_offsets(self) -> None:
        """Tell lag tools how far we are. Nothing reads it back, so a failure only is a warning."""
        try:
            self._platform.kafka.commit_group_offsets(_GROUP, self._stream.topic, self._committed)
        except StreamError as error:
            logger.warning("offsets were not published for lag tools: %s", error)

    def _partitions(self, at_broker: Mapping[int, object]) -> list[int]:
        """The lane's partitions: the broker's, and those in the lake that it may have lost."""
        in_lake = {
            source.partition
            for source in known_sources(self._platform.storage, self._stream.topic)
            if source.topic_id == self._topic_id
        }
        lanes = self._platform.settings.kafka.lanes_per_topic
        return sorted(p for p in in_lake | set(at_broker) if lane_of(p, lanes) == self._lane)

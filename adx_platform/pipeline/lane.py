"""One lane, batch by batch: plan, land, refine, with everything kept open in between.

Belongs here: the steps of one batch, and what a lane remembers from one to the next. Does not
belong here: how often, up to where, or what a failure means for the other lanes (``ingest``,
``follow``).

What stays open saves time and decides nothing: the tables, which are the fence of a range, are
brought to their newest version for every batch, before it is planned, and not again before it is
committed.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Final, Self

from adx_platform.contracts.streams import Stream
from adx_platform.faultpoints import reach
from adx_platform.lake.errors import RangeAlreadyCommitted
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.ranges import accounted_ranges
from adx_platform.lake.reading import Snapshot
from adx_platform.lake.sources import known_sources
from adx_platform.pipeline.continuity import ContinuityCheck, is_same_topic
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refining import refine_landed, refine_pending
from adx_platform.pipeline.reports import BatchReport
from adx_platform.streams.errors import StreamError
from adx_platform.streams.lanes import lane_of
from adx_platform.streams.pace import Bounds, Measured, Pace
from adx_platform.streams.planner import plan

logger = logging.getLogger(__name__)

_GROUP: Final = "adx-ingest"
_FETCHED_AHEAD: Final = 100_000
"""How many messages librdkafka fetches ahead (``queued.min.messages``)."""


class LaneIngest:
    """The batches of one lane of one incarnation of a topic. Not thread-safe; close it."""

    def __init__(
        self,
        platform: Platform,
        stream: Stream,
        lane: int,
        *,
        topic_id: str,
        compare_at_once: bool = False,
    ) -> None:
        """Connect nothing yet.

        Args:
            platform: the opened parts; :meth:`use` replaces them between two batches.
            stream: the stream.
            lane: which of its lanes.
            topic_id: identity of the topic as it is now.
            compare_at_once: whether the first call compares the topic with the lake even if there
                is nothing to read.
        """
        self.stream = stream
        self.lane = lane
        self.topic_id = topic_id
        self.committed: dict[int, int] = {}
        """Partition -> next offset to land, as of the last batch."""
        self._platform = platform
        self._continuity = ContinuityCheck(platform, stream, topic_id)
        self._reader = platform.reader(stream.topic, topic_id)
        self._in_lake: set[int] | None = None
        self._may_be_pending = True
        self._compare_at_once = compare_at_once
        self._unpublished: dict[int, int] = {}
        self._landing: LandingHandle | None = None
        self._refining: RefineHandle | None = None
        self._pace = Pace.at_first(self._bounds)
        _leave_imports_alone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; the next batch opens a new one."""
        self._reader.close()

    def use(self, platform: Platform) -> None:
        """Go on with other parts: reference data that was read again, for example."""
        self._platform = platform

    def next_batch(
        self, *, until: Mapping[int, int] | None = None, max_records: int | None = None
    ) -> BatchReport | None:
        """Plan, land and refine one batch; ``None`` when there is nothing to do.

        What was landed and not refined comes first, where there may be any: at the beginning, and
        after a race was lost.

        Args:
            until: partition -> offset to stop at; by default the last stable offset.
            max_records: bound of this batch; by default the settings'. What the lane's last
                batches took may make it smaller.

        Raises:
            RangeAlreadyCommitted: another worker was faster; nothing was written, plan again.
            RangeUnavailable: the range was truncated since it was planned; plan again.
            TopicRewound, TopicReplaced: the broker's topic is not the one in the lake.
            StreamError, LakeError: the broker or the lake failed; nothing is lost.
        """
        if self._may_be_pending:
            pending = refine_pending(self._platform, self.stream, self.lane)
            if pending is not None:
                return pending
            self._may_be_pending = False
        try:
            return self._land_and_refine(until, max_records)
        except Exception as error:
            # Nothing that stood in a failure is built upon.
            self._landing = self._refining = None
            # What the other worker landed may still be its to refine, or ours.
            self._may_be_pending |= isinstance(error, RangeAlreadyCommitted)
            raise

    def publish_offsets(self) -> bool:
        """Tell lag tools how far we are. Nothing reads it back, so a failure only is a warning.

        Returns:
            Whether the broker took them, or there was nothing to tell.
        """
        offsets, self._unpublished = self._unpublished, {}
        try:
            self._platform.kafka.commit_group_offsets(_GROUP, self.stream.topic, offsets)
        except StreamError as error:
            logger.warning("offsets were not published for lag tools: %s", error)
            return False
        return True

    def _land_and_refine(
        self, until: Mapping[int, int] | None, max_records: int | None
    ) -> BatchReport | None:
        started = time.monotonic()
        # Both handles are opened before anything is planned: they are the fences of this range.
        landing = self._landing = self._platform.landing(self.stream, after=self._landing)
        refining = self._refining = self._platform.refining(self.stream, after=self._refining)
        if not self._is_same_topic():
            return None
        marks = self._platform.kafka.watermarks(self.stream.topic)
        committed = {p: landing.committed(self.topic_id, p) for p in self._partitions(marks)}
        self.committed = {p: offset for p, offset in committed.items() if offset is not None}
        settings = self._platform.settings.ingest
        most = min(max_records or settings.max_records_per_batch, self._pace.records)
        lane_plan = plan(committed, marks, max_records=most, until=until)
        if lane_plan.is_empty and not self._compare_at_once:
            return None
        self._continuity.require_same_topic(
            Snapshot(landing.table, landing.handle), committed, marks
        )
        self._compare_at_once = False
        if lane_plan.is_empty:
            return None
        reach("plan.done")
        raw = self._reader.read(
            lane_plan.reads, losses=lane_plan.losses, max_bytes=settings.max_bytes_per_batch
        )
        if not self._is_same_topic():
            return None
        reach("land.read")
        ranges = accounted_ranges(raw)
        ends = {item.partition: item.end for item in ranges}
        if all(marks[p].last_stable - ends[p] <= _FETCHED_AHEAD for p in ends if p in marks):
            # The client would reach the end while this batch is refined, and a client that has
            # caught up with the embedded broker asks it without a pause: a fifth of a batch's CPU.
            self._reader.rest()
        reach("land.before_commit")
        raw_version = landing.commit(raw, self.topic_id, ranges)
        reach("land.after_commit")
        for loss in lane_plan.losses:
            logger.warning(
                "topic %s, partition %d: the broker had dropped %d offsets from %d on before they "
                "were read; they are recorded as lost",
                *(self.stream.topic, loss.partition, loss.count, loss.start),
            )
        # Until the second commit another try has to refine what this one has landed.
        self._may_be_pending = True
        report = refine_landed(
            self._platform,
            self.stream,
            self.lane,
            refining,
            raw,
            topic_id=self.topic_id,
            ranges=ranges,
            raw_version=raw_version,
            started=started,
        )
        self._may_be_pending = False
        self._continuity.remember(raw, ranges)
        self._unpublished |= ends
        self.committed |= ends
        self._pace = self._pace.after(
            Measured(
                records=sum(item.count for item in ranges),
                value_bytes=int(raw["value"].bin.size().sum()),
                seconds=report.seconds,
            ),
            self._bounds,
        )
        return report

    @property
    def _bounds(self) -> Bounds:
        settings = self._platform.settings.ingest
        return Bounds(
            records=settings.max_records_per_batch,
            value_bytes=settings.max_bytes_per_batch,
            seconds=settings.target_batch_seconds,
        )

    def _is_same_topic(self) -> bool:
        is_same = is_same_topic(self._platform, self.stream, self.topic_id)
        if not is_same:
            # Whatever is connected still follows the name.
            self._reader.close()
            logger.warning("topic %s was created anew: the next run starts it", self.stream.topic)
        return is_same

    def _partitions(self, at_broker: Mapping[int, object]) -> list[int]:
        """The lane's partitions: the broker's, and those in the lake that it may have lost."""
        if self._in_lake is None:
            self._in_lake = {
                source.partition
                for source in known_sources(self._platform.storage, self.stream.topic)
                if source.topic_id == self.topic_id
            }
        # A partition that was ever seen and is gone is an alarm, whether it was landed or not.
        self._in_lake |= set(self.committed)
        lanes = self._platform.settings.kafka.lanes_per_topic
        return sorted(p for p in self._in_lake | set(at_broker) if lane_of(p, lanes) == self.lane)


@cache
def _leave_imports_alone() -> None:
    """Once in a process: what is there already, most of it imported, is no garbage to look for.

    The collector walked through hundreds of thousands of such objects again and again, as every
    message is an object: a tenth of the CPU of ingesting CSV (measured 2026-11).
    """
    gc.freeze()

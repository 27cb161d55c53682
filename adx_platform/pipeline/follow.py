"""The resident loop: every lane of every stream, as soon as the broker has something for it.

Belongs here: when a lane gets a turn, and what a failure means for it and for the others. Does not
belong here: the steps of a batch (``lane``), or who is told (``orchestration``, ``health``).

One thread goes round the lanes that have work and gives each one bounded batch, so that a backlog
of one does not starve the others. Nothing that a lane meets ends the loop: it pauses, longer each
time, and tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from adx_platform.contracts.streams import STREAMS, Stream, stream_named
from adx_platform.lake.cursors import refined_offsets
from adx_platform.lake.errors import RangeAlreadyCommitted
from adx_platform.lake.loaded import loaded_offsets, not_loaded
from adx_platform.pipeline.follow_lane import FollowedLane
from adx_platform.pipeline.follow_state import FollowedBatch, FollowStatus, batch_latency
from adx_platform.pipeline.ingest import MAX_LOSSES_IN_A_ROW
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.reference_watch import ReferenceWatch
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.reprocess import resume_restatements
from adx_platform.pipeline.troubles import OnTrouble, TroubleKind, TroubleLog
from adx_platform.settings import Settings
from adx_platform.streams.errors import (
    AuthenticationFailed,
    BrokerUnreachable,
    RangeUnavailable,
    StreamError,
    TopicReplaced,
    TopicRewound,
)
from adx_platform.streams.topics import TopicState

logger = logging.getLogger(__name__)

SHARED_BATCH: Final = 20_000
"""Records of one turn while other lanes wait for theirs."""

BACKLOG: Final = 2_000
"""Records behind, from which on a lane is given its turns without a pause."""

LONGEST_PAUSE_SECONDS: Final = 5.0
STOPPED_LANE_PAUSE_SECONDS: Final = 30.0
_FIRST_PAUSE_SECONDS: Final = 0.5
# A broker that is gone must be noticed within seconds; whoever waits for a batch waits longer.
_REQUEST_TIMEOUT_SECONDS: Final = 2.0
_IDLE_TIMEOUT_SECONDS: Final = 10.0
_PUBLISH_SECONDS: Final = 5.0
_ASK_WAREHOUSE_SECONDS: Final = 30.0
_PUBLISH_AFTER_FAILURE_SECONDS: Final = 120.0

OnBatch = Callable[[FollowedBatch], None]


class Follower:
    """The loop. One thread calls :meth:`run`; :meth:`status` may be asked from any other."""

    def __init__(
        self,
        settings: Settings,
        *,
        streams: Iterable[str] | None = None,
        on_batch: OnBatch | None = None,
        on_trouble: OnTrouble | None = None,
        open_parts: Callable[[Settings], Platform] = open_platform,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the parts; nothing connects yet.

        Args:
            settings: the platform's.
            streams: names of the streams to follow; by default all.
            on_batch: told about each batch once it is committed; it must not block.
            on_trouble: told when something is in the way, and when it is over; likewise.
            open_parts: opens broker, lake and reference data.
            now: the wall clock, UTC.
            clock: seconds that only go forward.

        Raises:
            ValueError: there is no such stream, or the lake's URI has an unknown scheme.
            AdxError: the reference data cannot be read.
        """
        self._settings = settings
        self._streams = [stream_named(name) for name in streams or STREAMS]
        self._on_batch = on_batch or (lambda _: None)
        self._batch_interval = settings.follow.batch_interval.total_seconds()
        self._now = now
        self._clock = clock
        self._platform = open_parts(_impatient(settings))
        self._reference = ReferenceWatch(settings.reference_dir, clock)
        self._troubles = TroubleLog(now, on_trouble or (lambda _: None))
        self._lanes = {
            (stream.name, lane): FollowedLane(stream, lane)
            for stream in self._streams
            for lane in range(settings.kafka.lanes_per_topic)
        }
        self._lock = threading.Lock()
        self._started_at = self._turned_at = now()
        self._looked_at: datetime | None = None
        self._failed_looks = 0
        self._first_turn = 0
        self._publish_at = 0.0
        self._not_loaded: dict[str, int] = {}
        self._ask_warehouse_at = 0.0

    def status(self) -> FollowStatus:
        """How far the loop is, as of its last step."""
        with self._lock:
            return FollowStatus(
                started_at=self._started_at,
                turned_at=self._turned_at,
                looked_at=self._looked_at,
                lanes={key: deepcopy(lane.progress) for key, lane in self._lanes.items()},
                troubles=self._troubles.lasting(),
                not_loaded=dict(self._not_loaded),
            )

    def run(self, stop: threading.Event) -> None:
        """Go round until ``stop`` is set; the batch at work then is finished."""
        poll = self._settings.follow.poll_interval.total_seconds()
        try:
            while not stop.is_set():
                pause = self.turn(stop)
                self._publish_offsets()
                if pause is not None:
                    stop.wait(pause or poll)
        finally:
            self._publish_offsets(at_once=True)
            for lane in self._lanes.values():
                lane.close()
            self._platform.kafka.close()

    def turn(self, stop: threading.Event) -> float | None:
        """Look once, and give every lane that has work one batch.

        Returns:
            ``None`` if there may be more at once; else for how long to pause, 0 for the usual time.
        """
        self._turned_at = self._now()
        self._reload_reference()
        try:
            topics = self._platform.kafka.look(stream.topic for stream in self._streams)
        except StreamError as error:
            return self._broker_is_away(error)
        self._broker_is_there()
        self._look_at_warehouse()
        waiting = self._lanes_with_work(topics)
        for lane in waiting:
            if stop.is_set():
                return 0.0
            try:
                self._give_turn(lane, shared=len(waiting) > 1)
            except (BrokerUnreachable, AuthenticationFailed) as error:
                # Every other lane would wait for the same timeout.
                return self._broker_is_away(error)
            self._turned_at = self._now()
        return None if waiting else 0.0

    def _lanes_with_work(self, topics: Mapping[str, TopicState]) -> list[FollowedLane]:
        """The lanes to give a turn to, beginning with another one each time."""
        now = self._clock()
        for stream in self._streams:
            state = topics.get(stream.topic)
            if state is None:
                self._troubles.begin(
                    TroubleKind.TOPIC,
                    f"topic {stream.topic} does not exist at the broker; `adx topics --create` "
                    "makes it",
                    stream.name,
                )
            else:
                self._troubles.end(TroubleKind.TOPIC, stream.name)
                self._see(stream, state, now)
        lanes = list(self._lanes.values())
        self._first_turn = (self._first_turn + 1) % len(lanes)
        turned = lanes[self._first_turn :] + lanes[: self._first_turn]
        return [
            lane
            for lane in turned
            if lane.stream.topic in topics and lane.has_work and lane.retry_at <= now
        ]

    def _see(self, stream: Stream, state: TopicState, now: float) -> None:
        lanes = [lane for lane in self._lanes.values() if lane.stream.name == stream.name]
        for lane in lanes:
            known = lane.topic_id
            with self._lock:
                lane.see(state, self._settings.kafka.lanes_per_topic, now)
            if known is not None and known != state.topic_id and lane.lane == 0:
                self._troubles.begin(
                    TroubleKind.RECREATED,
                    f"topic {stream.topic} was created anew: it was {known} and is "
                    f"{state.topic_id}. What it holds is ingested under its new identity.",
                    stream.name,
                )
                self._troubles.end(TroubleKind.RECREATED, stream.name)

    def _give_turn(self, lane: FollowedLane, *, shared: bool) -> None:
        name, number = lane.stream.name, lane.lane
        limit = self._settings.ingest.max_records_per_batch
        try:
            work, is_new = lane.opened(self._platform)
            if is_new:
                # Announced and not applied: a worker that died may have left some.
                resume_restatements(self._platform, name, lane=number)
            report = work.next_batch(max_records=min(limit, SHARED_BATCH) if shared else limit)
        except RangeAlreadyCommitted as lost:
            self._lost(lane, lost)
        except RangeUnavailable as gone:
            # Truncated between planning and reading: the next plan records it as lost.
            if self._lost(lane, gone):
                self._fail(lane, TroubleKind.BROKER, gone)
        except (TopicReplaced, TopicRewound) as other:
            self._fail(lane, TroubleKind.REPLACED, other)
        except (BrokerUnreachable, AuthenticationFailed):
            lane.close()
            raise
        except lane.CAUGHT as error:
            self._fail(lane, lane.kind_of(error), error)
        else:
            self._went_well(lane, report)

    def _went_well(self, lane: FollowedLane, report: BatchReport | None) -> None:
        lane.losses = lane.failures = 0
        lane.progress.stopped = None
        self._troubles.end_lane(lane.stream.name, lane.lane)
        with self._lock:
            lane.settle()
        lane.retry_at = self._clock() + self._pause_before_next(lane)
        if report is None:
            return
        committed_at = self._now()
        seen = lane.commit(report.ranges, self._clock())
        batch = FollowedBatch(
            report, committed_at, batch_latency(report.kafka_times, seen, committed_at)
        )
        with self._lock:
            lane.progress.add(batch)
        self._on_batch(batch)

    def _pause_before_next(self, lane: FollowedLane) -> float:
        """How long a lane collects; one that has a batch full of backlog is not held."""
        follow, behind = self._settings.follow, lane.progress.behind
        if self._troubles.lasts(TroubleKind.WAREHOUSE, lane.stream.name):
            most = self._settings.ingest.max_records_per_batch
            return follow.lagging_batch_interval.total_seconds() if behind < most else 0.0
        return self._batch_interval if behind < BACKLOG else 0.0

    def _look_at_warehouse(self) -> None:
        """Where the warehouse lags, batches get fewer and larger: each load then has less to do."""
        if self._clock() < self._ask_warehouse_at:
            return
        self._ask_warehouse_at = self._clock() + _ASK_WAREHOUSE_SECONDS
        bound = self._settings.warehouse.max_lag_rows
        for stream in self._streams:
            try:
                loaded = loaded_offsets(self._platform.storage, stream.topic)
                refined = refined_offsets(self._platform.storage, stream.topic) if loaded else {}
            except FollowedLane.CAUGHT as error:
                # The next batch meets the same lake, and tells.
                logger.debug("how far %s is loaded is not known: %s", stream.name, error)
                return
            if not loaded:
                continue
            count = not_loaded(refined, loaded)
            with self._lock:
                self._not_loaded[stream.name] = count
            if count > bound:
                self._troubles.begin(
                    TroubleKind.WAREHOUSE,
                    f"the warehouse lacks {count:,} refined rows of {stream.name}, more than "
                    f"ADX_WAREHOUSE__MAX_LAG_ROWS ({bound:,}): landing goes on in fewer and larger "
                    "batches. See whether `load` runs, and how long it takes.",
                    stream.name,
                )
            elif count <= bound // 2:
                self._troubles.end(TroubleKind.WAREHOUSE, stream.name)

    def _lost(self, lane: FollowedLane, error: Exception) -> bool:
        """Count a lost race; True if there were too many in a row, and the lane pauses."""
        lane.losses += 1
        logger.info("%s lane %d: %s", lane.stream.name, lane.lane, error)
        if lane.losses < MAX_LOSSES_IN_A_ROW:
            return False
        logger.info("another worker is at work on this lane: pausing it")
        lane.losses = 0
        lane.retry_at = self._clock() + LONGEST_PAUSE_SECONDS
        return True

    def _fail(self, lane: FollowedLane, kind: TroubleKind, error: Exception) -> None:
        # Everything is opened anew next time: what failed may be what was kept.
        lane.close()
        lane.failures += 1
        stopped = kind is TroubleKind.REPLACED
        pause = STOPPED_LANE_PAUSE_SECONDS if stopped else _pause(lane.failures)
        lane.retry_at = self._clock() + pause
        lane.progress.stopped = str(error) if stopped else None
        self._troubles.begin(kind, str(error) or repr(error), lane.stream.name, lane.lane)

    def _broker_is_away(self, error: StreamError) -> float:
        self._failed_looks += 1
        if self._failed_looks == 1:
            # What was kept over an outage proves nothing about the broker that comes back.
            for lane in self._lanes.values():
                lane.close()
        self._troubles.begin(TroubleKind.BROKER, str(error))
        return _pause(self._failed_looks)

    def _broker_is_there(self) -> None:
        self._looked_at = self._now()
        self._failed_looks = 0
        self._troubles.end(TroubleKind.BROKER)

    def _reload_reference(self) -> None:
        try:
            changed = self._reference.changed()
        except (OSError, ValueError) as error:
            self._troubles.begin(
                TroubleKind.REFERENCE,
                f"the reference files changed and cannot be read: {error}. What was read before "
                "is used.",
            )
            return
        if changed is None:
            return
        self._troubles.end(TroubleKind.REFERENCE)
        if changed.version != self._platform.enrichment.version:
            logger.info("reference data %s is used from now on", changed.version)
            self._platform = replace(self._platform, enrichment=changed)
            for lane in self._lanes.values():
                lane.use(self._platform)

    def _publish_offsets(self, *, at_once: bool = False) -> None:
        if not at_once and self._clock() < self._publish_at:
            return
        self._publish_at = self._clock() + _PUBLISH_SECONDS
        if not all(lane.publish_offsets() for lane in self._lanes.values()):
            # Every try waits for the time-out while messages wait: not for the sake of lag tools.
            self._publish_at = self._clock() + _PUBLISH_AFTER_FAILURE_SECONDS


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))


def _impatient(settings: Settings) -> Settings:
    """The same with timeouts that suit a loop, which tries again anyway."""
    kafka, ingest = settings.kafka, settings.ingest
    return settings.model_copy(
        update={
            "kafka": kafka.model_copy(
                update={
                    "request_timeout_seconds": min(
                        kafka.request_timeout_seconds, _REQUEST_TIMEOUT_SECONDS
                    )
                }
            ),
            "ingest": ingest.model_copy(
                update={
                    "idle_timeout_seconds": min(ingest.idle_timeout_seconds, _IDLE_TIMEOUT_SECONDS)
                }
            ),
        }
    )

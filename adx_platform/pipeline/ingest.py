"""Ingest a lane: plan, land, refine; batch after batch up to what the broker had at the start.

Belongs here: draining a lane, the bounded re-planning of a loser, healing after a crash. Does not
belong here: the steps of one batch (``lane``), scheduling, or running lanes side by side.

Two workers on one lane are safe: every commit has one winner. The loser plans again; after a few
losses in a row it stops, because then another worker is plainly at work on the lane.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from adx_platform.contracts.streams import stream_named
from adx_platform.lake.errors import RangeAlreadyCommitted
from adx_platform.observability.context import log_context
from adx_platform.pipeline.lane import LaneIngest
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.reprocess import resume_restatements
from adx_platform.streams.errors import RangeUnavailable

__all__ = ["BatchReport", "ingest_lane"]

logger = logging.getLogger(__name__)

MAX_LOSSES_IN_A_ROW: Final = 4

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

    with log_context(stream=known.name, lane=lane):
        if not _repeat(lambda: refine_pending(platform, known, lane), tell):
            return reports
        resume_restatements(platform, known.name, lane=lane)
        topic_id = platform.kafka.describe(known.topic).topic_id
        marks = platform.kafka.watermarks(known.topic)
        # Fixed now, so that a busy producer does not keep this call at work for ever.
        ends = {
            p: min(m.last_stable, (until or {}).get(p, m.last_stable)) for p, m in marks.items()
        }
        with LaneIngest(platform, known, lane, topic_id=topic_id) as work:
            _repeat(lambda: work.next_batch(until=ends), tell)
            work.publish_offsets()
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

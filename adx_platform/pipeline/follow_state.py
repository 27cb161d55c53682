"""What the resident loop says about itself: batches with their latency, and its lanes.

Belongs here: values, and the arithmetic of latencies. Does not belong here: the loop (``follow``),
what is in its way (``troubles``), or who is told (``health``, ``orchestration``).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.reports import BatchReport, KafkaTimes
from adx_platform.pipeline.troubles import Trouble

_KEPT_LATENCIES: Final = 2_000
# Kafka timestamps say when a message was produced only where producers use the wall clock: a
# replay or the simulated market, whose clock runs faster, do not.
_LIVE: Final = timedelta(minutes=10)
_CLOCKS_APART: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the messages of a batch took to become queryable in the lake, in seconds.

    ``clock`` says from when: from being produced, or, where Kafka timestamps are not of the wall
    clock, from the look at the broker that first saw them.
    """

    p50: float
    p95: float
    clock: Literal["produced", "seen"]


@dataclass(frozen=True, slots=True)
class FollowedBatch:
    """One committed batch of the resident loop."""

    report: BatchReport
    committed_at: datetime
    latency: Latency | None


class SeenOffsets:
    """When each stretch of a partition's offsets was first seen at the broker."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()
        self._end: int | None = None

    def see(self, end: int, now: float) -> None:
        """A look at ``now`` found that the partition reaches to ``end``."""
        if self._end is None or end > self._end:
            self._marks.append((end, now))
        self._end = end

    def commit(self, part: OffsetRange, now: float) -> list[tuple[float, int]]:
        """``part`` was committed at ``now``: (seconds since it was seen, how many offsets)."""
        found: list[tuple[float, int]] = []
        start = part.start
        while self._marks and start < part.end:
            end, seen = self._marks[0]
            if end > start:
                covered = min(end, part.end)
                found.append((max(0.0, now - seen), covered - start))
                start = covered
            if end > part.end:
                break
            self._marks.popleft()
        return found


def weighted_quantile(values: Iterable[tuple[float, int]], share: float) -> float | None:
    """The value below which ``share`` of the weight lies; ``None`` without any weight.

    Args:
        values: (value, weight) pairs, in any order.
        share: between 0 and 1.
    """
    ordered = sorted((value, weight) for value, weight in values if weight > 0)
    wanted = share * sum(weight for _, weight in ordered)
    reached = 0
    for value, weight in ordered:
        reached += weight
        if reached >= wanted:
            return value
    return None


def batch_latency(
    times: KafkaTimes | None, seen: Iterable[tuple[float, int]], committed_at: datetime
) -> Latency | None:
    """The latency of a batch, from its production where the Kafka timestamps can tell it.

    Args:
        times: Kafka timestamps of the batch.
        seen: (seconds since first seen, offsets) of the batch.
        committed_at: when its rows became queryable.
    """
    if times is not None and -_CLOCKS_APART <= committed_at - times.newest <= _LIVE:
        p50, p95 = (
            max(0.0, (committed_at - moment).total_seconds())
            for moment in (times.median, times.early)
        )
        return Latency(p50, p95, "produced")
    seen = list(seen)
    half, most = weighted_quantile(seen, 0.5), weighted_quantile(seen, 0.95)
    return None if half is None or most is None else Latency(half, most, "seen")


@dataclass(slots=True)
class LaneProgress:
    """One lane since the loop began.

    Attributes:
        behind: offsets that the broker has and the lake lacks, as of the last look.
        batches: how many were committed.
        rows: offsets by disposition.
        last_commit: when, UTC; null before the first one.
        latencies: (seconds, offsets) of the newest batches: of each its median and its tail.
        stopped: why the lane does not go on; null while it does.
    """

    behind: int = 0
    batches: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    last_commit: datetime | None = None
    latencies: deque[tuple[float, int]] = field(
        default_factory=lambda: deque(maxlen=_KEPT_LATENCIES)
    )
    stopped: str | None = None

    def add(self, batch: FollowedBatch) -> None:
        """Count one more batch."""
        self.batches += 1
        self.rows.update(batch.report.counts)
        self.last_commit = batch.committed_at
        if batch.latency is not None:
            offsets = sum(part.count for part in batch.report.ranges)
            # Two points stand for a batch's distribution: enough for quantiles over many batches.
            tail = max(1, offsets // 10)
            self.latencies.append((batch.latency.p50, max(1, offsets - tail)))
            self.latencies.append((batch.latency.p95, tail))


@dataclass(frozen=True)
class FollowStatus:
    """A snapshot of the loop, for those who ask from other threads.

    Attributes:
        started_at: when the loop began, UTC.
        turned_at: when it last went round, UTC.
        looked_at: when the broker last answered, UTC; null before the first time.
        lanes: by stream and lane.
        troubles: those that last.
        not_loaded: by stream, refined offsets that the warehouse lacks; only where one loads.
    """

    started_at: datetime
    turned_at: datetime
    looked_at: datetime | None
    lanes: Mapping[tuple[str, int], LaneProgress]
    troubles: tuple[Trouble, ...]
    not_loaded: Mapping[str, int] = field(default_factory=dict)

    @property
    def behind(self) -> int:
        """Offsets over all lanes that the broker has and the lake lacks."""
        return sum(lane.behind for lane in self.lanes.values())

    @property
    def last_commit(self) -> datetime | None:
        """When anything was committed last."""
        return max(
            (lane.last_commit for lane in self.lanes.values() if lane.last_commit), default=None
        )

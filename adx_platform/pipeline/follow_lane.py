"""One lane of the resident loop: what it has open, how far it is, and when it may try again.

Belongs here: the state of a lane between two turns. Does not belong here: the order of the turns
(``follow``), or the steps of a batch (``lane``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import Stream
from adx_platform.errors import AdxError
from adx_platform.lake.errors import LakeUnavailable
from adx_platform.pipeline.follow_state import LaneProgress, SeenOffsets
from adx_platform.pipeline.lane import LaneIngest
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.troubles import TroubleKind
from adx_platform.streams.errors import StreamError
from adx_platform.streams.lanes import lane_of
from adx_platform.streams.topics import TopicState, Watermarks


class FollowedLane:
    """A lane between its turns. ``progress`` is what others may see of it."""

    CAUGHT: ClassVar = (AdxError, DeltaError, PolarsError, OSError)
    """What a batch can fail with for reasons outside this process; the lane then tries again."""

    def __init__(self, stream: Stream, lane: int) -> None:
        self.stream = stream
        self.lane = lane
        self.progress = LaneProgress()
        self.topic_id: str | None = None
        self.failures = 0
        self.losses = 0
        self.retry_at = 0.0
        self._work: LaneIngest | None = None
        self._marks: dict[int, Watermarks] = {}
        self._seen: dict[int, SeenOffsets] = {}
        self._is_settled = False

    @property
    def has_work(self) -> bool:
        """Whether a turn may bring anything; a lane that was just opened has to find out."""
        return not self._is_settled or self.progress.behind > 0 or self._is_rewound

    def see(self, state: TopicState, lanes: int, now: float) -> None:
        """Take note of what the broker has, at ``now`` on the loop's clock."""
        if state.topic_id != self.topic_id:
            self.close()
            self._seen = {}
            self.topic_id = state.topic_id
        self._marks = {
            p: marks for p, marks in state.watermarks.items() if lane_of(p, lanes) == self.lane
        }
        for partition, marks in self._marks.items():
            self._seen.setdefault(partition, SeenOffsets()).see(marks.last_stable, now)
        self._count_behind()

    def opened(self, platform: Platform) -> tuple[LaneIngest, bool]:
        """The lane's batches, and whether they were opened just now."""
        if self._work is not None:
            return self._work, False
        if self.topic_id is None:
            raise ValueError(f"{self.stream.name} lane {self.lane}: see the topic first")
        self._work = LaneIngest(
            platform, self.stream, self.lane, topic_id=self.topic_id, compare_at_once=True
        )
        return self._work, True

    def settle(self) -> None:
        """A turn went well: from now on the offsets tell whether there is more."""
        self._is_settled = True
        self._count_behind()

    def commit(self, ranges: Iterable[OffsetRange], now: float) -> list[tuple[float, int]]:
        """Of what was committed: (seconds since it was first seen, offsets)."""
        return [
            pair
            for part in ranges
            if part.partition in self._seen
            for pair in self._seen[part.partition].commit(part, now)
        ]

    def use(self, platform: Platform) -> None:
        """Go on with other parts."""
        if self._work is not None:
            self._work.use(platform)

    def publish_offsets(self) -> bool:
        """Tell lag tools how far the lane is; False if the broker did not take it."""
        return self._work is None or self._work.publish_offsets()

    def close(self) -> None:
        """Drop everything that was kept open; the next turn opens it anew."""
        if self._work is not None:
            self._work.close()
        self._work = None
        self._is_settled = False

    @staticmethod
    def kind_of(error: BaseException) -> TroubleKind:
        """What the failure of a batch is about."""
        if isinstance(error, StreamError):
            return TroubleKind.BROKER
        return TroubleKind.LAKE if isinstance(error, LakeUnavailable) else TroubleKind.DATA

    @property
    def _is_rewound(self) -> bool:
        """Whether the broker has less than was landed: a turn finds out what that means."""
        committed = {} if self._work is None else self._work.committed
        return any(
            partition not in self._marks or self._marks[partition].last_stable < offset
            for partition, offset in committed.items()
        )

    def _count_behind(self) -> None:
        committed = {} if self._work is None else self._work.committed
        if self._work is None and self.progress.batches:
            # Closed for a while: what it had committed is not known, so the last count stands.
            return
        self.progress.behind = sum(
            max(0, marks.last_stable - committed.get(partition, marks.low))
            for partition, marks in self._marks.items()
        )

"""Which lanes should run now: the planner sensor's decision, without Dagster.

Belongs here: the pure rule. Does not belong here: asking the broker or the instance (``sensors``).

A lane is asked for when it has offsets to read and no run on it. A failed run never blocks its
lane: it is asked for again, after a pause that grows with each failure in a row and has a ceiling,
so that a broken lane costs a run every few minutes and keeps its failure in sight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 300.0


class LaneKey(NamedTuple):
    """One lane of one stream."""

    stream: str
    lane: int


class Lag(Protocol):
    """What is asked of a partition's lag."""

    @property
    def stream(self) -> str:
        """Name of the stream."""
        ...

    @property
    def lane(self) -> int:
        """The lane that owns the partition."""
        ...

    @property
    def partition(self) -> int:
        """Kafka partition."""
        ...

    @property
    def last_stable(self) -> int:
        """The offset after the last one that may be read."""
        ...

    @property
    def behind(self) -> int:
        """Offsets that are not refined yet."""
        ...


@dataclass(frozen=True, slots=True)
class LaneHistory:
    """The newest runs of a lane.

    Attributes:
        in_flight: a run is queued, starting or running.
        failures: finished runs that failed since the last one that did not.
        last_end: when the newest run ended, in seconds since the epoch; null if none did.
    """

    in_flight: bool = False
    failures: int = 0
    last_end: float | None = None

    def is_pausing(self, now: float) -> bool:
        """Whether the pause after the last failure is not over."""
        if not self.failures or self.last_end is None:
            return False
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self.failures - 1))
        return now < self.last_end + pause


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """One run to ask for: the lane, where it may stop, and how much there is."""

    key: LaneKey
    until: dict[int, int]
    behind: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The runs to ask for, and a reason for each lane that has work and is not asked for."""

    requests: tuple[LaneRequest, ...]
    held: tuple[str, ...]


def decide(lags: Iterable[Lag], history: Mapping[LaneKey, LaneHistory], now: float) -> Decision:
    """Choose the lanes to run.

    Args:
        lags: of all partitions of the streams.
        history: of the lanes that have any runs.
        now: seconds since the epoch.
    """
    lanes: dict[LaneKey, list[Lag]] = defaultdict(list)
    for lag in lags:
        lanes[LaneKey(lag.stream, lag.lane)].append(lag)
    requests: list[LaneRequest] = []
    held: list[str] = []
    for key, partitions in sorted(lanes.items()):
        behind = sum(lag.behind for lag in partitions)
        if not behind:
            continue
        runs = history.get(key, LaneHistory())
        if runs.in_flight:
            held.append(f"{key.stream} lane {key.lane}: a run is in flight")
        elif runs.is_pausing(now):
            held.append(f"{key.stream} lane {key.lane}: pausing after {runs.failures} failures")
        else:
            until = {lag.partition: lag.last_stable for lag in partitions}
            requests.append(LaneRequest(key, until, behind))
    return Decision(tuple(requests), tuple(held))

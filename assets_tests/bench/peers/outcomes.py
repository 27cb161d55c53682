"""What was measured of each contender on each stream, and the figures that follow from it.

Belongs here: arithmetic. Does not belong here: running anything, or the form of a table.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from assets_tests.bench.peers.measuring import Cost
from assets_tests.bench.peers.stored import Stored
from assets_tests.bench.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Outcome:
    """One contender on one stream.

    Attributes:
        contender: its name.
        stream: what it read.
        messages: how many it was given.
        few_messages: how many when there was next to nothing to do.
        full: the cost of all of them; median of the repetitions, figure by figure.
        few: likewise, of the few: what starting up costs.
        stored: what it left behind of all of them.
    """

    contender: str
    stream: str
    messages: int
    few_messages: int
    full: Cost
    few: Cost
    stored: Stored

    @property
    def per_cpu_second(self) -> float:
        """Messages per CPU second, everything counted."""
        return self.messages / self.full.cpu_seconds

    @property
    def per_cpu_second_running(self) -> float | None:
        """Messages per CPU second without what the few took; ``None`` if that is all there is."""
        seconds = self.full.cpu_seconds - self.few.cpu_seconds
        return (self.messages - self.few_messages) / seconds if seconds > 0 else None

    @property
    def per_second(self) -> float:
        """Messages per second on the wall clock, start-up included."""
        return self.messages / self.full.wall_seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """A contender that did not do it, and why."""

    contender: str
    stream: str
    reason: str


@dataclass(frozen=True, slots=True)
class Results:
    """Everything of one run of the bench.

    ``unavailable``: contender -> why it was left out. ``versions``: program -> version.
    ``load_before``, ``load_after``: programs that wanted a core, mean of a minute.
    """

    traffic: list[Traffic]
    outcomes: list[Outcome]
    failures: list[Failure]
    unavailable: dict[str, str]
    versions: dict[str, str]
    repetitions: int
    partitions: int
    load_before: float
    load_after: float

    def outcome(self, contender: str, stream: str) -> Outcome | None:
        """What came of it, if it came to an end."""
        for one in self.outcomes:
            if (one.contender, one.stream) == (contender, stream):
                return one
        return None


def median_cost(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.cpu_seconds for cost in costs),
        statistics.median(cost.wall_seconds for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """``ours / theirs``, where both are known."""
    return ours / theirs if ours is not None and theirs else None

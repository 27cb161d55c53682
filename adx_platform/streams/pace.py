"""How large a lane's next range may be, by what its last batches took. Pure.

Belongs here: the size. Does not belong here: which offsets (``planner``), or measuring (whoever
carries a plan out).

The size follows the measured speed: records per second times the seconds that a batch is to take.
A batch that ended early because there was no more tells nothing about speed and changes nothing, so
a lane that was idle meets a backlog at full size. Large messages make ranges smaller as well, so
that the bound on bytes is met by planning and not by cutting a range short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Self

LEAST_SHARE: Final = 20
"""Slowness makes a range no smaller than its maximum over this: what a commit costs whatever its
size would otherwise be all that a lane does while the lake is slow."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a batch is held to: offsets, bytes of message values, seconds from plan to commit."""

    records: int
    value_bytes: int
    seconds: float

    @property
    def least(self) -> int:
        """Records below which slowness does not push a range."""
        return ceil(self.records / LEAST_SHARE)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one batch was: offsets that it covered, bytes of its values, seconds that it took."""

    records: int
    value_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How many records the time and the bytes of a batch allow, as of the newest measurement."""

    by_time: int
    by_bytes: int

    @classmethod
    def at_first(cls, bounds: Bounds) -> Self:
        """Nothing is known yet: the maximum."""
        return cls(bounds.records, bounds.records)

    @property
    def records(self) -> int:
        """The bound of the next range, at least 1."""
        return min(self.by_time, self.by_bytes)

    def after(self, batch: Measured, bounds: Bounds) -> Pace:
        """The pace once ``batch`` was carried out."""
        if batch.records < 1:
            return self
        pace = self
        if batch.value_bytes:
            fit = bounds.value_bytes * batch.records // batch.value_bytes
            pace = replace(pace, by_bytes=max(1, min(bounds.records, fit)))
        was_full = 2 * batch.records >= self.records
        if was_full or batch.seconds > bounds.seconds:
            fit = int(batch.records * bounds.seconds / max(batch.seconds, 1e-3))
            pace = replace(pace, by_time=max(bounds.least, min(bounds.records, fit)))
        return pace

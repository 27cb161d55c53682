"""Ranges of offsets: the unit that is planned, read, committed and reported.

Belongs here: the value type and its arithmetic. Does not belong here: deciding which range to
read (``planner``) or reading it (``reader``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class OffsetRange:
    """The offsets ``start <= offset < end`` of one partition.

    Raises:
        ValueError: the partition or start is negative, or end lies before start.
    """

    partition: int
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.partition < 0 or self.start < 0 or self.end < self.start:
            raise ValueError(f"not a range of offsets: {self}; need 0 <= start <= end")

    @property
    def count(self) -> int:
        """How many offsets the range holds, messages or not."""
        return self.end - self.start

    def __contains__(self, offset: int) -> bool:
        return self.start <= offset < self.end

    def __str__(self) -> str:
        return f"{self.partition}:[{self.start}, {self.end})"


def total_count(ranges: Iterable[OffsetRange]) -> int:
    """Number of offsets in all ``ranges`` together."""
    return sum(item.count for item in ranges)


def merge_ranges(ranges: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """Join ranges that touch or overlap, drop empty ones; sorted by (partition, start)."""
    merged: list[OffsetRange] = []
    for item in sorted(ranges):
        if item.count == 0:
            continue
        last = merged[-1] if merged else None
        if last is not None and last.partition == item.partition and item.start <= last.end:
            merged[-1] = OffsetRange(last.partition, last.start, max(last.end, item.end))
        else:
            merged.append(item)
    return tuple(merged)

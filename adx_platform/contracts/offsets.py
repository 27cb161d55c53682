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


def without_ranges(
    ranges: Iterable[OffsetRange], removed: Iterable[OffsetRange]
) -> tuple[OffsetRange, ...]:
    """What is left of ``ranges`` without ``removed``; joined and sorted as by merging."""
    taken = merge_ranges(removed)
    left: list[OffsetRange] = []
    for item in merge_ranges(ranges):
        start = item.start
        for gone in taken:
            if gone.partition == item.partition and gone.start < item.end and gone.end > start:
                if gone.start > start:
                    left.append(OffsetRange(item.partition, start, gone.start))
                start = gone.end
        if start < item.end:
            left.append(OffsetRange(item.partition, start, item.end))
    return tuple(left)


def join_near(ranges: Iterable[OffsetRange], distance: int) -> tuple[OffsetRange, ...]:
    """Ranges of one partition that are at most ``distance`` offsets apart become one."""
    joined: list[OffsetRange] = []
    for item in merge_ranges(ranges):
        last = joined[-1] if joined else None
        if last and last.partition == item.partition and item.start - last.end <= distance:
            joined[-1] = OffsetRange(item.partition, last.start, item.end)
        else:
            joined.append(item)
    return tuple(joined)


def within_ranges(
    ranges: Iterable[OffsetRange], bounds: Iterable[OffsetRange]
) -> tuple[OffsetRange, ...]:
    """What ``ranges`` and ``bounds`` have in common."""
    kept = merge_ranges(bounds)
    return merge_ranges(
        OffsetRange(item.partition, max(item.start, b.start), min(item.end, b.end))
        for item in merge_ranges(ranges)
        for b in kept
        if b.partition == item.partition and b.start < item.end and item.start < b.end
    )

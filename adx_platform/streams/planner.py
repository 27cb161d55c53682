"""From offsets to ranges: what a lane reads next. Pure; it never asks a broker.

Belongs here: the decision, given what was committed and what the broker holds. Does not belong
here: finding out either of them (``lake`` and ``admin``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.streams.errors import TopicRewound
from adx_platform.streams.topics import Watermarks


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What to do with a lane, one commit's worth.

    ``losses`` were truncated by the broker before they were read; they come before the lane's
    ``reads`` of the same partition and touch them. At most one of each per partition, sorted by
    partition, none of them empty.
    """

    reads: tuple[OffsetRange, ...]
    losses: tuple[OffsetRange, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing to read and nothing to record."""
        return not self.reads and not self.losses

    @property
    def next_offsets(self) -> dict[int, int]:
        """Partition -> the committed offset once this plan is carried out."""
        return {item.partition: item.end for item in (*self.losses, *self.reads)}


def plan(
    committed: Mapping[int, int | None],
    watermarks: Mapping[int, Watermarks],
    *,
    max_records: int,
    until: Mapping[int, int] | None = None,
) -> LanePlan:
    """Plan the next ranges of the lane whose partitions are the keys of ``committed``.

    Args:
        committed: partition -> next offset to read; None where nothing was ever committed, which
            starts at the broker's first offset.
        watermarks: partition -> what the broker holds; partitions of other lanes are ignored.
        max_records: bound on the offsets of all reads together, split fairly: no partition waits
            for another's backlog, and what one does not need goes to the others.
        until: partition -> offset to stop at, where the caller wants less than all.

    Raises:
        TopicRewound: the broker's end lies before a committed offset, or a committed partition is
            gone: the topic was created anew or restored from a backup.
        ValueError: ``max_records`` is below 1.
    """
    if max_records < 1:
        raise ValueError(f"max_records must be at least 1, not {max_records}")
    losses: list[OffsetRange] = []
    backlog: dict[int, OffsetRange] = {}
    for partition in sorted(committed):
        loss, rest = _partition_work(
            partition, committed[partition], watermarks.get(partition), until or {}
        )
        if loss.count:
            losses.append(loss)
        if rest.count:
            backlog[partition] = rest
    shares = _fair_shares({key: item.count for key, item in backlog.items()}, max_records)
    reads = tuple(
        OffsetRange(partition, item.start, item.start + shares[partition])
        for partition, item in backlog.items()
        if shares[partition]
    )
    return LanePlan(reads=reads, losses=tuple(losses))


def _partition_work(
    partition: int, committed: int | None, marks: Watermarks | None, until: Mapping[int, int]
) -> tuple[OffsetRange, OffsetRange]:
    """What was lost of a partition, and what there is to read after it; either may be empty."""
    if marks is None:
        if committed is None:
            return OffsetRange(partition, 0, 0), OffsetRange(partition, 0, 0)
        raise TopicRewound(
            f"partition {partition} was committed up to offset {committed}, but the broker does "
            "not have it: the topic was created anew with fewer partitions, or this is another "
            "broker. Check ADX_KAFKA__BOOTSTRAP_SERVERS; a recreated topic needs its own name."
        )
    if committed is not None and marks.last_stable < committed:
        raise TopicRewound(
            f"partition {partition} was committed up to offset {committed}, but the broker ends "
            f"at {marks.last_stable}: the topic was created anew, truncated or restored from a "
            "backup. Check ADX_KAFKA__BOOTSTRAP_SERVERS; restore the broker's data, or produce to "
            "a topic of another name. Nothing was read."
        )
    begin = marks.low if committed is None else committed
    stop = max(begin, min(marks.last_stable, until.get(partition, marks.last_stable)))
    first = min(max(begin, marks.low), stop)
    return OffsetRange(partition, begin, first), OffsetRange(partition, first, stop)


def _fair_shares(wanted: Mapping[int, int], budget: int) -> dict[int, int]:
    """Split ``budget`` so that no one gets more than wanted and the least served get most."""
    shares: dict[int, int] = {}
    left = budget
    # From the smallest want up: each takes an equal part of what is left, so what it does not
    # need goes to the larger ones.
    order = sorted(wanted, key=lambda key: (wanted[key], key))
    for position, key in enumerate(order):
        part = -(-left // (len(order) - position))
        shares[key] = min(wanted[key], part)
        left -= shares[key]
    return shares

"""Offsets behind a cursor that no row stands for: what is missing once a file is out of its table.

Belongs here: looking at the offsets of the rows that are left. Does not belong here: why they are
missing, or filling them (``pipeline.repair``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import polars as pl
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.lake.reading import Snapshot

_RANGE: Final = re.compile(r"(\d+):\[(\d+), (\d+)\)")


def missing_offsets(
    snapshot: Snapshot, topic_id: str, within: Iterable[OffsetRange]
) -> tuple[OffsetRange, ...]:
    """Committed offsets of ``within`` that no row of the snapshot stands for.

    A hole that reaches the end of a range of ``within`` is followed up to the next row: the
    lost file may have ended with a gap row, whose length no statistics tell.

    Raises:
        LakeFileDamaged, LakeUnavailable: see :meth:`Snapshot.collect`.
    """
    holes: list[OffsetRange] = []
    for item in merge_ranges(within):
        end = snapshot.next_offset(topic_id, item.partition)
        if end is not None and item.start < end:
            holes += _holes(snapshot, topic_id, item, end)
    return merge_ranges(holes)


def first_landed(landing: DeltaTable, topic_id: str) -> dict[int, int]:
    """Where each partition of a topic began, as the landing's history has it.

    Empty where the history was cleaned up: the rows that are left must tell then.
    """
    commits = landing.history()
    if not any(commit["version"] == 0 for commit in commits):
        return {}
    starts: dict[int, int] = {}
    for commit in commits:
        if commit.get("adx.topic_id") == topic_id:
            for partition, start, _ in _RANGE.findall(commit.get("adx.ranges", "")):
                known = starts.get(int(partition), int(start))
                starts[int(partition)] = min(known, int(start))
    return starts


def _holes(
    snapshot: Snapshot, topic_id: str, item: OffsetRange, committed: int
) -> list[OffsetRange]:
    mine = snapshot.scan().filter(
        pl.col("topic_id") == topic_id, pl.col("partition") == item.partition
    )
    length = pl.col("gap_length").fill_null(1)
    rows = snapshot.collect(
        mine.filter(pl.col("offset") < item.end)
        # A gap row may begin long before the range.
        .filter((pl.col("offset") >= item.start) | pl.col("gap_length").is_not_null())
        .select("offset", next=pl.col("offset") + length)
        .filter(pl.col("next") > item.start)
    ).sort("offset")
    reached = pl.col("next").cum_max().shift(1, fill_value=item.start)
    between = rows.select(start=reached, end="offset").filter(pl.col("end") > pl.col("start"))
    holes = [OffsetRange(item.partition, start, end) for start, end in between.iter_rows()]
    last = item.start if rows.is_empty() else int(rows.select(pl.col("next").max()).item())
    if last < item.end:
        following = snapshot.collect(
            mine.filter(pl.col("offset") >= item.end).select(pl.col("offset").min())
        ).item()
        holes.append(
            OffsetRange(
                item.partition, last, max(last, committed if following is None else int(following))
            )
        )
    return holes

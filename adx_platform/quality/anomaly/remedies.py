"""What could mend a storm of rejects.

Belongs here: recognising rejects that would be accepted if they were refined now, and the offsets
to refine again. Does not belong here: carrying it out (``pipeline.remedies``), or whether and how
often it is tried (``quality.incidents``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import polars as pl

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.offsets import OffsetRange, join_near
from adx_platform.quality.incidents.model import Action, Remedy, SeriesWindow
from adx_platform.quality.metrics import Query

MENDABLE = (ReasonCode.UNKNOWN_SCHEMA_ID,)
"""Reasons that lie outside of the message: a schema may have been registered since."""
DOMINANT = 0.5
"""From this share of an anomaly's rejects on, a reason is what the anomaly is about."""
MOST_RANGES = 50
"""A proposal is kept in an event and an incident: beyond this, neighbours are joined."""

_WIDEST = 2**62

_REASONS_SQL = """
select topic_id, reason_code, count(*) as messages
from raw.rejects
where stream = '{stream}' and ({times})
group by topic_id, reason_code
"""
_OFFSETS_SQL = """
select partition_id, kafka_offset
from raw.rejects
where stream = '{stream}' and ({times}) and topic_id = '{topic_id}' and reason_code in ({reasons})
"""


def reject_remedy(query: Query, stream: str, windows: Sequence[SeriesWindow]) -> Remedy | None:
    """Propose to refine again what was rejected in ``windows``, if that may help now.

    Args:
        query: runs SQL against the warehouse.
        stream: the stream.
        windows: the hours of arrival in which too much was rejected.

    Returns:
        Null if most of the rejects were refused for something in the message itself.
    """
    if not windows:
        return None
    times = " or ".join(_within(window) for window in windows)
    counts = query(_REASONS_SQL.format(stream=stream, times=times))
    mendable = counts.filter(pl.col("reason_code").is_in([str(code) for code in MENDABLE]))
    total, ours = int(counts["messages"].sum()), int(mendable["messages"].sum())
    if not ours or ours < DOMINANT * total:
        return None
    topic_id = str(mendable.sort("messages", "topic_id", descending=True)["topic_id"][0])
    reasons = sorted(mendable.filter(pl.col("topic_id") == topic_id)["reason_code"].to_list())
    rows = query(
        _OFFSETS_SQL.format(
            stream=stream,
            times=times,
            topic_id=topic_id.replace("'", "''"),
            reasons=", ".join(f"'{reason}'" for reason in reasons),
        )
    )
    return Remedy(
        action=Action.REFINE_AGAIN,
        stream=stream,
        topic_id=topic_id,
        ranges=_bounded(OffsetRange(int(p), int(o), int(o) + 1) for p, o in rows.iter_rows()),
        reasons=tuple(reasons),
    )


def _within(window: SeriesWindow) -> str:
    ends = "" if window.end is None else f" and kafka_timestamp < {_timestamp(window.end)}"
    return f"(kafka_timestamp >= {_timestamp(window.start)}{ends})"


def _timestamp(time: datetime) -> str:
    return f"cast('{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}' as timestamp)"


def _bounded(offsets: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """The fewest ranges, at most ``MOST_RANGES``: sound offsets between them come along.

    Refining a sound row again gives the same row.
    """
    ranges = join_near(offsets, 0)
    distance = 1
    while len(ranges) > MOST_RANGES and distance < _WIDEST:
        ranges = join_near(ranges, distance)
        distance *= 2
    return ranges

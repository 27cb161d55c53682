"""Hours into offsets, so that people can speak of hours and the platform of ranges.

Belongs here: reading an hour as people write it, the offsets of a span of time, and refining them
again. Does not belong here: refining a range (``reprocess``).

All times are UTC. By Kafka time a span is when the broker got the messages; by event time it is
when the events happened, so that late ones are found far behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import polars as pl

from adx_platform.contracts.offsets import OffsetRange, join_near
from adx_platform.contracts.streams import stream_named
from adx_platform.errors import AdxError
from adx_platform.lake.errors import LakeError
from adx_platform.lake.ranges import stored_spans
from adx_platform.lake.reading import events_snapshot
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.reprocess import ReprocessReport, reprocess_range

# Refining a few rows between two ranges again costs less than a restatement of its own.
_NEAR: Final = 1_000
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class TimeOf(StrEnum):
    """Which time of a message is meant."""

    KAFKA = "kafka"
    EVENT = "event"


class BadHours(AdxError):  # noqa: N818 - as the other errors that a person meets
    """A span of time that cannot be meant; the message says how it is written."""


@dataclass(frozen=True)
class HoursReport:
    """What refining a span of time again did.

    Attributes:
        stream: name of the stream.
        parts: one report per incarnation of the topic.
    """

    stream: str
    parts: tuple[ReprocessReport, ...]

    @property
    def before(self) -> dict[str, int]:
        """Offsets by disposition, before."""
        return _sum(part.counts_before for part in self.parts)

    @property
    def after(self) -> dict[str, int]:
        """Offsets by disposition, after."""
        return _sum(part.counts for part in self.parts)

    @property
    def revisions(self) -> tuple[int, ...]:
        """The restatements."""
        return tuple(r.revision for part in self.parts for r in part.restatements)

    def explain(self) -> str:
        """One sentence for a person."""
        changed = [
            f"{name} {self.before[name]:,} -> {count:,}"
            for name, count in self.after.items()
            if count != self.before.get(name, 0)
        ]
        total = sum(self.after.values())
        return f"{self.stream}: {total:,} offsets refined again; " + (
            ", ".join(changed) or "every disposition came out as before"
        )


def parse_hour(text: str) -> datetime:
    """An instant as people write it: ``2026-03-02``, ``2026-03-02T10``, ``2026-03-02T10:30``.

    Raises:
        BadHours: it is none, or of another zone than UTC.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadHours(
            f"{text!r} is not a time: write it in UTC as 2026-03-02T10 or 2026-03-02T10:30"
        ) from error
    if found.tzinfo is not None and found.utcoffset() != UTC.utcoffset(None):
        raise BadHours(f"{text!r} is not in UTC: write it in UTC, without a zone")
    return found.replace(tzinfo=UTC)


def offsets_between(
    platform: Platform, stream: str, start: datetime, end: datetime, *, by: TimeOf
) -> dict[str, tuple[OffsetRange, ...]]:
    """The refined offsets of ``start <= time < end``, by topic id; near ones are joined.

    Args:
        platform: the opened parts; no broker is needed.
        stream: name of the stream.
        start: first instant, UTC.
        end: first instant after, UTC.
        by: which time. A message without an event time counts by its Kafka time.

    Raises:
        ValueError: there is no such stream.
        BadHours: the span is empty.
        LakeError: the lake failed.
    """
    if end <= start:
        raise BadHours(f"the span ends at {end:%Y-%m-%dT%H:%M}, not after {start:%Y-%m-%dT%H:%M}")
    known = stream_named(stream)
    events = events_snapshot(platform.storage, known.topic, known.events_schema)
    if events is None:
        return {}
    rows = events.scan()
    if by == TimeOf.KAFKA:
        time = pl.col("kafka_timestamp")
    else:
        # The date is a partition of the table: files of other days are not opened.
        rows = rows.filter(pl.col("event_date").is_between(start.date(), end.date()))
        time = pl.coalesce("event_time", "kafka_timestamp")
    found = events.collect(
        rows.filter(time.fill_null(_NO_TIME).is_between(start, end, closed="left")).select(
            "topic_id", "partition", "offset", "gap_length"
        )
    )
    return {
        str(topic_id): join_near(stored_spans(mine), _NEAR)
        for (topic_id,), mine in sorted(found.group_by("topic_id"), key=lambda item: str(item[0]))
    }


def backfill_hours(
    platform: Platform,
    stream: str,
    start: datetime,
    end: datetime,
    *,
    by: TimeOf,
    reason: str,
    from_broker: bool = False,
) -> HoursReport:
    """Refine a span of time again.

    For the arguments see :func:`offsets_between`, and :func:`reprocess_range` for the last two.

    Raises:
        ValueError: there is no such stream.
        BadHours: the span is empty.
        LakeError: the lake has nothing of it, or failed.
        RawPastRetention: raw rows of the span are gone.
    """
    ranges = offsets_between(platform, stream, start, end, by=by)
    if not ranges:
        raise LakeError(
            f"{stream}: the lake has nothing of {start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M} UTC "
            f"by {by} time"
        )
    return HoursReport(
        stream,
        tuple(
            reprocess_range(
                platform,
                stream,
                spans,
                reason=reason,
                topic_id=topic_id,
                from_broker=from_broker,
            )
            for topic_id, spans in ranges.items()
        ),
    )


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)

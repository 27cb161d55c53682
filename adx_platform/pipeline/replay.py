"""Refine rejected records again, after a fix: exactly the ranges that hold them.

Belongs here: which ranges those are, and what came of the rejects. Does not belong here: refining
a range (``reprocess``) or listing rejects (``rejects``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.contracts.offsets import OffsetRange, join_near
from adx_platform.contracts.streams import Stream, stream_named
from adx_platform.lake.ranges import stored_spans
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.reprocess import restate, resume_restatements
from adx_platform.pipeline.rereading import first_at_broker

# Refining a few rows between two rejects again costs less than a restatement of its own.
_NEAR: Final = 1_000
_PLACE: Final = ("topic_id", "partition", "offset")


@dataclass(frozen=True)
class ReplayReport:
    """What came of the rejects that were refined again.

    Attributes:
        stream: name of the stream.
        before: those rejects by reason code.
        after: the same records now: by reason code where they are rejected again, else by
            disposition.
        past_retention: rejects of the kind asked for whose raw bytes are gone; they stay.
        revisions: the restatements.
    """

    stream: str
    before: dict[str, int]
    after: dict[str, int]
    past_retention: int
    revisions: tuple[int, ...]

    @property
    def mended(self) -> int:
        """How many are rejected no more."""
        return sum(count for name, count in self.after.items() if name not in set(ReasonCode))

    def explain(self) -> str:
        """One sentence for a person."""
        gone = (
            f"; raw bytes of {self.past_retention:,} more are past retention"
            if self.past_retention
            else ""
        )
        if not self.before:
            return f"{self.stream}: no rejects to replay{gone}"
        was = ", ".join(f"{name} {count:,}" for name, count in self.before.items())
        now = ", ".join(f"{name} {count:,}" for name, count in self.after.items())
        return f"{self.stream}: {was} -> {now}{gone}"


def replay_rejects(
    platform: Platform,
    stream: str,
    *,
    reasons: Collection[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
    from_broker: bool = False,
) -> ReplayReport:
    """Refine the rejects of a stream again, with the rows between them.

    Args:
        platform: the opened parts; no broker is needed but for ``from_broker``.
        stream: name of the stream.
        reasons: only rejects of these reason codes; empty: of any.
        start: only messages that the broker got at or after this instant, UTC.
        end: only messages that the broker got before this instant, UTC.
        from_broker: read from the broker what the landing no longer has.

    Raises:
        ValueError: no such stream or reason code.
        LakeError: the lake failed; what was announced is resumed by the next run.
        StreamError: with ``from_broker``, the broker failed or has another topic.
    """
    known = stream_named(stream)
    unknown = sorted(set(reasons) - set(ReasonCode))
    if unknown:
        raise ValueError(
            f"no reason code {unknown[0]!r}; choose from {', '.join(str(c) for c in ReasonCode)}"
        )
    resume_restatements(platform, stream)
    events = events_snapshot(platform.storage, known.topic, known.events_schema)
    if events is None:
        return ReplayReport(stream, {}, {}, 0, ())
    rejects = _rejects(events, reasons, start, end)
    landed = _with_raw_bytes(platform, known, rejects, from_broker=from_broker)
    revisions = []
    for (topic_id,), mine in sorted(landed.group_by("topic_id"), key=lambda item: str(item[0])):
        ranges = join_near(
            stored_spans(mine.with_columns(gap_length=pl.lit(None, pl.Int64))), _NEAR
        )
        reason = f"replay of {', '.join(sorted(reasons)) or 'rejects'}"
        done = restate(
            platform, known, str(topic_id), ranges, reason=reason, from_broker=from_broker
        )
        revisions += [item.revision for item in done]
    return ReplayReport(
        stream=stream,
        before=_counted(landed, "reason_code"),
        after=_now(platform, known, landed),
        past_retention=rejects.height - landed.height,
        revisions=tuple(revisions),
    )


def _rejects(
    events: Snapshot, reasons: Collection[str], start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    rows = events.scan().filter(pl.col("disposition") == Disposition.REJECTED)
    if reasons:
        rows = rows.filter(pl.col("reason_code").is_in(sorted(reasons)))
    if start is not None:
        rows = rows.filter(pl.col("kafka_timestamp") >= start)
    if end is not None:
        rows = rows.filter(pl.col("kafka_timestamp") < end)
    return events.collect(rows.select(*_PLACE, "reason_code"))


def _with_raw_bytes(
    platform: Platform, stream: Stream, rejects: pl.DataFrame, *, from_broker: bool
) -> pl.DataFrame:
    landing = raw_snapshot(platform.storage, stream.topic)
    if landing is None or rejects.is_empty():
        return rejects.clear()
    bounds = rejects.select(pl.col("offset").min().alias("low"), pl.col("offset").max()).row(0)
    kept = landing.collect(
        landing.scan().filter(pl.col("offset").is_between(*bounds)).select(_PLACE)
    )
    landed = rejects.join(kept, on=_PLACE, how="semi")
    if not from_broker:
        return landed
    rest = rejects.join(kept, on=_PLACE, how="anti")
    there = [
        rest.filter(
            pl.col("topic_id") == topic_id,
            pl.col("partition") == partition,
            pl.col("offset") >= begin,
        )
        for topic_id in rest["topic_id"].unique().sort().to_list()
        for partition, begin in first_at_broker(platform, stream, topic_id).items()
    ]
    return pl.concat([landed, *there])


def _now(platform: Platform, stream: Stream, replayed: pl.DataFrame) -> dict[str, int]:
    events = events_snapshot(platform.storage, stream.topic, stream.events_schema)
    if events is None or replayed.is_empty():
        return {}
    found = []
    for (topic_id, partition), mine in replayed.group_by("topic_id", "partition"):
        span = OffsetRange(int(str(partition)), *_reach(mine))
        rows = events.read(
            str(topic_id),
            span.partition,
            span.start,
            span.end,
            columns=[*_PLACE, "disposition", "reason_code"],
        )
        found.append(rows.join(mine, on=_PLACE, how="semi"))
    rows = pl.concat(found)
    return _counted(
        rows.with_columns(pl.coalesce("reason_code", "disposition").alias("outcome")), "outcome"
    )


def _reach(rows: pl.DataFrame) -> tuple[int, int]:
    low, high = rows.select(pl.col("offset").min().alias("low"), pl.col("offset").max()).row(0)
    return int(low), int(high) + 1


def _counted(rows: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(sorted(Counter(rows[column].to_list()).items()))

"""Measures of one stream and of the marts, as plain numbers.

Belongs here: shares, rates and delays, computed from frames of refined rows or from query results.
Does not belong here: which value is too high (``settings.quality``) and who is told.

Nothing here reads a clock: a delay is the distance between two stored times, so that a replayed
or simulated history is judged like a live one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

import polars as pl

from adx_platform.contracts.columns import TIMESTAMP, DataType
from adx_platform.contracts.dispositions import GAP_DISPOSITIONS, Disposition

Query: TypeAlias = Callable[[str], pl.DataFrame]
"""Runs one SQL text against a warehouse."""

_MEASURED_COLUMNS: dict[str, DataType] = {
    "disposition": pl.String,
    "reason_code": pl.String,
    "is_late": pl.Boolean,
    "event_time": TIMESTAMP,
    "kafka_timestamp": TIMESTAMP,
}
MEASURED_SCHEMA = pl.Schema(_MEASURED_COLUMNS)
"""Columns of refined rows that :func:`measure_stream` reads."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole; ``value`` is null where there is no whole to speak of."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1."""
        return self.part / self.whole if self.whole else None

    @property
    def certain(self) -> float:
        """What the share is at least, with 99.995 % confidence (Wilson, lower bound); 0 of nothing.

        Two rejects among eighteen messages of a quiet hour are 11 %, and say nothing. A resident
        loop asks some thousand times a day: with 97.5 % confidence three rejects of eight messages
        opened an incident twice in the first three minutes of a quiet day.
        """
        if not self.whole:
            return 0.0
        z = 3.89
        share, n = self.part / self.whole, self.whole
        middle = share + z * z / (2 * n)
        spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return max(0.0, (middle - spread) / (1 + z * z / n))

    def __str__(self) -> str:
        value = self.value
        return (
            "nothing to measure" if value is None else f"{value:.2%} ({self.part} of {self.whole})"
        )


@dataclass(frozen=True, slots=True)
class StreamMeasures:
    """What a window of refined rows says about its stream.

    Attributes:
        rejects: rejected of the recent messages; gap rows are no messages.
        late: late of the recent accepted events.
        reasons: recent rejected messages by reason code, the most frequent first.
        newest_event_time: of all accepted events.
        newest_kafka_timestamp: of all messages.
    """

    rejects: Share
    late: Share
    reasons: dict[str, int]
    newest_event_time: datetime | None
    newest_kafka_timestamp: datetime | None

    @property
    def event_delay(self) -> timedelta | None:
        """How far the newest accepted event lies behind the newest message; null without both.

        It grows when messages arrive and none of them brings current events: a stuck sender, a
        replay of old data, or a contract that rejects everything new.
        """
        if self.newest_event_time is None or self.newest_kafka_timestamp is None:
            return None
        return max(timedelta(), self.newest_kafka_timestamp - self.newest_event_time)


def measure_stream(rows: pl.DataFrame, *, recent: timedelta | None = None) -> StreamMeasures:
    """Measure refined rows that have the columns of :data:`MEASURED_SCHEMA`.

    Args:
        rows: the newest rows of a stream.
        recent: shares are of the messages that arrived so long before the newest one, or later, so
            that a storm of an hour is not lost in a day of sound messages; null: of all rows.
    """
    messages = rows.filter(~pl.col("disposition").is_in([*GAP_DISPOSITIONS]))
    accepted = messages.filter(pl.col("disposition") == Disposition.ACCEPTED)
    newest = messages.select(pl.col("kafka_timestamp").max()).item()
    shared = (
        messages
        if recent is None or newest is None
        else messages.filter(pl.col("kafka_timestamp") > newest - recent)
    )
    timely = shared.filter(pl.col("disposition") == Disposition.ACCEPTED)
    rejected = shared.filter(pl.col("disposition") == Disposition.REJECTED)
    reasons = (
        rejected.group_by("reason_code")
        .len("rows")
        .sort("rows", "reason_code", descending=[True, False])
    )
    return StreamMeasures(
        rejects=Share(rejected.height, shared.height),
        late=Share(int(timely["is_late"].fill_null(value=False).sum()), timely.height),
        reasons={str(code): int(count) for code, count in reasons.iter_rows()},
        newest_event_time=accepted.select(pl.col("event_time").max()).item(),
        newest_kafka_timestamp=newest,
    )


class Lag(Protocol):
    """What this module needs to know of a partition's lag."""

    @property
    def behind(self) -> int:
        """Offsets at the broker that are not refined yet."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """Offsets not refined yet: of all partitions together, and of the worst one."""

    total: int
    worst: int


def backlog(lags: Iterable[Lag]) -> Backlog:
    """Sum up the lags of a stream's partitions."""
    behind = [lag.behind for lag in lags]
    return Backlog(sum(behind), max(behind, default=0))


CORRELATION_SQL = """
select
    count(*) as rendered,
    coalesce(sum(case when won_at is not null or billed_at is not null then 1 else 0 end), 0)
        as correlated
from marts.fct_impressions
where rendered_at is not null
"""


def correlation_share(query: Query) -> Share:
    """Rendered impressions that found their win or billing notice, of all rendered ones."""
    ((rendered, correlated),) = query(CORRELATION_SQL).select("rendered", "correlated").rows()
    return Share(int(correlated), int(rendered))

"""What a step says about a commit: counts for people, derived from the rows it wrote.

Belongs here: the report of one batch. Does not belong here: truth, which is in the stored rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.offsets import OffsetRange

MOST_NOTED: Final = 20
"""Names in a report; a sender that makes up field names must not fill the log."""
_LONGEST_NOTED: Final = 80


@dataclass(frozen=True, slots=True)
class KafkaTimes:
    """When the messages of a batch were produced, by their Kafka timestamps.

    Attributes:
        early: one message in twenty is as old or older.
        median: half of them are.
        newest: of all of them.
    """

    early: datetime
    median: datetime
    newest: datetime


@dataclass(frozen=True)
class BatchReport:
    """One range that was landed and refined, or landed earlier and refined now.

    Attributes:
        stream: name of the stream.
        lane: which of its lanes.
        topic_id: identity of the topic.
        ranges: what the batch covers, one range per partition.
        raw_version: version of the landing that holds the batch.
        events_version: version of the events table that holds the batch.
        counts: offsets by disposition; a gap row counts with its length.
        reasons: rejected rows by reason code.
        late: accepted, duplicate and conflicting rows that were late.
        seconds: from planning to the second commit.
        kafka_times: when its messages were produced; null if there are only gaps.
        noted: what its messages have otherwise than the contract, and was let pass: added fields
            by name, widened types as ``path: written type -> contract type``.
    """

    stream: str
    lane: int
    topic_id: str
    ranges: tuple[OffsetRange, ...]
    raw_version: int
    events_version: int
    counts: dict[str, int]
    reasons: dict[str, int]
    late: int
    seconds: float
    kafka_times: KafkaTimes | None = None
    noted: tuple[str, ...] = ()


def kafka_times(raw: pl.DataFrame) -> KafkaTimes | None:
    """The spread of the Kafka timestamps of landed rows; ``None`` if no row has one."""
    times = raw["kafka_timestamp"].drop_nulls().sort()
    if times.is_empty():
        return None
    return KafkaTimes(times[(len(times) - 1) // 20], times[(len(times) - 1) // 2], times[-1])


def offset_ranges(spans: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """``spans`` as the streams' value type."""
    return tuple(OffsetRange(span.partition, span.start, span.end) for span in spans)


def disposition_counts(events: pl.DataFrame) -> dict[str, int]:
    """Offsets by disposition, every disposition named; gap rows count with their length."""
    found = dict(
        events.group_by("disposition").agg(pl.col("gap_length").fill_null(1).sum()).iter_rows()
    )
    return {str(name): int(found.get(str(name), 0)) for name in Disposition}


def reason_counts(events: pl.DataFrame) -> dict[str, int]:
    """Rejected rows by reason code, in alphabetical order."""
    return dict(sorted(events["reason_code"].drop_nulls().value_counts().iter_rows()))


def late_count(events: pl.DataFrame) -> int:
    """Rows that were late at the broker."""
    return int(events["is_late"].sum())


def noted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names for people, sorted: long ones are cut, and of very many the rest is counted."""
    cut = sorted({n if len(n) <= _LONGEST_NOTED else f"{n[:_LONGEST_NOTED]}..." for n in names})
    more = len(cut) - MOST_NOTED
    return (*cut[:MOST_NOTED], *([f"and {more:,} more"] if more > 0 else []))

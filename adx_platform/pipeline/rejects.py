"""Rejected records: listing them, and reaching their raw bytes by (partition, offset).

Belongs here: the two look-ups. Does not belong here: showing them (``cli``) or mending them
(``reprocess``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.contracts.streams import stream_named
from adx_platform.lake.errors import LakeError
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.pipeline.platform import Platform

_COLUMNS = (
    "topic_id",
    "partition",
    "offset",
    "kafka_timestamp",
    "revision",
    "reason_code",
    "reason",
    "record_type",
    "event_id",
    "event_time",
)


@dataclass(frozen=True, slots=True)
class Reject:
    """One rejected record: where it is, and why it was refused.

    ``record_type``, ``event_id`` and ``event_time`` are what could be read of it, if anything.
    """

    stream: str
    topic_id: str
    partition: int
    offset: int
    kafka_timestamp: datetime | None
    revision: int
    reason_code: str
    reason: str
    record_type: str | None
    event_id: str | None
    event_time: datetime | None


@dataclass(frozen=True, slots=True)
class RawMessage:
    """The message as it came from the broker."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class ShownReject:
    """A reject with its bytes; ``raw`` is ``None`` once the landing's retention removed them."""

    reject: Reject
    raw: RawMessage | None

    @property
    def is_past_retention(self) -> bool:
        """Whether the raw bytes are gone."""
        return self.raw is None


def list_rejects(
    platform: Platform, stream: str, *, reason: str | None = None, limit: int = 50
) -> list[Reject]:
    """The newest rejected records by Kafka timestamp.

    Args:
        platform: the opened parts; no broker is needed.
        stream: name of the stream.
        reason: only this reason code.
        limit: at most so many.

    Raises:
        ValueError: no such stream or reason code, or ``limit`` is below 1.
        LakeUnavailable: the storage failed.
    """
    known = stream_named(stream)
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if reason is not None and reason not in set(ReasonCode):
        raise ValueError(
            f"no reason code {reason!r}; choose one of {', '.join(str(c) for c in ReasonCode)}"
        )
    events = events_snapshot(platform.storage, known.topic, known.events_schema)
    if events is None:
        return []
    rows = _rejected(events)
    if reason is not None:
        rows = rows.filter(pl.col("reason_code") == reason)
    found = events.collect(
        rows.sort(
            ["kafka_timestamp", "partition", "offset"], descending=True, nulls_last=True
        ).head(limit)
    )
    return [Reject(stream, *row) for row in found.iter_rows()]


def show_reject(
    platform: Platform, stream: str, partition: int, offset: int, *, topic_id: str | None = None
) -> ShownReject:
    """One rejected record with its raw bytes.

    Args:
        platform: the opened parts; no broker is needed.
        stream: name of the stream.
        partition: Kafka partition.
        offset: Kafka offset.
        topic_id: needed only where the offset exists in several incarnations of the topic.

    Raises:
        ValueError: no such stream.
        LakeError: no record was rejected there, or ``topic_id`` is needed.
    """
    known = stream_named(stream)
    where = f"{stream} partition {partition} offset {offset}"
    events = events_snapshot(platform.storage, known.topic, known.events_schema)
    found = pl.DataFrame()
    if events is not None:
        rows = _rejected(events).filter(
            pl.col("partition") == partition, pl.col("offset") == offset
        )
        if topic_id is not None:
            rows = rows.filter(pl.col("topic_id") == topic_id)
        found = events.collect(rows)
    if found.is_empty():
        raise LakeError(
            f"no record was rejected at {where}; `adx rejects ls` shows those that were"
        )
    if found.height > 1:
        raise LakeError(
            f"{where} exists in several incarnations of the topic: say which one by topic_id, one "
            f"of {', '.join(found['topic_id'])}"
        )
    reject = Reject(stream, *found.row(0))
    return ShownReject(reject, _raw_message(platform, known.topic, reject))


def _rejected(events: Snapshot) -> pl.LazyFrame:
    return events.scan().filter(pl.col("disposition") == Disposition.REJECTED).select(_COLUMNS)


def _raw_message(platform: Platform, topic: str, reject: Reject) -> RawMessage | None:
    landing = raw_snapshot(platform.storage, topic)
    if landing is None:
        return None
    rows = landing.read(
        reject.topic_id,
        reject.partition,
        reject.offset,
        reject.offset + 1,
        columns=["key", "value", "headers"],
    )
    if rows.is_empty():
        return None
    key, value, headers = rows.row(0)
    return RawMessage(key, value, tuple((h["key"], h["value"]) for h in headers or ()))

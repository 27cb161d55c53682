"""Every message of a run in columns, and the truth about each.

Belongs here: collecting messages, giving them their places in the partitions, and deriving from the
whole run what the platform must decide about each. Does not belong here: making messages.

The verdicts are derived from the collected messages by the rules of the contract (winner = lowest
Kafka timestamp, partition, sequence; time bounds judged against the Kafka timestamp), in one pass
over everything that was sent, and share no code with the platform's own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.settings import RefineSettings
from adx_platform.simulate.encoding import Encoded
from adx_platform.simulate.events import TOPIC_OF, TOPICS, TRUTH_COLUMNS, Event

HEADERS_DTYPE = pl.List(pl.Struct({"key": pl.String, "value": pl.Binary}))

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "topic": pl.String,
    "partition": pl.Int32,
    "timestamp_ms": pl.Int64,
    "key": pl.Binary,
    "value": pl.Binary,
    "headers": HEADERS_DTYPE,
    "record_type": pl.String,
    "event_id": pl.String,
    "event_time_us": pl.Int64,
    "fault": pl.String,
    "broken_reason": pl.String,
    "content": pl.Int64,
}
_PLACE = ("timestamp_ms", "partition", "sequence")


_CHUNK = 10_000


class _Rows:
    """Rows that become columns chunk by chunk: Python objects cost about ten times the memory."""

    def __init__(self, schema: dict[str, pl.DataType | type[pl.DataType]]) -> None:
        self._schema = schema
        self._open: list[tuple[Any, ...]] = []
        self._closed: list[pl.DataFrame] = []
        self.count = 0

    def append(self, row: tuple[Any, ...]) -> None:
        self._open.append(row)
        self.count += 1
        if len(self._open) == _CHUNK:
            self._close()

    def frame(self) -> pl.DataFrame:
        self._close()
        return pl.concat(self._closed)

    def _close(self) -> None:
        columns = zip(*self._open, strict=True) if self._open else ([] for _ in self._schema)
        self._closed.append(
            pl.DataFrame(
                [
                    _column(name, dtype, list(values))
                    for (name, dtype), values in zip(self._schema.items(), columns, strict=True)
                ]
            )
        )
        self._open = []


def _column(name: str, dtype: pl.DataType | type[pl.DataType], values: list[Any]) -> pl.Series:
    """As polars itself makes it, but nested values by Arrow, which is many times as fast."""
    if not dtype.is_nested():
        return pl.Series(name, values, dtype=dtype)
    array_type = pl.Series([], dtype=dtype).to_arrow(compat_level=pl.CompatLevel.oldest()).type
    return pl.Series(name, pa.array(values, type=array_type)).cast(dtype)


class MessageSink(Protocol):
    """Where a sender's messages go."""

    def content(self, event: Event) -> int:
        """Note what an event says; returns a number for it."""

    def add(
        self,
        event: Event,
        encoded: Encoded,
        *,
        partition: int,
        timestamp_ms: int,
        fault: str | None,
        content: int | None,
        reason: ReasonCode | None = None,
    ) -> None:
        """Take one message; a broken one has a reason and no content."""


class MessageLog:
    """Collects messages; :meth:`judged` gives them back in send order with their verdicts."""

    def __init__(self) -> None:
        self._messages = _Rows(_SCHEMA)
        self._contents = {name: _Rows(columns) for name, columns in TRUTH_COLUMNS.items()}

    def __len__(self) -> int:
        return self._messages.count

    def content(self, event: Event) -> int:
        """Note what an event says; returns its number among those of its record type."""
        contents = self._contents[event.record_type]
        contents.append(tuple(map(event.fields.get, TRUTH_COLUMNS[event.record_type])))
        return contents.count - 1

    def add(
        self,
        event: Event,
        encoded: Encoded,
        *,
        partition: int,
        timestamp_ms: int,
        fault: str | None,
        content: int | None,
        reason: ReasonCode | None = None,
    ) -> None:
        """Note one message; a broken one has a reason and no content."""
        self._messages.append(
            (
                TOPIC_OF[event.record_type],
                partition,
                timestamp_ms,
                event.key.encode(),
                encoded.value,
                encoded.headers,
                event.record_type,
                event.event_id,
                event.time_us if reason is None else None,
                fault,
                None if reason is None else reason.value,
                content,
            )
        )

    def judged(self, bounds: RefineSettings) -> pl.DataFrame:
        """All messages with place and verdict.

        Returns:
            One row per message, by topic, Kafka timestamp, partition and sequence, with columns
            topic, partition, sequence, timestamp_ms, key, value, headers, record_type, event_id,
            event_time, fault, expected_disposition, expected_reason_code, is_late, content.
        """
        frame = self._messages.frame().with_row_index("sent")
        placed = frame.sort("topic", "partition", "timestamp_ms", "sent").with_columns(
            sequence=pl.int_range(pl.len(), dtype=pl.Int64).over("topic", "partition")
        )
        return _with_dispositions(_with_time_verdicts(placed, bounds)).sort("topic", *_PLACE)

    def content_frame(self, record_type: str) -> pl.DataFrame:
        """What the events of a record type said, by content number."""
        return self._contents[record_type].frame().with_row_index("content")


def _with_time_verdicts(frame: pl.DataFrame, bounds: RefineSettings) -> pl.DataFrame:
    behind = pl.col("timestamp_ms") * 1_000 - pl.col("event_time_us")
    reason = (
        pl.when(pl.col("broken_reason").is_not_null())
        .then(pl.col("broken_reason"))
        .when(behind < -_microseconds(bounds.future_tolerance))
        .then(pl.lit(ReasonCode.EVENT_IN_FUTURE.value))
        .when(behind > _microseconds(bounds.oldest_accepted))
        .then(pl.lit(ReasonCode.EVENT_TOO_OLD.value))
    )
    return frame.with_columns(
        expected_reason_code=reason,
        event_time=pl.col("event_time_us").cast(pl.Datetime("us", "UTC")),
        is_late=(behind > _microseconds(bounds.late_after)).fill_null(value=False),
    ).drop("event_time_us", "broken_reason", "sent")


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _with_dispositions(frame: pl.DataFrame) -> pl.DataFrame:
    """Winner, duplicates and conflicts among the messages that are otherwise good."""
    good = frame.filter(pl.col("expected_reason_code").is_null())
    repeated = good.filter(pl.len().over("topic", "event_id") > 1).sort(*_PLACE)
    by_event = ("topic", "event_id")
    marks = repeated.select(
        "topic",
        "partition",
        "sequence",
        mark=pl.when(pl.int_range(pl.len()).over(by_event) == 0)
        .then(pl.lit(Disposition.ACCEPTED.value))
        .when(pl.col("value") == pl.col("value").first().over(by_event))
        .then(pl.lit(Disposition.DUPLICATE.value))
        .otherwise(pl.lit(Disposition.CONFLICT.value)),
    )
    return (
        frame.join(marks, on=["topic", "partition", "sequence"], how="left", maintain_order="left")
        .with_columns(
            expected_disposition=pl.when(pl.col("expected_reason_code").is_not_null())
            .then(pl.lit(Disposition.REJECTED.value))
            .otherwise(pl.col("mark").fill_null(Disposition.ACCEPTED.value))
        )
        .drop("mark")
    )


def topic_counts(frame: pl.DataFrame) -> dict[str, int]:
    """Messages per topic, every topic included."""
    found = dict(frame.group_by("topic").len().iter_rows())
    return {topic: found.get(topic, 0) for topic in TOPICS}

"""From librdkafka's messages to the raw frame, with a row for every run of missing offsets.

Belongs here: building columns and finding gaps, pure and without a broker. Does not belong here:
fetching (``reader``) or the meaning of the bytes (``codecs``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
from confluent_kafka import Message

from adx_platform.contracts.columns import TIMESTAMP
from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.envelope import HEADER_DTYPE, RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.streams.errors import StreamError

_MICROS_PER_MILLI: Final = 1000
_CHUNK: Final = 8_192
_Headers = list[tuple[str, bytes | None]]


class MessageColumns:
    """Collects the messages of one partition, column by column, so that they can be let go of."""

    def __init__(self) -> None:
        self._chunks: list[pl.DataFrame] = []
        self._offsets: list[int] = []
        self._timestamps: list[int] = []
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._headers: list[_Headers | None] = []
        self.next_offset: int | None = None
        """The offset after the last message; None while there is none."""
        self.value_bytes = 0
        """Size of all values together."""

    def extend(self, messages: Sequence[Message]) -> None:
        """Add ``messages``, all of one partition, in the order of their offsets."""
        if not messages:
            return
        # map() over unbound methods stays in C: half the cost of a loop that touches each message.
        self._offsets.extend(map(Message.offset, messages))  # type: ignore[arg-type]  # never None here
        self._timestamps.extend([time for _, time in map(Message.timestamp, messages)])
        self._keys.extend(map(Message.key, messages))
        self._values.extend(map(Message.value, messages))
        self._headers.extend(map(Message.headers, messages))  # type: ignore[arg-type]  # a list, as received
        self.value_bytes += sum(map(len, messages))
        self.next_offset = self._offsets[-1] + 1
        if len(self._offsets) >= _CHUNK:
            self._seal()

    def frame(self, topic_id: str, partition: int) -> pl.DataFrame:
        """The messages as rows of ``RAW_SCHEMA``, in their order, without gap rows."""
        self._seal()
        return pl.concat(self._chunks).select(
            pl.lit(topic_id).alias("topic_id"),
            pl.lit(partition, dtype=pl.Int32).alias("partition"),
            "offset",
            pl.lit(None, dtype=pl.String).alias("gap_kind"),
            pl.lit(None, dtype=pl.Int64).alias("gap_length"),
            "kafka_timestamp",
            "key",
            "value",
            "headers",
        )

    def _seal(self) -> None:
        """Turn the lists into columns: the bytes are then held once, and their objects reused."""
        if self._chunks and not self._offsets:
            return
        times = pl.Series(self._timestamps, dtype=pl.Int64)
        self._chunks.append(
            pl.DataFrame(
                {
                    "offset": pl.Series(self._offsets, dtype=pl.Int64),
                    # A negative timestamp is librdkafka's "not available".
                    "kafka_timestamp": (times * _MICROS_PER_MILLI)
                    .set(times < 0, None)
                    .cast(TIMESTAMP),
                    "key": pl.Series(self._keys, dtype=pl.Binary),
                    "value": pl.Series(self._values, dtype=pl.Binary),
                    "headers": _header_series(self._headers),
                }
            )
        )
        self._offsets, self._timestamps, self._keys = [], [], []
        self._values, self._headers = [], []


def raw_frame(
    topic_id: str,
    messages: Mapping[int, MessageColumns],
    ranges: Iterable[OffsetRange],
    losses: Iterable[OffsetRange] = (),
) -> pl.DataFrame:
    """Rows of ``RAW_SCHEMA`` that account for every offset of ``ranges`` and ``losses``.

    Args:
        topic_id: identity of the topic.
        messages: partition -> the messages that were found in its range.
        ranges: at most one per partition; an offset without a message becomes part of an
            ``absent`` gap row.
        losses: offsets that the broker no longer has; each range becomes one ``lost`` gap row.

    Raises:
        StreamError: offsets do not ascend or lie outside their range; nothing may be stored.
    """
    parts: list[pl.DataFrame] = []
    for item in sorted(ranges):
        columns = messages.get(item.partition) or MessageColumns()
        found = columns.frame(topic_id, item.partition)
        _check_order(found["offset"], item)
        # Rows come in order: sorting the bytes once more would cost a tenth of the whole read.
        gaps = _absent_rows(found, topic_id, item)
        parts.append(pl.concat([found, gaps]).sort("offset") if gaps.height else found)
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=RAW_SCHEMA)
    lost = [_lost_row(rows, topic_id, item) for item in losses if item.count]
    if lost:
        rows = pl.concat([rows, *lost]).sort("partition", "offset")
    return rows.match_to_schema(RAW_SCHEMA)


def covered_ranges(raw: pl.DataFrame) -> tuple[OffsetRange, ...]:
    """The ranges that the rows of ``raw`` account for, gap rows with their whole length."""
    spans = raw.select("partition", "offset", pl.col("gap_length").fill_null(1)).rows()
    return merge_ranges(OffsetRange(p, start, start + length) for p, start, length in spans)


def _check_order(offsets: pl.Series, item: OffsetRange) -> None:
    if offsets.is_empty():
        return
    steps = offsets.diff().drop_nulls()
    if offsets[0] < item.start or offsets[-1] >= item.end or (steps <= 0).any():
        raise StreamError(
            f"the client delivered offsets out of order or outside of {item} (first {offsets[0]}, "
            f"last {offsets[-1]}, {len(offsets)} messages); nothing was stored, read it again"
        )


def _absent_rows(found: pl.DataFrame, topic_id: str, item: OffsetRange) -> pl.DataFrame:
    if found.height == item.count:
        return pl.DataFrame(schema=RAW_SCHEMA)
    # One row beyond the last message closes the range; its time is that of the last message.
    closed = pl.concat(
        [
            found.select("offset", "kafka_timestamp"),
            pl.DataFrame(
                {"offset": [item.end], "kafka_timestamp": [None]},
                schema={"offset": pl.Int64, "kafka_timestamp": TIMESTAMP},
            ),
        ]
    ).with_columns(
        pl.col("offset").shift(1).add(1).fill_null(item.start).alias("expected"),
        pl.when(pl.col("offset") == item.end)
        .then(pl.col("kafka_timestamp").shift(1))
        .otherwise("kafka_timestamp")
        .alias("kafka_timestamp"),
    )
    gaps = closed.filter(pl.col("offset") > pl.col("expected"))
    return _gap_rows(
        topic_id,
        item.partition,
        Disposition.ABSENT,
        gaps.select(
            pl.col("expected").alias("offset"),
            (pl.col("offset") - pl.col("expected")).alias("gap_length"),
            "kafka_timestamp",
        ),
    )


def _lost_row(rows: pl.DataFrame, topic_id: str, item: OffsetRange) -> pl.DataFrame:
    partition = rows.filter(pl.col("partition") == item.partition).sort("offset")
    following = partition.filter(pl.col("offset") >= item.end)["kafka_timestamp"].drop_nulls()
    gap = pl.DataFrame(
        {
            "offset": [item.start],
            "gap_length": [item.count],
            "kafka_timestamp": [following[0] if len(following) else None],
        },
        schema={"offset": pl.Int64, "gap_length": pl.Int64, "kafka_timestamp": TIMESTAMP},
    )
    return _gap_rows(topic_id, item.partition, Disposition.LOST, gap)


def _gap_rows(topic_id: str, partition: int, kind: Disposition, gaps: pl.DataFrame) -> pl.DataFrame:
    return gaps.select(
        pl.lit(topic_id).alias("topic_id"),
        pl.lit(partition, dtype=pl.Int32).alias("partition"),
        "offset",
        pl.lit(kind.value).alias("gap_kind"),
        "gap_length",
        "kafka_timestamp",
        pl.lit(None, dtype=pl.Binary).alias("key"),
        pl.lit(None, dtype=pl.Binary).alias("value"),
        pl.lit(None, dtype=HEADER_DTYPE).alias("headers"),
    )


def _header_series(headers: list[_Headers | None]) -> pl.Series:
    if headers.count(None) == len(headers):
        return pl.Series([None], dtype=HEADER_DTYPE).new_from_index(0, len(headers))
    flat = [header for several in headers if several for header in several]
    ends = [0]
    for several in headers:
        ends.append(ends[-1] + (len(several) if several else 0))
    # Arrow takes the flat columns as they are; a list of dicts per message is ten times slower.
    pairs = pa.StructArray.from_arrays(
        [
            pa.array([name for name, _ in flat], pa.large_string()),
            pa.array([value for _, value in flat], pa.large_binary()),
        ],
        names=["key", "value"],
    )
    lists = pa.LargeListArray.from_arrays(
        pa.array(ends, pa.int64()),
        pairs,
        mask=pa.array([several is None for several in headers], pa.bool_()),
    )
    return pl.Series(pl.from_arrow(lists), dtype=HEADER_DTYPE)

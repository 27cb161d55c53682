"""What the warehouse stores of a stream, for the recount.

Belongs here: the queries that fetch offsets, cursors and starts from the loader's tables. Does not
belong here: the recount (``conservation``) or writing anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from adx_platform.quality.conservation import (
    EXPIRED,
    STORED_ROWS_SCHEMA,
    OffsetEquation,
    PartitionKey,
    recount,
)
from adx_platform.quality.metrics import Query


@dataclass(frozen=True, slots=True)
class LoadedBounds:
    """Per partition: the first offset ever loaded, and the loader's cursor."""

    starts: dict[PartitionKey, int]
    cursors: dict[PartitionKey, int]

    def tails(self, offsets: int) -> dict[PartitionKey, int]:
        """Where the last ``offsets`` offsets begin, for the partitions that are longer."""
        return {
            key: end - offsets
            for key, end in self.cursors.items()
            if end - offsets > self.starts.get(key, end)
        }


def loaded_bounds(query: Query, stream: str) -> LoadedBounds:
    """Read from the loader's books how far ``stream`` was loaded, and from where."""
    cursors = query(
        "select topic_id, partition_id, next_offset from control.cursors "  # noqa: S608 names are ours, values are quoted
        f"where stream = {_literal(stream)}"
    )
    starts = query(
        "select topic_id, partition_id, min(start_offset) as start_offset "  # noqa: S608 names are ours, values are quoted
        f"from control.load_ranges where stream = {_literal(stream)} and kind = 'forward' "
        "group by topic_id, partition_id"
    )
    return LoadedBounds(starts=_by_partition(starts), cursors=_by_partition(cursors))


def stored_rows(
    query: Query,
    stream: str,
    event_tables: Sequence[str],
    *,
    since: Mapping[PartitionKey, int] | None = None,
) -> pl.DataFrame:
    """Every offset of ``stream`` that the raw warehouse tables hold.

    Args:
        query: runs SQL against the warehouse.
        stream: name of the stream.
        event_tables: the stream's event tables (one row per offset), with their schema.
        since: where to begin, for the partitions that are not to be read from their first offset.

    Returns:
        A frame in ``STORED_ROWS_SCHEMA``.
    """
    parts = [
        "select topic_id, partition_id, kafka_offset, cast(null as bigint) as gap_length, "  # noqa: S608 names are ours, values are quoted
        f"disposition as term from {table} where {_beyond(since, 'kafka_offset')}"
        for table in event_tables
    ]
    parts.append(
        "select topic_id, partition_id, kafka_offset, cast(null as bigint) as gap_length, "  # noqa: S608 names are ours, values are quoted
        f"'rejected' as term from raw.rejects where stream = {_literal(stream)} "
        f"and {_beyond(since, 'kafka_offset')}"
    )
    parts.append(
        "select topic_id, partition_id, kafka_offset, gap_length, gap_kind as term "  # noqa: S608 names are ours, values are quoted
        f"from raw.gaps where stream = {_literal(stream)} "
        f"and {_beyond(since, 'kafka_offset + gap_length - 1')}"
    )
    parts.append(
        "select topic_id, partition_id, start_offset as kafka_offset, "  # noqa: S608 names are ours, values are quoted
        f"end_offset - start_offset as gap_length, '{EXPIRED}' as term "
        f"from control.expired_offsets where stream = {_literal(stream)} "
        f"and {_beyond(since, 'end_offset - 1')}"
    )
    return (
        query(" union all ".join(parts))
        .rename({"partition_id": "partition", "kafka_offset": "offset"})
        .cast(STORED_ROWS_SCHEMA)
        .select(STORED_ROWS_SCHEMA.names())
    )


def recount_warehouse(
    query: Query, stream: str, event_tables: Sequence[str], *, tail: int | None = None
) -> tuple[OffsetEquation, ...]:
    """Recount ``stream`` in the raw warehouse tables against the loader's cursor.

    Args:
        query: runs SQL against the warehouse.
        stream: name of the stream.
        event_tables: the stream's event tables, with their schema.
        tail: count only the last so many offsets of each partition; null: all of them.
    """
    bounds = loaded_bounds(query, stream)
    since = bounds.tails(tail) if tail is not None else {}
    return recount(
        stored_rows(query, stream, event_tables, since=since),
        bounds.cursors,
        layer="warehouse",
        stream=stream,
        starts=bounds.starts,
        since=since,
    )


def _by_partition(frame: pl.DataFrame) -> dict[PartitionKey, int]:
    return {
        (str(topic_id), int(partition)): int(value) for topic_id, partition, value in frame.rows()
    }


def _beyond(since: Mapping[PartitionKey, int] | None, last_offset: str) -> str:
    """A condition that keeps what reaches ``since``, and all of the partitions not in it."""
    conditions = [
        f"not (topic_id = {_literal(topic_id)} and partition_id = {partition} "
        f"and {last_offset} < {start})"
        for (topic_id, partition), start in (since or {}).items()
    ]
    return " and ".join(conditions) or "1 = 1"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

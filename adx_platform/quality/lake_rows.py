"""What the lake stores of a stream, for the recount and the measures.

Belongs here: fetching the rows of one snapshot together with the cursors of that same snapshot, so
that a concurrent lane cannot make the two disagree. Does not belong here: the recount
(``conservation``) or the measures (``metrics``).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.offsets import without_ranges
from adx_platform.contracts.streams import Stream
from adx_platform.lake.ranges import stored_spans
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.lake.repairs import past_retention
from adx_platform.lake.sources import known_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.conservation import (
    EXPIRED,
    LANDED,
    STORED_ROWS_SCHEMA,
    OffsetEquation,
    PartitionKey,
    recount,
)
from adx_platform.quality.metrics import MEASURED_SCHEMA

_KEY_COLUMNS = ("topic_id", "partition", "offset", "gap_length")


@dataclass(frozen=True, slots=True)
class RefinedWindow:
    """Refined rows of one snapshot, with the equations recounted from them.

    Attributes:
        version: lake version of the snapshot; null if nothing was refined yet.
        rows: the rows in the columns of ``MEASURED_SCHEMA``.
        equations: one per partition.
    """

    version: int | None
    rows: pl.DataFrame
    equations: tuple[OffsetEquation, ...]


def refined_window(
    storage: LakeStorage, stream: Stream, *, tail: int | None = None
) -> RefinedWindow:
    """Read and recount the refined rows of ``stream``.

    Args:
        storage: the lake.
        stream: the stream.
        tail: only the last so many offsets of each partition; null: all of them.

    Raises:
        LakeUnavailable: the storage failed.
    """
    snapshot = events_snapshot(storage, stream.topic, stream.events_schema)
    if snapshot is None:
        return RefinedWindow(None, pl.DataFrame(schema=MEASURED_SCHEMA), ())
    committed, since = _bounds(snapshot, _source_keys(storage, stream.topic), tail)
    rows = _collect(
        snapshot, since, columns=(*_KEY_COLUMNS, *MEASURED_SCHEMA.names()), keys=committed
    )
    equations = recount(
        rows.select(*_KEY_COLUMNS, term="disposition").cast(STORED_ROWS_SCHEMA),
        committed,
        layer="events",
        stream=stream.name,
        since=since,
    )
    return RefinedWindow(snapshot.version, rows.select(MEASURED_SCHEMA.names()), equations)


def recount_landing(
    storage: LakeStorage, stream: Stream, *, tail: int | None = None
) -> tuple[OffsetEquation, ...]:
    """Recount the landing of ``stream``; see :func:`refined_window` for the arguments."""
    snapshot = raw_snapshot(storage, stream.topic)
    if snapshot is None:
        return ()
    committed, since = _bounds(snapshot, _source_keys(storage, stream.topic), tail)
    rows = _collect(snapshot, since, columns=(*_KEY_COLUMNS, "gap_kind"), keys=committed)
    stored = rows.select(*_KEY_COLUMNS, term=pl.col("gap_kind").fill_null(LANDED))
    return recount(
        pl.concat([stored.cast(STORED_ROWS_SCHEMA), _expired(storage, stream.topic, rows, since)]),
        committed,
        layer="raw",
        stream=stream.name,
        since=since,
    )


def _expired(
    storage: LakeStorage, topic: str, rows: pl.DataFrame, since: dict[PartitionKey, int]
) -> pl.DataFrame:
    """What repairs found past retention, as if a row stood for each run of offsets.

    What lies before the first row is left out: retention takes beginnings, and goes on doing so.
    """
    expired = []
    for (topic_id, partition), spans in past_retention(storage, topic).items():
        mine = rows.filter(pl.col("topic_id") == topic_id, pl.col("partition") == partition)
        stored = stored_spans(mine)
        first = since.get((topic_id, partition), stored[0].start if stored else None)
        if first is not None:
            expired += [
                (topic_id, partition, span.start, span.count, EXPIRED)
                for span in without_ranges(spans, stored)
                if span.end > first
            ]
    return pl.DataFrame(expired, schema=STORED_ROWS_SCHEMA, orient="row")


def latest_accepted(storage: LakeStorage, stream: Stream, *, tail: int) -> pl.DataFrame:
    """Accepted rows, with all columns, among the last ``tail`` offsets of each partition."""
    empty = pl.DataFrame(schema=stream.events_schema)
    snapshot = events_snapshot(storage, stream.topic, stream.events_schema)
    if snapshot is None:
        return empty
    parts = [empty]
    for topic_id, partition in _source_keys(storage, stream.topic):
        end = snapshot.next_offset(topic_id, partition)
        if end is not None:
            rows = snapshot.read(topic_id, partition, max(0, end - tail), end)
            parts.append(rows.filter(pl.col("disposition") == Disposition.ACCEPTED))
    return pl.concat(parts)


def _source_keys(storage: LakeStorage, topic: str) -> list[PartitionKey]:
    """Every known partition; ask after a snapshot is open, then it has all that the snapshot has.

    A partition is registered before its first commit; one without commit in the snapshot is left
    out by the caller.
    """
    return [(source.topic_id, source.partition) for source in known_sources(storage, topic)]


def _bounds(
    snapshot: Snapshot, keys: list[PartitionKey], tail: int | None
) -> tuple[dict[PartitionKey, int], dict[PartitionKey, int]]:
    """The cursors of the snapshot, and where the tail of each longer partition begins."""
    cursors = {key: snapshot.next_offset(*key) for key in keys}
    committed = {key: end for key, end in cursors.items() if end is not None}
    if tail is None:
        return committed, {}
    starts = {key: end - tail for key, end in committed.items() if end > tail}
    return committed, {key: start for key, start in starts.items() if _begins(snapshot, key, start)}


def _begins(snapshot: Snapshot, key: PartitionKey, before: int) -> bool:
    """Whether the partition has a row before offset ``before``."""
    topic_id, partition = key
    found = snapshot.collect(
        snapshot.scan()
        .filter(
            pl.col("topic_id") == topic_id,
            pl.col("partition") == partition,
            pl.col("offset") < before,
        )
        .select("offset")
        .head(1)
    )
    return found.height > 0


def _collect(
    snapshot: Snapshot,
    since: dict[PartitionKey, int],
    *,
    columns: tuple[str, ...],
    keys: dict[PartitionKey, int],
) -> pl.DataFrame:
    rows = snapshot.scan()
    if keys and since.keys() == keys.keys():
        # Every partition is cut: let file statistics skip what lies before the lowest cut. A gap
        # row may begin before its cut, so those are kept by their own length.
        rows = rows.filter(
            (pl.col("offset") >= min(since.values())) | pl.col("gap_length").is_not_null()
        )
    for (topic_id, partition), start in since.items():
        reaches = pl.col("offset") + pl.col("gap_length").fill_null(1) > start
        other = (pl.col("topic_id") != topic_id) | (pl.col("partition") != partition)
        rows = rows.filter(other | reaches)
    return snapshot.collect(rows.select(columns))

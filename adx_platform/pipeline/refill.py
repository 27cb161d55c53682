"""Raw rows again for offsets whose landed rows were lost, from the broker and the refined rows.

Belongs here: which missing offsets can still be had, and the guards against another topic's
records. Does not belong here: which offsets are missing, or committing (``repair``).

Three guards keep the records of another topic out: the topic's identity, the last landed message
(``continuity``), and for every offset that still has its refined row the Kafka timestamp and the
payload's fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange, merge_ranges, without_ranges
from adx_platform.contracts.streams import Stream
from adx_platform.lake.ranges import stored_spans
from adx_platform.lake.reading import Snapshot, payload_fingerprint
from adx_platform.pipeline.continuity import ContinuityCheck, is_same_topic
from adx_platform.pipeline.platform import Platform
from adx_platform.streams.errors import TopicReplaced, UnknownTopic

_REFINED_COLUMNS = (
    "offset",
    "gap_length",
    "disposition",
    "kafka_timestamp",
    "payload_fingerprint",
)


@dataclass(frozen=True)
class Refill:
    """What could be had of one missing range.

    Attributes:
        rows: in ``RAW_SCHEMA``, by offset.
        past_retention: offsets that the broker no longer has and whose refined rows are kept.
        gone: offsets that nobody has any more.
    """

    rows: pl.DataFrame
    past_retention: tuple[OffsetRange, ...]
    gone: tuple[OffsetRange, ...]

    def with_losses(self, topic_id: str) -> pl.DataFrame:
        """``rows``, and a gap row for each run of offsets that is gone."""
        losses = pl.DataFrame(
            [(topic_id, item.partition, item.start, "lost", item.count) for item in self.gone],
            schema={n: RAW_SCHEMA[n] for n in RAW_SCHEMA.names()[:5]},
            orient="row",
        )
        return pl.concat([self.rows, losses], how="diagonal").sort("offset")


def refill(
    platform: Platform,
    stream: Stream,
    topic_id: str,
    missing: OffsetRange,
    *,
    landing: Snapshot,
    refined: Snapshot | None,
    whatever_age: bool = False,
) -> Refill:
    """Raw rows for as much of ``missing`` as can be had; the broker is asked only if it is needed.

    Args:
        platform: the opened parts.
        stream: the stream.
        topic_id: identity of the topic that the offsets are of.
        missing: landed offsets without a row.
        landing: the landing without the damaged files.
        refined: the events without the damaged files; null where nothing was refined.
        whatever_age: messages past the landing's retention too, which are not to be landed.

    Raises:
        TopicReplaced: the broker's records are not those that were landed; nothing may be used.
        StreamError: the broker does not answer, or truncated the range in this moment.
        LakeError: the lake failed.
    """
    known = _refined_rows(refined, topic_id, missing)
    gaps = _gaps_again(known, topic_id, missing)
    wanted = without_ranges([missing], stored_spans(gaps))
    readable = _readable(platform, stream, topic_id, wanted, landing)
    rows = [gaps]
    if readable:
        with platform.reader(stream.topic, topic_id) as reader:
            # One after the other: a reader takes one range of a partition at a time.
            read = [reader.read([item]) for item in readable]
        if is_same_topic(platform, stream, topic_id):
            rows += read
    found = pl.concat(rows).sort("offset")
    _require_same_messages(stream, missing.partition, found, known)
    # A message that the broker has compacted away since comes as a gap; what it was refined to
    # says that there was one.
    messages = stored_spans(
        known.filter(pl.col("gap_length").is_null()).with_columns(partition=missing.partition)
    )
    found = _without_messages(found, messages)
    if not whatever_age:
        found = _young_enough(platform, found, known, refined, topic_id)
    lacking = without_ranges([missing], stored_spans(found))
    gone = without_ranges(lacking, messages)
    return Refill(found, without_ranges(lacking, gone), gone)


def with_whole_gaps(
    part: OffsetRange, missing: OffsetRange, topic_id: str, refined: Snapshot | None
) -> OffsetRange:
    """``part`` of ``missing``, made longer where its end would cut a refined gap row in two."""
    if refined is None or part.end == missing.end:
        return part
    ends = pl.col("offset") + pl.col("gap_length")
    reached = refined.collect(
        refined.scan()
        .filter(
            pl.col("topic_id") == topic_id,
            pl.col("partition") == part.partition,
            pl.col("gap_length").is_not_null(),
            pl.col("offset") < part.end,
            ends > part.end,
        )
        .select(ends.max())
    ).item()
    end = part.end if reached is None else min(int(reached), missing.end)
    return OffsetRange(part.partition, part.start, end)


def _refined_rows(refined: Snapshot | None, topic_id: str, missing: OffsetRange) -> pl.DataFrame:
    where = (topic_id, missing.partition, missing.start, missing.end)
    if refined is None:
        return pl.DataFrame(
            schema={
                "offset": pl.Int64,
                "gap_length": pl.Int64,
                "disposition": pl.String,
                "kafka_timestamp": RAW_SCHEMA["kafka_timestamp"],
                "payload_fingerprint": pl.String,
            }
        )
    return refined.read(*where, columns=_REFINED_COLUMNS)


def _gaps_again(known: pl.DataFrame, topic_id: str, missing: OffsetRange) -> pl.DataFrame:
    """The raw gap rows that the refined gap rows were made of."""
    gaps = known.filter(pl.col("gap_length").is_not_null())
    empty = pl.DataFrame(schema=RAW_SCHEMA)
    if gaps.is_empty():
        return empty
    length = pl.min_horizontal("gap_length", pl.lit(missing.end) - pl.col("offset"))
    made = gaps.select(
        pl.lit(topic_id).alias("topic_id"),
        pl.lit(missing.partition, pl.Int32).alias("partition"),
        "offset",
        pl.col("disposition").alias("gap_kind"),
        length.alias("gap_length"),
        "kafka_timestamp",
    )
    return pl.concat([empty, made], how="diagonal").select(RAW_SCHEMA.names())


def _readable(
    platform: Platform,
    stream: Stream,
    topic_id: str,
    wanted: Iterable[OffsetRange],
    landing: Snapshot,
) -> tuple[OffsetRange, ...]:
    """The part of ``wanted`` that the broker has, after proof that it is the same topic."""
    wanted = merge_ranges(wanted)
    if not wanted:
        return ()
    try:
        topic = platform.kafka.describe(stream.topic)
    except UnknownTopic:
        return ()
    if topic.topic_id != topic_id:
        return ()
    marks = platform.kafka.watermarks(stream.topic)
    there = merge_ranges(
        OffsetRange(item.partition, max(item.start, mark.low), min(item.end, mark.last_stable))
        for item in wanted
        if (mark := marks.get(item.partition)) is not None
        and max(item.start, mark.low) < min(item.end, mark.last_stable)
    )
    if there:
        committed = {p: landing.next_offset(topic_id, p) for p in {r.partition for r in there}}
        check = ContinuityCheck(platform, stream, topic_id)
        check.require_same_topic(landing, committed, marks)
    return there


def _require_same_messages(
    stream: Stream, partition: int, found: pl.DataFrame, known: pl.DataFrame
) -> None:
    refined = known.filter(pl.col("gap_length").is_null())
    messages = found.filter(pl.col("gap_kind").is_null())
    both = messages.join(refined, on="offset", how="inner", suffix="_refined").select(
        "offset",
        "value",
        "payload_fingerprint",
        time=pl.col("kafka_timestamp").dt.epoch("ms"),
        refined_time=pl.col("kafka_timestamp_refined").dt.epoch("ms"),
    )
    for offset, value, fingerprint, time, refined_time in both.iter_rows():
        if payload_fingerprint(value) != fingerprint or time != refined_time:
            raise TopicReplaced(
                f"topic {stream.topic!r}, partition {partition}: the broker's record at offset "
                f"{offset} is not the one that was refined; the topic was created anew or restored "
                "from a backup under the same identity. Nothing was landed. Restore the broker's "
                "data, or raw/ from a backup, then repair again."
            )


def _young_enough(
    platform: Platform,
    found: pl.DataFrame,
    known: pl.DataFrame,
    refined: Snapshot | None,
    topic_id: str,
) -> pl.DataFrame:
    """``found`` without the messages whose bytes the landing would not keep anyway.

    Retention is measured back from the newest message. Bytes of which the refined row was lost as
    well are landed all the same: the row is made of them, and upkeep drops them afterwards.
    """
    if refined is None or found.is_empty():
        return found
    newest = refined.collect(
        refined.scan()
        .filter(pl.col("topic_id") == topic_id, pl.col("partition") == int(found["partition"][0]))
        .select(pl.col("kafka_timestamp").max())
    ).item()
    if newest is None:
        return found
    too_old = pl.col("kafka_timestamp") < newest - platform.settings.lake.raw_retention
    is_kept = pl.col("offset").is_in(known["offset"].implode())
    return found.filter(~(too_old & is_kept & pl.col("gap_kind").is_null()).fill_null(value=False))


def _without_messages(found: pl.DataFrame, messages: tuple[OffsetRange, ...]) -> pl.DataFrame:
    """``found`` with its gap rows cut so that they do not cover offsets that were messages."""
    gaps = found.filter(pl.col("gap_kind").is_not_null())
    cut = [
        {**gap, "offset": part.start, "gap_length": part.count}
        for gap in gaps.iter_rows(named=True)
        for part in without_ranges(stored_spans(pl.DataFrame([gap], schema=RAW_SCHEMA)), messages)
    ]
    kept = found.filter(pl.col("gap_kind").is_null())
    return pl.concat([kept, pl.DataFrame(cut, schema=RAW_SCHEMA)]).sort("offset")

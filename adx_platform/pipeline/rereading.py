"""Raw rows of what was landed once and is past the landing's retention: from the broker, if at all.

Belongs here: which offsets the broker still has for a range that is to be refined again. Does not
belong here: the guards against another topic's records (``refill``), or refining (``reprocess``).

The rows are for refining in memory. Landed again they would be raw bytes past their retention, with
a hole behind them that looks like damage.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange, without_ranges
from adx_platform.contracts.streams import Stream
from adx_platform.lake.errors import RawPastRetention
from adx_platform.lake.ranges import stored_spans
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refill import refill


def rows_from_broker(
    platform: Platform, stream: Stream, topic_id: str, span: OffsetRange
) -> pl.DataFrame:
    """Raw rows, in ``RAW_SCHEMA``, of the offsets of ``span`` that the landing does not have.

    What the broker does not have either is left out.

    Raises:
        TopicReplaced: the broker's records are not those that were refined.
        StreamError: the broker does not answer.
        LakeError: the lake failed.
    """
    landing = raw_snapshot(platform.storage, stream.topic)
    refined = events_snapshot(platform.storage, stream.topic, stream.events_schema)
    found = [pl.DataFrame(schema=RAW_SCHEMA)]
    if landing is not None:
        landed = landing.read(
            topic_id,
            span.partition,
            span.start,
            span.end,
            columns=["partition", "offset", "gap_length"],
        )
        found += [
            refill(
                platform,
                stream,
                topic_id,
                missing,
                landing=landing,
                refined=refined,
                whatever_age=True,
            ).rows
            for missing in without_ranges([span], stored_spans(landed))
        ]
    return pl.concat(found)


def require_at_broker(
    platform: Platform, stream: Stream, topic_id: str, offsets: Iterable[tuple[int, int]]
) -> None:
    """Refuse to go on unless the broker still holds each (partition, offset).

    Raises:
        RawPastRetention: names the first that it does not.
        StreamError: the broker does not answer.
    """
    begins = first_at_broker(platform, stream, topic_id)
    for partition, offset in offsets:
        begin = begins.get(partition)
        if begin is None or offset < begin:
            there = "nothing of this topic" if begin is None else f"it from offset {begin} on"
            raise RawPastRetention(
                f"{stream.name}, partition {partition}: neither the landing nor the broker has "
                f"offset {offset} any more, the broker has {there}; nothing was changed. Ask for a "
                "later range."
            )


def first_at_broker(platform: Platform, stream: Stream, topic_id: str) -> dict[int, int]:
    """Partition -> first offset that the broker has; empty where its topic is another one.

    Raises:
        StreamError: the broker does not answer, or has no such topic.
    """
    if platform.kafka.describe(stream.topic).topic_id != topic_id:
        return {}
    return {p: marks.low for p, marks in platform.kafka.watermarks(stream.topic).items()}

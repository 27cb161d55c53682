"""A topic in which every message is known by its place, and the lake held against it.

Belongs here: the messages, what must become of each, and counting what did. Does not belong here:
what goes wrong meanwhile (``programme``).

Message ``o`` of partition ``p`` is event ``p-o``; offsets begin at 0 and have no gaps: place and
sequence number are the same. Some messages are broken, some repeat an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.streams.producer import OutgoingMessage

STREAM: Final = AD_IMPRESSIONS.topic
START_MS: Final = 1_772_452_800_000
HOURS: Final = 6
"""Simulated hours that the messages of a partition are spread over."""

_BROKEN_EVERY, _REPEAT_EVERY, _REPEATS_BACK = 97, 50, 3
_MILLIS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Score:
    """What the lake has that it should not, and has not that it should, of so many messages."""

    messages: int
    lost: int
    doubled: int
    misplaced: int
    misjudged: int

    @property
    def is_perfect(self) -> bool:
        """Whether every message is where it must be, once, with the right verdict."""
        return not (self.lost or self.doubled or self.misplaced or self.misjudged)

    def per_million(self, count: int) -> float:
        """``count`` as a rate."""
        return count * 1e6 / max(self.messages, 1)


def messages(partitions: int, per_partition: int, start: int = 0) -> Iterator[OutgoingMessage]:
    """The messages of every partition from sequence number ``start`` on, in turns."""
    for number in range(start, per_partition):
        time_ms = _time_ms(number, per_partition)
        for partition in range(partitions):
            value = _value(partition, number, per_partition)
            yield OutgoingMessage(None, value, None, time_ms, partition)


def score(storage: LakeStorage, partitions: int, per_partition: int) -> Score:
    """Hold both layers of the lake against the messages.

    Raises:
        AssertionError: there is no lake.
    """
    raw = raw_snapshot(storage, STREAM)
    events = events_snapshot(storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert raw is not None
    assert events is not None
    sent = _expected(partitions, per_partition)
    landed = raw.collect(raw.scan().select("partition", "offset", "gap_kind"))
    refined = events.collect(
        events.scan().select("partition", "offset", "disposition", "event_id", "event_time")
    )
    place = ["partition", "offset"]
    lost = doubled = 0
    for layer in (landed, refined):
        lost += sent.join(layer, on=place, how="anti").height
        doubled += layer.height - layer.unique(place).height
    both = sent.join(refined, on=place)
    hour = pl.col("event_time").dt.truncate("1h") != pl.col("time").dt.truncate("1h")
    readable = pl.col("verdict") != "rejected"
    return Score(
        messages=sent.height,
        lost=lost,
        doubled=doubled,
        misplaced=both.filter(
            readable & (hour | (pl.col("event_id") != pl.col("wanted"))).fill_null(value=True)
        ).height,
        misjudged=both.filter(
            (pl.col("disposition") != pl.col("verdict"))
            # A repeat in another batch than its original is the warehouse's to tell.
            & ~((pl.col("verdict") == "duplicate") & (pl.col("disposition") == "accepted"))
        ).height,
    )


def _source(number: int) -> int:
    """The message whose event this one is."""
    repeats = number % _REPEAT_EVERY == _REPEATS_BACK
    return number - _REPEATS_BACK if repeats else number


def _time_ms(number: int, per_partition: int) -> int:
    return START_MS + number * HOURS * _MILLIS_PER_HOUR // per_partition


def _value(partition: int, number: int, per_partition: int) -> bytes:
    if number % _BROKEN_EVERY == 1:
        return b"{broken"
    source = _source(number)
    time_us = _time_ms(source, per_partition) * 1000
    return (
        f'{{"event_type":"rendered","event_id":"{partition}-{source}","ts":{time_us},'
        f'"impression_id":"i{partition}-{source}","exchange_id":"x1","request_id":"r{source}",'
        f'"imp_id":"1","bid_id":"b{source}","campaign_id":"c1","creative_id":"cr1",'
        '"advertiser_id":"a1","publisher_id":"p1","user_agent":"Mozilla/5.0 (Windows NT 10.0)",'
        '"ip":"198.51.100.7","geo":{"country":"DE"},"device":{"device_type":"desktop"}}'
    ).encode()


def _expected(partitions: int, per_partition: int) -> pl.DataFrame:
    number = pl.col("offset")
    repeats = number % _REPEAT_EVERY == _REPEATS_BACK
    source = pl.when(repeats).then(number - _REPEATS_BACK).otherwise(number)
    broken = number % _BROKEN_EVERY == 1
    # A repeat of a message that was broken is the first of its event.
    first_was_read = source % _BROKEN_EVERY != 1
    verdict = (
        pl.when(broken)
        .then(pl.lit("rejected"))
        .when(repeats & first_was_read)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("accepted"))
    )
    time_ms = START_MS + source * HOURS * _MILLIS_PER_HOUR // per_partition
    offsets = pl.DataFrame({"offset": pl.int_range(per_partition, dtype=pl.Int64, eager=True)})
    return (
        pl.DataFrame({"partition": pl.int_range(partitions, dtype=pl.Int32, eager=True)})
        .join(offsets, how="cross")
        .with_columns(
            verdict=verdict,
            wanted=pl.concat_str(pl.col("partition"), pl.lit("-"), source),
            time=pl.from_epoch(time_ms, "ms").dt.replace_time_zone("UTC"),
        )
    )

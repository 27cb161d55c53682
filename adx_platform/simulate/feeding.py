"""Sending a simulated market to the broker, and going on where an earlier attempt stopped.

Belongs here: the wire files' way into the topics. Does not belong here: making the messages.

The position of a message in its wire file is the offset that it gets in a topic which nobody else
writes to. So the broker itself says how much of the file it has: an interrupted feed goes on there,
and a broker that lost its tail (the embedded one is not durable on acknowledge) gets the very same
bytes and timestamps at the very same offsets again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from adx_platform.errors import AdxError
from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.producer import OutgoingMessage, produce

_CHUNK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What was sent to one topic, and what the broker had already."""

    topic: str
    sent: int
    already_there: int


def feed_topic(
    settings: KafkaSettings,
    wire_dir: Path,
    topic: str,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> FeedReport:
    """Send what the broker does not have yet of ``wire_dir/<topic>.parquet``, in file order.

    Args:
        settings: the cluster; the topic is created where it is absent.
        wire_dir: the simulator's ``wire`` folder.
        topic: the stream.
        on_progress: called with the number of messages handed over so far.

    Raises:
        AdxError: there is no such file, or the topic has other partitions than the file.
        StreamError: the broker cannot be reached or refuses the messages.
    """
    path = wire_dir / f"{topic}.parquet"
    if not path.exists():
        raise AdxError(f"there is no {path}: run `adx simulate` first")
    wire = pl.scan_parquet(path)
    partitions = sorted(wire.select(pl.col("partition").unique()).collect()["partition"].to_list())
    with KafkaAdmin(settings) as admin:
        # What is simulated in the past would be past the retention at once.
        admin.create_topics([topic], config={"retention.ms": "-1"})
        ends = {p: marks.last_stable for p, marks in admin.watermarks(topic).items()}
    foreign = [p for p in partitions if p not in ends]
    if foreign:
        raise AdxError(
            f"topic {topic!r} has {len(ends)} partitions, but the simulated messages are for "
            f"partitions up to {max(foreign)}: use a fresh broker (`adx down`, `make clean`), or "
            "set ADX_KAFKA__PARTITIONS_PER_TOPIC to the topic's number and simulate again"
        )
    missing = wire.filter(
        pl.col("sequence") >= pl.col("partition").replace_strict(ends, return_dtype=pl.Int64)
    )
    total = wire.select(pl.len()).collect().item()
    pending = missing.select(pl.len()).collect().item()
    report = produce(settings, topic, _messages(missing.collect()), on_progress=on_progress)
    return FeedReport(topic=topic, sent=report.messages, already_there=total - pending)


def _messages(wire: pl.DataFrame) -> Iterator[OutgoingMessage]:
    columns = wire.select("key", "value", "headers", "timestamp_ms", "partition")
    for chunk in columns.iter_slices(_CHUNK_ROWS):
        for key, value, headers, timestamp_ms, partition in chunk.iter_rows():
            pairs = [(h["key"], h["value"]) for h in headers] if headers else None
            yield OutgoingMessage(key, value, pairs, timestamp_ms, partition)

"""Messages for lanes of a real broker, and the rows that became of them.

Belongs here: what the tests of ingest, of reprocessing and of replay share. Does not belong here:
the broker and the platform, which are fixtures (``conftest``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.pipeline.ingest import BatchReport, ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.settings import KafkaSettings
from adx_platform.streams.producer import OutgoingMessage, produce
from assets_tests.integration.kafka_line import NOON_MS, impression

PlatformMaker = Callable[..., Platform]

STREAM = "ad_impressions"
PARTITIONS = 3
TOPIC_ID = f"name:{STREAM}"


def message(number: int, value: bytes | None = None) -> OutgoingMessage:
    """In partition ``number % PARTITIONS``; of ten, one is broken and two repeat another."""
    if value is None:
        first = number - 3
        value = {
            3: b"{broken",
            7: impression(first),
            8: impression(first, impression_id=f"impression-{first}!"),
        }.get(number % 10, impression(number))
    return OutgoingMessage(
        b"k%d" % number, value, [("n", b"%d" % number)], NOON_MS + number, number % PARTITIONS
    )


def send(kafka: KafkaSettings, numbers: Iterable[int], value: bytes | None = None) -> None:
    produce(kafka, STREAM, [message(number, value) for number in numbers])


def raw_rows(platform: Platform) -> pl.DataFrame:
    snapshot = raw_snapshot(platform.storage, STREAM)
    assert snapshot is not None
    return snapshot.scan().sort("partition", "offset").collect()


def event_rows(platform: Platform) -> pl.DataFrame:
    snapshot = events_snapshot(platform.storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert snapshot is not None
    names = AD_IMPRESSIONS.events_schema.names()
    return snapshot.scan().select(names).sort("partition", "offset").collect()


def offsets(rows: pl.DataFrame) -> list[tuple[int, int]]:
    return rows.select("partition", "offset").rows()


def ingest_all(platform: Platform) -> list[BatchReport]:
    lanes = range(platform.settings.kafka.lanes_per_topic)
    return [report for lane in lanes for report in ingest_lane(platform, STREAM, lane)]

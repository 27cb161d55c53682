"""Messages for lanes of a real broker, and the rows that became of them.

Belongs here: what the tests of ingest, of reprocessing and of replay share. Does not belong here:
the broker and the platform, which are fixtures (``conftest``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import polars as pl

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.pipeline.ingest import BatchReport, ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.settings import KafkaSettings
from adx_platform.streams.producer import OutgoingMessage, produce

PlatformMaker = Callable[..., Platform]

STREAM = "ad_impressions"
NOON_MS = 1_772_452_800_000
PARTITIONS = 3
TOPIC_ID = f"name:{STREAM}"


def impression(number: int, *, flavour: str = "") -> bytes:
    return json.dumps(
        {
            "event_type": "rendered",
            "event_id": f"event-{number}",
            "ts": (NOON_MS + number) * 1000,
            "impression_id": f"impression-{number}{flavour}",
            "exchange_id": "x1",
            "request_id": f"request-{number}",
            "imp_id": "1",
            "bid_id": f"bid-{number}",
            "campaign_id": "c1",
            "creative_id": "cr1",
            "advertiser_id": "a1",
            "publisher_id": "p1",
            "user_id": f"user-{number % 7}",
            "ip": "203.0.113.9",
        }
    ).encode()


def message(number: int, value: bytes | None = None) -> OutgoingMessage:
    """In partition ``number % PARTITIONS``; of ten, one is broken and two repeat another."""
    if value is None:
        value = {
            3: b"{broken",
            7: impression(number - 3),
            8: impression(number - 3, flavour="!"),
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

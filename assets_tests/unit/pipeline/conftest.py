"""A platform whose broker is a table in memory; its lake is real, in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.settings import FollowSettings, IngestSettings, KafkaSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.reader import RangeReader
from adx_platform.streams.topics import TopicDescription, Watermarks

TOPIC = "ad_impressions"


@dataclass
class MemoryBroker:
    """Partitions of values; stands in for the administrative client and for the reader."""

    topic_id: str = "id-1"
    values: dict[int, list[bytes]] = field(default_factory=dict)
    low: dict[int, int] = field(default_factory=dict)
    group_offsets: dict[int, int] = field(default_factory=dict)
    replacement: str | None = None
    """The topic is deleted and created again, as this one, just before the next read of it."""

    def describe(self, topic: str) -> TopicDescription:
        return TopicDescription(topic, self.topic_id, tuple(sorted(self.values)))

    def watermarks(self, topic: str) -> dict[int, Watermarks]:
        assert topic == TOPIC
        return {p: Watermarks(self.low.get(p, 0), len(v)) for p, v in self.values.items()}

    def commit_group_offsets(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        assert (group, topic) == ("adx-ingest", TOPIC)
        self.group_offsets.update(offsets)


@dataclass
class MemoryReader:
    broker: MemoryBroker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def rest(self) -> None:
        pass

    def close(self) -> None:
        """Nothing is open."""

    def read(
        self,
        ranges: Iterable[OffsetRange],
        *,
        losses: Iterable[OffsetRange] = (),
        max_bytes: int | None = None,
    ) -> pl.DataFrame:
        if self.broker.replacement is not None:
            self.broker.topic_id, self.broker.replacement = self.broker.replacement, None
        rows = [
            (self.broker.topic_id, r.partition, o, None, None, self.broker.values[r.partition][o])
            for r in ranges
            for o in range(r.start, r.end)
        ]
        rows += [
            (self.broker.topic_id, r.partition, r.start, "lost", r.count, None) for r in losses
        ]
        names = ["topic_id", "partition", "offset", "gap_kind", "gap_length", "value"]
        frame = pl.DataFrame(rows, schema={n: RAW_SCHEMA[n] for n in names}, orient="row")
        noon = pl.datetime(2026, 3, 2, 12, time_unit="us", time_zone="UTC")
        return (
            frame.with_columns(
                kafka_timestamp=noon,
                key=pl.lit(None, pl.Binary),
                headers=pl.lit(None, RAW_SCHEMA["headers"]),
            )
            .select(RAW_SCHEMA.names())
            .sort("partition", "offset")
        )


@dataclass(frozen=True)
class MemoryPlatform(Platform):
    """Reads from the memory broker; everything else is the real thing."""

    def reader(self, topic: str, topic_id: str) -> RangeReader:
        assert topic == TOPIC
        return cast("RangeReader", MemoryReader(cast("MemoryBroker", self.kafka)))


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(values={p: [b"%d/%d" % (p, o) for o in range(10)] for p in range(3)})


@pytest.fixture
def platform(tmp_path: Path, broker: MemoryBroker) -> Platform:
    real = open_platform(
        load_settings(
            home=tmp_path,
            kafka=KafkaSettings(lanes_per_topic=2),
            ingest=IngestSettings(max_records_per_batch=6),
            follow=FollowSettings(batch_interval=timedelta()),
        )
    )
    return MemoryPlatform(
        settings=real.settings,
        kafka=cast("KafkaAdmin", broker),
        storage=real.storage,
        registry=real.registry,
        enrichment=real.enrichment,
    )


@pytest.fixture
def with_batch(platform: Platform) -> Callable[[int], Platform]:
    def make(records: int) -> Platform:
        ingest = IngestSettings(max_records_per_batch=records)
        return replace(platform, settings=platform.settings.model_copy(update={"ingest": ingest}))

    return make

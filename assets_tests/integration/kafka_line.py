"""A topic of a real Apache Kafka and a lake of its own, with what tests ask of them.

Belongs here: making the topic anew, sending, ingesting, following, and the recount of conservation.
Does not belong here: what any single test is about.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import polars as pl

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.pipeline.follow import Follower
from adx_platform.pipeline.follow_state import FollowedBatch
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.troubles import Trouble
from adx_platform.quality.conservation import OffsetEquation, compare_layers
from adx_platform.quality.lake_rows import recount_landing, refined_window
from adx_platform.settings import FollowSettings, IngestSettings, KafkaSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import UnknownTopic
from adx_platform.streams.producer import OutgoingMessage, produce

TOPIC = AD_IMPRESSIONS.topic
NOON_MS = 1_772_452_800_000
PATIENCE_SECONDS = 60.0


def impression(number: int, **more: str) -> bytes:
    """A message that is accepted; ``more`` fields come on top."""
    return json.dumps(
        {
            "event_type": "rendered",
            "event_id": f"event-{number}",
            "ts": (NOON_MS + number) * 1000,
            "impression_id": f"impression-{number}",
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
            **more,
        }
    ).encode()


def message(number: int, partition: int = 0) -> OutgoingMessage:
    """Impression ``number``, under a key of its own."""
    return OutgoingMessage(b"k%d" % number, impression(number), None, NOON_MS + number, partition)


def wait_until(what: Callable[[], bool], otherwise: str) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


class KafkaLine:
    """The stream ``ad_impressions`` from a topic that was just made into an empty lake."""

    def __init__(
        self,
        kafka: KafkaSettings,
        home: Path,
        *,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        batch: int = 1_000,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.kafka = kafka.model_copy(update={"lanes_per_topic": 1})
        self.settings = load_settings(
            home=home,
            kafka=self.kafka,
            follow=FollowSettings(batch_interval=timedelta(milliseconds=100)),
            ingest=IngestSettings(
                max_records_per_batch=batch, max_bytes_per_batch=max_bytes, idle_timeout_seconds=20
            ),
        )
        self.platform: Platform = open_platform(self.settings)
        self.topic_id = self.make_topic(partitions, config)

    def make_topic(self, partitions: int, config: Mapping[str, str] | None = None) -> str:
        """Delete the topic, if there is one, and create it; returns its new identity."""
        # Events are of a day of their own: retention must not take them for old.
        options = {"retention.ms": "-1", **(config or {})}
        with KafkaAdmin(self.kafka) as admin:
            with suppress(UnknownTopic):
                admin.delete_topics([TOPIC])
            wait_until(
                lambda: bool(admin.create_topics([TOPIC], partitions=partitions, config=options)),
                "the old topic does not go away",
            )
            return admin.describe(TOPIC).topic_id

    def send(self, messages: Iterable[OutgoingMessage], **options: str) -> None:
        """Produce through the platform's own producer, with further librdkafka ``options``."""
        produce(self.kafka.model_copy(update={"client_options": options}), TOPIC, messages)

    def ingest(self) -> list[BatchReport]:
        """Drain the topic's only lane."""
        return ingest_lane(self.platform, TOPIC, 0)

    @property
    def raw(self) -> pl.DataFrame:
        """All landed rows, in order."""
        snapshot = raw_snapshot(self.platform.storage, TOPIC)
        assert snapshot is not None
        return snapshot.scan().sort("topic_id", "partition", "offset").collect()

    @property
    def events(self) -> pl.DataFrame:
        """All refined rows, in order."""
        snapshot = events_snapshot(self.platform.storage, TOPIC, AD_IMPRESSIONS.events_schema)
        assert snapshot is not None
        return snapshot.scan().sort("topic_id", "partition", "offset").collect()

    def values(self, topic_id: str | None = None) -> list[bytes | None]:
        """The landed messages of one identity of the topic, by default of the first."""
        mine = (pl.col("topic_id") == (topic_id or self.topic_id)) & pl.col("gap_kind").is_null()
        return self.raw.filter(mine)["value"].to_list()

    def gaps(self, kind: str) -> list[tuple[int, int]]:
        """(offset, length) of each gap row of the landing."""
        return self.raw.filter(pl.col("gap_kind") == kind).select("offset", "gap_length").rows()

    def equations(self) -> dict[tuple[str, int], OffsetEquation]:
        """Conservation recounted from the stored rows of both layers; it has to hold.

        Returns:
            (topic id, partition) -> the equation of the refined rows.
        """
        refined = refined_window(self.platform.storage, AD_IMPRESSIONS).equations
        landed = recount_landing(self.platform.storage, AD_IMPRESSIONS)
        assert compare_layers(refined, landed) == ()
        for equation in (*landed, *refined):
            assert equation.verdict == "holds", equation.explain()
        assert {(e.topic_id, e.partition, e.start, e.end) for e in landed} == {
            (e.topic_id, e.partition, e.start, e.end) for e in refined
        }
        return {(e.topic_id, e.partition): e for e in refined}

    @contextmanager
    def following(self) -> Iterator[Followed]:
        """The resident loop, in a thread, until the block is left."""
        followed = Followed()
        follower = Follower(
            self.settings,
            streams=[TOPIC],
            on_batch=followed.batches.append,
            on_trouble=followed.troubles.append,
        )
        stop = threading.Event()
        thread = threading.Thread(target=followed.keep, args=(lambda: follower.run(stop),))
        thread.start()
        try:
            yield followed
        finally:
            stop.set()
            thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the loop does not end"
        if followed.failure is not None:
            raise followed.failure


class Followed:
    """What a resident loop said."""

    def __init__(self) -> None:
        self.batches: list[FollowedBatch] = []
        self.troubles: list[Trouble] = []
        self.failure: BaseException | None = None

    def keep(self, run: Callable[[], None]) -> None:
        """Run the loop, and keep what it failed with for the test's own thread."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised again by `following`
            self.failure = error

    @property
    def offsets(self) -> int:
        """Offsets that were committed so far."""
        return sum(item.count for batch in list(self.batches) for item in batch.report.ranges)

    def wait_for(self, offsets: int) -> None:
        """Wait until so many offsets are committed."""

        def is_done() -> bool:
            if self.failure is not None:
                raise self.failure
            return self.offsets >= offsets

        wait_until(is_done, f"{self.offsets} of {offsets} offsets: {self.troubles}")

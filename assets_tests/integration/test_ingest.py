"""Ingesting lanes of a real broker into a real lake, and refining ranges of it again."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.errors import LakeError, RangeAlreadyCommitted, RawPastRetention
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.restatements import announce, list_restatements
from adx_platform.pipeline import ingest as ingest_module
from adx_platform.pipeline import lane as lane_module
from adx_platform.pipeline.ingest import BatchReport, ingest_lane
from adx_platform.pipeline.lags import lags
from adx_platform.pipeline.refining import refine_pending
from adx_platform.pipeline.rejects import list_rejects, show_reject
from adx_platform.pipeline.reprocess import reprocess_range, resume_restatements
from adx_platform.settings import KafkaSettings, RefineSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from adx_platform.streams.errors import TopicReplaced, TopicRewound
from assets_tests.integration.ingest_line import (
    PARTITIONS,
    STREAM,
    TOPIC_ID,
    PlatformMaker,
    event_rows,
    ingest_all,
    message,
    offsets,
    raw_rows,
    send,
)

pytestmark = pytest.mark.broker


def test_everything_is_landed_and_refined_exactly_once_in_bounded_batches(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(300))
    platform = platform_of(batch=40)
    told: list[BatchReport] = []
    reports = ingest_lane(platform, STREAM, 0, on_batch=told.append)
    reports += ingest_lane(platform, STREAM, 1, on_batch=told.append)
    assert told == reports
    assert max(sum(r.count for r in report.ranges) for report in reports) == 40
    raw, events = raw_rows(platform), event_rows(platform)
    expected = [(p, o) for p in range(PARTITIONS) for o in range(100)]
    assert offsets(raw) == offsets(events) == expected
    sent = [message(number) for number in range(300)]
    for partition in range(PARTITIONS):
        mine = [m for m in sent if m.partition == partition]
        rows = raw.filter(pl.col("partition") == partition)
        assert rows["value"].to_list() == [m.value for m in mine]
        assert rows["key"].to_list() == [m.key for m in mine]
        assert rows["headers"].list.first().struct.field("value").to_list() == [
            b"%d" % (partition + PARTITIONS * o) for o in range(100)
        ]
        assert rows["kafka_timestamp"].dt.epoch("ms").to_list() == [m.timestamp_ms for m in mine]
    reported = pl.DataFrame([report.counts for report in reports]).sum().row(0, named=True)
    stored = dict(events.group_by("disposition").len().iter_rows())
    assert {name: count for name, count in reported.items() if count} == stored
    assert stored["rejected"] == 30
    assert sum(report.reasons["malformed_json"] for report in reports) == 30
    assert stored.get("duplicate", 0) > 0
    assert stored.get("conflict", 0) > 0
    assert [(lag.landed, lag.refined, lag.behind) for lag in lags(platform, STREAM)] == [
        (100, 100, 0)
    ] * PARTITIONS
    assert ingest_all(platform) == []
    send(broker_at, range(300, 303))
    assert [lag.behind for lag in lags(platform, STREAM)] == [1] * PARTITIONS
    assert sum(sum(r.counts.values()) for r in ingest_all(platform)) == 3


def test_a_run_stops_where_it_is_told(broker_at: KafkaSettings, platform_of: PlatformMaker) -> None:
    send(broker_at, range(60))
    platform = platform_of()
    ingest_lane(platform, STREAM, 0, until={0: 5, 2: 0})
    assert offsets(event_rows(platform)) == [(0, o) for o in range(5)]


def test_what_was_landed_but_not_refined_is_refined_first_and_without_a_broker(
    broker_at: KafkaSettings,
    own_broker: EmbeddedBroker,
    platform_of: PlatformMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(broker_at, range(90))
    platform = platform_of(batch=25)

    class CrashError(Exception):
        pass

    def crash(*_: object, **__: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "refine_landed", crash)
        with pytest.raises(CrashError):
            ingest_lane(platform, STREAM, 0)
    landed = offsets(raw_rows(platform))
    assert len(landed) == 25
    own_broker.stop()
    report = refine_pending(platform, AD_IMPRESSIONS, 0)
    assert report is not None
    assert sum(report.counts.values()) == 25
    assert offsets(event_rows(platform)) == landed
    assert refine_pending(platform, AD_IMPRESSIONS, 0) is None


def test_rejects_are_listed_and_their_bytes_reached_until_the_landing_forgets_them(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(30))
    platform = platform_of()
    ingest_all(platform)
    found = list_rejects(platform, STREAM)
    assert [(r.partition, r.offset) for r in found] == [(2, 7), (1, 4), (0, 1)]
    assert list_rejects(platform, STREAM, limit=1) == found[:1]
    assert list_rejects(platform, STREAM, reason="malformed_json") == found
    assert list_rejects(platform, STREAM, reason="malformed_csv") == []
    shown = show_reject(platform, STREAM, 0, 1)
    assert shown.raw is not None
    assert (shown.raw.value, shown.raw.key) == (b"{broken", b"k3")
    assert shown.raw.headers == (("n", b"3"),)
    with pytest.raises(LakeError, match="no record was rejected at ad_impressions partition 0"):
        show_reject(platform, STREAM, 0, 0)
    with pytest.raises(ValueError, match="no reason code 'nonsense'"):
        list_rejects(platform, STREAM, reason="nonsense")
    DeltaTable(platform.storage.table_uri(f"raw/{STREAM}")).delete("partition = 0")
    forgotten = show_reject(platform, STREAM, 0, 1)
    assert forgotten.is_past_retention
    assert forgotten.reject == shown.reject


def test_truncated_offsets_are_recorded_as_lost_and_passed(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(0, 30, 3))
    platform = platform_of()
    ingest_lane(platform, STREAM, 0)
    send(broker_at, range(30, 60, 3))
    client = AdminClient({"bootstrap.servers": broker_at.bootstrap_servers})
    for future in client.delete_records([TopicPartition(STREAM, 0, 14)]).values():
        future.result(timeout=10)
    (report,) = ingest_lane(platform, STREAM, 0)
    assert report.counts["lost"] == 4
    assert report.ranges == (OffsetRange(0, 10, 20),)
    gap = raw_rows(platform).filter(pl.col("gap_kind") == "lost")
    assert gap.select("offset", "gap_length").rows() == [(10, 4)]
    assert offsets(event_rows(platform)) == [(0, o) for o in [*range(11), *range(14, 20)]]


@pytest.mark.parametrize("landing_kept", [True, False], ids=["raw kept", "raw past retention"])
def test_a_replaced_topic_is_never_mixed_with_the_old_one(
    broker_at: KafkaSettings, platform_of: PlatformMaker, landing_kept: bool
) -> None:
    send(broker_at, range(30))
    platform = platform_of()
    ingest_all(platform)
    before = event_rows(platform)
    if not landing_kept:
        DeltaTable(platform.storage.table_uri(f"raw/{STREAM}")).delete()
    with KafkaAdmin(broker_at) as admin:
        admin.delete_topics([STREAM])
        admin.create_topics([STREAM], config=EMBEDDED_TOPIC_CONFIG)
    send(broker_at, range(3), b"short")
    with pytest.raises(TopicRewound):
        ingest_lane(platform, STREAM, 0)
    send(broker_at, range(3, 90), b"other")
    for lane in (0, 1):
        with pytest.raises(TopicReplaced, match="is not the one that was landed"):
            ingest_lane(platform, STREAM, lane)
    assert event_rows(platform).equals(before)


def test_a_changed_rule_restates_exactly_the_range_asked_for(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(120))
    ingest_all(platform_of())
    before = event_rows(platform_of())
    assert before["is_late"].sum() == 0
    # Event times equal the Kafka timestamps: with a negative bound every one is late.
    strict = platform_of(batch=8, refine=RefineSettings(late_after=timedelta(seconds=-1)))
    report = reprocess_range(strict, STREAM, [OffsetRange(1, 10, 30)], reason="late rule")
    assert [(r.revision, r.start, r.end) for r in report.restatements] == [
        (1, 10, 18),
        (2, 18, 26),
        (3, 26, 30),
    ]
    assert report.revision == 3
    assert sum(report.counts.values()) == sum(report.counts_before.values()) == 20
    after = event_rows(strict)
    inside = (pl.col("partition") == 1) & pl.col("offset").is_between(10, 29)
    assert after.filter(~inside).equals(before.filter(~inside))
    changed = after.filter(inside)
    assert changed["offset"].to_list() == list(range(10, 30))
    assert changed["revision"].to_list() == [1] * 8 + [2] * 8 + [3] * 4
    readable = changed.filter(pl.col("event_time").is_not_null())
    assert readable["is_late"].all()
    assert readable.height >= 15
    unchanged = [c for c in after.columns if c not in {"revision", "is_late", "disposition"}]
    assert changed.select(unchanged).equals(before.filter(inside).select(unchanged))
    assert ingest_all(strict) == []


def test_only_what_was_refined_and_is_still_landed_can_be_reprocessed(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(30))
    platform = platform_of()
    with pytest.raises(LakeError, match="nothing of ad_impressions was ever landed"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 0, 5)], reason="x")
    ingest_all(platform)
    with pytest.raises(LakeError, match="is refined up to 10; only what was refined"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 5, 11)], reason="x")
    with pytest.raises(ValueError, match="the range is empty"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 5, 5)], reason="x")
    DeltaTable(platform.storage.table_uri(f"raw/{STREAM}")).delete('"offset" < 3')
    with pytest.raises(RawPastRetention, match="raw bytes of 1 of 5 rows are past"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 2, 7)], reason="x")
    assert list_restatements(platform.storage) == ()
    assert event_rows(platform)["revision"].max() == 0


def test_an_announced_restatement_is_finished_by_the_next_ingest_even_if_raw_rows_went(
    broker_at: KafkaSettings, platform_of: PlatformMaker
) -> None:
    send(broker_at, range(30))
    platform = platform_of()
    ingest_all(platform)
    before = event_rows(platform)
    announce(platform.storage, STREAM, TOPIC_ID, OffsetRange(0, 2, 6), reason="crashed here")
    DeltaTable(platform.storage.table_uri(f"raw/{STREAM}")).delete(
        'partition = 0 AND "offset" >= 2 AND "offset" < 4'
    )
    assert ingest_lane(platform, STREAM, 1) == []
    assert event_rows(platform).equals(before)
    assert ingest_lane(platform, STREAM, 0) == []
    after = event_rows(platform)
    assert after.filter(pl.col("revision") == 1).select("partition", "offset").rows() == [
        (0, o) for o in range(2, 6)
    ]
    assert after.drop("revision").equals(before.drop("revision"))
    assert resume_restatements(platform, STREAM) == ()


def test_a_worker_that_loses_every_race_stops_without_writing(
    broker_at: KafkaSettings, platform_of: PlatformMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(broker_at, range(90))
    platform = platform_of(batch=10)
    rival = platform_of(batch=10)
    committed = RefineHandle.commit
    losses = 0

    def overtaken(self: RefineHandle, *args: object, **kwargs: object) -> int:
        nonlocal losses
        with monkeypatch.context() as patch:
            patch.setattr(RefineHandle, "commit", committed)
            refine_pending(rival, AD_IMPRESSIONS, 0)
        try:
            return committed(self, *args, **kwargs)  # type: ignore[arg-type] # passed on as is
        except RangeAlreadyCommitted:
            losses += 1
            raise

    with monkeypatch.context() as patch:
        patch.setattr(RefineHandle, "commit", overtaken)
        assert ingest_lane(platform, STREAM, 0) == []
    assert losses == ingest_module.MAX_LOSSES_IN_A_ROW
    assert offsets(raw_rows(platform)) == offsets(event_rows(platform))
    ingest_all(platform)
    assert offsets(event_rows(platform)) == [(p, o) for p in range(3) for o in range(30)]

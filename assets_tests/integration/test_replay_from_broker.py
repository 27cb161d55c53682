"""Refining again what the landing has dropped by retention and the broker still has."""

from __future__ import annotations

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.errors import RawPastRetention
from adx_platform.lake.restatements import list_restatements
from adx_platform.pipeline import refill
from adx_platform.pipeline import reprocess as reprocess_module
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.replay import replay_rejects
from adx_platform.pipeline.reprocess import reprocess_range, resume_restatements
from adx_platform.settings import KafkaSettings
from adx_platform.streams.errors import TopicReplaced
from assets_tests.integration.ingest_line import (
    STREAM,
    PlatformMaker,
    event_rows,
    ingest_all,
    message,
    raw_rows,
    send,
)
from assets_tests.integration.kafka_line import impression

pytestmark = pytest.mark.broker


def drop_raw(platform: Platform, partition: int, before: int) -> None:
    """What upkeep does to bytes that are past retention."""
    DeltaTable(platform.storage.table_uri(f"raw/{STREAM}")).delete(
        f'partition = {partition} AND "offset" < {before}'
    )


@pytest.fixture
def platform(broker_at: KafkaSettings, platform_of: PlatformMaker) -> Platform:
    """Ninety messages of three partitions; the first twenty of partition 0 are past retention."""
    send(broker_at, range(90))
    made = platform_of()
    ingest_all(made)
    drop_raw(made, 0, 20)
    return made


def test_a_range_is_refined_again_from_both_and_nothing_is_landed(platform: Platform) -> None:
    before, raw = event_rows(platform), raw_rows(platform)
    with pytest.raises(RawPastRetention, match="or with --from-broker if the broker still has"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 15, 25)], reason="fix")
    report = reprocess_range(
        platform, STREAM, [OffsetRange(0, 15, 25)], reason="fix", from_broker=True
    )
    after = event_rows(platform)
    restated = after.filter(pl.col("revision") == report.revision)
    assert restated["offset"].to_list() == list(range(15, 25))
    assert set(restated["partition"]) == {0}
    assert after.drop("revision").equals(before.drop("revision"))
    assert report.counts == report.counts_before
    assert raw_rows(platform).equals(raw)


def test_a_mended_parser_reaches_rejects_that_only_the_broker_has(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = reprocess_module.refine_batch

    def mended(raw: pl.DataFrame, *args: object) -> pl.DataFrame:
        whole = pl.when(pl.col("value") == b"{broken").then(
            pl.col("offset").map_elements(
                lambda offset: impression(offset + 1_000), return_dtype=pl.Binary
            )
        )
        return really(raw.with_columns(value=whole.otherwise("value")), *args)  # type: ignore[arg-type] # passed on as is

    rejected = event_rows(platform).filter(pl.col("disposition") == "rejected")
    old = rejected.filter(pl.col("partition") == 0, pl.col("offset") < 20).height
    assert old
    monkeypatch.setattr(reprocess_module, "refine_batch", mended)
    report = replay_rejects(platform, STREAM)
    assert (report.past_retention, report.mended) == (old, rejected.height - old)
    report = replay_rejects(platform, STREAM, from_broker=True)
    assert (report.past_retention, report.mended) == (0, old)
    rows = event_rows(platform)
    assert rows.filter(pl.col("disposition") == "rejected").is_empty()
    assert rows.select("partition", "offset").is_unique().all()


def test_what_the_broker_has_dropped_as_well_is_told_and_nothing_changes(
    platform: Platform, broker_at: KafkaSettings
) -> None:
    admin = AdminClient({"bootstrap.servers": broker_at.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(STREAM, 0, 18)]).values():
        future.result()
    before = event_rows(platform)
    with pytest.raises(RawPastRetention, match="has offset 15 any more, the broker has it from"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 15, 25)], reason="x", from_broker=True)
    assert list_restatements(platform.storage) == ()
    assert event_rows(platform).equals(before)
    report = replay_rejects(platform, STREAM, from_broker=True)
    gone = before.filter(
        pl.col("disposition") == "rejected", pl.col("partition") == 0, pl.col("offset") < 18
    )
    assert report.past_retention == gone.height > 0
    assert event_rows(platform).drop("revision").equals(before.drop("revision"))


def test_another_topics_records_are_never_taken_for_the_lost_ones(
    platform: Platform, broker_at: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = event_rows(platform)
    read = reprocess_module.rows_from_broker

    def other_records(*args: object) -> pl.DataFrame:
        with monkeypatch.context() as patch:
            really = refill.payload_fingerprint
            patch.setattr(refill, "payload_fingerprint", lambda v: really((v or b"") + b"!"))
            return read(*args)  # type: ignore[arg-type] # passed on as is

    monkeypatch.setattr(reprocess_module, "rows_from_broker", other_records)
    with pytest.raises(TopicReplaced, match="is not the one that was refined"):
        reprocess_range(platform, STREAM, [OffsetRange(0, 15, 25)], reason="x", from_broker=True)
    assert event_rows(platform).equals(before)


def test_a_worker_that_applies_the_announcement_first_is_overtaken(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = reprocess_module.announce
    meddled = []

    def announced(*args: object, **kwargs: object) -> object:
        restatement = really(*args, **kwargs)  # type: ignore[arg-type] # passed on as is
        if not meddled:
            meddled.append(resume_restatements(platform, STREAM))
        return restatement

    monkeypatch.setattr(reprocess_module, "announce", announced)
    report = reprocess_range(
        platform, STREAM, [OffsetRange(0, 15, 25)], reason="fix", from_broker=True
    )
    assert [len(found) for found in meddled] == [1]
    assert [item.revision for item in report.restatements] == [1, 2]
    restated = event_rows(platform).filter(pl.col("revision") == 2)
    assert restated["offset"].to_list() == list(range(15, 25))


def test_messages_are_where_the_tests_take_them_to_be() -> None:
    assert message(63).value == b"{broken"
    assert message(63).partition == 0

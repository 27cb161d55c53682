"""A small line without a broker: a real lake, and a published snapshot made by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.settings import Settings, load_settings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOPIC_ID = "topic-a"
PARTITION_COLUMNS = ("stream", "topic_id", "partition_id")
COUNTS = ("accepted", "rejected", "duplicate", "conflict", "absent", "lost", "repeated_offsets")
MARTS = """
create schema marts;
create table marts.conservation_offsets (
    stream varchar, topic_id varchar, partition_id integer, start_offset bigint, end_offset bigint,
    committed_offsets bigint, accepted bigint, rejected bigint, duplicate bigint, conflict bigint,
    absent bigint, lost bigint, repeated_offsets bigint, difference bigint, is_conserved boolean
);
create table marts.agg_campaign_daily (
    campaign_id varchar, currency varchar, gross_impressions bigint, net_impressions bigint,
    viewable_impressions bigint, net_clicks bigint, conversions bigint,
    post_click_conversions bigint, spend_micros bigint, revenue_micros bigint
);
create table marts.dim_campaigns (
    campaign_id varchar, campaign_name varchar, advertiser_id varchar, is_current boolean
);
create table marts.dim_advertisers (
    advertiser_id varchar, advertiser_name varchar, is_current boolean
);
create table marts.fct_conversions (event_id varchar, advertiser_id varchar);
create table marts.fct_attribution (
    conversion_event_id varchar, model varchar, touch_type varchar, micros_to_conversion bigint
);
"""


class SmallLine:
    """The state of a platform in a folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._landed: dict[tuple[str, int], int] = {}

    def ingest(
        self,
        stream: str,
        partition: int,
        values: Iterable[bytes | None],
        *,
        topic_id: str = TOPIC_ID,
        key: bytes | None = b"k",
        headers: list[dict[str, Any]] | None = None,
    ) -> None:
        """Land ``values`` at the next offsets, received at noon, and refine them."""
        platform = open_platform(self.settings)
        start = self._landed.get((topic_id, partition), 0)
        rows = [
            {
                "topic_id": topic_id,
                "partition": partition,
                "offset": offset,
                "kafka_timestamp": NOON,
                "key": key,
                "value": value,
                "headers": headers,
            }
            for offset, value in enumerate(values, start)
        ]
        self._commit(stream, pl.DataFrame(rows, schema=RAW_SCHEMA), start, start + len(rows))
        for lane in range(self.settings.kafka.lanes_per_topic):
            while refine_pending(platform, STREAMS[stream], lane) is not None:
                pass

    def land_gap(self, stream: str, partition: int, length: int, *, kind: str = "absent") -> None:
        """Land ``length`` offsets without a message; the next ``ingest`` refines them."""
        start = self._landed.get((TOPIC_ID, partition), 0)
        row = {
            "topic_id": TOPIC_ID,
            "partition": partition,
            "offset": start,
            "gap_kind": kind,
            "gap_length": length,
        }
        self._commit(stream, pl.DataFrame([row], schema=RAW_SCHEMA), start, start + length)

    def publish(self, conservation: Iterable[Mapping[str, Any]] = (), *, sql: str = "") -> None:
        """Publish empty marts, with these rows of ``conservation_offsets`` and what ``sql`` adds.

        A conservation row needs only the counts that are not 0.
        """
        folder = self.settings.published_dir
        folder.mkdir(parents=True, exist_ok=True)
        snapshot = folder / "adx-made.duckdb"
        snapshot.unlink(missing_ok=True)
        with duckdb.connect(str(snapshot)) as connection:
            connection.execute(MARTS)
            for given in conservation:
                row = {**dict.fromkeys(COUNTS, 0), "topic_id": TOPIC_ID, "partition_id": 0, **given}
                counted = sum(row[name] for name in COUNTS[:-1])
                committed = row.pop("committed_offsets", counted)
                row |= {
                    "start_offset": 0,
                    "end_offset": committed,
                    "committed_offsets": committed,
                    "difference": committed - counted,
                    "is_conserved": committed == counted and row["repeated_offsets"] == 0,
                }
                places = ", ".join(f"${name}" for name in row)
                connection.execute(
                    f"insert into marts.conservation_offsets ({', '.join(row)}) values ({places})",
                    row,
                )
            if sql:
                connection.execute(sql)
        (folder / "CURRENT").write_text(snapshot.name, encoding="utf-8")

    def _commit(self, stream: str, frame: pl.DataFrame, start: int, end: int) -> None:
        topic_id, partition = frame.row(0)[:2]
        landing = open_platform(self.settings).landing(STREAMS[stream])
        landing.commit(frame, topic_id, [OffsetRange(partition, start, end)])
        self._landed[topic_id, partition] = end


def impression(event_id: str, **fields: object) -> bytes:
    """A rendered impression of noon, as its producer sends it."""
    event = {
        "event_type": "rendered",
        "event_id": event_id,
        "ts": int(NOON.timestamp()) * 1_000_000,
        "impression_id": f"i-{event_id}",
        "exchange_id": "x",
        "request_id": "r",
        "imp_id": "1",
        "bid_id": "b",
        "campaign_id": "c",
        "creative_id": "cr",
        "advertiser_id": "a",
        "publisher_id": "p",
        **fields,
    }
    return json.dumps(event).encode()


REPORT_TABLES = """
alter table marts.agg_campaign_daily add column advertiser_id varchar;
alter table marts.agg_campaign_daily add column billed_impressions bigint;
alter table marts.agg_campaign_daily add column local_date date;
alter table marts.dim_campaigns add column status varchar;
alter table marts.dim_campaigns add column daily_budget_micros bigint;
alter table marts.dim_campaigns add column total_budget_micros bigint;
alter table marts.dim_advertisers add column currency varchar;
create table marts.agg_campaign_hourly (
    hour_start timestamp, currency varchar, net_impressions bigint, net_clicks bigint,
    billed_impressions bigint, spend_micros bigint
);
create table marts.agg_arrivals_hourly (
    hour_start timestamp, stream varchar, messages bigint, late bigint
);
create table marts.agg_auctions_hourly (offered bigint, bids bigint, wins bigint);
create table marts.agg_rejects_hourly (
    stream varchar, reason_code varchar, rejected bigint, last_seen_at timestamp
);
create schema control;
create table control.loads (
    load_id bigint, stream varchar, lake_version bigint, loaded_at timestamp, row_count bigint
);
create table control.load_ranges (
    load_id bigint, topic_id varchar, partition_id integer, start_offset bigint,
    end_offset bigint, kind varchar, revision bigint
);
create table main.snapshot (build_id varchar, to_load_id bigint, published_at timestamp);
insert into main.snapshot values ('build-1', 7, '2026-03-02 13:00:00');
"""


@pytest.fixture
def report_tables() -> str:
    """What ``SmallLine.publish`` adds for the HTML report: SQL, to go before a test's own."""
    return REPORT_TABLES


@pytest.fixture
def no_adx_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment without the platform's own variables."""
    for name in list(os.environ):
        if name.upper().startswith(("ADX_", "DAGSTER_HOME")):
            monkeypatch.delenv(name)


@pytest.fixture
def small_line(no_adx_variables: None, tmp_path: Path) -> SmallLine:
    return SmallLine(load_settings(home=tmp_path / "home"))


@pytest.fixture
def mixed_line(small_line: SmallLine) -> SmallLine:
    """Impressions: 2 accepted, 1 late among them, 2 rejected, 1 duplicate, 1 conflict, 3 absent."""
    late = impression("e-1", ts=(int(NOON.timestamp()) - 7_200) * 1_000_000)
    small_line.land_gap("ad_impressions", 0, 3)
    small_line.ingest(
        "ad_impressions",
        0,
        [
            impression("e-0"),
            b"<html>502 Bad Gateway \xff</html>",
            late,
            impression("e-0"),
            impression("e-0", campaign_id="other"),
        ],
        headers=[{"key": "[trace]", "value": b"\x01"}],
    )
    small_line.ingest("ad_impressions", 1, [None])
    return small_line

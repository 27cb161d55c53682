"""Hours become the offsets of their messages, by the broker's clock or by the events' own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.errors import LakeError
from adx_platform.pipeline.hours import (
    BadHours,
    TimeOf,
    backfill_hours,
    offsets_between,
    parse_hour,
)
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refining import refine_pending

TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
PER_HOUR = 2_000
STREAM = "ad_impressions"


def impression(number: int, event_time: datetime) -> bytes:
    names = ("impression_id", "exchange_id", "request_id", "imp_id", "bid_id", "campaign_id")
    more = ("creative_id", "advertiser_id", "publisher_id")
    event = {
        "event_type": "rendered",
        "event_id": f"e{number}",
        "ts": int(event_time.timestamp() * 1_000_000),
        **dict.fromkeys((*names, *more), "x"),
    }
    return json.dumps(event).encode()


@pytest.fixture
def hourly(platform: Platform) -> Platform:
    """Partition 1: three hours from 10:00 on; every hundredth event happened two hours earlier."""
    rows = []
    for offset in range(3 * PER_HOUR):
        received = TEN + timedelta(seconds=offset * 3_600 / PER_HOUR)
        happened = received - timedelta(hours=2 if offset % 100 == 50 else 0)
        value = b"{broken" if offset == PER_HOUR + 7 else impression(offset, happened)
        rows.append(("id-1", 1, offset, None, None, received, None, value, None))
    raw = pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row")
    landing = platform.landing(AD_IMPRESSIONS)
    landing.commit(raw, "id-1", [OffsetRange(1, 0, len(rows))])
    settings = platform.settings
    ingest = settings.ingest.model_copy(update={"max_records_per_batch": 10_000})
    wide = type(platform)(
        settings.model_copy(update={"ingest": ingest}),
        platform.kafka,
        platform.storage,
        platform.registry,
        platform.enrichment,
    )
    assert refine_pending(wide, AD_IMPRESSIONS, 1) is not None
    return wide


def test_hours_of_the_broker_are_one_range(hourly: Platform) -> None:
    found = offsets_between(
        hourly, STREAM, TEN + timedelta(hours=1), TEN + timedelta(hours=2), by=TimeOf.KAFKA
    )
    assert found == {"id-1": (OffsetRange(1, PER_HOUR, 2 * PER_HOUR),)}


def test_hours_of_the_events_reach_back_to_the_late_ones(hourly: Platform) -> None:
    found = offsets_between(hourly, STREAM, TEN, TEN + timedelta(hours=1), by=TimeOf.EVENT)
    # The late events of 10:00 to 11:00 came between 12:00 and 13:00.
    assert found == {
        "id-1": (OffsetRange(1, 0, PER_HOUR), OffsetRange(1, 4_050, 5_951)),
    }


def test_an_empty_span_or_hour_is_said_clearly(hourly: Platform) -> None:
    with pytest.raises(BadHours, match="ends at 2026-03-02T10:00, not after"):
        offsets_between(hourly, STREAM, TEN, TEN, by=TimeOf.KAFKA)
    late = TEN + timedelta(days=1)
    with pytest.raises(LakeError, match="has nothing of 2026-03-03T10:00 to 2026-03-03T11:00 UTC"):
        backfill_hours(hourly, STREAM, late, late + timedelta(hours=1), by=TimeOf.KAFKA, reason="x")


def test_a_backfill_says_what_it_refined_again_and_what_changed(hourly: Platform) -> None:
    report = backfill_hours(
        hourly,
        STREAM,
        TEN + timedelta(hours=1),
        TEN + timedelta(hours=2),
        by=TimeOf.KAFKA,
        reason="a fix",
    )
    assert report.revisions == (1,)
    assert report.before == report.after
    assert report.after["rejected"] == 1
    assert sum(report.after.values()) == PER_HOUR
    assert "2,000 offsets refined again; every disposition came out as before" in report.explain()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02T10", TEN),
        (" 2026-03-02T10:30 ", TEN + timedelta(minutes=30)),
        ("2026-03-02T10:00Z", TEN),
    ],
)
def test_an_hour_is_read_as_people_write_it(text: str, wanted: datetime) -> None:
    assert parse_hour(text) == wanted


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-03-02T10:00+02:00"])
def test_what_is_no_hour_says_how_one_is_written(text: str) -> None:
    with pytest.raises(BadHours, match="write it in UTC"):
        parse_hour(text)

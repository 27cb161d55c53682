"""Refining again is proposed where it may help, for the offsets that it may help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.quality.anomaly.remedies import MOST_RANGES, reject_remedy
from adx_platform.quality.incidents.model import Action, Remedy, SeriesWindow

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = SeriesWindow("reject_rate", "bid_requests", START, START + HOUR)
STREAM = "bid_requests"
Refuse = Callable[..., None]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(
            "create schema raw; create table raw.rejects (stream varchar, topic_id varchar, "
            "partition_id integer, kafka_offset bigint, kafka_timestamp timestamp, "
            "reason_code varchar)"
        )
        yield opened


@pytest.fixture
def refuse(connection: duckdb.DuckDBPyConnection) -> Refuse:
    def insert(
        offsets: Iterable[int],
        *,
        reason: str = "unknown_schema_id",
        partition: int = 0,
        at: datetime = START,
        stream: str = STREAM,
        topic: str = "o'topic",
    ) -> None:
        connection.executemany(
            "insert into raw.rejects values (?, ?, ?, ?, ?, ?)",
            [[stream, topic, partition, o, at.replace(tzinfo=None), reason] for o in offsets],
        )

    return insert


@pytest.fixture
def query(connection: duckdb.DuckDBPyConnection) -> Any:
    return lambda sql: pl.DataFrame(connection.sql(sql).to_arrow_table())


def test_an_unknown_schema_is_worth_another_try(query: Any, refuse: Refuse) -> None:
    refuse([5, 6, 7, 20])
    refuse([3], partition=1)
    refuse([8, 9], reason="malformed_avro")
    refuse([100], at=START - timedelta(seconds=1))
    refuse([101], at=START + HOUR)
    refuse([102], stream="ad_impressions")

    assert reject_remedy(query, STREAM, [WINDOW]) == Remedy(
        action=Action.REFINE_AGAIN,
        stream=STREAM,
        topic_id="o'topic",
        ranges=(OffsetRange(0, 5, 8), OffsetRange(0, 20, 21), OffsetRange(1, 3, 4)),
        reasons=("unknown_schema_id",),
    )


def test_what_is_wrong_in_the_message_stays_wrong(query: Any, refuse: Refuse) -> None:
    refuse([1, 2])
    refuse([3, 4, 5], reason="malformed_avro")

    assert reject_remedy(query, STREAM, [WINDOW]) is None
    assert reject_remedy(query, STREAM, []) is None
    assert reject_remedy(query, "ad_impressions", [WINDOW]) is None


def test_a_proposal_stays_small(query: Any, refuse: Refuse) -> None:
    refuse(range(0, 100_000, 100))
    refuse([7], partition=1)

    remedy = reject_remedy(query, STREAM, [WINDOW])

    assert remedy is not None
    assert len(remedy.ranges) <= MOST_RANGES
    assert (remedy.ranges[0].start, remedy.ranges[-1].partition) == (0, 1)
    covered = {o for r in remedy.ranges if r.partition == 0 for o in range(r.start, r.end)}
    assert covered >= set(range(0, 100_000, 100))


def test_a_window_without_an_end_reaches_to_now(query: Any, refuse: Refuse) -> None:
    refuse([1], at=START + 30 * HOUR)

    remedy = reject_remedy(query, STREAM, [SeriesWindow("reject_rate", STREAM, START)])

    assert remedy is not None
    assert remedy.ranges == (OffsetRange(0, 1, 2),)

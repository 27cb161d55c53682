"""The lake is recounted from its stored rows, against the cursors of the same snapshot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.lake_rows import latest_accepted, recount_landing, refined_window

STREAM = STREAMS["clicks_conversions"]
TOPIC_ID = "5b1c"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DISPOSITIONS = ["accepted", "rejected", "duplicate", "accepted", "lost", "conflict"]
GAP = 3


def raw_rows(start: int, partition: int = 0) -> tuple[pl.DataFrame, OffsetRange]:
    """Six rows from ``start``: the fifth is a gap of three offsets."""
    rows = []
    offset = start
    for disposition in DISPOSITIONS:
        is_gap = disposition == "lost"
        rows.append(
            {
                "topic_id": TOPIC_ID,
                "partition": partition,
                "offset": offset,
                "gap_kind": "lost" if is_gap else None,
                "gap_length": GAP if is_gap else None,
                "kafka_timestamp": NOON + timedelta(seconds=offset),
                "value": None if is_gap else b"x",
            }
        )
        offset += GAP if is_gap else 1
    return pl.DataFrame(rows, schema=RAW_SCHEMA), OffsetRange(partition, start, offset)


def refined_rows(raw: pl.DataFrame) -> pl.DataFrame:
    shared = raw.select("topic_id", "partition", "offset", "gap_length", "kafka_timestamp")
    filled = shared.with_columns(
        pl.Series("disposition", DISPOSITIONS),
        revision=pl.lit(0, pl.Int64),
        event_time=pl.col("kafka_timestamp") - timedelta(seconds=2),
        event_date=pl.lit(NOON.date()),
        is_late=pl.lit(value=False),
        reason_code=pl.lit("malformed_csv"),
    )
    schema = STREAM.events_schema
    return filled.with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
        if name not in filled.columns
    ).select(schema.names())


def ingest(storage: LakeStorage, *starts: int) -> None:
    for start in starts:
        raw, span = raw_rows(start)
        LandingHandle.open(storage, STREAM.topic).commit(raw, TOPIC_ID, [span])
        RefineHandle.open(storage, STREAM.topic, STREAM.events_schema).commit(
            refined_rows(raw), TOPIC_ID, [span]
        )


@pytest.fixture
def storage(tmp_path: Path) -> LakeStorage:
    lake = LakeStorage.at(str(tmp_path / "lake"))
    ingest(lake, 10, 18, 26)
    return lake


def table(storage: LakeStorage, layer: str) -> DeltaTable:
    return DeltaTable(storage.table_uri(f"{layer}/{STREAM.topic}"))


def test_both_layers_hold(storage: LakeStorage) -> None:
    window = refined_window(storage, STREAM)
    (events,) = window.equations
    (raw,) = recount_landing(storage, STREAM)

    assert (events.verdict, raw.verdict) == ("holds", "holds")
    assert (events.start, events.end) == (raw.start, raw.end) == (10, 34)
    assert (events.accepted, events.lost, raw.landed, raw.lost) == (6, 9, 15, 9)
    assert window.rows.height == 18
    assert window.version == table(storage, "events").version()


def test_an_empty_lake_has_nothing_to_count(tmp_path: Path) -> None:
    storage = LakeStorage.at(str(tmp_path / "lake"))

    assert refined_window(storage, STREAM).equations == ()
    assert recount_landing(storage, STREAM) == ()
    assert latest_accepted(storage, STREAM, tail=5).is_empty()


@pytest.mark.parametrize("tail", [1, 2, 5, 9, 24, 1000])
def test_every_tail_holds(storage: LakeStorage, tail: int) -> None:
    (events,) = refined_window(storage, STREAM, tail=tail).equations
    (raw,) = recount_landing(storage, STREAM, tail=tail)

    assert (events.verdict, raw.verdict) == ("holds", "holds")
    assert events.end - events.start == min(tail, 24)


def test_a_deleted_row_is_found(storage: LakeStorage) -> None:
    table(storage, "events").delete("offset = 19")

    (events,) = refined_window(storage, STREAM).equations

    assert (events.verdict, events.missing, events.first_missing) == ("broken", 1, 19)


def test_a_row_appended_twice_is_found(storage: LakeStorage) -> None:
    raw, _ = raw_rows(18)
    write_deltalake(table(storage, "raw"), raw.filter(pl.col("offset") == 20), mode="append")

    (equation,) = recount_landing(storage, STREAM)

    assert (equation.verdict, equation.doubled, equation.first_doubled) == ("broken", 1, 20)


def test_damage_before_the_tail_is_left_to_the_full_recount(storage: LakeStorage) -> None:
    table(storage, "events").delete("offset = 11")

    (tail,) = refined_window(storage, STREAM, tail=10).equations
    (full,) = refined_window(storage, STREAM).equations

    assert (tail.verdict, full.verdict) == ("holds", "broken")


def test_raw_rows_shed_by_retention_leave_a_later_start(storage: LakeStorage) -> None:
    table(storage, "raw").delete("offset < 18")

    (equation,) = recount_landing(storage, STREAM)

    assert (equation.verdict, equation.start, equation.end) == ("holds", 18, 34)


def test_the_latest_accepted_rows_have_every_column(storage: LakeStorage) -> None:
    rows = latest_accepted(storage, STREAM, tail=10)

    assert rows.schema == STREAM.events_schema
    assert rows["offset"].to_list() == [26, 29]

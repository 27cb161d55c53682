"""Loads over the wire: real driver, real S3, and PostgreSQL in the shape of Redshift.

What that shows and what it does not is in docs/redshift.md.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from adx_platform.contracts.columns import Column
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse import redshift_schema
from adx_platform.warehouse.base import LoadBatch, LoadRange, StaleLoadError, WarehouseError
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.redshift_connection import connect
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import check_days
from adx_platform.warehouse.tables import ALL_TABLES, Table
from assets_tests.integration.redshift_batches import (
    START,
    STREAM,
    TOPIC_ID,
    batch,
    events,
    left_behind,
    offsets,
    restatement,
)
from assets_tests.servers.redshift_shaped import Cluster
from assets_tests.servers.seaweedfs import SeaweedFS

pytestmark = [pytest.mark.postgres, pytest.mark.s3]


@pytest.fixture
def settings(redshift_cluster: Cluster, seaweedfs: SeaweedFS, tmp_path: Path) -> Settings:
    return load_settings(
        home=tmp_path,
        lake=seaweedfs.settings(tmp_path.name),
        warehouse=redshift_cluster.settings(),
    )


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[RedshiftWarehouse]:
    with RedshiftWarehouse.from_settings(settings) as opened:
        opened.ensure_schema()
        yield opened


def test_the_schema_is_as_defined_and_made_once(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster
) -> None:
    before = len(redshift_cluster.wire.log.statements)
    warehouse.ensure_schema()
    assert len(redshift_cluster.wire.log.statements) == before + 1, "looking is one query"
    found = redshift_cluster.execute(
        "select table_schema || '.' || table_name, "
        "array_agg(column_name::text order by ordinal_position) from information_schema.columns "
        "where table_schema in ('raw', 'control', 'reference') group by 1"
    )
    assert dict(found) == {
        redshift_schema.LOCK_TABLE: ["note"],
        **{table.qualified_name: [c.name for c in table.columns] for table in ALL_TABLES},
    }


def test_a_load_moves_rows_and_cursor_together(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster, settings: Settings
) -> None:
    receipt = warehouse.load(batch(10, 13))
    assert receipt.load_id == 1
    assert receipt.inserted == {"clicks": 3, "conversions": 0, "rejects": 0, "gaps": 0}
    assert receipt.removed == {}
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 13}
    assert warehouse.cursors("ad_impressions") == {}
    assert warehouse.load(batch(13, 15)).load_id == 2
    assert [offset for offset, _ in offsets(redshift_cluster)] == [10, 11, 12, 13, 14]
    assert redshift_cluster.execute("select distinct load_id from raw.clicks order by 1") == [
        (1,),
        (2,),
    ]
    loads = warehouse.query("select load_id, stream, lake_version, row_count from control.loads")
    assert loads.sort("load_id").rows() == [(1, STREAM, 5, 3), (2, STREAM, 5, 2)]
    ranges = warehouse.query(
        "select load_id, start_offset, end_offset, kind, revision from control.load_ranges"
    )
    assert ranges.sort("load_id").rows() == [(1, 10, 13, "forward", 0), (2, 13, 15, "forward", 0)]
    assert left_behind(settings) == []


def test_every_value_arrives_as_it_was(warehouse: RedshiftWarehouse) -> None:
    at = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
    nasty = "a\tb\nc\\d'e\"f\\N|ü€😀"
    frame = events(
        range(1),
        event_time=at,
        event_date=at.date(),
        landing_page=nasty,
        has_consent=True,
        is_givt=None,
        lateness_seconds=-(2**31),
        user_id=None,
    )
    warehouse.load(LoadBatch(STREAM, 0, project(STREAM, frame)))
    row = warehouse.query(
        "select event_time, event_date, landing_page, has_consent, is_givt, lateness_seconds, "
        "user_id, load_id from raw.clicks"
    )
    assert row.rows() == [
        (at.replace(tzinfo=None), at.date(), nasty, True, None, -(2**31), None, 1)
    ]
    assert row.schema["event_time"] == pl.Datetime("us")
    (loaded_at,) = warehouse.query("select loaded_at from control.loads").row(0)
    assert abs(loaded_at - datetime.now(UTC).replace(tzinfo=None)).total_seconds() < 60


@pytest.mark.parametrize("start", [2, 4])
def test_a_stale_batch_changes_nothing(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster, start: int
) -> None:
    warehouse.load(batch(0, 3))
    with pytest.raises(StaleLoadError, match=f"starts at offset {start}, the warehouse is at 3"):
        warehouse.load(batch(start, 6))
    with pytest.raises(StaleLoadError, match="offsets 1 to 4 are not loaded yet"):
        warehouse.load(restatement(1, 4))
    assert offsets(redshift_cluster) == [(0, 0), (1, 0), (2, 0)]
    assert warehouse.load(batch(3, 6)).load_id == 2


def test_a_replaced_range_is_noted_row_by_row(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster
) -> None:
    warehouse.load(batch(0, 5))
    receipt = warehouse.load(restatement(1, 3))
    assert receipt.removed == {"clicks": 2, "conversions": 0, "rejects": 0, "gaps": 0}
    assert offsets(redshift_cluster) == [(0, 0), (1, 1), (2, 1), (3, 0), (4, 0)]
    removed = redshift_cluster.execute(
        "select load_id, table_name, event_id, event_date, imp_id from control.removed_rows "
        "order by event_id"
    )
    assert removed == [
        (2, "clicks", "e-1", START.date(), None),
        (2, "clicks", "e-2", START.date(), None),
    ]
    assert warehouse.applied_restatements(STREAM) == [LoadRange(TOPIC_ID, 0, 1, 3, revision=1)]
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 5}


def test_rows_expire_and_those_that_come_again_are_counted_once(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster
) -> None:
    warehouse.load(batch(0, 5))
    warehouse.record_build("green", 1)
    warehouse.load(batch(5, 6))
    redshift_cluster.execute("create schema intermediate")
    redshift_cluster.execute(
        "create table intermediate.int_clicks_copies as select topic_id, partition_id, "
        "kafka_offset, event_id, 'duplicate'::text as disposition, event_date from raw.clicks "
        "where kafka_offset = 3"
    )
    today = START.date() + timedelta(days=100)

    (expired,) = expire(warehouse, {"raw.clicks": 90, "marts.fct_clicks": 90}, today=today)

    assert (expired.table, expired.rows) == ("raw.clicks", 5)
    assert offsets(redshift_cluster) == [(5, 0)], "the last load is in no build yet"
    runs = (
        "select start_offset, end_offset, disposition from control.expired_offsets "
        "where event_date = '2026-03-02' order by 1"
    )
    assert redshift_cluster.execute(runs) == [
        (0, 3, "accepted"),
        (3, 4, "duplicate"),
        (4, 5, "accepted"),
    ]
    books = "select table_name, kept_from, rows_removed from control.retention"
    assert redshift_cluster.execute(books) == [("raw.clicks", date(2026, 3, 3), 5)]
    check_days(warehouse, {"raw.clicks": 79}, timedelta(days=30))
    assert expire(warehouse, {"raw.clicks": 90}, today=today) == ()

    warehouse.load(restatement(1, 4))

    assert redshift_cluster.execute(runs) == [(0, 1, "accepted"), (4, 5, "accepted")]
    assert offsets(redshift_cluster) == [(1, 1), (2, 1), (3, 1), (5, 0)]


def test_text_that_is_too_long_fails_the_load_whole(
    warehouse: RedshiftWarehouse, redshift_cluster: Cluster, settings: Settings
) -> None:
    warehouse.load(batch(0, 3))
    # 513 characters, of two bytes each: Redshift counts bytes.
    frames = project(STREAM, events(range(3, 6), click_id="ü" * 513))
    with pytest.raises(WarehouseError, match="length of the data column click_id is longer"):
        warehouse.load(LoadBatch(STREAM, 5, frames, forward=(LoadRange(TOPIC_ID, 0, 3, 6),)))
    assert offsets(redshift_cluster) == [(0, 0), (1, 0), (2, 0)]
    assert warehouse.latest_load() == 1
    assert left_behind(settings) == []


def test_reference_tables_are_replaced_when_their_content_changes(
    warehouse: RedshiftWarehouse,
) -> None:
    rates = pl.DataFrame(
        {
            "rate_date": [date(2026, 3, 2)] * 2,
            "from_currency": ["EUR", "JPY"],
            "to_currency": ["USD", "USD"],
            "rate": [Decimal("1.08765432"), Decimal("0.00654321")],
        },
        schema_overrides={"rate": pl.Decimal(18, 8)},
    )
    columns = next(t for t in ALL_TABLES if t.qualified_name == "reference.fx_rates").frame_schema
    rates = rates.rename(dict(zip(rates.columns, columns.names(), strict=True)))
    assert warehouse.load_reference("fx_rates", rates, version="v1")
    assert not warehouse.load_reference("fx_rates", rates, version="v1")
    found = warehouse.query("select * from reference.fx_rates order by 2")
    assert found.rows() == rates.rows()
    assert warehouse.load_reference("fx_rates", rates.head(1), version="v2")
    assert warehouse.load_reference("fx_rates", rates.head(0), version="v2", force=True)
    assert warehouse.query("select * from reference.fx_rates").is_empty()
    books = warehouse.query("select table_name, version, row_count from control.reference_loads")
    assert books.rows() == [("fx_rates", "v2", 0)]
    with pytest.raises(WarehouseError, match="no reference table 'rates'"):
        warehouse.load_reference("rates", rates, version="v1")


def test_a_build_is_recorded_once(warehouse: RedshiftWarehouse) -> None:
    warehouse.load(batch(0, 3))
    warehouse.record_build("b1", 1)
    warehouse.record_build("b1", 1)
    assert warehouse.completed_load() == 1
    with pytest.raises(WarehouseError, match="cannot include load 2: the latest load is 1"):
        warehouse.record_build("b2", 2)
    with pytest.raises(WarehouseError, match="already recorded with loads up to 1, not 0"):
        warehouse.record_build("b1", 0)


def test_a_contract_that_grew_is_followed(
    warehouse: RedshiftWarehouse, settings: Settings, redshift_cluster: Cluster
) -> None:
    old = Table(
        "raw",
        "clicks",
        "",
        (
            Column("event_id", pl.String, ""),
            Column("event_date", pl.Date, ""),
            Column("load_id", pl.Int32, ""),
            Column("partition_id", pl.Int32, ""),
        ),
    )
    new = Table(
        "raw",
        "clicks",
        "",
        (
            Column("event_id", pl.String, ""),
            Column("event_date", pl.Date, ""),
            Column("load_id", pl.Int32, ""),
            Column("partition_id", pl.Int64, ""),
            Column("reason", pl.String, ""),
        ),
    )
    connection = warehouse.connection
    connection.execute("DROP TABLE raw.clicks")
    redshift_schema.migrate(connection, [old])
    connection.execute("INSERT INTO raw.clicks VALUES ('e', '2026-03-02', 1, 7)")
    connection.execute("CREATE VIEW raw.over AS SELECT partition_id FROM raw.clicks")
    assert not redshift_schema.schema_is_current(connection, [new])
    redshift_schema.migrate(connection, [new])
    assert redshift_schema.schema_is_current(connection, [new])
    assert redshift_cluster.execute("select event_id, partition_id, reason from raw.clicks") == [
        ("e", 7, None)
    ]
    wrong = Table("raw", "clicks", "", (Column("event_id", pl.Int64, ""),))
    with pytest.raises(WarehouseError, match="is no widening"):
        redshift_schema.migrate(connection, [wrong])


# The driver leaves its socket open when it is not let in.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_refused_connection_is_told_without_the_password(settings: Settings) -> None:
    section = settings.warehouse.model_copy(update={"user": "nobody-there"})
    with pytest.raises(WarehouseError, match="does not take the connection") as told:
        connect(section)
    assert settings.warehouse.password is not None
    assert settings.warehouse.password.get_secret_value() not in str(told.value)
    del told
    gc.collect()

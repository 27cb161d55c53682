"""The Hive engine over HiveServer2's protocol and a real metastore (Spark's Thrift Server)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from adx_platform.settings import load_settings
from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    StaleLoadError,
    WarehouseBusyError,
    WarehouseError,
)
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.erasure import forget_keys
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_publish import publish_build
from adx_platform.warehouse.hive_retention import expire_on_hive
from adx_platform.warehouse.hive_store import HiveStore
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.published import open_published
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import Expired, check_days
from adx_platform.warehouse.tables import ALL_TABLES, RAW_TABLES
from assets_tests.integration.hive_batches import (
    EXPIRING,
    HOUR,
    KEPT_FROM,
    STREAM,
    TOPIC_ID,
    batch,
    books,
    build_two_days,
    events,
    ids,
    killed_at,
    opened,
    restating,
)
from assets_tests.servers.ports import free_port
from assets_tests.servers.spark_thrift import missing, spark_thrift
from assets_tests.unit.warehouse.conftest import event_rows

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.long]
AT = datetime(2026, 3, 1, 1, 2, 3, 4)  # noqa: DTZ001 the warehouse's times are naive UTC


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with spark_thrift(tmp_path_factory.mktemp("thrift"), free_port()) as number:
        yield number


@pytest.fixture
def store_dir(tmp_path: Path, port: int) -> Path:
    """An empty warehouse: the tables of the test before are dropped from the metastore."""
    catalog = HiveCatalog("127.0.0.1", port, "adx")
    for schema in ("raw", "control", "reference", "intermediate", "marts"):
        catalog.run(f"DROP DATABASE IF EXISTS {schema} CASCADE")
    catalog.close()
    return tmp_path / f"copies {uuid.uuid4().hex[:4]}"


def test_rows_are_those_of_duckdb(store_dir: Path, port: int, tmp_path: Path) -> None:
    loads = [
        batch(0, 2 * HOUR, 1, 2, HOUR + 5),
        batch(2 * HOUR, 3 * HOUR, 2 * HOUR + 1),
        restating(2, HOUR + 6, 2, HOUR + 5),
    ]
    with opened(store_dir, port) as hive, DuckDBWarehouse(tmp_path / "d.duckdb") as duck:
        hive.ensure_schema()
        hive.ensure_schema()
        duck.ensure_schema()
        for one in loads:
            assert hive.load(one) == duck.load(one)
        assert hive.cursors(STREAM) == duck.cursors(STREAM) == {(TOPIC_ID, 0): 3 * HOUR}
        assert hive.applied_restatements(STREAM) == duck.applied_restatements(STREAM)
        assert hive.latest_load() == duck.latest_load() == 3
        for table in ALL_TABLES:
            names = [c.name for c in table.columns if c.name != "loaded_at"]
            sql = f"SELECT {', '.join(names)} FROM {table.qualified_name}"
            theirs = sorted(duck.query(sql).rows(), key=repr)
            assert sorted(hive.query(sql).rows(), key=repr) == theirs, table.name
        assert len(hive.query("SELECT * FROM raw.clicks").rows()) == 4
        hours = hive.query("SELECT DISTINCT partition_hour FROM raw.clicks ORDER BY 1")
        assert hours["partition_hour"].to_list() == [f"2026-03-02-0{n}" for n in range(3)]


def test_a_stale_batch_changes_nothing(store_dir: Path, port: int) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 5, 1))
        with pytest.raises(StaleLoadError, match="the warehouse is at 5"):
            hive.load(batch(0, 5, 1))
        with pytest.raises(StaleLoadError, match="not loaded yet"):
            hive.load(restating(3, 9, 3))
        with pytest.raises(WarehouseBusyError, match="another process"):
            opened(store_dir, port)
        assert ids(hive) == ["r0-1"]
        assert hive.latest_load() == 1


@pytest.mark.parametrize(
    ("point", "is_committed"),
    [("load.in_transaction", False), ("hive.before_swaps", True), ("hive.between_swaps", True)],
)
def test_a_kill_loses_and_doubles_nothing(
    store_dir: Path, port: int, tmp_path: Path, point: str, is_committed: bool
) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 2 * HOUR, 1, 2, HOUR + 5))
    replacing = events(2, HOUR + 5, revision=2)
    replacing.write_parquet(tmp_path / "events.parquet")
    span = ("2", str(HOUR + 6), "2")
    killed_at(point, store_dir, port, "load", str(tmp_path / "events.parquet"), *span)
    old, new = ["r0-1", "r0-2", "r0-3605"], ["r0-1", "r2-2", "r2-3605"]
    with opened(store_dir, port) as hive:
        # Between the kill and the next writer a reader sees the old copy or the new one of an hour.
        assert all(seen in pair for seen, *pair in zip(ids(hive), old, new, strict=True))
        assert hive.latest_load() == (2 if is_committed else 1)
        hive.ensure_schema()
        assert ids(hive) == (new if is_committed else old)
        if not is_committed:
            hive.load(restating(2, HOUR + 6, 2, HOUR + 5))
        assert ids(hive) == new
        assert hive.load(batch(2 * HOUR, 3 * HOUR, 2 * HOUR)).load_id == 3
        assert ids(hive) == [*new, "r0-7200"]
        removed = hive.query("SELECT event_id FROM control.removed_rows ORDER BY 1")
        assert removed["event_id"].to_list() == ["r0-2", "r0-3605"]


def test_leftovers_are_swept_and_read_copies_are_not(store_dir: Path, port: int) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 5, 1))
        hive.load(batch(5, 9, 6))
    store = HiveStore(store_dir)
    store.write("raw.clicks", "2026-03-02-00", pl.DataFrame({"a": [1]}))
    assert store.sweep(2) == 1
    # clicks, cursors, loads and load_ranges of the first load.
    assert store.sweep(2, kept_seconds=-60) == 4
    store.close()
    with opened(store_dir, port) as hive:
        assert ids(hive) == ["r0-1", "r0-6"]


def test_builds_and_references(store_dir: Path, port: int) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 5, 1))
        hive.record_build("b1", 1)
        hive.record_build("b1", 1)
        assert hive.completed_load() == 1
        with pytest.raises(WarehouseError, match="already recorded"):
            hive.record_build("b1", 0)
        with pytest.raises(WarehouseError, match="the latest load is 1"):
            hive.record_build("b2", 2)
        table = next(t for t in ALL_TABLES if t.schema == "reference")
        empty = pl.DataFrame(schema=table.frame_schema)
        assert hive.load_reference(table.name, empty, version="v1")
        assert not hive.load_reference(table.name, empty, version="v1")
        assert hive.load_reference(table.name, empty, version="v1", force=True)
        rows = hive.query(
            "SELECT version, row_count FROM control.reference_loads WHERE table_name = $name",
            {"name": table.name},
        )
        assert rows.rows() == [("v1", 0)]


def test_another_folder_is_refused(store_dir: Path, port: int, tmp_path: Path) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 5, 1))
    with opened(tmp_path / "other", port) as hive, pytest.raises(WarehouseError, match="not this"):
        hive.load(batch(5, 6, 5))


def test_the_raw_tables_are_partitioned_by_hour(store_dir: Path, port: int) -> None:
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
    catalog = HiveCatalog("127.0.0.1", port, "adx")
    for table in RAW_TABLES:
        described = [row[0] for row in catalog.run(f"DESCRIBE {table.qualified_name}")]
        columns = [c.name for c in table.columns]
        assert described[: len(columns) + 1] == [*columns, "partition_hour"]
    catalog.close()


def clicks_of(user: str | None, revision: int) -> LoadBatch:
    rows = [
        {"offset": offset, "revision": revision, "user_id": name}
        for offset, name in enumerate((user, "somebody-else"))
    ]
    span = LoadRange(TOPIC_ID, 0, 0, 2, revision)
    ranges = {"replaced": (span,)} if revision else {"forward": (span,)}
    return LoadBatch(STREAM, 5 + revision, project(STREAM, event_rows(STREAM, rows)), **ranges)


def test_an_erased_person_is_in_no_table_and_no_file(store_dir: Path, port: int) -> None:
    person = "a" * 64

    def files() -> list[Path]:
        return [
            path
            for path in store_dir.rglob("*.parquet")
            if person in repr(pl.read_parquet(path).rows())
        ]

    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(clicks_of(person, 0))
        assert len(files()) == 1
        with pytest.raises(WarehouseError, match=r"raw\.clicks has 1 rows of the person"):
            forget_keys(hive, [person])
        hive.load(clicks_of(None, 1))
        assert len(files()) == 2, "the former copy, and the keys of removed rows"
        touched = "intermediate.int_touched_events"
        for statement in (
            "CREATE DATABASE intermediate",
            f"CREATE TABLE {touched} STORED AS PARQUET AS SELECT user_id FROM control.removed_rows",
        ):
            hive.query(statement)

        assert forget_keys(hive, [person]) == 2

        removed = hive.query("SELECT user_id FROM control.removed_rows ORDER BY event_id")
        assert removed.rows() == [(None,), ("somebody-else",)]
        assert hive.query(f"SELECT count(*) AS n FROM {touched}").item() == 0
        assert files() == []
        assert forget_keys(hive, [person]) == 0
        # And the warehouse goes on.
        assert hive.load(batch(2, 5, 3)).load_id == 3


@pytest.mark.timeout(600)
def test_a_green_build_is_published_on_this_machine(
    store_dir: Path, port: int, tmp_path: Path
) -> None:
    warehouse = {"engine": "hive", "host": "127.0.0.1", "port": port, "copies_dir": store_dir}
    settings = load_settings(home=tmp_path / "home", warehouse=warehouse)
    with opened(store_dir, port) as hive:
        hive.ensure_schema()
        hive.load(batch(0, 5, 1))
        assert hive.built_tables("marts") == []
        hive.record_build("b1", 1)
    with pytest.raises(WarehouseError, match="marts is empty"):
        publish_build(settings, "b1")
    with opened(store_dir, port) as hive:
        for statement in (
            "CREATE DATABASE marts",
            (
                "CREATE TABLE marts.agg (n BIGINT, name STRING, is_new BOOLEAN, "
                "share DECIMAL(25,6), never DECIMAL(25,6), at TIMESTAMP, day DATE) "
                "STORED AS PARQUET"
            ),
            (
                "INSERT INTO marts.agg VALUES (1, 'a', true, 0.5, null, "
                "timestamp '2026-03-01 01:02:03.000004', date '2026-03-01')"
            ),
            "CREATE TABLE marts.empty (n BIGINT, day DATE) STORED AS PARQUET",
            "CREATE TABLE marts.fct_clicks (n BIGINT) STORED AS PARQUET",
            "CREATE VIEW marts.seen AS SELECT n FROM marts.agg",
        ):
            hive.query(statement)
        assert hive.built_tables("marts") == ["agg", "empty", "fct_clicks"]
    with pytest.raises(WarehouseError, match="not recorded as green"):
        publish_build(settings, "b2")
    assert publish_build(settings, "b1").rows == {"agg": 1, "empty": 0}
    with open_published(settings.published_dir) as snapshot:
        assert snapshot.sql("from marts.agg").fetchall() == [
            (1, "a", True, Decimal("0.500000"), None, AT, AT.date())
        ]
        described = {row[0]: row[1] for row in snapshot.sql("describe marts.empty").fetchall()}
        assert described == {"n": "BIGINT", "day": "DATE"}
        assert snapshot.sql("select max(load_id) from control.loads").fetchall() == [(1,)]


def test_rows_expire_and_come_back_as_on_duckdb(store_dir: Path, port: int, tmp_path: Path) -> None:
    with opened(store_dir, port) as hive, DuckDBWarehouse(tmp_path / "d.duckdb") as duck:
        build_two_days(hive, hive.query)
        build_two_days(duck, duck.connection.execute)
        retention = dict.fromkeys(EXPIRING, 90)
        today = KEPT_FROM + timedelta(days=90)
        check_days(hive, retention, timedelta(days=30))
        expired = expire(hive, retention, today=today)
        assert expired == expire(duck, retention, today=today)
        assert {item.table: item.rows for item in expired} == dict(
            zip(EXPIRING, (4, 1, 4), strict=True)
        )
        after = books(hive)
        assert after == books(duck)
        fates = {(row[3], row[4], row[5]) for row in after["control.expired_offsets"]}
        assert fates == {
            (1, 2, "accepted"),
            (2, 3, "duplicate"),
            (3, 5, "accepted"),
            (HOUR + 5, HOUR + 6, "accepted"),
        }
        hours = hive.query("SELECT DISTINCT partition_hour FROM raw.clicks ORDER BY 1")
        assert hours["partition_hour"].to_list() == ["2026-03-02-01", "2026-03-03-00"]
        described = hive.query("DESCRIBE FORMATTED marts.fct_clicks").rows()
        folder = next(
            Path(row[1].removeprefix("file:")) for row in described if row[0] == "Location"
        )
        days = {path.parent.name for path in folder.rglob("*.parquet")}
        assert days == {"click_date=2026-03-03"}, "the files of the others are deleted"

        assert expire(hive, retention, today=today) == ()
        again = restating(2, 4, 2)
        assert hive.load(again) == duck.load(again)
        assert books(hive) == books(duck)
        for each in (hive, duck):
            each.record_build("greener", 4)
        assert expire(hive, retention, today=today) == expire(duck, retention, today=today)
        assert books(hive) == books(duck)
        hive.ensure_schema()
        assert books(hive) == books(duck)


@pytest.mark.parametrize("point", ["hive.between_swaps:2", "hive.before_drops"])
def test_an_expiry_that_is_killed_is_finished_by_the_next(
    store_dir: Path, port: int, tmp_path: Path, point: str
) -> None:
    with opened(store_dir, port) as hive:
        build_two_days(hive, hive.query)
    killed_at(point, store_dir, port, "expire", KEPT_FROM.isoformat(), *EXPIRING)
    with opened(store_dir, port) as hive, DuckDBWarehouse(tmp_path / "d.duckdb") as duck:
        build_two_days(duck, duck.connection.execute)
        kept_from = dict.fromkeys(EXPIRING, KEPT_FROM)
        expire(duck, dict.fromkeys(EXPIRING, 90), today=KEPT_FROM + timedelta(days=90))
        assert books(hive) != books(duck)
        left = expire_on_hive(hive, kept_from)
        assert left == (Expired("marts.fct_clicks", KEPT_FROM, 4),)
        assert books(hive) == books(duck)
        assert expire_on_hive(hive, kept_from) == ()

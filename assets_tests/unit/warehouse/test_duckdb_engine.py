from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from adx_platform.contracts.columns import Column
from adx_platform.warehouse import duckdb_schema
from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    StaleLoadError,
    WarehouseBusyError,
    WarehouseError,
)
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.tables import ALL_TABLES, Table

Rows = Callable[..., pl.DataFrame]
STREAM = "clicks_conversions"
TOPIC_ID = "topic-a"


def batch(rows_of: Rows, start: int, end: int, **kwargs: object) -> LoadBatch:
    events = rows_of(STREAM, [{"offset": offset} for offset in range(start, end)])
    forward = (LoadRange(TOPIC_ID, 0, start, end),)
    return LoadBatch(STREAM, 5, project(STREAM, events), **{"forward": forward, **kwargs})


def offsets(warehouse: DuckDBWarehouse) -> list[int]:
    return warehouse.query("SELECT kafka_offset FROM raw.clicks ORDER BY 1")[
        "kafka_offset"
    ].to_list()


def test_the_schema_is_as_defined(warehouse: DuckDBWarehouse) -> None:
    warehouse.ensure_schema()
    rows = warehouse.query(
        "SELECT schema_name || '.' || table_name AS name, "
        "list(column_name ORDER BY column_index) AS columns "
        "FROM duckdb_columns() WHERE NOT internal GROUP BY 1"
    )
    assert dict(rows.iter_rows()) == {
        table.qualified_name: [c.name for c in table.columns] for table in ALL_TABLES
    }


def test_a_load_moves_rows_and_cursor_together(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    receipt = warehouse.load(batch(rows_of, 10, 13))
    assert receipt.load_id == 1
    assert receipt.inserted == {"clicks": 3, "conversions": 0, "rejects": 0, "gaps": 0}
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 13}
    assert warehouse.cursors("ad_impressions") == {}
    assert warehouse.load(batch(rows_of, 13, 15)).load_id == 2
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 15}
    assert offsets(warehouse) == [10, 11, 12, 13, 14]
    assert warehouse.latest_load() == 2
    loads = warehouse.query("SELECT load_id, stream, lake_version, row_count FROM control.loads")
    assert loads.sort("load_id").rows() == [(1, STREAM, 5, 3), (2, STREAM, 5, 2)]
    ranges = warehouse.query("SELECT * EXCLUDE stream FROM control.load_ranges ORDER BY load_id")
    assert ranges.rows() == [
        (1, TOPIC_ID, 0, 10, 13, "forward", 0),
        (2, TOPIC_ID, 0, 13, 15, "forward", 0),
    ]


def test_times_are_naive_utc(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    at = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
    events = rows_of(STREAM, [{"offset": 0, "event_time": at, "event_date": at.date()}])
    warehouse.load(LoadBatch(STREAM, 0, project(STREAM, events)))
    row = warehouse.query("SELECT event_time, event_date, typeof(event_time) FROM raw.clicks").row(
        0
    )
    assert row == (at.replace(tzinfo=None), at.date(), "TIMESTAMP")
    (loaded_at,) = warehouse.query("SELECT loaded_at FROM control.loads").row(0)
    assert abs(loaded_at - datetime.now(UTC).replace(tzinfo=None)).total_seconds() < 60


@pytest.mark.parametrize("start", [2, 4])
def test_a_stale_batch_changes_nothing(
    warehouse: DuckDBWarehouse, rows_of: Rows, start: int
) -> None:
    warehouse.load(batch(rows_of, 0, 3))
    with pytest.raises(StaleLoadError, match=f"starts at offset {start}, the warehouse is at 3"):
        warehouse.load(batch(rows_of, start, 6))
    assert offsets(warehouse) == [0, 1, 2]
    assert warehouse.latest_load() == 1
    assert warehouse.load(batch(rows_of, 3, 6)).load_id == 2


def test_what_is_not_loaded_cannot_be_replaced(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    warehouse.load(batch(rows_of, 0, 3))
    replaced = (LoadRange(TOPIC_ID, 0, 1, 4, revision=1),)
    with pytest.raises(StaleLoadError, match="offsets 1 to 4 are not loaded yet"):
        warehouse.load(batch(rows_of, 1, 4, forward=(), replaced=replaced))
    assert offsets(warehouse) == [0, 1, 2]


def test_a_failing_load_is_undone_whole(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    warehouse.load(batch(rows_of, 0, 3))
    good = batch(rows_of, 1, 2, forward=(), replaced=(LoadRange(TOPIC_ID, 0, 1, 2, revision=1),))
    frames = {**good.frames, "rejects": good.frames["rejects"].drop("reason")}
    bad = LoadBatch(STREAM, 5, frames, replaced=good.replaced)
    with pytest.raises(WarehouseError, match=r"rows do not fit raw\.rejects: reason is missing"):
        warehouse.load(bad)
    assert offsets(warehouse) == [0, 1, 2]
    assert warehouse.query("SELECT * FROM control.removed_rows").is_empty()
    assert warehouse.latest_load() == 1


def test_a_frame_of_another_stream_is_refused(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    frames = project("ad_impressions", rows_of("ad_impressions", [{"offset": 0}]))
    with pytest.raises(WarehouseError, match=r"has no raw table ad_impressions: its tables are"):
        warehouse.load(LoadBatch(STREAM, 0, frames))


def test_a_restatement_takes_out_rows_and_notes_their_keys(
    warehouse: DuckDBWarehouse, rows_of: Rows
) -> None:
    before = rows_of(
        STREAM,
        [
            {"offset": 0, "click_id": "c0", "user_id": "u0", "advertiser_id": "a0"},
            {"offset": 1, "click_id": "c1", "user_id": "u1", "advertiser_id": "a1"},
            {"offset": 2, "record_type": "conversion", "impression_id": "i2"},
            {"offset": 3, "record_type": "click", "disposition": "rejected", "reason_code": "x"},
            {"offset": 4, "disposition": "absent", "gap_length": 2},
        ],
    )
    other = before.with_columns(partition=pl.lit(1, pl.Int32))
    both = project(STREAM, pl.concat([before, other]))
    forward = (LoadRange(TOPIC_ID, 0, 0, 6), LoadRange(TOPIC_ID, 1, 0, 6))
    warehouse.load(LoadBatch(STREAM, 1, both, forward=forward))
    after = rows_of(STREAM, [{"offset": n, "revision": 1} for n in (1, 2, 3)])
    receipt = warehouse.load(
        LoadBatch(STREAM, 2, project(STREAM, after), replaced=[LoadRange(TOPIC_ID, 0, 1, 6, 1)])
    )
    assert receipt.removed == {"clicks": 1, "conversions": 1, "rejects": 1, "gaps": 1}
    assert receipt.inserted == {"clicks": 3, "conversions": 0, "rejects": 0, "gaps": 0}
    assert warehouse.query(
        "SELECT kafka_offset, revision, load_id FROM raw.clicks WHERE partition_id = 0 ORDER BY 1"
    ).rows() == [(0, 0, 1), (1, 1, 2), (2, 1, 2), (3, 1, 2)]
    for table, count in (("clicks", 2), ("conversions", 1), ("rejects", 1), ("gaps", 1)):
        left = warehouse.query(f"SELECT count(*) FROM raw.{table} WHERE partition_id = 1").item()
        assert left == count, table
    removed = warehouse.query(
        "SELECT load_id, table_name, event_id, click_id, user_id, advertiser_id, impression_id, "
        "CAST(event_date AS VARCHAR) FROM control.removed_rows ORDER BY table_name"
    )
    assert removed.rows() == [
        (2, "clicks", "e-0-1", "c1", "u1", "a1", None, "2026-03-02"),
        (2, "conversions", "e-0-2", None, None, None, "i2", "2026-03-02"),
        (2, "rejects", "e-0-3", None, None, None, None, "2026-03-02"),
    ]
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 6, (TOPIC_ID, 1): 6}
    assert warehouse.applied_restatements(STREAM) == [LoadRange(TOPIC_ID, 0, 1, 6, 1)]


def test_a_restatement_leaves_other_streams_alone(
    warehouse: DuckDBWarehouse, rows_of: Rows
) -> None:
    """Two streams on a broker without topic ids could share a name-made id and offsets."""
    rejected = [{"offset": 0, "disposition": "rejected"}]
    forward = (LoadRange(TOPIC_ID, 0, 0, 1),)
    for stream in (STREAM, "ad_impressions"):
        frames = project(stream, rows_of(stream, rejected))
        warehouse.load(LoadBatch(stream, 1, frames, forward=forward))
    empty = project(STREAM, rows_of(STREAM, []))
    warehouse.load(LoadBatch(STREAM, 2, empty, replaced=[LoadRange(TOPIC_ID, 0, 0, 1, 1)]))
    assert warehouse.query("SELECT stream FROM raw.rejects").rows() == [("ad_impressions",)]


def test_columns_that_a_contract_gained_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "adx.duckdb"
    old = Table("raw", "t", "", (Column("a", pl.Int32, ""),))
    new = Table("raw", "t", "", (Column("a", pl.Int64, ""), Column("b", pl.String, "")))
    monkeypatch.setattr("adx_platform.warehouse.duckdb_engine.ALL_TABLES", (old,))
    with DuckDBWarehouse(path) as warehouse:
        warehouse.ensure_schema()
        warehouse.connection.execute("INSERT INTO raw.t VALUES (7)")
        warehouse.connection.execute("CREATE VIEW raw.v AS SELECT * FROM raw.t")
    monkeypatch.setattr("adx_platform.warehouse.duckdb_engine.ALL_TABLES", (new,))
    with DuckDBWarehouse(path) as warehouse:
        warehouse.ensure_schema()
        warehouse.ensure_schema()
        warehouse.connection.execute("INSERT INTO raw.t VALUES (5000000000, 'x')")
        rows = warehouse.query("SELECT * FROM raw.t ORDER BY a")
    assert rows.rows() == [(7, None), (5_000_000_000, "x")]
    assert rows.schema == {"a": pl.Int64, "b": pl.String}


def test_a_changed_type_is_refused_and_nothing_is_altered(tmp_path: Path) -> None:
    old = Table("raw", "t", "", (Column("a", pl.Int64, ""), Column("b", pl.String, "")))
    new = Table("raw", "t", "", (Column("n", pl.String, ""), Column("b", pl.Int64, "")))
    with DuckDBWarehouse(tmp_path / "adx.duckdb") as warehouse:
        duckdb_schema.migrate(warehouse.connection, (old,))
        with pytest.raises(WarehouseError, match=r"raw\.t\.b is VARCHAR .* wants BIGINT"):
            duckdb_schema.migrate(warehouse.connection, (new,))


def test_a_second_process_is_told_who_may_write(warehouse: DuckDBWarehouse) -> None:
    code = (
        "import sys, pathlib\n"
        "from adx_platform.warehouse.base import WarehouseBusyError\n"
        "from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse\n"
        "try:\n"
        "    DuckDBWarehouse(pathlib.Path(sys.argv[1]), wait_seconds=0.2)\n"
        "except WarehouseBusyError as error:\n"
        "    sys.stdout.write(str(error))\n"
        "    sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(warehouse.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "another process has the warehouse" in done.stdout
    assert "query the published snapshot" in done.stdout


def test_waiting_for_the_file_ends_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "adx.duckdb"
    code = (
        "import sys, duckdb\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "sys.stdout.write('open\\n'); sys.stdout.flush()\n"
        "sys.stdin.readline()\n"
        "connection.close()\n"
        "sys.stdout.write('closed\\n'); sys.stdout.flush()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        started = time.monotonic()
        with pytest.raises(WarehouseBusyError):
            DuckDBWarehouse(path, wait_seconds=0.3)
        assert time.monotonic() - started >= 0.3
        holder.stdin.write("go\n")
        holder.stdin.flush()
        with DuckDBWarehouse(path, wait_seconds=30) as warehouse:
            assert warehouse.query("SELECT 1 AS n").item() == 1


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "adx.duckdb"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(WarehouseError, match="cannot open the warehouse"):
        DuckDBWarehouse(path)


def test_a_closed_warehouse_says_so(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "adx.duckdb")
    warehouse.close()
    warehouse.close()
    with pytest.raises(WarehouseError, match="is closed: open it again"):
        warehouse.query("SELECT 1")


def test_dbt_may_connect_in_the_same_process(warehouse: DuckDBWarehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as second:
        assert second.execute("SELECT count(*) FROM control.loads").fetchone() == (0,)


def test_builds(warehouse: DuckDBWarehouse, rows_of: Rows) -> None:
    assert warehouse.completed_load() == 0
    warehouse.record_build("b0", 0)
    warehouse.load(batch(rows_of, 0, 3))
    warehouse.record_build("b1", 1)
    warehouse.record_build("b1", 1)
    assert warehouse.completed_load() == 1
    assert warehouse.query("SELECT count(*) FROM control.builds").item() == 2
    with pytest.raises(WarehouseError, match="already recorded with loads up to 1, not 0"):
        warehouse.record_build("b1", 0)
    with pytest.raises(WarehouseError, match="cannot include load 2: the latest load is 1"):
        warehouse.record_build("b2", 2)


def test_reference_tables_are_replaced_when_their_version_changes(
    warehouse: DuckDBWarehouse,
) -> None:
    def exchanges(*names: str) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "exchange_id": list(names),
                "name": list(names),
                "currency": ["USD"] * len(names),
                "auction_type": ["first_price"] * len(names),
            }
        )

    assert warehouse.load_reference("exchanges", exchanges("a", "b"), version="1")
    assert not warehouse.load_reference("exchanges", exchanges("a", "b"), version="1")
    assert warehouse.load_reference("exchanges", exchanges("c"), version="2")
    assert warehouse.query("SELECT name FROM reference.exchanges").rows() == [("c",)]
    assert warehouse.query(
        "SELECT table_name, version, row_count FROM control.reference_loads"
    ).rows() == [("exchanges", "2", 1)]
    with pytest.raises(WarehouseError, match="no reference table 'planets': known are advertisers"):
        warehouse.load_reference("planets", exchanges(), version="1")
    with pytest.raises(WarehouseError, match="name is missing"):
        warehouse.load_reference("exchanges", exchanges("d").drop("name"), version="3")
    assert warehouse.query("SELECT name FROM reference.exchanges").rows() == [("c",)]


def test_queries_take_parameters(warehouse: DuckDBWarehouse) -> None:
    found = warehouse.query("SELECT $n + 1 AS n", {"n": 41})
    assert found.item() == 42

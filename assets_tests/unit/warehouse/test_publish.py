from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.publish import publish
from adx_platform.warehouse.published import (
    NothingPublishedError,
    PublishedQueryError,
    current_snapshot,
    open_published,
    query_published,
)


def build(warehouse: DuckDBWarehouse, build_id: str, value: int) -> None:
    """A stand-in for a green dbt build: one table, one view."""
    connection = warehouse.connection
    connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
    connection.execute("CREATE SCHEMA IF NOT EXISTS intermediate")
    connection.execute(f"CREATE OR REPLACE TABLE intermediate.t AS SELECT {value} AS value")
    connection.execute(
        f"CREATE OR REPLACE TABLE marts.facts AS SELECT {value} AS value, "
        "TIMESTAMP '2026-03-02 10:00:00' AS seen_at FROM range(3)"
    )
    connection.execute("CREATE OR REPLACE VIEW marts.seen AS SELECT value FROM intermediate.t")
    warehouse.record_build(build_id, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "it's published"


def test_nothing_was_published_yet(folder: Path) -> None:
    with pytest.raises(NothingPublishedError, match=r"nothing was published in .* yet"):
        query_published(folder, "SELECT 1")


def test_readers_get_the_marts_and_nothing_else(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    report = publish(warehouse, folder, "b1")
    assert report.snapshot == folder / "adx-b1.duckdb"
    assert report.rows == {"facts": 3, "seen": 1}
    found = query_published(
        folder, "SELECT sum(value) AS s, max(seen_at) AS seen_at FROM marts.facts"
    )
    assert found.row(0) == (3, datetime(2026, 3, 2, 10))  # noqa: DTZ001 the marts are naive UTC
    tables = query_published(
        folder, "SELECT table_schema || '.' || table_name AS t FROM information_schema.tables"
    )
    assert sorted(tables["t"]) == [
        "control.builds",
        "control.cursors",
        "control.load_ranges",
        "control.loads",
        "control.reference_loads",
        "main.snapshot",
        "marts.facts",
        "marts.seen",
    ]
    snapshot = query_published(folder, "SELECT build_id, to_load_id, published_at FROM snapshot")
    build_id, to_load_id, published_at = snapshot.row(0)
    assert (build_id, to_load_id) == ("b1", 0)
    assert abs((published_at - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 60
    # The warehouse works on, and holds no trace of the copy.
    assert warehouse.query("SELECT value FROM marts.seen").item() == 1
    assert (
        warehouse.query("SELECT count(*) AS n FROM duckdb_databases() WHERE NOT internal").item()
        == 1
    )


def test_a_snapshot_is_read_only(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    publish(warehouse, folder, "b1")
    with pytest.raises(PublishedQueryError, match="read-only"):
        query_published(folder, "CREATE TABLE marts.x AS SELECT 1")
    with pytest.raises(PublishedQueryError, match=r"no table xyz; there are control.builds, "):
        query_published(folder, "SELECT * FROM marts.xyz")
    with pytest.raises(PublishedQueryError, match=r"no table fact; near are marts.facts"):
        query_published(folder, "SELECT * FROM marts.fact")
    with pytest.raises(PublishedQueryError, match="gives no rows"):
        query_published(folder, "")
    assert query_published(folder, "SELECT $a AS a", {"a": "x"}).item() == "x"


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{file}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}'",
        "EXPORT DATABASE '{file}'",
        "SELECT * FROM read_text('{other}')",
        "SET enable_external_access = true",
    ],
)
def test_a_query_touches_no_other_file(
    warehouse: DuckDBWarehouse, folder: Path, tmp_path: Path, sql: str
) -> None:
    build(warehouse, "b1", 1)
    publish(warehouse, folder, "b1")
    other = tmp_path / "other.txt"
    other.write_text("secret", encoding="utf-8")
    before = sorted(folder.iterdir())
    with pytest.raises(PublishedQueryError, match=r"nor reads any file|Cannot enable external"):
        query_published(folder, sql.format(file=tmp_path / "new.file", other=other))
    assert not (tmp_path / "new.file").exists()
    assert sorted(folder.iterdir()) == before


def test_readers_of_an_old_snapshot_go_on(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    publish(warehouse, folder, "b1")
    with open_published(folder) as old:
        for number in (2, 3, 4):
            build(warehouse, f"b{number}", number)
            publish(warehouse, folder, f"b{number}")
        assert old.execute("SELECT value FROM marts.seen").fetchall() == [(1,)]
    assert query_published(folder, "SELECT value FROM marts.seen").item() == 4
    assert sorted(path.name for path in folder.iterdir()) == [
        "CURRENT",
        "adx-b3.duckdb",
        "adx-b4.duckdb",
    ]


def test_another_process_reads_while_the_warehouse_is_locked(
    warehouse: DuckDBWarehouse, folder: Path
) -> None:
    build(warehouse, "b1", 7)
    publish(warehouse, folder, "b1")
    code = (
        "import sys, pathlib\n"
        "from adx_platform.warehouse.published import query_published\n"
        "found = query_published(pathlib.Path(sys.argv[1]), 'SELECT value FROM marts.seen')\n"
        "sys.stdout.write(str(found.item()))\n"
    )
    with open_published(folder):
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == "7", done.stderr


def test_only_green_builds_are_published(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    with pytest.raises(WarehouseError, match="build b2 is not recorded as green"):
        publish(warehouse, folder, "b2")
    assert not folder.exists()


def test_an_empty_warehouse_is_not_published(warehouse: DuckDBWarehouse, folder: Path) -> None:
    warehouse.record_build("b1", 0)
    with pytest.raises(WarehouseError, match="schema marts is empty"):
        publish(warehouse, folder, "b1")
    assert not (folder / "CURRENT").exists()


@pytest.mark.parametrize("build_id", ["", "../b", "a/b", ".hidden", "b 1"])
def test_a_build_id_must_name_a_file(
    warehouse: DuckDBWarehouse, folder: Path, build_id: str
) -> None:
    with pytest.raises(WarehouseError, match="cannot name a file"):
        publish(warehouse, folder, build_id)


def test_the_current_snapshot_must_stay(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    with pytest.raises(WarehouseError, match="keep is 0"):
        publish(warehouse, folder, "b1", keep=0)


def test_publishing_again_finishes_what_was_begun(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    folder.mkdir(parents=True)
    (folder / "adx-b1.duckdb.partial").write_bytes(b"a copy that was cut short")
    (folder / "adx-b0.duckdb.partial").write_bytes(b"another")
    (folder / "adx-b0.duckdb.partial.wal").write_bytes(b"and its log")
    publish(warehouse, folder, "b1")
    (folder / "CURRENT").unlink()
    report = publish(warehouse, folder, "b1")
    assert report.rows == {"facts": 3, "seen": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["CURRENT", "adx-b1.duckdb"]


def test_a_failing_copy_leaves_the_warehouse_usable(
    warehouse: DuckDBWarehouse, folder: Path
) -> None:
    build(warehouse, "b1", 1)
    warehouse.connection.execute(
        "CREATE VIEW marts.broken AS SELECT 1 / value AS v FROM marts.facts"
    )
    warehouse.connection.execute("ALTER TABLE marts.facts RENAME COLUMN value TO worth")
    with pytest.raises(duckdb.Error, match="value"):
        publish(warehouse, folder, "b1")
    warehouse.connection.execute("DROP VIEW marts.broken")
    assert publish(warehouse, folder, "b1").rows == {"facts": 3, "seen": 1}


def test_a_pointer_to_a_file_that_is_gone(warehouse: DuckDBWarehouse, folder: Path) -> None:
    build(warehouse, "b1", 1)
    publish(warehouse, folder, "b1")
    current_snapshot(folder).unlink()
    with pytest.raises(NothingPublishedError, match=r"names adx-b1\.duckdb, which does not exist"):
        open_published(folder)

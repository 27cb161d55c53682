"""What a warehouse keeps beside its rows holds nothing of an erased person afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from adx_platform.warehouse.base import LoadBatch, LoadRange, WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.erasure import forget_keys, write_anew
from adx_platform.warehouse.projection import project

Rows = Callable[..., pl.DataFrame]
STREAM, TOPIC_ID = "clicks_conversions", "topic-a"
THEIRS, FORMER, OTHER = "a" * 64, "b" * 64, "c" * 64
KEYS = (THEIRS, FORMER)


def load(warehouse: DuckDBWarehouse, rows_of: Rows, users: list[str | None], **ranges: int) -> None:
    rows = [{"offset": offset, "user_id": user} for offset, user in enumerate(users)]
    frames = project(STREAM, rows_of(STREAM, rows))
    span = LoadRange(TOPIC_ID, 0, 0, len(users), **ranges)
    kind = "replaced" if ranges else "forward"
    warehouse.load(LoadBatch(STREAM, 1, frames, **{kind: (span,)}))


def removed(warehouse: DuckDBWarehouse) -> list[tuple[str | None]]:
    return warehouse.query(
        "select user_id from control.removed_rows order by event_id, user_id"
    ).rows()


@pytest.fixture
def restated(warehouse: DuckDBWarehouse, rows_of: Rows) -> DuckDBWarehouse:
    """Two clicks, one of them the person's, whose load was replaced by one without the person."""
    load(warehouse, rows_of, [THEIRS, OTHER])
    load(warehouse, rows_of, [None, OTHER], revision=1)
    assert removed(warehouse) == [(THEIRS,), (OTHER,)]
    return warehouse


def test_keys_of_removed_rows_are_emptied_once(restated: DuckDBWarehouse) -> None:
    restated.connection.execute(
        "create schema intermediate; create table intermediate.int_touched_events as "
        "select user_id, user_id as user_id_previous from control.removed_rows"
    )
    assert forget_keys(restated, KEYS) == 3
    assert removed(restated) == [(None,), (OTHER,)]
    touched = restated.query("from intermediate.int_touched_events order by all nulls first")
    assert touched.rows() == [(None, None), (OTHER, OTHER)]
    assert forget_keys(restated, KEYS) == 0


@pytest.mark.parametrize("column", ["user_id", "user_id_previous"])
def test_nothing_changes_while_a_model_has_the_person(
    restated: DuckDBWarehouse, column: str
) -> None:
    restated.connection.execute(
        f"create schema marts; create table marts.\"fct a\" as select '{FORMER}' as {column}"
    )
    with pytest.raises(WarehouseError, match=r'marts\."fct a" has 1 rows of the person: run'):
        forget_keys(restated, KEYS)
    assert removed(restated) == [(THEIRS,), (OTHER,)]


def test_a_database_written_anew_has_its_rows_and_not_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "it's.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table kept as select '{THEIRS}' as name, i from range(5) t(i)")
        connection.execute("create view seen as select i from kept")
        connection.execute("checkpoint")
        connection.execute("update kept set name = null")
    assert THEIRS.encode() in path.read_bytes()
    write_anew(path)
    assert THEIRS.encode() not in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("select sum(i) from seen").fetchall() == [(10,)]


def test_a_file_that_cannot_be_copied_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    path.write_bytes(b"no database")
    with pytest.raises(WarehouseError, match="could not be written anew"):
        write_anew(path)
    assert path.read_bytes() == b"no database"
    assert list(tmp_path.iterdir()) == [path]

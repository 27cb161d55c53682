"""Our materialization by touched days on DuckDB: the days are replaced, or nothing is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from adx_platform.orchestration.dbt_project import DBT_COMMAND
from assets_tests.unit.dbt_project.tiny_project import make_project

_MODEL = """
{{ config(
    materialized='incremental', incremental_strategy='touched_days',
    on_schema_change='append_new_columns', contract={'enforced': true},
    pre_hook="{% if is_incremental() %}delete from {{ this }} where day in (2, 3){% endif %}",
) }}
select {{ env_var('COLUMNS') }} from (values {{ env_var('ROWS') }}) as rows(day, figure)
"""
_COLUMNS = """
models:
  - name: one
    columns:
      - {name: day, data_type: integer, constraints: [{type: not_null}]}
      - {name: figure, data_type: "{{ env_var('TYPE') }}"}
"""
_ADDED = "      - {name: added, data_type: varchar}\n"
_APPENDED = """
{{ config(materialized='incremental', incremental_strategy='append') }}
select {{ env_var('ROWS') | length }} as length
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one model that replaces the days 2 and 3."""
    return make_project(tmp_path, {"one.sql": _MODEL, "one.yml": _COLUMNS})


def test_days_are_replaced_in_place_or_nothing_is(project: Path) -> None:
    _build(project, "(1, 10), (2, 20), (3, 30)")
    table = _oid(project)

    said = _build(project, "(2, 21)", columns="figure, day")
    assert _rows(project) == [(1, 10), (2, 21)], "a day without new rows is emptied"
    assert _oid(project) == table
    assert "one__dbt_tmp" not in said, "the rows took dbt's way around"

    said = _build(project, "(2, 22), (cast(null as integer), 23)", fails=True)
    assert "NOT NULL constraint" in said
    assert _rows(project) == [(1, 10), (2, 21)]

    _build(project, "(2, 24)", "--full-refresh")
    assert _rows(project) == [(2, 24)]


def test_columns_that_have_changed_are_as_with_dbts_own(project: Path) -> None:
    _build(project, "(1, 10), (2, 20)")

    said = _build(project, "(2, 21)", columns="day, cast(figure as varchar) figure", fails=True)
    assert "This model has an enforced contract that failed" in said
    assert _rows(project) == [(1, 10), (2, 20)]

    _build(project, "(2, 22)", columns="day, cast(figure as bigint) as figure", of="bigint")
    assert _rows(project) == [(1, 10), (2, 22)]

    (project / "models" / "one.yml").write_text(_COLUMNS + _ADDED, encoding="utf-8")
    _build(project, "(2, 23)", columns="day, figure, 'new' as added")
    assert _rows(project) == [(1, 10, None), (2, 23, "new")]


def test_a_view_of_that_name_gives_way_and_other_strategies_are_dbts_own(project: Path) -> None:
    with duckdb.connect(str(project / "tiny.duckdb")) as connection:
        connection.execute("create view one as select 1 as day, 1 as figure")
    (project / "models" / "two.sql").write_text(_APPENDED, encoding="utf-8")
    for _ in range(2):
        _build(project, "(2, 20)")
        assert _rows(project) == [(2, 20)]
    assert _rows(project, "two") == [(7,), (7,)]


def _build(
    project: Path,
    rows: str,
    *arguments: str,
    columns: str = "day, figure",
    of: str = "integer",
    fails: bool = False,
) -> str:
    done = subprocess.run(
        [*DBT_COMMAND, "--log-level", "debug", "build", *arguments],
        cwd=project,
        env={
            **os.environ,
            "ROWS": rows,
            "COLUMNS": columns,
            "TYPE": of,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def _rows(project: Path, table: str = "one") -> list[tuple[object, ...]]:
    with duckdb.connect(str(project / "tiny.duckdb"), read_only=True) as connection:
        return connection.execute(f"select * from {table} order by all").fetchall()


def _oid(project: Path) -> int:
    with duckdb.connect(str(project / "tiny.duckdb"), read_only=True) as connection:
        row = connection.execute("select table_oid from duckdb_tables()").fetchone()
        assert row is not None
        return int(row[0])

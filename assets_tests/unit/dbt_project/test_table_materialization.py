"""Our materialization of a table on DuckDB: the old rows stay until the new ones are right."""

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
    materialized='table', contract={'enforced': true},
    indexes=[{'columns': ['a']}], persist_docs={'relation': true},
) }}
select {{ env_var('VALUE') }} as a
"""
_COLUMNS = """
models:
  - name: one
    description: what it is for
    columns: [{name: a, data_type: integer, constraints: [{type: not_null}]}]
"""

_PYTHON_MODEL = """
def model(dbt, session):
    dbt.config(materialized="table")
    return session.sql("select 3 as a")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one table with a contract."""
    return make_project(tmp_path, {"one.sql": _MODEL, "one.yml": _COLUMNS})


def test_a_table_is_replaced_as_a_whole_or_not_at_all(project: Path) -> None:
    with duckdb.connect(str(project / "tiny.duckdb")) as connection:
        connection.execute("create view one as select 0 as a")

    assert _build(project, "1") == 0
    assert _rows(project) == [1]

    assert _build(project, "cast(null as integer)") == 1
    assert _rows(project) == [1]

    assert _build(project, "2") == 0
    assert _rows(project) == [2]


def test_what_hangs_on_a_table_and_tables_by_python_are_as_with_dbts_own(project: Path) -> None:
    (project / "models" / "two.py").write_text(_PYTHON_MODEL, encoding="utf-8")
    for _ in range(2):
        assert _build(project, "1") == 0
        assert _rows(project, "two") == [3]
        with duckdb.connect(str(project / "tiny.duckdb"), read_only=True) as connection:
            about = "select comment, index_count from duckdb_tables() where table_name = 'one'"
            assert connection.execute(about).fetchall() == [("what it is for", 1)]


def _build(project: Path, value: str) -> int:
    return subprocess.run(
        [*DBT_COMMAND, "build"],
        cwd=project,
        env={**os.environ, "VALUE": value, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        check=False,
    ).returncode


def _rows(project: Path, table: str = "one") -> list[int]:
    with duckdb.connect(str(project / "tiny.duckdb"), read_only=True) as connection:
        return [a for (a,) in connection.table(table).fetchall()]

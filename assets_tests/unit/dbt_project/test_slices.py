"""A large model on DuckDB is built by slices of days that together hold every day."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path

import duckdb
import pytest

from adx_platform.orchestration.dbt_project import DBT_COMMAND
from assets_tests.unit.dbt_project.tiny_project import make_project

_DAYS = {date(2026, 3, 1): 2, date(2026, 3, 2): 1, date(2026, 3, 4): 5, date(2026, 3, 5): 1}
_FIRST, _LAST = date.min, date.max
# What it says of itself is the slice of the statement that made the row.
_SLICED = """
{{ config(materialized='table') }}
{% do ref('stg_bid_responses') %}
select rows.event_date, rows.number,
    {{ adx.slice_edge('first') }} as first_date, {{ adx.slice_edge('last') }} as last_date
from {{ ref('stg_bid_notices') }} as rows
where {{ adx.slice_edge('first') }} <= rows.event_date
    and rows.event_date <= {{ adx.slice_edge('last') }}
    and {{ env_var('CONDITION') }}
union all
select rows.event_date, rows.number,
    {{ adx.slice_edge('first') }} as first_date, {{ adx.slice_edge('last') }} as last_date
from {{ ref('stg_ad_impressions') }} as rows
where {{ adx.slice_edge('first') }} <= rows.event_date
    and rows.event_date <= {{ adx.slice_edge('last') }}
"""
_AFTERWARDS = """
select count(*) as sliced, {{ adx.slice_edge('first') }} as first_date
from {{ ref('fct_impressions') }}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose `fct_impressions` reads three tables, of which one has no row."""
    rows = [(day, number) for day, count in _DAYS.items() for number in range(count)]
    of_tables = {
        "stg_bid_notices": rows[::2], "stg_ad_impressions": rows[1::2], "stg_bid_responses": [],
    }  # fmt: skip
    models = {"fct_impressions.sql": _SLICED, "afterwards.sql": _AFTERWARDS}
    for name, rows_of_table in of_tables.items():
        values = "".join(f", (date '{day}', {number})" for day, number in rows_of_table)
        models[f"{name}.sql"] = (
            f"select * from (values (cast(null as date), 0){values}) as rows(event_date, number) "
            "where event_date is not null"
        )
    return make_project(tmp_path, models, threads=1)


@pytest.mark.parametrize(
    ("limit", "slices"),
    [
        # Three rows fit, and a day of five is a slice whatever the limit.
        (
            3,
            {
                (_FIRST, date(2026, 3, 3)): 3,
                (date(2026, 3, 4), date(2026, 3, 4)): 5,
                (date(2026, 3, 5), _LAST): 1,
            },
        ),
        (9, {(_FIRST, _LAST): 9}),
    ],
)
def test_slices_are_as_large_as_allowed_and_hold_every_row(
    project: Path, limit: int, slices: dict[tuple[date, date], int]
) -> None:
    _build(project, limit)

    rows = _rows(project, "event_date, number", "fct_impressions")
    expected = [(day, number) for day, count in _DAYS.items() for number in range(count)]
    assert rows == expected
    found = _rows(project, "first_date, last_date, count(*)", "fct_impressions group by all")
    assert {(first, last): count for first, last, count in found} == slices
    # Models that come after on the same connection see no slice.
    assert _rows(project, "*", "afterwards") == [(9, _FIRST)]


def test_a_slice_that_fails_leaves_the_table_as_it_was(project: Path) -> None:
    _build(project, 3)
    built = _rows(project, "*", "fct_impressions")

    said = _build(
        project, 3,
        condition="(rows.event_date < date '2026-03-05' or error('that day is broken'))",
        fails=True,
    )  # fmt: skip

    assert "that day is broken" in said
    assert _rows(project, "*", "fct_impressions") == built


def _build(project: Path, limit: int, *, condition: str = "true", fails: bool = False) -> str:
    done = subprocess.run(
        [*DBT_COMMAND, "build", "--vars", json.dumps({"adx_slice_rows": limit})],
        cwd=project,
        env={**os.environ, "CONDITION": condition, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def _rows(project: Path, columns: str, table: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(project / "tiny.duckdb"), read_only=True) as connection:
        return connection.execute(f"select {columns} from {table} order by all").fetchall()

"""Expiry gives way to whoever has the warehouse, and refuses a setting that it cannot keep."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adx_platform.pipeline.expiry import expire_rows
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.retention_rules import RetentionError

NOW = datetime(2026, 6, 1, 3, tzinfo=UTC)
HOLDING = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def settings_with(home: Path, retention: dict[str, int]) -> Settings:
    return load_settings(home=home, warehouse={"retention": retention})


def test_without_a_setting_or_a_warehouse_nothing_is_opened(tmp_path: Path) -> None:
    assert expire_rows(settings_with(tmp_path, {})).explain() == (
        "warehouse: no table has a retention"
    )
    settings = settings_with(tmp_path, {"raw.clicks": 90})
    assert expire_rows(settings, now=NOW).skipped == "there is none yet"
    assert not settings.duckdb_path.exists()


def test_the_setting_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(RetentionError, match=r"names raw\.click:"):
        expire_rows(settings_with(tmp_path, {"raw.click": 90}))
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        settings_with(tmp_path, {"raw.clicks": 0})


def test_rows_past_the_retention_go(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, {"marts.fct_clicks": 90})
    with DuckDBWarehouse(settings.duckdb_path) as warehouse:
        warehouse.ensure_schema()
        warehouse.connection.execute("create schema marts")
        warehouse.connection.execute(
            "create table marts.fct_clicks as "
            "select unnest([date '2026-03-02', date '2026-03-03']) as click_date"
        )
        assert expire_rows(settings_with(tmp_path, {})).rows == 0

    report = expire_rows(settings, now=NOW)

    assert report.explain() == "marts.fct_clicks: deleted 1 rows from before 2026-03-03"
    assert report.rows == 1
    assert expire_rows(settings, now=NOW).explain() == "warehouse: nothing is past its retention"
    with pytest.raises(RetentionError, match="need rows of 79 days"):
        expire_rows(settings_with(tmp_path, {"marts.fct_clicks": 3}), now=NOW)


def test_whoever_has_the_warehouse_is_waited_for_and_then_given_way(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, {"raw.clicks": 90})
    with DuckDBWarehouse(settings.duckdb_path) as warehouse:
        warehouse.ensure_schema()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(settings.duckdb_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        report = expire_rows(settings, now=NOW, wait_seconds=0.2)
        other.communicate()
    assert report.explain().startswith("warehouse: another process has it")
    assert report.rows == 0

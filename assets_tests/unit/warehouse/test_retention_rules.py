"""Which tables may have a retention, and that none is so short that builds would lack rows."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.retention_rules import (
    DAY_COLUMNS,
    LATEST_ARRIVAL_DAYS,
    LOOKBACK_DAYS,
    RetentionError,
    check_days,
    check_tables,
    fewest_days,
)

PROJECT = Path(__file__).parents[3] / "dbt_project"
OLDEST = timedelta(days=30)


@pytest.mark.parametrize("table", ["raw.gaps", "raw.rejects", "marts.agg_campaign_daily", "clicks"])
def test_a_table_without_days_of_its_own_is_refused_with_those_that_may(table: str) -> None:
    check_tables({"raw.clicks": 100})
    with pytest.raises(RetentionError, match=rf"{table}: .*raw\.bid_requests, .*fct_sessions"):
        check_tables({"raw.clicks": 100, table: 100})


def test_a_retention_that_builds_cannot_live_with_is_refused_with_the_figure(
    warehouse: DuckDBWarehouse,
) -> None:
    check_days(warehouse, {"raw.clicks": 79}, OLDEST)
    with pytest.raises(RetentionError, match=r"raw\.clicks \(78\): builds need rows of 79 days"):
        check_days(warehouse, {"raw.clicks": 78, "raw.conversions": 400}, OLDEST)

    warehouse.connection.execute(
        "insert into reference.advertisers (advertiser_id, click_lookback_hours,"
        " view_lookback_hours) values ('a', 24, 2160)"
    )
    with pytest.raises(RetentionError, match=r"of 139 days.* of up to 2160 hours"):
        check_days(warehouse, {"raw.clicks": 138}, OLDEST)


def test_the_fewest_days_follow_the_widest_window_and_the_oldest_event() -> None:
    assert fewest_days(0, OLDEST) == 31 + 7 + (31 + 7 + 3)
    assert fewest_days(24 * 60, OLDEST) == 31 + 7 + (61 + 7 + 3)
    assert fewest_days(0, timedelta(days=60, hours=1)) == 62 + 7 + 41


def test_the_figures_are_those_of_the_dbt_project() -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    assert variables["adx_lookback_days"] == LOOKBACK_DAYS
    assert variables["adx_latest_arrival_days"] == LATEST_ARRIVAL_DAYS


def test_the_days_are_those_by_which_the_models_are_built() -> None:
    built = {
        f"{'marts' if 'marts' in path.parts else 'intermediate'}.{path.stem}": days[0]
        for path in (PROJECT / "models").rglob("*.sql")
        if (
            days := re.findall(
                r"touched_days_config\('[a-z_]+', '([a-z_]+)'\)", path.read_text(encoding="utf-8")
            )
        )
    }
    named = {name: day for name, day in DAY_COLUMNS.items() if not name.startswith("raw.")}
    assert named.items() <= built.items()
    facts = {name for name in built if name.startswith("marts.fct_")}
    assert facts <= named.keys(), "every fact may have a retention"


def test_every_built_table_with_a_pseudonym_may_have_a_retention() -> None:
    for path in (PROJECT / "models").rglob("*.sql"):
        described = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
        (model,) = described["models"]
        is_view = "materialized='view'" in path.read_text(encoding="utf-8")
        if path.parent.name == "staging" or is_view or path.stem == "int_touched_events":
            continue  # views, and what each build writes anew
        if "user_id" in {column["name"] for column in model["columns"]}:
            schema = "marts" if "marts" in path.parts else "intermediate"
            assert f"{schema}.{path.stem}" in DAY_COLUMNS

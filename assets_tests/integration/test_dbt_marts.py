"""Any sequence of incremental builds gives the marts of one full refresh.

A small, dirty market (ids that repeat, copies and conflicts, late rows, restatements that drop or
move rows, an interrupted build) is loaded in random pieces. The rules themselves are tested by the
project's unit tests; here only the equality counts.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adx_platform.attribution.models import Model
from adx_platform.pipeline.training import train_attribution
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.tables import Table
from assets_tests.integration.dbt_builds import Dbt, tables_of
from assets_tests.integration.random_warehouse import EVENT_TABLES, Market, Row, Warehouse

pytestmark = [
    pytest.mark.slow,
    # dbt and its dependencies warn about their own future; that is not ours to fix.
    pytest.mark.filterwarnings("default"),
    # Each start of dbt replaces the log file of the one before without closing it.
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11])
def test_incremental_builds_equal_a_full_refresh(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADX_DUCKDB_PATH", str(tmp_path / "adx.duckdb"))
    pick = random.Random(seed)
    market, warehouse = Market(seed), Warehouse(tmp_path / "adx.duckdb", seed)
    warehouse.create()
    dbt = Dbt(warehouse.path, tmp_path)
    models = ("--select", "intermediate", "marts")
    dbt.run("--select", "staging")

    sent: list[tuple[Table, Row]] = []
    for build in range(4):
        for _ in range(pick.randrange(1, 3)):
            # Small after the first: a build that touches every day could forget nothing.
            size, copies = (2, 3) if build else (70, 40)
            batch = [(table, market.event(table)) for table in EVENT_TABLES for _ in range(size)]
            batch += [
                (table, market.copy_of(row))
                for table, row in pick.sample(sent, min(len(sent), copies))
            ]
            pick.shuffle(batch)
            warehouse.load(batch)
            sent += batch
        if build:
            for _ in range(2):
                warehouse.restate(market)
        if build == 1:
            # A build that was killed half way: it is not recorded, and the next one starts over.
            dbt.run("--select", "intermediate")
            warehouse.restate(market)
        if build == 2:
            # Nothing but removals and changes of old rows.
            dbt.run(*models)
            warehouse.record_build()
            warehouse.restate(market)
        dbt.run(*models)
        warehouse.record_build()
        if build == 0:
            # The next build divides by what was learned, also on days that nothing else touches.
            with DuckDBWarehouse(warehouse.path) as trained:
                learned = train_attribution(trained)
                assert learned.retrained
                assert not train_attribution(trained).retrained, "nothing changed in between"
    incremental = tables_of(warehouse)
    models_used = {row[1] for row in incremental["marts.fct_attribution"]}
    assert models_used == {model.value for model in Model}
    # Unit tests included: builds of the platform leave them out.
    dbt.test()
    dbt.run(*models, "--full-refresh")
    full = tables_of(warehouse)
    apart = {row[:4] for row in full["intermediate.int_bids_apart"]}
    joined = {row[1:5] for row in full["marts.fct_impressions"]} - apart
    assert apart, "no bid is folded"
    assert joined, "no bid is joined"
    _assert_the_same_by_slices(dbt, warehouse, full)

    assert {name for name, rows in full.items() if rows} >= {
        f"marts.{name}"
        for name in (
            "fct_impressions", "fct_clicks", "fct_conversions", "fct_auctions", "fct_attribution",
            "agg_campaign_hourly", "agg_campaign_daily", "agg_quality_hourly", "agg_rejects_hourly",
            "agg_arrivals_hourly", "agg_exchange_hourly", "conservation_offsets",
            "agg_delivery_hourly", "agg_delivery_daily", "agg_delivery_reconciliation",
            "fct_click_quality", "agg_frequency", "agg_campaign_pacing_daily",
            "agg_auctions_hourly", "agg_bid_landscape_daily", "agg_auction_reasons_daily",
            "fct_billing_lines", "agg_invoice_reconciliation", "fct_sessions",
            "agg_freshness_hourly", "agg_slo_daily", "fct_sivt_user_days", "fct_invalid_traffic",
            "agg_ivt_daily",
        )
    }  # fmt: skip
    for name, rows in full.items():
        if incremental[name] != rows:
            missing = [row for row in rows if row not in incremental[name]]
            surplus = [row for row in incremental[name] if row not in rows]
            pytest.fail(f"{name}: missing {missing[:3]}, surplus {surplus[:3]}")


def _assert_the_same_by_slices(dbt: Dbt, warehouse: Warehouse, whole: dict[str, list[Row]]) -> None:
    dbt.run("--select", "fct_impressions", "--full-refresh", adx_slice_rows=1)
    assert tables_of(warehouse) == whole, "one slice for each day"

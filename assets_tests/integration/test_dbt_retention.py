"""People's rows expire in the warehouse: aggregates of their days stay, later days are as ever.

A market of two months is built and copied. In one copy the rows of events past their retention go;
then both get late and restated events of the first days and new exchange rates, which rebuild
everything that may be rebuilt.
"""

from __future__ import annotations

import copy
import re
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from adx_platform.quality.marts_rows import event_balances
from adx_platform.quality.warehouse_rows import recount_warehouse
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import (
    DAY_COLUMNS,
    LOOKBACK_DAYS,
    check_days,
    reach_days,
)
from adx_platform.warehouse.tables import CLICKS, RECORD_TABLES
from assets_tests.integration.dbt_builds import PROJECT, Dbt, tables_of
from assets_tests.integration.random_warehouse import (
    EVENT_TABLES,
    START,
    TOPIC_ID,
    Market,
    Warehouse,
)

pytestmark = [
    pytest.mark.slow,
    # dbt and its dependencies warn about their own future; that is not ours to fix.
    pytest.mark.filterwarnings("default"),
    # Each start of dbt replaces the log file of the one before without closing it.
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
]

MODELS = ("--select", "intermediate", "marts")
WINDOW_HOURS = 240
DAYS = 82
KEPT_FROM = START.date() + timedelta(days=10)
TODAY = KEPT_FROM + timedelta(days=DAYS)
RETENTION = dict.fromkeys(DAY_COLUMNS, DAYS)
LIMIT = KEPT_FROM + timedelta(days=reach_days(WINDOW_HOURS))
SETTLED = LIMIT + timedelta(days=LOOKBACK_DAYS + 1)
OF_MOMENTS = {"intermediate.int_campaign_frequency", "intermediate.int_billed_days"}
REFRESHED = ("int_offset_counts", "fct_clicks", "agg_arrivals_hourly", "agg_campaign_daily")


def _day_positions(warehouse: Warehouse) -> dict[str, int]:
    """Of every table that is built by days: at which position the day is."""
    days = {
        path.stem: found[0]
        for path in (PROJECT / "models").rglob("*.sql")
        if (found := re.findall(r"days_config\('[a-z_]+', '([a-z_]+)'\)", path.read_text("utf-8")))
    }
    with warehouse.connection() as connection:
        columns = connection.execute(
            "select schema_name || '.' || table_name, table_name, column_name, column_index - 1 "
            "from duckdb_columns() where schema_name in ('intermediate', 'marts')"
        ).fetchall()
    return {name: index for name, table, column, index in columns if days.get(table) == column}


def _split(
    rows: list[tuple[Any, ...]], position: int, first: date
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of days before ``first``, and the others."""
    return [r for r in rows if r[position] < first], [r for r in rows if r[position] >= first]


@pytest.mark.timeout(600)
def test_rows_expire_and_no_aggregate_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    market, warehouse = Market(7, days=75), Warehouse(tmp_path / "adx.duckdb", 7)
    monkeypatch.setenv("ADX_DUCKDB_PATH", str(warehouse.path))
    warehouse.create()
    events = [(table, market.event(table)) for table in EVENT_TABLES for _ in range(90)]
    warehouse.load(events + [(table, market.copy_of(row)) for table, row in events[::7]])
    dbt = Dbt(warehouse.path, tmp_path)
    dbt.run()
    warehouse.record_build()
    before = tables_of(warehouse)
    with warehouse.connection() as connection:
        connection.execute("checkpoint")  # dbt has the file open, and its log may not be in it
    whole = copy.copy(warehouse)
    whole.path = tmp_path / "whole" / "adx.duckdb"
    whole.random, whole.rows = copy.deepcopy(warehouse.random), dict(warehouse.rows)
    whole.next_offset = dict(warehouse.next_offset)
    shutil.copy(warehouse.path, whole.path)

    with DuckDBWarehouse(warehouse.path) as opened:
        check_days(opened, RETENTION, timedelta(days=30))
        expired = expire(opened, RETENTION, today=TODAY)
        assert {item.table for item in expired} >= {"raw.clicks", "marts.fct_impressions"}
        assert expire(opened, RETENTION, today=TODAY) == ()

    late = {**market.event(CLICKS), "event_time": START + timedelta(days=1)}
    changes = copy.deepcopy(market)
    for each, its_market in ((warehouse, market), (whole, changes)):
        each.load([(CLICKS, late)])
        for _ in range(12):
            each.restate(its_market)
        with each.connection() as connection:
            connection.execute("update reference.fx_rates set rate = rate * 2")
            connection.execute(
                "insert into control.reference_loads values ('fx_rates', 'new', "
                "cast(now() at time zone 'UTC' as timestamp), 1)"
            )
        monkeypatch.setenv("ADX_DUCKDB_PATH", str(each.path))
        dbt.run(*MODELS)
    after, unexpired = tables_of(warehouse), tables_of(whole)

    first_event_date = KEPT_FROM + timedelta(days=LOOKBACK_DAYS + 1)
    assert after["intermediate.int_rebuild_limit"] == [(LIMIT, first_event_date)]
    positions = _day_positions(warehouse)
    changed_by_rates = []
    compared = []
    for name, position in positions.items():
        old, new = _split(after[name], position, LIMIT)
        was, _ = _split(before[name], position, LIMIT)
        would_be, without = _split(unexpired[name], position, LIMIT)
        if "agg_" in name or name in OF_MOMENTS:
            # An impression of a day before the limit is left as it was, with its later events.
            _, new = _split(new, position, SETTLED)
            _, without = _split(without, position, SETTLED)
        assert new == without, f"{name}: days that are made anew are as ever"
        compared += [name] if new else []
        if name.endswith(("_copies", "fct_conversions")):
            _, classified = _split(after[name], position, first_event_date)
            assert classified == _split(unexpired[name], position, first_event_date)[1], name
        elif name == "marts.agg_rejects_hourly":
            assert old == would_be, "rejects are all there"
        elif name == "intermediate.int_offset_counts":
            # Events that came late for days long gone are not told from their copies.
            assert sum(row[-2] for row in old) == sum(row[-2] for row in would_be)
        elif name in DAY_COLUMNS:
            assert old == [row for row in was if row[position] >= KEPT_FROM], name
        else:
            assert old == was, f"{name}: an aggregate of days that have lost rows"
            changed_by_rates += [name] if would_be != was else []
    assert {"marts.agg_campaign_daily", "marts.agg_delivery_hourly"} <= set(changed_by_rates)
    assert {"marts.agg_campaign_daily", "marts.fct_impressions"} <= set(compared)

    with DuckDBWarehouse(warehouse.path) as opened:
        opened.connection.executemany(
            "insert into control.cursors values (?, ?, ?, ?, ?)",
            [
                (stream, TOPIC_ID, partition, offset, warehouse.load_id)
                for (stream, partition), offset in warehouse.next_offset.items()
            ],
        )
        left = "select count(*) from {} where {} < date '{}' and {}"
        for name, day in DAY_COLUMNS.items():
            # What came again since then is in no recorded build yet, and goes after the next one.
            known = "load_id <= 1" if name.startswith("raw.") else "true"
            assert opened.query(left.format(name, day, KEPT_FROM, known)).item() == 0, name
        for stream, tables in RECORD_TABLES.items():
            names = [table.qualified_name for table in tables.values()]
            equations = recount_warehouse(opened.query, stream, names)
            assert [e.explain() for e in equations if e.verdict != "holds"] == []
            assert any(e.expired for e in equations)
        balances = event_balances(opened.query, [table.name for table in EVENT_TABLES])
        assert all(balance.holds for balance in balances)
        broken = "select * from marts.conservation_offsets where not is_conserved"
        assert opened.query(broken).is_empty()
    monkeypatch.setenv("ADX_DUCKDB_PATH", str(warehouse.path))
    dbt.test("--select", "test_type:singular", "marts.quality")

    # A full refresh may not make old days of what is left of them.
    chosen = ["int_changed_loads", "int_rebuild_limit", "int_touched_days", *REFRESHED]
    dbt.run("--full-refresh", "--select", *chosen)
    refreshed = tables_of(warehouse)
    for name in positions:
        assert refreshed[name] == after[name], f"{name}: after a full refresh"

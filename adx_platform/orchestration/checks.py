"""Quality as Dagster asset checks: the list of all, and those of the warehouse.

Belongs here: which check sits on which table, whether it blocks, and how it is shown. Does not
belong here: those of the lake (``checks_lake``), what is counted or measured (``quality``), or the
bounds (``settings.quality``).
"""

from __future__ import annotations

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.errors import LakeFileDamaged
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks_integrity import (
    integrity_checks,
    unevaluated,
)
from adx_platform.orchestration.checks_lake import CONSERVATION, HISTORY, lake_checks
from adx_platform.orchestration.checks_reference import coverage_checks
from adx_platform.orchestration.metadata import equations_result, share_result
from adx_platform.orchestration.resources import Line
from adx_platform.quality.conservation import compare_layers
from adx_platform.quality.lake_rows import (
    refined_window,
)
from adx_platform.quality.marts_rows import event_balances, marts_equations
from adx_platform.quality.metrics import correlation_share
from adx_platform.quality.warehouse_rows import recount_warehouse
from adx_platform.warehouse.tables import RECORD_TABLES

CORRELATION = "correlation"
OFFSETS_KEY = keys.warehouse_key("marts", "conservation_offsets")
IMPRESSIONS_KEY = keys.warehouse_key("marts", "fct_impressions")


def warehouse_check_key(stream: str) -> dg.AssetKey:
    """The raw table that carries the checks of a stream in the warehouse: its first one."""
    first = next(iter(RECORD_TABLES[stream].values()))
    return keys.warehouse_key(first.schema, first.name)


def all_checks() -> list[dg.AssetChecksDefinition]:
    """Every check that is not a dbt test."""
    return [
        *integrity_checks(),
        *coverage_checks(),
        *lake_checks(),
        *(_warehouse_check(stream, name) for stream in STREAMS for name in (CONSERVATION, HISTORY)),
        _marts_conservation_check(),
        _correlation_check(),
    ]


def history_check_keys() -> list[dg.AssetCheckKey]:
    """The checks that read all history: for the audit only."""
    return [
        *(dg.AssetCheckKey(keys.raw_key(stream), HISTORY) for stream in STREAMS),
        *(dg.AssetCheckKey(keys.events_key(stream), HISTORY) for stream in STREAMS),
        *(dg.AssetCheckKey(warehouse_check_key(stream), HISTORY) for stream in STREAMS),
    ]


def _warehouse_check(stream: str, name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=warehouse_check_key(stream),
        name=name,
        blocking=name == CONSERVATION,
        pool=keys.WAREHOUSE_POOL,
        description=f"Every loaded offset of {stream} is in the raw tables exactly once.",
    )
    def check_warehouse(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        tail = line.settings.quality.tail_offsets if name == CONSERVATION else None
        tables = [table.qualified_name for table in RECORD_TABLES[stream].values()]
        with line.warehouse() as warehouse:
            loaded = recount_warehouse(warehouse.query, stream, tables, tail=tail)
        try:
            window = refined_window(line.storage, STREAMS[stream], tail=tail)
        except LakeFileDamaged as error:
            return unevaluated(error, stream, warehouse_check_key(stream), name)
        return equations_result(
            loaded,
            compare_layers(loaded, window.equations),
            asset_key=warehouse_check_key(stream),
            check_name=name,
        )

    return check_warehouse


def _marts_conservation_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=OFFSETS_KEY,
        name=CONSERVATION,
        blocking=True,
        pool=keys.WAREHOUSE_POOL,
        description="Every loaded row has one class in the marts, and the equation holds there.",
    )
    def check_marts(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        tables = [table.name for by_type in RECORD_TABLES.values() for table in by_type.values()]
        with line.warehouse() as warehouse:
            equations = marts_equations(warehouse.query)
            balances = event_balances(warehouse.query, tables)
        return equations_result(
            equations,
            [balance.explain() for balance in balances if not balance.holds],
            asset_key=OFFSETS_KEY,
            check_name=CONSERVATION,
        )

    return check_marts


def _correlation_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=IMPRESSIONS_KEY,
        name=CORRELATION,
        pool=keys.WAREHOUSE_POOL,
        description="Rendered impressions that found their win or billing notice.",
    )
    def check_correlation(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        with line.warehouse() as warehouse:
            share = correlation_share(warehouse.query)
        bound = line.settings.quality.min_correlation_share
        return share_result(
            share,
            asset_key=IMPRESSIONS_KEY,
            check_name=CORRELATION,
            passed=share.value is None or share.value >= bound,
            bound=bound,
        )

    return check_correlation

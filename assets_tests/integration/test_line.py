"""The whole line through Dagster: a real broker, a real lake, DuckDB and dbt."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

with warnings.catch_warnings():
    # dagster-dbt imports sqlglot, whose optional Rust tokenizer announces its successor.
    warnings.filterwarnings(
        "ignore", message="sqlglotrs is deprecated", category=DeprecationWarning
    )
    import dagster_dbt  # noqa: F401 imported for the side effect above

import dagster as dg
from deltalake import DeltaTable

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks_lake import CONSERVATION
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.run import LineSummary, run_line
from adx_platform.warehouse.published import query_published
from assets_tests.lines import WholeLine

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # dagster-dbt calls it itself.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated"),
]


def problems(summary: LineSummary) -> list[str]:
    failed = [f"{run.step.name}: {run.error}" for run in summary.runs if not run.success]
    broken = [
        f"{check.asset} {check.check}: {check.description}" for check in summary.failed_checks
    ]
    return failed + broken


def test_one_call_takes_messages_to_published_marts_and_a_second_one_continues(
    whole_line: WholeLine,
) -> None:
    fed, summary = whole_line.settings, whole_line.summary

    assert summary.success, problems(summary)
    sent = {
        stream: pl.scan_parquet(fed.home / "wire" / f"{stream}.parquet")
        .select(pl.len())
        .collect()
        .item()
        for stream in STREAMS
    }
    counted: Counter[str] = Counter()
    for batch in summary.batches:
        counted[batch.stream] += sum(batch.counts.values())
    assert counted == sent
    assert sum(batch.counts["rejected"] for batch in summary.batches) > 0
    assert {event.kind for event in whole_line.events} == {"started", "batch", "finished"}

    marts = query_published(
        fed.published_dir, "select sum(committed_offsets) as n from marts.conservation_offsets"
    )
    assert int(marts.item()) == sum(sent.values())

    with ensure_instance(fed) as instance:
        for stream in STREAMS:
            event = instance.get_latest_materialization_event(keys.events_key(stream))
            assert event is not None
            materialization = event.asset_materialization
            assert materialization is not None
            assert materialization.metadata["dagster/row_count"].value > 0
            evaluation = instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(keys.events_key(stream), CONSERVATION), limit=1
            )
            assert evaluation[0].status.value == "SUCCEEDED"
        assert {run.run_id for run in instance.get_runs()} == set(summary.run_ids)

    again = run_line(fed)

    assert again.success, problems(again)
    assert again.batches == ()

    # The views are those of the project already; their tests have run even so.
    view = keys.warehouse_key("intermediate", "int_clicks_classified")
    with ensure_instance(fed) as instance:
        event = instance.get_latest_materialization_event(view)
        assert event is not None
        assert event.run_id in again.run_ids
        assert event.asset_materialization is not None
        assert "unchanged" in str(event.asset_materialization.metadata["made"].value)
        (evaluation,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(view, "int_clicks_classified_grain"), limit=1
        )
        assert evaluation.run_id in again.run_ids
        assert evaluation.status.value == "SUCCEEDED"


def test_damage_in_the_lake_stops_the_line_before_the_warehouse(
    whole_line: WholeLine, tmp_path: Path
) -> None:
    fed = whole_line.copy(tmp_path / "home")
    table = DeltaTable(f"{fed.lake_uri}/events/ad_impressions")
    table.delete("partition = 0 and offset = 2")

    summary = run_line(fed)

    assert not summary.success
    assert [step.job for step in summary.skipped] == ["load", "build", "audit"]
    (broken,) = {c.description for c in summary.failed_checks if c.severity == "ERROR"}
    assert "1 missing, the first at offset 2" in broken

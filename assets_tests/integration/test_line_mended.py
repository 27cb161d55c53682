"""Torn lake files and missing reference rows: found, mended, and the marts are as before."""

from __future__ import annotations

import warnings
from pathlib import Path

import duckdb
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

from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.checks_integrity import FILES_INTACT
from adx_platform.orchestration.checks_reference import COVERAGE, coverage_checks
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.run import run_line
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.remedies import carry_out
from adx_platform.quality.incidents.documents import REMEDY_METADATA, remedy_from
from adx_platform.settings import Settings
from adx_platform.warehouse.published import query_published
from assets_tests.lines import WholeLine

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1800),
    # dagster-dbt calls it itself.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated"),
]

FIGURES = (
    "select * exclude (load_id, notice_load_id) from marts.fct_impressions order by impression_key",
    "select * exclude (load_id) from marts.agg_campaign_daily order by all",
    "select * from marts.conservation_offsets order by stream, topic_id, partition_id",
)


@pytest.fixture
def built(whole_line: WholeLine, tmp_path: Path) -> Settings:
    """A copy of the line, for one test to damage."""
    assert whole_line.summary.success
    return whole_line.copy(tmp_path / "home")


def figures(settings: Settings) -> list[pl.DataFrame]:
    return [query_published(settings.published_dir, sql) for sql in FIGURES]


def active_files(settings: Settings, name: str) -> list[Path]:
    table = DeltaTable(f"{settings.lake_uri}/{name}")
    actions = pl.DataFrame(table.get_add_actions(flatten=True)).sort("size_bytes", descending=True)
    return [Path(settings.lake_uri, name, path) for path in actions["path"]]


def run(settings: Settings, job: str, **arguments: object) -> dg.ExecuteInProcessResult:
    with ensure_instance(settings) as instance:
        return (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(instance=instance, raise_on_error=False, **arguments)  # type: ignore[arg-type] # passed on as is
        )


def evaluations(
    result: dg.ExecuteInProcessResult,
) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {
        (e.asset_key.to_user_string(), e.check_name): e
        for e in result.get_asset_check_evaluations()
    }


def test_torn_files_are_found_mended_and_leave_no_trace_in_the_marts(built: Settings) -> None:
    before = figures(built)
    for name in ("raw/bid_requests", "events/bid_requests", "events/ad_impressions"):
        victim = active_files(built, name)[0]
        victim.write_bytes(victim.read_bytes()[:-100])

    ingested = run(built, "ingest_bid_requests", partition_key="lane-0")

    found = evaluations(ingested)
    for layer in ("raw", "events"):
        verdict = found[f"lake/{layer}/bid_requests", FILES_INTACT]
        assert not verdict.passed
        assert "is truncated" in (verdict.description or "")
    conserved = found["lake/raw/bid_requests", "conservation"]
    assert not conserved.passed
    assert "adx repair" in (conserved.description or "")

    # The next load reads past the cursor only; what it must read again says what is damaged.
    torn = run(built, "load")
    assert not evaluations(torn)["warehouse/raw/bid_requests", "conservation"].passed

    remedies = [
        remedy_from(verdict.metadata[REMEDY_METADATA].value)
        for (_, name), verdict in found.items()
        if name == FILES_INTACT and not verdict.passed
    ]
    platform = open_platform(built)
    for remedy in remedies:
        assert carry_out(platform, remedy).detail
    incident = evaluations(run(built, "ingest_ad_impressions", partition_key="lane-0"))
    verdict = incident["lake/events/ad_impressions", FILES_INTACT]
    assert carry_out(platform, remedy_from(verdict.metadata[REMEDY_METADATA].value)).changed
    platform.kafka.close()

    summary = run_line(built)

    assert summary.success, [(r.step.name, r.error, r.failed_checks) for r in summary.runs]
    for was, now in zip(before, figures(built), strict=True):
        assert now.equals(was)


def test_reference_rows_that_went_missing_are_found_and_loaded_again(built: Settings) -> None:
    before = figures(built)
    with duckdb.connect(str(built.duckdb_path)) as connection:
        connection.execute("delete from reference.fx_rates where from_currency <> to_currency")

    rebuilt = run(built, "rebuild_marts")

    verdict = evaluations(rebuilt)["reference/fx_rates", COVERAGE]
    assert not verdict.passed
    assert "no rate from" in (verdict.description or "")
    assert "rows were changed in the warehouse" in (verdict.description or "")
    assert evaluations(rebuilt)["reference/campaigns", COVERAGE].passed
    # It does not block: what has no rate has no spend, and everything else is built.
    assert rebuilt.success
    assert not figures(built)[0].equals(before[0])

    reloaded = run(built, "reload_reference")

    assert reloaded.success
    assert evaluations(reloaded)["reference/fx_rates", COVERAGE].passed
    for was, now in zip(before, figures(built), strict=True):
        assert now.equals(was)


def test_a_broken_reference_file_is_found_and_keeps_what_is_loaded(built: Settings) -> None:
    before = figures(built)
    rates = built.reference_dir / "fx_rates.csv"
    rates.write_text("rate_date,from_currency,to_currency,rate\nn/a,EUR,USD,#REF!\n")
    only_checks = dg.Definitions(
        asset_checks=coverage_checks(),
        jobs=[dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())],
        resources={"line": Line(built)},
        executor=dg.in_process_executor,
    )
    found = evaluations(only_checks.resolve_job_def("checks").execute_in_process())
    for table in ("fx_rates", "campaigns"):
        verdict = found[f"reference/{table}", COVERAGE]
        assert not verdict.passed
        assert "cannot be read" in (verdict.description or "")
        assert "no rate from" not in (verdict.description or "")

    assert not run(built, "reload_reference").success
    for was, now in zip(before, figures(built), strict=True):
        assert now.equals(was)

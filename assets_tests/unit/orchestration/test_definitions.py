"""What Dagster is told: loadable, complete, and as recorded."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion

from adx_platform.orchestration import keys
from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.dbt_project import ManifestError
from adx_platform.settings import Settings

REPOSITORY = Path(__file__).parents[3]


def test_the_definitions_load(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_assets_checks_jobs_sensors_and_schedules_are_as_recorded(
    defs: dg.Definitions, snapshot: SnapshotAssertion
) -> None:
    graph = defs.resolve_asset_graph()
    assets: dict[str, list[str]] = {}
    for key in sorted(graph.get_all_asset_keys()):
        assets.setdefault(graph.get(key).group_name, []).append(key.to_user_string())
    checks = sorted(
        f"{key.asset_key.to_user_string()}: {key.name}"
        + (" (blocking)" if graph.get(key).blocking else "")
        for key in graph.asset_check_keys
    )
    assert {
        "assets": assets,
        "checks": checks,
        "jobs": sorted(job.name for job in defs.resolve_all_job_defs()),
        "sensors": sorted(sensor.name for sensor in defs.sensors or []),
        "schedules": sorted(schedule.name for schedule in defs.schedules or []),
    } == snapshot


def test_every_asset_is_described_owned_grouped_and_named_by_layer(defs: dg.Definitions) -> None:
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert len(spec.key.path) >= 2, name
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name


def test_every_check_says_what_it_asks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    found = {key.name: graph.get_check_spec(key).description for key in graph.asset_check_keys}
    assert [name for name, description in found.items() if not description] == []
    assert found["int_bid_requests_deduped_grain"] == "One row per event_id."
    assert found["conservation_offsets_hold"] == "True of every row: `is_conserved`."
    assert found["fct_attribution_conversion_exists"] == (
        "Every conversion_event_id is the event_id of a row in fct_conversions."
    )
    assert found["daily_and_hourly_totals_agree"].startswith("Cutting time in local days")


def test_whatever_writes_the_warehouse_shares_one_pool(defs: dg.Definitions) -> None:
    writers = {
        asset.node_def.name: asset.node_def.pool
        for asset in defs.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        and asset.is_executable
        and any(key.path[0] in {"warehouse", "reference"} for key in asset.keys)
    }
    assert set(writers) == {
        "load_reference",
        "reference__attribution_weights",
        "load_warehouse",
        "build_warehouse",
        "warehouse__published",
    }
    assert set(writers.values()) == {keys.WAREHOUSE_POOL}


def test_lanes_are_the_partitions_of_the_lake(defs: dg.Definitions) -> None:
    job = defs.resolve_job_def(keys.ingest_job_name("bid_requests"))

    assert job.partitions_def == dg.StaticPartitionsDefinition(["lane-0", "lane-1"])


def test_history_is_recounted_by_the_audit_only(defs: dg.Definitions) -> None:
    def recounts(job: str) -> list[str]:
        names = [node.name for node in defs.resolve_job_def(job).nodes]
        return [name for name in names if "audit_lake" in name or "history" in name]

    assert len(recounts("audit")) == 6
    assert recounts("load") == recounts(keys.ingest_job_name("bid_requests")) == []


def test_a_missing_manifest_says_how_to_make_it(settings: Settings) -> None:
    with pytest.raises(ManifestError, match=r"adx_platform\.orchestration\.dbt_project"):
        build_defs(settings)


def test_the_workspace_names_this_code_location() -> None:
    text = (REPOSITORY / "workspace.yaml").read_text(encoding="utf-8")

    assert "module_name: adx_platform.definitions" in text

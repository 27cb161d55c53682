"""Loads follow refined lanes, each once, and stop while the lake is not conserved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.checks import CONSERVATION
from adx_platform.settings import load_settings

EVENTS = keys.events_key("clicks_conversions")
CLICKS = keys.warehouse_key("raw", "clicks")
SELECTION = dg.AssetSelection.groups(keys.GROUP_WAREHOUSE_RAW)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def refined(instance: dg.DagsterInstance, lane: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(EVENTS, partition=lane))


def checked(instance: dg.DagsterInstance, *, passed: bool) -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=EVENTS, check_name=CONSERVATION, passed=passed, metadata={}
        )
    )


def evaluate(
    defs: dg.Definitions, instance: dg.DagsterInstance, cursor: object = None
) -> dg.EvaluateAutomationConditionsResult:
    return dg.evaluate_automation_conditions(
        defs, instance, asset_selection=SELECTION, cursor=cursor
    )


def test_nothing_refined_loads_nothing(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    assert evaluate(defs, instance).total_requested == 0


def test_one_refined_lane_is_enough_and_loads_once(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    first = evaluate(defs, instance)
    refined(instance, "lane-0")

    second = evaluate(defs, instance, first.cursor)
    third = evaluate(defs, instance, second.cursor)

    assert second.get_num_requested(CLICKS) == 1
    assert third.total_requested == 0


def test_a_failed_conservation_check_holds_the_load(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    start = evaluate(defs, instance)
    refined(instance, "lane-1")
    checked(instance, passed=False)

    held = evaluate(defs, instance, start.cursor)
    checked(instance, passed=True)
    released = evaluate(defs, instance, held.cursor)

    assert held.get_num_requested(CLICKS) == 0
    assert released.get_num_requested(CLICKS) == 1


@pytest.mark.parametrize(("automation", "running"), [("on", True), ("off", False)])
def test_sensors_and_schedules_start_as_configured(
    parsed_home: Path, automation: str, running: bool
) -> None:
    built = build_defs(load_settings(home=parsed_home, automation=automation))

    sensors = [built.resolve_sensor_def(name) for name in ("planner", "automation")]
    schedules = [
        built.resolve_schedule_def(name)
        for name in ("build_cadence", "reference_hourly", "audit_daily")
    ]

    assert {s.default_status.value == "RUNNING" for s in (*sensors, *schedules)} == {running}
    assert len(STREAMS) == len([job for job in built.jobs or [] if job.name.startswith("ingest_")])

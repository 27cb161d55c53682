"""The sign of life of the resident loop: stored, judged, reported once per change."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from adx_platform.orchestration import keys
from adx_platform.orchestration.heartbeats import (
    ALIVE,
    Heartbeat,
    alive_check,
    judge,
    loop_spec,
    loop_watch_sensor,
    read_heartbeat,
    write_heartbeat,
)
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings

BEAT = Heartbeat(
    at=1_000.0,
    host="box",
    pid=42,
    streams=("ad_impressions", "bid_requests"),
    lanes=4,
    behind=1_234,
    last_commit=990.0,
)


@pytest.fixture
def instance(persistent_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return persistent_instance


def test_every_process_of_an_instance_reads_the_newest_sign(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert read_heartbeat(instance) is None
    write_heartbeat(instance, BEAT)
    later = replace(BEAT, at=1_003.0, last_commit=None)
    write_heartbeat(instance, later)
    with ensure_instance(settings) as other:
        assert read_heartbeat(other) == later


@pytest.mark.parametrize(
    ("beat", "now", "life", "says"),
    [
        (None, 1_000.0, "none", "never a resident loop"),
        (BEAT, 1_029.0, "alive", "pid 42 on box, 4 lanes, 1,234 behind, last commit 00:16:30 UTC"),
        (BEAT, 1_030.0, "dead", "no sign of life for 30 s"),
        (replace(BEAT, stopped=True), 5_000.0, "stopped", "was stopped properly"),
        (replace(BEAT, last_commit=None), 1_000.0, "alive", "nothing committed yet"),
    ],
)
def test_a_loop_is_dead_when_it_was_alive_and_said_no_goodbye(
    beat: Heartbeat | None, now: float, life: str, says: str
) -> None:
    judged, text = judge(beat, now, 30.0)
    assert judged == life
    assert says in text


def test_the_sensor_reports_changes_only(settings: Settings, instance: dg.DagsterInstance) -> None:
    sensor = loop_watch_sensor(settings)
    cursor: str | None = None

    def tick() -> dg.AssetCheckEvaluation | None:
        nonlocal cursor
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"line": Line(settings)}
        )
        found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        cursor = found.cursor
        if not found.asset_events:
            assert found.skip_reason is not None
            return None
        (event,) = found.asset_events
        assert isinstance(event, dg.AssetCheckEvaluation)
        assert (event.asset_key, event.check_name) == (keys.INGEST_LOOP_KEY, ALIVE)
        return event

    def passed() -> bool | None:
        event = tick()
        return None if event is None else event.passed

    now = time.time()
    assert passed() is None
    write_heartbeat(instance, replace(BEAT, at=now))
    assert [passed(), passed()] == [True, None]
    write_heartbeat(instance, replace(BEAT, at=now - 60))
    dead = tick()
    assert dead is not None
    assert not dead.passed
    assert dead.severity == dg.AssetCheckSeverity.ERROR
    assert dead.metadata["pid"].value == 42
    assert passed() is None
    write_heartbeat(instance, replace(BEAT, at=now))
    assert passed() is True
    write_heartbeat(instance, replace(BEAT, at=now, stopped=True))
    assert [passed(), passed()] == [True, None]


@pytest.mark.parametrize(("age", "expected"), [(0.0, True), (60.0, False)])
def test_the_check_says_the_same_by_hand(
    settings: Settings, instance: dg.DagsterInstance, age: float, expected: bool
) -> None:
    write_heartbeat(instance, replace(BEAT, at=time.time() - age))
    defs = dg.Definitions(
        assets=[loop_spec()],
        asset_checks=[alive_check()],
        jobs=[dg.define_asset_job("check", dg.AssetSelection.all_asset_checks())],
        resources={"line": Line(settings)},
        executor=dg.in_process_executor,
    )
    result = defs.resolve_job_def("check").execute_in_process(instance=instance)
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed is expected


def test_a_shared_folder_is_no_part_of_the_sign(tmp_path: Path) -> None:
    assert str(tmp_path) not in BEAT.to_json()
    assert Heartbeat.from_json(BEAT.to_json()) == BEAT

"""What is wrong with dbt's files and with Dagster's instance is named, with what to do."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from adx_platform.orchestration.dbt_project import PROJECT_DIR_VARIABLE, project_dir
from adx_platform.orchestration.doctor import orchestration_probes
from adx_platform.orchestration.instance import CONFIG_NAME, ensure_instance
from adx_platform.pipeline.doctor.probing import Diagnosis, Verdict, examine, ok
from adx_platform.settings import Settings, load_settings

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def told(settings: Settings, part: str) -> dict[str, Diagnosis]:
    probes = [p for p in orchestration_probes(settings, now=NOW) if p.part == part]
    return {item.part: item for item in examine(probes, timeout_seconds=60, mask=str)}


def manifest(settings: Settings) -> Diagnosis:
    return told(settings, "dbt manifest")["dbt manifest"]


def profile(settings: Settings) -> Diagnosis:
    return told(settings, "dbt profile")["dbt profile"]


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project, to be broken."""
    folder = tmp_path / "project"
    shutil.copytree(project_dir(), folder, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setenv(PROJECT_DIR_VARIABLE, str(folder))
    return folder


def test_no_manifest(settings: Settings) -> None:
    found = manifest(settings)
    assert (found.verdict, "dbt_project" in found.remedy) == (Verdict.FAILED, True)


def test_a_manifest_of_the_present_sources(runnable_settings: Settings) -> None:
    assert manifest(runnable_settings).verdict == Verdict.OK


def test_a_stale_manifest(runnable_settings: Settings, own_project: Path) -> None:
    assert manifest(runnable_settings).verdict == Verdict.OK
    model = next((own_project / "models").rglob("*.sql"))
    model.write_text(model.read_text(encoding="utf-8") + "\n-- changed\n", encoding="utf-8")
    found = manifest(runnable_settings)
    assert (found.verdict, "stale" in found.cause) == (Verdict.FAILED, True)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_manifest(runnable_settings: Settings, content: bytes) -> None:
    (runnable_settings.dbt_target_dir / "manifest.json").write_bytes(content)
    found = manifest(runnable_settings)
    assert found.verdict == Verdict.FAILED
    assert "is damaged" in found.cause
    assert "delete it" in found.remedy


def test_no_dbt_project(
    runnable_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PROJECT_DIR_VARIABLE, str(tmp_path / "nowhere"))
    for found in (manifest(runnable_settings), profile(runnable_settings)):
        assert (found.verdict, "ADX_DBT_PROJECT_DIR" in found.remedy) == (Verdict.FAILED, True)


def test_a_profile_that_is_right(settings: Settings) -> None:
    assert profile(settings) == ok(
        "dbt profile", f"{project_dir() / 'profiles.yml'}, target duckdb"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"adx: [unclosed", "is not a profile"),
        (b"other: {}", "is not a profile: KeyError"),
        (b"just words", "is not a profile: TypeError"),
        (b"adx: {outputs: {spark: {}}}", "has no target duckdb"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "is missing"),
    ],
)
def test_a_profile_that_is_wrong(
    settings: Settings, own_project: Path, content: bytes | None, words: str
) -> None:
    path = own_project / "profiles.yml"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    found = profile(settings)
    assert found.verdict == Verdict.FAILED
    assert words in found.cause


def test_no_instance_yet(settings: Settings) -> None:
    assert told(settings, "dagster")["dagster"].verdict == Verdict.WARNING
    assert not settings.dagster_home.exists()


@pytest.mark.parametrize("content", ["storage: [unclosed", "no_such_section: 1"])
def test_an_instance_whose_configuration_is_wrong(settings: Settings, content: str) -> None:
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / CONFIG_NAME).write_text(content)
    found = told(settings, "dagster")["dagster"]
    assert (found.verdict, CONFIG_NAME in found.remedy) == (Verdict.FAILED, True)


def beat(instance: dg.DagsterInstance, at: datetime) -> None:
    for daemon in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), daemon, "id", []))


def test_daemons(settings: Settings) -> None:
    with ensure_instance(settings) as instance:
        assert told(settings, "dagster")["daemons"].verdict == Verdict.WARNING
        beat(instance, NOW - timedelta(minutes=5))
        dead = told(settings, "dagster")["daemons"]
        assert (dead.verdict, "sensor" in dead.cause) == (Verdict.FAILED, True)
        beat(instance, NOW - timedelta(seconds=30))
        assert told(settings, "dagster")["daemons"].verdict == Verdict.OK


def state(
    name: str, status: InstigatorStatus, *, ticked: datetime | None = None
) -> InstigatorState:
    target = LoadableTargetOrigin(module_name="adx_platform.definitions")
    repository = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "__repository__")
    return InstigatorState(
        RemoteInstigatorOrigin(repository, name),
        InstigatorType.SENSOR,
        status,
        SensorInstigatorData(
            min_interval=5, last_tick_start_timestamp=ticked.timestamp() if ticked else None
        ),
    )


def test_sensors(settings: Settings) -> None:
    on = load_settings(home=settings.home, automation="on")
    with ensure_instance(settings) as instance:
        assert told(settings, "dagster")["sensors"].verdict == Verdict.WARNING
        assert told(on, "dagster")["sensors"].verdict == Verdict.OK
        instance.add_instigator_state(state("planner", InstigatorStatus.STOPPED))
        stopped = told(on, "dagster")["sensors"]
        assert (stopped.verdict, stopped.cause) == (
            Verdict.WARNING,
            "switched off by hand: planner",
        )
        declared = InstigatorStatus.DECLARED_IN_CODE
        long_ago, lately = NOW - timedelta(minutes=9), NOW - timedelta(seconds=9)
        instance.add_instigator_state(state("asleep", declared, ticked=long_ago))
        assert told(settings, "dagster")["sensors"].verdict == Verdict.WARNING
        # Started with ADX_AUTOMATION=on, and looked at from a shell without it.
        instance.add_instigator_state(state("planner_2", declared, ticked=lately))
        assert told(settings, "dagster")["sensors"] == ok(
            "sensors", "1 at work, as the platform was started"
        )
        instance.add_instigator_state(state("alerts", InstigatorStatus.RUNNING))
        assert told(settings, "dagster")["sensors"] == ok("sensors", "1 switched on by hand")

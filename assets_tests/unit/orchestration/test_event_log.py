"""Old records go, the newest of everything stays, and Dagster still answers every question."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from adx_platform.orchestration.event_log import PurgeReport, purge
from adx_platform.orchestration.event_log_purge import purge_job
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.resources import Line
from adx_platform.settings import HygieneSettings, Settings

EVENTS, QUIET = dg.AssetKey(["lake", "events"]), dg.AssetKey(["reference", "exchanges"])
CHECK = dg.AssetCheckKey(EVENTS, "conservation")
FUTURE = timedelta(hours=1)


@dg.asset(key=QUIET)
def quiet() -> None:
    """Materialised once, long ago, by a run."""


@dg.asset
def busy() -> None:
    """Materialised by every run."""


DEFS = dg.Definitions(
    assets=[quiet, busy],
    jobs=[
        dg.define_asset_job("load_quiet", [quiet]),
        dg.define_asset_job("load_busy", [busy]),
    ],
    executor=dg.in_process_executor,
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def instance(request: pytest.FixtureRequest) -> dg.DagsterInstance:
    """As one machine has it, and as the shared installation of ``compose.yaml`` does."""
    kind = "persistent_instance" if request.param == "sqlite" else "postgres_instance"
    chosen: dg.DagsterInstance = request.getfixturevalue(kind)
    return chosen


@pytest.fixture
def in_files(persistent_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return persistent_instance


def run(instance: dg.DagsterInstance, job: str) -> str:
    return DEFS.resolve_job_def(job).execute_in_process(instance=instance).run_id


def report(instance: dg.DagsterInstance, number: int, *, passed: bool = True) -> None:
    """A materialisation of one of two lanes, and a check result that is about it."""
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            EVENTS,
            partition=f"lane-{number % 2}",
            metadata={"number": number},
            tags={"dagster/data_version": str(number)},
        )
    )
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=EVENTS, check_name=CHECK.name, passed=passed, metadata={"number": number}
        )
    )


def numbers(instance: dg.DagsterInstance) -> list[object]:
    records = instance.fetch_materializations(EVENTS, limit=1_000, ascending=True).records
    return [
        record.asset_materialization.metadata["number"].value
        for record in records
        if record.asset_materialization is not None
    ]


def results(instance: dg.DagsterInstance) -> list[str]:
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=1_000)
    return [record.status.value for record in history]


def purge_all(instance: dg.DagsterInstance) -> PurgeReport:
    """As if everything were past its retention."""
    later = datetime.now(UTC) + FUTURE
    return purge(instance, runs_before=later, events_before=later)


def test_only_the_newest_of_each_partition_and_check_is_left(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    for number in range(6):
        report(instance, number, passed=number != 5)
    before = instance.get_latest_materialization_event(EVENTS)
    found = purge_all(instance)
    assert (found.runs, found.events, found.check_results) == (0, 9, 5)
    assert numbers(instance) == [4, 5]
    assert results(instance) == ["FAILED"]
    assert instance.get_latest_materialization_event(EVENTS) == before
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])[CHECK]
    assert latest.event is not None
    assert instance.get_materialized_partitions(EVENTS) == {"lane-0", "lane-1"}
    tags = instance.event_log_storage.get_event_tags_for_asset(EVENTS)
    assert sorted(tag["dagster/data_version"] for tag in tags) == ["4", "5"]
    assert purge_all(instance) == PurgeReport(0, 0, 0, 0)
    # A process that opens the instance anew sees the same.
    with ensure_instance(settings) as other:
        assert numbers(other) == [4, 5]


def test_what_is_within_its_retention_stays(instance: dg.DagsterInstance) -> None:
    for number in range(4):
        report(instance, number)
    run(instance, "load_busy")
    run(instance, "load_busy")
    earlier = datetime.now(UTC) - timedelta(days=1)
    found = purge(instance, runs_before=earlier, events_before=earlier)
    assert found == PurgeReport(0, 0, 0, 0)
    assert numbers(instance) == [0, 1, 2, 3]
    assert len(instance.get_runs()) == 2


def test_old_runs_go_but_not_the_one_that_made_the_newest(instance: dg.DagsterInstance) -> None:
    only = run(instance, "load_quiet")
    run(instance, "load_busy")
    newest = run(instance, "load_busy")
    going = dg.DagsterRun(
        "load_busy",
        run_id="00000000-0000-0000-0000-00000000abcd",
        status=dg.DagsterRunStatus.STARTED,
    )
    instance.add_run(going)
    assert purge_all(instance).runs == 1
    assert {item.run_id for item in instance.get_runs()} == {only, newest, going.run_id}
    for key in (QUIET, busy.key):
        assert instance.get_latest_materialization_event(key) is not None
    assert instance.all_logs(only)


def test_the_file_of_an_old_run_goes_with_it(
    in_files: dg.DagsterInstance, settings: Settings
) -> None:
    old, newest = run(in_files, "load_busy"), run(in_files, "load_busy")
    folder = settings.dagster_home / "history" / "runs"
    assert (folder / f"{old}.db").exists()
    assert purge_all(in_files).runs == 1
    assert not list(folder.glob(f"{old}*"))
    assert (folder / f"{newest}.db").exists()


def test_a_file_that_is_mostly_empty_is_compacted(
    in_files: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adx_platform.orchestration.event_log._WORTH_BYTES", 1)
    for number in range(60):
        report(in_files, number)
    index = settings.dagster_home / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    before = index.stat().st_size
    found = purge_all(in_files)
    with closing(sqlite3.connect(index)) as connection:
        assert connection.execute("pragma freelist_count").fetchone() == (0,)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert index.stat().st_size < before
    assert found.freed_bytes > 0
    report(in_files, 60)
    assert numbers(in_files)[-1] == 60


def test_the_job_applies_the_settings(instance: dg.DagsterInstance, settings: Settings) -> None:
    report(instance, 0)
    report(instance, 2)
    hygiene = HygieneSettings(keep_runs=timedelta(days=30), keep_events=timedelta(0))
    line = Line(settings.model_copy(update={"hygiene": hygiene}))
    time.sleep(0.01)  # past the retention of nothing: clocks have a resolution
    result = purge_job().execute_in_process(instance=instance, resources={"line": line})
    assert result.success
    assert numbers(instance) == [2]


def test_another_kind_of_event_log_is_refused(
    in_files: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dg.DagsterInstance, "event_log_storage", object())
    now = datetime.now(UTC)
    with pytest.raises(TypeError, match="no SQL one"):
        purge(in_files, runs_before=now, events_before=now)


def test_the_folder_is_the_instance_s(settings: Settings, in_files: dg.DagsterInstance) -> None:
    report(in_files, 0)
    assert Path(in_files.event_log_storage.path_for_shard("index")).is_relative_to(  # type: ignore[attr-defined] # SQLite's
        settings.dagster_home
    )

"""The real sensors on a real instance: from a failed check to the mended or the unmendable end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from adx_platform.orchestration.incident_names import (
    ATTEMPT_TAG,
    INCIDENT_TAG,
    INCIDENTS_KEY,
    RECHECK_TAG,
)
from adx_platform.orchestration.remediation_runs import runnable_checks
from adx_platform.quality.incidents.model import Action, NoticeKind, Remedy, Severity, State
from adx_platform.quality.incidents.scopes import STANDING_CHECK
from assets_tests.unit.orchestration.incident_daemon import (
    EVENTS,
    LATE,
    MART,
    UNIQUE,
    Daemon,
    DamagedLine,
    running_daemon,
)

STANDING = dg.AssetCheckKey(INCIDENTS_KEY, STANDING_CHECK)
PLENTY = 400


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as running:
        running.watch()
        yield running


def test_a_damaged_lake_is_mended_and_judged(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()

    daemon.round()

    assert daemon.launched == ["remediate"]
    assert daemon.line.remedies == [Remedy(Action.REPAIR_LAKE, "ad_impressions")]
    (mended,) = daemon.incidents()
    assert mended.attempts[0].succeeded is True
    assert mended.attempts[0].detail == "landed 3 ranges again"
    assert mended.attempts[0].passed_after is None

    (recheck,) = daemon.mend()
    assert recheck.job_name == "recheck"
    assert recheck.tags[RECHECK_TAG] == "INC-0001/1"
    assert recheck.tags[INCIDENT_TAG] == "INC-0001"
    assert {key.name for key in recheck.asset_check_keys or []} == {"files_intact", "late_share"}
    daemon.round()

    (over,) = daemon.incidents()
    assert (over.state, over.attempts[0].passed_after) == (State.RESOLVED, True)
    daemon.round()
    assert daemon.launched == ["remediate", "recheck"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def lasting_daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """Its instance is in SQLite files, where check results are read in another way, or shared."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with running_daemon(tmp_path, on_disk=True, postgres_url=url) as running:
        running.watch()
        yield running


def test_a_fault_that_cannot_be_mended_ends_with_a_person_and_nothing_loops(
    lasting_daemon: Daemon,
) -> None:
    daemon = lasting_daemon
    daemon.line.on_remedy = DamagedLine.do_nothing
    daemon.line.lake_is_whole = False
    daemon.check()

    for _ in range(PLENTY):
        daemon.round()
        if daemon.incidents()[0].state == State.ESCALATED:
            break

    (incident,) = daemon.incidents()
    assert incident.state == State.ESCALATED
    assert daemon.launched.count("remediate") == len(incident.attempts) == 3
    assert daemon.launched.count("recheck") == 3
    assert [a.passed_after for a in incident.attempts] == [False, False, False]
    pauses = [
        later.started_at - before.ended_at
        for before, later in zip(incident.attempts, incident.attempts[1:], strict=False)
        if before.ended_at is not None
    ]
    assert pauses[0] >= timedelta(milliseconds=100)
    assert pauses[1] >= timedelta(milliseconds=200)

    launched = list(daemon.launched)
    for _ in range(10):
        daemon.check()
        daemon.round()
    assert daemon.launched == launched
    assert len(daemon.incidents()) == 1
    with daemon.line.incidents() as store:
        kinds = [notice.kind for notice in store.pending_notices()]
        assert kinds == [NoticeKind.OPENED, NoticeKind.ESCALATED]
    standing = daemon.latest(STANDING)
    assert standing is not None
    assert (standing.passed, standing.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "INC-0001" in str(standing.description)
    assert "adx incidents ack INC-0001" in str(standing.description)
    assert not daemon.run("recheck", checks=[STANDING]).get_asset_check_evaluations()[0].passed

    with daemon.line.incidents() as store:
        store.acknowledge("INC-0001", by="ann", note="disk replaced", now=datetime.now(UTC))
    daemon.check()
    daemon.round()
    standing = daemon.latest(STANDING)
    assert standing is not None
    assert standing.passed
    assert daemon.launched == launched


def test_a_remedy_that_fails_fails_its_run_and_is_written_down(daemon: Daemon) -> None:
    daemon.line.on_remedy = DamagedLine.fail
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.watch()

    (request,) = daemon.mend(run=False)
    result = daemon.run("remediate", request.tags)

    assert not result.success
    (incident,) = daemon.incidents()
    assert incident.attempts[0].succeeded is False
    assert incident.attempts[0].detail == "the broker has these offsets no more"
    assert incident.attempts[0].run_id == result.run_id
    daemon.watch()
    assert [i.incident_id for i in daemon.incidents()] == ["INC-0001"]


def test_a_run_that_finds_nothing_to_do_succeeds(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.watch()
    (request,) = daemon.mend(run=False)
    daemon.line.lake_is_whole = True
    daemon.check()
    daemon.watch()

    result = daemon.run("remediate", request.tags)

    assert result.success
    assert daemon.line.remedies == []
    assert daemon.incidents()[0].attempts == ()


def test_remediate_without_an_incident_says_what_it_needs(daemon: Daemon) -> None:
    result = daemon.run("remediate")

    failure = result.get_step_failure_events()[0].step_failure_data
    assert failure.user_failure_data is not None
    assert "adx/incident" in str(failure.user_failure_data.description)


def test_a_launched_run_is_not_launched_again(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.watch()
    (request,) = daemon.mend(run=False)
    add_run(daemon, request, dg.DagsterRunStatus.STARTED)

    assert daemon.mend(run=False) == []
    assert daemon.mend(run=False) == []


def test_a_run_that_died_before_it_began_uses_the_budget_up(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.watch()
    (request,) = daemon.mend(run=False)
    run_id = add_run(daemon, request, dg.DagsterRunStatus.FAILURE)

    daemon.mend(run=False)

    (attempt,) = daemon.incidents()[0].attempts
    assert (attempt.succeeded, attempt.run_id) == (False, run_id)
    assert "before the remedy began" in attempt.detail


def test_an_attempt_whose_run_was_killed_is_ended(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.watch()
    (request,) = daemon.mend(run=False)
    run_id = add_run(daemon, request, dg.DagsterRunStatus.CANCELED)
    with daemon.line.incidents() as store:
        store.begin_attempt("INC-0001", run_id=run_id, now=datetime.now(UTC))

    daemon.mend(run=False)

    (attempt,) = daemon.incidents()[0].attempts
    assert attempt.succeeded is False
    assert "CANCELED" in attempt.detail


def add_run(daemon: Daemon, request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
    run_id = f"{status.value.lower()}-{time.monotonic_ns()}"
    daemon.instance.add_run(
        dg.DagsterRun(
            job_name=str(request.job_name), run_id=run_id, status=status, tags=request.tags
        )
    )
    return run_id


def test_a_failed_build_is_mended_by_a_rebuild_of_the_marts(daemon: Daemon) -> None:
    daemon.line.marts_are_whole = False
    daemon.run("build")
    daemon.watch()
    (incident,) = daemon.incidents()
    assert (incident.scope, incident.failing) == ("warehouse", ("build:run",))
    assert "model fct_clicks failed" in incident.description
    assert incident.remedy == Remedy(Action.REBUILD_MARTS)

    (request,) = daemon.mend(run=False)
    assert request.job_name == "rebuild_marts"
    assert (request.tags[INCIDENT_TAG], request.tags[ATTEMPT_TAG]) == ("INC-0001", "1")
    assert daemon.incidents()[0].state == State.MENDING
    assert daemon.mend(run=False) == []
    daemon.line.marts_are_whole = True
    run = daemon.run("rebuild_marts", request.tags)
    daemon.round()

    (over,) = daemon.incidents()
    assert over.state == State.RESOLVED
    assert (over.attempts[0].succeeded, over.attempts[0].passed_after) == (True, True)
    assert over.attempts[0].run_id == run.run_id


def test_a_models_test_is_run_again_without_the_model(daemon: Daemon) -> None:
    daemon.line.marts_are_whole = False
    daemon.run("rebuild_marts")
    daemon.watch()
    (incident,) = daemon.incidents()
    assert incident.failing == (f"{UNIQUE.asset_key.to_user_string()}:{UNIQUE.name}",)

    daemon.mend()
    daemon.line.marts_are_whole = True
    daemon.mend()
    daemon.round()

    (incident,) = daemon.incidents()
    assert (incident.state, incident.attempts[0].passed_after) == (State.RESOLVED, True)
    assert daemon.launched == ["rebuild_marts", "recheck"]
    assert daemon.line.rebuilds == 2


def test_a_check_that_is_made_with_its_asset_is_not_run_alone() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec(MART)], check_specs=[dg.AssetCheckSpec("own", asset=MART)])
    def fct_clicks():  # type: ignore[no-untyped-def]  # noqa: ANN202 - Dagster would want a tuple
        raise NotImplementedError  # only the graph is looked at

    @dg.asset_check(asset=MART, name="alone")
    def alone() -> dg.AssetCheckResult:
        raise NotImplementedError  # likewise

    graph = dg.Definitions(assets=[fct_clicks], asset_checks=[alone]).resolve_asset_graph()
    name = MART.to_user_string()

    assert runnable_checks(graph, [f"{name}:own", f"{name}:alone", "build:run", "x:y"]) == [
        dg.AssetCheckKey(MART, "alone")
    ]


def test_a_warning_is_watched_and_launches_nothing(daemon: Daemon) -> None:
    daemon.line.late_share_is_low = False
    daemon.check()
    daemon.round()

    (incident,) = daemon.incidents()
    assert (incident.state, incident.severity) == (State.WATCHING, Severity.WARNING)
    assert daemon.launched == []


def test_stale_assets_are_incidents_until_they_are_fresh(daemon: Daemon) -> None:
    def change(state: FreshnessState) -> None:
        daemon.instance.report_runless_asset_event(
            FreshnessStateChange(
                key=EVENTS,
                new_state=state,
                previous_state=FreshnessState.PASS,
                state_change_timestamp=time.time(),
            )
        )
        daemon.watch()

    change(FreshnessState.UNKNOWN)
    assert daemon.incidents() == []
    change(FreshnessState.WARN)
    assert [i.severity for i in daemon.incidents()] == [Severity.WARNING]
    change(FreshnessState.FAIL)
    (incident,) = daemon.incidents()
    assert (incident.severity, incident.state) == (Severity.ERROR, State.WATCHING)
    assert incident.failing == ("lake/events/ad_impressions:freshness",)
    change(FreshnessState.PASS)
    assert [i.state for i in daemon.incidents()] == [State.RESOLVED]


def test_the_first_look_takes_the_state_of_every_check(tmp_path: Path) -> None:
    with running_daemon(tmp_path, on_disk=True) as daemon:
        daemon.line.lake_is_whole = False
        daemon.check()
        daemon.line.lake_is_whole = True
        daemon.line.late_share_is_low = False
        daemon.check()

        daemon.watch()

        (incident,) = daemon.incidents()
        assert incident.failing == (f"{EVENTS.to_user_string()}:{LATE.name}",)


def test_a_result_reported_outside_of_a_run_is_heard(lasting_daemon: Daemon) -> None:
    daemon = lasting_daemon
    daemon.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=EVENTS, check_name="broker", passed=False, metadata={})
    )
    daemon.watch()

    assert [i.failing for i in daemon.incidents()] == [("lake/events/ad_impressions:broker",)]


def test_the_standing_check_is_reported_when_it_changes_only(daemon: Daemon) -> None:
    assert [event for _ in range(3) for event in daemon.watch().asset_events] == []
    daemon.line.late_share_is_low = False
    daemon.check()
    (event,) = daemon.watch().asset_events
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert event.passed
    table = event.metadata["incidents"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["incident"] for record in table.records] == ["INC-0001"]
    assert daemon.watch().asset_events == []
    assert len(daemon.incidents()) == 1


def test_another_event_log_is_looked_at_afresh(daemon: Daemon) -> None:
    daemon.line.lake_is_whole = False
    daemon.check()
    daemon.cursors["incident_watch"] = '{"event": 1000000000}'

    daemon.watch()

    assert len(daemon.incidents()) == 1

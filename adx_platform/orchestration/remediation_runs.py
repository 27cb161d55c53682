"""Runs of remedies: which to launch, which have died, which checks to run again.

Belongs here: looking at the instance's runs beside the incidents, and run requests. Does not belong
here: when an attempt is due or what its end means (``quality.incidents``).

The instance is asked for the runs of an attempt instead of using run keys: Dagster would never
start a second run for a key whose run failed. An attempt whose run ended without a word counts as
one that failed, so that a run that cannot start uses the budget up like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from adx_platform.orchestration.incident_names import (
    ATTEMPT_TAG,
    INCIDENT_TAG,
    JOB_OF,
    RECHECK_JOB,
    RECHECK_TAG,
    REMEDIATE_JOB,
)
from adx_platform.orchestration.sensors import IN_FLIGHT
from adx_platform.quality.incidents.lifecycle import NotDue
from adx_platform.quality.incidents.model import Attempt, Incident, State
from adx_platform.quality.incidents.store import IncidentStore

LAUNCH_PATIENCE: Final = timedelta(minutes=2)
"""An attempt that was begun for a run, of which nothing is to be seen for so long, has none."""

LONGEST_ATTEMPT: Final = timedelta(hours=2)
"""As long as ``run_monitoring`` lets any run live."""

# Dagster starts a crashed worker's run again; here the incident's own budget decides.
_NO_RETRIES: Final = {"dagster/max_retries": "0"}


def end_dead_attempts(store: IncidentStore, instance: dg.DagsterInstance, now: datetime) -> int:
    """End the attempts whose runs have ended, died or never started.

    Returns:
        How many.
    """
    ended = 0
    for incident in store.at_work():
        attempt = incident.running_attempt
        if attempt is None:
            continue
        run = _run_of(instance, incident, attempt)
        outcome = _outcome(attempt, run, now)
        if outcome is not None:
            succeeded, detail = outcome
            store.end_attempt(
                incident.incident_id,
                attempt.number,
                succeeded=succeeded,
                detail=detail,
                now=now,
                run_id=None if run is None else run.run_id,
            )
            ended += 1
    return ended


def launches(
    store: IncidentStore, instance: dg.DagsterInstance, jobs: Collection[str], now: datetime
) -> Iterator[dg.RunRequest]:
    """A run for every incident whose remedy is due and not launched yet.

    Args:
        store: the incidents; an attempt that a job of assets carries out is begun here, because
            that job knows nothing of incidents.
        instance: where the runs are.
        jobs: names of the jobs that may be launched.
        now: UTC.
    """
    for incident in store.due(now):
        job = JOB_OF.get(incident.remedy.action) if incident.remedy is not None else None
        if job is None or job not in jobs:
            continue
        number = len(incident.attempts) + 1
        before = _runs(instance, attempt_tags(incident.incident_id, number))
        if any(run.status in IN_FLIGHT for run in before):
            continue
        try:
            if before:
                _count_as_failed(store, incident, before[0], now)
                continue
            if job != REMEDIATE_JOB:
                store.begin_attempt(incident.incident_id, run_id=None, now=now)
        except NotDue:
            continue
        yield dg.RunRequest(
            job_name=job, tags={**_NO_RETRIES, **attempt_tags(incident.incident_id, number)}
        )


def rechecks(
    store: IncidentStore, instance: dg.DagsterInstance, graph: dg.AssetGraph | None
) -> Iterator[dg.RunRequest]:
    """A run of the failing checks of every incident whose last attempt was not judged yet."""
    if graph is None:
        return
    for incident in store.incidents(states=[State.OPEN, State.ESCALATED, State.ACKNOWLEDGED]):
        last = incident.attempts[-1] if incident.attempts else None
        if last is None or last.ended_at is None or last.passed_after is not None:
            continue
        tags = {RECHECK_TAG: f"{incident.incident_id}/{last.number}"}
        keys = runnable_checks(graph, [key for key in last.checks if key in incident.failing])
        if keys and not _runs(instance, tags):
            yield dg.RunRequest(
                job_name=RECHECK_JOB,
                asset_check_keys=keys,
                tags={**_NO_RETRIES, **tags, INCIDENT_TAG: incident.incident_id},
            )


def runnable_checks(graph: dg.AssetGraph, finding_keys: Iterable[str]) -> list[dg.AssetCheckKey]:
    """The checks behind ``finding_keys`` that can be run alone, with those that run with them.

    One function may make several checks and run only as a whole; a check that is made with its
    asset is left out, because running it would materialise the asset.
    """
    by_name = {
        f"{key.asset_key.to_user_string()}:{key.name}": key for key in graph.asset_check_keys
    }
    chosen: set[dg.AssetCheckKey] = set()
    for name in finding_keys:
        key = by_name.get(name)
        if key is None or not graph.assets_def_for_key(key).is_executable:
            continue
        together = graph.get_execution_set_asset_and_check_keys(key)
        checks = {item for item in together if isinstance(item, dg.AssetCheckKey)}
        if len(checks) == len(together):
            chosen |= checks
    return sorted(chosen, key=lambda key: (key.asset_key.to_user_string(), key.name))


def attempt_tags(incident_id: str, number: int) -> dict[str, str]:
    """Tags of the run of an attempt."""
    return {INCIDENT_TAG: incident_id, ATTEMPT_TAG: str(number)}


def _count_as_failed(
    store: IncidentStore, incident: Incident, run: dg.DagsterRun, now: datetime
) -> None:
    attempt = store.begin_attempt(incident.incident_id, run_id=run.run_id, now=now)
    store.end_attempt(
        incident.incident_id,
        attempt.number,
        succeeded=False,
        detail=f"its run ended before the remedy began: {run.status.value}",
        now=now,
    )


def _outcome(attempt: Attempt, run: dg.DagsterRun | None, now: datetime) -> tuple[bool, str] | None:
    """How an attempt ended, by its run; null while it is at work."""
    age = now - attempt.started_at
    if run is None:
        return (False, "its run was never started") if age > LAUNCH_PATIENCE else None
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return True, f"{run.job_name} succeeded"
    if run.status in IN_FLIGHT:
        return (False, f"did not end within {LONGEST_ATTEMPT}") if age > LONGEST_ATTEMPT else None
    return False, f"{run.job_name} ended as {run.status.value}; its run's log says why"


def _run_of(
    instance: dg.DagsterInstance, incident: Incident, attempt: Attempt
) -> dg.DagsterRun | None:
    if attempt.run_id is not None:
        return instance.get_run_by_id(attempt.run_id)
    runs = _runs(instance, attempt_tags(incident.incident_id, attempt.number))
    return runs[0] if runs else None


def _runs(instance: dg.DagsterInstance, tags: dict[str, str]) -> list[dg.DagsterRun]:
    """The newest runs with these tags."""
    return list(instance.get_runs(dg.RunsFilter(tags=tags), limit=5))

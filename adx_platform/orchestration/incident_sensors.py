"""Sensors of incidents: one hears what goes wrong, one launches what may mend it.

Belongs here: when they look and what they hand to Dagster. Does not belong here: what an event
means (``incident_findings``), which runs there are (``remediation_runs``), or any rule about
incidents (``quality.incidents``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import dagster as dg

from adx_platform.orchestration.automation import sensor_status
from adx_platform.orchestration.incident_events import (
    events_after,
    latest_evaluations,
    newest_event,
)
from adx_platform.orchestration.incident_findings import findings_of
from adx_platform.orchestration.incident_standing import digest, standing_evaluation
from adx_platform.orchestration.remediation_runs import end_dead_attempts, launches, rechecks
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings

INTERVAL_SECONDS: Final = 5
REPORT_AGAIN_AFTER: Final = timedelta(minutes=5)

AnyJob: TypeAlias = "dg.JobDefinition | dg.UnresolvedAssetJobDefinition"


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where ``incident_watch`` stands: the newest event it read, and what it last reported."""

    event: int | None = None
    reported: str = ""
    reported_at: float = 0.0

    @classmethod
    def parse(cls, text: str | None) -> _Cursor:
        return cls(**json.loads(text)) if text else cls()

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def incident_sensors(settings: Settings, jobs: Sequence[AnyJob]) -> list[dg.SensorDefinition]:
    """``incident_watch`` and ``remediation``.

    Args:
        settings: the platform's.
        jobs: those that may be launched: ``remediate``, ``recheck``, ``reload_reference`` and
            ``rebuild_marts``. An incident whose job is missing waits until it is escalated.
    """
    return [_incident_watch(settings), _remediation(settings, jobs)]


def _incident_watch(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="incident_watch",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Turns failed checks, failed runs and stale assets into incidents.",
    )
    def incident_watch(
        context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.SensorResult:
        now = datetime.now(UTC)
        cursor = _Cursor.parse(context.cursor)
        entries, newest = _new_entries(context, cursor)
        findings = list(findings_of(entries, context.instance.get_run_by_id))
        with line.incidents() as store:
            changed = store.record(findings, settings=line.settings.incidents, now=now)
            standing = standing_evaluation(store)
        for incident in changed:
            context.log.info("%s is %s: %s", incident.incident_id, incident.state, incident.title)
        said = digest(standing)
        age = now.timestamp() - cursor.reported_at
        report = said != cursor.reported or age >= REPORT_AGAIN_AFTER.total_seconds()
        after = _Cursor(
            event=newest,
            reported=said,
            reported_at=now.timestamp() if report else cursor.reported_at,
        )
        return dg.SensorResult(
            asset_events=[standing] if report else [],
            cursor=after.text(),
            skip_reason=f"{len(findings)} findings, {len(changed)} incidents changed",
        )

    return incident_watch


def _remediation(settings: Settings, jobs: Sequence[AnyJob]) -> dg.SensorDefinition:
    names = {job.name for job in jobs}

    @dg.sensor(
        name="remediation",
        jobs=list(jobs),
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Launches the remedies that are due, and the checks after them.",
    )
    def remediation(
        context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.SensorResult:
        now = datetime.now(UTC)
        repository = context.repository_def
        graph = repository.asset_graph if repository is not None else None
        with line.incidents() as store:
            ended = end_dead_attempts(store, context.instance, now)
            requests = [
                *launches(store, context.instance, names, now),
                *rechecks(store, context.instance, graph),
            ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else f"nothing is due; {ended} attempts ended",
        )

    return remediation


def _new_entries(
    context: dg.SensorEvaluationContext, cursor: _Cursor
) -> tuple[Sequence[dg.EventLogEntry], int]:
    """Events since the cursor; at the first look, and in another log, the state of every check."""
    newest = newest_event(context.instance)
    if cursor.event is not None and cursor.event <= newest:
        page = events_after(context.instance, cursor.event)
        return page.entries, page.cursor
    repository = context.repository_def
    checks = repository.asset_graph.asset_check_keys if repository is not None else ()
    return latest_evaluations(context.instance, checks), newest

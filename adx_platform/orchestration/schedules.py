"""Schedules: the build cadence, the reference data, the daily audit.

Belongs here: when, and the question whether there is anything to do. Does not belong here: the
work.
"""

from __future__ import annotations

import dagster as dg

from adx_platform.orchestration.automation import schedule_status
from adx_platform.orchestration.jobs import BUILD_JOB, Jobs
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.sensors import IN_FLIGHT
from adx_platform.settings import Settings
from adx_platform.warehouse.base import WarehouseBusyError


def make_schedules(settings: Settings, jobs: Jobs) -> list[dg.ScheduleDefinition]:
    """Every schedule, in UTC."""
    return [
        _build_cadence(settings, jobs),
        dg.ScheduleDefinition(
            name="reference_hourly",
            job=jobs.reference,
            cron_schedule="7 * * * *",
            execution_timezone="UTC",
            default_status=schedule_status(settings),
            description="Loads the reference files that changed, also after a failure.",
        ),
        dg.ScheduleDefinition(
            name="audit_daily",
            job=jobs.audit,
            cron_schedule="17 3 * * *",
            execution_timezone="UTC",
            default_status=schedule_status(settings),
            description="Recounts conservation over all history.",
        ),
    ]


def _build_cadence(settings: Settings, jobs: Jobs) -> dg.ScheduleDefinition:
    @dg.schedule(
        cron_schedule="* * * * *",
        name="build_cadence",
        job=jobs.build,
        execution_timezone="UTC",
        default_status=schedule_status(settings),
        description="Builds and publishes when there are loads that no green build included.",
    )
    def build_cadence(
        context: dg.ScheduleEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.RunRequest | dg.SkipReason:
        # Before the warehouse is opened: dbt would fail on it instead of waiting for a tick.
        building = dg.RunsFilter(job_name=BUILD_JOB, statuses=list(IN_FLIGHT))
        if context.instance.get_runs(building, limit=1):
            return dg.SkipReason("a build is in flight")
        try:
            pending = line.unbuilt()
        except WarehouseBusyError:
            return dg.SkipReason("a load is in flight")
        if not pending:
            return dg.SkipReason("everything that was loaded is built and published")
        return dg.RunRequest(tags={"adx/unbuilt_loads": str(pending.loads)})

    return build_cadence

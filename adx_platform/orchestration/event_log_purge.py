"""Retention of Dagster's own records, as a job and a schedule.

Belongs here: when it runs, and its report. Does not belong here: the removal (``event_log``), or
the retention of ticks, which ``dagster.yaml`` has.
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from datetime import UTC, datetime

import dagster as dg

from adx_platform.orchestration.automation import schedule_status
from adx_platform.orchestration.event_log import purge
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings

PURGE_JOB = "purge_event_log"


def purge_job() -> dg.JobDefinition:
    """Remove runs, materialisations and check results that are past their retention."""

    @dg.op(
        name="delete_old_records",
        description="The newest of every asset, partition and check stays, with its run.",
    )
    def purge_records(context: dg.OpExecutionContext, line: dg.ResourceParam[Line]) -> None:
        hygiene, now = line.settings.hygiene, datetime.now(UTC)
        report = purge(
            context.instance,
            runs_before=now - hygiene.keep_runs,
            events_before=now - hygiene.keep_events,
        )
        context.log.info(
            "removed %d runs, %d events and %d check results; %.1f MB were given back",
            report.runs,
            report.events,
            report.check_results,
            report.freed_bytes / 1e6,
        )
        context.add_output_metadata(
            {
                "runs": report.runs,
                "events": report.events,
                "check_results": report.check_results,
                "freed_bytes": report.freed_bytes,
            }
        )

    @dg.job(
        name=PURGE_JOB,
        executor_def=dg.in_process_executor,
        description="Remove what is past ADX_HYGIENE__KEEP_RUNS and ADX_HYGIENE__KEEP_EVENTS.",
    )
    def purge_event_log() -> None:
        purge_records()

    return purge_event_log


def purge_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Once a day, when little else runs."""
    return dg.ScheduleDefinition(
        name="event_log_purge_daily",
        job_name=PURGE_JOB,
        cron_schedule="41 3 * * *",
        execution_timezone="UTC",
        default_status=schedule_status(settings),
        description="Removes runs and events that are past their retention.",
    )

"""The upkeep of lake and warehouse as a job and a schedule.

Belongs here: when it runs, and its report. Does not belong here: the upkeep (``pipeline.upkeep``,
``pipeline.expiry``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import dagster as dg

from adx_platform.orchestration.automation import schedule_status
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES, permanent_failures
from adx_platform.settings import Settings

MAINTENANCE_JOB = "maintain_lake"


def maintenance_job() -> dg.JobDefinition:
    """Merge small files, drop what is past retention, delete what is replaced."""

    @dg.op(
        name="keep_lake_tables_cheap",
        retry_policy=TRANSIENT_RETRIES,
        description="Upkeep of every lake table; safe beside ingest, loads and repairs.",
    )
    def maintain(context: dg.OpExecutionContext, line: dg.ResourceParam[Line]) -> None:
        with permanent_failures():
            reports = line.maintain()
        for report in reports:
            context.log.info(report.explain())
        context.add_output_metadata(
            {
                "files_merged": sum(report.merged for report in reports),
                "files_written": sum(report.into for report in reports),
                "files_deleted": sum(report.deleted for report in reports),
                "orphans_deleted": sum(report.orphans for report in reports),
                "raw_rows_dropped": sum(report.dropped for report in reports),
            }
        )

    @dg.op(
        name="expire_warehouse_rows",
        ins={"lake_is_done": dg.In(dg.Nothing)},
        retry_policy=TRANSIENT_RETRIES,
        description="Deletes rows past ADX_WAREHOUSE__RETENTION; waits for a load or build.",
    )
    def expire(context: dg.OpExecutionContext, line: dg.ResourceParam[Line]) -> None:
        with permanent_failures():
            report = line.expire()
        context.log.info(report.explain())
        context.add_output_metadata(
            {
                "rows_expired": report.rows,
                **{f"rows_expired/{item.table}": item.rows for item in report.expired},
            }
        )

    @dg.job(
        name=MAINTENANCE_JOB,
        executor_def=dg.in_process_executor,
        description="Keep the lake's tables cheap: merge, drop what is past retention, clean up. "
        "Then delete rows of the warehouse that are past theirs.",
    )
    def maintain_lake() -> None:
        expire(lake_is_done=maintain())

    return maintain_lake


def maintenance_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every ten minutes: a resident loop makes thousands of small files in an hour."""
    return dg.ScheduleDefinition(
        name="maintenance",
        job_name=MAINTENANCE_JOB,
        cron_schedule="*/10 * * * *",
        execution_timezone="UTC",
        default_status=schedule_status(settings),
        description="Merges small files and deletes what is past its retention.",
    )

"""The definitions as a whole: every part of the orchestration put together.

Belongs here: which parts there are, and the resources they get. Does not belong here: any of the
parts. A test builds them with resources of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from adx_platform.orchestration.alert_sensor import alert_sensor
from adx_platform.orchestration.asset_report import report_asset
from adx_platform.orchestration.asset_training import (
    training_asset,
    training_job,
    training_schedule,
)
from adx_platform.orchestration.assets_dbt import marts_keys, warehouse_models
from adx_platform.orchestration.assets_lake import lake_assets, topic_specs
from adx_platform.orchestration.assets_reference import reference_assets
from adx_platform.orchestration.assets_warehouse import published_asset, raw_table_assets
from adx_platform.orchestration.broker_check import broker_checks
from adx_platform.orchestration.checks import all_checks
from adx_platform.orchestration.checks_anomaly import anomaly_check_definitions
from adx_platform.orchestration.dbt_project import dbt_resource, require_manifest
from adx_platform.orchestration.event_log_purge import purge_job, purge_schedule
from adx_platform.orchestration.heartbeats import alive_check, loop_spec, loop_watch_sensor
from adx_platform.orchestration.incident_names import LAUNCHED_JOBS
from adx_platform.orchestration.incident_sensors import incident_sensors
from adx_platform.orchestration.incident_standing import incident_checks, incident_specs
from adx_platform.orchestration.jobs import make_jobs
from adx_platform.orchestration.jobs_operations import operation_jobs
from adx_platform.orchestration.maintenance import maintenance_job, maintenance_schedule
from adx_platform.orchestration.remediation_jobs import remediation_jobs
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.schedules import make_schedules
from adx_platform.orchestration.sensors import (
    automation_sensor,
    planner_sensor,
    reference_sensor,
)
from adx_platform.settings import Settings, current_settings


def build_defs(
    settings: Settings | None = None, overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """Everything that Dagster may run; ``overrides`` replaces resources by name (line, dbt).

    Raises:
        ManifestError: the dbt manifest was not made yet.
    """
    settings = settings or current_settings()
    models = warehouse_models(settings)
    jobs = make_jobs(list(models.keys))
    resources = {"line": Line(settings), "dbt": dbt_resource(settings), **(overrides or {})}
    mending = remediation_jobs(resources["line"])
    operations = operation_jobs(list(models.keys))
    launched = [*mending, *(job for job in operations if job.name in LAUNCHED_JOBS)]
    return dg.Definitions(
        assets=[
            *topic_specs(),
            loop_spec(),
            *incident_specs(),
            *lake_assets(settings),
            reference_assets(),
            training_asset(),
            *raw_table_assets(),
            models,
            published_asset(marts_keys(require_manifest(settings))),
            report_asset(),
        ],
        asset_checks=[
            *all_checks(),
            *anomaly_check_definitions(),
            *broker_checks(),
            alive_check(),
            *incident_checks(),
        ],
        jobs=[
            *jobs.all(),
            training_job(),
            maintenance_job(),
            purge_job(),
            *mending,
            *operations,
        ],
        schedules=[
            *make_schedules(settings, jobs),
            training_schedule(settings),
            maintenance_schedule(settings),
            purge_schedule(settings),
        ],
        sensors=[
            planner_sensor(settings, jobs.ingest),
            reference_sensor(settings, jobs.reference),
            automation_sensor(settings),
            loop_watch_sensor(settings),
            *incident_sensors(settings, launched),
            alert_sensor(settings),
        ],
        resources=resources,
        executor=dg.in_process_executor,
    )

"""The definitions as a whole: every part of the orchestration put together.

Belongs here: which parts there are, and the resources they get. Does not belong here: any of the
parts. A test builds them with resources of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from adx_platform.orchestration.assets_dbt import marts_keys, warehouse_models
from adx_platform.orchestration.assets_lake import lake_assets, topic_specs
from adx_platform.orchestration.assets_reference import reference_assets
from adx_platform.orchestration.assets_warehouse import published_asset, raw_table_assets
from adx_platform.orchestration.checks import all_checks
from adx_platform.orchestration.dbt_project import dbt_resource, require_manifest
from adx_platform.orchestration.jobs import make_jobs
from adx_platform.orchestration.maintenance import maintenance_job, maintenance_schedule
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
    return dg.Definitions(
        assets=[
            *topic_specs(),
            *lake_assets(settings),
            reference_assets(),
            *raw_table_assets(),
            models,
            published_asset(marts_keys(require_manifest(settings))),
        ],
        asset_checks=all_checks(),
        jobs=[*jobs.all(), maintenance_job()],
        schedules=[*make_schedules(settings, jobs), maintenance_schedule(settings)],
        sensors=[
            planner_sensor(settings, jobs.ingest),
            reference_sensor(settings, jobs.reference),
            automation_sensor(settings),
        ],
        resources={"line": Line(settings), "dbt": dbt_resource(settings), **(overrides or {})},
        executor=dg.in_process_executor,
    )

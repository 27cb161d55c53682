"""The trained weights of the data-driven attribution models: asset, job and schedule.

Belongs here: when the training runs, and its report. Does not belong here: the training
(``pipeline.training``).
"""

# No postponed annotations here: Dagster reads the types of an asset's parameters as objects.

from typing import Any

import dagster as dg

from adx_platform.orchestration import keys
from adx_platform.orchestration.automation import schedule_status
from adx_platform.orchestration.metadata import column_schema
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES
from adx_platform.settings import Settings
from adx_platform.warehouse.tables import ATTRIBUTION_WEIGHTS

TRAINING_JOB = "train_attribution"


def training_asset() -> dg.AssetsDefinition:
    """The weights. Without upstream assets: they are learned from marts that are divided by them.

    Dagster's graph has no cycles; time has: the training reads what the last build made, and the
    next build uses what it learned.
    """

    @dg.asset(
        key=keys.reference_key(ATTRIBUTION_WEIGHTS.name),
        description=(
            "What each campaign is worth to the models markov and shapley, per calendar month. "
            "Learned from the marts of the last build; the next build divides by it."
        ),
        group_name=keys.GROUP_TRAINING,
        kinds={"python", "duckdb"},
        owners=keys.OWNERS,
        tags={keys.LAYER_TAG: "reference"},
        metadata=column_schema(ATTRIBUTION_WEIGHTS.columns),
        pool=keys.WAREHOUSE_POOL,
        retry_policy=TRANSIENT_RETRIES,
    )
    def attribution_weights(line: dg.ResourceParam[Line]) -> dg.MaterializeResult[Any]:
        report = line.train()
        return dg.MaterializeResult(
            metadata={
                "report": report.explain(),
                "conversions": report.conversions,
                "retrained": len(report.retrained),
                "months": [f"{window:%Y-%m}" for window in report.windows],
            }
        )

    return attribution_weights


def training_job() -> "dg.UnresolvedAssetJobDefinition":
    """The training alone."""
    return dg.define_asset_job(
        TRAINING_JOB,
        selection=dg.AssetSelection.assets(keys.reference_key(ATTRIBUTION_WEIGHTS.name)),
        executor_def=dg.in_process_executor,
        description="Learn the weights of the data-driven attribution models from the marts.",
    )


def training_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every night: weights move slowly, and each change divides a month of conversions anew."""
    return dg.ScheduleDefinition(
        name="training_daily",
        job_name=TRAINING_JOB,
        cron_schedule="29 4 * * *",
        execution_timezone="UTC",
        default_status=schedule_status(settings),
        description="Learns the weights of the data-driven attribution models.",
    )

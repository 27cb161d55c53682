"""Sensors: the planner, the reference files, and the evaluation of automation conditions.

Belongs here: asking the broker for offsets and the instance for runs, and handing out run
requests. Does not belong here: the choice (``lane_requests``); reading messages, ever.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.automation import sensor_status
from adx_platform.orchestration.heartbeats import read_heartbeat
from adx_platform.orchestration.lane_requests import (
    Decision,
    LaneHistory,
    LaneKey,
    LaneRequest,
    decide,
)
from adx_platform.orchestration.resources import Line
from adx_platform.reference.files import files_digest
from adx_platform.settings import Settings
from adx_platform.streams.lanes import lane_key

MINIMUM_INTERVAL_SECONDS = 5
REFERENCE_INTERVAL_SECONDS = 30
IN_FLIGHT = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
# Enough to count failures up to the longest pause.
RUNS_LOOKED_AT = 12


def planner_sensor(
    settings: Settings, jobs: Sequence[dg.UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """Asks for a run of every lane that has offsets to read and no run in flight."""

    @dg.sensor(
        name="planner",
        jobs=list(jobs),
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Compares the broker's last stable offsets with the refined ones.",
    )
    def planner(
        context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.SensorResult:
        now = time.time()
        beat = read_heartbeat(context.instance)
        followed: tuple[str, ...] = ()
        if beat is not None and beat.is_at_work(
            now, line.settings.follow.stale_after.total_seconds()
        ):
            followed = beat.streams
        streams = [stream for stream in STREAMS if stream not in followed]
        if beat is not None and not streams:
            return dg.SensorResult(skip_reason=f"the resident loop is at work: {beat.explain()}")
        lags = line.lags(streams)
        lanes = {LaneKey(lag.stream, lag.lane) for lag in lags if lag.behind}
        decision = decide(lags, _histories(context.instance, lanes), now)
        return dg.SensorResult(
            run_requests=[_run_request(request) for request in decision.requests],
            skip_reason=_skip_reason(decision) if not decision.requests else None,
            cursor=json.dumps(
                {"at": round(now), "behind": sum(lag.behind for lag in lags)}, sort_keys=True
            ),
        )

    return planner


def reference_sensor(
    settings: Settings, job: dg.UnresolvedAssetJobDefinition
) -> dg.SensorDefinition:
    """Asks for a load of the reference files whenever their content is new.

    The content is the run key, so that files which cannot be read fail one run and not one per
    tick; the hourly schedule tries them again.
    """

    @dg.sensor(
        name="reference_files",
        job=job,
        minimum_interval_seconds=REFERENCE_INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Loads the reference files when one of them has changed.",
    )
    def reference_files(
        _context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.RunRequest | dg.SkipReason:
        digest = files_digest(line.settings.reference_dir)
        if digest is None:
            return dg.SkipReason(f"there are no reference files in {line.settings.reference_dir}")
        return dg.RunRequest(run_key=digest)

    return reference_files


def automation_sensor(settings: Settings) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the automation conditions of the raw warehouse tables."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.groups(keys.GROUP_WAREHOUSE_RAW),
        default_status=sensor_status(settings),
        minimum_interval_seconds=30,
        description="Loads what was refined.",
    )


def _run_request(request: LaneRequest) -> dg.RunRequest:
    # No run key: Dagster would never start a second run for a key whose run failed.
    return dg.RunRequest(
        job_name=keys.ingest_job_name(request.key.stream),
        partition_key=lane_key(request.key.lane),
        tags={
            keys.STREAM_TAG: request.key.stream,
            keys.LANE_TAG: str(request.key.lane),
            keys.UNTIL_TAG: json.dumps(request.until, sort_keys=True),
        },
    )


def _skip_reason(decision: Decision) -> str:
    return "; ".join(decision.held) or "every lane is refined up to the last stable offset"


def _histories(
    instance: dg.DagsterInstance, lanes: Iterable[LaneKey]
) -> dict[LaneKey, LaneHistory]:
    return {key: _history(instance, key) for key in lanes}


def _history(instance: dg.DagsterInstance, key: LaneKey) -> LaneHistory:
    """The lane's runs, whoever asked for them: a person's run on the lane counts too."""
    records = instance.get_run_records(
        dg.RunsFilter(
            job_name=keys.ingest_job_name(key.stream),
            tags={keys.PARTITION_TAG: lane_key(key.lane)},
        ),
        limit=RUNS_LOOKED_AT,
    )
    if any(record.dagster_run.status in IN_FLIGHT for record in records):
        return LaneHistory(in_flight=True)
    failures = 0
    for record in records:
        if record.dagster_run.status != dg.DagsterRunStatus.FAILURE:
            break
        failures += 1
    return LaneHistory(failures=failures, last_end=records[0].end_time if records else None)

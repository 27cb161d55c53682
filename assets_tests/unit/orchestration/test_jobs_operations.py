"""The jobs that people start: they say what they did, or what they were told wrongly."""

from __future__ import annotations

from typing import Any

import dagster as dg
import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.jobs_operations import (
    BACKFILL_JOB,
    BACKFILL_OP,
    REBUILD_JOB,
    RELOAD_JOB,
    REPLAY_JOB,
    REPLAY_OP,
    operation_jobs,
)
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.hours import parse_hour
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.settings import Settings

STREAM = STREAMS["clicks_conversions"]
OPS = {BACKFILL_JOB: BACKFILL_OP, REPLAY_JOB: REPLAY_OP}


@pytest.fixture
def line(settings: Settings) -> Line:
    """Four broken lines of ten o'clock, refined."""
    platform = open_platform(settings)
    ten = parse_hour("2026-03-02T10")
    rows = [("id", 0, offset, None, None, ten, None, b'"', None) for offset in range(4)]
    raw = pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row")
    platform.landing(STREAM).commit(raw, "id", [OffsetRange(0, 0, 4)])
    assert refine_pending(platform, STREAM, 0) is not None
    return Line(settings)


def run(line: Line, name: str, **config: str) -> dg.ExecuteInProcessResult:
    (job,) = (job for job in operation_jobs([]) if job.name == name)
    assert isinstance(job, dg.JobDefinition)
    return job.execute_in_process(
        run_config={"ops": {OPS[name]: {"config": config}}} if config else None,
        resources={"line": line},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = (e for e in result.all_node_events if e.event_type_value == "STEP_OUTPUT")
    return {k: v.value for k, v in event.step_output_data.metadata.items()}


def error(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = result.get_step_failure_events()
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    return str(data.description)


def test_a_backfill_says_what_it_did(line: Line) -> None:
    result = run(line, BACKFILL_JOB, stream=STREAM.name, start="2026-03-02T10", end="2026-03-02T11")
    assert result.success
    said = metadata(result)
    assert said["summary"].startswith("clicks_conversions: 4 offsets refined again")
    assert said["revisions"] == [1]
    assert said["before"] == said["after"]


def test_a_replay_says_what_came_of_the_rejects(line: Line) -> None:
    result = run(line, REPLAY_JOB, stream=STREAM.name)
    assert result.success
    assert metadata(result)["before"] == {"malformed_csv": 4}
    assert metadata(result)["mended"] == 0


@pytest.mark.parametrize(
    ("job", "config", "words"),
    [
        (BACKFILL_JOB, {"stream": "clicks"}, "no stream 'clicks'; choose from bid_requests"),
        (BACKFILL_JOB, {"start": "ten"}, "'ten' is not a time: write it in UTC as 2026-03-02T10"),
        (BACKFILL_JOB, {"end": ""}, "end: say an hour"),
        (BACKFILL_JOB, {"by": "wall"}, "by: 'wall' is neither kafka nor event"),
        (BACKFILL_JOB, {}, "ad_impressions: the lake has nothing of 2026-03-02T10:00"),
        (REPLAY_JOB, {"reason": "bad_luck"}, "no reason code 'bad_luck'"),
    ],
)
def test_what_was_told_wrongly_fails_at_once_and_says_how(
    line: Line, job: str, config: dict[str, str], words: str
) -> None:
    result = run(line, job, **config)
    assert not result.success
    assert words in error(result)


def test_marts_are_rebuilt_in_full_and_references_loaded_by_force(defs: dg.Definitions) -> None:
    rebuild, reload = (defs.resolve_job_def(name) for name in (REBUILD_JOB, RELOAD_JOB))
    assert rebuild.tags[keys.FULL_REFRESH_TAG] == "true"
    assert reload.tags[keys.FORCE_REFERENCE_TAG] == "true"
    names = {node.name for node in reload.nodes}
    assert {"load_reference", "build_warehouse", "warehouse__published"} <= names
    assert "load_reference" not in {node.name for node in rebuild.nodes}

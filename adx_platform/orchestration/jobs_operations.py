"""Jobs named for what people do: backfill hours, replay rejects, rebuild marts, reload references.

Belongs here: the jobs, what they may be told, and how they answer. Does not belong here: the work
(``pipeline``, ``warehouse``), or the jobs that run by themselves (``jobs``).
"""

# No postponed annotations here: Dagster reads the types of `context` and `config` as objects.

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import dagster as dg
from pydantic import Field

from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks_reference import coverage_check_keys
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.hours import TimeOf, backfill_hours, parse_hour
from adx_platform.pipeline.replay import replay_rejects

BACKFILL_JOB: Final = "backfill_hours"
REPLAY_JOB: Final = "replay_rejects"
REBUILD_JOB: Final = "rebuild_marts"
RELOAD_JOB: Final = "reload_reference"
# Dagster refuses an op with the name of a job.
BACKFILL_OP: Final = "refine_hours_again"
REPLAY_OP: Final = "refine_rejects_again"

_DEFAULT_STREAM = "ad_impressions"
_HOUR = "UTC, as 2026-03-02T10 or 2026-03-02T10:30"
_FROM_BROKER = "read from the broker what is past the landing's retention"
_OPERATION_TAGS = {"adx/operation": "true"}


class BackfillConfig(dg.Config):
    """Which hours of which stream to refine again."""

    stream: str = Field(default=_DEFAULT_STREAM, description=f"one of {', '.join(STREAMS)}")
    start: str = Field(default="2026-03-02T10", description=f"first hour, {_HOUR}")
    end: str = Field(default="2026-03-02T11", description=f"the hour after the last one, {_HOUR}")
    by: str = Field(
        default="kafka", description="kafka: when the broker got it; event: when it happened"
    )
    from_broker: bool = Field(default=False, description=_FROM_BROKER)


class ReplayConfig(dg.Config):
    """Which rejects of which stream to refine again."""

    stream: str = Field(default=_DEFAULT_STREAM, description=f"one of {', '.join(STREAMS)}")
    reason: str = Field(
        default="", description="only this reason code (`adx rejects ls`); empty: any"
    )
    start: str = Field(default="", description=f"only messages from here on, {_HOUR}; empty: all")
    end: str = Field(default="", description=f"only messages before this, {_HOUR}; empty: all")
    from_broker: bool = Field(default=False, description=_FROM_BROKER)


def operation_jobs(
    models: Sequence[dg.AssetKey],
) -> "list[dg.JobDefinition | dg.UnresolvedAssetJobDefinition]":
    """Every job of this module.

    Args:
        models: keys of everything that dbt builds.
    """
    marts = dg.AssetSelection.assets(*models, keys.PUBLISHED_KEY, keys.REPORT_KEY)
    return [
        _backfill_job(),
        _replay_job(),
        dg.define_asset_job(
            REBUILD_JOB,
            selection=marts | dg.AssetSelection.checks(*coverage_check_keys()),
            tags={**_OPERATION_TAGS, keys.FULL_REFRESH_TAG: "true"},
            description=(
                "Build every model from the raw tables anew, all days, and test it; publish the "
                "marts only if all is green."
            ),
        ),
        dg.define_asset_job(
            RELOAD_JOB,
            selection=dg.AssetSelection.groups(keys.GROUP_REFERENCE) | marts,
            tags={**_OPERATION_TAGS, keys.FORCE_REFERENCE_TAG: "true"},
            description=(
                "Load every reference file again, also if it has not changed, build anew what "
                "depends on it, and publish the marts only if all is green."
            ),
        ),
    ]


def _backfill_job() -> dg.JobDefinition:
    @dg.op(name=BACKFILL_OP, description="Refines the hours again and says what changed.")
    def backfill(
        context: dg.OpExecutionContext, config: BackfillConfig, line: dg.ResourceParam[Line]
    ) -> None:
        if config.by not in set(TimeOf):
            raise _wrong(f"by: {config.by!r} is neither kafka nor event")
        with _Explained(), line.platform() as platform:
            report = backfill_hours(
                platform,
                _stream(config.stream),
                _required(config.start, "start"),
                _required(config.end, "end"),
                by=TimeOf(config.by),
                reason=f"backfill of {config.start} to {config.end} by {config.by} time",
                from_broker=config.from_broker,
            )
        context.log.info(report.explain())
        context.add_output_metadata(
            {
                "summary": report.explain(),
                "before": dg.JsonMetadataValue(report.before),
                "after": dg.JsonMetadataValue(report.after),
                "revisions": dg.JsonMetadataValue(list(report.revisions)),
            }
        )

    @dg.job(
        name=BACKFILL_JOB,
        executor_def=dg.in_process_executor,
        tags=_OPERATION_TAGS,
        config={"ops": {BACKFILL_OP: {"config": BackfillConfig().model_dump()}}},
        description=(
            "Refine some hours of a stream again from their landed bytes, for example after a fix. "
            "The next load and build bring the changes to the marts."
        ),
    )
    def run_backfill() -> None:
        backfill()

    return run_backfill


def _replay_job() -> dg.JobDefinition:
    @dg.op(name=REPLAY_OP, description="Refines rejects again and says what came of them.")
    def replay(
        context: dg.OpExecutionContext, config: ReplayConfig, line: dg.ResourceParam[Line]
    ) -> None:
        with _Explained(), line.platform() as platform:
            report = replay_rejects(
                platform,
                _stream(config.stream),
                reasons=[config.reason] if config.reason else [],
                start=_optional(config.start),
                end=_optional(config.end),
                from_broker=config.from_broker,
            )
        context.log.info(report.explain())
        context.add_output_metadata(
            {
                "summary": report.explain(),
                "mended": report.mended,
                "before": dg.JsonMetadataValue(report.before),
                "after": dg.JsonMetadataValue(report.after),
                "past_retention": report.past_retention,
                "revisions": dg.JsonMetadataValue(list(report.revisions)),
            }
        )

    @dg.job(
        name=REPLAY_JOB,
        executor_def=dg.in_process_executor,
        tags=_OPERATION_TAGS,
        config={"ops": {REPLAY_OP: {"config": ReplayConfig().model_dump()}}},
        description=(
            "Refine rejected records of a stream again, after a parser or a contract was mended. "
            "The next load and build bring the changes to the marts."
        ),
    )
    def run_replay() -> None:
        replay()

    return run_replay


class _Explained:
    """Errors that are meant for a person fail the run at once, with their own words."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AdxError | ValueError):
            raise _wrong(f"{type(error).__name__}: {error}") from error


def _wrong(message: str) -> dg.Failure:
    return dg.Failure(description=message, allow_retries=False)


def _stream(name: str) -> str:
    if name not in STREAMS:
        raise _wrong(f"no stream {name!r}; choose from {', '.join(STREAMS)}")
    return name


def _required(text: str, name: str) -> datetime:
    if not text:
        raise _wrong(f"{name}: say an hour, {_HOUR}")
    return parse_hour(text)


def _optional(text: str) -> datetime | None:
    return parse_hour(text) if text else None
